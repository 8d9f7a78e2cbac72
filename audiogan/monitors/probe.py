"""What the log of a training does not say by itself, measured on a fixed batch of latents against real data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.metrics import embed, kernel_distance, nearest
from audiogan.metrics.embedding import Embedding

Features = NDArray[np.float64]

LEAST = 8
ALIKE = 0.05
LEAST_PAIRS = 100  # of one class, to say how alike they are
SCORED = 64  # signals given to networks at a time
JUDGED = 32  # of each kind that the critic scores: of a look most of the time goes there
EDGE = 0.99  # of full scale: what a saturated output reaches
LIBRARY = 512  # labelled examples among which the class of an output is looked up


class Probe:
    """Measures a generator and its critic as they are now. Draws no random number but its own, changes nothing.

    Figures, all threshold-free (``E`` is the embedding's name, ``n`` the number of signals):

    * ``diversity/E@n``: mean alikeness of two different real examples / the same of two outputs, in a Gaussian kernel
      so wide that the former is 0.05. This is the ratio of the order-2 Vendi scores (Pasarkar & Dieng 2024), without
      each signal's likeness to itself, so that it does not depend on n. About 1 for outputs as different as real
      data, 0.05 if all outputs are the same.
    * ``diversity_within/E@n``: the same among pairs of one class, with a width of its own, for conditional games: what
      latents alone change.
    * ``kernel/E@n``: kernel distance of outputs to real examples, 0 for equal distributions (``kernel_distance``).
    * ``classes/E@n``: classes found among outputs / among as many real examples, the class of a signal being that of
      its nearest labelled neighbour.
    * ``saturation``: share of output values at full scale, less that of real examples; not for points.
    * ``accuracy_train``, ``accuracy_held_out``: how often the critic scores a real example above an output, for
      examples it is trained on and for others; 0.5 is guessing.
    * ``train_over_held_out``: how often it scores a training example above a held-out one; 0.5 unless it memorises.

    Args:
        game: has ``generate``, ``latents``, ``draw_condition`` and, for the critic's figures, ``score``.
        embedding: signals ``[B, ...]`` on the CPU -> features ``[B, D]``.
        train, held_out: data sets (``held_out`` may be empty or ``None``).
        count: signals of each kind.
        seed: of which latents and which examples.
    """

    def __init__(
        self, game: Any, embedding: Embedding, train: Any, held_out: Any = None, count: int = 64, seed: int = 0
    ) -> None:
        if count < LEAST:
            raise ValueError(f"count={count} must be at least {LEAST}")
        self.game, self.embedding = game, embedding
        rng = np.random.default_rng([seed, 77])
        generator = torch.Generator().manual_seed(seed + 77)
        self.latents: Tensor = game.latents(count, generator)
        self.condition: Tensor | None = game.draw_condition(count, generator)
        self.real = _Examples(train, count, rng)
        self.held_out = _Examples(held_out, count, rng) if held_out is not None and len(held_out) else None
        features = embed(self.real.x, embedding, batch=SCORED, what="the training data")
        self.count = len(features)
        self.features = features
        self.bandwidth = bandwidth(features, ALIKE)
        self.edge = float(self.real.x.abs().max())
        classes = getattr(game, "classes", 0)
        known = self.condition is not None and classes
        self._labels = self.condition[:, :classes].argmax(1).cpu().numpy() if known else None
        self._within = 0.0
        if self.real.labels is not None and _pairs(len(features), self.real.labels).sum() >= LEAST_PAIRS:
            self._within = bandwidth(features, ALIKE, self.real.labels)
        self._library: tuple[Features, NDArray[np.int64]] | None = None
        self._classes = 0
        if self.real.labels is not None:
            library = _Examples(train, LIBRARY, rng)
            assert library.labels is not None
            self._library = embed(library.x, embedding, batch=SCORED, what="the training data"), library.labels
            self._classes = self._count_classes(features)

    def measure(self) -> dict[str, float]:
        """All figures that this game and these data allow; only ``finite`` if outputs are not finite."""
        x = torch.cat(
            [
                self.game.generate(z, None if self.condition is None else self.condition[i * SCORED : (i + 1) * SCORED])
                for i, z in enumerate(self.latents.split(SCORED))
            ]
        )
        x = x.detach().cpu()
        if not torch.isfinite(x).all():
            return {"finite": 0.0}
        features = embed(x, self.embedding, batch=SCORED, what="outputs")
        name = f"{self.embedding.name}@{self.count}"
        figures = {
            f"diversity/{name}": ALIKE / max(alikeness(features, self.bandwidth), 1e-9),
            f"kernel/{name}": kernel_distance(features, self.features),
        }
        if x.dim() > 2:  # points have no edge
            figures["saturation"] = _saturated(x, self.edge) - _saturated(self.real.x, self.edge)
        if self._labels is not None and self._within:
            within = alikeness(features, self._within, self._labels)
            figures[f"diversity_within/{name}"] = ALIKE / max(within, 1e-9)
        if self._library is not None and self._classes > 1:
            figures[f"classes/{name}"] = self._count_classes(features) / self._classes
        return figures | self._critic(x)

    def _critic(self, x: Tensor) -> dict[str, float]:
        if self.held_out is None or not hasattr(self.game, "score"):
            return {}
        labels = None if self._labels is None else torch.from_numpy(self._labels)
        fake = self._scores({"x": x} | ({} if labels is None else {"label": labels}))
        train, held_out = self._scores(self.real.batch), self._scores(self.held_out.batch)
        return {
            "accuracy_train": separation(train, fake),
            "accuracy_held_out": separation(held_out, fake),
            "train_over_held_out": separation(train, held_out),
        }

    def _scores(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Of every so many examples, as data may stand in order of its classes."""
        device = next(self.game.parameters()).device
        apart = math.ceil(len(batch["x"]) / JUDGED)
        return self.game.score({name: values[::apart].to(device) for name, values in batch.items()}).float()

    def _count_classes(self, features: Features) -> int:
        assert self._library is not None
        known, labels = self._library
        index = nearest(features, known)[1]
        return len(np.unique(labels[index]))


class _Examples:
    """Some real examples: ``x`` ``[n, *shape]`` and, where the data has them, ``labels`` ``[n]``."""

    def __init__(self, data: Any, count: int, rng: np.random.Generator) -> None:
        index = np.sort(rng.permutation(len(data))[:count])
        self.x: Tensor = data.signals(index).float().cpu()
        targets = np.asarray(getattr(data, "targets", ()))
        self.labels: NDArray[np.int64] | None = targets[index].astype(np.int64) if len(targets) else None

    @property
    def batch(self) -> dict[str, Tensor]:
        return {"x": self.x} | ({} if self.labels is None else {"label": torch.from_numpy(self.labels)})


def alikeness(x: Features, bandwidth: float, labels: NDArray[np.int64] | None = None) -> float:
    """Mean of exp(-|x - y|² / (2 bandwidth²)) over pairs of different rows of x [N, D]; of one class, if given labels.

    From 0 (nothing alike) to 1 (all the same); 0 if there are no such pairs.
    """
    squares = (x**2).sum(1)
    squared = (squares[:, None] + squares - 2 * x @ x.T).clip(0)[_pairs(len(x), labels)]
    return float(np.exp(squared / (-2 * bandwidth**2)).mean()) if len(squared) else 0.0


def _pairs(n: int, labels: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    """Which of n x n pairs are of different examples, and of one class."""
    pairs = ~np.eye(n, dtype=bool)
    return pairs if labels is None else pairs & (labels[:, None] == labels)


def bandwidth(x: Features, alike: float, labels: NDArray[np.int64] | None = None) -> float:
    """The kernel width at which different rows of x [N, D] (of one class) are ``alike`` on average, 0 < alike < 1.
    Rows that are all the same have no such width; a tiny one is given.
    """
    squares = (x**2).sum(1)
    squared = (squares[:, None] + squares - 2 * x @ x.T).clip(0)[_pairs(len(x), labels)]
    low, high = 1e-9, 1e-9 + 10 * float(np.sqrt(squared.max()))
    for _ in range(60):
        middle = np.sqrt(low * high)
        if np.exp(squared / (-2 * middle**2)).mean() < alike:
            low = middle
        else:
            high = middle
    return float(high)


def separation(above: Tensor, below: Tensor) -> float:
    """How often a value of ``above`` ``[N]`` is larger than one of ``below`` ``[M]``, ties counting half."""
    return float(separated(above, below))


def separated(above: Tensor, below: Tensor) -> Tensor:
    """`separation`, left on the device."""
    return 0.5 + 0.5 * torch.sign(above.reshape(-1, 1) - below.reshape(1, -1)).mean()


def _saturated(x: Tensor, edge: float) -> float:
    return float((x.abs() >= EDGE * edge).float().mean())
