"""Configuration files from strangers: checked before hydra and OmegaConf read them.

Hydra reads every file of a composition through `CheckedFiles`, so one check covers the named file and all files that
its defaults list adds. `CheckedLoader` compares hydra's own section with that of a shipped configuration.
"""

from __future__ import annotations

import contextlib
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
"""Bytes of a configuration file."""
MAX_DEPTH = 40
"""Nested maps and lists in a configuration."""
MAX_VALUES = 100_000
"""Values of a configuration after aliases and interpolations are filled in."""
TAGS = ("null", "bool", "int", "float", "str", "seq", "map", "merge", "value")
"""YAML types that a checkpoint can hold."""


class CheckedFiles(FileConfigSource):
    """A folder of YAML files that hydra reads only after `check_yaml`, and never from outside of the folder."""

    @staticmethod
    def scheme() -> str:
        return "checked"

    def load_config(self, config_path: str) -> ConfigResult:
        path = self._find(config_path)
        text = read_yaml(path)
        config = OmegaConf.load(io.StringIO(text))
        check_defaults(config, path)
        return ConfigResult(
            config=config,
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=ConfigSource._get_header_dict(text[:512]),
        )

    def is_config(self, config_path: str) -> bool:
        return self._find(config_path).is_file()

    def is_group(self, config_path: str) -> bool:
        return self._inside(config_path).is_dir()

    def _find(self, config_path: str) -> Path:
        """The file of a configuration. Only one that is named whole may end otherwise than in ``.yaml``."""
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
    """Composes configurations, and refuses those in which files changed hydra's own section.

    Hydra composes the configuration of a sweep and those of its jobs here, before it acts upon them.

    Args:
        folder: folder of the configuration.
        packaged: folder of the shipped configurations, where hydra looks next.
        source: the name of the configuration, for messages.
    """

    def __init__(self, folder: Path, packaged: Path, source: str) -> None:
        super().__init__(_search_path(dict.fromkeys([folder, packaged])))
        self.trusted = None if folder == packaged else ConfigLoaderImpl(_search_path([packaged]))
        self.shipped = min(packaged.glob("*.yaml")).stem
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
        """Return the overrides of entries that `expand` makes, such as ``players.critic_3.repeats=2``."""
        parsed = {o: OverridesParser.create().parse_override(o) for o in overrides}
        candidates = [o for o, one in parsed.items() if re.search(r"\d", one.key_or_group) and "." in one.key_or_group]
        if not candidates:
            return []
        others = [o for o in overrides if o not in candidates]
        plain = OmegaConf.to_container(super().load_configuration(config_name, others, run_mode), resolve=False)
        return [o for o in candidates if is_copy_key(plain, parsed[o].key_or_group)]

    def _apply_to_copies(self, cfg: DictConfig, late: list[str], overrides: list[str]) -> None:
        """Make the copies of a composed configuration, and apply overrides to them."""
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
def restrict_hydra(folder: Path, packaged: Path, source: str) -> Iterator[Hydra]:
    """Let hydra find configurations in ``folder`` and in ``packaged``, and nowhere else. See `CheckedLoader`."""
    SourcesRegistry.instance().register(CheckedFiles)
    with initialize(config_path=None, version_base="1.3"):  # restores hydra's global state when it ends
        GlobalHydra.instance().clear()
        hydra = Hydra("audiogan", CheckedLoader(folder, packaged, source))
        GlobalHydra.instance().initialize(hydra)
        yield hydra


def read_yaml(path: Path) -> str:
    """The text of a YAML file that `check_yaml` accepts."""
    try:
        text = read_small_file(path, MAX_FILE_BYTES, "configuration").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    check_yaml(text, path)
    return text


def check_yaml(text: str, path: Path) -> None:
    """Refuse YAML that is not a map, is nested too deeply, grows by aliases, or holds types other than plain ones.

    Raises:
        UserError: names the file, the line and the reason.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        size = _size(node, {}, path, 0)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({printable(' '.join(str(error).split())[:200])})") from error
    except RecursionError as error:
        raise UserError(f"{path}: nested more than {MAX_DEPTH} deep") from error
    if size > MAX_VALUES:
        raise UserError(f"{path}: more than {MAX_VALUES:,} values once its aliases are filled in")
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{path}: must hold keys and values; start from a shipped configuration")


def check_defaults(config: Any, path: Path) -> None:
    """Refuse what hydra acts upon while it reads a file: a section ``hydra``, and resolvers in the defaults list."""
    if "hydra" in config:  # in the text, or by a merge key
        raise UserError(f"{path}: a section 'hydra' is not allowed in a configuration; give it on the command line")
    plain: Any = OmegaConf.to_container(config, resolve=False)
    for text in _texts(plain.get("defaults")):
        if any(":" in _outermost(inside) for inside in _interpolations(text, f"{path}: defaults")):
            raise UserError(f"{path}: defaults: {printable(text)[:80]}: ${{NAME:...}} is not allowed; write a name")


def _texts(node: Any) -> Iterator[str]:
    """Every string of a plain container, keys included."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for part in [*node, *node.values()] if isinstance(node, dict) else node:
            yield from _texts(part)


def _size(node: yaml.Node | None, known: dict[int, int], path: Path, depth: int) -> int:
    """Values below a node, each alias counted as often as it is used. ``known`` holds the sizes of visited nodes."""
    if node is None:
        return 0
    line = node.start_mark.line + 1
    if id(node) in known:
        if known[id(node)] < 0:
            raise UserError(f"{path}, line {line}: an alias inside of its own anchor")
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
        size = min(size + _size(child, known, path, depth + 1), MAX_VALUES + 1)
    known[id(node)] = size
    return size


def check_hydra_section(
    node: Any, reference: Any, hydra_overrides: Sequence[str], task_overrides: Sequence[str], config: str
) -> None:
    """Refuse a composition in which files, rather than the person, changed hydra's own section.

    Args:
        node: the composed section ``hydra``.
        reference: the same section of a shipped configuration, composed with the same ``hydra_overrides``.
        hydra_overrides, task_overrides: the overrides that ``node`` was composed with.
        config: the name of the configuration, for the message.
    """
    ours, theirs = _comparable(node), _comparable(reference)
    theirs["overrides"] = {"hydra": list(hydra_overrides), "task": list(task_overrides)}
    different = next(_differences(ours, theirs, "hydra"), None)
    if different is not None:
        raise UserError(
            f"{config}: it changes {printable(different)}; a configuration must leave hydra's own settings alone: "
            "remove that from its files, or give it on the command line"
        )


def is_hydra_override(override: str) -> bool:
    """Whether an override is about hydra's own section."""
    return bool(OverridesParser.create().parse_override(override).is_hydra_override())


def _comparable(section: Any) -> dict[str, Any]:
    """The section as plain values, without entries that hydra derives from the name and the overrides."""
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


def check_interpolations(plain: Mapping[Any, Any], overrides: Sequence[str], source: str) -> None:
    """Refuse interpolations that call a resolver, that refer to themselves, or that grow beyond all bounds.

    Resolvers read the environment or the clock (``${oc.env:TOKEN}``). They may stand in an override that the person
    typed, not in a file.

    Args:
        plain: the configuration as plain values, not resolved.
        overrides: as the person typed them.
        source: the name of the configuration, for the message.
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
                    f"{source}: {printable(key)}={printable(value)[:80]}: a file may not use ${{NAME:...}}; "
                    "write the value itself, or give it on the command line"
                )
            total += referred(text, key)
        return total

    def measure(key: str, value: Any) -> int:
        if key not in sizes:
            sizes[key] = -1
            sizes[key] = min(size(value, key), MAX_VALUES + 1)
        if sizes[key] < 0:
            raise UserError(f"{source}: {printable(key)} refers to itself")
        if sizes[key] > MAX_VALUES:
            raise UserError(f"{source}: {printable(key)} has more than {MAX_VALUES:,} values once it is filled in")
        return sizes[key]

    def referred(text: str, key: str) -> int:
        """The size of the value of ``${text}``, or of its whole section if part of the key is filled in later."""
        static = text[: text.find("${")].rpartition(".")[0] if "${" in text else text
        path = re.sub(r"\[([^\]]*)\]", r".\1", static.strip())
        if path.startswith("."):
            ups = len(path) - len(path.lstrip("."))
            parents = key.split(".")
            path = ".".join([*parents[: max(len(parents) - ups, 0)], path.lstrip(".")]).strip(".")
        node: Any = plain
        done: list[str] = []
        for name in filter(None, path.split(".")):
            if isinstance(node, list) and name.isdigit() and int(name) < len(node):
                node = node[int(name)]
            elif isinstance(node, dict) and name in node:
                node = node[name]
            elif isinstance(node, str) and "${" in node:
                break  # the rest of the key lies in the section that this value refers to
            else:
                return 1  # unknown: OmegaConf reports it
            done.append(name)
        if not done and "${" in text:
            return MAX_VALUES + 1  # the whole configuration
        return measure(".".join(done), node) if done else 1

    for name, value in plain.items():
        measure(str(name), value)


def _interpolations(value: str, where: str) -> Iterator[str]:
    """The text inside of each ``${...}``, also of nested ones."""
    if value.count("${") > 1000:
        raise UserError(f"{where}: more than 1,000 interpolations in one value")
    for start in (match.end() for match in re.finditer(r"\$\{", value)):
        depth, end = 1, start
        while end < len(value) and depth:
            depth += 1 if value.startswith("${", end) else -1 if value[end] == "}" else 0
            end += 1
        yield value[start : end - 1 if depth == 0 else end]


def _outermost(text: str) -> str:
    """``text`` without the interpolations nested in it."""
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
