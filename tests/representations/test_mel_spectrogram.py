"""Tests of the log-mel spectrogram of vocoders: HiFi-GAN's definition, any length, and errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audiogan.representations import MelSpectrogram


def test_equals_the_definition_of_hifigan_with_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    x = np.random.default_rng(0).uniform(-0.5, 0.5, 8192).astype(np.float32)
    padded = np.pad(x, 384, mode="reflect")
    spectrum = librosa.stft(padded, n_fft=1024, hop_length=256, center=False)
    filters = librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=0, fmax=8000)
    expected = np.log(np.maximum(filters @ np.sqrt(np.abs(spectrum) ** 2 + 1e-9), 1e-5))
    found = MelSpectrogram(22050, f_max=8000)(torch.from_numpy(x)[None, None])[0].numpy()
    assert found.shape == expected.shape == (80, 32)
    assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize(("length", "frames"), [(1, 1), (200, 1), (256, 1), (257, 2), (8192, 32), (8193, 33)])
def test_any_length(length: int, frames: int) -> None:
    mel = MelSpectrogram(16000)(torch.randn(2, 1, length, generator=torch.Generator().manual_seed(0)))
    assert mel.shape == (2, 80, frames) and torch.isfinite(mel).all()


def test_silence_is_the_lowest_value() -> None:
    mel = MelSpectrogram(16000, clamp=1e-4)(torch.zeros(1, 1, 1024))
    assert torch.allclose(mel, torch.tensor(1e-4).log(), atol=0.5) and float(mel.min()) >= np.log(1e-4) - 1e-5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_fft": 1023}, "even numbers"),
        ({"hop_length": 1024}, "even numbers"),
        ({"f_max": 9000.0}, "f_max"),
        ({"clamp": 0.0}, "clamp"),
        ({"n_mels": 400}, "too many"),
    ],
)
def test_settings_out_of_range(options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MelSpectrogram(16000, **options)  # type: ignore[arg-type]


def test_stereo_is_refused() -> None:
    with pytest.raises(ValueError, match="mono"):
        MelSpectrogram(16000)(torch.zeros(1, 2, 1024))
