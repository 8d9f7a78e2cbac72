"""Tests of the studio as a process: it responds under load."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.studio.conftest import Served

PART = 1 << 20


def memory(served: Served) -> int:
    """Return the peak memory of a process in bytes, or 0 if the system does not report it."""
    status = Path(f"/proc/{served.process.pid}/status")
    if not status.exists():
        return 0
    return 1024 * int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1])


def alive(served: Served) -> bool:
    import httpx

    answer = httpx.get(f"{served.address}/api/model", timeout=30)
    return served.process.poll() is None and answer.status_code == 200


def test_two_gigabytes_in_parts_are_cut_off(served: Served) -> None:
    import httpx

    sent, before = 0, memory(served)

    def parts() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(2048):
            sent += PART
            yield bytes(PART)

    try:
        answer = httpx.post(f"{served.address}/api/imitate", content=parts(), timeout=60)
        assert answer.status_code == 413 and list(answer.json()) == ["error"]
    except httpx.TransportError:  # The client was still sending when the connection was closed.
        assert sent < 2048 * PART
    assert memory(served) - before < 200 * PART
    assert alive(served)


def test_a_header_that_lies_about_the_length(served: Served) -> None:
    body = b'{"n": 1}'
    for announced, status in (
        (str(len(body)), b"200"),
        ("3", b"400"),
        (str(2 << 30), b"413"),
        ("-1", b"400"),
        ("x", b"400"),
    ):
        head = f"POST /api/sounds HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nConnection: close\r\n"
        with socket.create_connection(("127.0.0.1", served.port), 30) as line:
            line.sendall(f"{head}Content-Length: {announced}\r\n\r\n".encode() + body)
            assert line.recv(100).split()[1] == status, announced
    assert alive(served)


def test_two_hundred_at_once_are_all_answered(served: Served) -> None:
    import httpx

    recipes = httpx.post(f"{served.address}/api/sounds", json={"n": 8, "seed": 1}, timeout=30).json()["recipes"]

    def ask(i: int) -> tuple[int, bytes]:
        answer = client.post(f"{served.address}/api/render", json={"recipe": recipes[i % 8]}, timeout=120)
        return answer.status_code, answer.content

    with httpx.Client(limits=httpx.Limits(max_connections=200)) as client, ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(ask, range(200)))
    assert {status for status, _ in answers} == {200}
    for i in range(8):
        assert len({content for _, content in answers[i::8]}) == 1  # All answers for a recipe are equal.
    assert alive(served)


def test_ports_and_hosts_that_cannot_be(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    from audiogan.cli import main

    for arguments in (["--port", str(served.port)], ["--port", "70000"], ["--host", "no such host"]):
        assert main(["studio", "drums", "--no-browser", *arguments]) == 2
        said = capsys.readouterr().err
        assert arguments[0] in said or arguments[1] in said
        assert "Traceback" not in said and said.count("\n") == 1
