"""Fixtures of the studio with the shipped drums model: in this process, and in a separate server process."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from starlette.testclient import TestClient

    from audiogan import Generator


@pytest.fixture(scope="session")
def drums() -> Generator:
    """Return the shipped drums model."""
    import audiogan

    return audiogan.load("drums")


@pytest.fixture(scope="session")
def client(drums: Generator) -> TestClient:
    """Return a client of the studio with the drums model."""
    from starlette.testclient import TestClient

    from audiogan.studio import create_app

    return TestClient(create_app(drums), base_url="http://127.0.0.1:8642", raise_server_exceptions=False)


@dataclass(frozen=True)
class Served:
    """A studio in a separate process."""

    address: str
    port: int
    process: subprocess.Popen[str]


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """Run ``audiogan studio drums`` on a free port."""
    with serve() as studio:
        yield studio


@contextmanager
def serve(*options: str) -> Iterator[Served]:
    """Run ``audiogan studio drums`` with further options on a free port."""
    command = [sys.executable, "-m", "audiogan", "studio", "drums", "--port", "0", "--no-browser", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
        assert found, said + process.stdout.read()
        yield Served(found[0].rstrip("/"), int(found[1]), process)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a real browser without a window."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine (chromium, google-chrome)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a microphone that beeps
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()
