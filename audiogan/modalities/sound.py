"""Sounds: waves ``[C, T]``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from audiogan.errors import UserError
from audiogan.features.embedding import LogMel
from audiogan.modalities.base import (
    Modality,
    PathLike,
    Signals,
    Titles,
    as_array,
    check_columns,
    in_range,
    preview_path,
    with_output,
)
from audiogan.modalities.reading.levels import mix
from audiogan.modalities.wav import COMMENT_BYTES, level, save_wav
from audiogan.utils.text import printable

GAP_SECONDS = 0.25
"""Silence between two sounds that are joined."""
BANDS, FLOOR_DB = 64, -60.0
"""Mel bands and darkest level of the picture for classifiers."""
PEAK = 0.95
"""Peak of sounds with ``normalize="peak"``."""
RATES, MOST_CHANNELS = (100, 1_000_000), 16
"""Sample rates in Hz and number of channels that can be saved."""
KINDS = "an array of integers or floating-point numbers, [C, T] or [T]"


@dataclass(frozen=True)
class Sound(Modality):
    """Waves at ``sample_rate`` Hz.

    Args:
        sample_rate: in Hz.
        normalize: ``peak``: generated sounds are scaled to a peak of 0.95, as their training data were. ``none`` or
            null: only sounds beyond full scale are scaled.
    """

    sample_rate: int = field()  # required; without field() the default is the class attribute of Modality
    normalize: str | None = None

    noun: ClassVar[str] = "sound"
    suffix: ClassVar[str] = ".wav"
    edge: ClassVar[float | None] = 1.0
    output_name: ClassVar[str | None] = "wave"
    animated: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.sample_rate, int) or self.sample_rate < 1:
            raise ValueError(f"sample_rate={self.sample_rate!r} must be a whole number of Hz")

    def same_kind(self, other: Modality | None) -> bool:
        """Return whether ``other`` is a sound of the same sample rate."""
        return isinstance(other, Sound) and other.sample_rate == self.sample_rate

    def check_shape(self, shape: Sequence[int]) -> None:
        low, high = RATES
        if not low <= self.sample_rate <= high or self.normalize not in (None, "none", "peak"):
            rate = f"sample_rate={self.sample_rate} must be from {low} to {high} Hz"
            raise UserError(f"{rate}, and normalize one of peak, none, null")
        if len(shape) != 2 or shape[0] > MOST_CHANNELS:
            raise UserError(f"a sound cannot have the shape {list(shape)}")

    def load(self, path: PathLike, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Read a whole sound file, resampled to `sample_rate`; see `audiogan.modalities.reading.sound.read_sound`.

        The level of the file is kept, also with ``normalize="peak"``.
        """
        from audiogan.modalities.reading.sound import read_sound

        return read_sound(path, self.sample_rate, _channels(shape))

    def convert(self, value: Any, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Convert an array or tensor ``[C, T]`` or ``[T]`` at `sample_rate`.

        Floating-point samples must lie in -1 ... 1. Integers are divided by the full scale of their type; unsigned ones
        have their zero in the middle, as in WAV files. Channels are mixed as in `load`.
        """
        channels = _channels(shape)
        x = np.atleast_2d(as_array(value, self.noun, KINDS))
        if x.ndim != 2 or len(x) > MOST_CHANNELS:
            raise UserError(f"a sound must be [C, T] with at most {MOST_CHANNELS} channels, got {list(x.shape)}")
        if x.dtype.kind in "iu":
            half = 2.0 ** (8 * x.dtype.itemsize - 1)
            x = (x - half if x.dtype.kind == "u" else x) / half
        return np.ascontiguousarray(mix(in_range(x, self.noun).T, channels).T)

    def save(self, path: PathLike, x: np.ndarray, comment: str | None = None) -> None:
        """Write one sound ``[C, T]`` as a 16-bit WAV file. A comment longer than 2,000 bytes is left out."""
        fits = comment is not None and len(comment.encode()) <= COMMENT_BYTES
        save_wav(path, x, self.sample_rate, comment=comment if fits else None)

    @staticmethod
    def read_comment(path: PathLike) -> str:
        try:
            with soundfile.SoundFile(path) as file:
                return file.comment or ""
        except (OSError, ValueError, RuntimeError) as error:  # libsndfile's errors are RuntimeErrors
            reason = getattr(error, "error_string", None) or str(error)
            raise UserError(f"{path}: cannot be read ({reason.strip().rstrip('.')})") from error

    def finish(self, x: np.ndarray) -> np.ndarray:
        """Return sounds ``[N, C, T]`` at the level at which they are played; see `normalize`."""
        return level(x, self.normalize)

    def finish_tensor(self, x: Tensor) -> Tensor:
        peaks = x.abs().amax((1, 2), keepdim=True)
        wanted = torch.full_like(peaks, PEAK) if self.normalize == "peak" else peaks.clamp_max(1.0)
        return x * torch.where(peaks > 1e-3, wanted / peaks.clamp_min(1e-3), 1.0)

    def join(self, x: np.ndarray) -> np.ndarray:
        """Return all sounds one after another, with 0.25 s of silence between them: ``[C, T]``."""
        gap = round(GAP_SECONDS * self.sample_rate)
        padded = np.pad(x, ((0, 0), (0, 0), (0, gap)))
        count, channels, length = padded.shape
        return padded.transpose(1, 0, 2).reshape(channels, count * length)[:, : count * length - gap]

    def sheet(self, path: PathLike, x: np.ndarray, titles: Titles = None, title: str | None = None) -> None:
        """Write waveform and spectrogram of each sound ``[N, C, T]`` as one PNG."""
        from audiogan.modalities.drawing.spectrograms import contact_sheet

        contact_sheet(path, x, self.sample_rate, titles, title=title)

    def compare(self, path: PathLike, columns: Signals, title: str | None = None, titles: Titles = None) -> None:
        """See `Modality.compare`. Shorter sounds are padded with silence; mono is repeated beside stereo."""
        from audiogan.modalities.drawing.spectrograms import contact_sheet

        rows = check_columns(columns, titles)
        channels, length = (max(x.shape[axis] for x in columns.values()) for axis in (1, 2))
        shown = [np.pad(_repeated(x, channels), ((0, 0), (0, 0), (0, length - x.shape[2]))) for x in columns.values()]
        waves = np.stack(shown, axis=1).reshape(rows * len(columns), channels, length)
        ends = [""] * rows if titles is None else [f" {printable(each)[:30]}" for each in titles]
        names = [f"{printable(name)[:30]}{end}" for end in ends for name in columns]
        contact_sheet(path, waves, self.sample_rate, names, columns=len(columns), title=title)

    def preview(
        self, run_dir: PathLike, step: int, x: np.ndarray, titles: Titles = None, beside: Signals | None = None
    ) -> None:
        """Write the picture and the sounds in one WAV file; see `Modality.preview` and `write_preview`."""
        write_preview(run_dir, step, x, self.sample_rate, titles, beside)

    def board(self, writer: Any, tag: str, x: np.ndarray, step: int) -> None:
        """Write the sounds, one after another, and their spectrograms to TensorBoard."""
        from audiogan.modalities.drawing.spectrograms import spectrogram_image

        joined = np.pad(x, ((0, 0), (0, 0), (0, self.sample_rate // 8))).transpose(1, 0, 2).reshape(x.shape[1], -1)
        writer.add_audio(tag, torch.from_numpy(joined[:1]), step, self.sample_rate)
        writer.add_image(tag, spectrogram_image(x, self.sample_rate), step, dataformats="HWC")

    def embedding(self, shape: Sequence[int]) -> LogMel:
        """Return the training-free extractor of sounds of ``shape`` ``(C, T)``."""
        return LogMel.for_length(self.sample_rate, shape[-1])

    def references(self, output: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Return ``l1``, ``si_sdr`` (dB; missing if all targets are silent) and ``log_spectral_distance`` (dB)."""
        from audiogan.modalities.references import log_spectral_distance, si_sdr

        found = super().references(output, target)
        if (ratio := si_sdr(output, target)) is not None:
            found["si_sdr"] = ratio
        found["log_spectral_distance"] = log_spectral_distance(output, target, self.sample_rate)
        return found

    def picture_name(self, shape: Sequence[int]) -> str | None:
        return f"melpicture-{self.sample_rate / 1000:g}k-{shape[-1] / self.sample_rate:g}s"

    @torch.no_grad()
    def picture(self, x: Tensor) -> Tensor:
        """Return the log-mel spectrogram of sounds ``[B, C, T]`` as ``[B, 1, 64, frames]``.

        0 dB (the clip's loudest point) becomes 1, -60 dB becomes -1. Channels are summed in power. The hop length is a
        64th of the sound, at least 4 ms.
        """
        n_fft = 2 * round(0.016 * self.sample_rate)
        hop = max(x.shape[-1] // 64, self.sample_rate // 250)
        flat = x.float().flatten(0, 1)
        window = torch.hann_window(n_fft, device=x.device)
        flat = F.pad(flat, (0, max(0, n_fft - flat.shape[-1])))
        power = torch.stft(flat, n_fft, hop, window=window, pad_mode="constant", return_complex=True).abs().square()
        mel = _filters(self.sample_rate, n_fft).to(x.device) @ power.unflatten(0, x.shape[:2]).sum(1)
        loudest = mel.amax((1, 2), keepdim=True).clamp_min(1e-10)
        return (10 * torch.log10(mel / loudest + 1e-10)).clamp_min(FLOOR_DB)[:, None] * (-2 / FLOOR_DB) + 1


@lru_cache(maxsize=4)
def _filters(sample_rate: int, n_fft: int) -> Tensor:
    from librosa.filters import mel

    return torch.from_numpy(mel(sr=sample_rate, n_fft=n_fft, n_mels=BANDS, fmin=20.0, norm=None))


def write_preview(
    run_dir: PathLike,
    step: int,
    waves: np.ndarray,
    sample_rate: int,
    titles: Titles = None,
    beside: Signals | None = None,
) -> None:
    """Write ``previews/step-<step>.wav`` and ``.png`` of a run: all sounds in one file, and their contact sheet.

    The sounds follow each other with 0.25 s of silence between them; the comment of the WAV file holds their places.
    Sounds with NaN are silent in the WAV file and labelled in the picture, so a failed training can be inspected.

    Args:
        run_dir: the run folder.
        step: training step.
        waves: ``[N, C, T]``, full scale ±1.
        sample_rate: in Hz.
        titles: one title per sound, such as its class; numbers from 1 are put before them.
        beside: name -> sounds that the picture shows beside ``waves``; see `Modality.preview`. Those of the same shape
            are in the WAV file too.

    Raises:
        ValueError: another shape, or another number of titles.
    """
    from audiogan.modalities.drawing.spectrograms import contact_sheet

    waves = np.asarray(waves, dtype=np.float32)
    names = [str(i + 1) for i in range(len(waves))]
    if titles is not None:
        if len(titles) != len(waves):
            raise ValueError(f"{len(titles)} titles for {len(waves)} sounds")
        names = [f"{number} {printable(title)[:30]}" for number, title in zip(names, titles, strict=True)]
    picture, title, modality = preview_path(run_dir, step), f"step {step:,}", Sound(sample_rate)
    if beside:
        modality.compare(picture, with_output(waves, beside), title, names)
    else:
        contact_sheet(picture, waves, sample_rate, names, title=title)
    if beside:  # in the order of the picture
        columns = {name: x for name, x in with_output(waves, beside).items() if np.shape(x) == waves.shape}
        names = [f"{printable(column)[:30]} {name}" for name in names for column in columns]
        waves = np.stack(list(columns.values()), axis=1).reshape(-1, *waves.shape[1:])
    whole = np.isfinite(waves).all(axis=(1, 2), keepdims=True)
    every = waves.shape[-1] + round(GAP_SECONDS * sample_rate)
    layout = {"count": len(waves), "seconds": waves.shape[-1] / sample_rate, "every": every / sample_rate}
    comment = json.dumps({**layout, "titles": names}, ensure_ascii=False)
    if len(comment.encode()) > COMMENT_BYTES:
        comment = json.dumps(layout)  # the report numbers the sounds; the picture shows their titles
    save_wav(picture.with_suffix(".wav"), modality.join(np.where(whole, waves, 0.0)), sample_rate, comment=comment)


def _channels(shape: Sequence[int | None]) -> int:
    if len(shape) != 2 or not shape[0]:
        raise UserError(f"a sound has the shape [C, T], not {list(shape)}")
    return shape[0]


def _repeated(x: np.ndarray, channels: int) -> np.ndarray:
    """Return sounds ``[N, C, T]`` with as many channels, repeated in turn."""
    return np.asarray(x, np.float32)[:, np.arange(channels) % x.shape[1]]
