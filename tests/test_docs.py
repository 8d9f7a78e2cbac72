"""Tests of the documentation: commands, links, and pages for every command and configuration."""

from __future__ import annotations

import ast
import functools
import importlib
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from audiogan import cli
from audiogan.run import config
from audiogan.run.multirun import list_jobs
from audiogan.run.overrides import to_hydra_overrides
from audiogan.run.packaged import shipped_configs

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
OTHERS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "samples/README.md")]
PAGES = sorted([*OTHERS, *DOCS.rglob("*.md"), *(ROOT / "audiogan").rglob("*.md")])
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?:(?: {4}|\t).*\n)(?:(?: {4}|\t).*\n|\n)*")
INLINE = re.compile(r"`(audiogan [^`]+)`")
LINK = re.compile(r"(?:\]\(|(?:src|href)=\")([^)\s\"]+)")
SHELL = ("", "sh", "bash", "console")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield the language and the text of each code block."""
    for match in FENCE.finditer(text):
        yield match[1], match[2]
    for match in INDENTED.finditer(FENCE.sub("", text)):
        yield "", match[0]


def shown(path: Path) -> Iterator[str]:
    """Yield the lines of a page that show a whole command."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        for line in re.findall(r"^# +(audiogan .*)", text, re.MULTILINE):
            yield re.split(r"\s{2,}", line)[0]
        return
    for language, block in blocks(text):
        if language in SHELL:
            yield from (line.strip() for line in re.sub(r"\\\n *", " ", block).splitlines() if "audiogan" in line)


def commands(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each command `audiogan` in a line of shell code."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="<>|&;")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= set("<>|&;"):
            words.append(word)
            continue
        at = next((i for i, found in enumerate(words) if Path(found).name == "audiogan"), None)
        if at is not None and words[0] not in ("pip", "curl", "cd", "git"):
            yield words[at + 1 :]
        words = [] if set(word) <= set("|&;") else ["redirected"]


def is_usage(arguments: list[str]) -> bool:
    """Return whether arguments are a pattern rather than a command to type."""
    return any("…" in word or word in ("...", "KEY=VALUE", "CONFIG", "COMMAND", "VERB") for word in arguments)


@functools.cache
def parser() -> Any:
    return cli.parser()


@functools.cache
def composed(name: str, overrides: tuple[str, ...]) -> None:
    config.compose(name, overrides)


def check(arguments: list[str]) -> None:
    """Parse the arguments of a command; compose the configuration of a training with its overrides."""
    args, rest = parser().parse_known_args(arguments)
    overrides = [*getattr(args, "overrides", ()), *rest] if args.command == "train" else []
    assert not rest or (args.command == "train" and not any(word.startswith("-") for word in rest)), rest
    if args.command != "train":
        return
    if args.config not in shipped_configs():  # A configuration file of the reader.
        assert args.config.endswith(".yaml"), args.config
        to_hydra_overrides(overrides, multirun=args.multirun)
        return
    for job in list_jobs(overrides)[:3] if args.multirun else [overrides]:
        composed(args.config, tuple(job))


@pytest.mark.parametrize("page", [*PAGES, *CONFIGS], ids=named)
def test_commands_parse(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for line in shown(page):
        for arguments in commands(line):
            if is_usage(arguments):
                assert arguments[0] in cli.COMMANDS, line
                continue
            if f'title="audiogan/commands/{arguments[0]}.py"' in page.read_text(encoding="utf-8"):
                continue  # An example of a new command.
            try:
                check(arguments)
            except (Exception, SystemExit) as error:
                wrong.append(f"{line}: {capsys.readouterr().err.strip()[-200:] or error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_in_the_text_exist(page: Path) -> None:
    options = {
        word
        for command in cli.parser()._subparsers._group_actions[0].choices.values()
        for word in command.format_help().replace("[", " ").replace("]", " ").replace(",", " ").split()
        if word.startswith("-")
    } | {"--version", *re.findall(r"--[\w-]+", data_help())}
    for text in INLINE.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        words = text.split()[1:]
        assert words[0] in cli.COMMANDS or words[0] in options, text
        assert {word.split("=")[0] for word in words if word.startswith("--")} <= options, text


@functools.cache
def data_help() -> str:
    """Return the help of the commands of `audiogan data`."""
    data = cli.parser()._subparsers._group_actions[0].choices["data"]
    return "".join(verb.format_help() for verb in data._subparsers._group_actions[0].choices.values())


def keys(section: Any, prefix: str = "") -> Iterator[str]:
    """Yield the names of all settings in a section."""
    for key, value in section.items() if isinstance(section, dict) else ():
        yield prefix + str(key)
        yield from keys(value, f"{prefix}{key}.")


@functools.cache
def settings() -> set[str]:
    """Return the names of all settings of the shipped configurations."""
    sounds = [("drums", f"network={name}") for name in ("wavegan", "specgan", "stftgan")]
    pictures = [("handwriting", f"network={name}") for name in ("biggan", "r3gan", "stylegan", "mlp")]
    others = [("handwriting", "loss=wgan-gp"), ("handwriting", "+augment=ada"), ("enhance", "+critic=metric")]
    found: set[str] = set()
    for name, *overrides in [*((name,) for name in shipped_configs()), *sounds, *pictures, *others]:
        found.update(keys(OmegaConf.to_container(config.compose(name, overrides), resolve=False)))
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=named)
def test_settings_in_the_text_exist(page: Path) -> None:
    for text in re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text(encoding="utf-8"))):
        for word in text.split():
            key = re.match(r"(?:game|data|callbacks|engine|trainer|players|streams|checkpoints)(?:\.[a-z_0-9]+)+", word)
            if key and not key[0].startswith("data.columns.") and not word.endswith((".py", ".yaml", ".md", ".csv")):
                assert key[0] in settings() or key[0].startswith("data."), f"{named(page)}: {word}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=named)
def test_names_in_the_text_exist(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for name in re.findall(r"`(audiogan(?:\.\w+)+)(?:\([^`]*\))?`", text):
        if not name.endswith((".json", "open_")):
            assert pkgutil.resolve_name(name) is not None, f"{named(page)}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_exist(page: Path) -> None:
    text = INDENTED.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))
    for address in LINK.findall(re.sub(r"`[^`]*`", "", text)):
        path = address.split("#")[0]
        if path and ":" not in path and not is_generated(page, path):
            assert (page.parent / path).exists(), f"{named(page)}: {address}"


def is_generated(page: Path, path: str) -> bool:
    """Return whether an address is a page of the API reference, which `docs/hooks.py` writes."""
    target = (page.parent / path).resolve()
    return target.parent == DOCS / "reference" and target.stem in site()["extra"]["reference"]


@functools.cache
def site() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    return found


def entries(nav: Any) -> Iterator[str]:
    """Yield the files in the navigation of the site."""
    if isinstance(nav, str):
        yield nav
    for entry in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from entries(entry)


def test_navigation_has_every_page() -> None:
    listed = set(entries(site()["nav"]))
    assert {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} <= listed
    assert all((DOCS / path).is_file() or (ROOT / path).is_file() for path in listed)


@pytest.mark.parametrize("name", [name for each in site()["extra"]["reference"].values() for name in each])
def test_reference_names_what_exists(name: str) -> None:
    assert pkgutil.resolve_name(name) is not None


def test_every_command_has_a_page() -> None:
    index = (DOCS / "how-to" / "index.md").read_text(encoding="utf-8")
    missing = [name for name in cli.COMMANDS if f"| `audiogan {name}` |" not in index]
    assert not missing, f"docs/how-to/index.md lacks {missing}"


def test_every_configuration_has_a_page() -> None:
    index = (DOCS / "systems" / "index.md").read_text(encoding="utf-8")
    names = [*shipped_configs(), *(path.stem for path in (ROOT / "configs" / "network").glob("*.yaml"))]
    pages = {name: [DOCS / "systems" / f"{name}.md", DOCS / f"{name}.md"] for name in names}
    assert not [name for name, places in pages.items() if not any(path.is_file() for path in places)]
    losses = [path.stem for path in (ROOT / "configs" / "loss").glob("*.yaml")]
    assert not [name for name in [*names, *losses] if f"`{name}`" not in index]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_python_imports_what_exists(page: Path) -> None:
    for language, block in blocks(page.read_text(encoding="utf-8")):
        if language != "python" or block.lstrip().startswith(">>>"):
            continue
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("audiogan"):
                module = importlib.import_module(str(node.module))
                missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                assert not [name for name in missing if not importlib.import_module(f"{node.module}.{name}")]


def test_a_gan_of_your_own_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = dict(blocks((DOCS / "tutorials" / "own-gan.md").read_text(encoding="utf-8")))
    (tmp_path / "my_networks.py").write_text(found["python"], encoding="utf-8")
    (tmp_path / "my.yaml").write_text(found["yaml"], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "my.yaml", "--trust", "my_networks", "trainer.steps=2"]) == 0
    assert cli.main(["sample", "-n", "2", "out", "--run", "runs/my", "--trust", "my_networks", "--class", "7"]) == 0
