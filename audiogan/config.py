"""Configurations: composed by hydra, checked, and turned into objects. None can run code.

YAML says who plays and when. A ``_target_`` may only name a class of this package's building blocks, or a network layer
or an optimizer of torch; everything else is refused before it is imported.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

PACKAGE = Path(__file__).resolve().parent
PACKAGED = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"

# Where a `_target_` may be defined. Classes only, but for the functions named.
BLOCKS = (
    "augment",
    "callbacks",
    "core",
    "data",
    "games",
    "losses",
    "metrics",
    "modalities",
    "monitors",
    "networks",
    "representations",
)
FUNCTIONS = ("audiogan.data.sources.open_sounds", "audiogan.data.image_sources.open_images")

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
    """The configuration with its groups and overrides, checked; its ``run_dir`` is decided."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    folder, name = locate(config)
    _check_file(folder / f"{name}.yaml" if (folder / f"{name}.yaml").is_file() else folder / f"{name}.yml")
    searchpath = [f"hydra.searchpath=[file://{PACKAGED}]"] if folder != PACKAGED else []
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            whole = hydra_compose(name, [*searchpath, *overrides], return_hydra_config=True)
        _check_hydra(whole.hydra, config)
        cfg = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
        with open_dict(cfg):
            cfg.name = cfg.get("name") or name
            cfg.facts = dict(FACTS)
            expand(cfg)
            if cfg.get("run_dir") in (None, "auto"):
                cfg.run_dir = str(Path("runs") / run_name(cfg.name, overrides))
        check(cfg, config)
    except (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        said = f" (overrides: {' '.join(overrides)})" if overrides else ""
        raise UserError(f"{config}: {_first_line(error)}{said}") from error
    return cfg


def expand(node: Any) -> None:
    """Multiply entries with the key ``copies``, in place: ``critic_{i}: {copies: 2, ...}`` becomes ``critic_0`` and
    ``critic_1``, with ``{i}`` replaced in their strings too (a value that is nothing but ``{i}`` becomes the number).
    """
    from omegaconf import OmegaConf

    if OmegaConf.is_list(node):
        for value in node:
            expand(value)
    if not OmegaConf.is_dict(node):
        return
    for key in list(node):
        if OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key):
            continue
        value = node[key]
        if not (OmegaConf.is_dict(value) and "copies" in value and "{i}" in str(key)):
            expand(value)
            continue
        copies = value.copies
        if not isinstance(copies, int) or isinstance(copies, bool) or copies < 1:
            raise UserError(f"{key}.copies={copies!r} must be a whole number of at least 1")
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


def _check_file(path: Path) -> None:
    """Hydra imports what ``hydra.searchpath`` names while it reads, so that must not stand in the file at all."""
    from omegaconf import OmegaConf
    from yaml import YAMLError

    try:
        text = path.read_text(encoding="utf-8")
        own = OmegaConf.load(path)
    except (OSError, UnicodeDecodeError, YAMLError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())[:200]})") from error
    if not OmegaConf.is_dict(own):
        raise UserError(f"{path}: must hold keys and values; start from a shipped configuration")
    if "hydra" in own or re.search(r"^\s*#\s*@package\s+hydra", text, re.MULTILINE):
        raise UserError(f"{path}: a section 'hydra' is not allowed in a configuration; give it on the command line")


def _check_hydra(node: Any, config: str) -> None:
    """Hydra builds its own plugins from the configuration, so those must be hydra's."""
    for key in ("callbacks",):
        if node.get(key):
            raise UserError(f"{config}: hydra.{key} is not allowed in a configuration; remove it")
    for key in ("launcher", "sweeper"):
        target = str(node[key].get("_target_"))
        if not target.startswith(("hydra._internal.", "hydra_plugins.")):
            raise UserError(f"{config}: hydra.{key}._target_={target} is not one of hydra's own; remove it")
    allowed = {f"file://{PACKAGED}"}
    foreign = [path for path in node.searchpath or [] if path not in allowed]
    if foreign:
        raise UserError(f"{config}: hydra.searchpath {foreign} is not allowed in a configuration; remove it")


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
    for key in ("trainer", "players", "data", "representation", "game"):
        if not isinstance(plain.get(key), dict):
            raise UserError(
                f"{source}: the section {key!r} is missing; start from a shipped one ({', '.join(shipped())})"
            )
    for key, target in targets(plain):
        resolve_target(target, f"{source}: {key}")
    if "${" in repr(OmegaConf.to_container(cfg, resolve=True)):
        raise UserError(f"{source}: a value still holds '${{' after interpolation; remove the backslash before it")
    _check_numbers(cfg, source)


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


def targets(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every ``_target_`` in a plain container, with its key."""
    items: Any = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    for name, value in items:
        path = f"{key}.{name}" if key else str(name)
        if name == "_target_":
            yield path, value
        else:
            yield from targets(value, path)


def resolve_target(target: Any, where: str) -> Any:
    """The class or function that ``target`` names, if a configuration may build it; ``UserError`` otherwise."""
    refusal = UserError(
        f"{where}={target!r} is not a building block of audiogan, a torch.nn layer or a torch.optim optimizer"
    )
    if not isinstance(target, str) or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", target) or "__" in target:
        raise refusal
    parts = target.split(".")
    if parts[0] == "audiogan" and parts[1] in BLOCKS:
        modules: tuple[str, ...] = tuple(f"audiogan.{block}" for block in BLOCKS)
    elif parts[:2] in (["torch", "nn"], ["torch", "optim"]) and len(parts) == 3:
        modules = ("torch.nn.modules", "torch.optim")
    else:
        raise refusal
    found = _import(parts)
    if found is None:
        raise UserError(f"{where}={target!r} does not exist; check the spelling")
    home = getattr(found, "__module__", "")
    inside = any(home == m or home.startswith(m + ".") for m in modules)
    if inside and (isinstance(found, type) or f"{home}.{found.__name__}" in FUNCTIONS):
        return found
    raise refusal


def _import(parts: list[str]) -> Any:
    """The object at a dotted path, importing modules of the package as needed."""
    found, path = importlib.import_module(parts[0]), parts[0]
    for name in parts[1:]:
        path = f"{path}.{name}"
        try:
            found = getattr(found, name)
        except AttributeError:
            try:
                found = importlib.import_module(path)
            except ModuleNotFoundError as error:
                if error.name != path:
                    raise
                return None
    return found


def build(node: Any, where: str, **extra: Any) -> Any:
    """``hydra.utils.instantiate`` of a checked section; what goes wrong comes out as one line that names the key."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        for key, target in targets(plain):
            resolve_target(target, f"{where}.{key}")
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
