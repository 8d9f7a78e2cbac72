"""Transfer: accuracy of a linear classifier on the critic's features of real data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from audiogan.features.embedding import Embedding, embed
from audiogan.metrics.convnet import ToImages, stratified_sample, to_pictures
from audiogan.metrics.report import Report

if TYPE_CHECKING:
    from audiogan.data.table import Table

__all__ = ["FunctionEmbedding", "SmallPictures", "evaluate_transfer", "linear_probe_accuracy"]

INVERSE_PENALTIES = (1e-4, 1e-2, 1.0)
"""Inverse strengths of the L2 penalty. `linear_probe_accuracy` chooses one of them."""
PIXELS = 32
"""Largest height and width of the pictures of `SmallPictures`, in pixels."""
COMPONENTS = 256
"""Largest number of features of a linear classifier. More features are reduced to this number of components."""


class FunctionEmbedding:
    """An `Embedding` that applies a function to signals.

    Args:
        name: name of the embedding in reports.
        function: function from signals ``[B, *shape]`` to features ``[B, ...]``, which are flattened.
    """

    def __init__(self, name: str, function: Callable[[Tensor], Tensor]) -> None:
        self.name, self.function = name, function

    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        return self.function(x).detach().cpu().flatten(1).double().numpy()


class SmallPictures(FunctionEmbedding):
    """An `Embedding` that averages images or spectrograms down to at most 32 x 32 pixels, as a baseline without a
    network."""

    def __init__(self, to_images: ToImages) -> None:
        super().__init__(f"picture{PIXELS}", lambda x: _shrink(to_pictures(x, to_images)))


def _shrink(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, (min(x.shape[2], PIXELS), min(x.shape[3], PIXELS)))


def linear_probe_accuracy(
    x: NDArray[np.float64], y: NDArray[np.int64], x_test: NDArray[np.float64], y_test: NDArray[np.int64]
) -> float:
    """Train a logistic regression and return its accuracy on test data.

    Features are standardised. If there are more than 256, they are reduced to the first 256 principal components. A
    larger layer therefore does not give the regression more weights. The strength of the L2 penalty is chosen from
    three values on a fifth of the training examples.

    Args:
        x: training features ``[N, D]``.
        y: training classes ``[N]``.
        x_test: test features ``[M, D]``.
        y_test: test classes ``[M]``.
    """
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, deviation = x.mean(0), x.std(0)
    deviation[deviation < 1e-9] = 1.0
    seen, new = (((part - mean) / deviation).astype(np.float32) for part in (x, x_test))
    if min(seen.shape) > COMPONENTS:
        components = PCA(COMPONENTS, svd_solver="randomized", iterated_power=2, random_state=0).fit(seen)
        seen, new = components.transform(seen), components.transform(new)
    kept = np.ones(len(seen), bool)
    kept[stratified_sample(y, len(seen) // 5, np.random.default_rng(0))] = False

    def fitted(inverse_penalty: float, rows: NDArray[np.bool_]) -> LogisticRegression:
        with warnings.catch_warnings():
            # The fit may stop before it converges, because more iterations hardly change the accuracy.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return LogisticRegression(C=inverse_penalty, max_iter=200).fit(seen[rows], y[rows])

    best = max(INVERSE_PENALTIES, key=lambda c: fitted(c, kept).score(seen[~kept], y[~kept]))
    return float(fitted(best, np.ones(len(seen), bool)).score(new, y_test))


def evaluate_transfer(
    embeddings: Mapping[str, Embedding], train: Table, held_out: Table, *, count: int = 4000, seed: int = 0
) -> Report:
    """Measure how well linear classifiers predict classes from embeddings of real data.

    Args:
        embeddings: name -> embedding. The first is the one to evaluate, the others are baselines.
        train: labelled real data for training.
        held_out: labelled real data for testing.
        count: largest number of examples of each set. The class proportions are kept.
        seed: seed for the choice of examples.

    Returns:
        The accuracy on ``held_out`` for each embedding, see `linear_probe_accuracy`.

    Raises:
        ValueError: the data has no labels, or features are not finite.

    Source: Radford et al. 2016, "Unsupervised Representation Learning with DCGAN", section 5.1.
    """
    if not len(train.targets) or not len(held_out.targets):
        raise ValueError(f"transfer needs labelled data, got {train.source} and held-out {held_out.source}")
    rng = np.random.default_rng(seed)
    rows, others = (stratified_sample(np.asarray(data.targets), count, rng) for data in (train, held_out))
    x, y = train.signals(rows), np.asarray(train.targets)[rows]
    x_test, y_test = held_out.signals(others), np.asarray(held_out.targets)[others]
    values = {
        f"transfer/{name}@{len(rows)}": linear_probe_accuracy(
            embed(x, embedding, data_name=name), y, embed(x_test, embedding, data_name=name), y_test
        )
        for name, embedding in embeddings.items()
    }
    first, *rest = values
    better = {first: "higher"} | dict.fromkeys(rest, "baseline")
    return Report(values, {}, better, {"train": len(rows), "held_out": len(others)})
