"""Writing of walks through the latent space: animations, films and sound files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiogan.errors import UserError, wrap_os_errors
from audiogan.files import atomic_write
from audiogan.latents.path import ClosedPath
from audiogan.modalities.drawing.movies import Soundtrack, gif_durations, import_av, write_gif, write_mp4
from audiogan.utils.progress import ItemProgress

FILMS, SOUNDS = (".gif", ".mp4"), (".wav", ".flac")
SUFFIXES = (*FILMS, *SOUNDS)
"""Suffixes of the files of a walk."""
MAX_FPS = {".gif": 50.0, ".mp4": 240.0}
"""Largest number of frames per second by suffix. Browsers show faster GIFs at 10 frames per second."""
MAX_PIXELS, MAX_SIDE = 1 << 24, 16384
"""Limits of the size of a frame in pixels: area, and width or height."""
PALETTE_FRAMES = 8
"""Number of frames from which the palette of a GIF is computed."""
MIN_SPACING = 0.01
"""Smallest time between the starts of two sounds, in seconds."""
FADE_SECONDS = 0.01
"""Duration of the fade at the end of a sound that the next one cuts off, in seconds."""
MAX_WAV_BYTES = (1 << 32) - 4096
"""Largest size of a WAV file, in bytes."""


@dataclass(frozen=True)
class Film:
    """Settings of an animation or film.

    Attributes:
        out: file to write.
        frames: number of frames.
        seconds: duration in seconds.
        fps: frames per second.
        columns: number of pictures side by side.
        spacing: time between the starts of two sounds in seconds. None selects the duration of a sound.
        generator_name: name of the generator network. None selects the first.
    """

    out: Path
    frames: int
    seconds: float
    fps: float
    columns: int
    spacing: float | None = None
    generator_name: str | None = None


def check_film(out: Path, seconds: float, fps: float) -> None:
    """Raise `UserError` if the frame rate is out of range, or if PyAV is missing for an MP4 file."""
    most = MAX_FPS[out.suffix.lower()]
    if not 0 < fps <= most:
        hint = "; choose an .mp4 file for more" if most == MAX_FPS[".gif"] and fps > most else ""
        raise UserError(
            f"fps={fps:g}: {out.suffix} files have more than 0 and at most {most:g} frames per second{hint}"
        )
    if seconds * fps < 1:
        raise UserError(f"seconds={seconds:g}, fps={fps:g}: this is less than one frame")
    if out.suffix.lower() == ".mp4":
        import_av()


def write_film(path: ClosedPath, film: Film, on_frame: Callable[[], None]) -> None:
    """Write frames at equal distances on a path. ``on_frame`` is called after each frame.

    Raises:
        UserError: the frames are too large, or the file cannot be written.
    """
    modality = path.generator.modality

    def draw(count: int) -> Iterator[NDArray[np.uint8]]:
        for signals in path.signals(np.arange(count) / count, film.generator_name):
            frame = modality.draw_frame(signals, film.columns)
            if frame.shape[0] * frame.shape[1] > MAX_PIXELS or max(frame.shape) > MAX_SIDE:
                size = f"{frame.shape[1]:,} x {frame.shape[0]:,} pixels"
                raise UserError(f"{film.out}: a frame of {size} is too large; choose fewer columns and rows")
            yield frame

    def frames() -> Iterator[NDArray[np.uint8]]:
        for frame in draw(film.frames):
            yield frame
            on_frame()

    if film.out.suffix.lower() == ".gif":
        samples = list(draw(min(PALETTE_FRAMES, film.frames)))
        write_gif(film.out, frames(), gif_durations(film.fps), samples)
        return
    sound = None
    if modality.sample_rate is not None:
        blocks = sound_blocks(path, *sound_count_and_interval(path, film.seconds, film.spacing), film.generator_name)
        sound = Soundtrack(blocks, modality.sample_rate, path.generator.shape[0])
    write_mp4(film.out, frames(), film.fps, sound)


def sound_count_and_interval(path: ClosedPath, seconds: float, spacing: float | None) -> tuple[int, int]:
    """Return the number of sounds of a walk, and the time between their starts in samples.

    Raises:
        UserError: ``spacing`` is out of range.
    """
    rate = path.generator.sample_rate
    if spacing is not None and not MIN_SPACING <= spacing <= seconds:
        raise UserError(f"spacing={spacing:g} must be from {MIN_SPACING:g} to {seconds:g} seconds")
    interval = path.generator.shape[-1] if spacing is None else round(spacing * rate)
    return max(1, round(seconds * rate / interval)), interval


def sound_blocks(
    path: ClosedPath, count: int, interval: int, generator_name: str | None = None
) -> Iterator[NDArray[np.float32]]:
    """Yield the sounds of a path one after the other, each as ``[C, interval]``.

    Args:
        path: path of one sound.
        count: number of sounds.
        interval: time between the starts of two sounds, in samples.
        generator_name: name of the generator network.
    """
    faded = min(interval, max(1, round(FADE_SECONDS * path.generator.sample_rate)))
    for (sound,) in path.signals(np.arange(count) / count, generator_name):
        block = np.zeros((len(sound), interval), np.float32)
        kept = sound[:, :interval]
        block[:, : kept.shape[1]] = kept
        if sound.shape[1] > interval:
            block[:, interval - faded :] *= np.linspace(1, 0, faded, dtype=np.float32)
        yield block


def write_sound(
    path: ClosedPath,
    out: Path,
    seconds: float,
    spacing: float | None,
    generator_name: str | None,
    echo: Callable[[str], None],
) -> int:
    """Write the sounds of a path to one 16-bit sound file, and return the number of sounds.

    Args:
        path: path of one sound.
        out: file to write.
        seconds: duration of the file in seconds.
        spacing: time between the starts of two sounds in seconds. None selects the duration of a sound.
        generator_name: name of the generator network. None selects the first.
        echo: function that prints a line.

    Raises:
        UserError: ``spacing`` is out of range, or the file cannot be written.
    """
    count, interval = sound_count_and_interval(path, seconds, spacing)
    channels, rate = path.generator.shape[0], path.generator.sample_rate
    if 2 * channels * count * interval > MAX_WAV_BYTES:
        raise UserError(f"seconds={seconds:g}: the file would exceed 4 GB; choose fewer")
    progress = ItemProgress(count, "sound", echo)
    try:
        with wrap_os_errors(f"{out}: cannot be written"), atomic_write(out) as temporary:
            kind = out.suffix[1:].upper()
            with soundfile.SoundFile(temporary, "w", rate, channels, "PCM_16", format=kind) as file:
                for block in sound_blocks(path, count, interval, generator_name):
                    file.write(np.clip(block, -1, 1).T)
                    progress.step()
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        hint = "; is the disk full?" if reason == "System error" else ""
        raise UserError(f"{out}: cannot be written ({reason}{hint})") from error
    finally:
        progress.close()
    return count
