"""Transfer: what a linear probe reads from the critic's features of real data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from audiogan.features.embedding import Embedding, embed
from audiogan.metrics.convnet import Picture, glance, some_of_each
from audiogan.metrics.report import Report

if TYPE_CHECKING:
    from audiogan.data.table import Table

__all__ = ["Function", "Pictures", "probe", "transfer"]

STRENGTHS = (1e-4, 1e-2, 1.0)
PIXELS = 32
COMPONENTS = 256


class Function:
    """An `Embedding` made of a name and of a function of signals `[B, *shape]` that gives features `[B, D]`."""

    def __init__(self, name: str, function: Callable[[Tensor], Tensor]) -> None:
        self.name, self.function = name, function

    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        return self.function(x).detach().cpu().flatten(1).double().numpy()


class Pictures(Function):
    """The picture itself, averaged down to at most 32 x 32: what there is to read without a network."""

    def __init__(self, picture: Picture) -> None:
        super().__init__(f"picture{PIXELS}", lambda x: _small(glance(x, picture)))


def _small(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, (min(x.shape[2], PIXELS), min(x.shape[3], PIXELS)))


def probe(x: NDArray[np.float64], y: NDArray[np.int64], unseen: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Accuracy on features ``unseen`` `[M, D]` of a logistic regression on ``x`` `[N, D]`.

    Features are standardised; of more than 256 the regression sees the first 256 principal components, so wide layers
    have no more weights to learn than narrow ones (and it takes seconds). The strength of the L2 penalty is the best of
    three on a fifth of the training examples; then it is fitted to all of them.
    """
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, deviation = x.mean(0), x.std(0)
    deviation[deviation < 1e-9] = 1.0
    seen, new = (((part - mean) / deviation).astype(np.float32) for part in (x, unseen))
    if min(seen.shape) > COMPONENTS:
        components = PCA(COMPONENTS, svd_solver="randomized", iterated_power=2, random_state=0).fit(seen)
        seen, new = components.transform(seen), components.transform(new)
    kept = np.ones(len(seen), bool)
    kept[some_of_each(y, len(seen) // 5, np.random.default_rng(0))] = False

    def fitted(strength: float, rows: NDArray[np.bool_]) -> LogisticRegression:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of the weights do not matter here
            return LogisticRegression(C=strength, max_iter=200).fit(seen[rows], y[rows])

    best = max(STRENGTHS, key=lambda strength: fitted(strength, kept).score(seen[~kept], y[~kept]))
    return float(fitted(best, np.ones(len(seen), bool)).score(new, truth))


def transfer(
    embeddings: Mapping[str, Embedding], train: Table, held_out: Table, *, count: int = 4000, seed: int = 0
) -> Report:
    """Linear probes (`probe`; Radford et al. 2016, sec. 5.1) on each embedding of real data: accuracy on ``held_out``.

    Args:
        embeddings: by the name they get in the report; all but the first are baselines.
        train: labelled real data, of which at most ``count`` are used, each class in its share.
        held_out: labelled real data, at most ``count`` as well.
        seed: of the choice.

    Raises:
        ValueError: data without labels, or features that are not finite.
    """
    if not len(train.targets) or not len(held_out.targets):
        raise ValueError(f"transfer needs labelled data: {train.source}; held out: {held_out.source}")
    rng = np.random.default_rng(seed)
    rows, others = (some_of_each(np.asarray(data.targets), count, rng) for data in (train, held_out))
    x, y = train.signals(rows), np.asarray(train.targets)[rows]
    unseen, truth = held_out.signals(others), np.asarray(held_out.targets)[others]
    values = {
        f"transfer/{name}@{len(rows)}": probe(embed(x, by, what=name), y, embed(unseen, by, what=name), truth)
        for name, by in embeddings.items()
    }
    first, *rest = values
    better = {first: "higher"} | dict.fromkeys(rest, "baseline")
    return Report(values, {}, better, {"train": len(rows), "held_out": len(others)})
