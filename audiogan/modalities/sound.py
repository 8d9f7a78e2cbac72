"""The modality of sounds: arrays of samples ``[C, T]``."""

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
    add_output_column,
    as_array,
    check_columns,
    check_range,
    preview_path,
)
from audiogan.modalities.reading.levels import mix_channels
from audiogan.modalities.wav import COMMENT_BYTES, save_wav, scale_to_peak
from audiogan.utils.text import printable

GAP_SECONDS = 0.25
"""Duration of the silence between joined sounds, in seconds."""
BANDS, FLOOR_DB = 64, -60.0
"""Settings of the log-mel spectrograms that `Sound.to_images` returns: number of mel bands, and lowest level in dB."""
PEAK = 0.95
"""Peak of generated sounds with ``normalize="peak"``. Full scale is 1."""
RATES, MAX_CHANNELS = (100, 1_000_000), 16
"""Limits of the format of a sound: smallest and largest sample rate in Hz, and largest number of channels."""
ACCEPTED_TYPES = "an array of integers or floating-point numbers, [C, T] or [T]"


@dataclass(frozen=True)
class Sound(Modality):
    """Modality of sounds: samples ``[C, T]`` in -1 ... 1.

    Args:
        sample_rate: sample rate in Hz, 100 ... 1,000,000.
        normalize: ``peak`` scales each generated sound to a peak of 0.95. ``none`` or None scales only sounds that
            exceed full scale.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities import Sound
        >>> Sound(16000, normalize="peak").postprocess(np.full((1, 1, 4), 0.5, np.float32)).max().round(2)
        np.float32(0.95)
    """

    # ``field()`` makes the argument required. Without it, the class attribute of `Modality` would be its default.
    sample_rate: int = field()
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
        """Return whether ``other`` is a `Sound` with the same sample rate."""
        return isinstance(other, Sound) and other.sample_rate == self.sample_rate

    def check_shape(self, shape: Sequence[int]) -> None:
        low, high = RATES
        if not low <= self.sample_rate <= high or self.normalize not in (None, "none", "peak"):
            rate = f"sample_rate={self.sample_rate} must be from {low} to {high} Hz"
            raise UserError(f"{rate}, and normalize must be peak, none or null")
        if len(shape) != 2 or shape[0] > MAX_CHANNELS:
            raise UserError(f"a sound cannot have the shape {list(shape)}")

    def load(self, path: PathLike, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Read a whole sound file, resample it to `sample_rate` and mix it to ``shape[0]`` channels.

        The level is not changed, even if `normalize` is ``peak``.

        Returns:
            float32 array ``[C, T]``. The length is taken from the file.

        Raises:
            UserError: the file cannot be read.
        """
        from audiogan.modalities.reading.sound import read_sound

        return read_sound(path, self.sample_rate, _channels(shape))

    def convert(self, value: Any, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Convert samples ``[C, T]`` or ``[T]`` with the sample rate `sample_rate` to float32 ``[C, T]``.

        Floating-point samples must lie in -1 ... 1. Integers are divided by the full scale of their type. In unsigned
        types, silence is the middle of the range, as in WAV files. The sound is mixed to ``shape[0]`` channels.

        Raises:
            UserError: another type or shape, or samples out of range.
        """
        channels = _channels(shape)
        x = np.atleast_2d(as_array(value, self.noun, ACCEPTED_TYPES))
        if x.ndim != 2 or len(x) > MAX_CHANNELS:
            raise UserError(f"a sound must be [C, T] with at most {MAX_CHANNELS} channels, got {list(x.shape)}")
        if x.dtype.kind in "iu":
            half = 2.0 ** (8 * x.dtype.itemsize - 1)
            x = (x - half if x.dtype.kind == "u" else x) / half
        return np.ascontiguousarray(mix_channels(check_range(x, self.noun).T, channels).T)

    def save(self, path: PathLike, x: np.ndarray, comment: str | None = None) -> None:
        """Write one sound ``[C, T]`` as a 16-bit WAV file, atomically. Comments longer than 2,000 bytes are not
        stored."""
        fits = comment is not None and len(comment.encode()) <= COMMENT_BYTES
        save_wav(path, x, self.sample_rate, comment=comment if fits else None)

    @staticmethod
    def read_comment(path: PathLike) -> str:
        try:
            with soundfile.SoundFile(path) as file:
                return file.comment or ""
        except (OSError, ValueError, RuntimeError) as error:  # `soundfile.LibsndfileError` is a RuntimeError.
            reason = getattr(error, "error_string", None) or str(error)
            raise UserError(f"{path}: cannot be read ({reason.strip().rstrip('.')})") from error

    def postprocess(self, x: np.ndarray) -> np.ndarray:
        """Scale generated sounds ``[N, C, T]`` as `normalize` states, so that no sample exceeds full scale."""
        return scale_to_peak(x, self.normalize)

    def postprocess_tensor(self, x: Tensor) -> Tensor:
        peaks = x.abs().amax((1, 2), keepdim=True)
        wanted = torch.full_like(peaks, PEAK) if self.normalize == "peak" else peaks.clamp_max(1.0)
        return x * torch.where(peaks > 1e-3, wanted / peaks.clamp_min(1e-3), 1.0)

    def concatenate(self, x: np.ndarray) -> np.ndarray:
        """Concatenate sounds ``[N, C, T]`` with 0.25 s of silence between them, and return one sound ``[C, T]``."""
        gap = round(GAP_SECONDS * self.sample_rate)
        padded = np.pad(x, ((0, 0), (0, 0), (0, gap)))
        count, channels, length = padded.shape
        return padded.transpose(1, 0, 2).reshape(channels, count * length)[:, : count * length - gap]

    def sheet(self, path: PathLike, x: np.ndarray, titles: Titles = None, title: str | None = None) -> None:
        """Draw the waveform and the spectrogram of each sound ``[N, C, T]`` in one PNG file, written atomically."""
        from audiogan.modalities.drawing.spectrograms import contact_sheet

        contact_sheet(path, x, self.sample_rate, titles, title=title)

    def draw_columns(self, path: PathLike, columns: Signals, title: str | None = None, titles: Titles = None) -> None:
        """Draw waveforms and spectrograms in one PNG file with a column per key of ``columns``.

        `Modality.draw_columns` describes the arguments. Shorter sounds are padded with silence. If the numbers of
        channels differ, the channels of sounds with fewer channels are repeated.
        """
        from audiogan.modalities.drawing.spectrograms import contact_sheet

        rows = check_columns(columns, titles)
        channels, length = (max(x.shape[axis] for x in columns.values()) for axis in (1, 2))
        shown = [np.pad(_repeated(x, channels), ((0, 0), (0, 0), (0, length - x.shape[2]))) for x in columns.values()]
        waves = np.stack(shown, axis=1).reshape(rows * len(columns), channels, length)
        ends = [""] * rows if titles is None else [f" {printable(each)[:30]}" for each in titles]
        names = [f"{printable(name)[:30]}{end}" for end in ends for name in columns]
        contact_sheet(path, waves, self.sample_rate, names, columns=len(columns), title=title)

    def write_preview(
        self, run_dir: PathLike, step: int, x: np.ndarray, titles: Titles = None, extra_columns: Signals | None = None
    ) -> None:
        """Write the preview ``previews/step-<step>.png`` of a run, and its sounds to one WAV file.

        `Modality.write_preview` describes the arguments. The function `write_preview` of this module describes the
        files.
        """
        write_preview(run_dir, step, x, self.sample_rate, titles, extra_columns)

    def draw_frame(self, x: np.ndarray, columns: int | None = None) -> np.ndarray:
        """Return a grid of the spectrograms of sounds ``[N, C, T]`` without labels."""
        from audiogan.modalities.drawing.spectrograms import spectrogram_image

        frame = spectrogram_image(x, self.sample_rate, columns)
        return frame if len(x) > 1 else frame.repeat(2, 0).repeat(2, 1)  # Fewer details make smaller files.

    def log_tensorboard(self, writer: Any, tag: str, x: np.ndarray, step: int) -> None:
        """Write the concatenated sounds ``[N, C, T]`` and their spectrograms to TensorBoard."""
        from audiogan.modalities.drawing.spectrograms import spectrogram_image

        joined = np.pad(x, ((0, 0), (0, 0), (0, self.sample_rate // 8))).transpose(1, 0, 2).reshape(x.shape[1], -1)
        writer.add_audio(tag, torch.from_numpy(joined[:1]), step, self.sample_rate)
        writer.add_image(tag, spectrogram_image(x, self.sample_rate), step, dataformats="HWC")

    def embedding(self, shape: Sequence[int]) -> LogMel:
        """Return the log-mel feature extractor for sounds of the given shape ``(C, T)``."""
        return LogMel.for_length(self.sample_rate, shape[-1])

    def reference_metrics(self, output: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Return ``l1``, ``si_sdr`` (dB), ``lsd`` and ``stft_distance`` of outputs and targets ``[N, C, T]``.

        `audiogan.modalities.sound_references` defines the last two. ``si_sdr`` and ``stft_distance`` are missing if all
        targets are silent.
        """
        from audiogan.modalities.references import si_sdr
        from audiogan.modalities.sound_references import lsd, stft_distance

        found = super().reference_metrics(output, target)
        if (ratio := si_sdr(output, target)) is not None:
            found["si_sdr"] = ratio
        found["lsd"] = lsd(output, target, self.sample_rate)
        if (distance := stft_distance(output, target, self.sample_rate)) is not None:
            found["stft_distance"] = distance
        return found

    def restoration_metrics(self, output: np.ndarray, target: np.ndarray, source: np.ndarray) -> dict[str, float]:
        """Return metrics of bandwidth extension, if the sources ``[N, C, T]`` lack high frequencies of the targets.

        The metrics are ``lsd_above/FHz`` and ``snr_below/FHz`` for the cut-off frequency F of the sources, for example
        ``lsd_above/4000Hz``. `audiogan.modalities.sound_references.cutoff_frequency` finds it. The result is empty if
        the sources have the bandwidth of the targets.
        """
        from audiogan.modalities.sound_references import cutoff_frequency, lsd, snr_below

        cutoff = cutoff_frequency(source, target, self.sample_rate)
        if cutoff is None:
            return {}
        found = {f"lsd_above/{cutoff:g}Hz": lsd(output, target, self.sample_rate, cutoff)}
        if (ratio := snr_below(output, source, self.sample_rate, cutoff)) is not None:
            found[f"snr_below/{cutoff:g}Hz"] = ratio
        return found

    def speech_metrics(self, output: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Return PESQ, ESTOI, MCD and distances of pitch.

        `audiogan.modalities.speech_references.speech_metrics` describes them.
        """
        from audiogan.modalities.speech_references import speech_metrics

        return speech_metrics(output, target, self.sample_rate)

    def image_settings_name(self, shape: Sequence[int]) -> str | None:
        return f"melpicture-{self.sample_rate / 1000:g}k-{shape[-1] / self.sample_rate:g}s"

    @torch.no_grad()
    def to_images(self, x: Tensor) -> Tensor:
        """Return log-mel spectrograms ``[B, 1, 64, frames]`` of sounds ``[B, C, T]``.

        Levels relative to the loudest point of each sound are mapped linearly: 0 dB becomes 1, and -60 dB becomes -1.
        The power of the channels is added. The hop length is 1/64 of the sound, but at least 4 ms.
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
    extra_columns: Signals | None = None,
) -> None:
    """Write the preview of a run: ``previews/step-<step>.wav`` with all sounds, and a ``.png`` contact sheet.

    In the WAV file, 0.25 s of silence separate the sounds. The comment of the file is a JSON object with the number of
    sounds, their duration and spacing in seconds, and their titles. Sounds with NaN or infinity are silent in the WAV
    file and labelled in the picture, so that failed runs have previews, too.

    Args:
        run_dir: the run folder.
        step: training step.
        waves: sounds ``[N, C, T]``, full scale ±1.
        sample_rate: sample rate in Hz.
        titles: one title per sound, such as its class. Each title is preceded by the number of the sound, from 1.
        extra_columns: header -> sounds to draw next to ``waves``; see `Modality.write_preview`. Sounds with the same
            shape as ``waves`` are also written to the WAV file.

    Raises:
        ValueError: ``waves`` has another shape, or the number of titles differs from the number of sounds.
    """
    from audiogan.modalities.drawing.spectrograms import contact_sheet

    waves = np.asarray(waves, dtype=np.float32)
    names = [str(i + 1) for i in range(len(waves))]
    if titles is not None:
        if len(titles) != len(waves):
            raise ValueError(f"{len(titles)} titles for {len(waves)} sounds")
        names = [f"{number} {printable(title)[:30]}" for number, title in zip(names, titles, strict=True)]
    picture, title, modality = preview_path(run_dir, step), f"step {step:,}", Sound(sample_rate)
    if extra_columns:
        modality.draw_columns(picture, add_output_column(waves, extra_columns), title, names)
    else:
        contact_sheet(picture, waves, sample_rate, names, title=title)
    if extra_columns:  # The sounds in the WAV file have the same order as in the picture, row by row.
        columns = {name: x for name, x in add_output_column(waves, extra_columns).items() if np.shape(x) == waves.shape}
        names = [f"{printable(column)[:30]} {name}" for name in names for column in columns]
        waves = np.stack(list(columns.values()), axis=1).reshape(-1, *waves.shape[1:])
    whole = np.isfinite(waves).all(axis=(1, 2), keepdims=True)
    every = waves.shape[-1] + round(GAP_SECONDS * sample_rate)
    layout = {"count": len(waves), "seconds": waves.shape[-1] / sample_rate, "every": every / sample_rate}
    comment = json.dumps({**layout, "titles": names}, ensure_ascii=False)
    if len(comment.encode()) > COMMENT_BYTES:
        comment = json.dumps(layout)  # If the titles are too long for a comment, they are only in the picture.
    save_wav(
        picture.with_suffix(".wav"), modality.concatenate(np.where(whole, waves, 0.0)), sample_rate, comment=comment
    )


def _channels(shape: Sequence[int | None]) -> int:
    if len(shape) != 2 or not shape[0]:
        raise UserError(f"a sound has the shape [C, T], not {list(shape)}")
    return shape[0]


def _repeated(x: np.ndarray, channels: int) -> np.ndarray:
    """Return sounds ``[N, C, T]`` with the given number of channels, by repeating their channels cyclically."""
    return np.asarray(x, np.float32)[:, np.arange(channels) % x.shape[1]]
