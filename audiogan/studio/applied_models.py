"""Models that the page Apply offers, and the description of their inputs from which the page builds its form."""

from __future__ import annotations

import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request

import audiogan.inputs
from audiogan.core.checkpoint import list_checkpoints
from audiogan.errors import UserError
from audiogan.inputs import Classes, Input, Knobs, Latent, Signal, Text
from audiogan.model.translation.signals import find_source
from audiogan.monitors.callback import flatten_settings, read_settings
from audiogan.run.model_files import read_bundle_config, shipped_models
from audiogan.studio.limits import Limits, Refused, Slots
from audiogan.studio.watching import Watching
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

MAX_MODELS = 100
"""Largest number of runs that the page lists. The most recent ones are listed."""
MAX_LOADED = 3
"""Maximum number of models in memory."""
MAX_TEXT = 10_000
"""Largest number of characters of a text, unless the model has a smaller limit."""
MAX_DESCRIPTION = 300
"""Largest length of a model's description, in characters."""


@dataclass(frozen=True)
class ModelFile:
    """Model that the page offers.

    Attributes:
        id: name of a shipped model, or the id of a run.
        name: name on the page.
        kind: "shipped", "run" or "file".
        path: run folder or model file. It is never sent to the page.
    """

    id: str
    name: str
    kind: str
    path: Path

    def cache_key(self) -> tuple[str, int]:
        """Return the newest file of the model and its modification time, which change while the run is training.

        Raises:
            Refused: the files of the model were deleted (status 404).
        """
        files = list_checkpoints(self.path / "checkpoints") if self.path.is_dir() else [self.path]
        try:
            return str(files[0]), files[0].stat().st_mtime_ns
        except (IndexError, OSError):
            raise Refused(404, f"the model {self.name} does not exist any more") from None


class AppliedModels:
    """Models that turn a given sound or text into a sound: shipped models, runs, and one more model.

    Args:
        watching: list of the runs.
        first: run folder or model file that the page selects at first. None: no further model.
    """

    def __init__(self, watching: Watching, first: Path | None = None) -> None:
        self.watching, self.first = watching, None
        if first is not None:
            shipped = next((name for name, path in shipped_models().items() if path == first), None)
            digest = hashlib.sha256(os.fsencode(first.absolute())).hexdigest()
            name = printable(first.absolute().name)[:200]
            kind = "run" if first.is_dir() else "file"
            self.first = ModelFile(shipped or digest[:12], shipped or name, "shipped" if shipped else kind, first)
        self.slots = Slots(1, 16, Limits.wait_seconds)
        self.running = Slots(1, 8, Limits.wait_seconds)
        self._needs: dict[tuple[str, int], bool] = {}
        self._loaded: OrderedDict[tuple[str, int], Generator] = OrderedDict()

    @classmethod
    def from_request(cls, request: Request) -> AppliedModels:
        return request.app.state.applied_models

    def find(self) -> dict[str, ModelFile]:
        """Return the models by id: the first model, shipped models, then runs from new to old."""
        offered = [self.first] if self.first else []
        for name, path in shipped_models().items():
            offered.append(ModelFile(name, name, "shipped", path))
        runs = [run for run in self.watching.find_runs().values() if list_checkpoints(run.folder / "checkpoints")]
        offered += [ModelFile(run.id, run.name, "run", run.folder) for run in runs[:MAX_MODELS]]
        found: dict[str, ModelFile] = {}
        for one in offered:
            if one is self.first or self._needs_sound_or_text(one):
                found.setdefault(one.id, one)
        return found

    def _needs_sound_or_text(self, model: ModelFile) -> bool:
        path = model.path / "config.yaml" if model.path.is_dir() else model.path
        try:
            key = str(path), path.stat().st_mtime_ns
            if key not in self._needs:
                config = read_settings(model.path) if model.path.is_dir() else read_bundle_config(path)
                self._needs[key] = needs_sound_or_text(flatten_settings(config))
        except (OSError, UserError):
            return False
        return self._needs[key]

    def load(self, model: ModelFile) -> Generator:
        """Load a model, or return it if it is in memory.

        Raises:
            UserError: the model cannot be loaded, or does not make sounds. The message does not contain its path.
        """
        from audiogan.model.loading import load

        key = model.cache_key()
        if key not in self._loaded:
            try:
                generator = load(model.path)
            except UserError as error:
                text = str(error).replace(str(model.path), model.name)
                raise UserError(printable(" ".join(text.split()))[:300]) from error
            if generator.modality.sample_rate is None:
                raise UserError(f"{model.name}: it makes {generator.modality.noun}s; the page Apply makes sounds")
            self._loaded[key] = generator
            while len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def get(self, id: str) -> ModelFile:
        """Return the model with this id.

        Raises:
            Refused: there is no such model (status 404).
        """
        found = self.find().get(id)
        if found is None:
            raise Refused(404, "there is no such model; reload the page")
        return found


def needs_sound_or_text(settings: Mapping[str, Any]) -> bool:
    """Return whether a model makes sounds and has an input, such as a sound or a text, that must be given.

    Args:
        settings: configuration of the model, flattened by `flatten_settings`.

    Examples:
        >>> from audiogan.studio.applied_models import needs_sound_or_text
        >>> sound = {"facts.modality._target_": "audiogan.modalities.Sound"}
        >>> needs_sound_or_text(sound | {"inputs.latent._target_": "audiogan.inputs.Latent"})
        False
        >>> needs_sound_or_text(sound | {"inputs.text._target_": "audiogan.inputs.Text"})
        True
    """
    if not str(settings.get("facts.modality._target_")).endswith(".Sound"):
        return False
    for key, target in settings.items():
        if found := re.fullmatch(r"inputs\.([^.]+)\._target_", key):
            # Inputs from outside the package are unknown here. `AppliedModels.load` checks them.
            drawable = getattr(getattr(audiogan.inputs, str(target).rpartition(".")[2], None), "drawable", False)
            signal = str(settings.get(f"facts.inputs.{found[1]}.modality._target_", ".Sound"))
            if not drawable and signal.endswith(".Sound"):
                return True
    return False


def describe_model(generator: Generator, model: ModelFile) -> dict[str, Any]:
    """Return what the page needs to build the form of a model, as a JSON object.

    ``source`` is the name of the input with the sound that is translated, or None. ``fields`` describes the other
    inputs: ``input`` is the name of the input, ``name`` the name of the field, and ``kind`` is one of

    * "choice": one of ``choices``, the classes,
    * "number": a number from ``min`` to ``max``, in steps of ``step``. For a knob, ``input`` is the name of the knob
      input, and ``name`` is the name of the knob,
    * "text": a text of at most ``longest`` characters,
    * "value": a short text, as for ``--input`` on the command line,
    * "sound": the id of an uploaded sound.

    ``required`` fields must be given, the others may be left out. ``value`` is the initial value.

    Raises:
        UserError: the model needs signals other than sounds, such as images.
    """
    source = find_source(generator.inputs)
    fields: list[dict[str, Any]] = []
    for name, given in generator.inputs.items():
        if given is not source:
            fields += _fields(name, given)
        if isinstance(given, Signal) and given.modality.sample_rate is None:
            raise UserError(f"{model.name}: its input {name} is not a sound; use `audiogan apply`")
    if len(generator.routes) > 1:
        names = [{"value": key, "title": text or key} for key, text in generator.routes.descriptions.items()]
        fields.append(_field("generator", None, "choice", choices=names, required=True))
    if any(isinstance(given, Latent) for given in generator.inputs.values()):
        fields.append(_field("seed", None, "number", min=0, max=2**53 - 1, step=1, about="seed of the random numbers"))
    return {
        "id": model.id,
        "name": model.name,
        "about": summarise_card(generator.card),
        "source": None if source is None else source.name,
        "sample_rate": generator.sample_rate,
        "step": generator.step,
        "fields": fields,
    }


def _fields(name: str, given: Input) -> list[dict[str, Any]]:
    """Return the form fields of one input. A latent has none, because the seed draws it."""
    about = printable(given.describe())[:MAX_DESCRIPTION]
    if isinstance(given, Latent):
        return []
    if isinstance(given, Classes):
        choices = [{"value": label, "title": printable(label)} for label in given.labels]
        return [_field(name, name, "choice", choices=choices)] if choices else []
    if isinstance(given, Knobs):
        meaning = "0 to 1, a percentile of the training sounds; empty: drawn at random"
        return [_field(knob, name, "number", min=0, max=1, step=0.01, about=meaning) for knob in given.names]
    required = not given.drawable
    if isinstance(given, Signal):
        # The parts after a semicolon describe the shape, and values in Python.
        return [_field(name, name, "sound", required=required, about=about.partition(";")[0])]
    if isinstance(given, Text) or name == "text":
        longest = given.shape[0] if len(given.shape) == 1 and given.shape[0] else MAX_TEXT
        return [_field(name, name, "text", required=required, about=about, longest=longest)]
    if all(hasattr(given, key) for key in ("low", "high", "default")):
        limits = {"min": given.low, "max": given.high, "value": given.default, "step": "any"}
        return [_field(name, name, "number", required=required, about=about, **limits)]
    return [_field(name, name, "value", required=required, about=about)]


def _field(name: str, input: str | None, kind: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "input": input, "kind": kind, "about": "", "required": False, **options}


def summarise_card(card: str) -> str:
    """Return the first sentence of the first paragraph of a model card.

    Examples:
        >>> from audiogan.studio.applied_models import summarise_card
        >>> summarise_card("# enhance\\n\\nRemoves noise from speech: 16 kHz, mono. It has 0.95 million parameters.")
        'Removes noise from speech: 16 kHz, mono.'
    """
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", card)]
    text = next((part for part in paragraphs if part and not part.startswith("#")), "")
    return printable(re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0])[:MAX_DESCRIPTION]
