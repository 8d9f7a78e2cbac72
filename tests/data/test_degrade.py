"""Tests of degradations of images and sounds: values, reproducibility, columns of a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from audiogan.data import degrade
from audiogan.data.columns import Signals
from audiogan.data.table import Table
from audiogan.data.toys.shapes import open_shapes
from audiogan.errors import UserError
from audiogan.modalities.sound import Sound

RNG = np.random.default_rng
RATE = 16000


def photo(channels: int = 3, height: int = 32, width: int = 48) -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(-0.9, 0.9, height), torch.linspace(-0.9, 0.9, width), indexing="ij")
    return torch.stack([x, y, (x * y * 5).sin()])[:channels].contiguous()


def tones(*hertz: float, length: int = RATE) -> torch.Tensor:
    t = torch.arange(length) / RATE
    return torch.stack([sum((0.3 * torch.sin(2 * math.pi * f * t) for f in hertz), torch.zeros(length))] * 2)


def level(x: torch.Tensor, hertz: float) -> float:
    """Return the magnitude of a tone in the middle of a sound, relative to that of `tones`."""
    part = x[0, 4000:12000].double().numpy()
    return float(abs(np.exp(-2j * np.pi * hertz * np.arange(8000) / RATE) @ part) / (0.15 * 8000))


PICTURES: list[degrade.Degradation] = [
    degrade.Downsample(4),
    degrade.Downsample(2, enlarge=True),
    degrade.Grey(),
    degrade.Grey(lightness=True),
    degrade.GaussianNoise([0.1, 0.3]),
    degrade.PoissonNoise([5, 50]),
    degrade.Blur([0.5, 3]),
    degrade.Jpeg([5, 60]),
    degrade.BoxMask(),
    degrade.FreeFormMask(),
    degrade.MaskChoice([degrade.BoxMask(), degrade.FreeFormMask()]),
    degrade.Hole(degrade.BoxMask()),
    degrade.Hole(degrade.FreeFormMask(), append=True),
    degrade.Steps([degrade.Blur(1), degrade.Downsample(2), degrade.Grey(), degrade.GaussianNoise(0.1)]),
    degrade.OneOf([degrade.Blur(1), degrade.Jpeg(10)]),
]
SOUNDS: list[degrade.Degradation] = [
    degrade.MixNoise([0, 10]),
    degrade.MixNoise(5, "pink"),
    degrade.BandLimit([4000, 9000], sample_rate=RATE),
    degrade.LowPass([1000, 3000], sample_rate=RATE),
    degrade.Clip(),
]


@pytest.mark.parametrize("function", PICTURES + SOUNDS, ids=lambda f: type(f).__name__)
def test_every_degradation_repeats_keeps_its_input_and_has_its_shape(function: degrade.Degradation) -> None:
    for channels in (1, 3) if function in PICTURES else (2,):
        x = photo(channels) if function in PICTURES else tones(440, 1000)
        before = x.clone()
        y = function(x, RNG(5))
        assert y.dtype == torch.float32 and bool(torch.isfinite(y).all())
        assert torch.equal(y, function(x, RNG(5))) and torch.equal(x, before)
        y.zero_()  # The result is a copy.
        assert torch.equal(x, before)


def test_downsampling_averages_fine_detail_away() -> None:
    board = torch.ones(1, 32, 32)
    board[:, ::2, ::2] = board[:, 1::2, 1::2] = -1
    small = degrade.Downsample(4)(board, RNG(0))
    assert small.shape == (1, 8, 8) and float(small.abs().max()) < 0.02
    flat = degrade.Downsample(4)(torch.full((3, 16, 16), 0.3), RNG(0))
    assert torch.allclose(flat, torch.full((3, 4, 4), 0.3), atol=1e-5)


def test_grey_is_luma() -> None:
    x = torch.tensor([1.0, 0.0, -1.0])[:, None, None].expand(3, 2, 2)
    assert torch.allclose(degrade.Grey()(x, RNG(0)), torch.full((1, 2, 2), 0.299 - 0.114))


def test_grey_can_keep_the_lightness() -> None:
    red = torch.tensor([1.0, -1.0, -1.0])[:, None, None].expand(3, 2, 2)
    # Red has L* = 53.24, like the grey value 127 of 255. Luma would give 76.
    assert torch.allclose(degrade.Grey(lightness=True)(red, RNG(0)), torch.full((1, 2, 2), -0.0029), atol=1e-3)
    assert torch.equal(degrade.Grey(lightness=True)(red[:1], RNG(0)), red[:1])


def test_noise_has_the_requested_level() -> None:
    x = torch.zeros(3, 100, 100)
    assert abs(float(degrade.GaussianNoise(0.2)(x, RNG(0)).std()) - 0.2) < 0.005
    assert torch.equal(degrade.GaussianNoise(0)(x, RNG(0)), x)
    white = degrade.PoissonNoise(100)(torch.ones(3, 100, 100), RNG(0))
    assert abs(float(white.mean()) - 1) < 0.01 and abs(float(white.std()) - 0.2) < 0.01
    assert float(degrade.PoissonNoise(10)(-torch.ones(1, 8, 8), RNG(0)).max()) == -1.0


def test_blur_keeps_the_mean_and_spreads_a_point() -> None:
    point = torch.zeros(1, 33, 33)
    point[0, 16, 16] = 1
    soft = degrade.Blur(2)(point, RNG(0))
    assert abs(float(soft.sum()) - 1) < 1e-3
    variance = (soft[0].sum(0) * (torch.arange(33) - 16.0) ** 2).sum()
    assert abs(float(variance) - 4) < 0.1


def test_a_low_jpeg_quality_loses_more() -> None:
    x = photo()
    errors = [float((degrade.Jpeg(quality)(x, RNG(0)) - x).abs().mean()) for quality in (95, 40, 5)]
    assert errors[0] < errors[1] < errors[2] and errors[0] < 0.02


def test_one_of_draws_each_choice_as_often_as_its_odds_say() -> None:
    x, rng = torch.zeros(1, 4, 4), RNG(0)
    mixture = degrade.OneOf([degrade.GaussianNoise(0), degrade.GaussianNoise(1), degrade.Blur(1)], [3, 1, 0])
    noisy = sum(bool(mixture(x, rng).any()) for _ in range(400))
    assert 70 < noisy < 130


def test_masks_cover_a_part_and_holes_are_filled() -> None:
    x = photo()
    box = degrade.BoxMask(0.5, centred=True)(x, RNG(0))
    assert box.shape == (1, 32, 48) and float(box.mean()) == 0.25 and bool((box[:, 8:24, 12:36] == 1).all())
    shares = [float(degrade.FreeFormMask()(x, RNG(seed)).mean()) for seed in range(30)]
    assert min(shares) > 0.01 and max(shares) < 0.8 and len(set(shares)) > 20
    holed = degrade.Hole(degrade.BoxMask(0.5, centred=True), fill=-1, append=True)(x, RNG(0))
    assert torch.equal(holed[3:], box) and bool((holed[:3, 8:24, 12:36] == -1).all())
    assert torch.equal(holed[:3, :8], x[:, :8])


def test_a_choice_of_masks_gives_each_one_and_their_union() -> None:
    left, right = degrade.BoxMask(0.5, centred=True), degrade.BoxMask(0.25, centred=True)
    right.draw_mask = lambda height, width, rng: np.arange(height * width).reshape(height, width) < width  # type: ignore[method-assign]
    either = degrade.MaskChoice([left, right])
    shares = [float(either(torch.zeros(3, 32, 32), RNG(seed)).mean()) for seed in range(300)]
    for share in (1 / 4, 1 / 32, 1 / 4 + 1 / 32):
        assert 70 < sum(found == share for found in shares) < 130


@pytest.mark.parametrize("noise", ["white", "pink", "brown"])
def test_noise_is_mixed_at_the_requested_ratio(noise: str) -> None:
    x = tones(300, 2000)
    added = degrade.MixNoise(6, noise)(x, RNG(0)) - x
    ratio = 10 * math.log10(float(x.square().mean() / added.square().mean()))
    assert abs(ratio - 6) < 0.01
    power = np.abs(np.fft.rfft(added[0].numpy())) ** 2
    octaves = [power[lo : 2 * lo].mean() for lo in (200, 400, 800, 1600)]
    fall = 10 * np.log10(octaves[0] / octaves[3]) / 3  # dB per octave
    assert abs(fall - {"white": 0, "pink": 3, "brown": 6}[noise]) < 1
    silence = torch.zeros(1, 100)
    assert torch.equal(degrade.MixNoise(0, noise)(silence, RNG(0)), silence)


def test_recorded_noise_is_repeated_and_mixed_down() -> None:
    recorded = Table({"x": Signals(np.ones((3, 1, 50), np.float32), Sound(RATE))}, 3)
    x = tones(100, length=120)
    added = degrade.MixNoise(0, sounds=recorded)(x, RNG(0)) - x
    assert torch.allclose(added, added[0, 0].expand(2, 120), atol=1e-6)
    other = Table({"x": Signals(np.ones((3, 1, 50), np.float32), Sound(8000))}, 3)
    with pytest.raises(UserError, match="the noises have 16000 Hz, the data 8000 Hz"):
        degrade.MixNoise(0, sounds=recorded)(other)


def test_bands_are_limited() -> None:
    x = tones(500, 3000)
    phone = degrade.BandLimit(4000, sample_rate=RATE)(x, RNG(0))
    assert abs(level(phone, 500) - 1) < 0.02 and level(phone, 3000) < 0.001
    assert torch.equal(degrade.BandLimit(16000, sample_rate=RATE)(x, RNG(0)), x)
    assert degrade.BandLimit(4000, sample_rate=RATE)(torch.ones(1, 7), RNG(0)).shape == (1, 7)


@pytest.mark.parametrize("kind", ["butterworth", "chebyshev", "sinc"])
def test_low_pass_filters_have_no_delay(kind: str) -> None:
    x = tones(500, 3000)
    y = degrade.LowPass(1500, 8, [kind], sample_rate=RATE)(x, RNG(0))
    assert abs(level(y, 500) - 1) < 0.07 and level(y, 3000) < 0.01  # The ripple of Chebyshev filters is 0.5 dB.
    middle = slice(200, -200)
    assert float((y - tones(500))[:, middle].abs().max()) < 0.15 * float(x.abs().max())
    assert torch.equal(degrade.LowPass(8000, 8, [kind], sample_rate=RATE)(x, RNG(0)), x)
    assert degrade.LowPass(1500, 8, [kind], sample_rate=RATE)(torch.ones(1, 7), RNG(0)).shape == (1, 7)


def test_clipping_cuts_the_peaks() -> None:
    x = tones(440)
    y = degrade.Clip(0.5)(x, RNG(0))
    assert math.isclose(float(y.abs().max()), float(x.abs().max()) / 2, rel_tol=1e-6)
    assert torch.equal(degrade.Clip(1)(x, RNG(0)), x)


def test_a_degradation_is_a_column_of_a_table() -> None:
    table = open_shapes(10, size=16, kind="plain", mirror=True)
    table = table.with_column("source", degrade.Downsample(4)).with_column("grey", degrade.Grey())
    assert table.columns["source"].shape == (3, 4, 4) and table.columns["grey"].shape == (1, 16, 16)
    assert table.columns["source"].modality == table.modality
    batch = table.batch(np.arange(6), RNG(0))
    for i in range(6):  # computed after flipping
        assert torch.equal(batch["source"][i], degrade.Downsample(4)(batch["x"][i], RNG(0)))


def test_random_degradations_differ_in_training_and_stay_in_examples() -> None:
    table = open_shapes(10, size=16).with_column("source", degrade.GaussianNoise(0.5))
    first, second = (table.batch(np.arange(4), RNG(seed))["source"] for seed in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(table.examples([3, 1])["source"][0], table.examples([3])["source"][0])


def test_holes_agree_with_the_column_of_masks() -> None:
    table = open_shapes(10, size=16, kind="plain").with_column("mask", degrade.FreeFormMask())
    table = table.with_column("source", degrade.Hole("mask", fill=0.5))
    batch = table.batch(np.arange(8), RNG(0))
    want = torch.where(batch["mask"] > 0, torch.tensor(0.5), batch["x"])
    assert torch.equal(batch["source"], want) and 0 < float(batch["mask"].mean()) < 1


def test_the_sample_rate_comes_from_the_table() -> None:
    sounds = Table({"x": Signals(tones(500, 3000)[None].numpy(), Sound(RATE))}, 1)
    for function in (degrade.BandLimit(4000), degrade.Steps([degrade.BandLimit(4000), degrade.Clip(1)])):
        low = sounds.with_column("source", function).column("source", [0])[0]
        assert level(low, 3000) < 0.001
    bare = Table({"x": Signals(np.zeros((1, 1, 9), np.float32))}, 1)
    with pytest.raises(UserError, match="BandLimit: the signals have no sample rate"):
        bare.with_column("source", degrade.BandLimit(100))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: degrade.Downsample(1), "Downsample: factor=1: must be a whole number from 2 to 16"),
        (lambda: degrade.GaussianNoise(-1), "GaussianNoise: std=-1: must be a number from 0 to 2, or a range"),
        (lambda: degrade.Blur([3, 1]), "Blur: std=[3, 1]"),
        (lambda: degrade.Blur("much"), "Blur: std='much'"),
        (lambda: degrade.Jpeg(True), "Jpeg: quality=True"),
        (lambda: degrade.MixNoise(float("nan")), "MixNoise: snr=nan"),
        (lambda: degrade.MixNoise(noise="blue"), "choose one of white, pink, brown"),
        (lambda: degrade.LowPass(filters=["bessel"]), "must be a list of butterworth, chebyshev, sinc"),
        (lambda: degrade.Steps([]), "Steps: steps"),
        (lambda: degrade.MaskChoice([]), "MaskChoice: masks: must be a list of masks"),
        (lambda: degrade.OneOf([]), "OneOf: choices"),
        (lambda: degrade.OneOf([degrade.Blur(1)], [0]), "OneOf: odds=[0]: must be 1 numbers of 0 or more"),
        (lambda: degrade.OneOf([degrade.Blur(), degrade.Grey()])(open_shapes(4, 16)), "OneOf: choices: the results"),
        (lambda: degrade.Hole(3), "Hole: mask=3"),  # type: ignore[arg-type]
        (lambda: degrade.Downsample(3)(open_shapes(4, 16)), "factor=3 does not divide [3, 16, 16]"),
        (lambda: degrade.Clip()(open_shapes(4, 16)), "Clip: needs sounds [C, T], got [3, 16, 16]"),
        (lambda: degrade.Grey(input="y")(open_shapes(4, 16)), "the data has no column 'y'; it has source, x"),
        (lambda: degrade.Hole("m")(open_shapes(4, 16)), "the data has no column 'm'"),
    ],
)
def test_bad_settings_are_named(make: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        make()
    assert said in str(error.value)


def test_shapes_follow_from_the_degradation() -> None:
    table = open_shapes(4, 16, kind="plain")
    for function, shape in (
        (degrade.Downsample(2), (3, 8, 8)),
        (degrade.Hole(degrade.BoxMask(), append=True), (4, 16, 16)),
        (degrade.Steps([degrade.Grey(), degrade.Downsample(4)]), (1, 4, 4)),
    ):
        assert table.with_column("source", function).columns["source"].shape == shape
        assert table.take([]).with_column("source", function).columns["source"].shape == shape
