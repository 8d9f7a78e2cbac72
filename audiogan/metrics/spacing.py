"""How far sounds lie from each other and from the training sounds, as the WaveGAN paper measures it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiogan.features.embedding import embed
from audiogan.metrics.convnet import glance
from audiogan.metrics.neighbours import nearest
from audiogan.metrics.report import Report

if TYPE_CHECKING:
    from audiogan.modalities import Modality

__all__ = ["SeenByClassifier", "distance_within", "evaluate_spacing"]


class SeenByClassifier:
    """An `Embedding`: the pictures of signals that `train_classifier` trains on, one feature per pixel.

    Args:
        modality: of the signals; its `Modality.images_name` must not be None for this shape.
        shape: of a signal.
    """

    def __init__(self, modality: Modality, shape: Sequence[int]) -> None:
        name = modality.images_name(shape)
        if name is None:
            raise ValueError(f"distances between pictures of {modality.noun}s are not measured")
        self.modality, self.name = modality, name

    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        """Signals `[B, *shape]` to features `[B, D]`; for sounds in -1 ... 1, where a difference of 2 is 60 dB."""
        return glance(x, self.modality.to_images).flatten(1).double().numpy()


def distance_within(x: NDArray[np.float64]) -> float:
    """Mean Euclidean distance of x `[N, D]` to its nearest neighbour in x other than itself.

    Raises:
        ValueError: fewer than two samples.
    """
    if len(x) < 2:
        raise ValueError(f"need at least two samples, got {len(x)}")
    return float(nearest(x, x, k=2)[0].mean())  # the nearest one is the sample itself


def evaluate_spacing(fake: Any, real: Any, train: Any | None, embedding: SeenByClassifier) -> Report:
    """|D|_self and |D|_train of Donahue et al. 2019 (section 4.2), beside those of real sounds that were held out.

    Distances are Euclidean, in the representation that the classifier sees, as there. (The paper gives them as a
    multiple of the held-out sounds': value / floor.)

    * distance_within: mean distance of a sound to its nearest neighbour in its own set; below the floor the set holds
      less variety than real sounds do, towards 0 it has collapsed;
    * distance_to_train (with ``train``): mean distance to the nearest training sound; below the floor, and towards 0,
      training sounds were copied; above it, sounds are unlike the data.

    Args:
        fake: generated sounds `[N, C, T]`.
        real: held-out real sounds, as many, because the distance within a set depends on its size.
        train: the sounds trained on `[K, C, T]`; the more there are, the nearer the nearest is, so K is in the name.

    Raises:
        ValueError: other numbers of fake than of real sounds, fewer than two, or samples that are not finite.
    """
    if len(fake) != len(real):
        raise ValueError(f"need as many real as generated sounds, got {len(real)} and {len(fake)}")
    x, y = embed(fake, embedding, what="fake"), embed(real, embedding, what="real")
    name = f"distance_within/{embedding.name}@{len(x)}"
    values, floor = {name: distance_within(x)}, {name: distance_within(y)}
    if train is not None:
        z = embed(train, embedding, what="train")
        name = f"distance_to_train/{embedding.name}@{len(x)}:train{len(z)}"
        values[name], floor[name] = (float(nearest(part, z)[0].mean()) for part in (x, y))
    return Report(values, floor, dict.fromkeys(values, "near floor"), {})
