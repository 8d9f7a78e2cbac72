"""Tests of scans of folders with faulty files: each file has the right reason."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiogan.data.sounds.decode import DecodeSettings, decode
from audiogan.data.sounds.scan import scan_folder
from audiogan.errors import UserError


def hit(seconds: float = 0.5, rate: int = 16_000, seed: int = 0, channels: int = 1) -> np.ndarray:
    """Return a decaying noise burst with a peak of about 0.6."""
    t = np.arange(round(seconds * rate)) / rate
    x = np.random.default_rng(seed).standard_normal((len(t), channels)) * np.exp(-t * 20)[:, None]
    return (0.6 * x / np.abs(x).max()).astype(np.float32)


def awkward(root: Path) -> dict[str, str]:
    """Fill `root` with files, and return the expected reason or flag of each path."""
    for folder in ("kick", "snare"):
        (root / folder).mkdir(parents=True)
    want = {f"{k}/good{i}.wav": "usable" for i in range(3) for k in ("kick", "snare")}
    for i, name in enumerate(want):
        sf.write(root / name, hit(seed=i), 16_000)
    formats: dict[str, dict[str, str]] = {
        f"f.{kind}": {} for kind in ("flac", "ogg", "mp3", "aiff", "au", "caf", "w64")
    }
    formats |= {"mu.WAV": {"subtype": "ULAW"}, "f24.wav": {"subtype": "PCM_24"}, "double.wav": {"subtype": "DOUBLE"}}
    formats |= {"U8.Wav": {"subtype": "PCM_U8"}, "o.opus": {"format": "OGG", "subtype": "OPUS"}}
    rates = {"mu.WAV": (8_000, 1), "f24.wav": (96_000, 2), "o.opus": (48_000, 2), "f.flac": (11_025, 6)}
    for i, (name, how) in enumerate(formats.items()):
        rate, channels = rates.get(name, (44_100, 2))
        sf.write(root / "snare" / name, hit(rate=rate, seed=100 + i, channels=channels), rate, **how)
        want[f"snare/{name}"] = "usable"
    _broken(root, want)
    _odd(root, want)
    return want


def _broken(root: Path, want: dict[str, str]) -> None:
    whole = (root / "kick/good0.wav").read_bytes()
    for name, content in {
        "kick/truncated.wav": whole[:9000],
        "kick/header_only.wav": whole[:30],
        "kick/text.wav": b"this is no sound\n" * 50,
        "kick/text.mp3": b"this is no sound\n" * 50,
        "kick/empty.wav": b"",
        "kick/phone.m4a": b"\0\0\0\x20ftypM4A ",
        "kick/truncated.flac": (root / "snare/f.flac").read_bytes()[:3000],
        "notes.txt": b"x",
        "kick/sampler.nki": b"x",
    }.items():
        (root / name).write_bytes(content)
        want[name] = "not audio" if name.endswith((".txt", ".nki")) else "unreadable"
    want["kick/truncated.wav"] = "truncated"
    os.symlink("gone.wav", root / "kick/broken.wav")
    os.symlink("itself.wav", root / "kick/itself.wav")
    os.mkfifo(root / "kick/pipe.wav")  # Opening a named pipe would block forever.
    want |= dict.fromkeys(("kick/broken.wav", "kick/itself.wav", "kick/pipe.wav"), "unreadable")


def _odd(root: Path, want: dict[str, str]) -> None:
    long = np.zeros((16_000 * 60, 1), np.float32)
    long[16_000 * 40 :] = 0.1
    long[16_000 * 40 :: 2] *= -1
    sine = np.sin(np.arange(8000) * 0.03)
    antiphase = hit(rate=16_000, channels=1) * np.array([1, -1])
    nan = np.full(8000, np.nan, np.float32)
    spike = hit(seed=5)
    spike[100] = np.inf
    for name, x, subtype, reason in [
        ("kick/nan.wav", nan, "FLOAT", "non-finite"),
        ("kick/inf.wav", spike, "FLOAT", "non-finite"),
        ("kick/zero.wav", np.zeros(8000), "PCM_16", "silent"),
        ("kick/dither.wav", np.random.default_rng(0).integers(-2, 3, 8000) / 32768, "PCM_16", "silent"),
        ("kick/offset.wav", np.full(8000, 0.5), "PCM_16", "silent"),
        ("kick/antiphase.wav", antiphase, "FLOAT", "out of phase"),
        ("kick/click.wav", hit(0.005), "PCM_16", "too short"),
        ("kick/nothing.wav", np.zeros(0), "PCM_16", "too short"),
        ("kick/minute.wav", long, "PCM_16", "usable"),
        ("kick/clipped.wav", np.clip(2 * sine, -1, 1), "PCM_16", "clipped"),
        ("kick/full_scale.wav", 0.99999 * sine, "PCM_16", "usable"),
        ("kick/loud_float.wav", 50 * hit(seed=6), "FLOAT", "usable"),
        ("kick/Trömmel 太鼓 'x', \"y\".wav", hit(seed=7), "PCM_16", "usable"),
        ("loose.wav", hit(seed=8), "PCM_16", "no label"),
    ]:
        sf.write(root / name, x, 16_000, subtype=subtype)
        want[name] = reason
    os.rename(root / "kick/good2.wav", os.fsencode(root) + b"/kick/byte\xff.wav")
    want[os.fsdecode(b"kick/byte\xff.wav")] = want.pop("kick/good2.wav")
    sf.write(root / "snare/copy.flac", sf.read(root / "kick/good0.wav")[0], 16_000)
    want["snare/copy.flac"] = "duplicate"
    for link, target in {"snare/up": "..", "kick/other": "../snare", "all": os.path.abspath(os.sep)}.items():
        os.symlink(target, root / link)
        want[link] = "folder link"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    root = tmp_path_factory.mktemp("awkward") / "sounds"
    return root, awkward(root)


def test_every_file_is_accounted_for(folder: tuple[Path, dict[str, str]]) -> None:
    root, want = folder
    scan = scan_folder(root, progress=False)
    rows = {row["path"]: row for row in scan.rows()}
    assert {path: row["flags"] or row["reason"] for path, row in rows.items()} == want
    assert scan.total == len(want) == sum(scan.counts.values())
    used = {"usable", "clipped", "truncated", "out of phase"}
    assert scan.usable == scan.clips == sum(reason in used for reason in want.values())
    assert scan.flags == {"clipped": 1, "truncated": 1, "out of phase": 1}
    assert scan.labels == ["kick", "snare"] and sum(scan.class_counts) == scan.clips
    assert {path for path, _, _ in scan.problems} == {path for path, reason in want.items() if reason != "usable"}
    assert rows["snare/copy.flac"]["detail"] == "same as kick/good0.wav"


def test_summary_and_report(folder: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    root, want = folder
    scan = scan_folder(root, progress=False)
    text = scan.summary()
    text.encode("utf-8")  # Names that cannot be decoded contain no lone surrogates, so they can be printed.
    for reason, count in Counter(want.values()).items():
        assert reason == "usable" or f"{count} {reason} (" in text
    assert len(text.splitlines()) < 16
    scan.write_csv(tmp_path / "report.csv")
    with open(tmp_path / "report.csv", encoding="utf-8", errors="surrogateescape", newline="") as f:
        assert {row["path"] for row in csv.DictReader(f)} == set(want)
    assert [p.name for p in tmp_path.iterdir()] == ["report.csv"]
    with pytest.raises(UserError, match="cannot write the report"):
        scan.write_csv(tmp_path / "report.csv" / "below.csv")


def test_mono_in_stereo_and_low_rates_are_said(tmp_path: Path) -> None:
    for i, (channels, rate) in enumerate([(1, 16_000), (1, 16_000), (2, 48_000)]):
        sf.write(tmp_path / f"{i}.wav", hit(rate=rate, seed=i, channels=channels), rate)
    assert scan_folder(tmp_path, progress=False).hints() == []
    wide = scan_folder(tmp_path, progress=False, channels=2, sample_rate=44_100)
    mono, low = wide.hints()
    assert mono.startswith("2 of 3 are mono") and "data.channels=1" in mono
    assert low.startswith("2 of 3 have a lower rate than data.sample_rate=44100")
    assert mono in wide.summary() and low in wide.summary()


def test_a_linked_folder_is_visited_once(tmp_path: Path) -> None:
    outside = tmp_path / "library"
    (outside / "deep").mkdir(parents=True)
    sf.write(outside / "deep/a.wav", hit(seed=1), 16_000)
    root = tmp_path / "root"
    (root / "z").mkdir(parents=True)
    sf.write(root / "z/b.wav", hit(seed=2), 16_000)
    # The link comes first in alphabetical order, but a sound is listed under its real path.
    os.symlink("z", root / "a")
    os.symlink(outside, root / "linked")
    os.symlink(outside / "deep", root / "linked2")
    os.symlink(outside, outside / "deep" / "loop")
    scan = scan_folder(root, links="follow", progress=False)
    assert {row["path"]: row["reason"] for row in scan.rows()} == {
        "z/b.wav": "usable",
        "linked/deep/a.wav": "usable",
        "a": "folder link",
        "linked2": "folder link",
        "linked/deep/loop": "folder link",
    }


def test_permission_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.wav", "b.wav", "locked/c.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        sf.write(tmp_path / name, hit(seed=len(name)), 16_000)
    real_open, real_scandir = open, os.scandir

    def refuse(path: object, *args: object) -> None:
        if str(path).endswith(("b.wav", "locked")):
            raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", lambda path, *a, **k: refuse(path) or real_open(path, *a, **k))
    monkeypatch.setattr(os, "scandir", lambda path: refuse(path) or real_scandir(path))
    found = {path: (reason, detail) for path, reason, detail in scan_folder(tmp_path, progress=False).problems}
    assert found == {
        "b.wav": ("unreadable", "Permission denied"),
        "locked": ("unreadable", "folder: Permission denied"),
    }


def write_all(root: Path, names: list[str]) -> None:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        sf.write(root / name, hit(0.1, seed=i), 16_000)


def test_automatic_labels(tmp_path: Path) -> None:
    write_all(tmp_path / "one", ["kit/a.wav", "kit/b.wav"])
    assert scan_folder(tmp_path / "one", progress=False).labels == []
    assert scan_folder(tmp_path / "one", labels="folders", progress=False).labels == ["kit"]
    write_all(tmp_path / "two", ["b/deep/er/1.wav", "a/2.wav", "b/3.wav"])
    (tmp_path / "two/c").mkdir()
    (tmp_path / "two/c/bad.wav").write_bytes(b"")
    two = scan_folder(tmp_path / "two", progress=False)
    assert (two.labels, two.class_counts) == (["a", "b"], [1, 2])
    assert scan_folder(tmp_path / "two", labels="none", progress=False).labels == []
    # Most sounds are outside sub-folders. Sub-folders are not used as labels, because that would exclude most of the
    # data.
    write_all(tmp_path / "loose", ["1.wav", "2.wav", "3.wav", "a/4.wav", "b/5.wav"])
    loose = scan_folder(tmp_path / "loose", progress=False)
    assert (loose.labels, loose.clips) == ([], 5)


@pytest.mark.parametrize("base", ["", "sounds/", "absolute"])
def test_labels_from_csv(tmp_path: Path, base: str) -> None:
    root = tmp_path / "sounds"
    write_all(root, ["a.wav", "sub/b.wav", "sub/c.wav", "ünlisted.wav"])
    prefix = f"{root}/" if base == "absolute" else base
    rows = f"{prefix}a.wav,low\r\n{prefix}sub/b.wav,high\r\n{prefix}gone.wav,high\r\n{prefix}sub/c.wav,\r\n"
    listing = tmp_path / "list.csv"
    listing.write_text("\ufeffsource,Path,label\r\n" + "".join(f"x,{r}\r\n" for r in rows.split()), encoding="utf-8")
    scan = scan_folder(root, labels=listing, progress=False)
    assert (scan.labels, scan.class_counts) == (["high", "low"], [1, 1])
    assert {p.removeprefix(prefix): r for p, r, _ in scan.problems} == {
        "sub/c.wav".removeprefix(prefix): "no label",
        "ünlisted.wav": "no label",
        "gone.wav": "missing",
    }


def test_an_unlisted_copy_does_not_hide_the_listed_one(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        sf.write(tmp_path / name, hit(seed=1), 16_000)
    (tmp_path / "l.csv").write_text("path,label\nb.wav,x\n")
    scan = scan_folder(tmp_path, labels="l.csv", progress=False)
    assert {row["path"]: row["reason"] for row in scan.rows()} == {
        "a.wav": "no label",
        "b.wav": "usable",
        "l.csv": "not audio",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.wav,x\n", "must name the columns path and label"),
        ("file;label\n", "no row names a file"),
        ("path,label\na.wav,x\na.wav,y\n", "line 3: a.wav has two labels"),
        (b"\xff\xfep\x00a\x00t\x00h\x00,", "damaged UTF-16 text"),
        (None, "no such CSV file"),
    ],
)
def test_bad_label_lists(tmp_path: Path, text: str | bytes | None, message: str) -> None:
    write_all(tmp_path, ["a.wav"])
    if text is not None:
        (tmp_path / "l.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message):
        scan_folder(tmp_path, labels=str(tmp_path / "l.csv"), progress=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"long": "middle"}, "data.long='middle': choose one of onset, start, slice"),
        ({"length": 0}, "data.length=0"),
        ({"length": 1.5}, "data.length=1.5"),
        ({"sample_rate": "x"}, "data.sample_rate='x'"),
        ({"channels": True}, "data.channels=True"),
    ],
)
def test_bad_settings(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        scan_folder(tmp_path, progress=False, **change)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        scan_folder(tmp_path / "absent")
    (tmp_path / "file.wav").write_bytes(b"")
    with pytest.raises(UserError, match="a file, not a folder"):
        scan_folder(tmp_path / "file.wav")


def test_a_lying_sample_rate_is_refused(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", hit(), 16_000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:28] = (2**31 - 1).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    found = decode(tmp_path / "a.wav", DecodeSettings())
    assert found.reason == "unreadable" and "2,147,483,647 Hz" in found.detail


def test_real_drums(real_drums: Path) -> None:
    scan = scan_folder(real_drums, progress=False)
    with open(real_drums / "manifest.csv", newline="") as f:
        listed = Counter(row["label"] for row in csv.DictReader(f))
    assert scan.counts == {"usable": 1964, "not audio": 1}
    assert dict(zip(scan.labels, scan.class_counts, strict=True)) == listed
    by_list = scan_folder(real_drums, labels="manifest.csv", length=1024, progress=False)
    assert (by_list.labels, by_list.class_counts) == (scan.labels, scan.class_counts)
    assert "missing" not in by_list.counts


def test_real_originals(shared_data: Path) -> None:
    root = shared_data / "originals"
    scan = scan_folder(root, progress=False, sample_rate=44_100, length=65_536, channels=2)
    files = [p for p in root.rglob("*") if p.is_file()]
    assert scan.total == len(files) == 30
    assert scan.usable == 30, scan.summary()
