"""Translation of sounds from standard input to standard output, block by block."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from audiogan.errors import UserError
from audiogan.modalities.reading.containers import is_placeholder_size
from audiogan.modalities.reading.reader import RATES
from audiogan.modalities.reading.sound import Wave, resample_blocks
from audiogan.model.translation.signals import Translation, fit_length

READ_BYTES = 4096
"""Maximum number of bytes that are read at a time: 0.13 s of mono sound at 16 kHz and 16 bits."""
UNKNOWN_SIZE = 0xFFFFFFFF
"""Value of the size fields in the header of a WAV stream of unknown length."""
MAX_CHANNELS = 64
MAX_CHUNK_BYTES = 1 << 20
"""Maximum size, in bytes, of each chunk that precedes the samples in a WAV stream."""
SAMPLE_FORMATS = {(1, 8): "u1", (1, 16): "i2", (1, 24): "i3", (1, 32): "i4", (3, 32): "f4", (3, 64): "f8"}
"""Names of sample formats (see `PipeFormat.kind`), by format tag and bits per sample of a WAV file."""


@dataclass(frozen=True)
class PipeFormat:
    """Format of the samples in a pipe.

    Attributes:
        sample_rate: sample rate in Hz.
        channels: number of channels.
        kind: sample format: u1 (unsigned integer), i2, i3, i4 (signed integers) or f4, f8 (floating point). The digit
            is the number of bytes per sample.
        size: size of the samples in bytes. None if the samples end with the stream.
        header: whether the stream is a WAV file. Otherwise, it consists of samples alone.
    """

    sample_rate: int
    channels: int
    kind: str = "i2"
    size: int | None = None
    header: bool = False

    def __post_init__(self) -> None:
        if not RATES[0] <= self.sample_rate <= RATES[1] or not 1 <= self.channels <= MAX_CHANNELS:
            raise UserError(
                f"{self.sample_rate:,} Hz and {self.channels:,} channels; the sample rate must be from {RATES[0]:,} to "
                f"{RATES[1]:,} Hz, with 1 to {MAX_CHANNELS} channels"
            )

    @property
    def frame_bytes(self) -> int:
        """Size of one frame (one sample of each channel), in bytes."""
        return int(self.kind[1]) * self.channels

    def decode(self, content: bytes) -> Wave:
        """Return float32 samples ``[n, channels]``."""
        if self.kind == "i3":
            octets = np.frombuffer(content, np.uint8).reshape(-1, 3).astype(np.int32)
            x = ((octets[:, 2] << 24 | octets[:, 1] << 16 | octets[:, 0] << 8) >> 8) / np.float32(1 << 23)
        elif self.kind[0] == "f":
            x = np.frombuffer(content, f"<{self.kind}")
        else:
            x = np.frombuffer(content, f"<{self.kind}").astype(np.float64)
            half = 2.0 ** (8 * int(self.kind[1]) - 1)
            x = (x - half if self.kind == "u1" else x) / half
        return np.asarray(x, np.float32).reshape(-1, self.channels)

    def encode(self, x: Wave) -> bytes:
        """Return floating-point samples ``[n, channels]`` as bytes in this format. For integer formats, values outside
        -1 ... 1 are clipped."""
        if self.kind[0] == "f":
            return x.astype(f"<{self.kind}").tobytes()
        half = 2 ** (8 * int(self.kind[1]) - 1)
        levels = np.clip(np.rint(x.astype(np.float64) * half), -half, half - 1).astype(np.int64)
        if self.kind == "u1":
            return (levels + 128).astype(np.uint8).tobytes()
        if self.kind == "i3":
            return levels.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
        return levels.astype(f"<{self.kind}").tobytes()

    def wav_header(self) -> bytes:
        """Return the beginning of a WAV file up to the first sample."""
        bits = 8 * int(self.kind[1])
        layout = (3 if self.kind[0] == "f" else 1, self.channels, self.sample_rate)
        fmt = struct.pack("<HHIIHH", *layout, self.sample_rate * self.frame_bytes, self.frame_bytes, bits)
        size = UNKNOWN_SIZE if self.size is None else self.size
        total = min(UNKNOWN_SIZE, size + 20 + len(fmt) + 8 if size < UNKNOWN_SIZE - 100 else UNKNOWN_SIZE)
        return (
            struct.pack("<4sI4s4sI", b"RIFF", total, b"WAVE", b"fmt ", len(fmt))
            + fmt
            + struct.pack("<4sI", b"data", size)
        )


def parse_raw(text: str) -> PipeFormat:
    """Return the format of samples without a header from text such as ``16000`` or ``48000,2``: rate and channels.

    Examples:
        >>> parse_raw("48000,2").frame_bytes
        4
    """
    numbers = text.split(",")
    if not 1 <= len(numbers) <= 2 or not all(n.strip().isascii() and n.strip().isdigit() for n in numbers):
        raise UserError(f"--raw {text}: give the sample rate in Hz, or RATE,CHANNELS, such as 48000,2")
    return PipeFormat(int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else 1)


def read_wav_header(source: BinaryIO) -> tuple[PipeFormat | None, bytes]:
    """Read the beginning of a WAV file up to its first sample.

    Returns:
        The format, and all bytes that were read. The format is None if the stream is another kind of file, or has a
        sample format that cannot be processed in blocks.

    Raises:
        UserError: the sample rate or the number of channels is out of range.
    """
    content = source.read(12)
    layout: tuple[int, int, int, int] | None = None
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None, content
    while True:
        start = source.read(8)
        content += start
        if len(start) < 8:
            return None, content
        name, size = struct.unpack("<4sI", start)
        if name == b"data":
            break
        if size > MAX_CHUNK_BYTES:
            return None, content
        body = source.read(size + size % 2)
        content += body
        if name == b"fmt " and len(body) >= 16:
            tag, channels, rate = struct.unpack_from("<HHI", body)
            bits = struct.unpack_from("<H", body, 14)[0]
            if tag == 0xFFFE and len(body) >= 26:  # The extensible format has the tag in its extension.
                tag = struct.unpack_from("<H", body, 24)[0]
            layout = tag, channels, rate, bits
    if layout is None or (layout[0], layout[3]) not in SAMPLE_FORMATS:
        return None, content
    kind = SAMPLE_FORMATS[layout[0], layout[3]]
    known = None if size == 0 or is_placeholder_size(size) else size
    return PipeFormat(layout[2], layout[1], kind, known, header=True), content


def translate_pipe(
    translation: Translation, source: BinaryIO, target: BinaryIO, format: PipeFormat, echo: Callable[[str], None]
) -> None:
    """Translate samples from one pipe to another in blocks. Each block of the result is written as soon as it is
    computed.

    The result has the format, the number of channels and the length of the source. Each channel is translated
    separately. The result is delayed by the network and, if the sample rate is not that of the model, by the
    resampling.

    Args:
        translation: model whose network processes streams, see `Translation.streamed`.
        source: stream at the position of the first sample.
        target: stream of the result.
        format: format of both streams.
        echo: function that prints a line.

    Raises:
        UserError: there is no sample, or a sample is NaN or infinite. Blocks that were written before stay in the
            output.
    """
    model_rate, frames = translation.source.modality.sample_rate, 0
    read_piece = getattr(source, "read1", source.read)

    def read() -> Iterator[Wave]:
        nonlocal frames
        left, rest = format.size, b""
        while left is None or left > 0:
            piece = read_piece(READ_BYTES if left is None else min(READ_BYTES, left))
            if not piece:
                break
            left = None if left is None else left - len(piece)
            rest += piece
            whole = len(rest) // format.frame_bytes * format.frame_bytes
            block, rest = format.decode(rest[:whole]), rest[whole:]
            if not np.isfinite(block).all():
                raise UserError(f"standard input: NaN or infinite samples after {frames / format.sample_rate:.2f} s")
            frames += len(block)
            yield block
        if not frames:
            raise UserError("standard input: no samples in it")
        if left or rest:
            echo(f"standard input: cut off after {frames / format.sample_rate:.2f} s; translated up to there")

    parts = (block.T for block in resample_blocks(read(), format.channels, format.sample_rate, model_rate))
    made = (part.T for part in translation.run(parts, channel_groups=format.channels))
    header = format.wav_header() if format.header else b""
    result = resample_blocks(made, format.channels, model_rate, format.sample_rate)
    for block in fit_length(result, lambda: frames):
        target.write(header + format.encode(block.T))
        target.flush()
        header = b""
