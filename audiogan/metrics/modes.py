"""Number of modes that generated samples cover, for images whose channels are independent pictures (stacked digits)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiogan.data.columns import Labels, Signals
from audiogan.data.images.stacked import CHANNEL_LABELS
from audiogan.data.table import Table
from audiogan.features.embedding import embed
from audiogan.metrics.classifier import Classifier, train_classifier

MODE_SAMPLES = 25_600
"""Number of samples for counting modes: about 26 per mode of stacked MNIST. The larger this number, the more modes a
generator reaches."""


class StackedModes(NamedTuple):
    """Result of `count_stacked_modes`.

    Attributes:
        modes: number of modes with at least one sample.
        kl: Kullback-Leibler divergence in nats between the distribution of samples over modes and the uniform
            distribution. 0 means that all modes are equally frequent.
    """

    modes: int
    kl: float


def channel_classifier(train: Table, *, progress: bool = True) -> Classifier:
    """Return a classifier of single channels, trained on the channels of a table with the column ``channel_labels``.

    Args:
        train: training data.
        progress: show a progress bar in a terminal.
    """
    rows = np.arange(min(len(train), 4000))
    x = train.signals(rows).numpy()
    codes = train.column(CHANNEL_LABELS, rows).numpy().astype(np.int64).reshape(-1)
    pictures = Signals(x.reshape(-1, 1, *x.shape[2:]), train.modality)
    labels = Labels(codes, [str(i) for i in range(int(codes.max()) + 1)])
    return train_classifier(Table({"x": pictures, "label": labels}, len(codes)), progress=progress)


def count_stacked_modes(batches: Iterator[np.ndarray], classifier: Classifier) -> StackedModes:
    """Return the number of modes that images cover. A mode is a tuple of classes, one for each channel.

    Args:
        batches: images ``[N, C, H, W]`` in batches.
        classifier: classifier of single channels, see `channel_classifier`.

    Source:
        Metz et al., "Unrolled generative adversarial networks", ICLR 2017, section 3.3.1.
    """
    classes, found = len(classifier.labels), []
    channels = 1
    for x in batches:
        channels = x.shape[1]
        digits = classifier.probabilities(embed(x.reshape(-1, 1, *x.shape[2:]), classifier)).argmax(1)
        found.append(digits.reshape(-1, channels) @ classes ** np.arange(channels))
    return _coverage(np.concatenate(found), classes**channels)


def _coverage(modes: NDArray[np.int64], total: int) -> StackedModes:
    counts = np.bincount(modes, minlength=total)
    share = counts[counts > 0] / counts.sum()
    return StackedModes(int((counts > 0).sum()), float((share * np.log(share * total)).sum()))
