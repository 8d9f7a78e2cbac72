"""Tests of ``audiogan sample`` for models that require a signal: files, folders, several generators."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from audiogan.cli import main
from audiogan.errors import UserError
from audiogan.games import Generative
from audiogan.games.generative import Route
from audiogan.inputs import Inputs, Latent, Signal
from audiogan.modalities import Image
from audiogan.model.generator import Generator
from audiogan.model.sample_inputs import inputs_from_arguments, match_sample_count
from audiogan.model.sampling import read_recipe, write_samples
from audiogan.representations import Identity

SHAPE = (1, 8, 8)


class Net(nn.Module):
    """Network that scales the source, and adds the first value of the latent if it has one."""

    def __init__(self, factor: float, latent: bool) -> None:
        super().__init__()
        self.shape, self.latent = SHAPE, "normal"
        self.takes = frozenset({"source", "latent"} if latent else {"source"})
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, source: torch.Tensor, latent: torch.Tensor | None = None) -> torch.Tensor:
        x = self.factor * source
        return x if latent is None else x + 0.01 * latent[:, :1, None, None]


def model(latent: bool = False, directions: int = 1) -> Generator:
    nets = {name: Net(factor, latent) for name, factor in (("there", -1.0), ("back", 0.5))[:directions]}
    inputs: dict[str, Any] = {"source": Signal("source", SHAPE, Image())}
    if latent:
        inputs["latent"] = Latent("latent", 2)
    routes = {"there": Route(0, 1), "back": Route(1, 0)} if directions == 2 else None
    game = Generative(nets, Identity(SHAPE), inputs, routes)
    return Generator(game.eval(), Image(), {"facts": {"labels": ["day", "night"]}}, Path("m.ckpt"), 3, name="m")


def picture(path: Path, level: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image().save(path, np.full(SHAPE, level, np.float32))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, level in (("a.png", 0.2), ("b b.png", -0.2), ("sub/a.png", 0.6)):
        picture(tmp_path / "in" / name, level)
    (tmp_path / "in/notes.txt").write_text("no picture")
    return tmp_path / "in"


def sample(generator: Generator, out: Path, given: dict[str, list[str]], n: int | None = None, **options: Any) -> str:
    lines: list[str] = []
    count, values = match_sample_count(generator, inputs_from_arguments(generator, given, out), n)
    write_samples(generator, out, count, inputs=values, echo=lines.append, **options)
    return "\n".join(lines)


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "samples.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_files_are_named_after_their_sources(folder: Path, tmp_path: Path) -> None:
    out, generator = tmp_path / "out", model()
    said = sample(generator, out, {"source": [str(folder)]})
    assert "3 images" in said and "seed" not in said
    listed = {row["file"]: row["inputs"] for row in rows(out)}
    assert listed == {"a.png": "source=a.png", "b_b.png": "source=b b.png", "a-2.png": "source=a.png"}
    for name, level in (("a.png", -0.2), ("b_b.png", 0.2), ("a-2.png", -0.6)):
        assert np.allclose(Image().load(out / name, SHAPE), level, atol=0.01)
        text = read_recipe(out / name).to_json()
        assert "sha256" in text and "in/" not in text and str(folder) not in text
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    sample(generator, out, {"source": [str(folder)]})
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_other_pictures_of_the_same_name_are_other_samples(tmp_path: Path) -> None:
    for level, name in ((0.2, "x"), (0.4, "y")):
        sample(model(), tmp_path / "out", {"source": [str(picture(tmp_path / name / "a.png", level))]})
    assert [row["file"] for row in rows(tmp_path / "out")] == ["a.png", "a-2.png"]


def test_the_contact_sheet_shows_sources_and_is_not_a_sample(tmp_path: Path) -> None:
    from PIL import Image as Pillow

    out = tmp_path / "out"
    sample(model(), out, {"source": [str(picture(tmp_path / "contact-sheet.png", 0.5))]})
    assert [row["file"] for row in rows(out)] == ["contact-sheet-output.png"]
    with Pillow.open(out / "contact-sheet.png") as sheet:
        assert sheet.width > sheet.height  # Source and output are side by side.
        assert len(np.unique(np.asarray(sheet.convert("L")))) > 2


def test_the_number_of_samples_follows_the_files(folder: Path, tmp_path: Path) -> None:
    files = [str(folder / "a.png"), str(folder / "b b.png")]
    given = {"source": files}
    assert match_sample_count(model(), dict(given), None) == (2, given)
    assert match_sample_count(model(), dict(given), 1) == (1, {"source": files[:1]})
    with pytest.raises(UserError, match=r"-n 3: m draws nothing at random, and 2 files give only 2; leave out -n"):
        match_sample_count(model(), dict(given), 3)
    assert match_sample_count(model(True), dict(given), 3)[1]["source"] == [files[0], files[1], files[0]]
    assert "seeds 7 to 9" in sample(model(True), tmp_path / "out", given, 3, seed=7)
    made = {row["file"]: row["seed"] for row in rows(tmp_path / "out")}
    assert made == {"a.png": "7", "b_b.png": "8", "a-2.png": "9"}
    assert (tmp_path / "out/a.png").read_bytes() != (tmp_path / "out/a-2.png").read_bytes()


def test_generators_are_chosen_by_name_or_target(folder: Path, tmp_path: Path) -> None:
    generator, given = model(directions=2), {"source": [str(folder / "a.png")]}
    assert (
        generator.routes.find_unambiguous("night") == generator.routes.find_unambiguous("there") == "there"
        and generator.routes.find() == "there"
    )
    for name in (None, "noon"):
        with pytest.raises(UserError, match=r"there \(day -> night\), back \(night -> day\)"):
            generator.routes.find_unambiguous(name)
    for name in ("night", "day"):
        sample(generator, tmp_path / "out", given, route=generator.routes.find_unambiguous(name))
    assert [(row["file"], row["generator"]) for row in rows(tmp_path / "out")] == [
        ("a.png", "there"),
        ("a-2.png", "back"),
    ]
    assert np.allclose(Image().load(tmp_path / "out/a-2.png", SHAPE), 0.1, atol=0.01)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"m: it needs the input 'source' \(image .*--input source=FILE, or use: audiogan apply FILE OUT"),
        ({"sorce": ["a.png"]}, "no input 'sorce'.*did you mean 'source'"),
        ({"source": ["missing.png"]}, r"missing\.png: cannot be read \(no such file\)"),
        ({"source": ["empty"]}, "empty: no images in it"),
        ({"source": ["a.png"], "latent": ["1", "2"]}, "latent is given twice"),
    ],
)
def test_what_does_not_fit_is_one_line(
    given: dict[str, list[str]], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    picture(tmp_path / "a.png", 0)
    with pytest.raises(UserError, match=message) as error:
        inputs_from_arguments(model(True), given, tmp_path / "out")
    assert "\n" not in str(error.value)


def test_another_size_names_apply(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image().save(path, np.zeros((1, 16, 16), np.float32))
    with pytest.raises(UserError, match=r"expected shape \[1, 8, 8\], got \[1, 16, 16\].*audiogan apply"):
        sample(model(), tmp_path / "out", {"source": [str(path)]})


def test_samples_without_sources_do_not_change_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(tmp_path), "--run", "digits", "-n", "2", "--seed", "1"]) == 0
    assert (tmp_path / "samples.csv").read_text().splitlines()[0].endswith(",truncation,checkpoint")
    assert main(["sample", str(tmp_path), "--run", "digits", "-n", "1", "--input", "classes=7", "--seed", "5"]) == 0
    assert [row["inputs"] for row in rows(tmp_path)] == ["", "", "classes=7"]
    assert main(["sample", str(tmp_path), "--run", "digits", "--input", "source=a.png"]) == 2
    assert "no input 'source'" in capsys.readouterr().err


def test_inputs_print_as_a_table() -> None:
    generator = model(True)
    assert isinstance(generator.inputs, Inputs)
    lines = repr(generator.inputs).splitlines()
    assert lines[0].startswith("latent  2 random numbers") and lines[1].startswith("source  image [1, 8, 8]")
    assert repr(generator.inputs["latent"]).startswith("Latent('latent', 2 random numbers")
