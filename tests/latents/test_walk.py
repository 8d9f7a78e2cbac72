"""Tests of walks: closed, smooth paths whose latents are distributed like random latents, in memory and in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image as Pillow
from tiny_generator import tiny_generator

import audiogan
from audiogan.cli import main
from audiogan.errors import UserError
from audiogan.latents import walk, write_walk
from audiogan.latents.path import ClosedPath, path_weights
from audiogan.modalities import Image, Points
from audiogan.model.generator import Generator


def quiet(generator: Generator, out: Path, **options: Any) -> list[str]:
    lines: list[str] = []
    write_walk(generator, out, echo=lines.append, **options)
    return lines


def frames(path: Path) -> np.ndarray:
    with Pillow.open(path) as moving:
        found = []
        for i in range(moving.n_frames):  # type: ignore[attr-defined]
            moving.seek(i)
            found.append(np.asarray(moving.convert("RGB")).astype(int))
    return np.stack(found)


@pytest.mark.parametrize("points", [2, 3, 4, 5, 12])
def test_the_weights_of_a_path(points: int) -> None:
    positions = np.linspace(0, 1, 600, endpoint=False)
    weights = path_weights(positions, points)
    np.testing.assert_allclose(np.square(weights).sum(1), 1)
    np.testing.assert_allclose(path_weights(np.arange(points) / points, points), np.eye(points), atol=1e-6)
    # Closed path: the step from the last to the first point is like the others.
    steps = np.diff(np.concatenate([weights, weights[:1]]), axis=0)
    assert np.linalg.norm(steps, axis=1).max() < 2.5 * np.pi * points / 600
    turns = np.diff(steps, axis=0)
    assert np.abs(turns).max() < 3e-4 * points**2  # no corner


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_latents_of_a_path_are_distributed_like_random_ones(distribution: str) -> None:
    g = tiny_generator(Image(), (1, 8, 8), distribution=distribution)
    path = ClosedPath(g, [{}] * 400, 3, seed=0)
    z = path.values(np.array([0.1, 0.5]))["latent"]
    drawn = g.game.draw(800, torch.Generator().manual_seed(0))["latent"]
    assert z.shape == drawn.shape and abs(float(z.std()) - float(drawn.std())) < 0.05 and abs(float(z.mean())) < 0.05
    assert distribution == "normal" or float(z.abs().max()) <= 1


def test_a_walk_begins_at_its_seed_and_closes() -> None:
    drums = audiogan.load("drums")
    recipes = walk(drums, 60, points=3, seed=4)
    first, second, third = drums.recipes(3, seed=4)
    for recipe, wanted in ((recipes[0], first), (recipes[20], second), (recipes[40], third)):
        np.testing.assert_allclose(recipe.latent, wanted.latent, atol=1e-5)
        assert recipe.classes == pytest.approx(dict(wanted.classes)) and recipe.knobs == pytest.approx(
            dict(wanted.knobs), abs=1e-6
        )
    assert recipes[0].seed == 4 and recipes[1].seed is None
    steps = [
        np.linalg.norm(np.subtract(a.latent, b.latent)) for a, b in zip(recipes, recipes[1:] + recipes[:1], strict=True)
    ]
    assert max(steps) < 2 * min(steps)
    assert all(sum(recipe.classes.values()) == pytest.approx(1) for recipe in recipes)
    assert {walk(drums, 2, label="kick")[1].label} == {"kick"}


def test_a_gif_of_images_loops_and_columns_keep_their_class(tmp_path: Path) -> None:
    g, out = tiny_generator(Image(), (1, 8, 8), classes=3), tmp_path / "new" / "a.gif"
    lines = quiet(g, out, seconds=1, fps=10, columns=3, rows=2, points=3)
    assert lines == [f"{out}: 10 frames on a closed path through the seeds 0 to 17 of tiny.ckpt (step 7)"]
    found = frames(out)
    assert found.shape[0] == 10 and found.shape[1:3] == (2 * 82 + 2, 3 * 82 + 2)
    assert np.abs(found[0] - found[-1]).mean() < 2 * np.abs(found[0] - found[1]).mean() + 1
    wanted = g.sample(1, seed=3, label="b")[0, 0]  # The second picture of the first frame.
    shown = found[0][2:82:10, 84:164:10, 0] / 127.5 - 1
    assert np.abs(shown - wanted).max() < 0.06
    with Pillow.open(out) as moving:
        assert moving.info["loop"] == 0 and moving.info["duration"] == 100


def test_sounds_become_one_file(tmp_path: Path) -> None:
    drums = audiogan.load("drums")
    for suffix in (".wav", ".flac"):
        quiet(drums, tmp_path / f"a{suffix}", seconds=1.2, spacing=0.3, label="snare", points=2)
        x, rate = soundfile.read(tmp_path / f"a{suffix}")
        assert rate == 16000 and x.shape == (4 * 4800,)
        first = drums.sample(1, seed=0, label="snare")[0, 0, :4000]
        np.testing.assert_allclose(x[:4000], first, atol=1e-3)
        assert np.abs(x[4799::4800]).max() < 1e-3  # Each sound ends in a fade.
    quiet(drums, tmp_path / "b.gif", seconds=0.3, fps=10, columns=2)
    assert frames(tmp_path / "b.gif").shape == (3, 100, 262, 3)


def test_points_are_a_scatter_plot(tmp_path: Path) -> None:
    quiet(tiny_generator(Points(), (2,)), tmp_path / "a.gif", seconds=0.2, fps=10)
    assert len(frames(tmp_path / "a.gif")) == 2


def test_a_walk_is_refused_in_one_line(tmp_path: Path) -> None:
    images, drums, points = tiny_generator(Image(), (1, 8, 8)), audiogan.load("drums"), tiny_generator(Points(), (2,))
    cases: list[tuple[Generator, str, dict[str, Any], str]] = [
        (images, "a.webm", {}, r"must end in \.gif or \.mp4"),
        (images, "a.wav", {}, "makes images, not sounds"),
        (images, "a.gif", {"fps": 0}, "fps=0"),
        (images, "a.gif", {"fps": 51}, "at most 50 frames per second; choose an .mp4"),
        (images, "a.gif", {"fps": float("nan")}, "fps=nan"),
        (images, "a.gif", {"seconds": 1e9}, "seconds=1e"),
        (images, "a.gif", {"seconds": 0.001}, "less than one frame"),
        (images, "a.gif", {"points": 1}, "points=1"),
        (images, "a.gif", {"columns": 0}, "columns=0"),
        (images, "a.gif", {"columns": 10**9}, "columns=1000000000"),
        (images, "a.gif", {"columns": 1000}, "82,002 x 84 pixels is too large"),
        (images, "a.gif", {"seed": -1}, "seed=-1"),
        (images, "a.gif", {"truncation": 0.0}, "truncation=0"),
        (images, "a.gif", {"label": "x"}, "without classes"),
        (drums, "a.wav", {"columns": 2}, "one sound at a time"),
        (drums, "a.wav", {"spacing": 0.0}, "spacing=0"),
        (drums, "a.wav", {"spacing": 11.0}, "spacing=11"),
        (points, "a.gif", {"columns": 2}, "one picture"),
    ]
    for g, name, options, words in cases:
        with pytest.raises(UserError, match=words) as caught:
            quiet(g, tmp_path / name, **options)
        assert "\n" not in str(caught.value)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="not a folder"):
        quiet(images, tmp_path / "file" / "a.gif")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.flac"
    assert main(["walk", str(out), "--run", "drums", "--seconds", "2", "--points", "2", "--class", "kick"]) == 0
    assert soundfile.info(out).frames == 2 * 16384 and "2 sounds on a closed path" in capsys.readouterr().out
    for words, said in (
        (["--columns", "x"], "--columns 'x'"),
        (["--class", "cow"], "cow"),
        (["--input", "q=1"], "no input 'q'"),
    ):
        assert main(["walk", str(tmp_path / "b.gif"), "--run", "drums", *words]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and said in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["a.flac"]
