"""Tests of signals from files and Python values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import torch
from PIL import Image as Pillow

from audiogan.errors import UserError
from audiogan.modalities import Image, Points, Sound, read_comment

RNG = np.random.default_rng
PIXELS = RNG(0).integers(0, 256, (5, 7, 3), np.uint8)
EXACT = PIXELS.transpose(2, 0, 1) / np.float32(127.5) - 1


def test_a_picture_file_of_any_size_and_kind(tmp_path: Path) -> None:
    Pillow.fromarray(PIXELS).save(tmp_path / "a.png")
    x = Image().load(tmp_path / "a.png", (3, 64, 64))
    assert x.dtype == np.float32 and np.allclose(x, EXACT, atol=1e-6) and x.shape == (3, 5, 7)
    assert Image().load(tmp_path / "a.png", (1, None, None)).shape == (1, 5, 7)
    Pillow.fromarray(PIXELS).save(tmp_path / "a.bmp")
    assert np.array_equal(Image().load(tmp_path / "a.bmp", (3, None, None)), x)
    Pillow.fromarray(PIXELS[..., 0]).save(tmp_path / "grey.webp", lossless=True)
    assert np.allclose(Image().load(tmp_path / "grey.webp", (3, None, None)), EXACT[[0, 0, 0]], atol=1e-6)
    exif = Pillow.Exif()
    exif[0x0112] = 6  # Rotated by 90 degrees.
    Pillow.fromarray(PIXELS).save(tmp_path / "turned.png", exif=exif)
    assert np.allclose(Image().load(tmp_path / "turned.png", (3, None, None)), np.rot90(EXACT, -1, (1, 2)), atol=1e-6)


def test_transparent_pixels_become_white_and_16_bits_are_scaled(tmp_path: Path) -> None:
    alpha = np.zeros((5, 7, 1), np.uint8)
    alpha[0] = 255
    Pillow.fromarray(np.concatenate([PIXELS, alpha], 2)).save(tmp_path / "a.png")
    x = Image().load(tmp_path / "a.png", (3, None, None))
    assert (x[:, 1:] == 1).all() and np.allclose(x[:, 0], EXACT[:, 0], atol=1e-6)
    Pillow.fromarray(np.array([[0, 65535, 32768]], np.uint16)).save(tmp_path / "deep.png")
    assert np.allclose(Image().load(tmp_path / "deep.png", (1, None, None)), [[[-1, 1, 0]]], atol=0.005)


def test_pictures_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not a picture")
    (tmp_path / "b.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    # The file is not passed to Ghostscript.
    (tmp_path / "c.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    Pillow.fromarray(PIXELS.repeat(40, 0)).save(tmp_path / "d.png")
    whole = (tmp_path / "d.png").read_bytes()
    (tmp_path / "d.png").write_bytes(whole[: len(whole) // 2])
    Pillow.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "e.tiff")
    for name, words in (
        ("missing.png", "no such file"),
        ("a.png", "not a known image format"),
        ("b.jpg", "HEIC cannot be read"),
        ("c.eps", "not a known image format"),
        ("d.png", "d.png: cannot be read"),
        ("e.tiff", "floating-point pixels"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            Image().load(tmp_path / name, (3, None, None))
        assert "\n" not in str(caught.value) and name in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        PIXELS,
        PIXELS.astype(np.uint16) * 257,
        PIXELS.transpose(2, 0, 1),
        torch.from_numpy(PIXELS).permute(2, 0, 1),
        torch.from_numpy(EXACT),
        EXACT.astype(np.float64),
        Pillow.fromarray(PIXELS),
        np.concatenate([PIXELS, np.full((5, 7, 1), 255, np.uint8)], 2),
    ],
)
def test_pictures_from_python(value: Any) -> None:
    x = Image().convert(value, (3, None, None))
    assert x.dtype == np.float32 and np.allclose(x, EXACT, atol=1e-6)
    grey = Image().convert(value, (1, None, None))
    assert np.allclose(grey, np.tensordot([[0.299, 0.587, 0.114]], EXACT, 1), atol=0.01)


def test_grey_and_transparent_arrays() -> None:
    grey = PIXELS[..., 0]
    for value in (grey, grey[..., None], grey[None], EXACT[0]):
        assert np.allclose(Image().convert(value, (3, None, None)), EXACT[[0, 0, 0]], atol=1e-6)
    clear = np.zeros((5, 7, 4), np.uint8)
    assert (Image().convert(clear, (3, None, None)) == 1).all()
    # If both layouts are possible, arrays have their channels last, and tensors first.
    odd = RNG(0).integers(0, 256, (3, 6, 3), np.uint8)
    assert Image().convert(odd, (3, None, None)).shape == (3, 3, 6)
    assert Image().convert(torch.from_numpy(odd), (3, None, None)).shape == (3, 6, 3)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (EXACT * 2, "from -2 to"),
        (np.full((1, 4, 4), np.nan), "NaN"),
        (np.zeros((4, 4), bool), "array of bool is not an image"),
        (np.zeros((4, 4), np.int64), "array of int64"),
        ([[0.0, 1.0]], "a list is not an image"),
        (np.zeros((2, 4, 4)), "floating-point pixels"),
        (np.zeros((9, 4, 9), np.uint8), "1 to 4 channels"),
        (np.zeros((0, 4), np.uint8), "empty"),
    ],
)
def test_what_is_no_picture(value: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Image().convert(value, (3, None, None))


def tone(rate: int, seconds: float = 1.0, hz: float = 300.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def test_a_sound_file_is_resampled_and_mixed_whole(tmp_path: Path) -> None:
    left, right = tone(44100, 4.0), tone(44100, 4.0, 500)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), 44100, "FLOAT")
    x = Sound(16000, "peak").load(tmp_path / "a.wav", (1, 1024))
    assert x.shape == (1, 64000) and x.dtype == np.float32
    wanted = soxr.resample(((left + right) / 2).astype(np.float32), 44100, 16000, quality="HQ")
    assert np.abs(x[0] - wanted).max() < 1e-4  # Resampled in blocks without seams, at the same level.
    assert np.abs(Sound(44100).load(tmp_path / "a.wav", (2, None)) - [left, right]).max() < 1e-6
    soundfile.write(tmp_path / "mono.flac", left, 44100)
    assert np.abs(Sound(44100).load(tmp_path / "mono.flac", (2, None)) - [left, left]).max() < 1e-4
    soundfile.write(tmp_path / "phase.wav", np.stack([left, -left], 1), 44100, "FLOAT")
    assert np.abs(Sound(44100).load(tmp_path / "phase.wav", (1, None)) - left).max() < 1e-6  # not silence
    soundfile.write(tmp_path / "units.wav", left * 32767, 44100, "FLOAT")
    assert np.abs(Sound(44100).load(tmp_path / "units.wav", (1, None)) - left).max() < 1e-3


def test_sounds_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"not a sound")
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan] * 500), 8000, "FLOAT")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    (tmp_path / "folder.wav").mkdir()
    for name, words in (
        ("missing.wav", "no such file"),
        ("a.wav", "not a sound file that can be read"),
        ("nan.wav", "NaN"),
        ("empty.wav", "no samples"),
        ("folder.wav", "a folder"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            Sound(8000).load(tmp_path / name, (1, None))
        assert "\n" not in str(caught.value) and name in str(caught.value)


def test_sounds_from_python() -> None:
    wave = tone(8000).astype(np.float32)
    sound = Sound(8000)
    for value in (wave, wave[None], torch.from_numpy(wave).double(), np.stack([wave, wave])):
        assert np.allclose(sound.convert(value, (1, None)), wave[None], atol=1e-6)
    whole = np.rint(wave * 32768).astype(np.int16)
    assert np.abs(sound.convert(whole, (1, None)) - wave).max() < 1e-4
    assert np.allclose(sound.convert(np.array([0, 128, 255], np.uint8), (1, None)), [[-1, 0, 127 / 128]])
    assert sound.convert(wave, (2, None)).shape == (2, 8000)
    for bad, words in (
        (wave * 32768, "scale them to -1 ... 1"),
        (np.full(9, np.inf), "infinite"),
        (np.zeros((8000, 2)), "at most 16 channels"),
        ("a.wav", "a str is not a sound"),
    ):
        with pytest.raises(UserError, match=words):
            sound.convert(bad, (1, None))


def test_points_from_files_and_python(tmp_path: Path) -> None:
    points = RNG(0).standard_normal((5, 2)).astype(np.float32)
    plane = Points()
    plane.save(tmp_path / "a.npy", points)
    np.savetxt(tmp_path / "a.csv", points, delimiter=",", header="x,y", comments="")
    np.savetxt(tmp_path / "b.csv", points[:1], delimiter=",")
    assert np.array_equal(plane.load(tmp_path / "a.npy", (2,)), points)
    assert np.allclose(plane.load(tmp_path / "a.csv", (2,)), points)
    assert np.allclose(plane.load(tmp_path / "b.csv", (2,)), points[0])
    assert np.array_equal(plane.convert(torch.tensor([3, 5]), (2,)), [3, 5])
    (tmp_path / "text.csv").write_text("x,y\n1,two\n")
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    np.save(tmp_path / "three.npy", np.zeros((5, 3)))
    (tmp_path / "short.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-8])
    for name in ("text.csv", "pickle.npy", "three.npy", "short.npy", "missing.npy"):
        with pytest.raises(UserError, match=name) as caught:
            plane.load(tmp_path / name, (2,))
        assert "\n" not in str(caught.value)


def test_comments(tmp_path: Path) -> None:
    Image().save(tmp_path / "a.png", EXACT, "a picture ü")
    Sound(8000).save(tmp_path / "a.wav", tone(8000)[None], "a sound ü")
    Sound(8000).save(tmp_path / "b.wav", tone(8000)[None])
    assert read_comment(tmp_path / "a.png") == Image.read_comment(tmp_path / "a.png") == "a picture ü"
    assert read_comment(tmp_path / "a.wav") == "a sound ü" and read_comment(tmp_path / "b.wav") == ""
    assert read_comment(tmp_path / "a.npy") == ""
    (tmp_path / "c.flac").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"c\.flac: cannot be read"):
        read_comment(tmp_path / "c.flac")
