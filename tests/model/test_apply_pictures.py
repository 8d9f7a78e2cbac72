"""Tests of the image formats that `audiogan apply` reads and writes."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_translator import Translator, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from audiogan.errors import UserError
from audiogan.modalities.reading.pictures import (
    Picture,
    apply_orientation,
    convert_channels,
    read_picture,
    to_float,
    to_pixels,
)
from audiogan.modalities.reading.reader import Unreadable
from audiogan.model.translation.formats import encode_picture, translate_picture
from audiogan.model.translation.signals import Translation, apply_signal

DEEP = np.uint16


def content(image: Any, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def negative(pixels: np.ndarray) -> np.ndarray:
    return np.iinfo(pixels.dtype).max - pixels


@pytest.mark.parametrize("field", [2, None])
@pytest.mark.parametrize("size", [(1, 1), (3, 500), (4001, 33), (64, 64), (65, 63)])
def test_any_size(size: tuple[int, int], field: int | None) -> None:
    pixels = noise(3, *size)
    generator = Translator((3, 64, 64), field)
    made = translate_picture(Translation(generator), encode_picture(Picture(pixels), "PNG"))
    assert (made.pixels == negative(pixels)).all()
    if field is None:
        assert set(generator.net.shapes) == {(3, 64, 64)}
    if size == (64, 64):
        assert generator.net.shapes == [(3, 64, 64)]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(format: str, orientation: int) -> None:
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:8, :16] = 255, 0, 0
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(pixels)
    made = read_picture(
        content(image, format, exif=exif, quality=100) if format != "PNG" else content(image, exif=exif)
    )
    tagged = Image.open(io.BytesIO(content(image, exif=exif)))
    from PIL import ImageOps

    upright = np.asarray(ImageOps.exif_transpose(tagged)).transpose(2, 0, 1)
    assert made.pixels.shape == upright.shape
    assert np.abs(made.pixels.astype(int) - upright).mean() < 4
    assert Image.open(io.BytesIO(encode_picture(made, "JPEG"))).getexif().get(0x0112, 1) == 1


def test_turned_leaves_unknown_orientations() -> None:
    pixels = noise(3, 4, 5)
    assert apply_orientation(pixels, 0) is pixels and apply_orientation(pixels, 99) is pixels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("opaque", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_depth_and_transparency_are_kept(dtype: Any, opaque: bool, channels: int) -> None:
    pixels = noise(channels, 130, 71, dtype=dtype)
    alpha = None if opaque else noise(130, 71, seed=1, dtype=dtype)
    made = read_picture(encode_picture(Picture(pixels, alpha), "PNG"))
    assert made.pixels.dtype == dtype and (made.pixels == pixels).all()
    assert (made.alpha is None) == opaque
    if alpha is not None:
        assert made.alpha is not None and made.alpha.dtype == dtype and (made.alpha == alpha).all()


@given(st.sampled_from([1, 2, 3, 4]), st.integers(1, 9), st.integers(1, 150), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_own_png_of_16_bits(channels: int, width: int, height: int, seed: int) -> None:
    layers = noise(channels, height, width, seed=seed, dtype=DEEP)
    colours = 3 if channels > 2 else 1
    picture = Picture(layers[:colours], layers[colours] if channels > colours else None)
    made = read_picture(encode_picture(picture, "PNG"))
    assert made.pixels.dtype == DEEP and (made.pixels == picture.pixels).all()
    if picture.alpha is not None:
        assert made.alpha is not None and (made.alpha == picture.alpha).all()


def test_png_of_16_bits_by_another_program() -> None:
    """All five PNG filters, interlacing, and a transparent colour."""
    pixels = noise(9, 11, 3, dtype=DEEP)
    rows, above, filters = [], np.zeros(66, int), [0, 1, 2, 3, 4, 3, 4, 1, 2]
    for i, kind in enumerate(filters):
        row = np.frombuffer(pixels[i].astype(">u2").tobytes(), np.uint8).astype(int)
        left, corner = np.r_[np.zeros(6, int), row[:-6]], np.r_[np.zeros(6, int), above[:-6]]
        paeth = []
        for a, b, c in zip(left, above, corner, strict=True):
            p = a + b - c
            paeth.append(min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2])
        guess = [0 * row, left, above, (left + above) // 2, np.array(paeth)][kind]
        rows.append(bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes())
        above = row

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    key = chunk(b"tRNS", pixels[4, 5].astype(">u2").tobytes())
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 11, 9, 16, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
    made = read_picture(b"\x89PNG\r\n\x1a\n" + head + key + body)
    assert (made.pixels == pixels.transpose(2, 0, 1)).all()
    assert made.alpha is not None and made.alpha[4, 5] == 0 and (made.alpha == 65535).sum() == 98


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("model", [1, 3])
def test_translation_of_all_depths(dtype: Any, channels: int, model: int) -> None:
    pixels, alpha = noise(channels, 20, 30, dtype=dtype), noise(20, 30, seed=1, dtype=dtype)
    made = translate_picture(Translation(Translator((model, 16, 16))), encode_picture(Picture(pixels, alpha), "PNG"))
    assert (made.pixels == negative(convert_channels(pixels, model))).all()
    assert made.alpha is not None and (made.alpha == alpha).all()


def test_grey_of_16_bits_that_pillow_wrote() -> None:
    grey = noise(7, 9, dtype=DEEP)
    for format in ("PNG", "TIFF"):
        assert (read_picture(content(Image.fromarray(grey), format)).pixels[0] == grey).all()


def test_palettes_and_other_colour_spaces() -> None:
    image = Image.fromarray(noise(8, 8, 3) // 64 * 64)
    palette = image.quantize(16)
    plain = read_picture(content(palette))
    assert (plain.pixels == np.asarray(palette.convert("RGB")).transpose(2, 0, 1)).all() and plain.alpha is None
    clear = read_picture(content(palette, transparency=0))
    assert clear.alpha is not None and ((clear.alpha == 0) == (np.asarray(palette) == 0)).all()
    assert len(read_picture(content(image.convert("1"))).pixels) == 1
    cmyk = read_picture(content(image.convert("CMYK"), "JPEG", quality=100))
    assert cmyk.pixels.shape == (3, 8, 8)
    assert np.abs(cmyk.pixels.astype(int) - np.asarray(image).transpose(2, 0, 1)).mean() < 30
    grey = read_picture(content(image.convert("LA")))
    assert len(grey.pixels) == 1 and grey.alpha is not None


def test_colours_behind_transparency_are_translated() -> None:
    layers = noise(4, 6, 6)
    layers[3] = 0
    made = translate_picture(Translation(Translator()), encode_picture(Picture(layers[:3], layers[3]), "PNG"))
    assert (made.pixels == negative(layers[:3])).all()


def test_grey_is_what_pillow_makes() -> None:
    pixels = noise(30, 30, 3)
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    assert (convert_channels(pixels.transpose(2, 0, 1), 1)[0] == grey).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbers_and_pixels(dtype: Any) -> None:
    every = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    values = to_float(every)
    assert values[0] == -1 and values[-1] == 1
    assert (to_pixels(values, dtype) == every).all()
    assert list(to_pixels(np.array([-3.0, 3.0]), dtype)) == [0, np.iinfo(dtype).max]


def test_formats_without_transparency_get_white() -> None:
    picture = Picture(np.zeros((3, 8, 8), np.uint8), np.zeros((8, 8), np.uint8))
    made = read_picture(encode_picture(picture, "JPEG"))
    assert made.alpha is None and made.pixels.min() > 250


def test_sides_that_a_format_does_not_allow() -> None:
    with pytest.raises(UserError, match="choose PNG"):
        encode_picture(Picture(np.zeros((1, 1, 20_000), np.uint8)), "WEBP")


@pytest.mark.parametrize("field", [3, None])
def test_higher_resolution(field: int | None) -> None:
    pixels, alpha = noise(3, 50, 30), np.full((50, 30), 200, np.uint8)
    generator = Translator((3, 16, 16), field, k=4)
    made = translate_picture(Translation(generator), encode_picture(Picture(pixels, alpha), "PNG"))
    assert made.pixels.shape == (3, 200, 120)
    assert made.alpha is not None and (made.alpha == 200).all()
    assert (made.pixels == np.repeat(np.repeat(negative(pixels), 4, 1), 4, 2)).all()


def test_hostile_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = content(Image.fromarray(noise(64, 64, 3)))
    for bad in (b"", b"hello", good[: len(good) // 2], good[:40], b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        with pytest.raises(Unreadable):
            read_picture(bad)
    deep = encode_picture(Picture(noise(3, 64, 64, dtype=DEEP)), "PNG")
    with pytest.raises(Unreadable):
        read_picture(deep[: len(deep) // 2])
    with pytest.raises(Unreadable, match="floating"):
        read_picture(content(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Unreadable, match="million pixels"):
        read_picture(good)
    with pytest.raises(OSError):
        read_picture(tmp_path / "none.png")


def test_result_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiogan.model.translation.formats.MAX_PIXELS", 100)
    with pytest.raises(UserError, match="at most 100"):
        translate_picture(Translation(Translator()), encode_picture(Picture(noise(3, 20, 20)), "PNG"))


def test_only_the_first_picture_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    made = read_picture(content(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert made.animated and tuple(made.pixels[:, 0, 0]) == (255, 0, 0)


def test_file_and_array_give_the_same(tmp_path: Path) -> None:
    pixels = noise(3, 20, 30)
    (tmp_path / "a.png").write_bytes(encode_picture(Picture(pixels), "PNG"))
    made = apply_signal(Translator(), tmp_path / "a.png")
    assert made.dtype == np.float32 and (made == apply_signal(Translator(), to_float(pixels))).all()
