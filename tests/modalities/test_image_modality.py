"""Tests of the image modality: files, drawings, metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from audiogan.features.embedding import embed
from audiogan.features.pixels import Pixels
from audiogan.modalities import Image
from audiogan.modalities.image import image_grid

RNG = np.random.default_rng
IMAGE = Image()


def images(count: int, *shape: int) -> np.ndarray:
    return RNG(0).uniform(-1, 1, (count, *shape)).astype(np.float32)


def pixels(path: Path) -> np.ndarray:
    with Pillow.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 5, 7)])
def test_a_saved_image_is_the_image(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = images(1, *shape)[0]
    x[0, 0, 0], x[0, 0, 1] = -1.5, 1.5  # Values beyond the range are clamped, not wrapped around.
    IMAGE.save(tmp_path / "new" / "a.png", x)
    with Pillow.open(tmp_path / "new" / "a.png") as picture:
        assert picture.mode == ("L" if shape[0] == 1 else "RGB")
        back = np.asarray(picture).reshape(5, 7, shape[0]).transpose(2, 0, 1) / 127.5 - 1
    assert np.abs(back - x.clip(-1, 1)).max() <= 1 / 255 + 1e-6
    assert (back[0, 0, 0], back[0, 0, 1]) == (-1, 1)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]


def test_what_is_no_image_is_not_saved(tmp_path: Path) -> None:
    for path, x, words in (
        ("a.png", np.full((1, 4, 4), np.nan), "NaN"),
        ("a.png", np.zeros((2, 4, 4)), "1 or 3 channels"),
        ("a.jpg", np.zeros((1, 4, 4)), r"\.png"),
    ):
        with pytest.raises(ValueError, match=words):
            IMAGE.save(tmp_path / path, x)
    assert list(tmp_path.iterdir()) == []


def test_finish_clamps() -> None:
    assert IMAGE.postprocess(np.array([-3.0, 0.5, 3.0])).tolist() == [-1.0, 0.5, 1.0]


def test_small_images_are_enlarged_pixel_by_pixel(tmp_path: Path) -> None:
    x = np.full((4, 1, 8, 8), -1.0, np.float32)
    x[1, 0, 2, 3] = 1.0
    IMAGE.sheet(tmp_path / "sheet.png", x)
    white = (pixels(tmp_path / "sheet.png") == 255).all(-1)
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    assert white.sum() == 100 and len(rows) == len(columns) == 10  # One pixel becomes a block of 10 x 10.


def test_every_image_changes_its_own_cell(tmp_path: Path) -> None:
    x = images(6, 3, 16, 16)
    names = [f"a class of a very long name {i}" for i in range(6)]
    IMAGE.sheet(tmp_path / "a.png", x, names, "six", columns=3)
    before = pixels(tmp_path / "a.png")
    places = []
    for i in range(6):
        changed = x.copy()
        changed[i] *= -1
        IMAGE.sheet(tmp_path / "b.png", changed, names, "six", columns=3)
        rows, columns = np.nonzero((pixels(tmp_path / "b.png") != before).any(-1))
        places.append((rows.min(), columns.min()))
        assert np.ptp(rows) < 80 and np.ptp(columns) < 80
    assert len(set(places)) == 6 and places == sorted(places)
    IMAGE.sheet(tmp_path / "b.png", x, ["b", *names[1:]], "six", columns=3)
    assert (pixels(tmp_path / "b.png") != before).any()  # titles are drawn
    IMAGE.sheet(tmp_path / "b.png", x, names, "seven", columns=3)
    assert (pixels(tmp_path / "b.png") != before).any()


def test_an_image_that_is_not_finite_is_labelled(tmp_path: Path) -> None:
    x = np.zeros((2, 1, 28, 28), np.float32)
    x[1, 0, 0, 0] = np.nan
    IMAGE.sheet(tmp_path / "sheet.png", x)
    picture = pixels(tmp_path / "sheet.png")
    red = picture[..., 0] - picture[..., 1] > 60
    half = picture.shape[1] // 2
    assert red[:, half:].sum() > 100 and not red[:, :half].any()


def test_bad_sheets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 titles for 2 images"):
        IMAGE.sheet(tmp_path / "a.png", images(2, 1, 4, 4), ["a"])
    with pytest.raises(ValueError, match=r"\[0, 1, 4, 4\]"):
        IMAGE.sheet(tmp_path / "a.png", images(0, 1, 4, 4))
    with pytest.raises(ValueError, match="columns=0"):
        IMAGE.sheet(tmp_path / "a.png", images(2, 1, 4, 4), columns=0)


def test_a_sheet_of_64_is_fast_and_previews_become_an_animation(tmp_path: Path) -> None:
    x = images(64, 1, 28, 28)
    IMAGE.write_preview(tmp_path, 0, x, [str(i % 10) for i in range(64)])
    IMAGE.write_preview(tmp_path, 1000, -x, [str(i % 10) for i in range(64)])
    assert [p.name for p in sorted((tmp_path / "previews").iterdir())] == ["step-00000000.png", "step-00001000.png"]
    with Pillow.open(IMAGE.write_animation(tmp_path)) as moving:
        assert moving.n_frames == 2  # type: ignore[attr-defined]


def test_the_grid_for_tensorboard() -> None:
    x = np.zeros((5, 3, 4, 6), np.float32)
    x[4] = 1
    whole = image_grid(x)
    assert whole.shape == (2 * 6 + 2, 3 * 8 + 2, 3) and whole.dtype == np.uint8
    assert (whole[8:12, 10:16] == 255).all() and (whole == 255).all(-1).sum() == 24


def test_pixels_average_over_areas() -> None:
    x = torch.from_numpy(images(7, 1, 28, 28))
    embedding = IMAGE.embedding((1, 28, 28))
    assert embedding.name == "pixels1x16x16-of-28x28"
    features = embedding(x)
    assert features.shape == (7, 256) and features.dtype == np.float64
    assert np.allclose(features.mean(1), x.double().mean((1, 2, 3)))  # All pixels have equal weights.
    exact = Pixels((1, 28, 28), max_side=14)(x).reshape(7, 14, 14)
    assert np.allclose(exact, x[:, 0].double().unfold(1, 2, 2).unfold(2, 2, 2).mean((-1, -2)))
    step = torch.full((1, 1, 3, 3), -1.0)
    step[..., 2] = 1.0  # The right half of three columns contains 0.5 and 1 of the columns.
    assert np.allclose(Pixels((1, 3, 3), max_side=2)(step).reshape(2, 2), [[-1, 1 / 3], [-1, 1 / 3]])
    small = torch.from_numpy(images(2, 3, 8, 8))
    assert np.allclose(Pixels((3, 8, 8))(small), small.flatten(1).double())
    with pytest.raises(ValueError, match="1, 28, 28"):
        embedding(x[..., :20])
    assert embed(x, embedding, batch=3).shape == (7, 256)


def test_a_classifier_looks_at_the_image_itself() -> None:
    x = torch.from_numpy(images(2, 3, 8, 8))
    assert IMAGE.to_images(x) is x
