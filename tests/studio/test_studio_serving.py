"""Tests of slow, idle and too many connections: other clients still get responses."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from audiogan.studio import serving
from audiogan.studio.serving import Connection, Server, connection_limit

MOST = 8


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Respond at once, even if the body is incomplete. ``/large`` responds with 64 MB."""
    large = scope["path"] == "/large"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(64 if large else 0):
        await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(Connection, "header_seconds", 0.4)
    monkeypatch.setattr(Connection, "request_seconds", 0.8)
    monkeypatch.setattr(serving, "connection_limit", lambda: MOST)
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(application)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def opened(port: int, sent: bytes) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), 10)
    line.sendall(sent)
    return line


def ended(line: socket.socket) -> bytes:
    """Return the data that arrive until the server closes the connection. Fail after ten seconds."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := line.recv(1 << 16):
            parts.append(part)
    line.close()
    return b"".join(parts)


def answered(line: socket.socket) -> bool:
    """Return whether a complete response arrives."""
    content = b""
    while not content.endswith(b"0\r\n\r\n"):
        part = line.recv(1000)
        if not part:
            return False
        content += part
    return b"hello" in content


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_headers_that_do_not_end(port: int) -> None:
    for sent in (b"", b"GET / HTTP/1.1\r\n", GET[:-1], GET + GET[:-1]):
        assert ended(opened(port, sent)).count(b"hello") == sent.count(GET)
    line = opened(port, b"GET / HTTP/1.1\r\n")
    with pytest.raises(ConnectionError):  # Further bytes do not extend the time limit.
        for _ in range(200):
            line.sendall(b"X: y\r\n")
            time.sleep(0.02)
    line.close()


def test_a_body_that_does_not_end(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    assert b"hello" in ended(opened(port, head + b"x"))


def test_an_answer_that_nobody_takes(port: int) -> None:
    line = opened(port, GET.replace(b"/ ", b"/large ", 1))
    time.sleep(1.5)
    assert len(ended(line)) < 64 << 20


def test_idle_connections_shut_nobody_out(port: int) -> None:
    idle = [opened(port, sent) for sent in (b"", b"GET / HTTP/1.1\r\n", GET) for _ in range(5 * MOST)]
    for _ in range(5):
        assert answered(opened(port, GET))
    for line in idle:
        line.close()


def test_a_connection_in_use_stays(port: int) -> None:
    line = opened(port, GET)
    for _ in range(6):
        assert answered(line)
        time.sleep(0.15)
        line.sendall(GET)
    line.close()


def test_the_limit_leaves_file_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    largest = serving.MAX_CONNECTIONS
    for soft, most in ((256, 128), (1024, largest), (resource.RLIM_INFINITY, largest), (4, 8)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert connection_limit() == most
