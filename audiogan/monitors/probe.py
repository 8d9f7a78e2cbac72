"""What the log of a training does not say by itself, measured on a fixed batch of latents against real data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.features.embedding import Embedding
from audiogan.metrics import embed, kernel_distance, nearest

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
        game: a `audiogan.games.Generative`; for the critic's figures it has ``score``.
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
        beside: Mapping[str, Tensor] = {}
        if game.required_inputs:
            given = held_out if held_out is not None and len(held_out) else train
            places = game.source_and_target_rows(given)[0]
            beside = _columns(given, np.resize(rng.permutation(places), count), game)
            self.inputs = game.draw_for_batch(beside, generator)
        else:
            self.inputs = game.draw(count, generator)
        self.beside = {name: value for name, value in beside.items() if name != "x"}
        for name, each in game.inputs.items():
            self.beside |= each.to_batch(self.inputs[name])
        self.real = _Examples(train, count, rng, game)
        usable = held_out is not None and len(held_out) and len(game.source_and_target_rows(held_out)[1])
        self.held_out = _Examples(held_out, count, rng, game) if usable else None
        features = embed(self.real.x, embedding, batch=SCORED, what="the training data")
        self.count = len(features)
        self.features = features
        self.bandwidth = bandwidth(features, ALIKE)
        self.edge = float(self.real.x.abs().max())
        kinds = game.kinds(self.inputs)
        self._labels = None if kinds is None else kinds.cpu().numpy()
        self._within = 0.0
        if self.real.labels is not None and _pairs(len(features), self.real.labels).sum() >= LEAST_PAIRS:
            self._within = bandwidth(features, ALIKE, self.real.labels)
        self._library: tuple[Features, NDArray[np.int64]] | None = None
        self._classes = 0
        if self.real.labels is not None:
            library = _Examples(train, LIBRARY, rng, game)
            assert library.labels is not None
            self._library = embed(library.x, embedding, batch=SCORED, what="the training data"), library.labels
            self._classes = self._count_classes(features)

    def measure(self) -> dict[str, float]:
        """All figures that this game and these data allow; only ``finite`` if outputs are not finite."""
        count = len(next(iter(self.inputs.values())))
        parts = [
            self.game.generate({name: value[i : i + SCORED] for name, value in self.inputs.items()})
            for i in range(0, count, SCORED)
        ]
        x = torch.cat(parts).detach().cpu()
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
        fake = self._scores({**self.beside, "x": x})
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
    """Some real examples: a batch with ``x`` ``[n, *shape]`` and, where the data has them, ``labels`` ``[n]``."""

    def __init__(self, data: Any, count: int, rng: np.random.Generator, game: Any) -> None:
        places = game.source_and_target_rows(data)[1]
        index = places[np.sort(rng.permutation(len(places))[:count])]
        self.batch = _columns(data, index, game)
        self.x: Tensor = self.batch["x"]
        label = self.batch.get("label")
        self.labels: NDArray[np.int64] | None = None if label is None else label.numpy().astype(np.int64)


def _columns(data: Any, places: NDArray[np.int64], game: Any) -> dict[str, Tensor]:
    """Return the columns of some examples that a game needs, on the CPU."""
    names = [name for name in data.columns if name in game.used_columns()]
    batch = {name: data.column(name, places).cpu() for name in names}
    return {**batch, "x": batch["x"].float()}


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
    return float(auc_tensor(above, below))


def auc_tensor(above: Tensor, below: Tensor) -> Tensor:
    """`separation`, left on the device."""
    return 0.5 + 0.5 * torch.sign(above.reshape(-1, 1) - below.reshape(1, -1)).mean()


def _saturated(x: Tensor, edge: float) -> float:
    return float((x.abs() >= EDGE * edge).float().mean())
