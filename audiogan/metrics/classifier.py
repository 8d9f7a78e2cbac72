"""A classifier of labelled data that predicts the classes of samples and extracts features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.core.checkpoint import save_tensors
from audiogan.errors import UserError
from audiogan.files import cache_dir
from audiogan.metrics.convnet import (
    STANDARD_RECIPE,
    ClassifierNet,
    ClassifierRecipe,
    ToImages,
    digest,
    fit,
    load_pictures,
    stratified_sample,
    to_pictures,
)

if TYPE_CHECKING:
    from audiogan.data.table import Table

__all__ = ["Classifier", "train_classifier"]

MAX_PIXEL_VALUES = 2**26
"""Largest number of pixel values in the training set (256 MB in float32). Larger data sets are subsampled."""


class Classifier:
    """A trained classifier. As an `Embedding`, it extracts the features of its last hidden layer.

    Args:
        net: a trained network.
        to_images: function from signals ``[B, *shape]`` to pictures, see `audiogan.modalities.Modality.to_images`.
        labels: names of the classes.

    Attributes:
        name: name of the embedding. It contains the number of features and a hash of the weights, e.g.
            ``cnn128-1f2e3d4c``. Two classifiers with the same data and recipe have the same name only if training gave
            bit-identical weights.
    """

    def __init__(self, net: ClassifierNet, to_images: ToImages, labels: Sequence[str]) -> None:
        self.net, self.to_images, self.labels = net, to_images, list(labels)
        self.name = f"cnn{net.head.in_features}-{_hash_weights(net)[:8]}"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        """Return features ``[B, D]``, float64, of signals ``[B, *shape]``."""
        return self.net(to_pictures(x, self.to_images)).double().numpy()

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return class probabilities ``[N, K]`` for features ``[N, D]``."""
        logits = self.net.head(torch.from_numpy(features).float())
        return torch.softmax(logits.double(), 1).numpy()


def train_classifier(
    data: Table,
    *,
    recipe: ClassifierRecipe = STANDARD_RECIPE,
    seed: int = 0,
    cache: Path | None = None,
    progress: bool = True,
) -> Classifier:
    """Return a classifier trained on labelled data.

    The weights are cached in a file. A later call with the same data, recipe and seed loads this file instead of
    training.

    Args:
        data: labelled training data. Use held-out data to measure the accuracy.
        recipe: architecture and training settings.
        seed: seed for the initial weights and the order of examples.
        cache: folder for the weights. Default: the user's cache folder.
        progress: show a progress bar in a terminal.

    Raises:
        UserError: the data has no labels or only one class, or the cache cannot be written.

    Examples:
        >>> import tempfile
        >>> from audiogan.data import open_images
        >>> from audiogan.metrics import ClassifierRecipe, train_classifier
        >>> small = ClassifierRecipe(widths=(4,), features=8, examples=16, epochs=1, least=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     train_classifier(open_images("digits"), recipe=small, cache=folder, progress=False).labels[:3]
        ['0', '1', '2']
    """
    if len(np.unique(data.targets)) < 2:
        raise UserError(f"a classifier needs data with labels of at least two classes: {data.source}")
    to_images = data.modality.to_images
    size = load_pictures(data, to_images, index=np.zeros(1, np.int64)).numel()
    rows = stratified_sample(data.targets, max(MAX_PIXEL_VALUES // size, 1), np.random.default_rng(seed))
    x, y = load_pictures(data, to_images, index=rows), torch.from_numpy(np.asarray(data.targets)[rows])
    key = digest(recipe.key, str(seed), json.dumps(data.labels), x, y)
    path = cache_dir("classifiers", cache) / f"{key}.safetensors"
    net = _load_weights(path, ClassifierNet(x.shape[1:], len(data.labels), recipe))
    if net is None:
        from tqdm import tqdm

        total = recipe.steps(len(x))
        with tqdm(total=total, desc="training a classifier", leave=False, disable=None if progress else True) as bar:
            net = fit(x, y, len(data.labels), recipe=recipe, seed=seed, on_step=bar.update)
        _save_weights(path, net)
    return Classifier(net, to_images, data.labels)


def _hash_weights(net: ClassifierNet) -> str:
    return digest(*(part for name, tensor in sorted(net.state_dict().items()) for part in (name, tensor)))


def _save_weights(path: Path, net: ClassifierNet) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    try:
        save_tensors(path, tensors, {"weights": _hash_weights(net)})
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write {path} ({reason}): free disk space there or set AUDIOGAN_CACHE") from error


def _load_weights(path: Path, net: ClassifierNet) -> ClassifierNet | None:
    """Load weights from a file into ``net``. Return ``None`` if the file is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            written = (file.metadata() or {}).get("weights")
            net.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118  (not a dict)
    except (OSError, SafetensorError, RuntimeError):
        return None
    whole = written == _hash_weights(net)
    return net.to(memory_format=torch.channels_last).eval().requires_grad_(False) if whole else None
