"""Tests that games, networks, inputs and data of users support every command."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from every_command import COMMANDS, Run, trained_once
from outside_games import GAMES

import audiogan
from audiogan.errors import UserError


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, pytest.MonkeyPatch], Run]:
    """Return a function from the name of a game to its run. Each game is trained once. The working folder changes."""
    runs: dict[str, Run | None] = {}
    folders: dict[str, Path] = {}

    def train(name: str, monkeypatch: pytest.MonkeyPatch) -> Run:
        if name not in folders:
            folders[name], module = tmp_path_factory.mktemp(name), f"outside_{name.replace('-', '_')}"
            code, config = GAMES[name]
            (folders[name] / f"{module}.py").write_text(code)
            (folders[name] / "mine.yaml").write_text(config.replace("MODULE", module))
        monkeypatch.chdir(folders[name])
        trust = [f"outside_{name.replace('-', '_')}"]
        return trained_once(runs, name, lambda: Run(folders[name], "mine.yaml", trust=trust))

    return train


@pytest.mark.parametrize(
    ("name", "command"),
    [pytest.param(name, command, id=f"{name}-{command}") for name in GAMES for command in COMMANDS],
)
def test_every_command_with_a_game_from_outside(
    name: str,
    command: str,
    run_of: Callable[[str, pytest.MonkeyPatch], Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    COMMANDS[command](run_of(name, monkeypatch))


@pytest.mark.parametrize("name", ["two-way", "own-input"])
def test_without_trust_a_bundle_says_what_it_needs(
    name: str, run_of: Callable[[str, pytest.MonkeyPatch], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(name, monkeypatch)
    file, module = run.folder / "other.audiogan", run.trust[0]
    run.command("export", run.path, file)
    monkeypatch.delitem(sys.modules, module)
    with pytest.raises(UserError, match=f"needs the module {module}; if you trust its code"):
        audiogan.load(file)
