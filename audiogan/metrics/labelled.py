"""Metrics of generated samples that use a classifier of labelled data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogan.features.embedding import embed
from audiogan.metrics.classifier import Classifier
from audiogan.metrics.diversity import inception_score
from audiogan.metrics.report import BETTER, Report, common_count, compare_features

__all__ = ["agreement", "evaluate_labelled"]

BETTER = {**BETTER, "inception": "higher", "agreement": "higher"}


def agreement(
    probabilities: NDArray[np.float64], classes: NDArray[np.int64], labels: list[str]
) -> tuple[float, dict[str, float]]:
    """Return the fraction of samples that the classifier assigns to their class in ``classes``, overall and by class.

    Args:
        probabilities: class probabilities ``[N, K]``.
        classes: requested class of each generated sample, or true class of each real sample, int64 ``[N]``.
        labels: names of the K classes. Classes without samples are left out of the result.

    Raises:
        ValueError: the lengths differ, or there are no samples.

    Examples:
        >>> import numpy as np
        >>> from audiogan.metrics import agreement
        >>> agreement(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), ["kick", "snare"])
        (0.5, {'kick': 1.0, 'snare': 0.0})
    """
    if not 0 < len(classes) == len(probabilities):
        raise ValueError(f"need one class per sample, got {len(classes)} classes for {len(probabilities)} samples")
    right = probabilities.argmax(1) == classes
    return float(right.mean()), {labels[k]: float(right[classes == k].mean()) for k in np.unique(classes)}


def evaluate_labelled(
    fake: Any,
    real: Any,
    *,
    classifier: Classifier,
    train: Any,
    requested_classes: NDArray[np.int64] | None = None,
    real_classes: NDArray[np.int64] | None = None,
    count: int | None = None,
    seed: int = 0,
) -> Report:
    """Measure generated samples with a classifier that was trained on ``train``.

    The metrics of `evaluate` (Fréchet and kernel distance, precision, recall, density, coverage, diversity) are
    computed on features of the classifier's last hidden layer. The generated, held-out and training signals are each
    reduced to n samples, as in `evaluate`. The floor (value for real data) is computed on n samples of ``train``. In
    addition:

    * ``inception``: inception score (Salimans et al. 2016, section 4), from 1 to the number of classes. The floor is
      the score of the real samples.
    * ``agreement``, with ``requested_classes``: fraction of samples that the classifier assigns to the requested class.
      The floor is the accuracy of the classifier on real samples. ``details`` has the fractions by class.

    Args:
        fake: generated signals ``[N, *shape]``.
        real: held-out real signals ``[M, *shape]``.
        classifier: see `train_classifier`.
        train: real signals on which the classifier was trained.
        requested_classes: class requested for each generated signal, int64 ``[N]``. ``None`` for an unconditional
            generator.
        real_classes: class of each real signal, int64 ``[M]``. ``None``: agreement has no floor.
        count: number of samples n of each kind (generated, held-out, training). Default: the size of the smallest set.
        seed: seed for the choice of samples.

    Raises:
        ValueError: see `evaluate`.
    """
    counts = {"fake": len(fake), "real": len(real), "train": len(train)}
    n = common_count(counts, count)
    rng = np.random.default_rng(seed)
    chosen, reference, seen = (rng.permutation(size)[:n] for size in counts.values())
    x = embed(fake, classifier, index=chosen, data_name="fake")
    y = embed(real, classifier, index=reference, data_name="real")
    z = embed(train, classifier, index=seen, data_name="train")
    of_fake, of_real = classifier.probabilities(x), classifier.probabilities(y)
    values: dict[str, float] = {"inception": inception_score(of_fake), **compare_features(x, y)}
    floor: dict[str, float] = {"inception": inception_score(of_real), **compare_features(z, y)}
    details: dict[str, dict[str, float]] = {}
    suffix = f"{classifier.name}@{n}"
    if requested_classes is not None:
        values["agreement"], details[f"agreement/{suffix}"] = agreement(
            of_fake, requested_classes[chosen], classifier.labels
        )
        if real_classes is not None:
            floor["agreement"], _ = agreement(of_real, real_classes[reference], classifier.labels)
    return Report(
        values={f"{k}/{suffix}": v for k, v in values.items()},
        floor={f"{k}/{suffix}": v for k, v in floor.items()},
        better={f"{k}/{suffix}": BETTER[k] for k in values},
        counts=counts,
        details=details,
    )
