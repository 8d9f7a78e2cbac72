"""Tests of the downloader, with a local server in the layout of GitHub's raw file addresses."""

from __future__ import annotations

import csv
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field, fields, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from audiogan.data.downloads.data_set import read_descriptions
from audiogan.data.downloads.download import download
from audiogan.data.downloads.drum_kits import DrumKits, Source, list_kits, read_registry
from audiogan.errors import UserError

CREDITS = read_descriptions()["drums"]["credits"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Server:
    root: Path
    url: str = ""
    requests: list[str] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)  # Names of files of which only half is sent.


class _Handler(SimpleHTTPRequestHandler):
    server_of: Server

    def do_GET(self) -> None:
        self.server_of.requests.append(self.path)
        name = self.path.rsplit("/", 1)[-1]
        if name not in self.server_of.cut:
            return super().do_GET()
        data = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Server]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = []

    def start(root: Path) -> Server:
        server = Server(root)
        handler = type("Handler", (_Handler,), {"server_of": server})
        http = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(root)))
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        running.append(http)
        server.url = f"http://127.0.0.1:{http.server_port}"
        return server

    yield start
    for http in running:
        http.shutdown()
        http.server_close()


def write_registry(path: Path, sources: list[Source]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow([f.name for f in fields(Source)])
        table.writerows(astuple(source) for source in sources)
    return path


@dataclass
class Site:
    """A repository of six files in two kits, with its server and its CSV list."""

    server: Server
    sources: list[Source]
    registry: Path

    def data(self, source: Source) -> Path:
        return self.server.root / source.repo / source.commit / source.path

    def get(self, out: Path, **chosen: Any) -> Path:
        drums = DrumKits(**({"registry": self.registry} | chosen))
        return download(drums, out, self.server.url, retries=0, progress=False)


@pytest.fixture
def site(tmp_path: Path, serve: Callable[[Path], Server]) -> Site:
    sources = []
    for i, (kit, licence, label, path) in enumerate(
        [
            ("tr808-fischer", "CC0-1.0", "kick", "bd8/BD 00 #1.WAV"),
            ("tr808-fischer", "CC0-1.0", "kick", "bd9/BD 00 #1.WAV"),
            ("tr808-fischer", "CC0-1.0", "snare", "sd8/SD00.WAV"),
            ("muldjordkit", "CC-BY-4.0", "snare", "samples/Snare/1-Snäre?.flac"),
            ("muldjordkit", "CC-BY-4.0", "crash", "samples/Crash/100%.flac"),
            ("muldjordkit", "CC-BY-4.0", "crash", "samples/Crash/2.flac"),
        ]
    ):
        data = bytes([i]) * (20_000 + i)
        source = Source(
            "some-one/kits.repo", COMMIT, path, len(data), hashlib.sha256(data).hexdigest(), label, licence, kit
        )
        file = tmp_path / "site" / source.repo / source.commit / source.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        sources.append(source)
    return Site(serve(tmp_path / "site"), sources, write_registry(tmp_path / "list.csv", sources))


def sounds(out: Path) -> set[str]:
    """Return all files below `out` except the two pages, so that incomplete files would be noticed."""
    pages = {"manifest.csv", "LICENCES.md"}
    return {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()} - pages


def test_files_arrive_whole_in_class_folders_with_legal_names(site: Site, tmp_path: Path) -> None:
    out = site.get(tmp_path / "drums")
    assert sounds(out) == {source.target for source in site.sources}
    for source in site.sources:
        assert (out / source.target).read_bytes() == site.data(source).read_bytes()
        assert (out / source.target).parent.name == source.label
    names = sorted(sounds(out))
    assert len(names) == 6  # Two files of one kit with the same name remain two files.
    assert all(c.isascii() and (c.isalnum() or c in "._-/") for name in names for c in name)
    assert not list(out.glob(".*"))


def test_manifest_and_credits(site: Site, tmp_path: Path) -> None:
    out = site.get(tmp_path / "drums")
    with (out / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[:5] == ["path", "label", "kit", "licence", "credit"]
    assert {row["path"] for row in rows} == sounds(out)
    for row in rows:
        assert row["label"] == row["path"].split("/")[0]
        assert row["credit"] == CREDITS[row["kit"]]
    page = (out / "LICENCES.md").read_text(encoding="utf-8")
    assert "Drum samples provided by DrumGizmo.org." in page
    assert "https://creativecommons.org/licenses/by/4.0/" in page
    assert "Michael Fischer" in page and COMMIT in page
    # The pages do not mention kits that were not downloaded.
    other = site.get(tmp_path / "other", licences=["CC0-1.0"])
    assert "DrumGizmo" not in (other / "LICENCES.md").read_text(encoding="utf-8")
    assert {name.split("/")[0] for name in sounds(other)} == {"kick", "snare"}


def test_what_is_there_and_intact_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    out = site.get(tmp_path / "drums")
    first, second, third = (out / source.target for source in site.sources[:3])
    first.write_bytes(b"x" * first.stat().st_size)  # Same size, wrong content.
    second.write_bytes(second.read_bytes()[:100])  # cut short
    third.unlink()
    (out / ".partial" / "kick").mkdir(parents=True)
    (out / ".partial" / f"{site.sources[0].target}.part").write_bytes(b"left by a killed run")
    site.server.requests.clear()
    site.get(out)
    assert len(site.server.requests) == 3
    for source in site.sources:
        assert (out / source.target).read_bytes() == site.data(source).read_bytes()
    assert sounds(out) == {source.target for source in site.sources}
    site.server.requests.clear()
    site.get(out)
    assert site.server.requests == []


def test_a_broken_download_is_named_the_rest_goes_on_and_the_same_call_resumes(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, gone, cut = site.sources[0], site.sources[2], site.sources[5]
    honest = site.data(wrong).read_bytes()
    site.data(wrong).write_bytes(honest[:-1] + b"!")
    away = site.data(gone).read_bytes()
    site.data(gone).unlink()
    site.server.cut.add("2.flac")
    out = tmp_path / "drums"
    with pytest.raises(UserError, match=r"^3 of 6 files could not be downloaded .* repeat the command") as error:
        site.get(out)
    assert "\n" not in str(error.value)
    told = capsys.readouterr().err
    assert f"{wrong.target}: the file has a wrong SHA-256" in told
    assert f"{gone.target}: the server answered 404" in told
    assert cut.target in told
    assert sounds(out) == {s.target for s in site.sources if s not in (wrong, gone, cut)}
    assert not list(out.glob(".*"))
    assert wrong.target not in (out / "manifest.csv").read_text()

    site.data(wrong).write_bytes(honest)
    site.data(gone).write_bytes(away)
    site.server.cut.clear()
    site.server.requests.clear()
    site.get(out)
    assert len(site.server.requests) == 3
    assert sounds(out) == {source.target for source in site.sources}
    assert len((out / "manifest.csv").read_text().splitlines()) == 7


def test_a_dead_network_is_given_up_before_all_files_are_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [
        Source("a/b", COMMIT, f"{i}.wav", 10, hashlib.sha256(bytes([i])).hexdigest(), "kick", "CC0-1.0", "k")
        for i in range(60)
    ]
    registry = write_registry(tmp_path / "list.csv", sources)
    with pytest.raises(UserError, match="60 of 60 files"):
        download(DrumKits(registry=registry), tmp_path / "o", "http://127.0.0.1:9", retries=0, progress=False)
    assert 12 <= len(capsys.readouterr().err.splitlines()) < 30
    assert sounds(tmp_path / "o") == set()


def test_choice_of_kits_and_licences(site: Site, tmp_path: Path) -> None:
    assert sounds(site.get(tmp_path / "a", kits=["muldjordkit"])) == {s.target for s in site.sources[3:]}
    with pytest.raises(UserError, match="no kit 'tr909'; there are: muldjordkit, tr808-fischer"):
        site.get(tmp_path / "b", kits=["tr909"])
    with pytest.raises(UserError, match=r"no licence 'GPL'; there are: CC-BY-4\.0, CC0-1\.0"):
        site.get(tmp_path / "b", licences=["GPL"])
    with pytest.raises(UserError, match="no file has these kits and licences"):
        site.get(tmp_path / "b", kits=["muldjordkit"], licences=["CC0-1.0"])
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("path", "../../etc/passwd.wav"),
        ("path", "/etc/passwd.wav"),
        ("path", "a/../b.wav"),
        ("path", "a//b.wav"),
        ("path", "a\\..\\b.wav"),
        ("path", "C:/b.wav"),
        ("path", "a/b.wav/.."),
        ("label", "../kick"),
        ("label", ""),
        ("repo", "../.."),
        ("repo", "a/b/c"),
        ("commit", "main/../.."),
        ("sha256", "beef"),
        ("bytes", "-1"),
        ("kit", "../kit"),
    ],
)
def test_a_list_with_an_unsafe_row_is_refused(site: Site, tmp_path: Path, key: str, value: str) -> None:
    bad = replace(site.sources[1], **{key: value})
    registry = write_registry(tmp_path / "bad.csv", [site.sources[0], bad])
    with pytest.raises(UserError, match=f"bad.csv, line 3: {key}"):
        site.get(tmp_path / "out", registry=registry)
    assert site.server.requests == []
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_clear_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write .*file"):
        site.get(tmp_path / "file")
    with pytest.raises(UserError, match=r"cannot read .*nowhere\.csv"):
        site.get(tmp_path / "o", registry=tmp_path / "nowhere.csv")


def test_the_packaged_list() -> None:
    sources = read_registry()
    kits = list_kits()
    assert sum(files for _, files, _, _ in kits) == len(sources) > 2000
    assert sum(size for _, _, size, _ in kits) == sum(source.bytes for source in sources)
    assert ("tr808-fischer", "CC0-1.0") in {(name, licence) for name, _, _, licence in kits}
    # This licence requires attribution.
    assert all(name in CREDITS for name, _, _, licence in kits if licence.startswith("CC-BY"))
    assert len({source.target.lower() for source in sources}) == len(sources)


def test_the_originals_as_published(shared_data: Path, serve: Callable[[Path], Server], tmp_path: Path) -> None:
    root = shared_data / "originals"
    here = [s for s in read_registry() if (root / s.repo / s.commit / s.path).is_file()]
    assert len(here) >= 30
    registry = write_registry(tmp_path / "here.csv", here)
    server = serve(root)
    out = download(DrumKits(registry=registry), tmp_path / "drums", server.url, progress=False)
    assert sounds(out) == {source.target for source in here}
    for source in here:
        assert hashlib.sha256((out / source.target).read_bytes()).hexdigest() == source.sha256
    page = (out / "LICENCES.md").read_text(encoding="utf-8")
    assert "Glen MacArthur" in page and "DrumGizmo.org" in page
