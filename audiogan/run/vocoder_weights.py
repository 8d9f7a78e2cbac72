"""Weights of the vocoder that decodes spectrograms in a run (setting ``vocoder``)."""

from __future__ import annotations

from typing import Any

from audiogan.errors import UserError
from audiogan.representations import VocoderMel
from audiogan.run.initial import read_initial

PREFIX = "nets.generator."
"""Prefix of the names of a vocoder's weights in a model file."""


def load_vocoder(representation: VocoderMel, model: str | None) -> None:
    """Copy the weights of a trained vocoder into a representation.

    Args:
        representation: representation whose vocoder receives the weights.
        model: name of a shipped model, or path of a run folder, a checkpoint or a bundle.

    Raises:
        UserError: the model cannot be read, is no vocoder, or has another network or another mel spectrogram.
    """
    if not model:
        raise UserError("vocoder: no model; set vocoder=vocoder (shipped) or the run folder of a vocoder")
    try:
        found = read_initial(str(model))
    except UserError as error:
        raise UserError(str(error).replace("init=", "vocoder=", 1)) from error
    inputs = found.config.get("inputs")
    stated: Any = inputs.get("mel") if isinstance(inputs, dict) else None
    if not isinstance(stated, dict):
        raise UserError(f"vocoder={model}: not a vocoder, because it has no input 'mel'; choose a trained vocoder")
    settings = {**stated, "sample_rate": found.facts("modality", "sample_rate")}
    for name, value in representation.mel.settings.items():
        theirs = settings.get(name)
        theirs = representation.mel.sample_rate / 2 if name == "f_max" and theirs is None else theirs
        if theirs != value:
            raise UserError(f"vocoder={model}: its spectrogram has {name}={theirs}, but this run has {value:g}")
    weights = {key.removeprefix(PREFIX): value for key, value in found.weights.items() if key.startswith(PREFIX)}
    try:
        representation.vocoder.load_state_dict(weights)
    except RuntimeError as error:
        network = type(representation.vocoder).__name__
        raise UserError(
            f"vocoder={model}: its weights do not fit the network {network} of representation.vocoder; set its "
            "arguments to those of the model"
        ) from error
