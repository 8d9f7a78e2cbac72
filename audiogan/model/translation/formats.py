"""Translation of image and sound files that keeps the bit depth, transparency and sample format of the source."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from audiogan.errors import UserError
from audiogan.modalities.drawing.png import encode_16_bits
from audiogan.modalities.reading.pictures import (
    Picture,
    Pixels,
    convert_channels,
    read_picture,
    to_float,
    to_image,
    to_pixels,
)
from audiogan.modalities.reading.reader import BLOCK, SoundReader
from audiogan.modalities.reading.sound import Wave, read_blocks, resample_blocks
from audiogan.model.translation.signals import Translation

PICTURES = {".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG"}
"""File formats for images, by suffix in lower case. The values are Pillow's names."""
SOUNDS = {
    **{".wav": "WAV", ".wave": "WAV", ".flac": "FLAC", ".mp3": "MP3"},
    **{".ogg": "OGG", ".oga": "OGG", ".aif": "AIFF", ".aiff": "AIFF"},
}
"""File formats for sounds, by suffix in lower case. The values are libsndfile's names."""
MAX_PIXELS = 1 << 29
"""Maximum number of pixels of a translated image."""
MAX_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
"""Maximum width and maximum height of an image in pixels, by format."""
BAND_ROWS = 256
"""Number of image rows converted to floating point at a time, to limit memory."""
MAX_WAV_BYTES = 3_900_000_000
"""Maximum size of the samples in a WAV file, in bytes. Longer sounds are written as RF64."""

Source = str | os.PathLike[str] | bytes
Progress = Callable[[float], object]
Save = Callable[[Path, str | None], None]
"""Type of functions that write a translated signal to a path. The second argument is the format, or None for the format
of the source."""


def translate_picture(translation: Translation, source: Source, progress: Progress = lambda fraction: None) -> Picture:
    """Return the translation of an image.

    The colours are translated. Transparency is copied, and resized if the model changes the resolution. The bit depth
    of the source is kept. If a model for inpainting has no mask, the transparent pixels (opacity below one half) are
    filled, and the result is opaque.

    Args:
        translation: the model.
        source: path or content of an image file.
        progress: function called with the completed fraction of the work, 0 ... 1.

    Raises:
        OSError, Unreadable: the file cannot be read.
        UserError: the result would be too large, or is not finite.
    """
    picture = read_picture(source)
    if translation.mask and translation.mask not in translation.others and picture.alpha is not None:
        transparent = picture.alpha <= np.iinfo(picture.alpha.dtype).max // 2
        if transparent.any():
            translation, picture = translation.with_mask(transparent[None]), replace(picture, alpha=None)
    _, height, width = picture.pixels.shape
    bands = (picture.pixels[:, row : row + BAND_ROWS] for row in range(0, height, BAND_ROWS))
    values = (to_float(convert_channels(band, translation.channels)) for band in bands)
    finish, made, rows = translation.generator.modality.postprocess, [], 0
    for part in translation.run(values, (height, width)):
        down, across = translation.factors
        if down * height * across * width > MAX_PIXELS:
            size = f"{across * width:,} x {down * height:,} pixels"
            raise UserError(f"the result would have {size}; at most {MAX_PIXELS:,} are made")
        made.append(to_pixels(finish(part[None])[0], picture.pixels.dtype))
        rows += part.shape[1]
        progress(rows / (down * height))
    pixels, alpha = np.concatenate(made, axis=1), picture.alpha
    return replace(picture, pixels=pixels, alpha=None if alpha is None else _resize_alpha(alpha, *pixels.shape[1:]))


def _resize_alpha(alpha: Pixels, height: int, width: int) -> Pixels:
    """Resize an opacity channel with bicubic interpolation."""
    from PIL import Image

    if alpha.shape == (height, width):
        return alpha
    plane = Image.fromarray(alpha.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    return np.rint(np.clip(np.asarray(plane), 0, np.iinfo(alpha.dtype).max)).astype(alpha.dtype)


def encode_picture(picture: Picture, format: str) -> bytes:
    """Return an image as the content of a file.

    PNG keeps 16 bits per channel, other formats store 8. JPEG has no transparency, so the image is placed on white.
    JPEG and WebP use quality 95.

    Args:
        picture: the image.
        format: Pillow's name of the format, such as "PNG".

    Raises:
        UserError: the image is too large for the format.
    """
    height, width = picture.pixels.shape[1:]
    if max(height, width) > MAX_SIDE.get(format, 1 << 31):
        raise UserError(f"{width:,} x {height:,} pixels; {format} allows {MAX_SIDE[format]:,} a side: choose PNG")
    if format == "JPEG" or picture.alpha is None:
        layers = picture.flatten_alpha(len(picture.pixels))
    else:
        layers = np.concatenate([picture.pixels, picture.alpha[None]])
    if layers.dtype == np.uint16:
        if format == "PNG":
            return encode_16_bits(layers)
        layers = ((layers.astype(np.uint32) + 128) // 257).astype(np.uint8)
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95, "exact": True}}
    content = io.BytesIO()
    to_image(layers).save(content, format, **options.get(format, {}))
    return content.getvalue()


def translate_picture_file(
    translation: Translation, source: Source, scratch_file: BinaryIO, progress: Progress, echo: Callable[[str], None]
) -> Save:
    """Translate an image file. Return a function that writes the result, see `translate_picture`."""
    made = translate_picture(translation, source, progress)
    if made.animated:
        echo("animated; only its first frame was translated")
    known = made.format if made.format in PICTURES.values() else "PNG"
    return lambda path, format: _put(path, encode_picture(made, format or known))


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def translate_sound_file(
    translation: Translation, source: Source, scratch_file: BinaryIO, progress: Progress, echo: Callable[[str], None]
) -> Save:
    """Translate a sound file. Return a function that writes the result.

    The sound is resampled to the sample rate of the model and back. If the sound has more channels than the model, each
    group of channels is translated separately. The result keeps the sample rate, the length and, if the format allows
    it, the sample type of the source. If the model raises the sample rate or adds frequencies, the result has the
    sample rate of the model's output, or that of the source if this is higher.

    Args:
        translation: the model.
        source: path or content of a sound file.
        scratch_file: empty temporary file that stores the result until its peak is known.
        progress: function called with the completed fraction of the work, 0 ... 1.
        echo: function that prints a line. It is called if the file is damaged.

    Raises:
        OSError, Unreadable: the source cannot be read.
        UserError: the channels do not fit the model, or the result is not finite.
    """
    modality, channels = translation.generator.modality, translation.channels
    model_rate, made_rate = translation.source.modality.sample_rate, modality.sample_rate
    frames = made = wide = 0
    peak = 0.0
    with SoundReader(source) as reader:
        rate, known, subtype = reader.sample_rate, reader.format, reader.subtype
        if reader.channels > 1 and reader.channels % channels:
            raise UserError(f"it has {reader.channels} channels; the model takes {channels}")
        repeat = channels if reader.channels == 1 else 1

        def read() -> Iterator[Wave]:
            nonlocal frames
            for block in read_blocks(reader):
                frames += len(block)
                yield np.repeat(block, repeat, axis=1)

        parts = (block.T for block in resample_blocks(read(), repeat * reader.channels, rate, model_rate))
        for part in translation.run(parts, channel_groups=repeat * reader.channels // channels):
            wide, made, peak = len(part), made + part.shape[1], max(peak, float(np.abs(part).max()))
            scratch_file.write(np.ascontiguousarray(part.T, np.float32).data)
            progress(min(1.0, made / translation.factors[0] * rate / model_rate / max(1, reader.frames)))
        if reader.broken or reader.cut or reader.has_gap:
            echo(f"damaged after {frames / rate:.2f} s; translated up to there")
    out_rate = max(rate, made_rate) if made_rate > model_rate or translation.extends_bandwidth else rate
    gain = modality.postprocess(np.full((1, 1, 1), peak, np.float32))[0, 0, 0] / np.float32(peak) if peak else 1

    def levelled() -> Iterator[Wave]:
        scratch_file.seek(0)
        while content := scratch_file.read(4 * wide * BLOCK):
            yield np.frombuffer(content, np.float32).reshape(-1, wide) * gain

    def save(path: Path, format: str | None) -> None:
        left = round(frames * out_rate / rate)
        chosen = format or (known if known in SOUNDS.values() else "WAV")
        kind = subtype
        if not soundfile.check_format(chosen, kind):
            deep = soundfile.check_format(chosen, "PCM_24")
            kind = "PCM_24" if deep else soundfile.default_subtype(chosen)
        if chosen == "WAV" and left * wide * (8 if kind == "DOUBLE" else 4) > MAX_WAV_BYTES:
            chosen = "RF64"
        try:
            with soundfile.SoundFile(path, "w", out_rate, wide, kind, format=chosen) as file:
                for block in resample_blocks(levelled(), wide, made_rate, out_rate):
                    file.write(np.clip(block[:left], -1.0, 1.0))
                    left -= len(block[:left])
                file.write(np.zeros((left, wide), np.float32))  # Resampling twice may lose samples.
        except soundfile.SoundFileError as error:  # libsndfile reports a full disk as "System error"
            reason = getattr(error, "error_string", None) or str(error)
            raise UserError(f"{reason.strip().rstrip('.')}; is the disk full?") from error

    return save
