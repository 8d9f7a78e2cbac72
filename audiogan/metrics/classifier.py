"""A classifier of the user's own labelled data: it names samples, and its last hidden layer is an extractor."""

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
from audiogan.metrics.convnet import STANDARD, ClassifierRecipe, Net, Picture, digest, fit, glance, look, some_of_each

if TYPE_CHECKING:
    from audiogan.data.table import Table

__all__ = ["Classifier", "train_classifier"]

VALUES = 2**26
"""Numbers in all pictures trained on, at most (256 MB); of more data a part is trained on."""


class Classifier:
    """An `Embedding` of signals `[B, *shape]` that can also name their class.

    Args:
        net: a trained network.
        picture: the modality's.
        labels: names of the classes.

    Attributes:
        name: the width of the features and a digest of the weights, e.g. ``cnn128-1f2e3d4c``. Classifiers trained on
            the same data by the same recipe have the same name only if arithmetic gave the same weights, to the bit.
    """

    def __init__(self, net: Net, picture: Picture, labels: Sequence[str]) -> None:
        self.net, self.picture, self.labels = net, picture, list(labels)
        self.name = f"cnn{net.head.in_features}-{_weights(net)[:8]}"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        """Signals `[B, *shape]` to features `[B, D]`, float64."""
        return self.net(glance(x, self.picture)).double().numpy()

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the classes `[N, K]`, given features `[N, D]`."""
        logits = self.net.head(torch.from_numpy(features).float())
        return torch.softmax(logits.double(), 1).numpy()


def train_classifier(
    data: Table, *, recipe: ClassifierRecipe = STANDARD, seed: int = 0, cache: Path | None = None, progress: bool = True
) -> Classifier:
    """The classifier of labelled ``data``, from the cache if it was trained before on the same pictures and settings.

    Args:
        data: training data only: what the classifier has seen says nothing about its accuracy.
        recipe, seed: see `fit`.
        cache: folder for the weights; by default the user's.
        progress: show a bar in a terminal.

    Raises:
        UserError: data without labels or of a single class, or a cache that cannot be written.
    """
    if len(np.unique(data.targets)) < 2:
        raise UserError(f"a classifier needs data with labels of at least two classes: {data.source}")
    picture = data.modality.picture
    size = look(data, picture, index=np.zeros(1, np.int64)).numel()
    rows = some_of_each(data.targets, max(VALUES // size, 1), np.random.default_rng(seed))
    x, y = look(data, picture, index=rows), torch.from_numpy(np.asarray(data.targets)[rows])
    key = digest(recipe.key, str(seed), json.dumps(data.labels), x, y)
    path = cache_dir("classifiers", cache) / f"{key}.safetensors"
    net = _stored(path, Net(x.shape[1:], len(data.labels), recipe))
    if net is None:
        from tqdm import tqdm

        total = recipe.steps(len(x))
        with tqdm(total=total, desc="training a classifier", leave=False, disable=None if progress else True) as bar:
            net = fit(x, y, len(data.labels), recipe=recipe, seed=seed, tell=bar.update)
        _store(path, net)
    return Classifier(net, picture, data.labels)


def _weights(net: Net) -> str:
    return digest(*(part for name, tensor in sorted(net.state_dict().items()) for part in (name, tensor)))


def _store(path: Path, net: Net) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    try:
        save_tensors(path, tensors, {"weights": _weights(net)})
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError(f"cannot write {path} ({why}): make room there or set AUDIOGAN_CACHE") from error


def _stored(path: Path, net: Net) -> Net | None:
    """``net`` with the weights in the file; None if there is none, or not what was written."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            written = (file.metadata() or {}).get("weights")
            net.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118  (not a dict)
    except (OSError, SafetensorError, RuntimeError):
        return None
    whole = written == _weights(net)
    return net.to(memory_format=torch.channels_last).eval().requires_grad_(False) if whole else None
