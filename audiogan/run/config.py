"""Configurations: composed by hydra, checked, and turned into objects. None can run code.

A ``_target_`` may only name a class of the kind that its place takes (`audiogan.run.targets`). The class belongs to
the package or to a module that the person trusts (`audiogan.run.trust`). Everything else is refused before it is
imported.
Files are checked before hydra reads them (`audiogan.run.config_files`).
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
    convert_integers,
)
from audiogan.run.targets import check_targets, find_targets
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from omegaconf import DictConfig

MEASURED = {"knobs": "knobs", "voice": "pitch"}
"""Settings that take effect by a column of ``data.columns``, and its name."""
SECTIONS = {"trainer": {"steps", "minutes", "clock"}, "checkpoints": {"every_minutes", "every_steps", "keep"}}


def compose(config: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration with its groups and overrides, checked; its ``run_dir`` is decided.

    Raises:
        UserError: names the file and the key, value or override at fault.

    Examples:
        >>> cfg = compose("drums", ["network=wavegan", "trainer.steps=100"])
        >>> cfg.run_dir, cfg.trainer.steps
        ('runs/drums,network=wavegan', 100)
    """
    from omegaconf import OmegaConf, open_dict

    cfg = compose_unchecked(config, overrides)
    with _one_line(config, overrides):
        with open_dict(cfg):
            own = complete_settings(cfg, config, overrides)
            cfg.name = cfg.get("name") or find_config(config).stem
            declare_facts(cfg, config)
            expand_copies(cfg, f"{config}: ")
            if cfg.get("run_dir") in (None, "auto"):
                _check_name(cfg.name, config)
                cfg.run_dir = str(Path("runs") / run_folder_name(cfg.name, overrides))
            elif not own and not _typed("run_dir", overrides):
                _check_run_dir(cfg.run_dir, config)
            convert_integers(cfg, config)
        check_config(cfg, config)
        _check_measured(cfg, config, overrides)
        for key, cache in find_targets(OmegaConf.to_container(cfg.data, resolve=False), "data", "cache"):
            if cache is not None and not _typed(key, overrides):  # a folder to write to
                raise UserError(
                    f"{config}: {printable(key)} is set by a file; give it on the command line, or set AUDIOGAN_CACHE"
                )
    return cfg


def _check_measured(cfg: DictConfig, source: str, overrides: Sequence[str]) -> None:
    """Refuse settings on the command line that need a column of measured values where there is none."""
    for key, column in MEASURED.items():
        if cfg.get(key) and _typed(key, overrides) and not (cfg.data.get("columns") or {}).get(column):
            raise UserError(
                f"{source}: {key}={printable(str(cfg[key]))[:60]} has no effect: this configuration does not "
                f"measure {column}; network=tonenoise does, on sounds"
            )


def compose_unchecked(config: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration as hydra composes it, with its values not checked yet.

    Hydra's own section is left out. It must be that of a shipped configuration composed with the same overrides.

    Raises:
        UserError: the files are not safe to compose, or hydra refuses them.
    """
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    from audiogan.run.config_files import check_interpolations, restrict_hydra

    path = find_config(config)
    with _one_line(config, overrides):
        given = to_hydra_overrides(overrides)
        with restrict_hydra(path.parent, CONFIG_FOLDER, config):
            whole = hydra_compose(path.name.removesuffix(".yaml"), given, return_hydra_config=True)
        kept: Any = [key for key in whole if key != "hydra"]
        cfg = OmegaConf.masked_copy(whole, kept)
        plain: Any = OmegaConf.to_container(cfg, resolve=False)
        check_interpolations(plain, overrides, config)
    return cfg


@contextlib.contextmanager
def _one_line(config: str, overrides: Sequence[str]) -> Iterator[None]:
    """Turn every error of hydra, OmegaConf and YAML into one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # whatever a file makes of them, RecursionError and TypeError too
        cause = error
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
        if cause is not None:
            raise cause from error
        reason = summarize_error(error if str(error).strip() or error.__cause__ is None else error.__cause__)
        if isinstance(error, RecursionError):
            reason = "nested too deeply, or its defaults name itself"
        typed = f" (overrides: {' '.join(overrides)})" if overrides else ""
        raise UserError(f"{config}: {printable(reason)}{typed}") from error


def _typed(key: str, overrides: Sequence[str]) -> bool:
    """Whether the person gave ``key`` on the command line."""
    return any(o.lstrip("+").startswith(f"{key}=") for o in overrides)


def _check_name(name: Any, config: str) -> None:
    """A name becomes the name of a folder below ``runs/``."""
    if not isinstance(name, str) or printable(name) != name or re.search(r"[/\\]|^\.|^~", name):
        raise UserError(
            f"{config}: name={printable(repr(name))[:80]} must be text, without / \\ and control characters"
        )


def _check_run_dir(run_dir: Any, config: str) -> None:
    """A file may choose a folder below ``runs/``. Any other folder needs the person's word."""
    inside = isinstance(run_dir, str) and Path(run_dir).parts[:1] == ("runs",) and len(Path(run_dir).parts) > 1
    if not inside or ".." in Path(run_dir).parts or printable(run_dir) != run_dir:
        raise UserError(
            f"{config}: it sets run_dir={printable(repr(run_dir))[:80]}, which is not below runs/; "
            "choose the folder on the command line: run_dir=FOLDER"
        )


def check_config(cfg: DictConfig, source: str) -> None:
    """``UserError`` that names the first key that is unknown, missing or not allowed."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(plain, dict)
    if "trust" in plain:
        raise UserError(f"{source}: a configuration cannot trust modules; give --trust NAME on the command line")
    used = set(re.findall(r"\$\{(\w+)", OmegaConf.to_yaml(cfg)))
    for key in plain.keys() - KEYS - used:
        raise UserError(f"{source}: unknown key {key!r}; known are {', '.join(sorted(KEYS - {'facts'}))}")
    for section, known in SECTIONS.items():
        for key in (plain.get(section) or {}).keys() - known:
            raise UserError(f"{source}: unknown key {section}.{key}; known are {', '.join(sorted(known))}")
    for key in ("trainer", "players", "data", "representation", "game", "callbacks", "engine", "checkpoints"):
        if not isinstance(plain.get(key), dict):
            raise UserError(
                f"{source}: the section {key!r} is missing; start from a shipped one ({', '.join(shipped_configs())})"
            )
    folder = find_config(source).parent
    check_targets(plain, source=f"{source}: ", folder=folder)
    resolved = OmegaConf.to_container(cfg, resolve=True)
    if "${" in repr(resolved):
        raise UserError(f"{source}: a value still holds '${{' after interpolation; remove the backslash before it")
    check_targets(resolved, source=f"{source}: ", folder=folder)
    check_numbers(cfg, source)
    check_sections(resolved, source)
    check_values(resolved, source)
