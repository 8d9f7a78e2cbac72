"""The application: API, page and guards put together."""

from __future__ import annotations

import traceback
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from audiogan.errors import UserError
from audiogan.studio import imitate, kits, sounds, watching
from audiogan.studio.instrument import Instrument
from audiogan.studio.limits import Limits, Refused, Slots
from audiogan.studio.security import RequestGuard
from audiogan.studio.sounds import Studio

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

ROUTERS = (sounds.router, kits.router, imitate.router, watching.router)
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
PAGES = {"/": "index.html", "/run": "run.html"}
"""Files that have an address of their own; all others are ``/static/NAME``."""


def create_app(
    generator: Generator,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    runs: str | Path = "runs",
    run: str | Path | None = None,
) -> FastAPI:
    """An ASGI application that serves the studio of one model.

    Args:
        generator: of sounds; it may be used elsewhere at the same time.
        host: the address it will be served on. Requests must name it, or this machine.
        token: what a visitor must know; necessary where others can reach ``host``.
        runs: the folder whose trainings can be watched.
        run: the folder of one more that can.

    Raises:
        UserError: the model makes something else than sounds.
    """
    limits = Limits()
    app = FastAPI(title="audiogan studio", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.studio = Studio(
        Instrument(generator),
        limits,
        Slots(limits.running, limits.waiting, limits.patience),
        Slots(1, 2, limits.imitate_seconds),
    )
    app.state.watching = watching.Watching(Path(runs), generator.checkpoint, Path(run) if run else None)
    for router in ROUTERS:
        app.include_router(router)
    _serve_files(app)
    app.add_middleware(RequestGuard, host=host, token=token)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(RequestValidationError, _wrong_query)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _broken)
    return app


def _serve_files(app: FastAPI) -> None:
    """The files of the page, read once: no request names a file of this machine."""
    folder = resources.files("audiogan.studio").joinpath("static")
    for file in folder.iterdir():
        kind = TYPES.get(file.name.rpartition(".")[2])
        if kind is None:
            continue
        addresses = [f"/static/{file.name}", *(address for address, name in PAGES.items() if name == file.name)]
        for address in addresses:
            _serve(app, address, file.read_bytes(), kind)


def _serve(app: FastAPI, address: str, content: bytes, kind: str) -> None:
    def answer() -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    app.add_api_route(address, answer, methods=["GET", "HEAD"], include_in_schema=False)


def _refused(request: Request, error: Any) -> Response:
    return error.response()


def _user_error(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": Studio.of(request).instrument.said(error)}, 422)


def _wrong_query(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}"[:300]}, 422)


def _http_error(request: Request, error: Any) -> Response:
    message = {404: "there is nothing at this address", 405: "this address does not know that method"}
    return JSONResponse({"error": message.get(error.status_code, str(error.detail))}, error.status_code)


def _broken(request: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    return JSONResponse({"error": "something went wrong in the studio; its terminal says more"}, 500)
