"""Translate one sound file: any length, rate and number of channels, in bounded memory."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr

from audiogan.applying.signals import Array, Translation
from audiogan.errors import UserError
from audiogan.reading.reader import BLOCK, SoundReader, Unreadable
from audiogan.tiling import Stream

SUFFIXES = {
    ".wav": "WAV",
    ".wave": "WAV",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".mp3": "MP3",
}
"""Suffixes of the sounds that can be written, with libsndfile's names of the formats."""
HELD = 1 << 26
"""Bytes of a result that are held in memory; longer ones lie in a temporary file until their level is known."""
LONGEST_WAV = 3_900_000_000
"""Most bytes of samples in a WAV file; longer sounds are written as RF64, which has no limit."""


class CannotWrite(UserError):
    """The result cannot be written, for example because the disk is full."""


Progress = Callable[[int, int], object]


def translate_sound(
    translation: Translation,
    source: str | os.PathLike[str] | bytes,
    target: Path | BinaryIO,
    format: str | None,
    note: str = "",
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Translate a sound and write the result.

    The sound is resampled to the rate of the model and back. If the model has one channel, each channel of the sound is
    translated alone. The result has the rate, the length and, where the format allows it, the sample type of the
    source. A model that raises the sample rate gives its own rate if that is higher.

    Args:
        translation: the model.
        source: a path, or the content of a file.
        target: a path, or a seekable file.
        format: libsndfile's name of the format; ``None``: that of the source if it can be written, else WAV.
        note: text that is kept in the file.
        progress: called with the samples that are done, and about how many there are.
        say: called with a line if the file is damaged.

    Raises:
        OSError, Unreadable: the source cannot be read.
        UserError: the sound does not fit the model, or the result is not finite.
    """
    model_rate, made_rate = translation.source.modality.sample_rate, translation.generator.modality.sample_rate
    folder = str(target.parent) if isinstance(target, Path) else None
    with SoundReader(source) as reader, tempfile.SpooledTemporaryFile(max_size=HELD, dir=folder) as spool:
        groups, repeat = _groups(reader.channels, translation.channels)
        rate, frames = reader.sample_rate, _Counter()
        blocks = _blocks(reader, rate, model_rate, frames)
        about = max(1, reader.frames) if reader.frames < 1 << 62 else 1
        wide = (np.repeat(block, repeat, axis=0) for block in blocks) if repeat > 1 else blocks
        peak, channels, length = 0.0, 0, 0
        stream = Stream(wide)
        stream.reach(1)
        if stream.length == 0:
            empty = "it holds too few samples" if frames.count else "it holds no samples"
            raise Unreadable(reader.why_broken if reader.damaged else empty)
        for part in translation.run(stream, groups):
            peak, channels = max(peak, float(np.abs(part).max(initial=0.0))), len(part)
            length += part.shape[1]
            _hold(spool, part)
            done = round(length / translation.factor(0) * rate / model_rate)
            progress(min(done, about), about)
        if reader.broken or reader.cut or reader.hole:
            say(f"damaged after {frames.count / rate:.2f} s; translated up to there")
        out_rate = max(rate, made_rate) if made_rate > model_rate else rate
        total = round(frames.count * out_rate / rate)
        spool.seek(0)
        gain = _gain(translation.generator.modality, peak)
        chosen = _format(reader, format, total * channels)
        result = _resampled(_read(spool, channels, gain), channels, made_rate, out_rate)
        _write(target, _exactly(result, total, channels), out_rate, channels, chosen, note)


class _Counter:
    """Frames of a file that were read."""

    count = 0


def _groups(file: int, model: int) -> tuple[int, int]:
    """Return to how many groups of channels the model is applied, and how often a mono file is repeated before."""
    if file == 1:
        return 1, model
    if file % model:
        raise UserError(f"it has {file} channels; the model takes {model}")
    return file // model, 1


def _blocks(reader: SoundReader, rate: int, wanted: int, counter: _Counter | None = None) -> Iterator[Array]:
    """Blocks ``[C, n]`` of a file at a sample rate."""

    def read() -> Iterator[Array]:
        while len(block := reader.read(BLOCK)):
            if counter is not None:
                counter.count += len(block)
            if not np.isfinite(block).all():
                raise UserError("it holds NaN or infinite samples")
            yield np.ascontiguousarray(block, np.float32)

    for block in _resampled(read(), reader.channels, rate, wanted):
        yield np.ascontiguousarray(block.T)


def _resampled(blocks: Iterable[Array], channels: int, rate: int, wanted: int) -> Iterator[Array]:
    """Resample blocks ``[n, C]`` as one signal."""
    if rate == wanted:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, wanted, channels, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block).reshape(-1, channels)
    yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True).reshape(-1, channels)


def _gain(modality: Any, peak: float) -> np.float32:
    """Return the factor by which the modality scales a sound with this peak."""
    if not peak:
        return np.float32(1)
    return np.float32(modality.finish(np.full((1, 1, 1), peak, np.float32))[0, 0, 0] / np.float32(peak))


def _hold(spool: Any, part: Array) -> None:
    try:
        spool.write(np.ascontiguousarray(part.T, np.float32).data)
    except OSError as error:
        raise CannotWrite(f"cannot be written ({error.strerror or error})") from error


def _read(spool: Any, channels: int, gain: np.float32) -> Iterator[Array]:
    while content := spool.read(4 * channels * BLOCK):
        yield np.frombuffer(content, np.float32).reshape(-1, channels) * gain


def _exactly(blocks: Iterable[Array], total: int, channels: int) -> Iterator[Array]:
    """Cut or fill with zeros to ``total`` frames: resampling to and fro rounds the length."""
    left = total
    for block in blocks:
        yield block[:left]
        left -= len(block[:left])
    if left:
        yield np.zeros((left, channels), np.float32)


def _format(reader: SoundReader, wanted: str | None, samples: int) -> tuple[str, str]:
    """Return libsndfile's names of the format and the sample type of a result."""
    format = wanted or (reader.format if reader.format in SUFFIXES.values() else "WAV")
    subtype = reader.subtype
    if not soundfile.check_format(format, subtype):
        deep = subtype in ("FLOAT", "DOUBLE", "PCM_32") and soundfile.check_format(format, "PCM_24")
        subtype = "PCM_24" if deep else soundfile.default_subtype(format)
    if format == "WAV" and samples * (8 if subtype == "DOUBLE" else 4) > LONGEST_WAV:
        format = "RF64"
    return format, subtype


def _write(
    target: Path | BinaryIO, blocks: Iterable[Array], rate: int, channels: int, format: tuple[str, str], note: str
) -> None:
    try:
        with soundfile.SoundFile(target, "w", rate, channels, format[1], format=format[0]) as file:
            if note and format[0] != "RF64":
                file.comment = note
            for block in blocks:
                file.write(np.clip(block, -1.0, 1.0))
    except soundfile.SoundFileError as error:  # of a full disk, libsndfile says only "System error"
        reason = getattr(error, "error_string", None) or str(error)
        raise CannotWrite(f"cannot be written ({reason.strip().rstrip('.')}; is the disk full?)") from error


def read_sound_note(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the note in a sound that `translate_sound` wrote, parsed as JSON; empty for other files."""
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            found = json.loads(file.comment or "{}")
    except (OSError, ValueError, RuntimeError):
        return {}
    return found if isinstance(found, dict) else {}
