"""Configurations: composed by hydra, checked, and turned into objects. None can run code.

A ``_target_`` may only name a class of the kind that its place takes (`audiogan.config_kinds`). The class belongs to
the package or to a module that the person trusts (`audiogan.trust`); everything else is refused before it is imported.
Files are checked before hydra reads them (`audiogan.config_source`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.config_kinds import check_places, present, targets
from audiogan.copies import expand
from audiogan.errors import UserError
from audiogan.facts import announce_facts
from audiogan.overrides import hydra_overrides
from audiogan.settings import check_numbers, check_sections, check_values, make_whole, refuse_interpolation, settle
from audiogan.text import printable

if TYPE_CHECKING:
    from omegaconf import DictConfig

PACKAGE = Path(__file__).resolve().parent
PACKAGED = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"

# What the top level of a configuration may hold; `groups` may add keys of their own (`model_size`) if a value refers to
# them.
KEYS = {
    "name", "run_dir", "seed", "trainer", "engine", "batch_size", "lr", "betas", "players", "checkpoints", "callbacks",
    "classes", "data", "inputs", "representation", "game", "facts", "streams", "critic_norm", "critic_spectral_norm",
    "conditioning", "knobs", "voice", "partials",
}  # fmt: skip
MEASURED = {"knobs": "knobs", "voice": "pitch"}
"""Settings that take effect by a column of ``data.columns``, and its name."""
SECTIONS = {"trainer": {"steps", "minutes", "clock"}, "checkpoints": {"every_minutes", "every_steps", "keep"}}
# Callbacks that only watch a training.
WATCHING = ("callbacks.log", "callbacks.monitors", "callbacks.previews", "callbacks.progress")
# Overrides that change how long or where a run goes, not what it is; they don't show in its name.
UNNAMED = ("trainer.steps", "trainer.minutes", "run_dir", "name", "engine.", "checkpoints.", *WATCHING, "hydra")


def shipped() -> list[str]:
    """Names of the configurations that ship with the package."""
    return sorted(path.stem for path in PACKAGED.glob("*.yaml"))


def find(config: str) -> Path:
    """Return the file of a configuration given as a path or as the name of a shipped one."""
    path = Path(os.path.expanduser(config))
    if path.suffix.lower() not in (".yaml", ".yml"):
        if config in shipped():
            return PACKAGED / f"{config}.yaml"
        if (path / "config.yaml").is_file():
            raise UserError(f"{config}: a folder; name the configuration in it, {path / 'config.yaml'}")
        raise UserError(f"{config}: neither a YAML file nor a shipped configuration ({', '.join(shipped())})")
    if path.is_file():
        path = path.parent.resolve() / path.name
        refuse_interpolation("this file or one of its folders", str(path))
        return path
    if path.stem in shipped() and not path.exists():
        return PACKAGED / f"{path.stem}.yaml"
    raise UserError(f"{config}: no such file; shipped configurations: {', '.join(shipped())}")


def compose(config: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration with its groups and overrides, checked; its ``run_dir`` is decided.

    Raises:
        UserError: names the file and the key, value or override at fault.
    """
    from omegaconf import OmegaConf, open_dict

    cfg = composed(config, overrides)
    with _one_line(config, overrides):
        with open_dict(cfg):
            own = settle(cfg, config, overrides)
            cfg.name = cfg.get("name") or find(config).stem
            announce_facts(cfg, config)
            expand(cfg, f"{config}: ")
            if cfg.get("run_dir") in (None, "auto"):
                _check_name(cfg.name, config)
                cfg.run_dir = str(Path("runs") / run_name(cfg.name, overrides))
            elif not own and not _typed("run_dir", overrides):
                _check_run_dir(cfg.run_dir, config)
            make_whole(cfg, config)
        check(cfg, config)
        _check_measured(cfg, config, overrides)
        for key, cache in targets(OmegaConf.to_container(cfg.data, resolve=False), "data", "cache"):
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


def composed(config: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration as hydra composes it, with its values not checked yet.

    Hydra's own section is left out. It must be that of a shipped configuration composed with the same overrides.

    Raises:
        UserError: the files are not safe to compose, or hydra refuses them.
    """
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    from audiogan.config_source import check_interpolations, reading_only

    path = find(config)
    with _one_line(config, overrides):
        given = hydra_overrides(overrides)
        with reading_only(path.parent, PACKAGED, config):
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
        reason = _first_line(error if str(error).strip() or error.__cause__ is None else error.__cause__)
        if isinstance(error, RecursionError):
            reason = "nested too deeply, or its defaults name itself"
        typed = f" (overrides: {' '.join(overrides)})" if overrides else ""
        raise UserError(f"{config}: {printable(reason)}{typed}") from error


@contextlib.contextmanager
def fitting(name: str) -> Iterator[None]:
    """Turn what goes wrong because settings do not fit each other into one line."""
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        raise UserError(f"{name}: these settings do not fit each other: {printable(_first_line(error))}") from error


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


def run_name(name: str, overrides: Sequence[str]) -> str:
    """The name of the run folder: the same command always means the same run."""
    telling = [o.lstrip("+") for o in overrides if not o.lstrip("+~").startswith(UNNAMED)]
    telling.sort(key=lambda o: (not o.startswith(("network=", "loss=", "seed=")), o))
    if not telling:
        return name
    text = ",".join(telling)
    short = ",".join(re.sub(r"=.*[/\\](?=[^/\\]+)", "=", o).rstrip("/\\") for o in telling)
    slug = re.sub(r"[^A-Za-z0-9=_.,-]+", "-", short).strip("-.")
    if slug != text or len(slug) > 80:
        slug = f"{slug[:60].rstrip('-.,')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    return f"{name},{slug}"


def check(cfg: DictConfig, source: str) -> None:
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
                f"{source}: the section {key!r} is missing; start from a shipped one ({', '.join(shipped())})"
            )
    folder = find(source).parent
    check_places(plain, source=f"{source}: ", folder=folder)
    resolved = OmegaConf.to_container(cfg, resolve=True)
    if "${" in repr(resolved):
        raise UserError(f"{source}: a value still holds '${{' after interpolation; remove the backslash before it")
    check_places(resolved, source=f"{source}: ", folder=folder)
    check_numbers(cfg, source)
    check_sections(resolved, source)
    check_values(resolved, source)


def build(node: Any, where: str, **extra: Any) -> Any:
    """``hydra.utils.instantiate`` of a checked section; what goes wrong comes out as one line that names the key."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        check_places(plain, where)
        if "${" in repr(plain):  # escaped once, it would be resolved by hydra after the check
            raise UserError(f"{where}: '${{' may not remain after interpolation; remove the backslash before it")
        plain = present(plain)
        if not extra:
            return instantiate(plain, _convert_="all")
        make = instantiate(plain, _partial_=True, _convert_="all")  # handed over here, hydra would turn them into dicts
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from error
        raise UserError(f"{where}: {_first_line(cause or error)}{_key(error)}") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{where}: {_first_line(error)}") from error
    return _made(make, where, extra)


def _made(make: Callable[..., Any], where: str, extra: Mapping[str, Any]) -> Any:
    """Call a constructor; an error becomes one line that names the key."""
    try:
        return make(**extra)
    except UserError:
        raise
    except Exception as error:  # as Hydra does for the objects that it builds
        raise UserError(f"{where}: {_first_line(error)}") from error


def _key(error: BaseException) -> str:
    found = re.search(r"full_key: (\S+)", str(error))
    return f" (in {found[1]})" if found else ""


def _first_line(error: BaseException) -> str:
    """The error in one line: its first two, for hydra tells what to do in the second."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(error).__name__
