"""Compose and check the configuration of a run. A configuration file cannot execute code.

Hydra composes the configuration. Files are checked before Hydra reads them (`audiogan.run.config_files`). A
``_target_`` may only name a class of the kind that its key allows (`audiogan.run.targets`). The class must belong to
audiogan, PyTorch or a module that the user trusts (`audiogan.run.trust`). Any other class is rejected before it is
imported.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.errors import UserError
from audiogan.run.build import summarize_error
from audiogan.run.copies import expand_copies
from audiogan.run.facts import declare_facts
from audiogan.run.folder import run_folder_name
from audiogan.run.overrides import to_hydra_overrides
from audiogan.run.packaged import CONFIG_FOLDER, find_config, shipped_configs
from audiogan.run.settings import (
    KEYS,
    check_numbers,
    check_sections,
    check_values,
    complete_settings,
    floats_to_integers,
)
from audiogan.run.targets import check_targets, find_targets
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from omegaconf import DictConfig

MEASURED_SETTINGS = {"knobs": "knobs", "voice": "pitch"}
"""Settings that need a column of measured values: setting -> name of the column in ``data.columns``."""
SECTION_KEYS = {"trainer": {"steps", "minutes", "clock"}, "checkpoints": {"every_minutes", "every_steps", "keep"}}
"""Allowed keys of the sections from which no object is built."""


def compose(config: str, overrides: Sequence[str] = ()) -> DictConfig:
    """Return a complete, checked configuration whose ``run_dir`` is set.

    Args:
        config: path of a YAML file, or name of a shipped configuration.
        overrides: settings in Hydra's syntax, such as ``trainer.steps=100``.

    Raises:
        UserError: a file, key, value or override is invalid.

    Examples:
        >>> cfg = compose("drums", ["network=wavegan", "trainer.steps=100"])
        >>> cfg.run_dir, cfg.trainer.steps
        ('runs/drums,network=wavegan', 100)
    """
    from omegaconf import OmegaConf, open_dict

    cfg = compose_unchecked(config, overrides)
    with _one_line_errors(config, overrides):
        with open_dict(cfg):
            own = complete_settings(cfg, config, overrides)
            cfg.name = cfg.get("name") or find_config(config).stem
            declare_facts(cfg, config)
            expand_copies(cfg, f"{config}: ")
            if cfg.get("run_dir") in (None, "auto"):
                _check_name(cfg.name, config)
                cfg.run_dir = str(Path("runs") / run_folder_name(cfg.name, overrides))
            elif not own and not _is_overridden("run_dir", overrides):
                _check_run_dir(cfg.run_dir, config)
            floats_to_integers(cfg, config)
        check_config(cfg, config)
        _check_measured(cfg, config, overrides)
        for key, cache in find_targets(OmegaConf.to_container(cfg.data, resolve=False), "data", "cache"):
            # A file must not set the cache folder, because audiogan writes files there.
            if cache is not None and not _is_overridden(key, overrides):
                message = f"{printable(key)} must not be set in a file; use the command line, or set AUDIOGAN_CACHE"
                raise UserError(f"{config}: {message}")
    return cfg


def _check_measured(cfg: DictConfig, source: str, overrides: Sequence[str]) -> None:
    """Raise `UserError` if a setting on the command line needs measured values that the data does not have."""
    for key, column in MEASURED_SETTINGS.items():
        if cfg.get(key) and _is_overridden(key, overrides) and not (cfg.data.get("columns") or {}).get(column):
            raise UserError(
                f"{source}: {key}={printable(str(cfg[key]))[:60]} has no effect: this configuration does not "
                f"measure {column}; add network=tonenoise, which measures it for sounds"
            )


def compose_unchecked(config: str, overrides: Sequence[str] = ()) -> DictConfig:
    """Return a configuration composed by Hydra. Its values are not checked yet.

    The section ``hydra`` is left out. Files must not change this section.

    Args:
        config: path of a YAML file, or name of a shipped configuration.
        overrides: settings in Hydra's syntax.

    Raises:
        UserError: the files are not safe to compose, or Hydra rejects them.

    Examples:
        >>> from audiogan.run.config import compose_unchecked
        >>> cfg = compose_unchecked("points", ["trainer.steps=100"])
        >>> cfg.trainer.steps
        100
    """
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    from audiogan.run.config_files import check_interpolations, restrict_hydra

    path = find_config(config)
    with _one_line_errors(config, overrides):
        given = to_hydra_overrides(overrides)
        with restrict_hydra(path.parent, CONFIG_FOLDER, config):
            whole = hydra_compose(path.name.removesuffix(".yaml"), given, return_hydra_config=True)
        kept: Any = [key for key in whole if key != "hydra"]
        cfg = OmegaConf.masked_copy(whole, kept)
        plain: Any = OmegaConf.to_container(cfg, resolve=False)
        check_interpolations(plain, overrides, config)
    return cfg


@contextlib.contextmanager
def _one_line_errors(config: str, overrides: Sequence[str]) -> Iterator[None]:
    """Convert every exception of Hydra, OmegaConf and YAML to a `UserError` of one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # A bad file may cause any exception, such as RecursionError or TypeError.
        cause = error
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
        if cause is not None:
            raise cause from error
        reason = summarize_error(error if str(error).strip() or error.__cause__ is None else error.__cause__)
        if isinstance(error, RecursionError):
            reason = "nested too deeply, or its defaults list contains itself; shorten it"
        typed = f" (overrides: {' '.join(overrides)})" if overrides else ""
        raise UserError(f"{config}: {printable(reason)}{typed}") from error


def _is_overridden(key: str, overrides: Sequence[str]) -> bool:
    """Return whether ``key`` is set on the command line."""
    return any(o.lstrip("+").startswith(f"{key}=") for o in overrides)


def _check_name(name: Any, config: str) -> None:
    """Raise `UserError` unless ``name`` can be the name of a folder below ``runs/``."""
    if not isinstance(name, str) or printable(name) != name or re.search(r"[/\\]|^\.|^~", name):
        raise UserError(
            f"{config}: name={printable(repr(name))[:80]} must be text that does not start with . or ~, without /, \\ "
            "and control characters"
        )


def _check_run_dir(run_dir: Any, config: str) -> None:
    """Raise `UserError` if a file sets a run folder outside ``runs/``. Only the command line may set such a folder."""
    inside = isinstance(run_dir, str) and Path(run_dir).parts[:1] == ("runs",) and len(Path(run_dir).parts) > 1
    if not inside or ".." in Path(run_dir).parts or printable(run_dir) != run_dir:
        raise UserError(
            f"{config}: it sets run_dir={printable(repr(run_dir))[:80]}, which is not below runs/; "
            "choose the folder on the command line: run_dir=FOLDER"
        )


def check_config(cfg: DictConfig, source: str) -> None:
    """Raise `UserError` if a key of the configuration is unknown or missing, or if a value is not allowed.

    Args:
        cfg: a composed configuration.
        source: file or name of the configuration, for messages.

    Examples:
        >>> from audiogan.run.config import check_config, compose
        >>> check_config(compose("points"), "points")  # no error
    """
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(plain, dict)
    if "trust" in plain:
        raise UserError(f"{source}: a configuration cannot trust modules; give --trust NAME on the command line")
    used = set(re.findall(r"\$\{(\w+)", repr(plain)))
    for key in plain.keys() - KEYS - used:
        raise UserError(f"{source}: unknown key {key!r}; known are {', '.join(sorted(KEYS - {'facts'}))}")
    for section, known in SECTION_KEYS.items():
        for key in (plain.get(section) or {}).keys() - known:
            raise UserError(f"{source}: unknown key {section}.{key}; known are {', '.join(sorted(known))}")
    for key in ("trainer", "players", "data", "representation", "game", "callbacks", "engine", "checkpoints"):
        if not isinstance(plain.get(key), dict):
            raise UserError(
                f"{source}: the section {key!r} is missing; start from a shipped configuration: "
                f"{', '.join(shipped_configs())}"
            )
    folder = find_config(source).parent
    check_targets(plain, source=f"{source}: ", folder=folder)
    resolved = OmegaConf.to_container(cfg, resolve=True)
    if "${" in repr(resolved):
        raise UserError(f"{source}: '${{' is left in a value after interpolation; remove the backslash before it")
    check_targets(resolved, source=f"{source}: ", folder=folder)
    check_numbers(cfg, source)
    check_sections(resolved, source)
    check_values(resolved, source)
