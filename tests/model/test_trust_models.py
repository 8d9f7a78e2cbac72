"""Tests of runs and bundles with networks from outside the package: required modules and trust."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_modules import write_module
from states import with_value

import audiogan
from audiogan.cli import main
from audiogan.core import load_state
from audiogan.core.checkpoint import list_checkpoints, save_state
from audiogan.errors import UserError
from audiogan.model.bundle import save_bundle
from audiogan.run.model_files import ABOUT, CARD, WEIGHTS

NETWORK = "from audiogan.networks.stftgan import STFTGenerator\nclass Mine(STFTGenerator):\n    pass\n"


@pytest.fixture
def own(here: Path) -> str:
    """Return the name of a module with a generator."""
    return write_module(here, NETWORK)


def changed_run(tiny_run: Path, folder: Path, key: str, value: Any, **more: Any) -> Path:
    """Return a copy of the newest checkpoint of a run, with another value at a dotted key of its configuration."""
    state = load_state(list_checkpoints(tiny_run / "checkpoints")[0])
    (folder / "run/checkpoints").mkdir(parents=True, exist_ok=True)
    state["config"] = with_value(state["config"], key, value)
    save_state(folder / "run/checkpoints/step-00000004.ckpt", {**state, **more})
    return folder / "run"


@pytest.fixture
def run(tiny_run: Path, here: Path, own: str) -> Path:
    return changed_run(tiny_run, here, "game.generator._target_", f"{own}.Mine")


def test_a_run_of_a_trusted_network_sounds_as_ever(run: Path, own: str, tiny_run: Path) -> None:
    before = list(sys.path)
    for trust in (own, [own], f"{own},more"):
        generator = audiogan.load(run, trust=trust)
        assert own in generator.trust and sys.path == before
    assert np.array_equal(generator.sample(2, seed=1), audiogan.load(tiny_run).sample(2, seed=1))
    assert audiogan.load(tiny_run).trust == ()


def test_a_run_of_a_trusted_network_is_measured(run: Path, own: str) -> None:
    from audiogan.evaluation.evaluate import evaluate_run

    with pytest.raises(UserError, match=f"it needs the module {own}"):
        evaluate_run(str(run), echo=lambda line: None)
    with pytest.raises(UserError, match="at least 20"):  # The data of this run is too small, but the network is loaded.
        evaluate_run(str(run), trust=own, echo=lambda line: None)


def test_a_run_says_which_module_it_needs(run: Path, own: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=rf'run.*: it needs the module {own}; .*, add trust=\["{own}"\]$'):
        audiogan.load(run)
    assert own not in sys.modules
    assert main(["sample", "-n", "1", "--run", str(run), "out"]) == 2
    err = capsys.readouterr().err.strip()
    assert err.endswith(f"it needs the module {own}; if you trust its code, add --trust {own}") and "\n" not in err
    assert own not in sys.modules and not Path("out").exists()


@pytest.mark.parametrize("place", ["first", "middle", "last", "equals", "before"])
def test_commands_take_trust_at_any_place(place: str, run: Path, own: str) -> None:
    command = {
        "first": ["sample", "--trust", own, "-n", "1", "--run", str(run), "out"],
        "middle": ["sample", "-n", "1", "--trust", own, "out", "--run", str(run)],
        "last": ["sample", "-n", "1", "--run", str(run), "out", "--trust", own],
        "equals": ["sample", "-n", "1", "--run", str(run), "out", f"--trust=others,{own}"],
        "before": ["--trust", "others", "--trust", own, "sample", "-n", "1", "--run", str(run), "out"],
    }[place]
    assert main(command) == 0 and len(list(Path("out").glob("*.wav"))) == 1
    assert main(["sample", "-n", "1", "--run", str(run), "out"]) == 2  # Trust ends with the command.


def test_what_a_bundle_requires(run: Path, own: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run), "mine.audiogan", "--trust", own]) == 0
    with zipfile.ZipFile("mine.audiogan") as archive:
        about = json.loads(archive.read(ABOUT))
    assert about["requires"] == [own]
    with pytest.raises(UserError, match=f"mine.audiogan: it needs the module {own}; if you trust its code"):
        audiogan.load("mine.audiogan")
    model = audiogan.load("mine.audiogan", trust=[own])
    assert model.trust == (own,) and model.sample(1, seed=0).shape == (1, 1, 2048)
    capsys.readouterr()
    assert main(["evaluate", "mine.audiogan", "--data", "nowhere", "--trust", own]) == 2
    assert "it needs the module" not in capsys.readouterr().err


def test_a_bundle_of_audiogans_own_parts_requires_nothing(tiny_run: Path, here: Path) -> None:
    path = save_bundle("plain.audiogan", audiogan.load(tiny_run))
    with zipfile.ZipFile(path) as archive:
        assert "requires" not in json.loads(archive.read(ABOUT))


@pytest.mark.parametrize(
    "requires",
    [
        ["os"],
        ["OS"],
        ["torch"],
        ["audiogan"],
        ["../nets"],
        ["a.b"],
        ["\x1b[2J"],
        "nets",
        5,
        {"a": 1},
        [["a"]],
        ["a"] * 99,
    ],
)
def test_a_bundle_cannot_require_anything_else(requires: Any, tiny_run: Path, here: Path) -> None:
    path = save_bundle("plain.audiogan", audiogan.load(tiny_run))
    with zipfile.ZipFile(path) as archive:
        raw, about = archive.read(WEIGHTS), json.loads(archive.read(ABOUT))
    with zipfile.ZipFile("hostile.audiogan", "w") as archive:
        archive.writestr(WEIGHTS, raw)
        archive.writestr(ABOUT, json.dumps({**about, "requires": requires}))
        archive.writestr(CARD, "")
    with pytest.raises(UserError) as caught:
        audiogan.load("hostile.audiogan", trust=["nets"])
    said = str(caught.value)
    assert said.startswith("hostile.audiogan: requires: ") and "\x1b" not in said and "\n" not in said
    assert "add trust=" not in said
    run = changed_run(tiny_run, here, "seed", 0, requires=requires)
    with pytest.raises(UserError, match="requires: "):
        audiogan.load(run, trust=["nets"])


def test_what_a_bundle_requires_comes_first(tiny_run: Path, here: Path) -> None:
    """Required modules are checked before the rest of the description."""
    path = save_bundle("plain.audiogan", audiogan.load(tiny_run))
    with zipfile.ZipFile(path) as archive:
        raw, about = archive.read(WEIGHTS), json.loads(archive.read(ABOUT))
    with zipfile.ZipFile("other.audiogan", "w") as archive:
        archive.writestr(WEIGHTS, raw)
        archive.writestr(ABOUT, json.dumps({**about, "requires": ["nets"], "config": 5}))
        archive.writestr(CARD, "")
    with pytest.raises(UserError, match="it needs the module nets"):
        audiogan.load("other.audiogan")


HOSTILE = {
    "a program": ("game.generator._target_", "os.system"),
    "a program of a trusted module": ("game.generator._target_", "{own}.os.system"),
    "what it imported": ("game.generator._target_", "{own}.system"),
    "a class of audiogan through it": ("game.generator._target_", "{own}.Checkpoints"),
    "a callback as a network": ("game.generator._target_", "{own}.Watch"),
    "a function as a representation": ("representation._target_", "{own}.open_it"),
    "a modality": ("facts.modality._target_", "{own}.Mine"),
    "an input": ("inputs", {"x": {"_target_": "{own}.Mine"}}),
    "trust of its own": ("game.generator._target_", "own_evil.Mine"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_run_takes_only_what_fits_of_a_trusted_module(kind: str, tiny_run: Path, here: Path) -> None:
    own = write_module(
        here,
        NETWORK + "import os\nfrom os import system\nfrom audiogan.core import Callback, Checkpoints\n"
        "class Watch(Callback): pass\ndef open_it(**settings): open('flag', 'w')\n",
    )
    (here / "own_evil.py").write_text("open('flag', 'w')\n" + NETWORK)
    key, value = HOSTILE[kind]
    value = json.loads(json.dumps(value).replace("{own}", own))
    run = changed_run(tiny_run, here, key, value, trust=["own_evil"], requires=[own])
    with pytest.raises(UserError) as caught:
        audiogan.load(run, trust=[own])
    assert "\n" not in str(caught.value) and not Path("flag").exists() and "own_evil" not in sys.modules


def test_a_network_that_fails_is_one_line(tiny_run: Path, here: Path) -> None:
    own = write_module(here, "import nonsense_of_mine\n")
    run = changed_run(tiny_run, here, "game.generator._target_", f"{own}.Mine")
    with pytest.raises(UserError, match=rf"step-00000004.ckpt: .*{own} cannot be imported: .*nonsense_of_mine"):
        audiogan.load(run, trust=own)


def test_no_cache_of_a_column_is_taken_from_a_run(tiny_run: Path, here: Path) -> None:
    run = changed_run(tiny_run, here, "data.columns", {"x": {"cache": "victim", "names": ["a"]}})
    assert audiogan.load(run).config["data"]["columns"] == {"x": {"names": ["a"]}}
