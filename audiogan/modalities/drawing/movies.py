"""Writing of GIF animations and MP4 films, frame by frame."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError, wrap_os_errors
from audiogan.files import atomic_write

PathLike = str | os.PathLike[str]
Frame = NDArray[np.uint8]
"""One frame of a film: pixels ``[H, W, 3]``."""

MAX_GREYS, MAX_COLOURS = 32, 128
"""Largest number of colours of a GIF: ``MAX_GREYS`` if all frames are grey, else ``MAX_COLOURS``. Few colours make
small files."""
TRANSPARENT = 255
"""Palette index of the pixels that have not changed since the previous frame."""
LARGEST_PALETTE_SAMPLE = 1 << 20
"""Largest number of pixels from which the palette of a GIF is computed."""
CODECS = ("libx264", "h264", "mpeg4")
"""Video codecs of MP4 files, the preferred one first."""
RATE_FACTOR = "18"
"""Constant rate factor of libx264. Lower values give a better picture and larger files; 18 looks lossless."""
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
"""Sample rates of AAC, the audio codec of MP4 files, in Hz. Other sounds are resampled to 48,000 Hz."""


def gif_durations(fps: float) -> Iterator[int]:
    """Yield the duration of each frame of a GIF, in units of 0.01 s.

    A GIF stores whole hundredths of a second. Durations alternate if the frame rate requires it: 30 frames per second
    give 3, 4, 3, 3, 4 and so on.

    Args:
        fps: frames per second, at most 50. Browsers show GIFs with shorter frames at 10 frames per second.
    """
    for i in itertools.count(1):
        yield round(100 * i / fps) - round(100 * (i - 1) / fps)


def write_gif(
    path: PathLike, frames: Iterable[Frame], centiseconds: Iterable[int], palette_frames: Sequence[Frame]
) -> None:
    """Write a GIF animation that repeats forever, atomically. Only two frames are in memory at a time.

    All frames share one palette, because colours would flicker with a palette for each frame. For the same reason, the
    colours are not dithered. Each frame stores only the rectangle that differs from the previous frame.

    Args:
        path: the GIF file.
        frames: frames of equal size, at least one.
        centiseconds: duration of each frame in units of 0.01 s.
        palette_frames: frames from which the palette is computed. If they are grey, the GIF has at most 32 levels.

    Raises:
        UserError: the file cannot be written.
        ValueError: there are no frames, or their sizes differ.
    """
    from PIL import GifImagePlugin

    to_indices, colours = _quantizer(palette_frames)
    with (
        wrap_os_errors(f"{path}: cannot be written"),
        atomic_write(path) as temporary,
        open(temporary, "wb") as file,
    ):
        before: Any = None
        waiting: tuple[Any, tuple[int, int], int] | None = None  # Frame to be written next: picture, corner, duration.

        def write_waiting() -> None:
            if waiting is not None:
                picture, corner, duration = waiting
                options = {"duration": 10 * duration, "transparency": TRANSPARENT, "disposal": 1}
                file.writelines(GifImagePlugin.getdata(picture, corner, **options))

        for pixels, duration in zip(frames, centiseconds, strict=False):
            indices = to_indices(pixels)
            if before is None:
                height, width = indices.shape
                file.write(b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\xf7\0\0")
                file.write(colours.ljust(3 * 256, b"\0"))
                file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")  # Repeat forever.
            elif indices.shape != before.shape:
                raise ValueError(f"a frame of {indices.shape} after frames of {before.shape}")
            part, corner = _changed(before, indices)
            if part is None and waiting is not None:
                waiting = (*waiting[:2], waiting[2] + duration)
            else:
                write_waiting()
                waiting = (part, corner, duration)
            before = indices
        if waiting is None:
            raise ValueError(f"{path}: there are no frames")
        write_waiting()
        file.write(b";")


def _quantizer(samples: Sequence[Frame]) -> tuple[Any, bytes]:
    """Return a function from pixels to palette indices ``[H, W]``, and the colours of the palette."""
    from PIL import Image

    every = max(1, int(np.ceil((sum(x.shape[0] * x.shape[1] for x in samples) / LARGEST_PALETTE_SAMPLE) ** 0.5)))
    some = np.concatenate([x[::every, ::every].reshape(-1, 3) for x in samples])
    if (some == some[:, :1]).all():
        levels = np.unique(some[:, 0])
        if len(levels) > MAX_GREYS:
            levels = np.rint(np.linspace(levels[0], levels[-1], MAX_GREYS)).astype(np.uint8)
        middles = (levels[1:].astype(float) + levels[:-1]) / 2
        table = np.searchsorted(middles, np.arange(256)).astype(np.uint8)
        return lambda pixels: table[pixels[..., 1]], levels.repeat(3).tobytes()
    picture = Image.fromarray(some[None]).quantize(MAX_COLOURS, method=Image.Quantize.MEDIANCUT)
    colours = bytes(picture.getpalette() or b"")[: 3 * MAX_COLOURS]

    def indices(pixels: Frame) -> NDArray[np.uint8]:
        found = Image.fromarray(np.ascontiguousarray(pixels)).quantize(palette=picture, dither=Image.Dither.NONE)
        return np.minimum(np.asarray(found), len(colours) // 3 - 1).astype(np.uint8)

    return indices, colours


def _changed(before: Any, indices: NDArray[np.uint8]) -> tuple[Any, tuple[int, int]]:
    """Return the changed rectangle of a frame as a Pillow image, and its corner. The image is None without a change."""
    from PIL import Image

    if before is None:
        return Image.fromarray(indices), (0, 0)
    changed = indices != before
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    if not len(rows):
        return None, (0, 0)
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    part = np.where(changed[box], indices[box], TRANSPARENT).astype(np.uint8)
    return Image.fromarray(part), (int(columns[0]), int(rows[0]))


@dataclass(frozen=True)
class Soundtrack:
    """Sound of a film.

    Attributes:
        blocks: consecutive parts ``[C, T]`` of the sound, float32 in -1 ... 1. They are read while the film is written.
        sample_rate: sample rate in Hz.
        channels: number of channels of the blocks. A film has at most two channels; further ones are left out.
    """

    blocks: Iterable[NDArray[np.float32]]
    sample_rate: int
    channels: int


def import_av() -> Any:
    """Return the module ``av``, or raise `UserError` if PyAV is not installed."""
    try:
        import av
    except ImportError as error:
        raise UserError("MP4 files need PyAV: pip install 'audiogan[video]', or choose a .gif file") from error
    return av


def write_mp4(path: PathLike, frames: Iterable[Frame], fps: float, sound: Soundtrack | None = None) -> None:
    """Write an MP4 film (H.264, sound as AAC), atomically. Only a few frames are in memory at a time.

    Frames with an odd width or height are extended by one pixel, because the codec needs even sizes.

    Args:
        path: the MP4 file.
        frames: frames of equal size, at least one.
        fps: frames per second.
        sound: sound of the film. None writes a silent film.

    Raises:
        UserError: PyAV is not installed, or the file cannot be written.
        ValueError: there are no frames.

    Source: PyAV, https://pyav.basswood-io.com/docs/stable/ (``Container.add_stream``, ``Stream.encode``).
    """
    av = import_av()
    rate = Fraction(fps).limit_denominator(1000)
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise ValueError(f"{path}: there are no frames")
    with wrap_os_errors(f"{path}: cannot be written"), atomic_write(path) as temporary:
        try:
            # ``faststart`` moves the index to the beginning, so that browsers can play a film while they load it.
            with av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container:
                video = _video_stream(av, container, rate, first)
                audio = None if sound is None else _Audio(av, container, sound)
                for i, pixels in enumerate(itertools.chain([first], remaining)):
                    frame = av.VideoFrame.from_ndarray(_even(pixels), format="rgb24")
                    frame.pts, frame.time_base = i, 1 / rate
                    container.mux(video.encode(frame))
                    if audio is not None:
                        audio.encode_until((i + 1) / rate)
                container.mux(video.encode(None))
                if audio is not None:
                    audio.finish()
        except av.error.FFmpegError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def _video_stream(av: Any, container: Any, rate: Fraction, first: Frame) -> Any:
    video: Any = None
    for name in CODECS:
        options = {"crf": RATE_FACTOR} if name == "libx264" else {}
        try:
            video = container.add_stream(name, rate=rate, options=options)
            break
        except (ValueError, av.error.FFmpegError):  # PyAV was built without this encoder.
            continue
    if video is None:
        raise UserError(f"PyAV has none of the video encoders {', '.join(CODECS)}; choose a .gif file")
    video.height, video.width = _even(first).shape[:2]
    video.pix_fmt = "yuv420p"  # The only pixel format that all browsers and players show.
    return video


def _even(pixels: Frame) -> Frame:
    """Return a frame with even sides. The last row or column is repeated if necessary."""
    height, width = pixels.shape[:2]
    return np.ascontiguousarray(np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))


class _Audio:
    """Audio stream of a film, written in step with the frames."""

    def __init__(self, av: Any, container: Any, sound: Soundtrack) -> None:
        import soxr

        self.av, self.container, self.blocks = av, container, iter(sound.blocks)
        self.rate = sound.sample_rate if sound.sample_rate in AAC_RATES else 48000
        self.channels = min(2, sound.channels)
        self.layout = ("mono", "stereo")[self.channels - 1]
        same = self.rate == sound.sample_rate
        self.resampler = None if same else soxr.ResampleStream(sound.sample_rate, self.rate, self.channels)
        self.stream = container.add_stream("aac", rate=self.rate)
        self.stream.codec_context.layout = self.layout
        self.position = 0

    def encode_until(self, seconds: Fraction) -> None:
        """Encode blocks until the sound is as long as ``seconds``, or ends."""
        while self.position < seconds * self.rate:
            block = next(self.blocks, None)
            if block is None:
                return
            self._encode(block[: self.channels])

    def finish(self) -> None:
        for block in self.blocks:
            self._encode(block[: self.channels])
        self._encode(np.zeros((self.channels, 0), np.float32), last=True)
        self.container.mux(self.stream.encode(None))

    def _encode(self, block: NDArray[np.float32], last: bool = False) -> None:
        if self.resampler is not None:
            block = self.resampler.resample_chunk(np.ascontiguousarray(block.T, np.float32), last=last).T
            block = block.reshape(self.channels, -1)
        if not block.shape[1]:
            return
        samples = np.ascontiguousarray(np.clip(block, -1, 1), np.float32)
        frame = self.av.AudioFrame.from_ndarray(samples, format="fltp", layout=self.layout)
        frame.sample_rate, frame.pts, frame.time_base = self.rate, self.position, Fraction(1, self.rate)
        self.container.mux(self.stream.encode(frame))
        self.position += block.shape[1]
