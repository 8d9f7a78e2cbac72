"""What an exported file says of itself."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from audiogan import __version__
from audiogan.data.sounds.knobs import KNOBS
from audiogan.model.bundle import shipped

if TYPE_CHECKING:
    from audiogan.model.generator import Generator


def facts(generator: Generator, card: str = "", route: str | None = None) -> dict[str, str]:
    """Return the metadata of a model by name, as text; lists and mappings are JSON.

    ``audiogan`` (version), ``model``, ``step``, ``latent`` (``normal``, ``uniform`` or ``none``), ``inputs`` (a
    description of each), ``generator`` (its name, for a model of several), ``labels``, ``knobs`` (a list of ``name``,
    ``unit`` and ``values``: the 65 values in that unit for 0 ... 1), for sounds ``sample_rate`` in Hz; ``licence`` and
    ``card`` where a card has them.
    """
    card = card or generator.card
    units = {name: KNOBS[name].unit if name in KNOBS else "" for name in generator.knobs}
    knobs = [{"name": name, "unit": units[name], "values": values} for name, values in generator.knobs.items()]
    name = generator.route(route)
    inputs = {key: given for key, given in generator.inputs.items() if key in generator.game.nets[name].takes}
    told = {
        "audiogan": __version__,
        "model": _name(generator),
        "step": str(generator.step),
        "latent": getattr(generator.inputs.get("latent"), "distribution", "none"),
        "inputs": json.dumps({key: given.describe() for key, given in inputs.items()}, ensure_ascii=False),
        "labels": json.dumps(generator.labels, ensure_ascii=False),
        "knobs": json.dumps(knobs, ensure_ascii=False),
    }
    if len(generator.routes) > 1:
        told["generator"] = name
    if generator.modality.sample_rate is not None:
        told["sample_rate"] = str(generator.sample_rate)
    if card:
        told |= {"licence": licence(card), "card": card}
    return told


def licence(card: str) -> str:
    """The text below the heading "Licence" (or "License") of a card in Markdown, else nothing."""
    found = re.search(r"^##+ *licen[cs]e *\n(.*?)(?=^#|\Z)", card, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    return " ".join(found[1].split()) if found else ""


def _name(generator: Generator) -> str:
    """A shipped model's own name, else that of its configuration: a file's would tell of somebody's folders."""
    return generator.name if generator.name in shipped() else str(generator.config.get("name", "model"))
