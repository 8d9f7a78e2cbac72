"""The `Probe`, which measures outputs and critic scores on fixed latents and fixed real examples."""

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
from audiogan.monitors.translation_probe import TranslationProbe, is_translation

Features = NDArray[np.float64]

MIN_COUNT = 8  # Smallest number of signals of each kind.
REAL_SIMILARITY = 0.05  # Kernel bandwidths are chosen so that real examples have this mean similarity.
# Smallest number of pairs of signals with equal classes from which the similarity within classes is estimated.
MIN_PAIRS = 100
BATCH = 64  # Number of signals per batch for networks and embeddings.
MAX_SCORED = 32  # Largest number of samples of each kind that the critic scores. Scoring takes most of the time.
SATURATION_LEVEL = 0.99  # An output value counts as saturated from this fraction of full scale.
MAX_LIBRARY = 512  # Largest number of labelled examples. An output gets the class of the nearest one.


class Probe:
    """Measurements of a generator and its critic during training.

    The probe does not change the networks. It draws random numbers only from its own generators.

    In the names of the metrics, ``E`` is the name of the embedding and ``n`` the number of signals:

    * ``diversity/E@n``: similarity of real examples divided by similarity of outputs. The similarity of a set of
      signals is the mean of a Gaussian kernel over all pairs of different signals. The bandwidth is chosen so that real
      examples have a similarity of 0.05. The metric is the ratio of two order-2 Vendi scores (Pasarkar & Dieng 2024),
      for outputs and for real examples, except that pairs of a signal with itself are left out. Therefore, it does not
      depend on n. It is about 1 if outputs are as diverse as real data, and 0.05 if all outputs are equal.
    * ``diversity_within/E@n``: like ``diversity``, but for pairs of signals of one class, with a separate bandwidth.
      Measured for conditional games only. It shows the diversity that latents alone produce.
    * ``kernel/E@n``: kernel distance between outputs and real examples, see `kernel_distance`. 0 for equal
      distributions.
    * ``classes/E@n``: number of classes among outputs divided by the number of classes among equally many real
      examples. A signal gets the class of the nearest labelled example.
    * ``saturation``: fraction of output values at full scale, minus this fraction in real examples. Not measured for
      points.
    * ``accuracy_train``, ``accuracy_held_out``: probability that the critic scores a training example, or a held-out
      example, above an output. 0.5 is guessing.
    * ``train_over_held_out``: probability that the critic scores a training example above a held-out one. 0.5 unless
      the critic memorises.
    * ``translation/...``: metrics of `audiogan.monitors.translation_probe.TranslationProbe`, for games with a source.

    Args:
        game: a `audiogan.games.Generative` game. Metrics of the critic need its method ``real_logits``.
        embedding: function from signals ``[B, ...]`` on the CPU to features ``[B, D]``.
        train: training data.
        held_out: held-out data. Metrics of the critic are left out if it is empty or ``None``.
        count: number of signals of each kind, at least 8.
        seed: seed for latents and for the choice of examples.
    """

    def __init__(
        self, game: Any, embedding: Embedding, train: Any, held_out: Any = None, count: int = 64, seed: int = 0
    ) -> None:
        if count < MIN_COUNT:
            raise ValueError(f"count={count} must be at least {MIN_COUNT}")
        self.game, self.embedding = game, embedding
        rng = np.random.default_rng([seed, 77])
        generator = torch.Generator().manual_seed(seed + 77)
        beside: Mapping[str, Tensor] = {}
        if game.required_inputs:
            given = held_out if held_out is not None and len(held_out) else train
            places = game.source_and_target_rows(given)[0]
            different = min(count, len(places))
            beside = _columns(given, np.resize(rng.permutation(places), count), game)
            self.inputs = game.draw_for_batch(beside, generator)
        else:
            self.inputs = game.draw(count, generator)
        self.beside = {name: value for name, value in beside.items() if name != "x"}
        for name, spec in game.inputs.items():
            self.beside |= spec.to_batch(self.inputs[name])
        self.real = _Examples(train, count, rng, game)
        usable = held_out is not None and len(held_out) and len(game.source_and_target_rows(held_out)[1])
        self.held_out = _Examples(held_out, count, rng, game) if usable else None
        features = embed(self.real.x, embedding, batch=BATCH, data_name="the training data")
        self.count = len(features)
        self.features = features
        self.bandwidth = fit_bandwidth(features, REAL_SIMILARITY)
        self.edge = float(self.real.x.abs().max())
        kinds = game.kind_indices(self.inputs)
        self._labels = None if kinds is None else kinds.cpu().numpy()
        self._within = 0.0
        if self.real.labels is not None and _pairs(len(features), self.real.labels).sum() >= MIN_PAIRS:
            self._within = fit_bandwidth(features, REAL_SIMILARITY, self.real.labels)
        self._library: tuple[Features, NDArray[np.int64]] | None = None
        self._classes = 0
        if self.real.labels is not None:
            library = _Examples(train, MAX_LIBRARY, rng, game)
            assert library.labels is not None
            self._library = embed(library.x, embedding, batch=BATCH, data_name="the training data"), library.labels
            self._classes = self._count_classes(features)
        self.translation: TranslationProbe | None = None
        if beside and is_translation(game):
            given, other = ({name: value[:different] for name, value in part.items()} for part in (self.inputs, beside))
            self.translation = TranslationProbe(game, embedding, given, other, self.real.x.float(), generator)

    def measure(self) -> dict[str, float]:
        """Return all metrics that the game and the data support. Non-finite outputs give only ``finite: 0``."""
        count = len(next(iter(self.inputs.values())))
        parts = [
            self.game.generate({name: value[i : i + BATCH] for name, value in self.inputs.items()})
            for i in range(0, count, BATCH)
        ]
        x = torch.cat(parts).detach().cpu()
        if not torch.isfinite(x).all():
            return {"finite": 0.0}
        features = embed(x, self.embedding, batch=BATCH, data_name="outputs")
        name = f"{self.embedding.name}@{self.count}"
        figures = {
            f"diversity/{name}": REAL_SIMILARITY / max(mean_similarity(features, self.bandwidth), 1e-9),
            f"kernel/{name}": kernel_distance(features, self.features),
        }
        if x.dim() > 2:  # Points have no full scale.
            figures["saturation"] = _saturated(x, self.edge) - _saturated(self.real.x, self.edge)
        if self._labels is not None and self._within:
            within = mean_similarity(features, self._within, self._labels)
            figures[f"diversity_within/{name}"] = REAL_SIMILARITY / max(within, 1e-9)
        if self._library is not None and self._classes > 1:
            figures[f"classes/{name}"] = self._count_classes(features) / self._classes
        if self.translation is not None:
            found = self.translation.measure(x, features)
            figures |= {f"translation/{name}": value for name, value in found.items()}
        return figures | self._critic(x)

    def _critic(self, x: Tensor) -> dict[str, float]:
        if self.held_out is None or not hasattr(self.game, "real_logits"):
            return {}
        fake = self._scores({**self.beside, "x": x})
        train, held_out = self._scores(self.real.batch), self._scores(self.held_out.batch)
        return {
            "accuracy_train": auc(train, fake),
            "accuracy_held_out": auc(held_out, fake),
            "train_over_held_out": auc(train, held_out),
        }

    def _scores(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the critic's logits for examples at regular intervals in a batch, because data may be sorted by
        class."""
        device = next(self.game.parameters()).device
        apart = math.ceil(len(batch["x"]) / MAX_SCORED)
        return self.game.real_logits({name: values[::apart].to(device) for name, values in batch.items()}).float()

    def _count_classes(self, features: Features) -> int:
        assert self._library is not None
        library, labels = self._library
        index = nearest(features, library)[1]
        return len(np.unique(labels[index]))


class _Examples:
    """A batch of real examples with ``x`` ``[n, *shape]`` and, if the data has labels, ``labels`` ``[n]``."""

    def __init__(self, data: Any, count: int, rng: np.random.Generator, game: Any) -> None:
        places = game.source_and_target_rows(data)[1]
        index = places[np.sort(rng.permutation(len(places))[:count])]
        self.batch = _columns(data, index, game)
        self.x: Tensor = self.batch["x"]
        label = self.batch.get("label")
        self.labels: NDArray[np.int64] | None = None if label is None else label.numpy().astype(np.int64)


def _columns(data: Any, places: NDArray[np.int64], game: Any) -> dict[str, Tensor]:
    """Return the columns that a game needs, for some examples, on the CPU."""
    names = [name for name in data.columns if name in game.used_columns()]
    batch = {name: data.column(name, places).cpu() for name in names}
    return {**batch, "x": batch["x"].float()}


def mean_similarity(x: Features, bandwidth: float, labels: NDArray[np.int64] | None = None) -> float:
    """Return the mean Gaussian kernel exp(-|a - b|² / (2 bandwidth²)) over all pairs of different rows a, b of ``x``.

    Args:
        x: features ``[N, D]``.
        bandwidth: width of the Gaussian kernel, greater than 0.
        labels: class of each row ``[N]``. If given, only pairs of equal class count.

    Returns:
        Similarity from 0 (all rows far apart) to 1 (all rows identical). 0 if there are no pairs.
    """
    squares = (x**2).sum(1)
    squared = (squares[:, None] + squares - 2 * x @ x.T).clip(0)[_pairs(len(x), labels)]
    return float(np.exp(squared / (-2 * bandwidth**2)).mean()) if len(squared) else 0.0


def _pairs(n: int, labels: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    """Return a mask ``[n, n]`` of the pairs of different rows, and of equal class if labels are given."""
    pairs = ~np.eye(n, dtype=bool)
    return pairs if labels is None else pairs & (labels[:, None] == labels)


def fit_bandwidth(x: Features, target_similarity: float, labels: NDArray[np.int64] | None = None) -> float:
    """Return the kernel bandwidth at which the mean similarity of the rows of ``x`` has a given value.

    Args:
        x: features ``[N, D]``.
        target_similarity: mean similarity to reach, in (0, 1). See `mean_similarity`.
        labels: class of each row ``[N]``. If given, only pairs of equal class count.

    Returns:
        The bandwidth. It is a very small number if all rows are identical.
    """
    squares = (x**2).sum(1)
    squared = (squares[:, None] + squares - 2 * x @ x.T).clip(0)[_pairs(len(x), labels)]
    low, high = 1e-9, 1e-9 + 10 * float(np.sqrt(squared.max()))
    for _ in range(60):
        middle = np.sqrt(low * high)
        if np.exp(squared / (-2 * middle**2)).mean() < target_similarity:
            low = middle
        else:
            high = middle
    return float(high)


def auc(positives: Tensor, negatives: Tensor) -> float:
    """Return the probability that a value of ``positives`` exceeds a value of ``negatives``. Ties count half."""
    return float(auc_tensor(positives, negatives))


def auc_tensor(positives: Tensor, negatives: Tensor) -> Tensor:
    """Return the result of `auc` as a scalar tensor on the device of the arguments."""
    return 0.5 + 0.5 * torch.sign(positives.reshape(-1, 1) - negatives.reshape(1, -1)).mean()


def _saturated(x: Tensor, edge: float) -> float:
    return float((x.abs() >= SATURATION_LEVEL * edge).float().mean())
