"""CIE L*a*b* representation of colour images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from audiogan.representations.base import Representation

RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
"""Matrix from linear RGB with the primaries of sRGB to CIE XYZ, for the white point D65 (ITU-R BT.709)."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma (ITU-R BT.601)."""
AB_SCALE = 110.0
"""Value of a* and b* that is encoded as 1. In the colours of sRGB, their absolute values are at most 107.9."""
GAMUT_TOLERANCE = 2e-5
"""Linear RGB values that exceed 0 ... 1 by no more than this count as inside the gamut of sRGB."""
BISECTION_STEPS = 8
"""Number of bisection steps in the search for the largest chroma inside the gamut."""
_DELTA = 6 / 29  # CIE L*a*b* uses the cube root of t if t > _DELTA**3, and a straight line otherwise.


def grey_to_lightness(grey: Tensor) -> Tensor:
    """Return the lightness of grey pixels, encoded as in `Lab`.

    Args:
        grey: grey pixels of any shape, -1 (black) ... 1 (white). A grey pixel has equal red, green and blue values in
            sRGB.

    Returns:
        L* / 50 - 1, of the same shape.
    """
    return _f_to_lightness(_lab_f(_srgb_to_linear(grey)))


def rgb_to_lightness(rgb: Tensor) -> Tensor:
    """Return the lightness L* / 50 - 1 of sRGB images ``[..., 3, H, W]`` in -1 ... 1, with shape ``[..., 1, H, W]``."""
    weights = rgb.new_tensor(RGB_TO_XYZ[1])[:, None, None]
    return _f_to_lightness(_lab_f((_srgb_to_linear(rgb) * (weights / weights.sum())).sum(-3, keepdim=True)))


def grey_of_same_lightness(rgb: Tensor) -> Tensor:
    """Return grey images with the same lightness L* as colour images.

    Args:
        rgb: sRGB images ``[..., 3, H, W]``, -1 ... 1.

    Returns:
        Grey images ``[..., 1, H, W]``, -1 (black) ... 1 (white). Their lightness, computed by
        `grey_to_lightness`, equals `rgb_to_lightness` of the colour images up to rounding errors.
    """
    weights = rgb.new_tensor(RGB_TO_XYZ[1])[:, None, None]
    return _linear_to_srgb((_srgb_to_linear(rgb) * (weights / weights.sum())).sum(-3, keepdim=True))


class Lab(Representation):
    """Colour images in CIE L*a*b*, scaled to -1 ... 1: lightness L* / 50 - 1, a* / 110 and b* / 110.

    Signals are sRGB images ``[B, 3, H, W]``, -1 ... 1. The white point is D65, and grey pixels have a* = b* = 0.
    Encoding and decoding are inverse to each other for all colours of sRGB. Not every L*a*b* value is a colour of sRGB.
    `decode` reduces the chroma of other values, at constant lightness and hue, until they are colours of sRGB.
    Gradients are finite everywhere.

    Args:
        shape: shape ``(3, H, W)`` of an image. Images of other sizes are accepted as well.

    Source:
        CIE 15:2004, "Colorimetry", section 8.2.1; IEC 61966-2-1 (sRGB).

    Examples:
        >>> import torch
        >>> from audiogan.representations import Lab
        >>> lab = Lab((3, 4, 4))
        >>> grey = torch.full((1, 3, 4, 4), 0.5)
        >>> bool(torch.allclose(lab.decode(lab.encode(grey)), grey, atol=1e-3))
        True
    """

    exact = True
    accuracy = ">= 80 dB SNR"
    pointwise = True
    matrix: Tensor
    inverse: Tensor

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__(shape)
        if len(self.signal_shape) != 3 or self.signal_shape[0] != 3:
            raise ValueError(f"Lab: shape={self.signal_shape} must be (3, height, width); use data.channels=3")
        self.shape = self.signal_shape
        matrix = torch.tensor(RGB_TO_XYZ, dtype=torch.float64)
        matrix = matrix / matrix.sum(1, keepdim=True)  # White becomes X = Y = Z = 1.
        self.register_buffer("matrix", matrix.float(), persistent=False)
        self.register_buffer("inverse", torch.linalg.inv(matrix).float(), persistent=False)

    def encode(self, signal: Tensor) -> Tensor:
        if signal.dim() != 4 or signal.shape[1] != 3:
            self._check_signal(signal)
        xyz = torch.einsum("ij,bjhw->bihw", self.matrix.to(signal.dtype), _srgb_to_linear(signal))
        fx, fy, fz = _lab_f(xyz).unbind(1)
        return torch.stack([_f_to_lightness(fy), 500 / AB_SCALE * (fx - fy), 200 / AB_SCALE * (fy - fz)], dim=1)

    def decode(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or x.shape[1] != 3:
            self._check_encoded(x)
        fy = (x[:, :1].clamp(-1, 1) * 50 + 66) / 116
        ab = x[:, 1:] * x.new_tensor([AB_SCALE / 500, -AB_SCALE / 200])[:, None, None]
        with torch.no_grad():
            scale = self._chroma_scale(fy, ab)
        return _linear_to_srgb(self._to_linear(fy, ab * scale)).clamp(-1, 1)

    def _to_linear(self, fy: Tensor, ab: Tensor) -> Tensor:
        """Return linear RGB ``[B, 3, H, W]`` of f(Y) ``[B, 1, H, W]`` and the differences of f(X) and f(Z) from it."""
        fx, fz = (fy + ab).split(1, dim=1)
        return torch.einsum("ij,bjhw->bihw", self.inverse.to(fy.dtype), _lab_f_inverse(torch.cat([fx, fy, fz], dim=1)))

    def _chroma_scale(self, fy: Tensor, ab: Tensor) -> Tensor:
        """Return the largest factor on the chroma, 0 ... 1, with which the colour is inside the gamut of sRGB."""

        def inside(factor: Tensor) -> Tensor:
            rgb = self._to_linear(fy, ab * factor)
            return (rgb.amin(1, keepdim=True) >= -GAMUT_TOLERANCE) & (rgb.amax(1, keepdim=True) <= 1 + GAMUT_TOLERANCE)

        low, high = torch.zeros_like(fy), torch.ones_like(fy)
        whole = inside(high)
        for _ in range(BISECTION_STEPS):
            middle = (low + high) / 2
            fits = inside(middle)
            low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
        return torch.where(whole, torch.ones_like(fy), low)


def _srgb_to_linear(x: Tensor) -> Tensor:
    """Return linear values, 0 ... 1, of sRGB values in -1 ... 1. Values below -1 continue in a straight line."""
    x = (x + 1) / 2
    curve = ((x.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(x > 0.04045, curve, x / 12.92)


def _linear_to_srgb(x: Tensor) -> Tensor:
    """Return sRGB values, -1 ... 1, of linear values in 0 ... 1. Inverse of `_srgb_to_linear`."""
    curve = 1.055 * x.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return 2 * torch.where(x > 0.0031308, curve, 12.92 * x) - 1


def _lab_f(x: Tensor) -> Tensor:
    """Return f(x) of the definition of CIE L*a*b*: a cube root with a straight line near 0."""
    curve = x.clamp_min(_DELTA**3) ** (1 / 3)
    return torch.where(x > _DELTA**3, curve, x / (3 * _DELTA**2) + 4 / 29)


def _lab_f_inverse(x: Tensor) -> Tensor:
    return torch.where(x > _DELTA, x**3, 3 * _DELTA**2 * (x - 4 / 29))


def _f_to_lightness(fy: Tensor) -> Tensor:
    """Return the lightness L* / 50 - 1 for f(Y)."""
    return (116 * fy - 16) / 50 - 1
