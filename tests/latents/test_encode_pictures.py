"""Tests of the inversion of images: images of any size, and the files that the command writes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from tiny_generator import tiny_generator

import audiogan
from audiogan.commands import encode as command
from audiogan.commands import newest
from audiogan.errors import UserError
from audiogan.evaluation.data_sets import open_evaluation_data
from audiogan.latents import encode, nearest_distance
from audiogan.latents.targets import PictureTarget, pixel_distances, prepare_picture
from audiogan.modalities import Image, Points
from audiogan.model.generator import Generator
from audiogan.model.recipe import Recipe
from audiogan.model.sampling import read_recipe
from audiogan.run import config
from audiogan.run.training import train


@pytest.fixture
def model() -> Generator:
    generator = tiny_generator(Image(), (1, 16, 16), classes=2)
    with torch.no_grad():  # Without this change, an untrained network generates nearly equal images.
        for parameter in generator.game.parameters():
            parameter.mul_(2)
    return generator


def picture(generator: Generator, seed: int = 7, side: int = 96) -> Pillow.Image:
    pixels = (generator.sample(1, seed=seed)[0, 0] + 1) * 127.5
    return Pillow.fromarray(np.rint(pixels).astype(np.uint8)).resize((side, side), Pillow.Resampling.BICUBIC)


def test_an_image_of_the_model_is_found_again(model: Generator) -> None:
    target, random = model.sample(1, seed=7)[0], model.sample(200, seed=1000)
    found = encode(model, target, seconds=0.3, seed=1)
    assert found.distance < 0.7 * nearest_distance(random, target)
    assert found.distance <= found.initial_distance and np.array_equal(found.target, target)
    np.testing.assert_array_equal(model.render(found.recipe)[0], found.signal)
    assert found.distance == pytest.approx(float(pixel_distances(found.signal[None], target)[0]))
    once, again = (encode(model, picture(model), label="b", seconds=0.1, seed=1).recipe for _ in range(2))
    assert once == again and once.classes == {"b": 1.0}


def test_a_picture_is_prepared_like_a_training_image(model: Generator, tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 96).astype(np.uint8), (96, 96))
    small = prepare_picture(model, Pillow.fromarray(np.ascontiguousarray(ramp)))
    assert small.shape == (1, 16, 16) and np.abs(small[0] - (np.arange(16) + 0.5) / 8 + 1).max() < 0.05
    wide = Pillow.new("RGB", (300, 96), "white")
    wide.paste(Pillow.fromarray(np.ascontiguousarray(ramp)).convert("RGB"), (102, 0))
    wide.save(tmp_path / "a.png")
    np.testing.assert_allclose(prepare_picture(model, tmp_path / "a.png"), small, atol=0.02)
    same = model.sample(1, seed=3)[0]
    assert np.array_equal(prepare_picture(model, same), same)


def test_distances_are_shares_of_the_range() -> None:
    black, white = -np.ones((1, 1, 4, 4), np.float32), np.ones((1, 4, 4), np.float32)
    assert nearest_distance(black, white) == 1 and nearest_distance(black, black[0]) == 0
    target = PictureTarget(tiny_generator(Image(), (1, 4, 4)), white)
    x = torch.zeros(2, 1, 4, 4, requires_grad=True)
    target.loss(x).sum().backward()
    assert float(target.loss(torch.from_numpy(white)[None])) < 2e-3 and bool((x.grad < 0).all())
    assert target.step_seconds == PictureTarget(tiny_generator(Image(), (1, 4, 4)), white).step_seconds > 0


def test_points_and_wrong_arguments_are_one_line(model: Generator, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"x")
    for generator, source, options, words in (
        (tiny_generator(Points(), (2,)), np.zeros(2), {}, "only sounds and images"),
        (model, tmp_path / "bad.png", {}, r"bad\.png"),
        (model, tmp_path / "none.png", {}, "no such file"),
        (model, np.full((1, 16, 16), np.nan), {}, "NaN"),
        (model, picture(model), {"label": "x"}, "no class 'x'"),
        (model, picture(model), {"seconds": 0}, "seconds=0"),
    ):
        arguments: dict[str, Any] = {"seconds": 0.1, **options}
        with pytest.raises(UserError, match=words) as caught:
            encode(generator, source, **arguments)
        assert "\n" not in str(caught.value)


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(dest="command"))
    arguments = ["encode", *map(str, words)]
    return command.run(parser.parse_args(arguments), arguments) or 0


def test_a_folder_of_pictures(
    model: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(newest, "load_image_model", lambda run: model)
    folder, out = tmp_path / "in", tmp_path / "in" / "out"
    folder.mkdir()
    for i, name in enumerate(("a.png", "b.jpg")):
        picture(model, seed=i).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    (folder / "bad.png").write_bytes(b"x")
    for _ in range(2):  # Earlier results are replaced and not encoded.
        assert call(folder, out, "--seconds", "0.2", "--random", "150") == 0
    names = [f"{stem}-{end}" for stem in "ab" for end in ("imitation.png", "picture.png", "recipe.json")]
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "contact-sheet.png"])
    recipe = Recipe.from_json((out / "a-recipe.json").read_text())
    assert read_recipe(out / "a-imitation.png") == recipe
    with Pillow.open(out / "a-imitation.png") as image:
        assert np.abs(np.asarray(image) / 127.5 - 1 - model.render(recipe)[0, 0]).max() < 0.01
    said = capsys.readouterr().out
    assert "rms from it" in said and "nearest of 150 random pictures" in said
    assert "notes.txt" in said and "skipped:" in said and "bad.png" in said
    (out / "a-imitation.png").unlink()
    with pytest.raises(UserError, match=r"a-picture\.png: this file was not written by encode"):
        call(folder / "a.png", out)
    for words, message in ((("--random", "0"), "--random 0"), (("--random", "x"), "--random 'x'")):
        with pytest.raises(UserError, match=message):
            call(folder, out, *words)


def test_without_a_run_of_images_one_is_asked_for(here: Path) -> None:
    Pillow.new("L", (8, 8)).save(here / "a.png")
    with pytest.raises(UserError, match="no run of images below runs/"):
        call(here / "a.png", here / "out")
    assert not (here / "out").exists()


@pytest.mark.slow
def test_held_out_digits_are_nearer_than_random_samples(shared_data: Path, tmp_path: Path) -> None:
    overrides = [f"data.root={shared_data / 'images' / 'mnist_10k.npz'}", f"run_dir={tmp_path}", "trainer.steps=null"]
    overrides += ["engine.threads=1", "trainer.clock=cpu", "trainer.minutes=1"]
    train(config.compose("handwriting", overrides), progress=False, echo=lambda line: None)
    generator = audiogan.load(tmp_path)
    random = generator.sample(1000, seed=1000)
    for digit in open_evaluation_data(generator, None).real.examples(np.arange(0, 1000, 125))["x"].numpy():
        assert encode(generator, digit, seconds=3).distance < 0.5 * nearest_distance(random, digit)
