"""Tests of inpainting of files of any size: ``audiogan apply --mask``, folders of masks, transparent pixels, Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from audiogan.errors import UserError
from audiogan.games import Generative
from audiogan.inputs import MaskSignal, Signal
from audiogan.modalities import Image
from audiogan.model.generator import Generator
from audiogan.model.translation.files import ApplyResult, apply_files
from audiogan.model.translation.signals import Translation
from audiogan.networks.gated import GatedGenerator
from audiogan.representations import Identity

HEIGHT, WIDTH = 50, 71


@pytest.fixture(scope="module")
def model() -> Generator:
    torch.manual_seed(0)
    net = GatedGenerator((3, 16, 16), (3, 16, 16), width=4, dilations=(), levels=1).eval()
    inputs = {"source": Signal("source", (3, 16, 16), Image()), "mask": MaskSignal("mask", (1, 16, 16), Image())}
    config: dict[str, Any] = {"name": "inpaint", "facts": {"labels": []}}
    return Generator(Generative(net, Identity((3, 16, 16)), inputs), Image(), config, Path("inpaint.ckpt"), 0)


def photo(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def hole(value: int = 255) -> np.ndarray:
    """Return a mask with a rectangle."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:30, 20:44] = value
    return mask


def saved(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels).save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    with Pillow.open(path) as picture:
        return np.asarray(picture)


def apply(model: Generator, source: Path, out: Path, mask: Path | None) -> tuple[ApplyResult, list[str]]:
    lines: list[str] = []
    return apply_files(model, source, out, mask=mask, echo=lines.append), lines


def test_only_missing_pixels_change(model: Generator, tmp_path: Path) -> None:
    source, missing = saved(tmp_path / "a.png", photo()), hole() > 0
    apply(model, source, tmp_path / "out.png", saved(tmp_path / "mask.png", hole()))
    made = pixels(tmp_path / "out.png")
    assert np.array_equal(made[~missing], photo()[~missing]) and (made[missing] != photo()[missing]).mean() > 0.9
    # The values of missing pixels must have no effect.
    blanked = np.where(missing[..., None], np.uint8(7), photo())
    apply(model, saved(tmp_path / "b.png", blanked), tmp_path / "out2.png", tmp_path / "mask.png")
    assert np.array_equal(pixels(tmp_path / "out2.png"), made)


def test_the_mask_in_python(model: Generator, tmp_path: Path) -> None:
    source = saved(tmp_path / "a.png", photo())
    masks: list[Any] = [
        hole()[None],
        hole()[None] > 0,
        hole()[None] / np.float32(255),
        torch.from_numpy(hole() > 0)[None],
    ]
    masks += [str(saved(tmp_path / "mask.png", hole())), Pillow.fromarray(hole())]
    made = [model.apply(source, inputs={"mask": mask}) for mask in masks]
    assert all(np.array_equal(each, made[0]) for each in made)
    assert made[0].shape == (3, HEIGHT, WIDTH)
    with pytest.raises(UserError, match=r"mask: missing; use --mask FILE, or inputs=\{'mask': FILE\} in Python"):
        model.apply(source)


def test_grey_levels_have_a_threshold_in_the_middle(model: Generator) -> None:
    given: Any = model.inputs["mask"]
    for value, share in ((127, 0.0), (128, 1.0)):
        mask = given.parse(hole(value)[None], any_size=True)
        assert float(mask[0, 15, 30]) == share and not mask[0, 0, 0]
    assert bool(given.parse(np.full((16, 16), 0.6, np.float32)).all())
    assert "white for missing pixels" in given.describe()


def test_the_result_does_not_depend_on_tiles(model: Generator) -> None:
    translation = Translation(model, inputs={"mask": hole()[None]})
    source = Image().convert(photo(), (3, 16, 16))
    whole, small = (
        np.concatenate(list(translation.run(source, (HEIGHT, WIDTH), tile_size=size)), axis=1) for size in (256, 8)
    )
    assert np.allclose(whole, small, atol=1e-5)
    bands = (source[:, row : row + 9] for row in range(0, HEIGHT, 9))
    assert np.array_equal(np.concatenate(list(translation.run(bands, (HEIGHT, WIDTH), tile_size=256)), axis=1), whole)


def test_tiles_without_missing_pixels_skip_the_network(model: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, generate = [], model.game.generate
    monkeypatch.setattr(model.game, "generate", lambda *args, **options: calls.append(1) or generate(*args, **options))
    mask = np.zeros((1, 600, 600), np.uint8)
    mask[:, 5:9, 5:9] = 255
    source = np.random.default_rng(0).uniform(-1, 1, (3, 600, 600)).astype(np.float32)
    made = model.apply(source, inputs={"mask": mask})
    assert len(calls) == 1 and np.array_equal(made[:, mask[0] == 0], source[:, mask[0] == 0])


def test_folders(model: Generator, tmp_path: Path) -> None:
    for i, name in enumerate(("a.png", "deep/b.jpg", "c.png", "d.png")):
        saved(tmp_path / "photos" / name, photo(i))
    saved(tmp_path / "masks/a.png", hole())
    saved(tmp_path / "masks/deep/b.png", hole())
    saved(tmp_path / "masks/d.png", hole()[:, :40])
    done, _ = apply(model, tmp_path / "photos", tmp_path / "out", tmp_path / "masks")
    assert sorted(path.name for path in done.files) == ["a.png", "b.jpg"]
    assert np.array_equal(pixels(tmp_path / "out/a.png")[hole() == 0], photo(0)[hole() == 0])
    missing, wrong = sorted(done.failed)
    assert missing.endswith(f"c.png: it has no mask; add {tmp_path}/masks/c.png")
    assert "d.png: mask: it has 40 x 50 pixels, but the picture has 71 x 50; make the sizes equal" in wrong
    one, _ = apply(model, tmp_path / "photos", tmp_path / "same", tmp_path / "masks/a.png")  # One mask for all files.
    assert len(one.files) == 4


def test_empty_and_full_masks(model: Generator, tmp_path: Path) -> None:
    source = saved(tmp_path / "a.png", photo())
    empty, full = saved(tmp_path / "empty.png", hole(0)), saved(tmp_path / "full.png", hole(0) + 255)
    _, lines = apply(model, source, tmp_path / "out.png", empty)
    assert lines[0].endswith("empty.png: no pixel is missing (white); nothing is filled")
    assert np.array_equal(pixels(tmp_path / "out.png"), photo())
    with pytest.raises(UserError, match="all pixels are missing"):
        apply(model, source, tmp_path / "full-out.png", full)
    assert not (tmp_path / "full-out.png").exists()


def test_transparent_pixels_are_the_default_mask(model: Generator, tmp_path: Path) -> None:
    apply(model, saved(tmp_path / "a.png", photo()), tmp_path / "one.png", saved(tmp_path / "mask.png", hole()))
    clear = np.concatenate([photo(), 255 - hole()[..., None]], axis=2)
    apply(model, saved(tmp_path / "clear.png", clear), tmp_path / "two.png", None)
    assert np.array_equal(pixels(tmp_path / "two.png"), pixels(tmp_path / "one.png"))
    opaque = saved(tmp_path / "opaque.png", np.dstack([photo(), hole(0) + 255]))
    with pytest.raises(UserError, match="mask: missing; use --mask FILE"):
        apply(model, opaque, tmp_path / "three.png", None)


def test_16_bits_are_kept(model: Generator, tmp_path: Path) -> None:
    from audiogan.modalities.drawing.png import encode_16_bits
    from audiogan.modalities.reading.pictures import read_picture

    deep = np.random.default_rng(0).integers(0, 1 << 16, (3, HEIGHT, WIDTH), np.uint16)
    (tmp_path / "deep.png").write_bytes(encode_16_bits(deep))
    apply(model, tmp_path / "deep.png", tmp_path / "out.png", saved(tmp_path / "mask.png", hole()))
    made = read_picture(tmp_path / "out.png").pixels
    assert made.dtype == np.uint16 and np.array_equal(made[:, hole() == 0], deep[:, hole() == 0])


def test_a_mask_that_cannot_be_used_is_one_line(model: Generator, tmp_path: Path) -> None:
    from small_translators import pix2pix

    source, mask = saved(tmp_path / "a.png", photo()), saved(tmp_path / "mask.png", hole())
    with pytest.raises(UserError, match="it has no mask as an input"):
        apply(pix2pix(), source, tmp_path / "out.png", mask)
    with pytest.raises(UserError, match="the mask is given twice"):
        apply_files(model, source, tmp_path / "out.png", mask=mask, inputs={"mask": str(mask)})
    with pytest.raises(UserError, match=r"nothing\.png"):
        apply(model, source, tmp_path / "out.png", tmp_path / "nothing.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"broken\.png: cannot be read"):
        apply(model, source, tmp_path / "out.png", tmp_path / "broken.png")
    assert not (tmp_path / "out.png").exists()
