from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from audiogan.metrics import LogMel, embed

RATE = 16000


def hit(frequency: float = 300.0, decay: float = 0.1, length: int = 16384) -> Tensor:
    t = torch.arange(length) / RATE
    return 0.9 * (torch.exp(-t / decay) * torch.cos(2 * torch.pi * frequency * t))[None, None]


def distance(a: Tensor, b: Tensor, logmel: LogMel) -> float:
    return float(np.linalg.norm(logmel(a) - logmel(b)))


@pytest.fixture(scope="module")
def logmel() -> LogMel:
    return LogMel(RATE)


def test_shape_range_and_repeatability(logmel: LogMel) -> None:
    x = torch.cat([hit(200), hit(2000, 0.02), torch.rand(1, 1, 16384) - 0.5])
    features = logmel(x)
    assert features.shape == (3, 256) and features.dtype == np.float64
    assert features.min() >= 0 and features.max() <= 1
    np.testing.assert_array_equal(features, logmel(x))


def test_name_carries_what_changes_the_numbers() -> None:
    names = {
        LogMel(RATE).name,
        LogMel(RATE, 2.0).name,
        LogMel(44100).name,
        LogMel(RATE, bands=24).name,
        LogMel(RATE, segments=6).name,
        LogMel(RATE, floor_db=-60).name,
    }
    assert len(names) == 6 and "logmel32x8-16k-1.024s" in names


def test_energy_lands_in_its_band_and_time(logmel: LogMel) -> None:
    low, high = (logmel(hit(f)).reshape(32, 8) for f in (150.0, 6000.0))
    assert low.sum(1).argmax() < 4 and high.sum(1).argmax() > 24
    short, long = (logmel(hit(decay=d)).reshape(32, 8) for d in (0.02, 0.4))
    assert short[:, -1].max() == 0 and long[:, -1].max() > 0.4


def test_level_padding_and_polarity_do_not_count(logmel: LogMel) -> None:
    x = hit(length=8192)
    for same in (0.05 * x, -x, torch.nn.functional.pad(x, (0, 9000)), x.expand(1, 2, -1), torch.cat([x, -x], 1)):
        np.testing.assert_allclose(logmel(same), logmel(x), atol=1e-4)


def test_small_shift_is_the_same_sound_and_a_late_one_is_not(logmel: LogMel) -> None:
    x = hit()
    early, late = (torch.nn.functional.pad(x, (shift, 0))[..., :16384] for shift in (150, 1600))
    assert distance(early, x, logmel) < 0.05
    assert distance(late, x, logmel) > 1


def test_floor_hides_inaudible_noise_but_not_hiss_nor_a_missing_tail(logmel: LogMel) -> None:
    x = hit(decay=0.12)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    faint, hiss = (distance(x + 10 ** (db / 20) * noise, x, logmel) for db in (-66, -36))
    cut = x.clone()
    cut[..., 4000:] = 0
    assert faint < 0.5 < hiss
    assert distance(cut, x, logmel) > 0.5


def test_silence_is_silence(logmel: LogMel) -> None:
    x = torch.cat([torch.zeros(1, 1, 16384), 1e-4 * hit()])
    assert not logmel(x).any()


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_see_the_same_times(rate: int) -> None:
    t = torch.arange(round(1.024 * rate)) / rate
    x = (torch.exp(-t / 0.1) * torch.cos(2 * torch.pi * 300 * t))[None, None]
    by_time = LogMel(rate)(x).reshape(32, 8).max(0)
    np.testing.assert_allclose(by_time, LogMel(RATE)(hit()).reshape(32, 8).max(0), atol=0.05)


def test_misuse_is_named(logmel: LogMel) -> None:
    with pytest.raises(ValueError, match=r"\[B, C, T\], got \[3, 100\]"):
        logmel(torch.zeros(3, 100))
    with pytest.raises(ValueError, match="too few for 8 segments"):
        LogMel(RATE, 0.05)
    with pytest.raises(ValueError, match="negative"):
        LogMel(RATE, floor_db=50)


def test_embed_batches_and_selects(logmel: LogMel) -> None:
    x = torch.rand(11, 1, 2000) - 0.5
    whole = logmel(x)
    np.testing.assert_allclose(embed(x, logmel, batch=4), whole, atol=1e-6)
    np.testing.assert_allclose(
        embed(x.numpy(), logmel, batch=3, index=np.array([7, 2, 2, 9])), whole[[7, 2, 2, 9]], atol=1e-6
    )


def test_embed_names_what_is_not_finite(logmel: LogMel) -> None:
    x = torch.zeros(300, 1, 2000)
    x[[4, 290], 0, 7] = torch.tensor([torch.nan, torch.inf])
    with pytest.raises(ValueError, match=r"2 of 300 samples in fake .*: numbers 4, 290"):
        embed(x, logmel, data_name="fake")
    with pytest.raises(ValueError, match="fake is empty"):
        embed(x[:0], logmel, data_name="fake")
