"""Tests of L*a*b*: published values, inversion, colours outside sRGB, gradients, grey images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from audiogan.representations import Lab
from audiogan.representations.lab import grey_of_same_lightness, grey_to_lightness, rgb_to_lightness

LAB = Lab((3, 8, 8))
PUBLISHED = {
    (1.0, 1.0, 1.0): (100.0, 0.0, 0.0),
    (1.0, 0.0, 0.0): (53.2406, 80.0942, 67.2015),
    (0.0, 1.0, 0.0): (87.7351, -86.1813, 83.1775),
    (0.0, 0.0, 1.0): (32.2957, 79.1870, -107.8618),
    (1.0, 1.0, 0.0): (97.1395, -21.5524, 94.4758),
    (0.0, 0.0, 0.0): (0.0, 0.0, 0.0),
}
"""sRGB -> L*a*b*. scikit-image 0.24 gives the same up to 0.02, because it rounds the white point to five digits."""


def cube(n: int = 17) -> Tensor:
    """Return all colours of a grid over sRGB, ``[1, 3, n, n * n]``."""
    side = torch.linspace(-1, 1, n)
    return torch.stack(torch.meshgrid(side, side, side, indexing="ij")).reshape(1, 3, n, -1)


def reference(rgb: tuple[float, ...]) -> tuple[float, float, float]:
    """Return L*a*b* of one colour in double precision, by the formulas of IEC 61966-2-1 and CIE 15."""
    matrix = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    line = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    xyz = [sum(m * v for m, v in zip(row, line, strict=True)) / sum(row) for row in matrix]
    x, y, z = (v ** (1 / 3) if v > (6 / 29) ** 3 else v * (29 / 6) ** 2 / 3 + 4 / 29 for v in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("rgb", PUBLISHED)
def test_published_values(rgb: tuple[float, ...]) -> None:
    x = torch.tensor(rgb).view(1, 3, 1, 1) * 2 - 1
    lightness, a, b = LAB.encode(x).flatten().tolist()
    found = (50 * (lightness + 1), 110 * a, 110 * b)
    assert found == pytest.approx(PUBLISHED[rgb], abs=0.005)
    assert found == pytest.approx(reference(rgb), abs=0.005)


def test_agrees_with_the_formulas_in_double_precision() -> None:
    torch.manual_seed(0)
    colours = torch.rand(200, 3)
    encoded = LAB.encode(2 * colours.view(-1, 3, 1, 1) - 1).flatten(1)
    expected = torch.tensor([reference(tuple(each.tolist())) for each in colours])
    found = torch.stack([50 * (encoded[:, 0] + 1), 110 * encoded[:, 1], 110 * encoded[:, 2]], 1)
    assert float((found - expected).abs().max()) < 0.005


def test_decoding_inverts_encoding_for_all_colours() -> None:
    x = cube()
    encoded = LAB.encode(x)
    assert encoded.abs().max() <= 1 + 1e-6
    y = LAB.decode(encoded)
    assert float((x - y).abs().max()) < 1e-4
    assert LAB.exact and LAB.accuracy == ">= 80 dB SNR"
    assert 10 * torch.log10(x.square().sum() / (x - y).square().sum()) > 80


def test_impossible_colours_keep_lightness_and_hue() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    rgb = LAB.decode(x)
    assert float(rgb.min()) >= -1 and float(rgb.max()) <= 1
    again = LAB.encode(rgb)
    assert float((again[:, 0] - x[:, 0]).abs().max()) < 0.005
    chroma, hue = x[:, 1:].norm(dim=1), torch.atan2(x[:, 2], x[:, 1])
    left = again[:, 1:].norm(dim=1)
    assert (left <= chroma + 0.01).all() and (left < 0.9 * chroma).float().mean() > 0.2
    turned = torch.atan2(again[:, 2], again[:, 1]) - hue
    assert float((torch.sin(turned).abs() * left).max()) < 0.01


@pytest.mark.parametrize("lightness", [-3.0, -1.0, 1.0, 3.0])
def test_black_and_white_have_no_colour(lightness: float) -> None:
    x = torch.tensor([lightness, 0.5, -0.5]).view(1, 3, 1, 1)
    assert torch.allclose(LAB.decode(x), torch.full((1, 3, 1, 1), max(-1.0, min(1.0, lightness))), atol=2e-3)


@pytest.mark.parametrize("function", [LAB.encode, LAB.decode])
def test_gradients_are_finite_everywhere(function: object) -> None:
    torch.manual_seed(0)
    special = torch.tensor([-1.0, 1.0, 0.0, -1.5, 1.5, 2 * 0.04045 - 1])
    values = torch.cartesian_prod(special, special, special)
    x = torch.cat([values, 3 * torch.randn(500, 3)]).view(-1, 3, 1, 1).requires_grad_()
    y = function(x)  # type: ignore[operator]
    assert torch.isfinite(y).all()
    y.square().sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


def test_gradient_is_right_inside_the_gamut() -> None:
    torch.manual_seed(0)
    x = (torch.rand(4, 3, 1, 1, dtype=torch.float64) - 0.5).requires_grad_()
    assert torch.autograd.gradcheck(LAB.encode, x)
    assert torch.autograd.gradcheck(LAB.decode, LAB.encode(x).detach().requires_grad_())


def test_grey_image_of_the_same_lightness() -> None:
    x = cube(9)
    grey = grey_of_same_lightness(x)
    assert grey.shape == (1, 1, 9, 81) and grey.abs().max() <= 1 + 1e-6
    assert torch.allclose(grey_to_lightness(grey), LAB.encode(x)[:, :1], atol=1e-5)
    assert torch.allclose(rgb_to_lightness(x), LAB.encode(x)[:, :1], atol=1e-6)
    assert float(LAB.encode(grey.expand(-1, 3, -1, -1))[:, 1:].abs().max()) < 1e-5  # A grey image has no chroma.
    already = torch.linspace(-1, 1, 64).view(1, 1, 1, 64)
    assert torch.allclose(grey_of_same_lightness(already.expand(-1, 3, -1, -1)), already, atol=1e-5)


def test_sizes_and_errors() -> None:
    assert LAB.decode(LAB.encode(torch.zeros(2, 3, 5, 7))).shape == (2, 3, 5, 7)
    with pytest.raises(ValueError, match=r"Lab: shape=\(1, 8, 8\) must be \(3, height, width\); use data.channels=3"):
        Lab((1, 8, 8))
    with pytest.raises(ValueError, match=r"Lab\.encode expected"):
        LAB.encode(torch.zeros(2, 1, 8, 8))
    with pytest.raises(ValueError, match=r"Lab\.decode expected"):
        LAB.decode(torch.zeros(3, 8, 8))
