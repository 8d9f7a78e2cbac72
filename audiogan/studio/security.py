"""`RequestGuard`, which protects the studio from requests of other web pages and other machines."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
"""Host names of this machine."""
ANY = ("0.0.0.0", "::", "")
"""Addresses that stand for all network interfaces of this machine."""
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "media-src": "'self' blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{key} {value}" for key, value in POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(self), geolocation=()",
}


def is_local(host: str) -> bool:
    """Return whether a server bound to ``host`` can be reached only from this machine."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class RequestGuard:
    """ASGI middleware that refuses requests of other web sites with status 403, and adds `HEADERS` to every response.

    * The header ``Host`` must name this machine. This prevents DNS rebinding, in which a foreign domain name resolves
      to this machine.
    * The headers ``Origin`` and ``Sec-Fetch-Site``, if present, must indicate a request from the studio's own page.
    * If a token is set, a request must send it in the URL (``?token=``), in a cookie or as ``Authorization: Bearer``.
      If it is in the URL, the response sets the cookie and redirects to the URL without the token.

    Args:
        app: the ASGI application to protect.
        host: host name or address that the server is bound to.
        token: secret that every request must send. None: no token is required.
    """

    def __init__(self, app: ASGIApp, host: str, token: str | None) -> None:
        self.app, self.token, self.anywhere = app, token, host in ANY
        self.names = {name.lower() for name in (*LOCAL_NAMES, host) if name}
        if self.anywhere:
            self.names.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._refusal(scope)
        await (self.app if answer is None else answer)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_known_host(hosts[0]):
            return _refuse("unknown host name; open the studio at the address that it printed")
        for origin in headers.getlist("origin"):
            if origin.lower() not in (f"http://{hosts[0].lower()}", f"https://{hosts[0].lower()}"):
                return _refuse("request from another web site refused")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate":
            return _refuse("request from another web site refused")
        return self._token_refusal(scope, headers, hosts[0]) if self.token is not None else None

    def _is_known_host(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        # If the server is bound to all interfaces, any IP address is accepted. DNS rebinding works only with names.
        return name in self.names or (self.anywhere and _address(name) is not None)

    def _token_refusal(self, scope: Scope, headers: Headers, host: str) -> Response | None:
        """Return None if the request has the right token; otherwise a refusal.

        A token in the URL is answered by a redirect that sets a cookie, so that the token does not stay in the browser
        history.
        """
        # The name of the cookie contains the port, because browsers share cookies between the ports of a host.
        cookie = f"audiogan-{urlsplit(f'//{host}').port or 80}"
        query = parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=20) if scope["query_string"] else []
        if any(key == "token" and self._is_token(value) for key, value in query) and scope["method"] == "GET":
            rest = urlencode([(key, value) for key, value in query if key != "token"])
            # Leading slashes are reduced to one, because browsers read a path that begins with two slashes as the name
            # of another server.
            path = "/" + scope["path"].lstrip("/\\")
            response = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
            response.set_cookie(cookie, self.token or "", httponly=True, samesite="strict", path="/")
            return response
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(given.strip()):
            return None
        try:
            crumbs = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            crumbs = SimpleCookie()
        if cookie in crumbs and self._is_token(crumbs[cookie].value):
            return None
        return _refuse("token required; open the studio at the address that it printed")

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), (self.token or "").encode())


def _refuse(message: str) -> JSONResponse:
    return JSONResponse({"error": message}, 403)
