"""Tests of ``audiogan train my.yaml --trust NAME``: classes of the user's module, and errors without the flag."""

from __future__ import annotations

import inspect
import pkgutil
import sys
from importlib import import_module
from pathlib import Path

import pytest
from own_modules import write_module

import audiogan.data
import audiogan.run.trust
from audiogan.cli import main
from audiogan.errors import UserError
from audiogan.run.config import compose
from audiogan.run.targets import resolve_target

LOSS = "from audiogan.losses import NonSaturating\nclass Mine(NonSaturating):\n    pass\n"
POINTS = """\
defaults: [points, _self_]
trainer: {steps: 1}
widths: [4, 4]
callbacks: {previews: null, monitors: null}
"""


@pytest.fixture
def own(here: Path) -> str:
    """Return the name of a module with a loss, which ``mine.yaml`` uses."""
    name = write_module(here, LOSS)
    (here / "mine.yaml").write_text(f"{POINTS}data: {{count: 200}}\ngame: {{loss: {{_target_: {name}.Mine}}}}\n")
    return name


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the single line with which ``train`` refuses these arguments."""
    capsys.readouterr()
    code, err = main(["train", *arguments]), capsys.readouterr().err
    assert code == 2 and len(err.strip().splitlines()) == 1 and "Traceback" not in err, err
    assert not Path("runs").exists()
    return err.strip()


def test_the_line_names_the_flag(own: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    err = refused(capsys, "mine.yaml")
    assert f"game.loss._target_='{own}.Mine'" in err and err.endswith(f"if you trust {own}.py, add --trust {own}")
    assert own not in sys.modules
    (here / "conf").mkdir()
    (here / "conf" / "mine.yaml").write_text((here / "mine.yaml").read_text())
    (here / f"{own}.py").rename(here / "conf" / f"{own}.py")
    err = refused(capsys, "conf/mine.yaml")
    assert err.endswith(f"start the command in {here / 'conf'} and add --trust {own}")
    (here / "conf" / f"{own}.py").unlink()
    assert "this key takes" in refused(capsys, "conf/mine.yaml")
    assert f"{own}: no such module in {here}" in refused(capsys, "conf/mine.yaml", "--trust", own)


def test_training_with_a_trusted_loss(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "mine.yaml", "seed=1", "--trust", own, "batch_size=8"]) == 0, capsys.readouterr().err
    run = "runs/mine,seed=1,batch_size=8"
    printed = capsys.readouterr().out
    assert f"--run {run} --trust {own}" in printed
    assert f"{own}.Mine" in Path(run, "config.yaml").read_text()
    assert main(["train", "mine.yaml", f"--trust={own}", "seed=1", "batch_size=8", "trainer.steps=2"]) == 0
    assert "resuming from" in (printed := capsys.readouterr().out) and "changed since" not in printed
    assert main(["train", "mine.yaml", "seed=1", "batch_size=8"]) == 2  # Trust is not stored.
    assert "--trust" in capsys.readouterr().err


@pytest.mark.parametrize("chdir", [False, True])
def test_overrides_on_both_sides_of_flags(
    chdir: bool, own: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["hydra.job.chdir=true"] if chdir else []
    command = ["train", "mine.yaml", "seed=1,2", "--trust", "others", "batch_size=8", "-m", "betas=[0.5,0.9]", *more]
    before = list(sys.path)
    assert main([*command, "--trust", own]) == 0, capsys.readouterr().err
    names = sorted(path.parent.name for path in (here / "runs").rglob("checkpoints"))
    assert len(names) == 2 and all(f"seed={i}" in name for i, name in enumerate(names, start=1))
    assert all("batch_size=8" in name and "betas=" in name for name in names) and sys.path == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--trust", "os"], "--trust os: this module belongs to Python"),
        (["--trust", "../nets"], "without folders"),
        (["--trust=nets.py"], "write the name of the module, nets"),
        (["--trust", "nets,torch"], "--trust torch: "),
        (["--trust", ""], "write the name"),
        (["trust=nets"], "trust"),
        (["+trust=[nets]"], "--trust NAME on the command line"),
    ],
)
def test_wrong_names_are_one_line(flags: list[str], words: str, own: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in refused(capsys, "mine.yaml", *flags)


@pytest.mark.parametrize("flags", [["--trust"], ["--nonsense"], ["-x", "seed=1"]])
def test_unknown_and_unfinished_flags(flags: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "points", *flags])
    assert caught.value.code == 2 and flags[0] in capsys.readouterr().err


def test_help_of_every_command_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("train", "sample", "studio", "data", "list"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "--trust NAME" in capsys.readouterr().out


SETS_TRUST = {
    "a key": ("trust: [{own}]", "cannot trust modules"),
    "a key with a text": ("trust: {own}", "cannot trust modules"),
    "a key that a value refers to": ("trust: [{own}]\nname: ${{trust.0}}", "cannot trust modules"),
    "the module itself": (
        "game: {{loss: {{_target_: audiogan.run.trust.trust_modules, names: [{own}]}}}}",
        "this key takes",
    ),
    "a function of it": ("data: {{_target_: audiogan.run.trust.open_mine}}", "this key takes"),
    "hydra": ("hydra: {{job: {{env_set: {{PYTHONPATH: .}}}}}}", "hydra"),
    "an interpolation": ("voice: Mine\ngame: {{loss: {{_target_: '{own}.${{voice}}'}}}}", "is not allowed"),
}


@pytest.mark.parametrize("multirun", [False, True])
@pytest.mark.parametrize("kind", SETS_TRUST)
def test_a_file_cannot_trust(
    kind: str, multirun: bool, own: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, words = (part.format(own=own) for part in SETS_TRUST[kind])
    (here / "evil.yaml").write_text(f"{POINTS}{text}\n")
    assert words in refused(capsys, "evil.yaml", *(["-m", "seed=1,2"] if multirun else []))
    assert own not in sys.modules


@pytest.mark.parametrize(
    "target",
    [
        *("{own}.os.system", "{own}.system", "{own}.Watch", "{own}.open_it", "{own}.Mine.forward", "{own}.nothing"),
        *("{OWN}.Mine", "{own}", "{own}..Mine", ".{own}.Mine", "{own}/Mine", "{own}.Mine()", "own.{own}.Mine"),
    ],
)
def test_hostile_targets_in_a_trusted_module(target: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "import os\nfrom os import system\nfrom audiogan.core import Callback\nclass Watch(Callback): pass\n"
    own = write_module(here, LOSS + text + "def open_it(): open('flag', 'w')\n")
    value = target.replace("{own}", own).replace("{OWN}", own.upper())
    (here / "evil.yaml").write_text(f"{POINTS}game: {{loss: {{_target_: '{value}'}}}}\n")
    assert "game.loss._target_" in refused(capsys, "evil.yaml", "--trust", own)
    assert not Path("flag").exists()


def test_data_from_outside(here: Path) -> None:
    own = write_module(here, "def open_mine(count: int = 5): pass\ndef other(): pass\nclass Mine:\n    pass\n")
    for name, good in (("open_mine", True), ("other", False), ("Mine", False)):
        (here / "mine.yaml").write_text(f"{POINTS}data: {{_target_: {own}.{name}, count: 2e2}}\n")
        with audiogan.run.trust.trust_modules(own):
            if good:
                assert compose("mine.yaml").data.count == 200  # Converted according to the annotation of `count`.
                continue
            with pytest.raises(UserError, match=r"this key takes a function open_\.\.\. "):
                compose("mine.yaml")


def test_no_function_of_audiogan_that_data_may_name_writes_where_it_likes() -> None:
    found = set()
    for module in pkgutil.walk_packages(audiogan.data.__path__, "audiogan.data."):
        for name in vars(import_module(module.name)):
            try:
                found.add(resolve_target(f"{module.name}.{name}", "data._target_"))
            except UserError:
                continue
    assert {"open_sounds", "open_images"} <= {function.__name__ for function in found}
    for function in found:
        assert function.__name__.startswith("open_") and function.__module__ != "audiogan.data.cache"
        names = set(inspect.signature(function).parameters)
        assert not names & {"home", "out", "folder", "build", "path", "destination", "function"}, function


@pytest.mark.parametrize(
    "target", ["verdicts.Scan", "cache.open_or_build", "downloads.download.download", "views.Shard"]
)
def test_data_takes_nothing_else_of_audiogan(target: str) -> None:
    with pytest.raises(UserError, match="is not allowed"):
        resolve_target(f"audiogan.data.{target}", "data._target_")


def test_a_file_sets_no_cache_of_a_column(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine.yaml").write_text(
        POINTS + "data: {columns: {x: {_target_: audiogan.data.measures.KnobValues, cache: victim}}}\n"
    )
    assert "data.columns.x.cache must not be set in a file" in refused(capsys, "mine.yaml")


def test_an_error_in_a_trusted_module_names_its_file_and_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = write_module(here, LOSS.replace("pass", "def generator(self, *logits):\n        raise KeyError('oops')"))
    (here / "mine.yaml").write_text(f"{POINTS}data: {{count: 200}}\ngame: {{loss: {{_target_: {name}.Mine}}}}\n")
    code, err = main(["train", "mine.yaml", "--trust", name]), capsys.readouterr().err
    assert code == 2 and f"audiogan: {name}.py, line 4: KeyError: 'oops'" in err and "bug in audiogan" not in err
