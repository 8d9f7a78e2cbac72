"""Tests of the mel input: sounds and spectrograms as values, and spectrograms that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audiogan.data.columns import Signals
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.inputs import MelSignal
from audiogan.modalities import Sound


def mel_input(**options: Any) -> MelSignal:
    return MelSignal("mel", shape=(1, 4096), modality=Sound(16000), **options)


def test_a_sound_and_its_spectrogram_are_the_same_value(tmp_path: Path) -> None:
    given = mel_input()
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 4096)).astype(np.float32)
    mel = given.encode(given.parse(x)[None])
    assert mel.shape == (1, 80, 16)
    assert torch.equal(given.encode(given.parse(mel[0])[None]), mel)
    np.save(tmp_path / "a.npy", mel[0].numpy())
    assert torch.equal(given.parse(tmp_path / "a.npy"), mel[0])
    Sound(16000).save(tmp_path / "a.wav", x)
    assert torch.allclose(given.parse(tmp_path / "a.wav"), torch.from_numpy(x), atol=1e-4)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.zeros((100, 9), np.float32), r"expected floats \[80, frames\], got float32 \[100, 9\]"),
        (np.zeros((80, 9), np.int16), "expected floats"),
        (np.zeros((80, 0), np.float32), "expected floats"),
        (np.full((80, 9), np.nan, np.float32), "NaN"),
        (np.full((80, 9), -12.0, np.float32), "values from -12 to -12, expected -11.5"),  # a lower clamp
        (np.full((80, 9), -60.0, np.float32), "values from -60"),  # decibels
        (np.full((80, 9), 30.0, np.float32), "values from 30"),
        ("missing.npy", "cannot be read as an .npy file"),
        ("missing.wav", "missing.wav"),
    ],
)
def test_other_spectrograms_are_refused_in_one_line(value: Any, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        mel_input().parse(value)
    assert "\n" not in str(caught.value)


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        mel_input().parse(tmp_path / "a.npy")


def test_facts_and_errors() -> None:
    table = Table({"x": Signals(np.zeros((3, 1, 512), np.float32), Sound(8000))}, 3)
    facts = MelSignal.data_facts(table, n_mels=40)
    assert facts["size"] == 40 and facts["shape"] == [1, 512] and facts["modality"]["sample_rate"] == 8000
    assert MelSignal.data_facts(None)["size"] == 0
    with pytest.raises(UserError, match="mono"):
        MelSignal("mel", shape=(2, 512), modality=Sound(8000))
    assert "80" in mel_input().describe()
