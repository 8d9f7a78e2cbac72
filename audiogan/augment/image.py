"""Differentiable random transformations of images `[B, C, H, W]` with values of about -1 ... 1.

A transformation is called as ``transform(x, rand)``, where ``rand(*shape)`` draws uniform numbers in [0, 1). Each
image of a batch gets its own random numbers. `Augment` combines transformations. `DiffAugment` and `ADAPipeline` are
ready-made pipelines. All transformations are twice differentiable, as gradient penalties require.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from audiogan.augment.waveform import Augment, Rand, check_not_negative, rand_per_sample


class Cutout(nn.Module):
    """Overwrite a random rectangle of each image with a constant. The rectangle may extend beyond the edges.

    Args:
        ratio: height and width of the rectangle relative to those of the image, 0 ... 1; 0.5 in DiffAugment.
        fill: value of the overwritten pixels.

    Source:
        Zhao et al., "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020.

    Examples:
        >>> import torch
        >>> from audiogan.augment import Cutout
        >>> (Cutout(ratio=1.0)(torch.ones(1, 1, 8, 8), torch.rand) == 0).any().item()
        True
    """

    def __init__(self, ratio: float = 0.5, fill: float = 0.0) -> None:
        super().__init__()
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio={ratio} must lie in 0 ... 1")
        self.ratio, self.fill = ratio, fill

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        sides = []
        for size in x.shape[-2:]:
            width = round(self.ratio * size)
            centre = (size * rand_per_sample(x, rand)).floor()
            sides.append(_interval_mask(size, centre - width // 2, torch.full_like(centre, width), x))
        return x.masked_fill(sides[0].unsqueeze(-1) & sides[1].unsqueeze(-2), self.fill)


class RandomBrightness(nn.Module):
    """Add a random constant to each image.

    Args:
        amount: largest absolute value of the constant, or its standard deviation if ``gaussian`` is true.
        gaussian: draw the constant from a normal distribution instead of a uniform one.

    Examples:
        >>> import torch
        >>> from audiogan.augment import RandomBrightness
        >>> RandomBrightness(0.5)(torch.zeros(2, 3, 8, 8), torch.rand).std((1, 2, 3))  # one constant per image
        tensor([0., 0.])
    """

    def __init__(self, amount: float = 0.5, gaussian: bool = False) -> None:
        super().__init__()
        self.amount, self.gaussian = check_not_negative("amount", amount), gaussian

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return x + (self.amount * _draw(x, rand, self.gaussian)).to(x.dtype)


class Saturation(nn.Module):
    """Change the colour saturation of each image by a random factor. Grey images do not change.

    Args:
        amount: if ``gaussian`` is false, the factor is uniform in 1 - amount ... 1 + amount. If ``gaussian`` is true,
            ``amount`` is the standard deviation of the factor's binary logarithm.
        gaussian: draw the binary logarithm of the factor from a normal distribution.

    Examples:
        >>> import torch
        >>> from audiogan.augment import Saturation
        >>> grey = torch.full((2, 3, 4, 4), 0.5)
        >>> bool((Saturation()(grey, torch.rand) == grey).all())
        True
    """

    def __init__(self, amount: float = 1.0, gaussian: bool = False) -> None:
        super().__init__()
        self.amount, self.gaussian = check_not_negative("amount", amount), gaussian

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return _scale_around(x, x.mean(1, keepdim=True), _draw(x, rand, self.gaussian), self.amount, self.gaussian)


class Contrast(nn.Module):
    """Scale the difference of each image from its mean value by a random factor.

    Args:
        amount: if ``gaussian`` is false, the factor is uniform in 1 - amount ... 1 + amount. If ``gaussian`` is true,
            ``amount`` is the standard deviation of the factor's binary logarithm.
        gaussian: draw the binary logarithm of the factor from a normal distribution.

    Examples:
        >>> import torch
        >>> from audiogan.augment import Contrast
        >>> grey = torch.full((2, 1, 4, 4), 0.5)
        >>> bool((Contrast()(grey, torch.rand) == grey).all())  # An image of one colour does not change.
        True
    """

    def __init__(self, amount: float = 0.5, gaussian: bool = False) -> None:
        super().__init__()
        self.amount, self.gaussian = check_not_negative("amount", amount), gaussian

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        mean = x.mean((1, 2, 3), keepdim=True)
        return _scale_around(x, mean, _draw(x, rand, self.gaussian), self.amount, self.gaussian)


class Hue(nn.Module):
    """Rotate the hue of each RGB image by a random angle around the grey axis. Other images do not change.

    Args:
        turns: width of the uniform distribution of the angle, in full turns: -turns/2 ... turns/2.

    Examples:
        >>> import torch
        >>> from audiogan.augment import Hue
        >>> grey = torch.full((2, 3, 4, 4), 0.5)
        >>> bool(torch.allclose(Hue()(grey, torch.rand), grey))  # A grey image has no hue.
        True
    """

    def __init__(self, turns: float = 1.0) -> None:
        super().__init__()
        self.turns = check_not_negative("turns", turns)

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        angle = self.turns * math.pi * _draw(x, rand, False)
        if x.shape[1] != 3:
            return x
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        # Rodrigues' rotation formula. The cross product with the grey axis is a difference of two channels.
        grey = x.mean(1, keepdim=True)
        across = (x.roll(1, 1) - x.roll(2, 1)) / math.sqrt(3)
        return cos * x + (1 - cos) * grey + sin * across


class Flip(nn.Module):
    """Mirror each image horizontally with a probability of 0.5.

    Examples:
        >>> import torch
        >>> from audiogan.augment import Flip
        >>> Flip()(torch.tensor([[[[1.0, 2.0]]]]), torch.zeros)  # A random number below 0.5 flips the image.
        tensor([[[[2., 1.]]]])
    """

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return torch.where(rand_per_sample(x, rand) < 0.5, x.flip(-1), x)


class Rotate90(nn.Module):
    """Rotate each square image by 0, 90, 180 or 270 degrees, with equal probabilities.

    Examples:
        >>> import torch
        >>> from audiogan.augment import Rotate90
        >>> image = torch.arange(4.0).view(1, 1, 2, 2)
        >>> sorted(Rotate90()(image, torch.rand).flatten().tolist())  # The same pixels in another order.
        [0.0, 1.0, 2.0, 3.0]
    """

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        if x.shape[-1] != x.shape[-2]:
            raise ValueError(f"Rotate90 needs square images, got {list(x.shape)}")
        turns = (4 * rand_per_sample(x, rand)).long()
        x = torch.where(turns % 2 == 1, x.mT, x)
        x = torch.where((turns == 1) | (turns == 2), x.flip(-2), x)
        return torch.where(turns >= 2, x.flip(-1), x)


class Translate(nn.Module):
    """Shift each image vertically and horizontally by random whole numbers of pixels.

    Args:
        ratio: largest vertical (horizontal) shift relative to the height (width) of the image, 0 ... 1.
        fill: value of pixels that enter at an edge. ``None``: the image is reflected at the edge.

    Examples:
        >>> import torch
        >>> from audiogan.augment import Translate
        >>> Translate(ratio=0.25)(torch.zeros(2, 3, 16, 16), torch.rand).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(self, ratio: float = 0.125, fill: float | None = 0.0) -> None:
        super().__init__()
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio={ratio} must lie in 0 ... 1")
        self.ratio, self.fill = ratio, fill

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return self._shift(self._shift(x, rand).mT, rand).mT

    def _shift(self, x: Tensor, rand: Rand) -> Tensor:
        size = x.shape[-1]
        limit = round(self.ratio * size)
        steps = ((2 * limit + 1) * rand_per_sample(x, rand)).long().clamp_max(2 * limit) - limit
        source = torch.arange(size, device=x.device) - steps
        shifted = x.gather(-1, _reflect(source, size).expand_as(x))
        return shifted if self.fill is None else shifted.masked_fill((source < 0) | (source >= size), self.fill)


class RandomScale(nn.Module):
    """Resize each image around its centre by a random factor, with the same factor for height and width.

    The binary logarithm of the factor is normally distributed. Interpolation is bilinear, with a wider kernel for
    factors below 1, to avoid aliasing. The image is reflected at its edges. The interpolation uses two matrix products,
    because `grid_sample` is not twice differentiable.

    Args:
        std: standard deviation of the binary logarithm of the factor, in octaves.

    Examples:
        >>> import torch
        >>> from audiogan.augment import RandomScale
        >>> RandomScale(std=0.2)(torch.zeros(2, 3, 16, 16), torch.rand).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(self, std: float = 0.2) -> None:
        super().__init__()
        self.std = check_not_negative("std", std)

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        factor = torch.exp2(self.std * _draw(x, rand, True))[:, 0]
        rows, columns = (self._weights(size, factor).to(x.dtype).unsqueeze(1) for size in x.shape[-2:])
        return rows @ x @ columns.mT

    @staticmethod
    def _weights(size: int, factor: Tensor) -> Tensor:
        """Return interpolation weights `[B, output pixels, input pixels]` along one side for factors `[B, 1, 1]`."""
        indices = torch.arange(size, device=factor.device, dtype=factor.dtype)
        centre = (size - 1) / 2
        source = _reflect((indices[:, None] - centre) / factor + centre, size)
        weights = (1 - (source - indices).abs() / (1 / factor).clamp_min(1)).clamp_min(0)
        return weights / weights.sum(-1, keepdim=True)


class DiffAugment(Augment):
    """Augmentation pipeline of DiffAugment: colour jitter, translation and cutout.

    Args:
        colour: change brightness by -0.5 ... 0.5, saturation by a factor of 0 ... 2 and contrast by a factor of
            0.5 ... 1.5.
        translation: largest shift as a fraction of the image's height or width, 0 ... 1; 0.125 in the paper.
        cutout: height and width of the overwritten rectangle relative to those of the image, 0 ... 1; 0.5 in the
            paper.
        fill: value of pixels that enter at an edge and of overwritten pixels. 0 is middle grey.
        p: probability of each transformation, 0 ... 1; 1 in the paper.

    Source:
        Zhao et al., "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020, section 4.

    Examples:
        >>> import torch
        >>> from audiogan.augment import DiffAugment
        >>> DiffAugment(cutout=0.25)(torch.zeros(2, 3, 16, 16), torch.rand).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(
        self, colour: bool = True, translation: float = 0.125, cutout: float = 0.5, fill: float = 0.0, p: float = 1.0
    ) -> None:
        colours = [RandomBrightness(), Saturation(), Contrast()] if colour else []
        super().__init__([*colours, Translate(translation, fill), Cutout(cutout, fill)], p)


class ADAPipeline(Augment):
    """Augmentation pipeline of ADA: flips, 90-degree rotations, shifts, isotropic scaling and colour changes.

    Unlike the paper's pipeline it has no arbitrary rotations, anisotropic scaling, fractional shifts or luma flips.
    Contrast is scaled around the mean of the image.

    Args:
        flip: mirror images horizontally.
        rotate: rotate by multiples of 90 degrees. Must be false for images that are not square.
        translation: largest shift as a fraction of the image's height or width, 0 ... 1.
        scale: standard deviation of the binary logarithm of the scaling factor, in octaves.
        colour: change brightness, contrast, hue and saturation.
        p: probability of each transformation at the start, 0 ... 1. `AdaptiveAugment` changes it in training.

    Source:
        Karras et al., "Training generative adversarial networks with limited data", NeurIPS 2020, appendix B.

    Examples:
        >>> import torch
        >>> from audiogan.augment import ADAPipeline
        >>> images = torch.rand(4, 3, 16, 16)
        >>> bool((ADAPipeline(p=0.0)(images, torch.rand) == images).all())  # p=0: no change
        True
    """

    def __init__(
        self,
        flip: bool = True,
        rotate: bool = True,
        translation: float = 0.125,
        scale: float = 0.2,
        colour: bool = True,
        p: float = 0.0,
    ) -> None:
        places: list[nn.Module] = [Flip()] if flip else []
        places += [Rotate90()] if rotate else []
        places += [Translate(translation, fill=None), RandomScale(scale)]
        colours = [RandomBrightness(0.2, True), Contrast(0.5, True), Hue(), Saturation(1.0, True)]
        super().__init__([*places, *(colours if colour else [])], p)


def _draw(x: Tensor, rand: Rand, gaussian: bool) -> Tensor:
    """Return one random number per image, `[B, 1, 1, 1]`: standard normal, or uniform in -1 ... 1."""
    u = 2 * rand_per_sample(x, rand) - 1
    return math.sqrt(2) * torch.erfinv(u.clamp_min(-1 + 2**-23)) if gaussian else u


def _scale_around(x: Tensor, centre: Tensor, drawn: Tensor, amount: float, gaussian: bool) -> Tensor:
    factor = torch.exp2(amount * drawn) if gaussian else 1 + amount * drawn
    return torch.lerp(centre, x, factor.to(x.dtype))


def _reflect(indices: Tensor, size: int) -> Tensor:
    """Map pixel indices beyond the edges to 0 ... size - 1 by reflection without repeating the edge pixel."""
    last = max(size - 1, 1)
    return (last - (last - indices.remainder(2 * last)).abs()).clamp_max(size - 1)


def _interval_mask(size: int, first: Tensor, width: Tensor, x: Tensor) -> Tensor:
    """Return a mask `[B, 1, size]` that is true from index `first` to index `first + width - 1`."""
    indices = torch.arange(size, device=x.device)
    first, width = first.squeeze(-1), width.squeeze(-1)
    return (indices >= first) & (indices < first + width)
