"""Feature extraction with a user's own PyTorch module."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiogan.errors import UserError
from audiogan.metrics.convnet import ToImages, digest

__all__ = ["Extractor", "load_extractor"]


class Extractor:
    """An `Embedding` that extracts features with any network.

    The network returns features ``[B, D]``, or maps ``[B, D, h, w]``, which are averaged over h and w.

    Args:
        net: network, called in eval mode with float32 pictures ``[B, C, H, W]`` (images in -1 ... 1, or log-mel
            spectrograms of sounds). If it has an attribute ``wants = "signals"``, it is called with the signals instead
            of pictures.
        to_images: function from signals to pictures, see `audiogan.modalities.Modality.to_images`.
        name: name of the network. A hash of its weights is appended.

    Examples:
        >>> import torch
        >>> from audiogan.metrics import Extractor
        >>> Extractor(torch.nn.Flatten(), lambda images: images, "pixels").name
        'pixels-e4a6a057'
    """

    def __init__(self, net: nn.Module, to_images: ToImages, name: str) -> None:
        self.net = net.eval()
        self.to_images: ToImages = (lambda x: x) if getattr(net, "wants", "picture") == "signals" else to_images
        state = sorted(net.state_dict().items())
        self.name = f"{name}-{digest(*(part for key, tensor in state for part in (key, tensor)))[:8]}"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        """Return features ``[B, D]``, float64, of signals ``[B, *shape]``.

        Raises:
            ValueError: the output of the network has another shape.
        """
        out = self.net(self.to_images(x.float()))
        if not isinstance(out, Tensor) or out.ndim < 2 or len(out) != len(x):
            got = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(f"extractor {self.name} must give features [{len(x)}, D], got {got}")
        return out.flatten(2).mean(2).double().numpy() if out.ndim > 2 else out.double().numpy()


def load_extractor(spec: str, to_images: ToImages, weights: str | os.PathLike[str] | None = None) -> Extractor:
    """Import a network by name and return it as an extractor.

    Importing runs the code of the module, so accept ``spec`` only from the user. Configurations and checkpoints cannot
    call this function, because they can only instantiate classes.

    Args:
        spec: ``package.module:NAME``. The module is looked up in the current folder and on Python's path. NAME is a
            network, or a class or function that returns one when called without arguments.
        to_images: function from signals to pictures, see `audiogan.modalities.Modality.to_images`.
        weights: file with a state dict, or with a state dict under the key ``state_dict``. It is a ``.safetensors``
            file, or a file that ``torch.load`` reads with ``weights_only=True``.

    Raises:
        UserError: the module or name does not exist, NAME is not a network, or the weights do not fit.
    """
    module, _, path = spec.partition(":")
    if not module or not path:
        raise UserError(f"--extractor {spec}: write MODULE:NAME, such as my_networks:Encoder")
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
        net = found if isinstance(found, nn.Module) else found()
    except Exception as error:  # The user's code can raise any exception.
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"--extractor {spec}: {type(error).__name__}: {reason}") from error
    finally:
        sys.path.remove(here)
    if not isinstance(net, nn.Module):
        raise UserError(f"--extractor {spec}: it is a {type(net).__name__}, not a torch.nn.Module")
    if weights is not None:
        _load(net, Path(weights), spec)
    return Extractor(net.requires_grad_(False), to_images, f"{module}.{path}")


def _load(net: nn.Module, path: Path, spec: str) -> None:
    from pickle import UnpicklingError

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix.lower() == ".safetensors":
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        if not isinstance(state, Mapping):
            raise TypeError("it holds no state dict")
        net.load_state_dict(state)
    except (OSError, SafetensorError, UnpicklingError, RuntimeError, TypeError, AttributeError, EOFError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not weights for {spec}: {reason}") from error
