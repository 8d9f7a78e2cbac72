"""Configurations: composed by hydra, checked, and turned into objects. None can run code.

A ``_target_`` may only name a class of the kind that its place takes (`audiogan.config_kinds`); everything else is
refused before it is imported. Files are checked before hydra reads them (`audiogan.config_source`).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.config_kinds import check_places
from audiogan.errors import UserError
from audiogan.text import printable

if TYPE_CHECKING:
    from omegaconf import DictConfig

PACKAGE = Path(__file__).resolve().parent
PACKAGED = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"

# What the top level of a configuration may hold; `groups` may add keys of their own (`model_size`) if a value refers to
# them.
KEYS = {
    "name", "run_dir", "seed", "trainer", "engine", "batch_size", "lr", "betas", "players", "checkpoints", "callbacks",
    "classes", "data", "representation", "game", "facts", "streams", "critic_norm", "conditioning",
    "knobs", "voice", "partials", "class_weight",
}  # fmt: skip
# What the data decides when a training is built.
FACTS = {
    "labels": [], "class_counts": [], "classes": 0, "knobs": 0, "knob_scale": None,
    "shape": None, "signal_shape": None, "modality": None,
}  # fmt: skip
MOST_COPIES = 1000
"""Entries that one key with ``copies`` makes at most."""
LONGEST_TEXT = 100_000
"""Characters of a value."""
SECTIONS = {
    "trainer": {"steps", "minutes", "clock"},
    "checkpoints": {"every_minutes", "every_steps", "keep"},
}
# Overrides that change how long or where a run goes, not what it is; they don't show in its name.
UNNAMED = ("trainer.steps", "trainer.minutes", "run_dir", "name", "engine.", "checkpoints.", "callbacks.", "hydra")


def shipped() -> list[str]:
    """Names of the configurations that ship with the package."""
    return sorted(path.stem for path in PACKAGED.glob("*.yaml"))


def locate(config: str) -> tuple[Path, str]:
    """Folder and name of a configuration given as a path or as the name of a shipped one."""
    path = Path(config)
    if path.suffix in (".yaml", ".yml"):
        if path.is_file():
            return path.resolve().parent, path.stem
        if (PACKAGED / path.name).is_file() and not path.exists():
            return PACKAGED, path.stem
        raise UserError(f"{config}: no such file; shipped configurations: {', '.join(shipped())}")
    if config in shipped():
        return PACKAGED, config
    raise UserError(f"{config}: neither a YAML file nor a shipped configuration ({', '.join(shipped())})")


def compose(config: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration with its groups and overrides, checked; its ``run_dir`` is decided.

    Raises:
        UserError: names the file and the key, value or override at fault.
    """
    from omegaconf import OmegaConf, open_dict

    cfg = composed(config, overrides)
    with _one_line(config, overrides):
        with open_dict(cfg):
            cfg.name = cfg.get("name") or locate(config)[1]
            cfg.facts = dict(FACTS)
            expand(cfg, f"{config}: ")
            if cfg.get("run_dir") in (None, "auto"):
                _check_name(cfg.name, config)
                cfg.run_dir = str(Path("runs") / run_name(cfg.name, overrides))
            elif not _typed("run_dir", overrides):
                _check_run_dir(cfg.run_dir, config)
        check(cfg, config)
        if OmegaConf.select(cfg, "data.cache") is not None and not _typed("data.cache", overrides):
            raise UserError(
                f"{config}: data.cache is set by a file; give it on the command line, or set AUDIOGAN_CACHE"
            )
    return cfg


def composed(config: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration as hydra composes it, with its values not checked yet.

    Hydra's own section is left out. It must be that of a shipped configuration composed with the same overrides.

    Raises:
        UserError: the files are not safe to compose, or hydra refuses them.
    """
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    from audiogan.config_source import check_hydra_node, check_interpolations, is_hydra_override, reading_only

    folder, name = locate(config)
    with _one_line(config, overrides):
        with reading_only(*dict.fromkeys([folder, PACKAGED])):
            whole = hydra_compose(name, list(overrides), return_hydra_config=True)
        if folder != PACKAGED:
            about_hydra = [o for o in overrides if is_hydra_override(o)]
            others = [o for o in overrides if o not in about_hydra]
            with reading_only(PACKAGED):
                trusted = hydra_compose(shipped()[0], about_hydra, return_hydra_config=True)
            check_hydra_node(whole.hydra, trusted.hydra, about_hydra, others, config)
        cfg = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
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


def expand(node: Any, source: str = "") -> None:
    """Multiply entries with the key ``copies``, in place: ``critic_{i}: {copies: 2, ...}`` becomes ``critic_0`` and
    ``critic_1``, with ``{i}`` replaced in their strings too (a value that is nothing but ``{i}`` becomes the number).
    """
    from omegaconf import OmegaConf

    if OmegaConf.is_list(node):
        for value in node:
            expand(value, source)
    if not OmegaConf.is_dict(node):
        return
    for key in list(node):
        if OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key):
            continue
        value = node[key]
        if not (OmegaConf.is_dict(value) and "copies" in value and "{i}" in str(key)):
            expand(value, source)
            continue
        copies = value.copies
        if not isinstance(copies, int) or isinstance(copies, bool) or not 1 <= copies <= MOST_COPIES:
            raise UserError(
                f"{source}{printable(key)}.copies={copies!r} must be a whole number from 1 to {MOST_COPIES:,}"
            )
        template = OmegaConf.to_container(value, resolve=False)
        assert isinstance(template, dict)
        del template["copies"], node[key]
        for i in range(copies):
            node[str(key).replace("{i}", str(i))] = _filled(template, i)


def _filled(template: Any, i: int) -> Any:
    if isinstance(template, dict):
        return {_filled(key, i) if isinstance(key, str) else key: _filled(value, i) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, i) for value in template]
    if isinstance(template, str) and "{i}" in template:
        return i if template == "{i}" else template.replace("{i}", str(i))
    return template


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
    check_places(plain, source=f"{source}: ")
    resolved = OmegaConf.to_container(cfg, resolve=True)
    if "${" in repr(resolved):
        raise UserError(f"{source}: a value still holds '${{' after interpolation; remove the backslash before it")
    check_places(resolved, source=f"{source}: ")
    check_values(resolved, source)
    _check_sections(resolved, source)
    _check_numbers(cfg, source)


def check_values(node: Any, source: str, key: str = "") -> None:
    """Refuse values that a checkpoint cannot hold, such as NaN, numbers beyond 64 bits and types that are not plain."""
    if isinstance(node, dict | list):
        items: Any = node.items() if isinstance(node, dict) else enumerate(node)
        for name, value in items:
            if not isinstance(name, str | int) or "\0" in str(name):
                raise UserError(f"{source}: {key or 'its top level'} has the key {name!r}; keys must be plain text")
            check_values(value, source, f"{key}.{name}" if key else str(name))
        return
    whole = isinstance(node, int) and abs(node) < 2**63
    number = isinstance(node, float) and math.isfinite(node)
    text = isinstance(node, str) and "\0" not in node and len(node) <= LONGEST_TEXT
    if not (node is None or whole or number or text):
        shown = printable(repr(node))[:60]
        raise UserError(
            f"{source}: {printable(key)}={shown} must be text, true or false, or a finite number below 2^63"
        )


def _check_sections(plain: Any, source: str) -> None:
    """Every part that is built needs a class, and the numbers of the checkpoints must make sense before training."""
    built = [(key, plain[key]) for key in ("engine", "data", "representation", "game")]
    built += [(f"{key}.{name}", part) for key in ("players", "callbacks") for name, part in plain[key].items()]
    for key, part in built:
        if not (part is None and "." in key) and not (isinstance(part, dict) and "_target_" in part):
            raise UserError(f"{source}: {printable(key)}={printable(repr(part))[:60]} must be a section with _target_")
    for name, part in (plain.get("streams") or {}).items():
        if part is not None and not isinstance(part, dict):
            raise UserError(
                f"{source}: streams.{printable(name)}={printable(repr(part))[:60]} must be a section or null"
            )
    saved = plain["checkpoints"]
    for key, kinds, least, empty in (
        ("keep", int, 1, False),
        ("every_steps", int, 1, True),
        ("every_minutes", int | float, 0, True),
    ):
        value = saved.get(key, least)
        if not (value is None and empty) and (not isinstance(value, kinds) or isinstance(value, bool) or value < least):
            what = "a whole number" if kinds is int else "a number"
            raise UserError(f"{source}: checkpoints.{key}={value!r} must be {what} of at least {least}")


def _check_numbers(cfg: DictConfig, source: str) -> None:
    steps, minutes = cfg.trainer.get("steps"), cfg.trainer.get("minutes")
    if steps is None and minutes is None:
        raise UserError(f"{source}: set trainer.steps, trainer.minutes or both; a training needs an end")
    for key, value, kinds in (("trainer.steps", steps, int), ("trainer.minutes", minutes, int | float)):
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool) or value < 0):
            raise UserError(f"{source}: {key}={value!r} must be a number of at least 0")
    for key, least in (("batch_size", 1), ("seed", 0)):
        value = cfg.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UserError(f"{source}: {key}={value!r} must be a whole number of at least {least}")
    if cfg.trainer.get("clock") not in ("wall", "cpu"):
        raise UserError(f"{source}: trainer.clock={cfg.trainer.get('clock')!r} must be wall or cpu")


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
    try:
        return make(**extra)
    except UserError:
        raise
    except Exception as error:  # as hydra does for what it builds
        raise UserError(f"{where}: {_first_line(error)}") from error


def _key(error: BaseException) -> str:
    found = re.search(r"full_key: (\S+)", str(error))
    return f" (in {found[1]})" if found else ""


def _first_line(error: BaseException) -> str:
    """The error in one line: its first two, for hydra tells what to do in the second."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(error).__name__
