"""What a classifier of the user's own classes says about generated samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogan.features.embedding import embed
from audiogan.metrics.classifier import Classifier
from audiogan.metrics.diversity import inception_score
from audiogan.metrics.report import BETTER, Report, compare, matched

__all__ = ["agreement", "evaluate_labelled"]

BETTER = {**BETTER, "inception": "higher", "agreement": "higher"}


def agreement(
    probabilities: NDArray[np.float64], classes: NDArray[np.int64], labels: list[str]
) -> tuple[float, dict[str, float]]:
    """Share of samples to which the classifier gives the class they should have, and the same by class.

    Args:
        probabilities: of the classes `[N, K]`.
        classes: that were asked for, or that real samples have, int64 `[N]`.
        labels: names of the K classes. Those that do not occur are left out.

    Raises:
        ValueError: lengths that differ, or no samples.
    """
    if not 0 < len(classes) == len(probabilities):
        raise ValueError(f"need a class for each of at least one sample, got {len(classes)} for {len(probabilities)}")
    right = probabilities.argmax(1) == classes
    return float(right.mean()), {labels[k]: float(right[classes == k].mean()) for k in np.unique(classes)}


def evaluate_labelled(
    fake: Any,
    real: Any,
    *,
    classifier: Classifier,
    train: Any,
    asked: NDArray[np.int64] | None = None,
    truth: NDArray[np.int64] | None = None,
    count: int | None = None,
    seed: int = 0,
) -> Report:
    """Measure generated samples by a classifier that was trained on ``train``.

    As in `evaluate`, n samples of each kind are used, and frechet (FID), kernel (KID), precision, recall, density,
    coverage and diversity are measured in the classifier's last hidden layer; their floor is n samples of ``train``,
    which the classifier has seen.

    * inception: Inception-style score (Salimans et al. 2016, sec. 4), from 1 to the number of classes; the floor is the
      reference's;
    * agreement (with ``asked``): share of samples that the classifier takes for what was asked for; the floor is the
      share of real samples that it takes for what they are: its held-out accuracy. ``details`` has the shares by class.

    Args:
        fake: generated signals `[N, *shape]`.
        real: held-out real signals `[M, *shape]`.
        classifier: see `train_classifier`.
        train: real signals it was trained on.
        asked: class that each of ``fake`` was to have, int64 `[N]`; None if the generator knows no classes.
        truth: class of each of ``real``, int64 `[M]`; None if they are not known, then agreement has no floor.
        count, seed: see `evaluate`.

    Raises:
        ValueError: see `evaluate`.
    """
    counts = {"fake": len(fake), "real": len(real), "train": len(train)}
    n = matched(counts, count)
    rng = np.random.default_rng(seed)
    chosen, reference, seen = (rng.permutation(size)[:n] for size in counts.values())
    x = embed(fake, classifier, index=chosen, what="fake")
    y = embed(real, classifier, index=reference, what="real")
    z = embed(train, classifier, index=seen, what="train")
    of_fake, of_real = classifier.probabilities(x), classifier.probabilities(y)
    values: dict[str, float] = {"inception": inception_score(of_fake), **compare(x, y)}
    floor: dict[str, float] = {"inception": inception_score(of_real), **compare(z, y)}
    details: dict[str, dict[str, float]] = {}
    suffix = f"{classifier.name}@{n}"
    if asked is not None:
        values["agreement"], details[f"agreement/{suffix}"] = agreement(of_fake, asked[chosen], classifier.labels)
        if truth is not None:
            floor["agreement"], _ = agreement(of_real, truth[reference], classifier.labels)
    return Report(
        values={f"{k}/{suffix}": v for k, v in values.items()},
        floor={f"{k}/{suffix}": v for k, v in floor.items()},
        better={f"{k}/{suffix}": BETTER[k] for k in values},
        counts=counts,
        details=details,
    )
