"""Tests of the interface of modalities: settings, shapes, comparisons, previews."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf
from PIL import Image as Pillow

from audiogan.errors import UserError
from audiogan.modalities import KINDS, Image, Modality, Points, Sound
from audiogan.modalities.base import add_output_column

ALL = [Sound(8000, "peak"), Image(), Points(2.0, ((-1.0, 0.5), (1.0, 1.0)), 0.1)]
SHAPES: dict[str, tuple[int, ...]] = {"sound": (1, 800), "image": (3, 16, 20), "point": (2,)}


def batch(modality: Modality, count: int = 4, seed: int = 0) -> np.ndarray:
    shape = (count, *SHAPES[modality.noun])
    return np.random.default_rng(seed).uniform(-0.9, 0.9, shape).astype(np.float32)


def size(path: Path) -> tuple[int, int]:
    with Pillow.open(path) as picture:
        return picture.size


def pixels(path: Path) -> np.ndarray:
    with Pillow.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.parametrize("modality", ALL)
def test_a_configuration_builds_the_same_modality(modality: Modality) -> None:
    stored = OmegaConf.to_container(OmegaConf.create(OmegaConf.to_yaml(OmegaConf.create(modality.to_config()))))
    assert isinstance(stored, dict)
    name = str(stored.pop("_target_")).rpartition(".")[2]
    settings: dict[str, Any] = {str(key): value for key, value in stored.items()}
    assert KINDS[name](**settings) == modality
    assert modality.same_kind(KINDS[name](**settings)) and not modality.same_kind(None)
    assert sum(modality.same_kind(other) for other in ALL) == 1


def test_facts_of_each_kind() -> None:
    assert [each.edge for each in ALL] == [1.0, 1.0, None]
    assert [each.sample_rate for each in ALL] == [8000, None, None]
    assert [each.output_name for each in ALL] == ["wave", "image", None]
    assert [each.image_settings_name(SHAPES[each.noun]) for each in ALL] == ["melpicture-8k-0.1s", None, None]
    with pytest.raises(TypeError, match="sample_rate"):
        Sound()  # type: ignore[call-arg]


@pytest.mark.parametrize("modality", ALL)
def test_shapes_are_checked(modality: Modality) -> None:
    for noun, shape in SHAPES.items():
        if noun == modality.noun:
            modality.check_shape(shape)
        else:
            with pytest.raises(UserError, match="cannot have the shape"):
                modality.check_shape(shape)


def test_settings_are_checked() -> None:
    for modality, words in ((Sound(7), "sample_rate=7"), (Sound(8000, "loud"), "normalize"), (Points(1e7), "limit")):
        with pytest.raises(UserError, match=words):
            modality.check_shape(SHAPES[modality.noun])
    for shape in ((2, 8, 8), (17, 100)):
        with pytest.raises(UserError, match="cannot have the shape"):
            (Image() if len(shape) == 3 else Sound(8000)).check_shape(shape)


@pytest.mark.parametrize("modality", ALL)
def test_finish_of_tensors_is_finish(modality: Modality) -> None:
    x = 3 * batch(modality)
    assert np.allclose(modality.postprocess_tensor(torch.from_numpy(x)).numpy(), modality.postprocess(x), atol=1e-6)


def test_sounds_are_joined() -> None:
    x = batch(ALL[0], 3)
    joined = ALL[0].concatenate(x)
    assert joined is not None and joined.shape == (1, 3 * 800 + 2 * 2000)
    assert np.array_equal(joined[0, 2800:3600], x[1, 0]) and not joined[0, 800:2800].any()
    assert ALL[1].concatenate(batch(ALL[1])) is None


@pytest.mark.parametrize("modality", ALL)
def test_a_comparison_shows_every_column(modality: Modality, tmp_path: Path) -> None:
    columns = {name: batch(modality, seed=i) for i, name in enumerate(("source", "output", "target"))}
    path = tmp_path / "new" / "a.png"
    modality.draw_columns(path, columns, "a title", ["a", "b", "a", "b"])
    before = pixels(path)
    middles = []
    for name in columns:
        changed = {key: -x if key == name else x for key, x in columns.items()}
        modality.draw_columns(path, changed, "a title", ["a", "b", "a", "b"])
        where = np.nonzero((pixels(path) != before).any((0, 2)))[0]
        assert np.ptp(where) < 0.45 * before.shape[1]
        middles.append(where.mean())
    assert middles == sorted(middles)
    modality.draw_columns(path, {**columns, "target": batch(modality, seed=2)}, None)
    assert not np.array_equal(pixels(path).shape, before.shape) or (pixels(path) != before).any()
    for bad in ({}, {"a": batch(modality, 3), "b": batch(modality, 4)}):
        with pytest.raises(ValueError, match="same number of examples"):
            modality.draw_columns(path, bad)
    with pytest.raises(ValueError, match="titles 1"):
        modality.draw_columns(path, columns, None, ["a"])


def test_images_of_other_sizes_and_colours_stand_beside_each_other(tmp_path: Path) -> None:
    small, large = batch(Image())[:, :1, :8, :8], np.ones((4, 3, 64, 64), np.float32)
    Image().draw_columns(tmp_path / "a.png", {"source": small, "output": large})
    assert size(tmp_path / "a.png") == (2 * 14 + 2 * 128 + 6, 14 + 18 + 4 * (128 + 6) - 6 + 14)
    large[1, 0, 0, 0] = np.nan
    Image().draw_columns(tmp_path / "b.png", {"source": small, "output": large})
    assert (pixels(tmp_path / "a.png") == 255).all(-1).sum() > (pixels(tmp_path / "b.png") == 255).all(-1).sum()


def test_sounds_of_other_lengths_stand_beside_each_other(tmp_path: Path) -> None:
    x = batch(ALL[0], 2)
    ALL[0].draw_columns(tmp_path / "a.png", {"source": x[..., :300], "output": np.repeat(x, 2, 1)})
    ALL[0].sheet(tmp_path / "b.png", np.repeat(x, 2, 0))
    assert size(tmp_path / "a.png")[0] < size(tmp_path / "b.png")[0]  # Two columns instead of four.


@pytest.mark.parametrize("modality", ALL)
def test_a_preview_with_sources_is_a_comparison(modality: Modality, tmp_path: Path) -> None:
    x, source, target = (batch(modality, seed=i) for i in range(3))
    modality.write_preview(tmp_path, 5, x, ["a"] * 4, extra_columns={"source": source, "target": target})
    path = tmp_path / "previews" / "step-00000005.png"
    titles = [f"{i + 1} a" for i in range(4)] if modality.noun == "sound" else ["a"] * 4
    modality.draw_columns(tmp_path / "b.png", {"source": source, "output": x, "target": target}, "step 5", titles)
    assert path.read_bytes() == (tmp_path / "b.png").read_bytes()
    if modality.noun == "sound":  # The WAV file contains the sounds of the picture.
        assert soundfile.info(path.with_suffix(".wav")).frames == 12 * 800 + 11 * 2000
    assert modality.write_animation(tmp_path).is_file()


def test_the_place_of_the_output() -> None:
    x = np.zeros((1, 2))
    assert list(add_output_column(x, {"target": x, "source": x, "mask": x})) == ["source", "mask", "output", "target"]
    assert list(add_output_column(x, {"source": x, "output": x, "second": x})) == ["source", "output", "second"]


def test_measures_without_references() -> None:
    assert ALL[0].sample_metrics(batch(ALL[0])) == {} == Points().sample_metrics(batch(ALL[2]))
    assert ALL[2].sample_metrics(np.full((50, 2), 1.0)) == {"modes/3sigma": 1.0, "share_at_modes/3sigma": 1.0}
