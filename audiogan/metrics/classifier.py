"""A small classifier of the user's own labelled data: it names samples, and its hidden layer is an extractor."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.sounds import replacing

__all__ = ["Recipe", "fit", "look", "network"]

SIDE = 64
"""Pictures with a longer side are averaged down to it before the classifier sees them."""
VALUES = 2**27
"""How many numbers of training pictures are held in memory; of more, a random part is trained on."""
GRID = 4
FORMAT = 1

Picture = Callable[[Tensor], Tensor]
Features = NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """How a classifier is built and trained.

    Args:
        widths: channels of its convolutions (of the two hidden layers, for points).
        features: width of the last hidden layer.
        examples: training examples looked at in all, at most.
        epochs: how often each example is looked at, at most.
        least: optimizer steps, however little data there is.
        batch: examples a step.
        lr: highest learning rate of the one-cycle schedule.
        shift: pictures are moved by up to this share of each side.
    """

    widths: tuple[int, ...] = (24, 48, 96, 128)
    features: int = 128
    examples: int = 60_000
    epochs: int = 30
    least: int = 300
    batch: int = 64
    lr: float = 3e-3
    shift: float = 0.07

    def steps(self, n: int) -> int:
        """Optimizer steps for ``n`` training examples."""
        most = max(self.examples // self.batch, 1)
        return min(max(self.least, math.ceil(self.epochs * n / self.batch)), most)


class Net(nn.Module):
    """Signals' pictures `[B, C, H, W]`, or points `[B, D]`, to features `[B, recipe.features]`; ``head`` to logits.

    Convolutions of 3 with batch normalisation; all but the first halve the picture while its shorter side exceeds 4.
    What remains is averaged to 4 x 4 cells and kept in place: in a log-mel picture, position is pitch.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: Sequence[int], classes: int, recipe: Recipe) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        wide = shape[0]
        if len(shape) == 1:
            for width in recipe.widths[-2:]:
                layers += [nn.Linear(wide, width), nn.ReLU()]
                wide = width
            cells = 1
        else:
            side = min(shape[1:])
            for i, width in enumerate(recipe.widths):
                stride = 2 if side > (GRID if i else 32) else 1
                side = -(-side // stride)
                layers += [nn.Conv2d(wide, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
                wide = width
            layers += [nn.AdaptiveAvgPool2d(GRID), nn.Flatten()]
            cells = GRID**2
        self.body = nn.Sequential(*layers)
        self.hidden = nn.Linear(wide * cells, recipe.features)
        self.head = nn.Linear(recipe.features, classes)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        x = (x.float() - self.mean) / self.deviation
        return F.relu(self.hidden(self.body(x)))


def network(shape: Sequence[int], classes: int, recipe: Recipe = Recipe()) -> Net:  # noqa: B008  (immutable)
    """An untrained classifier of pictures of ``shape`` `(C, H, W)` or points `(D,)`."""
    return Net(shape, classes, recipe)


@torch.no_grad()
def look(signals: Any, picture: Picture, *, index: NDArray[np.int64] | None = None, batch: int = 256) -> Tensor:
    """What a classifier sees, float16: pictures `[N, C, H, W]` no larger than 64 x 64, or points `[N, D]` as they are.

    Args:
        signals: a data set (see `audiogan.data.sources`), or an array or tensor `[N, ...]`.
        picture: the modality's.
        index: only these.
    """
    index = np.arange(len(signals)) if index is None else index
    read = getattr(signals, "signals", None) or (lambda rows: torch.as_tensor(signals[rows]))
    parts = [_seen(read(rows), picture).half() for rows in np.split(index, range(batch, len(index), batch))]
    return torch.cat(parts)


def _seen(x: Tensor, picture: Picture) -> Tensor:
    if x.ndim == 2:
        return x.float()
    x = picture(x.float())
    factor = round(max(x.shape[2:]) / SIDE)
    return F.avg_pool2d(x, factor, ceil_mode=True) if factor > 1 else x


def fit(
    x: Tensor,
    y: Tensor,
    classes: int,
    *,
    recipe: Recipe = Recipe(),  # noqa: B008  (immutable)
    seed: int = 0,
    steps: int | None = None,
    more: tuple[Tensor, Tensor] | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Net:
    """Train on pictures ``x`` and classes ``y`` int64 `[N]`; the same arguments give the same network.

    Cross-entropy, AdamW, one learning-rate cycle. torch's global random numbers are left as they were.

    Args:
        steps: of the optimizer; by default what the recipe says for so many examples.
        more: further pictures and classes. Half of every batch is drawn from them.
        tell: called with (steps done, steps in all).
    """
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = network(x.shape[1:], classes, recipe)
    net.mean.copy_(x.float().mean())
    net.deviation.copy_(x.float().std().clamp_min(1e-6))
    net = net.to(memory_format=torch.channels_last) if x.ndim == 4 else net
    total = recipe.steps(len(x)) if steps is None else steps
    optimizer = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=total)
    sources = [(x, y)] if more is None else [(x, y), more]
    draws = [_draw(len(of), recipe.batch // len(sources), rng) for of, _ in sources]
    for step in range(total):
        rows = [next(draw) for draw in draws]
        seen = torch.cat([of[r] for (of, _), r in zip(sources, rows, strict=True)])
        named = torch.cat([of[r] for (_, of), r in zip(sources, rows, strict=True)])
        loss = F.cross_entropy(net.head(net(_shifted(seen, recipe.shift, rng))), named)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if tell is not None:
            tell(step + 1, total)
    return net.eval().requires_grad_(False)


def _draw(n: int, batch: int, rng: torch.Generator) -> Any:
    """Batches of numbers below n without end; each number once before any again."""
    left = torch.empty(0, dtype=torch.int64)
    while True:
        while len(left) < batch:
            left = torch.cat([left, torch.randperm(n, generator=rng)])
        yield left[:batch]
        left = left[batch:]


def _shifted(x: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Each picture moved by its own number of pixels, the edge repeated."""
    if x.ndim != 4:
        return x
    (h, w), places = x.shape[2:], []
    for side in (h, w):
        most = round(share * side)
        by = torch.randint(-most, most + 1, (len(x), 1), generator=rng)
        places.append((torch.arange(side) + by).clamp(0, side - 1))
    rows, columns = places
    moved = x.permute(0, 2, 3, 1)[torch.arange(len(x))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)  # channels last in memory, as the network wants it
