"""A small convolutional classifier of images and spectrograms, and its training."""

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

__all__ = [
    "STANDARD_RECIPE",
    "ClassifierNet",
    "ClassifierRecipe",
    "ToImages",
    "accuracy",
    "digest",
    "fit",
    "load_pictures",
]
__all__ += ["stratified_sample", "to_pictures"]

PICTURE_SIDE = 64
"""Target length of the longer side of a picture, in pixels. Pictures are averaged down to about this length if their
longer side is at least 1.5 times the target.
"""
MAX_SIDE_AT_STRIDE_1 = 32
"""Largest side, in pixels, at which the first convolution has stride 1. If both sides of the pictures are longer, the
stride is 2."""
POOLED_SIDE = 4
"""Height and width to which feature maps are pooled before the dense layers."""
VERSION = 1
"""Version of the training procedure. Increase it when the same recipe would give different weights."""

ToImages = Callable[[Tensor], Tensor]
"""Type of a modality's `to_images`: a function from signals ``[B, *shape]`` to pictures ``[B, C, H, W]``."""


@dataclass(frozen=True)
class ClassifierRecipe:
    """Architecture and training settings of a classifier.

    Args:
        widths: output channels of each convolution. For points, the last two are the widths of the hidden layers.
        features: width of the last hidden layer.
        examples: largest number of examples processed in training. An example counts once in every epoch.
        epochs: largest number of passes over the data.
        least: smallest number of optimizer steps, unless ``examples`` allows fewer.
        batch: batch size.
        lr: maximum learning rate of the one-cycle schedule.
        shift: largest random shift of a picture as a fraction of its height and width.

    Examples:
        >>> from audiogan.metrics import ClassifierRecipe
        >>> ClassifierRecipe(epochs=2).batch
        32
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
        """Return the number of optimizer steps for a training set of ``n`` examples."""
        return min(max(self.least, math.ceil(self.epochs * n / self.batch)), max(self.examples // self.batch, 1))

    @property
    def key(self) -> str:
        """Hash of all settings and `VERSION`, as eight hexadecimal digits."""
        return hashlib.blake2b(json.dumps([VERSION, asdict(self)]).encode(), digest_size=4).hexdigest()


STANDARD_RECIPE = ClassifierRecipe()


class ClassifierNet(nn.Module):
    """Convolutional classifier from pictures ``[B, C, H, W]`` to features ``[B, recipe.features]``.

    The layer ``head`` maps features to class logits. Convolutions with batch normalisation and max pooling reduce a
    picture to about 4 x 4 cells. The cells are not averaged, because the position carries information, such as the
    pitch in a log-mel spectrogram. For pictures of one pixel (points), the layers are fully connected.

    Args:
        shape: shape of a picture, ``(C, H, W)``.
        classes: number of classes.
        recipe: widths of the layers.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: Sequence[int], classes: int, recipe: ClassifierRecipe = STANDARD_RECIPE) -> None:
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
                kernel, stride = (3, 1) if i else (5, 2 if side > MAX_SIDE_AT_STRIDE_1 else 1)
                if i and side > POOLED_SIDE:
                    layers.append(nn.MaxPool2d(2, ceil_mode=True))
                    side = -(-side // 2)
                layers += [nn.Conv2d(wide, width, kernel, stride, kernel // 2, bias=False)]
                layers += [nn.BatchNorm2d(width), nn.ReLU()]
                wide, side = width, -(-side // stride)
            layers += [nn.AdaptiveAvgPool2d(POOLED_SIDE), nn.Flatten()]
            wide *= POOLED_SIDE**2
        self.body = nn.Sequential(*layers)
        self.hidden = nn.Linear(wide, recipe.features)
        self.head = nn.Linear(recipe.features, classes)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.hidden(self.body((x.float() - self.mean) / self.deviation)))


@torch.no_grad()
def load_pictures(
    signals: Any, to_images: ToImages, *, index: NDArray[np.int64] | None = None, batch: int = 256
) -> Tensor:
    """Return the pictures of a whole data set, float32 ``[N, C, H, W]``, for the classifier.

    Pictures whose longer side is at least 96 pixels are averaged down to about 64 pixels.

    Args:
        signals: a data set with a method ``signals``, or an array or tensor ``[N, ...]``.
        to_images: function from signals to pictures, see `audiogan.modalities.Modality.to_images`.
        index: indices of the signals to use. Default: all.
        batch: batch size for ``to_images``.
    """
    index = np.arange(len(signals)) if index is None else index
    read = getattr(signals, "signals", None) or (lambda rows: torch.as_tensor(signals[rows]))
    return torch.cat([to_pictures(read(rows), to_images) for rows in np.split(index, range(batch, len(index), batch))])


def to_pictures(x: Tensor, to_images: ToImages) -> Tensor:
    """Return the pictures of one batch of signals, averaged down as in `load_pictures`."""
    x = to_images(x.float())
    factor = max(1, round(max(x.shape[2:]) / PICTURE_SIDE))
    return F.avg_pool2d(x, factor, ceil_mode=True) if factor > 1 else x


def fit(
    x: Tensor,
    y: Tensor,
    classes: int,
    *,
    recipe: ClassifierRecipe = STANDARD_RECIPE,
    seed: int = 0,
    steps: int | None = None,
    extra_examples: tuple[Tensor, Tensor] | None = None,
    on_step: Callable[[], object] | None = None,
) -> ClassifierNet:
    """Train a classifier. The same arguments give the same weights, bit for bit.

    Training uses cross-entropy, AdamW and a one-cycle learning rate (Smith & Topin 2019). It runs on one thread,
    because the order of sums over several threads is not reproducible. PyTorch's global random state is not changed.

    Args:
        x: pictures ``[N, C, H, W]``.
        y: class of each picture, int64 ``[N]``.
        classes: number of classes.
        recipe: architecture and training settings.
        seed: seed for the initial weights, the order of examples and the shifts.
        steps: number of optimizer steps. Default: ``recipe.steps(N)``.
        extra_examples: additional pictures and their classes, for example of generated samples. They make up half of
            each batch.
        on_step: function called after each step.
    """
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ClassifierNet(x.shape[1:], classes, recipe).to(memory_format=torch.channels_last)
    net.mean.copy_(x.mean())
    net.deviation.copy_(x.std().clamp_min(1e-6))
    total = recipe.steps(len(x)) if steps is None else steps
    optimizer = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=total)
    sources = [(x, y)] if extra_examples is None else [(x, y), extra_examples]
    draws = [_endless_batches(len(pictures), recipe.batch // len(sources), rng) for pictures, _ in sources]
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
            if on_step is not None:
                on_step()
    return _normalise_features(net.eval().requires_grad_(False), x)


@torch.no_grad()
def _normalise_features(net: ClassifierNet, x: Tensor) -> ClassifierNet:
    """Rescale the hidden layer to a mean square feature of 1, so that distances are comparable across data."""
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


def _endless_batches(n: int, batch: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of indices below ``n`` without end. Each index occurs once per epoch."""
    left = torch.empty(0, dtype=torch.int64)
    while True:
        while len(left) < batch:
            left = torch.cat([left, torch.randperm(n, generator=rng)])
        yield left[:batch]
        left = left[batch:]


def _shifted(x: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Return pictures, each shifted by a random number of pixels. Border pixels are repeated."""
    places = []
    for side in x.shape[2:]:
        max_shift = round(share * side)
        by = torch.randint(-max_shift, max_shift + 1, (len(x), 1), generator=rng)
        places.append((torch.arange(side) + by).clamp(0, side - 1))
    rows, columns = places
    moved = x.permute(0, 2, 3, 1)[torch.arange(len(x))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)  # Convolutions are faster with channels last in memory than with channels first.


@torch.no_grad()
def accuracy(net: ClassifierNet, x: Tensor, y: Tensor, batch: int = 256) -> float:
    """Return the fraction of pictures that the network classifies correctly, 0 ... 1.

    Args:
        net: a trained classifier.
        x: pictures ``[N, C, H, W]``.
        y: true classes ``[N]``.
        batch: batch size.
    """
    guesses = torch.cat([net.head(net(part)).argmax(1) for part in x.split(batch)])
    return float((guesses == y).double().mean())


def stratified_sample(targets: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw a random subset that preserves the class proportions.

    Args:
        targets: class of each example, int64 ``[N]``.
        count: number of examples to draw. If it is at least N, all examples are returned.
        rng: random number generator.

    Returns:
        Sorted indices. Each class occurs at least once, so there can be more than ``count`` indices.
    """
    if count >= len(targets):
        return np.arange(len(targets))
    classes, sizes = np.unique(targets, return_counts=True)
    ideal = count * sizes / len(targets)
    quota = np.maximum(ideal.astype(np.int64), 1)
    short = max(0, count - int(quota.sum()))
    # Rounding down makes the total too small. The classes with the largest remainders get one more example each.
    quota[np.argsort(quota - ideal, kind="stable")[:short]] += 1
    members = [rng.permutation(np.flatnonzero(targets == k))[:size] for k, size in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(members))


def digest(*values: Tensor | str) -> str:
    """Return a hash of tensors (shape, dtype and values) and strings as 16 hexadecimal digits."""
    whole = hashlib.blake2b(digest_size=8)
    for part in values:
        if isinstance(part, str):
            whole.update(part.encode() + b"\0")
        else:
            array = part.detach().cpu().contiguous()
            whole.update(f"{array.dtype}{list(array.shape)}".encode())
            whole.update(array.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()
