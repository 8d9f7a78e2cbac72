"""A small convolutional classifier and how it is trained: what several metrics train on labelled data."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["STANDARD", "ClassifierRecipe", "Net", "Picture", "accuracy", "digest", "fit", "look", "some_of_each"]

SIDE = 64
"""Pictures of more than half as much again are averaged down to about this before the classifier sees them."""
HALVED = 32
"""Of pictures larger than this, the first convolution halves the size."""
GRID = 4
VERSION = 1
"""Counts up when the same recipe would train another network."""

Picture = Callable[[Tensor], Tensor]
"""A modality's `picture`: signals `[B, *shape]` to `[B, C, H, W]`."""


@dataclass(frozen=True)
class ClassifierRecipe:
    """How a classifier is built and trained.

    Args:
        widths: channels of its convolutions; for points the last two are its hidden layers.
        features: width of the last hidden layer.
        examples: examples looked at in all, at most.
        epochs: how often each example is looked at, at most.
        least: optimizer steps, however little data there is.
        batch: examples a step.
        lr: highest learning rate of the cycle.
        shift: pictures are moved by up to this share of each side.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96)
    features: int = 128
    examples: int = 40_000
    epochs: int = 30
    least: int = 150
    batch: int = 32
    lr: float = 3e-3
    shift: float = 0.04

    def steps(self, n: int) -> int:
        """Optimizer steps for ``n`` training examples."""
        return min(max(self.least, math.ceil(self.epochs * n / self.batch)), max(self.examples // self.batch, 1))

    @property
    def key(self) -> str:
        """Eight letters that stand for every setting."""
        return hashlib.blake2b(json.dumps([VERSION, asdict(self)]).encode(), digest_size=4).hexdigest()


STANDARD = ClassifierRecipe()


class Net(nn.Module):
    """Pictures `[B, C, H, W]` to features `[B, recipe.features]` of about unit size; ``head`` makes logits of them.

    Convolutions with batch normalisation and maximum pooling down to about 4 x 4 cells, which keep their place: in a
    log-mel picture, place is pitch. Pictures of one pixel (points) get dense layers instead.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: Sequence[int], classes: int, recipe: ClassifierRecipe = STANDARD) -> None:
        super().__init__()
        wide, side = shape[0], min(shape[1:])
        layers: list[nn.Module] = []
        if max(shape[1:]) == 1:
            layers.append(nn.Flatten())
            for width in recipe.widths[-2:]:
                layers += [nn.Linear(wide, width), nn.ReLU()]
                wide = width
        else:
            for i, width in enumerate(recipe.widths):
                kernel, stride = (3, 1) if i else (5, 2 if side > HALVED else 1)
                if i and side > GRID:
                    layers.append(nn.MaxPool2d(2, ceil_mode=True))
                    side = -(-side // 2)
                layers += [nn.Conv2d(wide, width, kernel, stride, kernel // 2, bias=False)]
                layers += [nn.BatchNorm2d(width), nn.ReLU()]
                wide, side = width, -(-side // stride)
            layers += [nn.AdaptiveAvgPool2d(GRID), nn.Flatten()]
            wide *= GRID**2
        self.body = nn.Sequential(*layers)
        self.hidden = nn.Linear(wide, recipe.features)
        self.head = nn.Linear(recipe.features, classes)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.hidden(self.body((x.float() - self.mean) / self.deviation)))


@torch.no_grad()
def look(signals: Any, picture: Picture, *, index: NDArray[np.int64] | None = None, batch: int = 256) -> Tensor:
    """What a classifier sees: pictures float32 `[N, C, H, W]`, the longer side at most 96.

    Args:
        signals: a data set (see `audiogan.data.sounds.sources`), or an array or tensor `[N, ...]`.
        picture: the modality's.
        index: only these.
    """
    index = np.arange(len(signals)) if index is None else index
    read = getattr(signals, "signals", None) or (lambda rows: torch.as_tensor(signals[rows]))
    return torch.cat([glance(read(rows), picture) for rows in np.split(index, range(batch, len(index), batch))])


def glance(x: Tensor, picture: Picture) -> Tensor:
    """`look` at one batch of signals."""
    x = picture(x.float())
    factor = max(1, round(max(x.shape[2:]) / SIDE))
    return F.avg_pool2d(x, factor, ceil_mode=True) if factor > 1 else x


def fit(
    x: Tensor,
    y: Tensor,
    classes: int,
    *,
    recipe: ClassifierRecipe = STANDARD,
    seed: int = 0,
    steps: int | None = None,
    more: tuple[Tensor, Tensor] | None = None,
    tell: Callable[[], object] | None = None,
) -> Net:
    """Train on pictures ``x`` and classes ``y`` int64 `[N]`; the same arguments give the same network.

    Cross-entropy, AdamW, one cycle of the learning rate (Smith & Topin 2019). Runs on one thread, because sums of
    several come out differently in the last bit, and so would the network. torch's global random numbers stay as they
    were.

    Args:
        steps: of the optimizer; by default what the recipe says for so many examples.
        more: further pictures and classes. Half of every batch is drawn from them.
        tell: called after every step.
    """
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Net(x.shape[1:], classes, recipe).to(memory_format=torch.channels_last)
    net.mean.copy_(x.mean())
    net.deviation.copy_(x.std().clamp_min(1e-6))
    total = recipe.steps(len(x)) if steps is None else steps
    optimizer = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=total)
    sources = [(x, y)] if more is None else [(x, y), more]
    draws = [_draw(len(pictures), recipe.batch // len(sources), rng) for pictures, _ in sources]
    with _one_thread(), torch.enable_grad():
        for _ in range(total):
            rows = [next(draw) for draw in draws]
            seen = torch.cat([pictures[r] for (pictures, _), r in zip(sources, rows, strict=True)])
            named = torch.cat([labels[r] for (_, labels), r in zip(sources, rows, strict=True)])
            loss = F.cross_entropy(net.head(net(_shifted(seen, recipe.shift, rng))), named)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if tell is not None:
                tell()
    return _scaled(net.eval().requires_grad_(False), x)


@torch.no_grad()
def _scaled(net: Net, x: Tensor) -> Net:
    """The same classifier with features whose mean square is 1, so that distances mean the same on all data."""
    size = net(x[:: max(1, len(x) // 1000)]).square().mean().sqrt().clamp_min(1e-6)
    for part in (net.hidden.weight, net.hidden.bias):
        part.div_(size)
    net.head.weight.mul_(size)
    return net


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _draw(n: int, batch: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Batches of numbers below n without end; each number once before any again."""
    left = torch.empty(0, dtype=torch.int64)
    while True:
        while len(left) < batch:
            left = torch.cat([left, torch.randperm(n, generator=rng)])
        yield left[:batch]
        left = left[batch:]


def _shifted(x: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Each picture moved by its own number of pixels, the edge repeated."""
    places = []
    for side in x.shape[2:]:
        most = round(share * side)
        by = torch.randint(-most, most + 1, (len(x), 1), generator=rng)
        places.append((torch.arange(side) + by).clamp(0, side - 1))
    rows, columns = places
    moved = x.permute(0, 2, 3, 1)[torch.arange(len(x))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)  # channels last in memory, as the network wants it


@torch.no_grad()
def accuracy(net: Net, x: Tensor, y: Tensor, batch: int = 256) -> float:
    """Share of pictures whose class the network names."""
    guesses = torch.cat([net.head(net(part)).argmax(1) for part in x.split(batch)])
    return float((guesses == y).double().mean())


def some_of_each(targets: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``count`` numbers of examples, sorted: each class as often as in ``targets``, but at least once."""
    if count >= len(targets):
        return np.arange(len(targets))
    classes, sizes = np.unique(targets, return_counts=True)
    ideal = count * sizes / len(targets)
    quota = np.maximum(ideal.astype(np.int64), 1)
    short = max(0, count - int(quota.sum()))
    quota[np.argsort(quota - ideal, kind="stable")[:short]] += 1  # those that rounding took most from
    members = [rng.permutation(np.flatnonzero(targets == k))[:most] for k, most in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(members))


def digest(*parts: Tensor | str) -> str:
    """Sixteen letters that stand for the shapes, kinds and values of tensors, and for texts."""
    whole = hashlib.blake2b(digest_size=8)
    for part in parts:
        if isinstance(part, str):
            whole.update(part.encode() + b"\0")
        else:
            array = part.detach().cpu().contiguous()
            whole.update(f"{array.dtype}{list(array.shape)}".encode())
            whole.update(array.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()
