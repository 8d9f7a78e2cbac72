"""Complete and check the values of a composed configuration: paths, learning rates and numbers.

The completed values are stored with the run, so they must not depend on the current folder.
"""

from __future__ import annotations

import functools
import inspect
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.errors import UserError
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from omegaconf import DictConfig

KEYS = {
    "name", "run_dir", "init", "seed", "trainer", "engine", "batch_size", "lr", "betas", "players", "checkpoints",
    "callbacks", "classes", "data", "inputs", "representation", "game", "facts", "streams", "critic_norm",
    "critic_spectral_norm", "conditioning", "knobs", "voice", "partials", "penalty_weight", "penalty_every",
}  # fmt: skip
"""Top-level keys of a configuration. Other keys, such as ``model_size``, are allowed if a value refers to them."""
MAX_INTEGER = 2**63 - 1
"""Largest integer in a configuration: the largest 64-bit signed integer."""
MAX_BATCH_SIZE = 2**31 - 1
# Keys of settings that must be integers. For arguments of a class, its type annotations decide.
INTEGER_KEYS = ("seed", "batch_size", "trainer.steps", "checkpoints.every_steps", "checkpoints.keep", "classes")
MAX_TEXT = 100_000
"""Largest length of a text value, in characters."""
LABEL_MODES = ("auto", "folders", "none")  # Values of ``data.labels`` that are not paths.
# Keys that can be changed in the config.yaml of a run. Other keys cannot, because the file holds resolved values: a
# changed key would not update the values that were computed from it.
CHANGEABLE_KEYS = re.compile(
    r"(name|run_dir|init|seed|trainer|engine|batch_size|players|checkpoints|callbacks|representation|game|streams|hydra)\b"
    r"|data\.(?!(length|sample_rate|channels|size)\b)"
)


def complete_settings(cfg: DictConfig, source: str, overrides: Sequence[str] = ()) -> bool:
    """Complete a composed configuration in place, before it is checked.

    Args:
        cfg: composed configuration, not in struct mode.
        source: file or name of the configuration.
        overrides: overrides as typed on the command line.

    Returns:
        Whether ``source`` is the ``config.yaml`` of a run that resumes. ``run_dir`` is then the folder of that run.
    """
    from omegaconf import OmegaConf

    own = bool(OmegaConf.select(cfg, "facts.modality")) and _prepare_run_config(cfg, source, overrides)
    _expand_learning_rate(cfg)
    make_data_paths_absolute(cfg)
    _complete_init(cfg, overrides)
    return own


def _complete_init(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Make the path in ``init`` absolute. If ``init`` is set, set ``warm_up`` to 0, unless an override sets it."""
    from audiogan.run.model_files import shipped_models

    init = _text_setting(cfg, "init")
    if init is None:
        return
    if init not in shipped_models() and os.path.lexists(os.path.expanduser(init)):
        cfg.init = _absolute_path("init", init)
    if "warm_up" in cfg and not any(override.lstrip("+").startswith("warm_up=") for override in overrides):
        cfg.warm_up = 0


def make_data_paths_absolute(cfg: DictConfig) -> None:
    """Make the paths in the section ``data`` absolute, in place.

    Relative paths start at the current folder. A name of a shipped data set is not changed, unless the current folder
    contains a file or folder of that name. In ``run_dir``, only ``~`` is expanded.
    """
    from omegaconf import OmegaConf

    from audiogan.data.sounds.sources import DATA_SETS

    if _text_setting(cfg, "run_dir") is not None:
        cfg.run_dir = os.path.expanduser(cfg.run_dir)
    if not OmegaConf.is_dict(cfg.get("data")) or "root" not in cfg.data:
        return
    root, labels, pairs, cache = (_text_setting(cfg, f"data.{key}") for key in ("root", "labels", "pairs", "cache"))
    is_path = root is not None and (root.startswith("~") or os.path.lexists(root))
    if root is not None and is_path:
        cfg.data.root = root = _absolute_path("data.root", root)
    # Another machine may have a folder with the name of the data set, so store whether ``data.root`` is the name of a
    # data set or a path.
    if root in DATA_SETS or "named" in cfg.data:
        cfg.data.named = not is_path
    for key, name in (("labels", None if labels in LABEL_MODES else labels), ("pairs", pairs)):
        for path in () if name is None else (os.path.expanduser(name), os.path.join(_data_folder(root), name)):
            if os.path.isfile(path):
                cfg.data[key] = _absolute_path(f"data.{key}", path)
                break
    if cache is not None:
        cfg.data.cache = _absolute_path("data.cache", cache)


def _data_folder(root: str | None) -> str:
    """Return the folder of ``data.root``. A relative path is below the folder of downloads."""
    from audiogan.data.cache import downloads_folder

    return root if root is not None and os.path.isabs(root) else str(downloads_folder() / (root or ""))


def _absolute_path(key: str, path: str) -> str:
    whole = str(Path(os.path.expanduser(path)).absolute())
    if any("\ud800" <= c <= "\udfff" for c in whole):
        raise UserError(f"{key}={whole!a}: this name is not valid UTF-8; rename the file or folder")
    refuse_interpolation(key, whole)
    return whole


def refuse_interpolation(name_kind: str, name: str) -> None:
    """Raise `UserError` if a name contains ``${``, because OmegaConf would replace it.

    Args:
        name_kind: kind of the name, such as ``a class of the data``, for the message.
        name: name of a file, folder or class.
    """
    if "${" in name:
        raise UserError(f"{name_kind} has the name {printable(name)[-120:]}; remove the characters '${{' from it")


def _text_setting(cfg: DictConfig, key: str) -> str | None:
    from omegaconf import OmegaConf

    value: Any = OmegaConf.select(cfg, key)
    if value is None or (isinstance(value, str) and value):
        return value
    if value == "":
        raise UserError(f"{key} is empty; give a file or folder, or write null")
    raise UserError(f"{key}={value!r} must be text; put it in quotes in the YAML file")


def _expand_learning_rate(cfg: DictConfig) -> None:
    """Use a single learning rate, such as ``lr: 0.001``, for every player."""
    from omegaconf import OmegaConf

    rate = cfg.get("lr")
    if "lr" not in cfg or OmegaConf.is_config(rate):
        return
    names = dict.fromkeys(re.findall(r"\$\{lr\.([^}]+)\}", repr(OmegaConf.to_container(cfg))))
    if names:
        cfg.lr = dict.fromkeys(names, rate)


def _prepare_run_config(cfg: DictConfig, source: str, overrides: Sequence[str]) -> bool:
    """Prepare the ``config.yaml`` of a run for training, and return whether that run resumes.

    A new run starts if an override changes the model. The file holds resolved values, so only some keys can change.
    """
    from audiogan.run.folder import run_folder_name

    for override in overrides:
        key = override.lstrip("+~")
        if not CHANGEABLE_KEYS.match(key):
            raise UserError(
                f"{override}: {source} holds resolved settings of a run, in which {key.partition('=')[0]} cannot be "
                "changed; start from the original configuration of the run"
            )
    if any(override.lstrip("+~").startswith("data.") for override in overrides):
        # The new data must have the inputs for which the networks were built.
        for name, node in (cfg.get("inputs") or {}).items():
            if node is not None and "use" in node:
                node.use = cfg.facts[name]
    for unknown in [key for key in cfg if key not in KEYS]:
        del cfg[unknown]
    typed = {override.lstrip("+").partition("=")[0] for override in overrides}
    if "data.cache" not in typed and "cache" in cfg.data:
        del cfg.data.cache  # The cache may not exist on another machine.
    if "run_dir" in typed:
        return False
    file = Path(os.path.expanduser(source))
    folder = file.parent
    own = file.stem == "config" and (folder / "checkpoints").is_dir()
    if own and run_folder_name("", overrides) == "":
        cfg.run_dir = str(folder)
        return True
    cfg.run_dir = "auto"
    if own:
        cfg.name = folder.resolve().name
    elif file.stem != "config":
        cfg.name = file.stem
    return False


def check_numbers(cfg: DictConfig, source: str) -> None:
    """Check batch size, seed, learning rates, betas and the budget (steps and minutes) of a configuration.

    Raises:
        UserError: a number is not finite, out of range or not an integer, or the budget is missing.
    """
    from omegaconf import OmegaConf

    steps, minutes = cfg.trainer.get("steps"), cfg.trainer.get("minutes")
    if steps is None and minutes is None:
        raise UserError(f"{source}: training has no end; set trainer.steps, trainer.minutes or both")
    if steps is not None and (not is_integer(steps) or steps < 0):
        raise UserError(f"{source}: trainer.steps={steps!r} must be a whole number of at least 0")
    if minutes is not None and (not is_number(minutes) or minutes < 0):
        raise UserError(f"{source}: trainer.minutes={minutes!r} must be a number of at least 0")
    for key, least, most in (("batch_size", 1, MAX_BATCH_SIZE), ("seed", 0, MAX_INTEGER)):
        value = cfg.get(key)
        if not is_integer(value) or not least <= value <= most:
            raise UserError(f"{source}: {key}={value!r} must be a whole number from {least} to {most}")
    lr = cfg.get("lr", {})
    rates = {f"lr.{name}": rate for name, rate in lr.items()} if OmegaConf.is_dict(lr) else {"lr": lr}
    for key, rate in rates.items():
        if not is_number(rate) or rate < 0:
            raise UserError(f"{source}: {key}={rate!r} must be a number of at least 0")
    betas = cfg.get("betas")
    if betas is not None and (
        not OmegaConf.is_list(betas) or [is_number(beta) and 0 <= beta < 1 for beta in betas] != [True, True]
    ):
        raise UserError(f"{source}: betas={betas!r} must be two numbers from 0 to below 1, such as [0.0,0.99]")
    if cfg.trainer.get("clock") not in ("wall", "cpu"):
        raise UserError(f"{source}: trainer.clock={cfg.trainer.get('clock')!r} must be wall or cpu")


def check_values(node: Any, source: str, key: str = "") -> None:
    """Raise `UserError` if a checkpoint cannot store a value, such as NaN, an integer beyond 64 bits or a date.

    Args:
        node: resolved configuration, or a part of it.
        source: file or name of the configuration, for messages.
        key: dotted key of ``node``.
    """
    if isinstance(node, dict | list):
        items: Any = node.items() if isinstance(node, dict) else enumerate(node)
        for name, value in items:
            if not isinstance(name, str | int) or "\0" in str(name):
                raise UserError(f"{source}: {key or 'its top level'} has the key {name!r}; keys must be plain text")
            check_values(value, source, f"{key}.{name}" if key else str(name))
        return
    where = f"{source}: {printable(key)}={printable(repr(node))[:60]}"
    if isinstance(node, float) and not math.isfinite(node):
        raise UserError(f"{where} must be a finite number; write null for no limit")
    if isinstance(node, int) and abs(node) > MAX_INTEGER:
        raise UserError(f"{where} must be a whole number from {-MAX_INTEGER} to {MAX_INTEGER}")
    if isinstance(node, str) and ("\0" in node or len(node) > MAX_TEXT):
        raise UserError(f"{where} must be text of at most {MAX_TEXT:,} characters, without NUL")
    if not (node is None or isinstance(node, int | float | str)):
        raise UserError(f"{where} must be text, a number, true or false")


def check_sections(config: Any, source: str) -> None:
    """Check that each section from which an object is built has ``_target_``, and check the section ``checkpoints``.

    Args:
        config: resolved configuration as plain values.
        source: file or name of the configuration, for messages.

    Raises:
        UserError: a section or value is invalid.
    """
    columns = config["data"].get("columns") or {}
    if not isinstance(columns, dict):
        shown = f"data.columns={printable(repr(columns))[:60]}"
        raise UserError(f"{source}: {shown} must be a section with one entry per column")
    parts = {"players": config["players"], "callbacks": config["callbacks"], "data.columns": columns}
    built = [(key, config[key]) for key in ("engine", "data", "representation", "game")]
    built += [(f"{key}.{name}", part) for key, named in parts.items() for name, part in named.items()]
    for key, part in built:
        if not (part is None and "." in key) and not (isinstance(part, dict) and "_target_" in part):
            raise UserError(f"{source}: {printable(key)}={printable(repr(part))[:60]} must be a section with _target_")
    if not isinstance(config.get("knobs") or [], list):
        raise UserError(f"{source}: knobs={printable(repr(config['knobs']))[:60]} must be a list of names")
    if not isinstance(config.get("streams") or {}, dict):
        raise UserError(f"{source}: streams must be a section")
    for name, part in (config.get("streams") or {}).items():
        if part is not None and not isinstance(part, dict):
            shown = f"streams.{printable(name)}={printable(repr(part))[:60]}"
            raise UserError(f"{source}: {shown} must be a section or null")
        size = (part or {}).get("batch_size", 1)
        if not is_integer(size) or not 1 <= size <= MAX_BATCH_SIZE:
            raise UserError(f"{source}: streams.{printable(name)}.batch_size={size!r} must be a whole number from 1")
    saved = config["checkpoints"]
    for key, least, empty in (("keep", 1, False), ("every_steps", 1, True), ("every_minutes", 0, True)):
        value = saved.get(key, least)
        fits = is_number(value) if key == "every_minutes" else is_integer(value)
        if not (value is None and empty) and not (fits and value >= least):
            what = "a number" if key == "every_minutes" else "a whole number"
            raise UserError(f"{source}: checkpoints.{key}={value!r} must be {what} of at least {least}")


def is_number(value: object) -> bool:
    """Return whether a value is an int or a float, but not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: object) -> bool:
    """Return whether a value is an int, but not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def floats_to_integers(cfg: DictConfig, source: str) -> None:
    """Convert floats such as 1e3 to integers in place, for all settings that must be integers.

    Raises:
        UserError: such a setting has a fractional part or is text.
    """
    from omegaconf import OmegaConf

    streams = cfg.get("streams")
    batches = [f"streams.{name}.batch_size" for name in streams] if OmegaConf.is_dict(streams) else []
    for key in (*INTEGER_KEYS, *batches):
        _make_integer(cfg, key, source)
    for key in _integer_arguments(OmegaConf.to_container(cfg, resolve=True)):
        _make_integer(cfg, key, source, strict=True)


def _integer_arguments(plain: Any) -> Iterator[str]:
    """Yield the keys of arguments that must be integers according to the annotations of their class."""
    from audiogan.data.sounds.folder import open_audio_folder
    from audiogan.data.sounds.sources import open_sounds
    from audiogan.data.sounds.speech import open_speech
    from audiogan.run.targets import find_targets, resolve_target

    for key, target in find_targets(plain):
        try:
            block = resolve_target(target, key)
            names = _integer_parameters(open_audio_folder if block in (open_sounds, open_speech) else block)
        # `check_targets` reports invalid classes. Classes written in C may have no signature.
        except (UserError, TypeError, ValueError):
            continue
        for name in names:
            yield f"{key.removesuffix('._target_')}.{name}"


@functools.cache
def _integer_parameters(block: Any) -> list[str]:
    """Return the names of the parameters of a class or function that are annotated as integers."""
    words = {
        parameter.name: set(re.findall(r"\w+", str(parameter.annotation)))
        for parameter in inspect.signature(block).parameters.values()
    }
    allowed = {"int", "None", "Sequence", "tuple", "list", "class"}
    return [name for name, found in words.items() if "int" in found and found <= allowed]


def _make_integer(cfg: DictConfig, key: str, source: str, *, strict: bool = False) -> None:
    """Convert a float, or a list of floats, to integers in place. With ``strict``, text is an error."""
    from omegaconf import OmegaConf

    value = OmegaConf.select(cfg, key)
    several = OmegaConf.is_list(value)
    numbers = list(value) if several else [value]
    for number in numbers:
        if (isinstance(number, float) and not number.is_integer()) or (strict and isinstance(number, str)):
            raise UserError(f"{source}: {key}={number!r} must be a whole number")
    if any(isinstance(number, float) for number in numbers):
        section, _, name = key.rpartition(".")
        parent: Any = OmegaConf.select(cfg, section) if section else cfg
        if OmegaConf.is_dict(parent) and OmegaConf.is_interpolation(parent, name):
            plain: Any = OmegaConf.to_container(parent, resolve=False)
            if referred := re.fullmatch(r"\$\{([\w.]+)\}", plain[name]):
                _make_integer(cfg, referred[1], source, strict=strict)
                return
        whole = [int(number) if isinstance(number, float) else number for number in numbers]
        OmegaConf.update(cfg, key, whole if several else whole[0], merge=False)
