"""Tests of ONNX files: equal sounds without PyTorch and audiogan, and errors if a package is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import small
from waves import load_wav

import audiogan
from audiogan import Recipe
from audiogan.cli import main
from audiogan.model.export import input_arrays, save_onnx

pytest.importorskip("onnxscript", reason="pip install 'audiogan[onnx]'")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "onnx_drums.py"
ALONE = """
import importlib.abc, sys
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "audiogan"):
            raise ModuleNotFoundError(f"{name} is blocked", name=name)
sys.meta_path.insert(0, Blocked())
for name in ("torch", "audiogan"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{name} is there after all")
"""
RENDER = """
import numpy as np, onnxruntime
_, model, inputs, out = sys.argv
session = onnxruntime.InferenceSession(model)
with np.load(inputs) as given:
    rows = {name: given[name] for name in given.files}
count = len(rows["latent"])
ends = [0, 1, 4, count]
parts = [session.run(["wave"], {n: x[a:b] for n, x in rows.items()})[0] for a, b in zip(ends, ends[1:])]
np.save(out, np.concatenate(parts))
"""


def alone(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process that cannot import torch and audiogan."""
    command = [sys.executable, "-c", ALONE + code, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def drums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the shipped drums with the command."""
    path = tmp_path_factory.mktemp("onnx") / "new" / "drums.onnx"
    assert main(["export", "drums", str(path)]) == 0
    assert [file.name for file in path.parent.iterdir()] == ["drums.onnx"]
    return path


def asked(model: audiogan.Generator) -> list[Recipe]:
    """Return recipes for all classes, mixtures, knobs at both ends and in the middle, and several seeds."""
    recipes = [model.recipes(1, seed=seed, label=label)[0] for seed, label in enumerate(model.labels)]
    mixtures: list[Mapping[str, float]] = [{"kick": 0.7, "tom": 0.3}, dict.fromkeys(model.labels, 0.1)]
    recipes += [model.recipes(1, seed=50, label=mixture)[0] for mixture in mixtures]
    for share in (0.0, 0.5, 1.0):
        recipes += model.recipes(2, seed=70, knobs=dict.fromkeys(model.knobs, share))
    return recipes


def test_the_same_sounds_without_torch_and_without_audiogan(drums: Path, tmp_path: Path) -> None:
    model = audiogan.load("drums")
    recipes = asked(model)
    np.savez(tmp_path / "inputs.npz", **input_arrays(model, recipes))  # type: ignore[arg-type]
    done = alone(RENDER, drums, tmp_path / "inputs.npz", tmp_path / "out.npy")
    assert done.returncode == 0, done.stderr
    found, wanted = np.load(tmp_path / "out.npy"), model.render(recipes)
    assert found.shape == wanted.shape and found.dtype == np.float32
    assert np.abs(found - wanted).max() <= 1e-4
    # The sounds of two recipes differ, so the comparison is meaningful.
    assert np.abs(found[0] - wanted[1]).max() > 0.1


def test_the_file_says_what_it_is(drums: Path) -> None:
    model = audiogan.load("drums")
    session = onnxruntime.InferenceSession(drums)
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["labels"]) == model.labels and told["sample_rate"] == "16000"
    assert {knob["name"]: knob["values"] for knob in json.loads(told["knobs"])} == model.knobs
    assert (told["model"], told["audiogan"], told["step"]) == ("drums", audiogan.__version__, str(model.step))
    assert told["licence"] and told["licence"] in " ".join(model.card.split())
    sizes = {node.name: node.shape for node in session.get_inputs()}
    assert {name: shape[1:] for name, shape in sizes.items()} == {"latent": [64], "classes": [10], "knobs": [4]}
    assert all(shape[0] == "batch" for shape in sizes.values())
    assert [(node.name, node.shape) for node in session.get_outputs()] == [("wave", ["batch", 1, 16384])]


def test_the_file_uses_standard_operations_only(drums: Path) -> None:
    """The inverse DFT of a half spectrum is not standard. onnxruntime-web 1.24 refuses it."""
    onnx.checker.check_model(drums, full_check=True)
    nodes = onnx.load(drums).graph.node
    flags = [{a.name: a.i for a in node.attribute} for node in nodes if node.op_type == "DFT"]
    assert flags and not any(flag.get("inverse") and flag.get("onesided") for flag in flags)
    assert {node.domain for node in nodes} == {""}


def test_weights_in_half_precision_halve_the_file(tmp_path: Path) -> None:
    model = small("dcgan")
    whole = save_onnx(tmp_path / "a.onnx", model)
    half = save_onnx(tmp_path / "b.onnx", model, half=True)
    assert whole.rounding is None and half.rounding is not None and 0 < half.rounding < 1e-2
    assert half.max_difference is not None and half.max_difference < 1e-5
    sizes = [(tmp_path / name).stat().st_size for name in ("a.onnx", "b.onnx")]
    weights = sum(p.numel() for p in model.game.nets["generator"].parameters())
    assert sizes[0] - sizes[1] > 1.7 * weights
    recipes = model.recipes(3, seed=3)
    inputs = input_arrays(model, recipes)
    found = [onnxruntime.InferenceSession(tmp_path / name).run(None, inputs)[0] for name in ("a.onnx", "b.onnx")]
    assert found[1].dtype == np.float32 and 0 < np.abs(found[0] - found[1]).max() < 1e-2
    with torch.no_grad():
        next(iter(model.game.nets["generator"].parameters())).fill_(1e6)
    with pytest.raises(audiogan.UserError, match="not finite in half precision"):
        save_onnx(tmp_path / "c.onnx", model, half=True)
    assert not (tmp_path / "c.onnx").exists()


def test_the_file_holds_no_word_of_where_it_was_made(drums: Path) -> None:
    content = drums.read_bytes()
    for place in (Path(audiogan.__file__).parent, Path(sys.prefix), drums.parent, Path.home()):
        assert str(place).encode() not in content
    assert b"tonenoise.py" not in content and b"graph.py" not in content


def test_the_example_as_its_reader_runs_it(drums: Path, tmp_path: Path) -> None:
    code = "import runpy; sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"
    out = tmp_path / "snare.wav"
    knobs = ["--knob", "brightness=0.9", "--knob", "decay=0"]
    done = alone(code, EXAMPLE, drums, "snare:3,clap:1", out, "--seed", 7, *knobs)
    assert done.returncode == 0, done.stderr
    model = audiogan.load("drums")
    latent = np.random.default_rng(7).standard_normal((1, 64))[0]
    settings = dict.fromkeys(model.knobs, 0.5) | {"brightness": 0.9, "decay": 0.0}
    recipe = Recipe("drums", tuple(latent), {"snare": 0.75, "clap": 0.25}, settings)
    wave, rate = load_wav(out)
    assert rate == 16000 and np.abs(wave - model.render(recipe)[0]).max() < 2e-4


@pytest.mark.slow
def test_a_network_without_classes_and_knobs(tmp_path: Path) -> None:
    model = small("stftgan")
    assert save_onnx(tmp_path / "a.onnx", model).max_difference is not None
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    assert [node.name for node in session.get_inputs()] == ["latent"]
    recipes = model.recipes(3, seed=9)
    found = session.run(["wave"], input_arrays(model, recipes))[0]
    assert found.shape == (3, 2, 2000) and np.abs(found - model.render(recipes)).max() <= 1e-4


VOICE = 2e-3
"""A voice magnifies rounding errors: its phase is the sum of its pitch."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "most"), [("tonenoise", 1e-4), ("voice", VOICE), ("specgan", 1e-4), ("wavegan", 1e-4), ("dcgan", 1e-4)]
)
def test_every_network(kind: str, most: float, tmp_path: Path) -> None:
    largest = save_onnx(tmp_path / "a.onnx", small(kind)).max_difference
    assert largest is not None and largest <= most


@pytest.mark.slow
def test_digits(tmp_path: Path) -> None:
    largest = save_onnx(tmp_path / "a.onnx", audiogan.load("digits")).max_difference
    assert largest is not None and largest <= VOICE


def test_without_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small("dcgan")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        checked = save_onnx(tmp_path / "a.onnx", model)
    assert checked.max_difference is None and "onnxruntime is not installed" in checked.summary
    recipes = model.recipes(2, seed=3)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    assert np.abs(session.run(["image"], input_arrays(model, recipes))[0] - model.render(recipes)).max() <= 1e-4
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(audiogan.UserError, match=r"b\.onnx: ONNX needs the package onnxscript.*audiogan\[onnx\]"):
        save_onnx(tmp_path / "b.onnx", model)
    assert not (tmp_path / "b.onnx").exists()
