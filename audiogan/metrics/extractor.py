"""Any torch module as an extractor, named by the person who asks for it."""

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
from audiogan.metrics.convnet import Picture, digest

__all__ = ["Extractor", "load_extractor"]


class Extractor:
    """An `Embedding` made of any network that gives features `[B, D]`, or maps `[B, D, h, w]`, which are averaged.

    Args:
        net: called in eval mode with pictures float32 `[B, C, H, W]` (images in -1 ... 1; sounds: log-mel), or with the
            signals themselves if its attribute ``wants`` is ``"signals"``.
        picture: the modality's.
        name: of the network; a digest of its weights is appended.
    """

    def __init__(self, net: nn.Module, picture: Picture, name: str) -> None:
        self.net = net.eval()
        self.picture: Picture = (lambda x: x) if getattr(net, "wants", "picture") == "signals" else picture
        state = sorted(net.state_dict().items())
        self.name = f"{name}-{digest(*(part for key, tensor in state for part in (key, tensor)))[:8]}"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        """Signals `[B, *shape]` to features `[B, D]`, float64; ValueError if the network gives something else."""
        out = self.net(self.picture(x.float()))
        if not isinstance(out, Tensor) or out.ndim < 2 or len(out) != len(x):
            got = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(f"extractor {self.name} must give features [{len(x)}, D], got {got}")
        return out.flatten(2).mean(2).double().numpy() if out.ndim > 2 else out.double().numpy()


def load_extractor(spec: str, picture: Picture, weights: str | os.PathLike[str] | None = None) -> Extractor:
    """Import a network by name. This runs the code of its module: `spec` may only come from the person at the keyboard.

    No configuration and no checkpoint can get here: it is a function, and they may only build classes.

    Args:
        spec: ``package.module:NAME``, found from the current folder on as Python finds modules. NAME is a network, or
            something that makes one when called without arguments (a class, a function).
        picture: the modality's.
        weights: a ``.safetensors`` file, or one that ``torch.load`` reads with ``weights_only=True``: a state dict, or
            one under the key ``state_dict``.

    Raises:
        UserError: no such module or name, not a network, or weights that do not fit.
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
    except Exception as error:  # whatever the user's own code raises
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"--extractor {spec}: {type(error).__name__}: {reason}") from error
    finally:
        sys.path.remove(here)
    if not isinstance(net, nn.Module):
        raise UserError(f"--extractor {spec}: it is a {type(net).__name__}, not a torch.nn.Module")
    if weights is not None:
        _load(net, Path(weights), spec)
    return Extractor(net.requires_grad_(False), picture, f"{module}.{path}")


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
