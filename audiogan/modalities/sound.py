"""Sounds: what one does with waves `[N, C, T]` once they are made."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiogan.metrics.embedding import LogMel
from audiogan.sounds import COMMENT_BYTES, level, save_wav
from audiogan.text import printable

GAP_SECONDS = 0.25
"""Silence between two sounds of a joined preview."""
BANDS, FLOOR_DB = 64, -60.0
"""Mel bands and darkest level of the picture that a classifier sees."""


@dataclass(frozen=True)
class Sound:
    """Waves at ``sample_rate`` Hz, brought to the level of their training data (``normalize``: peak or none)."""

    sample_rate: int
    normalize: str | None = None

    noun: ClassVar[str] = "sound"
    suffix: ClassVar[str] = ".wav"
    single: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.sample_rate, int) or self.sample_rate < 1:
            raise ValueError(f"sample_rate={self.sample_rate!r} must be a whole number of Hz")

    def finish(self, x: np.ndarray) -> np.ndarray:
        """Sounds `[N, C, T]` at the level they are heard at."""
        return level(x, self.normalize)

    def save(self, path: str | os.PathLike[str], x: np.ndarray, comment: str | None = None) -> None:
        """One sound `[C, T]` as a 16-bit WAV file, with a comment in it unless that is too long for one."""
        fits = comment is not None and len(comment.encode()) <= COMMENT_BYTES
        save_wav(path, x, self.sample_rate, comment=comment if fits else None)

    def sheet(
        self,
        path: str | os.PathLike[str],
        x: np.ndarray,
        titles: Sequence[str] | None = None,
        title: str | None = None,
    ) -> None:
        """Waveform and spectrogram of each sound `[N, C, T]` as one PNG."""
        from audiogan.pictures import contact_sheet

        contact_sheet(path, x, self.sample_rate, titles, title=title)

    def preview(
        self, run_dir: str | os.PathLike[str], step: int, x: np.ndarray, titles: Sequence[str] | None = None
    ) -> None:
        """See `write_preview`."""
        write_preview(run_dir, step, x, self.sample_rate, titles)

    def board(self, writer: Any, tag: str, x: np.ndarray, step: int) -> None:
        """The sounds, one after another, and their spectrograms, to TensorBoard."""
        from audiogan.pictures import spectrogram_image

        joined = np.pad(x, ((0, 0), (0, 0), (0, self.sample_rate // 8))).transpose(1, 0, 2).reshape(x.shape[1], -1)
        writer.add_audio(tag, torch.from_numpy(joined[:1]), step, self.sample_rate)
        writer.add_image(tag, spectrogram_image(x, self.sample_rate), step, dataformats="HWC")

    def embedding(self, shape: Sequence[int]) -> LogMel:
        """The training-free extractor of sounds of ``shape`` `(C, T)`."""
        return LogMel.of_length(self.sample_rate, shape[-1])

    @torch.no_grad()
    def picture(self, x: Tensor) -> Tensor:
        """Log-mel of sounds `[B, C, T]` as `[B, 1, 64, frames]`: 0 dB (the clip's loudest point) is 1, -60 dB is -1.

        Channels are summed in power; hops are a 64th of the sound, at least 4 ms.
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
    run_dir: str | os.PathLike[str],
    step: int,
    waves: np.ndarray,
    sample_rate: int,
    titles: Sequence[str] | None = None,
) -> None:
    """Write `previews/step-<step>.wav` and `.png` of a run: all sounds in one file, and their contact sheet.

    The sounds follow each other with 0.25 s of silence between; the WAV's comment says where each one is. Sounds with
    NaN are silence in the WAV and labelled in the picture, so that a training that went wrong can still be looked at.

    Args:
        run_dir: the run folder.
        step: of the training.
        waves: `[N, C, T]`, full scale ±1.
        sample_rate: in Hz.
        titles: what each sound is (its class, say); numbers from 1 are put before them.

    Raises:
        ValueError: waves of another shape, or as many titles as there are not sounds.
    """
    from audiogan.pictures import contact_sheet

    waves = np.asarray(waves, dtype=np.float32)
    names = [str(i + 1) for i in range(len(waves))]
    if titles is not None:
        if len(titles) != len(waves):
            raise ValueError(f"{len(titles)} titles for {len(waves)} sounds")
        names = [f"{number} {printable(title)[:30]}" for number, title in zip(names, titles, strict=True)]
    stem = Path(run_dir) / "previews" / f"step-{step:08d}"
    contact_sheet(stem.with_suffix(".png"), waves, sample_rate, names, title=f"step {step:,}")
    gap = round(GAP_SECONDS * sample_rate)
    whole = np.isfinite(waves).all(axis=(1, 2), keepdims=True)
    joined = np.pad(np.where(whole, waves, 0.0), ((0, 0), (0, 0), (0, gap)))
    count, channels, length = joined.shape
    layout = {"count": count, "seconds": waves.shape[-1] / sample_rate, "every": length / sample_rate}
    comment = json.dumps({**layout, "titles": names}, ensure_ascii=False)
    if len(comment.encode()) > COMMENT_BYTES:
        comment = json.dumps(layout)  # the page numbers the sounds; their titles are in the picture
    save_wav(
        stem.with_suffix(".wav"),
        joined.transpose(1, 0, 2).reshape(channels, count * length)[:, : count * length - gap],
        sample_rate,
        comment=comment,
    )
