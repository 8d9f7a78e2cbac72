"""Distances to the nearest neighbour, as in the WaveGAN paper: among generated samples, and to the training data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiogan.features.embedding import embed
from audiogan.metrics.convnet import to_pictures
from audiogan.metrics.neighbours import nearest
from audiogan.metrics.report import Report

if TYPE_CHECKING:
    from audiogan.modalities import Modality

__all__ = ["PictureEmbedding", "distance_within", "evaluate_spacing"]


class PictureEmbedding:
    """An `Embedding` that returns the pixels of `Modality.to_images`, the inputs of classifiers.

    Args:
        modality: kind of the signals, such as `audiogan.modalities.Sound`.
        shape: shape of a signal. The modality's ``image_settings_name(shape)`` must not be ``None``.
    """

    def __init__(self, modality: Modality, shape: Sequence[int]) -> None:
        name = modality.image_settings_name(shape)
        if name is None:
            raise ValueError(f"no distances are defined between pictures of {modality.noun}s")
        self.modality, self.name = modality, name

    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        """Return features ``[B, D]`` of signals ``[B, *shape]``. For sounds they are in -1 ... 1; a difference of 2 is
        60 dB.
        """
        return to_pictures(x, self.modality.to_images).flatten(1).double().numpy()


def distance_within(x: NDArray[np.float64]) -> float:
    """Return the mean distance of each sample to its nearest neighbour in the same set.

    Args:
        x: features ``[N, D]``, N >= 2.

    Raises:
        ValueError: there are fewer than two samples.
    """
    if len(x) < 2:
        raise ValueError(f"need at least two samples, got {len(x)}")
    return float(nearest(x, x, k=2)[0].mean())  # k=2, because the first neighbour is the sample itself.


def evaluate_spacing(fake: Any, real: Any, train: Any | None, embedding: PictureEmbedding) -> Report:
    """Measure distances to nearest neighbours, |D|_self and |D|_train in the WaveGAN paper.

    Distances are Euclidean, between pictures as the classifier receives them. The floor of a metric is its value for
    held-out sounds instead of generated ones. The paper reports values divided by the floor.

    * ``distance_within``: mean distance of a sound to its nearest neighbour in the same set. Values below the floor
      mean that generated sounds are less diverse than real sounds; values near 0 mean a mode collapse.
    * ``distance_to_train``, with ``train``: mean distance to the nearest training sound. Values far below the floor
      mean that sounds are copies of training sounds. Values above the floor mean that sounds are unlike the data.

    Args:
        fake: generated sounds ``[N, C, T]``.
        real: held-out real sounds ``[N, C, T]``. N must be the same as for ``fake``.
        train: training sounds ``[K, C, T]``. K is part of the metric's name, because distances decrease as K increases.
        embedding: embedding of the sounds.

    Raises:
        ValueError: the numbers of fake and real sounds differ or are below two, or samples are not finite.

    Source: Donahue et al. 2019, "Adversarial Audio Synthesis", section 4.2.
    """
    if len(fake) != len(real):
        raise ValueError(f"need equally many real and generated sounds, got {len(real)} and {len(fake)}")
    x, y = embed(fake, embedding, data_name="fake"), embed(real, embedding, data_name="real")
    name = f"distance_within/{embedding.name}@{len(x)}"
    values, floor = {name: distance_within(x)}, {name: distance_within(y)}
    if train is not None:
        z = embed(train, embedding, data_name="train")
        name = f"distance_to_train/{embedding.name}@{len(x)}:train{len(z)}"
        values[name], floor[name] = (float(nearest(part, z)[0].mean()) for part in (x, y))
    return Report(values, floor, dict.fromkeys(values, "near floor"), {})
