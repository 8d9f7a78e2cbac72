"""Facts: values of a configuration that follow from the data.

Values refer to them as ``${facts.NAME}``. They are known once the data is open, after ``data`` and ``inputs`` (which
therefore cannot refer to facts) and before all other sections:

* ``facts.labels``: names of the classes of the data.
* ``facts.modality``: settings of the kind of signals.
* ``facts.signal_shape``: shape of one signal, such as ``[channels, length]`` of a sound.
* ``facts.format``: a `SoundFormat`, for data of sounds; also ``facts.format.sample_rate``, ``length``, ``channels``.
* ``facts.inputs.NAME``: facts of an input, see `audiogan.inputs.Input.facts`: ``facts.inputs.source.shape``.
* ``facts.NAME``: number of channels of an input, such as the number of classes, ``facts.classes``.
* ``facts.shape``: shape of one signal in the representation, as networks receive it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from audiogan.errors import UserError
from audiogan.run.build import build
from audiogan.run.settings import refuse_interpolation
from audiogan.run.targets import resolve_target
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from audiogan.data.table import Table
    from audiogan.representations import Representation

FORMAT = {"_target_": "audiogan.representations.SoundFormat", "length": None, "channels": None, "sample_rate": None}
GENERAL = ("labels", "inputs", "modality", "signal_shape", "shape", "format")
RESERVED = ("x", *GENERAL, "n", "batch", "random", "only", "skip", "truncation")
"""Names that no input may have: the column of signals, other facts, and arguments beside the inputs."""


def declare_facts(cfg: DictConfig, source: str) -> None:
    """Write facts without values into ``cfg.facts``, before there is data, and check all references to facts.

    Raises:
        UserError: a value refers to a fact that does not exist, or ``data`` or ``inputs`` refers to a fact.
    """
    from omegaconf import OmegaConf

    for section in ("data", "inputs"):
        if "${facts" in OmegaConf.to_yaml(OmegaConf.create({section: cfg.get(section)})):
            raise UserError(f"{source}: {section} cannot refer to facts, which follow from the data and the inputs")
    cfg.facts = dict.fromkeys(GENERAL) | {"labels": [], "inputs": {}, "format": FORMAT, "classes": 0, "knobs": 0}
    for name, target, options in input_sections(cfg, f"{source}: "):
        _add_input(cfg, name, target.facts(None, **options))
    plain: Any = OmegaConf.to_container(cfg.facts, resolve=False)
    for path in re.findall(r"\$\{facts\.([\w.]+)", OmegaConf.to_yaml(cfg)):
        known, where = plain, "facts"
        for name in path.split("."):
            if not isinstance(known, dict):
                break
            if name not in known:
                advice = f"; add the input: inputs.{name}" if where == "facts.inputs" else ""
                have = ", ".join(sorted(key for key in known if key != "_target_")) or "none"
                raise UserError(f"{source}: ${{facts.{path}}}: {where} has no {name!r}; it has {have}{advice}")
            known, where = known[name], f"{where}.{name}"


def resolve_facts(cfg: DictConfig, table: Table) -> Representation:
    """Write all facts into ``cfg.facts``, and return the representation, which is not fitted yet.

    Raises:
        UserError: the data does not have what the configuration needs, or its names cannot stand in a configuration.
    """
    from omegaconf import OmegaConf

    for label in table.labels:
        refuse_interpolation("a class of the data", label)
    cfg.facts.labels = list(table.labels)
    for name, target, options in input_sections(cfg):
        found = target.facts(table, **options)
        if "${" in repr(found):
            raise UserError(f"data: the column of the input {name!r} holds the characters '${{', which are not allowed")
        _add_input(cfg, name, found)
    cfg.facts.modality = modality = table.modality.to_config()
    cfg.facts.signal_shape = shape = list(table.shape)
    if "sample_rate" in modality:
        channels, length = shape
        cfg.facts.format = FORMAT | {"length": length, "channels": channels, "sample_rate": modality["sample_rate"]}
    elif "${facts.format" in OmegaConf.to_yaml(cfg):
        raise UserError(
            f"{cfg.name}: it refers to facts.format, the format of sounds, but the data holds {table.modality.noun}s; "
            "choose data of sounds, or another network=NAME"
        )
    representation: Representation = build(cfg.representation, "representation")
    cfg.facts.shape = list(representation.shape)
    return representation


def _add_input(cfg: DictConfig, name: str, found: dict[str, Any]) -> None:
    cfg.facts.inputs[name] = found
    cfg.facts[name] = found.get("size", 0)


def input_sections(cfg: DictConfig, source: str = "") -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield the name, the class and the settings of each entry of ``inputs``."""
    from omegaconf import OmegaConf
    from torch.nn import ModuleDict

    sections = cfg.get("inputs") or {}
    if not OmegaConf.is_dict(sections):
        raise UserError(f"{source}inputs must be a section: names with the settings of each input")
    for name, node in sections.items():
        if node is None:
            continue
        where = f"inputs.{name}"
        if not isinstance(name, str) or not name.isidentifier() or name in RESERVED or hasattr(ModuleDict, name):
            raise UserError(
                f"{source}{printable(where)[:80]}: the name of an input must be a word, not {', '.join(RESERVED)} "
                "or a method of torch.nn.ModuleDict"
            )
        if not OmegaConf.is_dict(node):
            raise UserError(f"{source}{where}={printable(repr(node))[:60]} must be a section with _target_")
        options: Any = OmegaConf.to_container(node, resolve=True)
        target = resolve_target(options.pop("_target_", None), f"{where}._target_", source)
        yield name, target, options
