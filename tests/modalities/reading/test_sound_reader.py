"""Tests of sound files with faulty headers, of truncated files, and of messages of the MP3 decoder."""

from __future__ import annotations

import io
import os
import struct
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiogan.data.sounds.decode import Decoded, DecodeSettings, decode
from audiogan.data.verdicts import FLAGS
from audiogan.modalities.reading import SoundReader, Unreadable
from audiogan.modalities.reading.quiet import suppress_mpg123_messages

RATE = 16_000


def hit(seconds: float = 0.5) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.6 * np.random.default_rng(0).uniform(-1, 1, len(t)) * np.exp(-3 * t)).astype(np.float32)


def content(seconds: float = 0.5, **how: str) -> bytes:
    file = io.BytesIO()
    sf.write(file, hit(seconds), 48_000 if how.get("subtype") == "OPUS" else RATE, **{"format": "WAV", **how})
    return file.getvalue()


def judged(path: Path, text: bytes, name: str = "a.wav") -> Decoded:
    (path / name).write_bytes(text)
    found = decode(path / name, DecodeSettings())
    assert set(found.flags) <= set(FLAGS)
    return found


def with_size(text: bytes, size: int) -> bytes:
    """Return a WAV file with another size of its data chunk."""
    at = text.index(b"data")
    return text[: at + 4] + struct.pack("<I", size) + text[at + 8 :]


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_a_recording_that_was_interrupted_is_read_to_its_end(tmp_path: Path, subtype: str) -> None:
    whole = content(subtype=subtype)
    expected = judged(tmp_path, whole)
    found = judged(tmp_path, with_size(whole[: whole.index(b"data") + 8 + 16_000], 0))
    assert found.reason == "usable" and found.flags == ("unfinished",) and found.seconds > 0.1
    a, b = next(iter(expected.clips)), next(iter(found.clips))
    assert np.array_equal(a[:, :1900], b[:, :1900])
    riff_size_too = with_size(whole, 0)
    assert judged(tmp_path, riff_size_too[:4] + bytes(4) + riff_size_too[8:]).flags == ("unfinished",)


def test_other_formats_without_a_length(tmp_path: Path) -> None:
    au, caf = content(format="AU"), content(format="CAF")
    at = caf.index(b"data") + 4
    rf64 = content(format="RF64")
    sizes = rf64.index(b"ds64") + 8
    rifx = struct.pack(">4sI4s4sIHHIIHH4sI", b"RIFX", 0, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", 0)
    for name, text in {
        "a.au": au[:8] + bytes(4) + au[12:],
        "a.caf": caf[:at] + bytes(8) + caf[at + 8 :],
        "b.wav": rf64[:sizes] + bytes(24) + rf64[sizes + 24 :],
        "c.wav": rifx + (hit() * 32767).astype(">i2").tobytes(),
    }.items():
        found = judged(tmp_path, text, name)
        assert (found.reason, found.flags, found.seconds) == ("usable", ("unfinished",), 0.5), name
    unknown = judged(tmp_path, caf[:at] + b"\xff" * 8 + caf[at + 8 :], "a.caf")  # The format allows an unknown size.
    assert (unknown.reason, unknown.flags, unknown.seconds) == ("usable", (), 0.5)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFF000, 0x7FFFFF00, 0x80000000])
def test_a_piped_file_is_whole(tmp_path: Path, size: int) -> None:
    expected = judged(tmp_path, content())
    found = judged(tmp_path, with_size(content(), size))
    assert (found.reason, found.flags, found.detail) == ("usable", (), "")
    assert found.digest == expected.digest


def test_an_empty_file_has_no_samples(tmp_path: Path) -> None:
    empty = with_size(content()[:44], 0)
    assert judged(tmp_path, empty).detail == "no samples"
    assert judged(tmp_path, empty + b"LIST" + struct.pack("<I", 4) + b"INFO").detail == "no samples"


@pytest.mark.parametrize(
    "how",
    [
        {"format": "WAV"},
        {"format": "AIFF"},
        {"format": "AU"},
        {"format": "CAF"},
        {"format": "W64"},
        {"format": "RF64"},
        {"format": "FLAC"},
        {"format": "MP3"},
        {"format": "OGG"},
        {"format": "OGG", "subtype": "OPUS"},
    ],
)
@pytest.mark.parametrize("seconds", [0.5, 5.0])
def test_a_file_that_is_cut_off_is_used_as_far_as_it_goes(
    tmp_path: Path, how: dict[str, str], seconds: float, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = content(seconds, **how)
    assert not judged(tmp_path, whole).flags
    found = judged(tmp_path, whole[: round(0.9 * len(whole))])
    assert found.reason == "usable" and found.flags == ("truncated",) and found.detail
    assert 0.2 * seconds < found.seconds < 0.98 * seconds
    assert np.isfinite(next(iter(found.clips))).all()
    slices = decode(tmp_path / "a.wav", DecodeSettings(long="slice", length=2048))
    assert len(list(slices.clips)) >= 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("how", [{"format": "FLAC"}, {"format": "OGG"}, {"format": "OGG", "subtype": "OPUS"}])
def test_a_file_that_is_cut_off_too_early_says_so(tmp_path: Path, how: dict[str, str]) -> None:
    whole = content(**how)
    for length in (60, 200, 1000):
        found = judged(tmp_path, whole[:length])
        assert found.reason == "unreadable" and found.detail.startswith("cut off"), found


def test_damage_in_the_middle_costs_only_the_rest(tmp_path: Path) -> None:
    whole = bytearray(content(5.0, format="FLAC"))
    whole[len(whole) // 2 : len(whole) // 2 + 3000] = bytes(3000)
    (tmp_path / "a.flac").write_bytes(whole)
    with SoundReader(tmp_path / "a.flac") as file:
        x = file.read_seconds(10)[:, 0]
        assert file.broken and RATE < len(x) < 5 * RATE
        np.testing.assert_allclose(x, hit(5.0)[: len(x)], atol=1e-4)
        file.seek(8000)
        np.testing.assert_array_equal(file.read(100)[:, 0], x[8000:8100])
    assert judged(tmp_path, bytes(whole), "a.flac").flags == ("truncated",)


def test_words_for_headers_that_contradict_themselves(tmp_path: Path) -> None:
    w = content()
    form, data = w[12:36], w[36:]
    two = with_size(w, 8000)[: 44 + 8000] + b"data" + struct.pack("<I", 8000) + w[44 + 8000 :]
    for text, said in (
        (two, "two data chunks"),
        (w[:12] + data, "no format chunk"),
        (w[:12] + data + form, "no format chunk"),
        (w[:36], "no data chunk"),
        (w[:24] + bytes(4) + w[28:], "0 Hz"),
        (w[:22] + bytes(2) + w[24:], "0 channels"),
    ):
        found = judged(tmp_path, text)
        assert found.reason == "unreadable" and said in found.detail
    junk = w[:12] + b"JUNK" + struct.pack("<I", 27) + bytes(28) + b"LIST" + struct.pack("<I", 4) + b"INFO" + w[12:]
    for text in (junk, w + bytes(5000), w + b"\1", w[:-1]):
        assert judged(tmp_path, text).reason == "usable"


@pytest.mark.parametrize("name", ["a.au", "a.snd", "a.wav", "a.mp3"])
def test_text_is_no_sound_whatever_its_name(tmp_path: Path, name: str) -> None:
    assert judged(tmp_path, b"this is no sound\n" * 500, name).detail == "Format not recognised"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "an empty file"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom" + bytes(100), "MP4"),
        (b"\xff\xf1\x50\x80" + bytes(range(256)), "AAC"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"PK\3\4" + bytes(100), "unpack it"),
        (bytes(4096), "zeros"),
    ],
)
def test_another_kind_of_file_with_the_name_of_a_sound(tmp_path: Path, text: bytes, said: str) -> None:
    for name in ("a.wav", "a.mp3"):
        found = judged(tmp_path, text, name)
        assert found.reason == "unreadable" and said in found.detail


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_file_with_a_damaged_page(tmp_path: Path, subtype: str) -> None:
    whole = content(20.0, format="OGG", subtype=subtype)
    place = len(whole) * 3 // 4
    found = judged(tmp_path, whole[:place] + bytes(300) + whole[place + 300 :], "a.ogg")
    assert found.flags == ("truncated",) and "damaged" in found.detail
    assert judged(tmp_path, whole, "a.ogg").flags == ()


def test_an_ogg_file_with_all_pages_of_sound_damaged(tmp_path: Path) -> None:
    whole = content(1.0, format="OGG")
    text = bytearray(whole)
    for page in [at for at in range(len(whole)) if whole[at : at + 4] == b"OggS"][2:]:
        text[page + 200 : page + 220] = bytes(20)
    assert judged(tmp_path, bytes(text), "a.ogg").reason == "unreadable"
    with SoundReader(bytes(text)) as reader, pytest.raises(Unreadable, match="damaged"):
        reader.read_seconds(1.0)


def test_an_ogg_file_cut_off_anywhere_reads_the_same_by_path_and_as_bytes(tmp_path: Path) -> None:
    whole = content(4.0, format="OGG", subtype="OPUS")
    for page in (at for at in range(1000, len(whole)) if whole[at : at + 4] == b"OggS"):
        for end in (page + 10, page + 27, page + 40):  # Positions include the inside of the segment table of the page.
            assert judged(tmp_path, whole[:end], "a.opus").reason == "usable"


def test_the_mp3_decoder_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mp3 = content(format="MP3", subtype="MPEG_LAYER_III")
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 500, 0, 0) + bytes(8)
    tagged = mp3 + bytes(500) + ape + b"TAG" + bytes(125)
    damaged = bytearray(mp3)
    damaged[len(mp3) // 2 : len(mp3) // 2 + 40] = b"\xff" * 40
    for text in (tagged, bytes(damaged), mp3[: len(mp3) // 2], b"ID3\3\0\0\0\0\1\0" + bytes(128) + mp3):
        (tmp_path / "a.mp3").write_bytes(text)
        decode(tmp_path / "a.mp3", DecodeSettings())
        with SoundReader(text) as file:
            file.read_seconds(1)
    assert capfd.readouterr().err == ""


def test_other_output_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    entered = threading.Event()
    with suppress_mpg123_messages():
        print("before", file=sys.stderr, flush=True)
        os.write(2, b"Warning: Xing stream size off by more than 1%\n[src/libmpg123/parse.c:1083] warning: x\n")

        def other() -> None:
            with suppress_mpg123_messages():
                os.write(2, b"50% |####\r")
            entered.set()

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        os.write(2, b"after\n")
    assert entered.is_set()
    os.write(2, b"at the end\n")
    assert capfd.readouterr().err == "before\n50% |####\rafter\nat the end\n"


def test_the_reader_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SoundReader(tmp_path / "none.wav")
    for text in (b"", b"RIFF", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"OggS", b"fLaC", b"caff", b".snd", b"<html>"):
        with pytest.raises(Unreadable):
            SoundReader(text)
