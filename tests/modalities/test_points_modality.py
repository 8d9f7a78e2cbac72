"""Tests of the modality of points: files, plots, animations."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from audiogan.errors import UserError
from audiogan.modalities import Points
from audiogan.modalities.animation import animate

PLANE = Points(2.0, ((-1.0, -1.0), (1.0, 1.0)), 0.1)
ORANGE = (0xF2, 0xB3, 0x5E)


def pixels(path: Path) -> np.ndarray:
    with Pillow.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def orange(path: Path) -> np.ndarray:
    return (np.abs(pixels(path) - ORANGE).sum(-1) < 150) & (pixels(path)[..., 0] > 150)


def test_all_points_go_to_one_file(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((50, 2))
    assert not PLANE.single
    PLANE.save(tmp_path / "new" / "points.npy", x)
    back = np.load(tmp_path / "new" / "points.npy", allow_pickle=False)
    assert back.dtype == np.float32 and np.allclose(back, x, atol=1e-6)
    with pytest.raises(ValueError, match=r"\.npy"):
        PLANE.save(tmp_path / "points.csv", x)
    with pytest.raises(ValueError, match=r"\[50, 3\]"):
        PLANE.save(tmp_path / "points.npy", np.zeros((50, 3)))


def test_points_are_drawn_where_they_are(tmp_path: Path) -> None:
    plane = Points(2.0)
    plane.sheet(tmp_path / "a.png", np.full((300, 2), [1.5, 1.5]) + np.random.default_rng(0).normal(0, 0.05, (300, 2)))
    rows, columns = np.nonzero(orange(tmp_path / "a.png"))
    height, width = pixels(tmp_path / "a.png").shape[:2]
    assert rows.max() < 0.4 * height and columns.min() > 0.6 * width  # The y axis points up, the x axis to the right.


def test_real_modes_are_drawn_and_counted(tmp_path: Path) -> None:
    x = np.full((100, 2), -1.0)
    PLANE.sheet(tmp_path / "with.png", x, title="one")
    Points(2.0).sheet(tmp_path / "without.png", x, title="one")
    assert (pixels(tmp_path / "with.png") != pixels(tmp_path / "without.png")).any(-1).sum() > 300
    assert PLANE.count_modes(x) == (1, 1.0)
    assert PLANE._caption(x) == "100 points, 1 of 2 modes, 100.0% within 3σ"
    assert "2 outside the picture" in PLANE._caption(np.array([[3.0, 0], [0, 0], [np.nan, 0]]))
    with pytest.raises(ValueError, match="not known"):
        Points(2.0).count_modes(x)


def test_classes_have_colours(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    PLANE.sheet(tmp_path / "a.png", x, ["same"] * 60)
    PLANE.sheet(tmp_path / "b.png", x, [str(i % 2) for i in range(60)])
    assert orange(tmp_path / "b.png").sum() < 0.8 * orange(tmp_path / "a.png").sum()
    with pytest.raises(ValueError, match="1 titles for 60 points"):
        PLANE.sheet(tmp_path / "c.png", x, ["one"])


def test_broken_points_do_not_stop_a_preview(tmp_path: Path) -> None:
    PLANE.write_preview(tmp_path, 7, np.full((20, 2), np.nan))
    assert (tmp_path / "previews" / "step-00000007.png").is_file()


def test_previews_become_an_animation(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no preview to animate"):
        PLANE.write_animation(tmp_path)
    for step in range(4):
        PLANE.write_preview(tmp_path, 100 * step, np.full((500, 2), -1 + 0.5 * step))
    # Another size, so the picture is skipped.
    Pillow.new("RGB", (10, 10)).save(tmp_path / "previews" / "step-00000050.png")
    path = PLANE.write_animation(tmp_path)
    assert path == tmp_path / "previews" / "animation.gif"
    centres = []
    with Pillow.open(path) as moving:
        assert moving.n_frames == 4  # type: ignore[attr-defined]
        for i in range(4):
            moving.seek(i)
            picture = np.asarray(moving.convert("RGB")).astype(int)[100:]
            centres.append(np.nonzero(np.abs(picture - ORANGE).sum(-1) < 150)[1].mean())
        assert moving.info["duration"] == 2000 and moving.info["loop"] == 0
    assert centres == sorted(centres) and centres[-1] - centres[0] > 100  # the points move to the right
    with Pillow.open(animate(tmp_path, max_frames=2)) as moving:
        assert moving.n_frames == 2  # type: ignore[attr-defined]


def test_built_again_from_plain_values() -> None:
    plain = {**dataclasses.asdict(PLANE), "centres": [[-1, -1], [1, 1]]}  # As loaded from YAML.
    assert Points(**plain) == PLANE and hash(Points(**plain)) == hash(PLANE)
    for wrong in ({"limit": 0}, {"std": -1.0}, {"centres": [[1, 2, 3]]}):
        with pytest.raises(ValueError, match="limit"):
            Points(**wrong)


def test_embedding_and_picture() -> None:
    x = torch.randn(5, 2)
    embedding = PLANE.embedding((2,))
    assert embedding.name == "coordinates2"
    assert np.array_equal(embedding(x), x.double().numpy())
    assert PLANE.to_images(x).shape == (5, 2, 1, 1)
    with pytest.raises(ValueError, match=r"\[B, 2\]"):
        embedding(torch.zeros(5, 3))
