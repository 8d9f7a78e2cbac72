"""Metadata of exported model files."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from audiogan import __version__
from audiogan.data.sounds.knobs import KNOBS
from audiogan.run.model_files import shipped_models

if TYPE_CHECKING:
    from audiogan.model.generator import Generator


def model_metadata(generator: Generator, card: str = "", route: str | None = None) -> dict[str, str]:
    """Return the metadata of a model as a dict of strings. Lists and mappings are encoded as JSON.

    Keys:

    - ``audiogan``: version of the package.
    - ``model``, ``step``: name of the model, and number of training steps.
    - ``latent``: distribution of the latent: ``normal``, ``uniform`` or ``none``.
    - ``inputs``: description of each input.
    - ``generator``: name of the network, for models with several.
    - ``labels``: class names.
    - ``knobs``: list with one object per knob: its ``name``, its ``unit``, and ``values``, 65 values of the knob in
      this unit at evenly spaced settings from 0 to 1.
    - ``sample_rate``: in Hz, for sounds.
    - ``licence``, ``card``: licence and text of the model card, if there is one.

    Args:
        generator: the model.
        card: model card in Markdown. By default, the card of the model.
        route: name of the generator network, for models with several. None selects the first.

    Examples:
        >>> import audiogan
        >>> from audiogan.model.export import model_metadata
        >>> model_metadata(audiogan.load("drums"))["sample_rate"]
        '16000'
    """
    card = card or generator.card
    units = {name: KNOBS[name].unit if name in KNOBS else "" for name in generator.knobs}
    knobs = [{"name": name, "unit": units[name], "values": values} for name, values in generator.knobs.items()]
    name = generator.routes.find(route)
    inputs = {key: given for key, given in generator.inputs.items() if key in generator.game.nets[name].takes}
    metadata = {
        "audiogan": __version__,
        "model": _name(generator),
        "step": str(generator.step),
        "latent": getattr(generator.inputs.get("latent"), "distribution", "none"),
        "inputs": json.dumps({key: given.describe() for key, given in inputs.items()}, ensure_ascii=False),
        "labels": json.dumps(generator.labels, ensure_ascii=False),
        "knobs": json.dumps(knobs, ensure_ascii=False),
    }
    if len(generator.routes) > 1:
        metadata["generator"] = name
    if generator.modality.sample_rate is not None:
        metadata["sample_rate"] = str(generator.sample_rate)
    if card:
        metadata |= {"licence": card_licence(card), "card": card}
    return metadata


def card_licence(card: str) -> str:
    """Return the text under the heading "Licence" or "License" of a Markdown model card, or an empty string."""
    found = re.search(r"^##+ *licen[cs]e *\n(.*?)(?=^#|\Z)", card, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    return " ".join(found[1].split()) if found else ""


def _name(generator: Generator) -> str:
    """Return the name of a shipped model, or the name in the configuration, because a path would reveal private
    folders."""
    return generator.name if generator.name in shipped_models() else str(generator.config.get("name", "model"))
