"""A buffer of earlier generated samples, some of which the critic receives instead of new samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn


class UniformSource(Protocol):
    """Source of uniform random numbers, such as `audiogan.core.Play`."""

    def rand(self, *shape: int) -> Tensor: ...


class ImagePool(nn.Module):
    """Buffer of earlier generated samples. It replaces some new samples by earlier ones, so that training oscillates
    less.

    Until the buffer is full, each new sample is stored and returned. Afterwards, each new sample is treated in one of
    two ways, with probability 1/2 each: it is returned and not stored, or it takes the place of a stored sample, which
    is returned instead.

    A checkpoint contains the stored samples. They differ between processes, so a game with an image pool must set
    `Game.single_process`.

    Args:
        shape: shape of one sample, without the batch dimension.
        size: number of stored samples. With 0, new samples are returned unchanged.

    Source:
        Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", CVPR 2017,
        section 2.3; Zhu et al., CycleGAN, ICCV 2017, section 4.
    """

    stored: Tensor
    count: Tensor

    def __init__(self, shape: Sequence[int], size: int = 50) -> None:
        super().__init__()
        if size < 0 or any(n < 1 for n in shape):
            raise ValueError(f"ImagePool: size={size} must not be negative, shape={tuple(shape)} must be positive")
        self.shape, self.size = tuple(shape), size
        self.register_buffer("stored", torch.zeros(size, *self.shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, x: Tensor, random: UniformSource) -> Tensor:
        """Return samples ``[B, *shape]`` without gradient: ``x``, with some samples replaced by earlier samples.

        Args:
            x: new samples ``[B, *shape]``.
            random: source of random numbers. Two numbers are drawn for each sample.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"ImagePool expected [B, {', '.join(map(str, self.shape))}], got {list(x.shape)}")
        if not self.size:
            return x.detach()
        out, count = x.detach().clone(), max(0, int(self.count))
        for i, (chance, place) in enumerate(random.rand(len(x), 2).tolist()):
            if count < self.size:
                self.stored[count] = out[i]
                count += 1
            elif chance < 0.5:
                k = int(place * self.size)
                old = self.stored[k].to(out.dtype, copy=True)
                self.stored[k] = out[i]
                out[i] = old
        self.count.fill_(count)
        return out
