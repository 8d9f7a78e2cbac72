"""Check untrusted configuration files before Hydra and OmegaConf read them.

Hydra reads all files through `CheckedFiles`: the file of the configuration and the files in its defaults list.
`CheckedLoader` makes sure that no file changed the section ``hydra``.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.hydra import Hydra
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from audiogan.errors import UserError
from audiogan.files import read_small_file
from audiogan.run.copies import expand_copies, is_copy_key
from audiogan.utils.text import printable

MAX_FILE_BYTES = 1 << 20
"""Largest size of a configuration file, in bytes."""
MAX_DEPTH = 40
"""Largest nesting depth of maps and lists in a configuration."""
MAX_VALUES = 100_000
"""Largest number of values in a configuration, after aliases and interpolations are expanded."""
TAGS = ("null", "bool", "int", "float", "str", "seq", "map", "merge", "value")
"""YAML types that a checkpoint can store."""


class CheckedFiles(FileConfigSource):
    """A folder of YAML files for Hydra. Each file is checked before it is read and must be inside the folder."""

    @staticmethod
    def scheme() -> str:
        return "checked"

    def load_config(self, config_path: str) -> ConfigResult:
        path = self._find(config_path)
        text = _read_text(path)
        return ConfigResult(
            config=copy.deepcopy(_parse(text, path)),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=ConfigSource._get_header_dict(text[:512]),
        )

    def is_config(self, config_path: str) -> bool:
        return self._find(config_path).is_file()

    def is_group(self, config_path: str) -> bool:
        return self._inside(config_path).is_dir()

    def _find(self, config_path: str) -> Path:
        """Return the file of a configuration. The suffix ``.yaml`` is added if ``config_path`` has no YAML suffix."""
        whole = self._inside(config_path)
        if whole.suffix.lower() in (".yaml", ".yml") and whole.is_file():
            return whole
        return self._inside(f"{config_path}.yaml")

    def _inside(self, relative: str) -> Path:
        folder = os.path.realpath(self.path)
        path = os.path.realpath(os.path.join(folder, relative))
        if os.path.commonpath([folder, path]) != folder:
            raise UserError(f"{printable(relative)}: a configuration reads only files below its own folder, {folder}")
        return Path(path)


class CheckedLoader(ConfigLoaderImpl):
    """Hydra loader that rejects a configuration if its files changed the section ``hydra``.

    Hydra composes the configuration of a multirun, and of each of its jobs, with this loader.

    Args:
        folder: folder of the configuration.
        shipped_folder: folder of the shipped configurations, which Hydra searches after ``folder``.
        source: file or name of the configuration, for messages.
    """

    def __init__(self, folder: Path, shipped_folder: Path, source: str) -> None:
        super().__init__(_search_path(dict.fromkeys([folder, shipped_folder])))
        self.trusted = None if folder == shipped_folder else ConfigLoaderImpl(_search_path([shipped_folder]))
        self.shipped = min(shipped_folder.glob("*.yaml")).stem
        self.source = source

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *args: Any, **kwargs: Any
    ) -> DictConfig:
        late = self._overrides_of_copies(config_name, overrides, run_mode)
        early = [o for o in overrides if o not in late]
        cfg = super().load_configuration(config_name, early, run_mode, *args, **kwargs)
        if late:
            self._apply_to_copies(cfg, late, overrides)
        if self.trusted is not None:
            about_hydra = [o for o in overrides if is_hydra_override(o)]
            others = [o for o in overrides if o not in about_hydra]
            shipped = self.trusted.load_configuration(self.shipped, about_hydra, run_mode)
            check_hydra_section(cfg.hydra, shipped.hydra, about_hydra, others, self.source)
        return cfg

    def _overrides_of_copies(self, config_name: str | None, overrides: list[str], run_mode: RunMode) -> list[str]:
        """Return the overrides of copies made by `expand_copies`, such as ``players.critic_3.repeats=2``."""
        parsed = {o: OverridesParser.create().parse_override(o) for o in overrides}
        candidates = [o for o, one in parsed.items() if re.search(r"\d", one.key_or_group) and "." in one.key_or_group]
        if not candidates:
            return []
        others = [o for o in overrides if o not in candidates]
        plain = OmegaConf.to_container(super().load_configuration(config_name, others, run_mode), resolve=False)
        return [o for o in candidates if is_copy_key(plain, parsed[o].key_or_group)]

    def _apply_to_copies(self, cfg: DictConfig, late: list[str], overrides: list[str]) -> None:
        """Expand the copies in a composed configuration, and apply overrides to them."""
        plain: Any = OmegaConf.to_container(cfg, resolve=False)
        check_interpolations({key: value for key, value in plain.items() if key != "hydra"}, overrides, self.source)
        with open_dict(cfg):
            hydra_section = cfg.pop("hydra")
            expand_copies(cfg, f"{self.source}: ")
            cfg.hydra = hydra_section
            cfg.hydra.overrides.task = [o for o in overrides if not is_hydra_override(o)]
        parsed = [one for one in map(OverridesParser.create().parse_override, late) if not one.is_sweep_override()]
        self._apply_overrides_to_config(parsed, cfg)


def _search_path(folders: Iterable[Path]) -> ConfigSearchPath:
    places = create_config_search_path(None)
    for folder in reversed(list(folders)):
        places.append("main", f"{CheckedFiles.scheme()}://{folder}", SearchPathQuery("hydra", None))
    return places


@contextlib.contextmanager
def restrict_hydra(folder: Path, shipped_folder: Path, source: str) -> Iterator[Hydra]:
    """Restrict Hydra to the configurations in two folders within a ``with`` block. See `CheckedLoader`."""
    SourcesRegistry.instance().register(CheckedFiles)
    with initialize(config_path=None, version_base="1.3"):  # Leaving this block restores Hydra's global state.
        GlobalHydra.instance().clear()
        hydra = Hydra("audiogan", CheckedLoader(folder, shipped_folder, source))
        GlobalHydra.instance().initialize(hydra)
        yield hydra


def _read_text(path: Path) -> str:
    """Return the text of a configuration file."""
    try:
        return read_small_file(path, MAX_FILE_BYTES, "configuration").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error


@functools.lru_cache(maxsize=256)
def _parse(text: str, path: Path) -> Any:
    """Return the content of a configuration file after all checks. The result is cached, so callers must copy it."""
    check_yaml(text, path)
    config = OmegaConf.load(io.StringIO(text))
    check_defaults(config, path)
    return config


def check_yaml(text: str, path: Path) -> None:
    """Raise `UserError` unless a YAML text is safe to load as a configuration.

    The text must be a map of plain values, with limited nesting, and with a limited size after aliases are expanded.

    Args:
        text: content of the file.
        path: path of the file, for messages.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        size = _count_values(node, {}, path, 0)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: invalid YAML ({printable(' '.join(str(error).split())[:200])})") from error
    except RecursionError as error:
        raise UserError(f"{path}: nested more than {MAX_DEPTH} deep") from error
    if size > MAX_VALUES:
        raise UserError(f"{path}: more than {MAX_VALUES:,} values after its aliases are expanded; shorten it")
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{path}: must be a map of keys and values; start from a shipped configuration")


def check_defaults(config: Any, path: Path) -> None:
    """Raise `UserError` if a file has a section ``hydra``, or a resolver such as ``${oc.env:X}`` in its defaults list.

    Hydra evaluates both while it reads the file.
    """
    if "hydra" in config:  # A YAML merge key may have inserted the section.
        raise UserError(f"{path}: a section 'hydra' is not allowed in a configuration; give it on the command line")
    plain: Any = OmegaConf.to_container(config, resolve=False)
    for text in _strings(plain.get("defaults")):
        if any(":" in _outermost(inside) for inside in _interpolations(text, f"{path}: defaults")):
            raise UserError(
                f"{path}: defaults: {printable(text)[:80]}: ${{NAME:...}} is not allowed; write the name of a file"
            )


def _strings(node: Any) -> Iterator[str]:
    """Yield every string in a plain container, including the keys."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for part in [*node, *node.values()] if isinstance(node, dict) else node:
            yield from _strings(part)


def _count_values(node: yaml.Node | None, known: dict[int, int], path: Path, depth: int) -> int:
    """Return the number of values in a YAML node with all aliases expanded. ``known`` caches the numbers by node id."""
    if node is None:
        return 0
    line = node.start_mark.line + 1
    if id(node) in known:
        if known[id(node)] < 0:
            raise UserError(f"{path}, line {line}: an alias refers to a value that contains it; remove the alias")
        return known[id(node)]
    if depth > MAX_DEPTH:
        raise UserError(f"{path}, line {line}: nested more than {MAX_DEPTH} deep")
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind not in (*TAGS, "timestamp"):
        raise UserError(
            f"{path}, line {line}: a value of the type {printable(node.tag)} is not allowed; write plain text"
        )
    known[id(node)] = -1
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    size = 1
    for child in children:
        size = min(size + _count_values(child, known, path, depth + 1), MAX_VALUES + 1)
    known[id(node)] = size
    return size


def check_hydra_section(
    section: Any, reference: Any, hydra_overrides: Sequence[str], task_overrides: Sequence[str], source: str
) -> None:
    """Raise `UserError` if configuration files changed the section ``hydra``. Only the command line may change it.

    Args:
        section: the composed section ``hydra``.
        reference: the section ``hydra`` of a shipped configuration, composed with the same ``hydra_overrides``.
        hydra_overrides: overrides of the section ``hydra``.
        task_overrides: all other overrides.
        source: file or name of the configuration, for messages.
    """
    ours, theirs = _comparable(section), _comparable(reference)
    theirs["overrides"] = {"hydra": list(hydra_overrides), "task": list(task_overrides)}
    different = next(_differences(ours, theirs, "hydra"), None)
    if different is not None:
        raise UserError(
            f"{source}: a file changes {printable(different)}, but only the command line may change settings of hydra; "
            "remove it from the file"
        )


def is_hydra_override(override: str) -> bool:
    """Return whether an override changes the section ``hydra``."""
    return bool(OverridesParser.create().parse_override(override).is_hydra_override())


def _comparable(section: Any) -> dict[str, Any]:
    """Return the section ``hydra`` as plain values, without entries that depend on the configuration's name."""
    plain: Any = OmegaConf.to_container(section, resolve=False)
    for key in ("config_name", "override_dirname"):
        plain["job"].pop(key, None)
    plain["runtime"]["config_sources"] = None
    choices = plain["runtime"]["choices"]
    plain["runtime"]["choices"] = {key: value for key, value in choices.items() if str(key).startswith("hydra/")}
    return plain


def _differences(a: Any, b: Any, key: str) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        for name in sorted(a.keys() | b.keys(), key=str):
            yield from _differences(a.get(name, ...), b.get(name, ...), f"{key}.{name}")
    elif a != b or type(a) is not type(b):
        yield key


def check_interpolations(config: Mapping[Any, Any], overrides: Sequence[str], source: str) -> None:
    """Raise `UserError` if interpolations call resolvers, refer to themselves, or expand to too many values.

    Resolvers such as ``${oc.env:TOKEN}`` read the environment or the clock. They are allowed in overrides on the
    command line, but not in files.

    Args:
        config: configuration as plain values, before interpolation.
        overrides: overrides on the command line.
        source: file or name of the configuration, for messages.
    """
    sizes: dict[str, int] = {}

    def size(value: Any, key: str) -> int:
        if isinstance(value, dict):
            return 1 + sum(measure(f"{key}.{name}" if key else str(name), item) for name, item in value.items())
        if isinstance(value, list):
            return 1 + sum(measure(f"{key}.{i}", item) for i, item in enumerate(value))
        if not isinstance(value, str) or "${" not in value:
            return 1
        total = 1 + len(value) // 100
        for text in _interpolations(value, f"{source}: {key}"):
            if ":" in _outermost(text) and not any(text in override for override in overrides):
                raise UserError(
                    f"{source}: {printable(key)}={printable(value)[:80]}: a file must not use ${{NAME:...}}; "
                    "write the value itself, or set it on the command line"
                )
            total += referred(text, key)
        return total

    def measure(key: str, value: Any) -> int:
        if key not in sizes:
            sizes[key] = -1
            sizes[key] = min(size(value, key), MAX_VALUES + 1)
        if sizes[key] < 0:
            raise UserError(f"{source}: {printable(key)} refers to itself; write a value")
        if sizes[key] > MAX_VALUES:
            raise UserError(
                f"{source}: {printable(key)} has more than {MAX_VALUES:,} values after interpolation; shorten it"
            )
        return sizes[key]

    def referred(text: str, key: str) -> int:
        """Return the number of values to which ``${text}`` refers. If ``text`` contains another interpolation, count
        all values of the section in front of it."""
        static = text[: text.find("${")].rpartition(".")[0] if "${" in text else text
        path = re.sub(r"\[([^\]]*)\]", r".\1", static.strip())
        if path.startswith("."):
            ups = len(path) - len(path.lstrip("."))
            parents = key.split(".")
            path = ".".join([*parents[: max(len(parents) - ups, 0)], path.lstrip(".")]).strip(".")
        node: Any = config
        done: list[str] = []
        for name in filter(None, path.split(".")):
            if isinstance(node, list) and name.isdigit() and int(name) < len(node):
                node = node[int(name)]
            elif isinstance(node, dict) and name in node:
                node = node[name]
            elif isinstance(node, str) and "${" in node:
                break  # The rest of the key is in the section to which this value refers.
            else:
                return 1  # OmegaConf reports the unknown key.
            done.append(name)
        if not done and "${" in text:
            return MAX_VALUES + 1  # A nested interpolation may expand to the whole configuration.
        return measure(".".join(done), node) if done else 1

    for name, value in config.items():
        measure(str(name), value)


def _interpolations(value: str, where: str) -> Iterator[str]:
    """Yield the text inside each ``${...}`` of a string, including nested ones."""
    if value.count("${") > 1000:
        raise UserError(f"{where}: more than 1,000 interpolations in one value; shorten it")
    for start in (match.end() for match in re.finditer(r"\$\{", value)):
        depth, end = 1, start
        while end < len(value) and depth:
            depth += 1 if value.startswith("${", end) else -1 if value[end] == "}" else 0
            end += 1
        yield value[start : end - 1 if depth == 0 else end]


def _outermost(text: str) -> str:
    """Return ``text`` without nested interpolations."""
    kept, depth, i = [], 0, 0
    while i < len(text):
        if text.startswith("${", i):
            depth += 1
            i += 1
        elif depth and text[i] == "}":
            depth -= 1
        elif not depth:
            kept.append(text[i])
        i += 1
    return "".join(kept)
