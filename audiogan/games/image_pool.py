"""A history of generated samples for the critic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn


class Uniform(Protocol):
    """A source of uniform random numbers, such as `audiogan.core.Play`."""

    def rand(self, *shape: int) -> Tensor: ...


class ImagePool(nn.Module):
    """The last generated samples. A critic that also sees older ones oscillates less.

    Shrivastava et al., CVPR 2017, section 2.3; as in CycleGAN (Zhu et al., ICCV 2017, section 4). ``pool(x, random)``
    handles the samples of a batch one by one. While the pool fills, a sample is stored and returned. After that, with
    probability 1/2, a stored sample is returned and the new one takes its place; otherwise the new one is returned and
    not stored.

    The pool consists of buffers, so that a resumed run continues exactly. They differ between processes: a game with a
    pool must set ``single_process`` (see `audiogan.core.Game`).

    Args:
        shape: shape of one sample, without the batch dimension.
        size: samples that the pool holds, at least 0; with 0 batches are returned as they are.
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
    def forward(self, x: Tensor, random: Uniform) -> Tensor:
        """Return ``[B, *shape]``, partly older samples, without gradients.

        Args:
            x: new samples ``[B, *shape]``.
            random: draws the random numbers, two for each sample of every batch.
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
