"""Tests of downloads from faulty servers, and of files of the user in the target folder."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from audiogan.cli import main
from audiogan.data.downloads.archive import ArchiveFiles
from audiogan.data.downloads.download import download, get_data_set
from audiogan.data.downloads.drum_kits import DrumKits
from audiogan.data.downloads.fetch import UnexpectedFile, fetch
from audiogan.data.downloads.idx import PARTS, IdxImages, read_idx
from audiogan.errors import UserError

MOST = 300_000
Hostile = Callable[[BaseHTTPRequestHandler], None]


def endless(handler: BaseHTTPRequestHandler, headers: tuple[tuple[str, str], ...] = ()) -> None:
    handler.send_response(200)
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    for _ in range(10_000):
        handler.wfile.write(bytes(65_536))
        handler.server.sent += 65_536  # type: ignore[attr-defined]


def announced(handler: BaseHTTPRequestHandler) -> None:
    endless(handler, (("Content-Length", str(1 << 40)),))


def lying(handler: BaseHTTPRequestHandler) -> None:
    endless(handler, (("Content-Type", "text/plain"), ("Transfer-Encoding", "identity")))


def bomb(handler: BaseHTTPRequestHandler) -> None:
    body = gzip.compress(bytes(100_000_000))
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(bytes(100))


def round_and_round(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()


def to_a_file(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/passwd")
    handler.end_headers()


def to_nowhere(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://[" if handler.path == "/" else "http://" + "a" * 70 + "/")
    handler.end_headers()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Hostile], tuple[str, ThreadingHTTPServer]]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = []

    def start(answer: Hostile) -> tuple[str, ThreadingHTTPServer]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with contextlib.suppress(OSError):  # The client has closed the connection.
                    answer(self)

            def log_message(self, *args: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.sent = 0  # type: ignore[attr-defined]
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        running.append(http)
        return f"http://127.0.0.1:{http.server_port}", http

    yield start
    for http in running:
        http.shutdown()
        http.server_close()


@pytest.mark.parametrize("answer", [endless, announced, lying, bomb, short, round_and_round, to_a_file, to_nowhere])
def test_a_hostile_server_costs_no_more_than_the_file(serve: Callable, tmp_path: Path, answer: Hostile) -> None:
    from requests.exceptions import RequestException

    url, http = serve(answer)
    sizes = []
    with pytest.raises((UnexpectedFile, RequestException)):
        wanted = hashlib.sha256(b"").hexdigest()
        fetch(url, tmp_path / "x", max_bytes=MOST, sha256=wanted, progress=lambda size, _: sizes.append(size))
    assert max(sizes, default=0) <= MOST and http.sent < 100 * MOST
    assert list(tmp_path.iterdir()) == []


def registry(path: Path) -> Path:
    row = f"a/b,{'0' * 40},kick.wav,8000,{'0' * 64},kick,CC0-1.0,kit"
    path.write_text(f"repo,commit,path,bytes,sha256,label,licence,kit\n{row}\n")
    return path


def test_every_set_has_a_bound_and_leaves_no_part(serve: Callable, tmp_path: Path) -> None:
    from dataclasses import replace

    url, _ = serve(endless)
    with pytest.raises(UserError, match="larger than the expected 8,000 bytes"):
        download(DrumKits(registry=registry(tmp_path / "list.csv")), tmp_path / "drums", url, retries=0, progress=False)
    for name in ("fsdd", "sc09"):
        data = get_data_set(name)
        assert isinstance(data, ArchiveFiles) and data.archive.max_bytes < 3e9
        small = replace(data, archive=replace(data.archive, max_bytes=MOST))
        with pytest.raises(UserError, match="larger than the expected 300,000 bytes"):
            download(small, tmp_path / name, url, progress=False)
    sha256 = dict.fromkeys((file for files in PARTS.values() for file in files), "0" * 64)
    images = IdxImages.from_description(
        "tiny", {"mirrors": [], "sha256": sha256, "about": "# Tiny\n", "max_bytes": MOST}
    )
    with pytest.raises(UserError, match="larger than the expected 300,000 bytes"):
        download(images, tmp_path / "images", url, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


@pytest.mark.parametrize("name", ["drums", "fsdd", "sc09", "mnist", "fashion-mnist"])
def test_files_of_the_user_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("audiogan.data.downloads.download.MAX_FAILURES", 1)
    monkeypatch.setattr("audiogan.data.downloads.drum_kits.select_sources", lambda sources, *_: sources[:1])
    own = ["d/.partial/mine", "d/.partial/kick/mine.wav", ".d.partial/mine", ".d.partial/unpacked/mine"]
    if name not in ("fsdd", "sc09"):
        own += ["d/mine"]
    for path in own:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("precious")
    monkeypatch.chdir(tmp_path)
    assert main(["data", "get", name, "d", "--base-url", "http://127.0.0.1:9"]) == 2
    for path in own:
        assert (tmp_path / path).read_text() == "precious"


def test_lists_of_the_user_are_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, file in (
        ("drums", "manifest.csv"),
        ("drums", "LICENCES.md"),
        ("mnist", "README.md"),
        ("mnist", "train.npz"),
    ):
        out = tmp_path / file
        out.mkdir()
        (out / file).write_text("my own words")
        assert main(["data", "get", name, str(out), "--base-url", "http://127.0.0.1:9"]) == 2
        said = capsys.readouterr().err
        assert f"{file}: not written by audiogan" in said and said.count("\n") == 1
        assert [path.name for path in out.iterdir()] == [file] and (out / file).read_text() == "my own words"


def test_an_image_file_that_unpacks_to_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiogan.data.downloads.idx.MAX_UNPACKED_BYTES", 1 << 20)
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(1 << 24)))
    with pytest.raises(UserError, match="unpacks to more than"):
        read_idx(tmp_path / "x.gz")


def test_a_list_of_someone_else_is_no_finished_set(tmp_path: Path) -> None:
    for content in ("other\nvalue\n", "path\n\n", "\udcff"):
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        (out / "manifest.csv").write_bytes(content.encode("utf-8", "surrogateescape"))
        with pytest.raises(UserError, match="not empty"):
            download(get_data_set("fsdd"), out, "http://127.0.0.1:9", progress=False)
