"""Tests of exported PyTorch programs, and of the export command for all kinds of models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import small
from waves import load_wav

import audiogan
from audiogan import Recipe
from audiogan.cli import main
from audiogan.model.export import input_arrays, save_pt2

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "pt2_drums.py"
LOAD = """
import sys
sys.modules["audiogan"] = None
import json, numpy as np, torch
_, model, inputs, out = sys.argv
about = {"audiogan.json": ""}
play = torch.export.load(model, extra_files=about).module()
assert json.loads(about["audiogan.json"])["labels"] == '["kick", "snare"]', about
with np.load(inputs) as given:
    rows = {name: torch.from_numpy(given[name]) for name in given.files}
parts = [play(**{n: x[a:b] for n, x in rows.items()}) for a, b in ((0, 1), (1, 4))]
np.save(out, torch.cat(parts).detach().numpy())
"""


def test_the_same_sounds_without_audiogan(tmp_path: Path) -> None:
    model = small("wavegan")
    checked = save_pt2(tmp_path / "a.pt2", model)
    assert checked.max_difference is not None and checked.max_difference <= 1e-4
    recipes = model.recipes(4, seed=3)
    np.savez(tmp_path / "inputs.npz", **input_arrays(model, recipes))  # type: ignore[arg-type]
    paths = [str(tmp_path / name) for name in ("a.pt2", "inputs.npz", "out.npy")]
    done = subprocess.run([sys.executable, "-c", LOAD, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert np.abs(np.load(tmp_path / "out.npy") - model.render(recipes)).max() <= 1e-4
    content = (tmp_path / "a.pt2").read_bytes()
    assert str(Path(audiogan.__file__).parent).encode() not in content


def test_the_example_as_its_reader_runs_it(tmp_path: Path) -> None:
    model = small("tonenoise")
    save_pt2(tmp_path / "a.pt2", model)
    knobs = dict.fromkeys(model.knobs, 0.5) | {next(iter(model.knobs)): 0.9}
    options = ["--seed", "7", "--knob", f"{next(iter(model.knobs))}=0.9"]
    code = "import runpy, sys; sys.modules['audiogan'] = None; sys.argv.pop(0); runpy.run_path(sys.argv[0])"
    paths = [str(EXAMPLE), str(tmp_path / "a.pt2"), "snare:3,kick:1", str(tmp_path / "out.wav")]
    done = subprocess.run([sys.executable, "-c", code, *paths, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    latent = torch.randn(1, model.inputs["latent"].shape[0], generator=torch.Generator().manual_seed(7))[0]
    recipe = Recipe(model.name, tuple(latent.tolist()), {"snare": 0.75, "kick": 0.25}, knobs)
    wave, rate = load_wav(tmp_path / "out.wav")
    assert rate == model.sample_rate and np.abs(wave - model.render(recipe)[0]).max() < 2e-4


def test_a_network_that_no_graph_can_say_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(audiogan.UserError, match=r"growing\.ckpt: its network cannot be exported") as caught:
        save_pt2(tmp_path / "a.pt2", small("growing"))
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_file_that_plays_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small("dcgan")
    monkeypatch.setattr(model.modality.__class__, "postprocess", lambda self, x: np.clip(x + 0.02, -1, 1))
    with pytest.raises(
        audiogan.UserError, match=r"a\.pt2: torch \S+ gives other signals than the model \(difference 0\.02"
    ):
        save_pt2(tmp_path / "a.pt2", model)
    assert not list(tmp_path.iterdir())


def test_the_command_says_how_it_was_checked(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.pt2"
    path.write_text("an old file")
    (tmp_path / "card.md").write_text("# Mine\n\n## Licence\n\nMIT.\n")
    assert main(["export", str(tiny_run), str(path), "--card", str(tmp_path / "card.md")]) == 0
    out = capsys.readouterr().out
    assert "classes [B, 2]" in out and "-> wave [B, 1, 2048]" in out and "largest difference" in out
    about = {"audiogan.json": ""}
    play = torch.export.load(path, extra_files=about).module()
    assert '"licence": "MIT."' in str(about["audiogan.json"])
    model = audiogan.load(tiny_run)
    recipes = model.recipes(3, seed=2)
    inputs = {name: torch.from_numpy(x) for name, x in input_arrays(model, recipes).items()}
    with torch.no_grad():
        assert np.abs(play(**inputs).numpy() - model.render(recipes)).max() <= 1e-4


@pytest.mark.parametrize(
    ("run", "file", "words"),
    [
        ("drums", "a.wav", "a.wav: the name of a model file must end in .audiogan, .onnx or .pt2"),
        ("drums", "a", "a: the name of a model file must end in"),
        ("drums", "folder.onnx", "folder.onnx: a folder"),
        ("nowhere", "a.onnx", "nowhere: no such run"),
        ("card.md", "a.onnx", "card.md"),
        ("drums", "a.pt2 --half", "--half: a.pt2 cannot have weights in half precision"),
        ("drums", "card.md/a.audiogan", "card.md"),
    ],
)
def test_bad_input_is_one_line_that_names_it(
    run: str,
    file: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.onnx").mkdir()
    Path("card.md").write_text("no model\n")
    assert main(["export", run, *file.split()]) == 2
    err = capsys.readouterr().err
    assert words in err and len(err.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.md", "folder.onnx"]


def test_a_bundle_keeps_its_card(tmp_path: Path) -> None:
    assert main(["export", "drums", str(tmp_path / "a.audiogan")]) == 0
    assert audiogan.load(tmp_path / "a.audiogan").card == audiogan.load("drums").card
