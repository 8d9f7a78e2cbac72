"""Facts: configuration values that are derived from the training data.

A configuration refers to a fact as ``${facts.NAME}``. Facts are computed from the sections ``data`` and ``inputs``,
so these two sections cannot refer to facts. All other sections can.

* ``facts.labels``: names of the classes.
* ``facts.modality``: settings of the modality, such as the sample rate of sounds.
* ``facts.signal_shape``: shape of one signal, such as ``[channels, length]`` for sounds.
* ``facts.format``: a `SoundFormat`, only for sounds. Its parts are ``facts.format.sample_rate`` (Hz),
  ``facts.format.length`` (samples) and ``facts.format.channels``.
* ``facts.inputs.NAME``: facts of the input NAME, such as ``facts.inputs.source.shape``. See
  `audiogan.inputs.Input.data_facts`.
* ``facts.NAME``: number of channels of the input NAME. ``facts.classes`` is the number of classes.
* ``facts.shape``: shape of one signal after it is encoded by the representation. Networks read and write signals of
  this shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from audiogan.errors import UserError
from audiogan.run.build import build
from audiogan.run.settings import refuse_interpolation
from audiogan.run.targets import resolve_target
from audiogan.run.vocoders import attach_vocoder
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from audiogan.data.table import Table
    from audiogan.representations import Representation

EMPTY_FORMAT = {
    "_target_": "audiogan.representations.SoundFormat",
    "length": None,
    "channels": None,
    "sample_rate": None,
}
GENERAL_FACTS = ("labels", "inputs", "modality", "signal_shape", "shape", "format")
RESERVED = ("x", *GENERAL_FACTS, "n", "batch", "random", "only", "skip", "truncation")
"""Names that an input must not have, because the column of signals, facts and arguments of sampling use them."""


def declare_facts(cfg: DictConfig, source: str) -> None:
    """Add placeholders of all facts to ``cfg.facts`` before the data is opened, and check all references to facts.

    Args:
        cfg: composed configuration.
        source: file or name of the configuration, for messages.

    Raises:
        UserError: a value refers to an unknown fact, or the section ``data`` or ``inputs`` refers to a fact.
    """
    from omegaconf import OmegaConf

    for section in ("data", "inputs"):
        if "${facts" in repr(OmegaConf.to_container(OmegaConf.create({section: cfg.get(section)}))):
            raise UserError(
                f"{source}: {section} cannot refer to facts, because facts are derived from it; write the value itself"
            )
    cfg.facts = dict.fromkeys(GENERAL_FACTS) | {
        "labels": [],
        "inputs": {},
        "format": EMPTY_FORMAT,
        "classes": 0,
        "knobs": 0,
    }
    for name, target, options in input_sections(cfg, f"{source}: "):
        _add_input(cfg, name, target.data_facts(None, **options))
    plain: Any = OmegaConf.to_container(cfg.facts, resolve=False)
    for path in re.findall(r"\$\{facts\.([\w.]+)", repr(OmegaConf.to_container(cfg))):
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
    """Write all facts into ``cfg.facts`` and return the representation, which is not fitted yet.

    Args:
        cfg: configuration whose facts were declared by `declare_facts`.
        table: training data.

    Raises:
        UserError: the data lacks something that the configuration needs, or a class name contains ``${``.
    """
    from omegaconf import OmegaConf

    for label in table.labels:
        refuse_interpolation("a class of the data", label)
    cfg.facts.labels = list(table.labels)
    for name, target, options in input_sections(cfg):
        found = target.data_facts(table, **options)
        if "${" in repr(found):
            raise UserError(f"data: the column of the input {name!r} contains the characters '${{'; remove them")
        _add_input(cfg, name, found)
    cfg.facts.modality = modality = table.modality.to_config()
    cfg.facts.signal_shape = shape = list(table.shape)
    if "sample_rate" in modality:
        channels, length = shape
        cfg.facts.format = EMPTY_FORMAT | {
            "length": length,
            "channels": channels,
            "sample_rate": modality["sample_rate"],
        }
    elif "${facts.format" in repr(OmegaConf.to_container(cfg)):
        raise UserError(
            f"{cfg.name}: facts.format exists for sounds only, but the data contains {table.modality.noun}s; "
            "choose sound data or another network=NAME"
        )
    representation = attach_vocoder(build(cfg.representation, "representation"))
    cfg.facts.shape = list(representation.shape)
    return representation


def _add_input(cfg: DictConfig, name: str, found: dict[str, Any]) -> None:
    cfg.facts.inputs[name] = found
    cfg.facts[name] = found.get("size", 0)


def input_sections(cfg: DictConfig, source: str = "") -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield the name, the class and the settings of each input in the section ``inputs``.

    Args:
        cfg: composed configuration.
        source: text before the key in error messages. It names the file of the configuration.
    """
    from omegaconf import OmegaConf
    from torch.nn import ModuleDict

    sections = cfg.get("inputs") or {}
    if not OmegaConf.is_dict(sections):
        raise UserError(f"{source}inputs must be a section with one entry per input")
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
