"""Load the vocoder of models that generate spectrograms."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from torch import nn

from audiogan.errors import UserError
from audiogan.representations import MelSpectrogram, Representation, VocodedMel
from audiogan.run.build import build
from audiogan.run.model_files import read_bundle, shipped_models
from audiogan.utils.text import printable


def attach_vocoder(representation: Representation) -> Representation:
    """Load the vocoder of a `VocodedMel` and return the representation. Other representations are not changed.

    Only shipped vocoders are loaded, because an untrusted model file must not decide which files are read.

    Raises:
        UserError: no shipped vocoder has this name, or its spectrogram has other settings.
    """
    if isinstance(representation, VocodedMel):
        network, settings = _shipped_vocoder(representation.vocoder_name)
        for name, value in representation.mel.settings.items():
            wanted = settings[name]
            if value != wanted:
                raise UserError(
                    f"representation.mel.{name}={value:g}: the vocoder {representation.vocoder_name!r} needs {wanted:g}"
                )
        representation.set_vocoder(network)
    return representation


@lru_cache(maxsize=4)
def _shipped_vocoder(name: str) -> tuple[nn.Module, dict[str, float]]:
    """Return a shipped vocoder and the settings of its spectrogram."""
    path = shipped_models().get(name)
    about, weights, _ = read_bundle(path) if path is not None else ({}, {}, "")
    game: Any = about.get("config", {}).get("game", {})
    if "mel" not in game.get("generator", {}):
        raise UserError(f"representation.vocoder={printable(repr(name))[:60]}: no shipped vocoder has this name")
    network: nn.Module = build(game["generator"], "game.generator")
    prefix = "nets.generator."
    network.load_state_dict({k.removeprefix(prefix): w for k, w in weights.items() if k.startswith(prefix)})
    return network.eval().requires_grad_(False), MelSpectrogram(**game["generator"]["mel"]).settings
