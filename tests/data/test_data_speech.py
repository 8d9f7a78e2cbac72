"""Tests of downloads of spoken digits, from a local server with small archives in the original layout."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiogan.cli import main
from audiogan.data.cache import downloads_folder
from audiogan.data.downloads import download
from audiogan.data.downloads.archive import MARKER_FILE, MAX_FILE_BYTES, ArchiveFiles
from audiogan.data.sounds.sources import open_sounds
from audiogan.errors import UserError
from audiogan.run import config
from audiogan.run.training import open_data

Files = dict[str, bytes]
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SETS = {name: ArchiveFiles.from_description(name, download.read_descriptions()[name]) for name in ("sc09", "fsdd")}


def wav(seed: int, sample_rate: int = 8000, channels: int = 1, length: int = 400) -> bytes:
    stream = io.BytesIO()
    wave = 0.5 * np.random.default_rng(seed).uniform(-1, 1, (length, channels))
    soundfile.write(stream, wave, sample_rate, format="WAV", subtype="PCM_16")
    return stream.getvalue()


def fsdd() -> Files:
    """Return the files of an archive in the layout of the Free Spoken Digit Dataset on GitHub."""
    names = [f"{digit}_{speaker}_0.wav" for digit in range(10) for speaker in ("ada", "bob")]
    top = "free-spoken-digit-dataset-abc/"
    return {top + "README.md": b"hello"} | {f"{top}recordings/{name}": wav(i) for i, name in enumerate(names)}


def commands() -> Files:
    """Return the files of an archive in the layout of Speech Commands: more words, noise, lists."""
    names = [f"./{word}/{code}_nohash_0.wav" for word in (*WORDS, "bed") for code in ("0a7c2a8d", "00f0204f")]
    files = {name: wav(i, 16000, length=5000) for i, name in enumerate(names)}
    return files | {"./_background_noise_/pink.wav": wav(99, 16000), "./testing_list.txt": names[0].encode()}


def zipped(files: Files) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tarred(files: Files, links: dict[str, str] | None = None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return stream.getvalue()


@dataclass
class Site:
    """A server of archives. Names in `cut` are sent only by half. `ranges` states whether range requests are
    supported."""

    root: Path
    url: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)
    ranges: bool = True

    def put(self, wanted: ArchiveFiles, data: bytes) -> ArchiveFiles:
        file = wanted.archive.name
        (self.root / file).write_bytes(data)
        urls = (f"{self.url}/nowhere/{file}", f"{self.url}/{file}")
        digest = hashlib.sha256(data).hexdigest() if wanted.archive.sha256 else None
        names = frozenset(re.findall(r"(?<=recordings/)\S+?\.wav", " ".join(fsdd()))) if wanted.names else frozenset()
        return replace(wanted, archive=replace(wanted.archive, urls=urls, sha256=digest), names=names)


class Handler(SimpleHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site, name = self.site, self.path.rsplit("/", 1)[-1]
        asked = self.headers.get("Range")
        site.requests.append((self.path, asked))
        if "nowhere" in self.path:
            return self.send_error(404)
        data = (site.root / name).read_bytes()
        start = int(asked[len("bytes=") : -1]) if asked and site.ranges else 0
        if start >= len(data):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[start : len(data) // 2 if name in site.cut else None])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AUDIOGAN_CACHE", str(tmp_path / "cache"))
    site = Site(tmp_path / "site")
    site.root.mkdir()
    handler = type("SiteHandler", (Handler,), {"site": site})
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(site.root)))
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    site.url = f"http://127.0.0.1:{http.server_port}"
    yield site
    http.shutdown()
    http.server_close()


def get(wanted: ArchiveFiles, out: Path) -> Path:
    return download.download(replace(wanted, name="tiny"), out, progress=False)


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_zip_becomes_folders_with_credits(site: Site, tmp_path: Path) -> None:
    files = fsdd()
    out = get(site.put(SETS["fsdd"], zipped(files)), tmp_path / "out")
    expected = [f"{word}/{i}_{speaker}_0.wav" for i, word in enumerate(WORDS) for speaker in ("ada", "bob")]
    assert tree(out) == sorted([*expected, "README.md", "manifest.csv"])
    for name, data in files.items():
        if name.endswith(".wav"):
            stem = name.rsplit("/", 1)[-1]
            assert (out / WORDS[int(stem[0])] / stem).read_bytes() == data
    with open(out / "manifest.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == sorted(expected)
    assert {row["speaker"] for row in rows} == {"ada", "bob"} and {row["label"] for row in rows} == set(WORDS)
    page = (out / "README.md").read_text()
    assert "CC BY-SA 4.0" in page and "Zohar Jackson" in page and "20 files" in page and "- seven: 2" in page
    assert site.requests[0][0].startswith("/nowhere/")  # The next URL is tried.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "site"]  # No other files remain.


def test_of_a_tar_only_digits_reach_the_disk(site: Site, tmp_path: Path) -> None:
    hostile = {f"{up}zero/0a7c2a8d_nohash_7.wav": wav(0) for up in ("../", "/", "./../", "sub/../")}
    hostile |= {"./zero/../../escaped_nohash_0.wav": wav(0), "./zero/0a7c2a8d_nohash_0.txt": b""}
    links = {"./zero/0a7c2a8d_nohash_8.wav": "/etc/passwd", "./one/0a7c2a8d_nohash_8.wav": "../../x"}
    out = get(site.put(SETS["sc09"], tarred(commands() | hostile, links)), tmp_path / "deep" / "out")
    names = [f"{word}/{code}_nohash_0.wav" for word in WORDS for code in ("0a7c2a8d", "00f0204f")]
    assert tree(out) == sorted([*names, "README.md", "manifest.csv"])
    assert not any(path.is_symlink() for path in out.rglob("*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "site"]
    assert (out / "six" / "00f0204f_nohash_0.wav").read_bytes() == commands()["./six/00f0204f_nohash_0.wav"]
    page = (out / "README.md").read_text()
    assert "CC BY 4.0" in page and "Pete Warden" in page and "arXiv:1804.03209" in page
    assert ",zero,0a7c2a8d\n" in (out / "manifest.csv").read_text()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_ended(site: Site, tmp_path: Path, ranges: bool) -> None:
    data = tarred(commands())
    wanted = site.put(SETS["sc09"], data)
    site.cut.add(wanted.archive.name)
    site.ranges = ranges
    with pytest.raises(UserError, match=r"no connection.*; repeat the command to resume") as error:
        get(wanted, tmp_path / "out")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()
    have = (tmp_path / ".out.partial" / f"{wanted.archive.name}.part").stat().st_size
    assert len(data) // 4 < have <= len(data) // 2
    site.cut.clear()
    site.requests.clear()
    assert len(tree(get(wanted, tmp_path / "out"))) == 22
    assert site.requests[-1] == (f"/{wanted.archive.name}", f"bytes={have}-")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "site"]


def test_an_archive_that_came_whole_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    wanted = site.put(SETS["sc09"], tarred(commands()))
    parts = tmp_path / ".out.partial"
    # The state after a process was killed while it unpacked the archive.
    (parts / "unpacked-0" / "zero").mkdir(parents=True)
    for junk in (MARKER_FILE, "zero/junk.wav"):
        (parts / "unpacked-0" / junk).write_bytes(b"")
    (parts / wanted.archive.name).write_bytes((site.root / wanted.archive.name).read_bytes())
    assert len(tree(get(wanted, tmp_path / "out"))) == 22 and not site.requests and not parts.exists()
    parts.mkdir()  # The state after a process was killed before it checked the last part.
    (parts / f"{wanted.archive.name}.part").write_bytes((site.root / wanted.archive.name).read_bytes())
    assert len(tree(get(wanted, tmp_path / "again" / ".." / "out2"))) == 22


def test_a_set_that_is_there_is_left_alone(site: Site, tmp_path: Path) -> None:
    wanted, out = site.put(SETS["fsdd"], zipped(fsdd())), tmp_path / "out"
    out.mkdir()  # An empty folder may be filled.
    get(wanted, out)
    site.requests.clear()
    assert get(wanted, out) == out and not site.requests
    (out / "two" / "2_bob_0.wav").unlink()
    with pytest.raises(UserError, match=rf"{out}: not empty, and not a complete tiny; remove it"):
        get(wanted, out)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file: not empty"):
        get(wanted, tmp_path / "file")
    with pytest.raises(UserError, match=r"cannot write .*file"):
        get(wanted, tmp_path / "file" / "below")


RECORDING = "free-spoken-digit-dataset-abc/recordings/"
BAD: dict[str, tuple[Files, str]] = {
    "missing": ({RECORDING + "3_ada_0.wav": b""}, r"3_ada_0\.wav"),
    "unknown": ({RECORDING + "3_eve_0.wav": wav(1)}, r"21 files; missing or unknown: 3_eve_0\.wav"),
    "rate": ({RECORDING + "3_ada_0.wav": wav(1, 16000)}, r"3_ada_0\.wav has 400 samples, 1 channels at 16000 Hz"),
    "stereo": ({RECORDING + "3_ada_0.wav": wav(1, channels=2)}, "2 channels"),
    "empty": ({RECORDING + "3_ada_0.wav": wav(1, length=0)}, "has 0 samples"),
    "no sound": ({RECORDING + "3_ada_0.wav": b"<html>"}, "cannot be decoded"),
    "large": ({RECORDING + "3_ada_0.wav": bytes(MAX_FILE_BYTES + 1)}, r"too large \(8,388,609 bytes\)"),
    "twice": ({"other/recordings/3_ada_0.wav": wav(1)}, "is repeated"),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_archive_without_checksum_must_hold_what_is_expected(site: Site, tmp_path: Path, kind: str) -> None:
    change, said = BAD[kind]
    files = fsdd() | change
    if kind == "missing":
        del files[RECORDING + "3_ada_0.wav"]
    wanted = site.put(SETS["fsdd"], zipped(files))
    with pytest.raises(UserError, match=said) as error:
        get(wanted, tmp_path / "out")
    assert "\n" not in str(error.value) and "download it again" in str(error.value) and not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("*.wav"))
    site.put(SETS["fsdd"], zipped(fsdd()))
    assert len(tree(get(wanted, tmp_path / "out"))) == 22


def test_a_damaged_archive_is_thrown_away(site: Site, tmp_path: Path) -> None:
    good = zipped(fsdd())
    middle = len(good) // 2
    broken = {
        "cut": good[:-30],
        "page": b"<html>log in to this network</html>",
        "flipped": good[:middle] + bytes(byte ^ 255 for byte in good[middle : middle + 9]) + good[middle + 9 :],
    }
    for name, data in broken.items():
        wanted = site.put(SETS["fsdd"], data)
        with pytest.raises(UserError, match=r"\.zip: not the expected archive"):
            get(wanted, tmp_path / name)
        assert not (tmp_path / name).exists() and not list(tmp_path.glob(".*.partial/*.zip"))
    wanted = site.put(SETS["sc09"], tarred(commands()))
    (site.root / wanted.archive.name).write_bytes(tarred(fsdd()))
    with pytest.raises(UserError, match="wrong SHA-256 and was deleted"):
        get(wanted, tmp_path / "out")
    for data in (b"not gzip", tarred(commands())[:-2000], tarred({"./zero/0a7c2a8d_nohash_0.wav": wav(0)})):
        with pytest.raises(UserError, match=r"\.tar\.gz: not the expected archive"):
            get(site.put(SETS["sc09"], data), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_done_is_one_clear_line(site: Site, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data set 'timit'; there are: drums, sc09, fsdd,"):
        download.get_data_set("timit")
    for url, said in ((f"{site.url}/nowhere", "the server answered 404"), ("http://127.0.0.1:9", "no connection")):
        with pytest.raises(UserError, match=rf"free-spoken-digit-dataset-1\.0\.10\.zip could not .*{said}"):
            download.download(SETS["fsdd"], tmp_path / "out", url, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_from_the_command_to_the_training_data(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"run audiogan data get sc09 or audiogan data get fsdd, or .*=FOLDER"):
        open_data(config.compose("speech"))
    with pytest.raises(UserError, match=r"data\.root=fsdd: not downloaded yet; run: audiogan data get fsdd"):
        open_data(config.compose("speech", ["data.root=fsdd"]))
    tiny = site.put(SETS["fsdd"], zipped(fsdd()))
    monkeypatch.setattr(download, "get_data_set", {"fsdd": tiny}.__getitem__)
    assert main(["data", "get", "fsdd", "--base-url", f"{site.url}/"]) == 0
    assert f"fsdd is in {downloads_folder() / 'fsdd'}" in (said := capsys.readouterr().out)
    assert said.strip().endswith("audiogan train speech data.root=fsdd")
    for overrides in ([], ["data.root=fsdd"]):
        train, held_out = open_data(config.compose("speech", [*overrides, "data.length=512", "data.holdout=0.5"]))
        assert (len(train), len(held_out)) == (10, 10) and train.class_counts == [1] * 10
        assert train.labels == sorted(WORDS) and train.shape == (1, 512)
    assert main(["data", "get", "sc09", "--kits", "x"]) == 2
    assert "--kits" in capsys.readouterr().err


def test_which_data_serves_without_a_root(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"sets": ["sc09", "fsdd"], "length": 512, "progress": False}
    get(site.put(SETS["fsdd"], zipped(fsdd())), downloads_folder() / "fsdd")
    assert str(downloads_folder() / "fsdd") in open_sounds(**options).source
    get(site.put(SETS["sc09"], tarred(commands())), downloads_folder() / "sc09")
    assert str(downloads_folder() / "sc09") in open_sounds(**options).source
    assert str(downloads_folder() / "fsdd") in open_sounds("fsdd", **options).source
    assert "drum machine" in open_sounds(length=512).source  # Digits are not used in place of drums.
    get(site.put(SETS["fsdd"], zipped(fsdd())), tmp_path / "fsdd")
    assert str(tmp_path / "fsdd") in open_sounds("fsdd", **options).source  # A folder of this name has precedence.
    with pytest.raises(UserError, match=r"data\.sets=.*choose from drums, sc09, fsdd"):
        open_sounds(sets=["timit"])


def test_the_published_sets() -> None:
    assert len(SETS["fsdd"].names) == 3000 and len(SETS["sc09"].archive.sha256 or "") == 64
    assert all(url.startswith("https://") for wanted in SETS.values() for url in wanted.archive.urls)
    assert {"0_george_0.wav", "7_yweweler_49.wav"} <= SETS["fsdd"].names
    match = re.fullmatch(SETS["fsdd"].member, "free-spoken-digit-dataset-1.0.10/recordings/7_yweweler_49.wav")
    assert match and (match["label"], match["speaker"], match["name"]) == ("7", "yweweler", "7_yweweler_49.wav")
    match = re.fullmatch(SETS["sc09"].member, "./seven/c50f55b8_nohash_19.wav")
    assert match and (match["label"], match["speaker"]) == ("seven", "c50f55b8")
    for path in ("./bed/c50f55b8_nohash_0.wav", "./seven/c50f55b8.wav", "../seven/c50f55b8_nohash_0.wav"):
        assert re.fullmatch(SETS["sc09"].member, path) is None
