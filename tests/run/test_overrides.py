"""Tests of the values that users type after KEY=."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny import TINY

from audiogan.cli import main
from audiogan.errors import UserError
from audiogan.run.config import compose
from audiogan.run.overrides import parse_override, settings_from_run_name, to_hydra_overrides

NAMES = [
    "Bob's drums", "it's \"loud\"", "Trömmel", "太鼓", "drums (1)", "drums(1)", "drums [808]", "[808]", "{a: 1}",
    "2024", "1e3", "007", "true", "nan", "runs/points,loss=hinge", "a=b", "a,b", "-x", "#1", "a;b & c", "~/kept", "50%",
    "new\nline", "C:\\Users\\me (1)", "back\\", "choice(a,b)", "'80s", "x ",
]  # fmt: skip
HYDRAS = {
    "'a b'": "a b", '"a, b"': "a, b", "a\\,b": "a,b", "a b": "a b", "null": None, "${oc.env:HERE}/x": "/here/x",
    "'${oc.env:HERE}/ö'": "/here/ö", "${oc.env:HERE}/Bob's": "/here/Bob's", "str(2024)": "2024",
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize("multirun", [False, True])
@pytest.mark.parametrize("key", ["data.root", "+data.labels", "++data.cache", "run_dir", "name"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_taken_as_it_is(name: str, key: str, multirun: bool) -> None:
    os.makedirs(name, exist_ok=True)
    (override,) = to_hydra_overrides([f"{key}={name}"], multirun=multirun)
    assert parse_override(override).value() == name
    assert to_hydra_overrides([override]) == [override]


@pytest.mark.parametrize("written", HYDRAS)
def test_what_is_written_in_hydras_grammar_stays(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "/here")
    assert compose("drums", [f"data.root={written}"]).data.root == HYDRAS[written]


def test_other_settings_keep_hydras_grammar() -> None:
    written = ["network=a,b", "game.generator.widths=[8,8]", "+x=1", "++y={a:1}", "~callbacks.ema", "lr.critic=1e-3"]
    assert to_hydra_overrides(written, multirun=True) == written


def test_commas_are_a_sweep_with_multirun_unless_a_file_has_this_name() -> None:
    def several(value: str) -> list[str]:
        (override,) = to_hydra_overrides([f"data.root={value}"], multirun=True)
        parsed = parse_override(override)
        return list(parsed.sweep_string_iterator()) if parsed.is_sweep_override() else [str(parsed.value())]

    assert several("a,b") == ["a", "b"]
    assert several("Bob's,'q r',2024") == ['"Bob\'s"', "'q r'", "'2024'"]
    for name in ("a,b", "Bob's,Ann's"):
        Path(name).mkdir()
        assert several(name) == [name]
    for name in ("a", "b"):
        Path(name).mkdir()
    assert several("a,b") == ["a", "b"]


def test_several_paths_without_multirun_are_one_line() -> None:
    Path("a").mkdir()
    Path("b").mkdir()
    with pytest.raises(UserError, match="add -m to train with each value"):
        to_hydra_overrides(["data.root=a,b"])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("run_dir=", "run_dir= is empty"),
        ("data.root=Tr\udcf6mmel", r"Tr\\udcf6mmel: this name is not valid UTF-8"),
        ("conditioning=ö", "\"KEY='VALUE'\""),
        ("widths=[8,", r"widths=\[8,: invalid override"),
    ],
)
def test_what_cannot_be_used_is_one_line(override: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        compose("points", [override])
    assert "\n" not in str(caught.value)


def test_a_folder_with_any_name_trains_and_goes_on(tiny_sounds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("Bob's Trömmel [808] (1), a=b")
    folder.symlink_to(tiny_sounds)
    command = ["train", "drums", *TINY, "trainer.steps=1", "callbacks.previews=null", f"data.root={folder}"]
    assert main(command) == 0
    assert main(["train", "drums", "-m", *command[2:], "seed=0"]) == 0
    assert main([*command, "run_dir=Ann's run"]) == 0
    (run,) = [path for path in Path("runs").iterdir() if path.is_dir() and "seed" not in path.name]
    assert main([*command, f"run_dir={run}"]) == 0
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["P.YAML", "p.yml", "Bob's (1).yaml", "ü=x,y.YML"])
def test_a_configuration_may_have_any_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "Ann's [1], ü=x"
    (folder / "mine").mkdir(parents=True)
    (folder / "mine" / "a.yaml").write_text("# @package _global_\nbatch_size: 9\n")
    (folder / name).write_text("defaults: [points, {mine: a}, _self_]\nseed: 7\n")
    cfg = compose(str(folder / name))
    assert (cfg.seed, cfg.batch_size, cfg.name) == (7, 9, Path(name).stem)


@pytest.mark.parametrize(
    ("folder", "overrides", "kept"),
    [
        ("runs/points,loss=hinge", [], ["loss=hinge"]),
        ("runs/points,loss=hinge,seed=1", ["trainer.steps=2"], ["loss=hinge", "seed=1"]),
        ("runs/points,loss=hinge,seed=1", ["seed=2"], ["loss=hinge"]),
        ("runs/points,loss=hinge-0a1b2c", [], []),  # shortened
        ("runs/drums,loss=hinge", [], []),
        ("runs/points", [], []),
        ("runs/points,my notes", [], []),
    ],
)
def test_the_name_of_a_run_folder_states_settings(folder: str, overrides: list[str], kept: list[str]) -> None:
    given = [*overrides, f"run_dir={folder}"]
    assert settings_from_run_name("points", given) == []
    os.makedirs(f"{folder}/checkpoints")
    assert settings_from_run_name("points", given) == kept
    assert settings_from_run_name("points", [*overrides, f"run_dir='{folder}/'"]) == kept
    assert settings_from_run_name("points", overrides) == []
