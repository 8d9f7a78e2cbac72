"""Tests of images from folders, .npz files and the built-in digits: pixels, labels, outcomes, the cache."""

from __future__ import annotations

import csv
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from audiogan.data.images.folder import image_table
from audiogan.data.images.sources import open_images, open_photos
from audiogan.errors import UserError

RNG = np.random.default_rng


def picture(path: Path, pixels: np.ndarray, mode: str | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Pillow.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def noise(seed: int, *shape: int) -> np.ndarray:
    return RNG(seed).integers(0, 256, shape, dtype=np.uint8)


def one(path: Path, **settings: Any) -> np.ndarray:
    """Return the only image `[C, H, W]` in the folder of `path`."""
    data = open_images(path.parent, progress=False, **settings)
    assert len(data) == 1
    return data.signals([0])[0].numpy()


def npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_the_contract_with_the_stream(tmp_path: Path) -> None:
    for i, name in enumerate(["b/1.png", "a/2.PNG", "b/3.bmp"]):
        picture(tmp_path / name, noise(i, 8, 8))
    data = open_images(tmp_path, progress=False)
    assert (len(data), data.labels, data.class_counts, data.shape) == (3, ["a", "b"], [1, 2], (1, 8, 8))
    assert data.targets.tolist() == [0, 1, 1] and data.targets.dtype == np.int64
    assert data.source == f"3 grey images of 8x8 from {tmp_path} (2 classes)"
    rng = RNG(0)
    before = rng.bit_generator.state
    batch = data.batch(np.array([2, 0, 2]), rng)
    assert rng.bit_generator.state == before
    assert batch["x"].dtype == torch.float32 and batch["x"].shape == (3, 1, 8, 8)
    assert batch["label"].dtype == torch.int64 and batch["label"].tolist() == [1, 0, 1]
    assert torch.equal(batch["x"], data.signals([2, 0, 2]))
    want = noise(1, 8, 8) / 127.5 - 1
    assert np.abs(data.signals([0])[0, 0].numpy() - want).max() < 1e-6
    batch["x"].zero_()  # A batch is a copy.
    assert data.signals([2]).abs().sum() > 0
    unlabelled = open_images(tmp_path, labels="none", progress=False)
    assert "label" not in unlabelled.batch(np.array([0]), rng)
    assert (unlabelled.labels, unlabelled.class_counts, len(unlabelled.targets)) == ([], [], 0)


def test_black_and_white_are_exactly_the_ends(tmp_path: Path) -> None:
    x = np.zeros((2, 4, 4), np.uint8)
    x[1] = 255
    data = open_images(npz(tmp_path / "x.npz", x=x))
    assert data.signals([0]).unique().tolist() == [-1.0] and data.signals([1]).unique().tolist() == [1.0]


def test_mirror_flips_about_half_by_the_rng_and_never_in_signals(tmp_path: Path) -> None:
    x = noise(0, 200, 4, 6)
    data = open_images(npz(tmp_path / "x.npz", x=x), mirror=True)
    everything = np.arange(200)
    plain = data.signals(everything)
    batch = data.batch(everything, RNG(1))["x"]
    turned = (batch == plain.flip(-1)).all(dim=(1, 2, 3))
    assert torch.equal(torch.where(turned[:, None, None, None], plain.flip(-1), plain), batch)
    assert 70 < turned.sum() < 130
    assert torch.equal(data.batch(everything, RNG(1))["x"], batch)
    assert not torch.equal(data.batch(everything, RNG(2))["x"], batch)


def test_split_is_stratified_repeatable_and_whole(tmp_path: Path) -> None:
    x = np.arange(100, dtype=np.uint8).repeat(16).reshape(100, 4, 4)
    data = open_images(npz(tmp_path / "x.npz", x=x, y=np.arange(100) % 10 // 7))
    train, held = data.split(0.2, seed=3)
    assert (train.class_counts, held.class_counts) == ([56, 24], [14, 6])
    ids = [p.signals(slice(None))[:, 0, 0, 0].add(1).mul(127.5).round().int().tolist() for p in (train, held)]
    assert sorted(ids[0] + ids[1]) == list(range(100))
    assert torch.equal(data.split(0.2, seed=3)[1].signals(slice(None)), held.signals(slice(None)))
    assert not torch.equal(data.split(0.2, seed=4)[1].signals(slice(None)), held.signals(slice(None)))
    part = train.take(np.array([2, 0]))
    assert torch.equal(part.signals([0]), train.signals([2])) and part.labels == data.labels
    assert part.targets.tolist() == train.targets[[2, 0]].tolist()


def test_transparency_is_white_and_palettes_are_looked_up(tmp_path: Path) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 0], rgba[:4, :, 3] = 255, 255  # The upper half is opaque red, the lower half transparent red.
    for i, options in enumerate([{}, {"mode": "P"}]):
        image = one(picture(tmp_path / str(i) / "a.png", rgba, **options))
        assert np.allclose(image[:, 1, 1], [1, -1, -1], atol=0.02)
        assert np.allclose(image[:, 6, 1], [1, 1, 1], atol=0.02)
    half = np.full((8, 8, 4), [0, 0, 0, 128], np.uint8)
    assert np.allclose(one(picture(tmp_path / "h" / "a.png", half)), 2 * 127 / 255 - 1, atol=0.01)
    grey = np.full((8, 8, 2), [0, 0], np.uint8)
    path = tmp_path / "la" / "a.png"
    path.parent.mkdir()
    Pillow.merge("LA", [Pillow.fromarray(grey[..., 0].copy()), Pillow.fromarray(grey[..., 1].copy())]).save(path)
    assert one(path).shape == (1, 8, 8) and (one(path) == 1).all()


def test_deep_upright_and_cmyk_pictures(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    want = np.linspace(-1, 1, 64).reshape(8, 8)
    assert np.abs(one(picture(tmp_path / "deep" / "a.png", deep))[0] - want).max() < 0.01
    assert one(picture(tmp_path / "bits" / "a.png", np.eye(8, dtype=np.uint8) * 255, "1")).shape == (1, 8, 8)
    colour = np.full((8, 8, 3), [255, 0, 0], np.uint8)
    cmyk = one(picture(tmp_path / "cmyk" / "a.tif", colour, "CMYK"))
    assert np.allclose(cmyk[:, 0, 0], [1, -1, -1], atol=0.05)
    lying = np.zeros((8, 8, 3), np.uint8)
    lying[0] = 255  # Top row. Orientation 3 means that the camera was upside down.
    exif = Pillow.Exif()
    exif[0x0112] = 3
    turned = one(picture(tmp_path / "exif" / "a.png", lying, exif=exif))
    assert (turned[:, 7] == 1).all() and (turned[:, 0] == -1).all()


def test_middle_square_and_scaling_by_area(tmp_path: Path) -> None:
    wide = np.zeros((32, 96), np.uint8)
    wide[:, 32:64] = 200
    wide[:16, 32:64] = 100
    image = one(picture(tmp_path / "a" / "a.png", wide), size=8)[0]
    assert image.shape == (8, 8)
    assert np.allclose(image[0], 2 * 100 / 255 - 1, atol=0.02) and np.allclose(image[7], 2 * 200 / 255 - 1, atol=0.02)
    fine = np.indices((64, 64)).sum(0) % 2 * 255  # A checkerboard. Sampling instead of averaging would be visible.
    assert np.abs(one(picture(tmp_path / "b" / "b.png", fine.astype(np.uint8)), size=8)).max() < 0.05
    large = np.full((800, 1200, 3), [200, 100, 50], np.uint8)
    photo = one(picture(tmp_path / "c" / "c.jpg", large, quality=95), size=16)
    assert np.allclose((photo.mean((1, 2)) + 1) * 127.5, [200, 100, 50], atol=3)


def test_size_and_channels_of_a_folder_left_to_itself(tmp_path: Path) -> None:
    for i, shape in enumerate([(20, 16), (16, 16), (40, 40)]):
        picture(tmp_path / f"{i}.png", noise(i, *shape))
    data = open_images(tmp_path, progress=False)
    assert data.shape == (1, 16, 16)  # The size is the most frequent shorter side. All images are grey.
    assert open_images(tmp_path, size=20, channels=3, progress=False).shape == (3, 20, 20)
    assert data.scan is not None and data.scan.flags == {}
    assert open_images(tmp_path, size=20, progress=False).scan.flags == {"enlarged": 2}  # type: ignore[union-attr]
    picture(tmp_path / "colour.png", noise(9, 12, 12, 3))
    assert open_images(tmp_path, progress=False).shape == (3, 16, 16)
    picture(tmp_path / "photos" / "huge.png", noise(4, 300, 300))
    assert open_images(tmp_path / "photos", progress=False).shape == (1, 256, 256)


def test_every_file_gets_a_verdict(tmp_path: Path) -> None:
    root = tmp_path / "data"
    good = picture(root / "cat" / "1.png", noise(0, 8, 8))
    picture(root / "dog" / "1.png", noise(1, 8, 8))
    picture(root / "dog" / "copy.bmp", noise(0, 8, 8))  # The cat again, in another format.
    picture(root / "loose.png", noise(2, 8, 8))
    (root / "cat" / "cut.png").write_bytes(good.read_bytes()[:60])
    (root / "cat" / "text.jpg").write_text("not an image")
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    (root / "cat" / "notes.txt").write_text("hello")
    frames = [Pillow.fromarray(noise(i, 8, 8)) for i in (5, 6)]
    frames[0].save(root / "dog" / "moving.gif", save_all=True, append_images=frames[1:])
    data = open_images(root, progress=False)
    scan = data.scan
    assert scan is not None and (scan.usable, scan.total, len(data)) == (3, 9, 3)
    assert scan.counts == {"usable": 3, "unreadable": 3, "duplicate": 1, "no label": 1, "not an image": 1}
    assert scan.flags == {"animated": 1} and data.class_counts == [1, 2]
    said = scan.summary()
    assert "9 files, 3 usable -> 3 images, 8x8" in said and "cat 1, dog 2" in said
    assert "dog/copy.bmp (same as cat/1.png)" in said and "gone.png (broken link)" in said
    assert "text.jpg (not a known image format)" in said
    scan.write_csv(tmp_path / "report.csv")
    with open(tmp_path / "report.csv", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert len(rows) == 9 and rows["cat/1.png"]["reason"] == "usable" and rows["cat/1.png"]["width"] == "8"
    assert rows["loose.png"]["reason"] == "no label" and rows["dog/moving.gif"]["flags"] == "animated"


def test_labels_from_a_list(tmp_path: Path) -> None:
    for i in range(4):
        picture(tmp_path / "p" / f"{i}.png", noise(i, 8, 8))
    (tmp_path / "list.csv").write_text("path,label\n0.png,red\n1.png,blue\n2.png,red\n7.png,red\n")
    data = open_images(tmp_path / "p", labels=tmp_path / "list.csv", progress=False)
    assert (data.labels, data.targets.tolist()) == (["blue", "red"], [1, 0, 1])
    assert data.scan is not None and data.scan.counts == {"usable": 3, "no label": 1, "missing": 1}


def test_the_cache_is_used_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(3):
        picture(tmp_path / "p" / f"{i}.png", noise(i, 8, 8))
    before = open_images(tmp_path / "p", cache=tmp_path / "c", progress=False)
    opened = []
    monkeypatch.setattr(Pillow, "open", lambda *a, **k: opened.append(a))
    again = open_images(tmp_path / "p", cache=tmp_path / "c", progress=False)
    assert torch.equal(before.signals(slice(None)), again.signals(slice(None))) and not opened
    monkeypatch.undo()
    want = before.signals(slice(None))
    (pixels,) = (tmp_path / "c").glob("*/pixels.u8")
    pixels.write_bytes(pixels.read_bytes()[:-1] + b"x")  # The damaged cache is detected and built again.
    mended = open_images(tmp_path / "p", cache=tmp_path / "c", progress=False)
    assert torch.equal(mended.signals(slice(None)), want)
    picture(tmp_path / "p" / "3.png", noise(3, 8, 8))
    assert len(open_images(tmp_path / "p", cache=tmp_path / "c", progress=False)) == 4
    # The outdated cache folder is removed, and no incomplete folder remains.
    assert len(list((tmp_path / "c").iterdir())) == 1


@pytest.mark.parametrize(
    ("shape", "channels", "want"),
    [
        ((5, 6, 8), None, (1, 6, 8)),
        ((5, 6, 8, 1), None, (1, 6, 8)),
        ((5, 6, 8, 3), None, (3, 6, 8)),
        ((5, 3, 6, 8), None, (3, 6, 8)),
        ((5, 6, 8, 4), None, (3, 6, 8)),
        ((5, 3, 6, 8), 1, (1, 6, 8)),
        ((5, 6, 8), 3, (3, 6, 8)),
    ],
)
def test_npz_of_any_layout(tmp_path: Path, shape: tuple[int, ...], channels: int | None, want: tuple[int, ...]) -> None:
    x = noise(0, *shape)
    data = open_images(npz(tmp_path / "x.npz", images=x), channels=channels)
    assert data.shape == want and len(data) == 5
    got = data.signals([3])[0].numpy() * 127.5 + 127.5
    if shape == (5, 6, 8, 3):
        assert np.allclose(got, x[3].transpose(2, 0, 1), atol=1e-3)
    elif shape == (5, 6, 8, 4):
        a = x[3, ..., 3:] / 255
        assert np.allclose(got, (x[3, ..., :3] * a + 255 * (1 - a)).transpose(2, 0, 1), atol=1.1)
    elif channels is None:
        assert np.allclose(got, x[3].reshape(want), atol=1e-3)
    resized = open_images(tmp_path / "x.npz", size=12, channels=channels)
    assert resized.shape == (want[0], 12, 12)


def test_npz_labels_and_more_images_than_one_chunk(tmp_path: Path) -> None:
    x, y = noise(0, 2500, 4, 4), RNG(1).integers(3, 13, 2500)
    data = open_images(npz(tmp_path / "x.npz", x=x, y=y))
    assert data.labels == [str(i) for i in range(3, 13)]  # Sorted by number, not alphabetically.
    assert (data.targets == y - 3).all()
    assert np.allclose(data.signals(slice(None))[:, 0].numpy() * 127.5 + 127.5, x, atol=1e-3)
    assert open_images(tmp_path / "x.npz", labels="none").labels == []
    text = open_images(npz(tmp_path / "t.npz", x=x[:3], labels=np.array(["b", "a", "b"])))
    assert (text.labels, text.targets.tolist()) == (["a", "b"], [1, 0, 1])
    named = open_images(npz(tmp_path / "n.npz", x=x[:2], y=np.array([2, 0]), names=np.array(["u", "v", "w"])))
    assert (named.labels, named.targets.tolist(), named.class_counts) == (["u", "v", "w"], [2, 0], [1, 0, 1])


X = np.zeros((4, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": X}, "no array of images; it contains a;"),
        ({"x": X, "images": X}, "both x and images"),
        ({"x": X / 255}, "array x is float64; images are uint8"),
        ({"x": X[0]}, r"array x has shape \[8, 8\]"),
        ({"x": X[:0]}, r"array x has shape \[0, 8, 8\]"),
        ({"x": np.zeros((4, 8, 8, 2), np.uint8)}, r"shape \[4, 8, 8, 2\]"),
        ({"x": X, "y": [1, 2, 3]}, r"array y has shape \[3\]; expected one class for each of the 4"),
        ({"x": X, "y": [0.5, 1, 2, 3]}, "array y is float64"),
        ({"x": np.array([X, None], object)}, "array x contains Python objects"),
        ({"x": X, "y": np.array(["a", None, 1, 2], object)}, "array y contains Python objects"),
        ({"x": X, "y": [0, 1, 2, 3], "names": np.array(["a", "b"])}, "array names must be text, one for each"),
        ({"x": np.asfortranarray(X)}, "Fortran order"),
    ],
)
def test_a_bad_npz_is_one_clear_line(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    path = npz(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=rf"bad\.npz: .*{words}") as error:
        open_images(path, cache=tmp_path / "c")
    assert "\n" not in str(error.value)
    assert list((tmp_path / "c").iterdir()) == []


def test_a_damaged_npz_is_one_clear_line(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", x=noise(0, 50, 8, 8))
    whole = path.read_bytes()
    for damaged in (b"text", whole[:1000], whole[:1500] + bytes(50) + whole[1550:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"a\.npz: not an \.npz file that can be read"):
            open_images(path)
    with pytest.raises(UserError, match=r"data\.root=.*b\.npz: no such file"):
        open_images(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 3}, "data.size=3"),
        ({"size": 8.5}, "data.size=8.5"),
        ({"channels": 2}, "data.channels=2"),
        ({"root": "mnist"}, r"data\.root=mnist: not downloaded yet; run: audiogan data get mnist"),
        ({"root": "no/such/folder"}, r"data\.root=no/such/folder: no such folder"),
        ({"root": "digits", "labels": "folders"}, "data.labels=folders"),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        open_images(**settings)


def test_nothing_usable_says_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no usable image in .*: the folder is empty"):
        open_images(tmp_path, progress=False)
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(UserError, match=r"1 unreadable; for example a\.png: not a known image format"):
        open_images(tmp_path, progress=False)


def test_digits_need_no_network_and_downloads_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOGAN_CACHE", str(tmp_path))
    data = open_images()
    assert (len(data), data.shape, data.labels) == (1797, (1, 8, 8), [str(i) for i in range(10)])
    x = data.signals(slice(None))
    assert (float(x.min()), float(x.max())) == (-1.0, 1.0) and len(x.unique()) == 17
    means = torch.stack([x[data.targets == k].mean(0) for k in (0, 1)])
    # The centre of a zero is dark, that of a one is bright.
    assert means[0, 0, 3:5, 3:5].mean() < -0.5 < 0.5 < means[1, 0, 3:5, 3:5].mean()
    assert open_images(size=16, channels=3, labels="none").shape == (3, 16, 16)
    for name, level in (("mnist", 10), ("fashion-mnist", 20)):
        (tmp_path / "downloads" / name).mkdir(parents=True)
        npz(tmp_path / "downloads" / name / "train.npz", x=np.full((3, 28, 28), level, np.uint8), y=[0, 1, 1])
    assert len(open_images()) == 3 and open_images().shape == (1, 28, 28)
    assert len(open_images("digits")) == 1797
    fashion = open_images("fashion-mnist")
    assert fashion.signals([0])[0, 0, 0, 0] == pytest.approx(20 / 127.5 - 1)
    assert torch.equal(open_images(tmp_path / "downloads" / "fashion-mnist").signals([0]), fashion.signals([0]))


def test_batches_from_threads() -> None:
    data = image_table(noise(0, 50, 1, 8, 8), np.empty(0, np.int64))
    want = data.signals(slice(None))
    wrong: list[int] = []

    def read(seed: int) -> None:
        for indices in RNG(seed).integers(0, 50, (50, 16)):
            if not torch.equal(data.batch(indices, RNG(0))["x"], want[torch.from_numpy(indices)]):
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_real_pictures(shared_data: Path) -> None:
    data = open_images(shared_data / "images" / "unpaired_apple_tomato", size=32, progress=False)
    assert data.shape == (3, 32, 32) and data.labels == ["testA", "testB", "trainA", "trainB"]
    assert data.class_counts == [60, 60, 240, 240]
    digits = open_images(shared_data / "images" / "mnist_10k.npz")
    assert (len(digits), digits.shape, len(digits.labels)) == (10_000, (1, 28, 28), 10)


def test_tiles_keep_the_resolution_and_stay_on_one_side_of_a_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(10):
        Pillow.fromarray(rng.integers(0, 256, (70, 41, 3), np.uint8)).save(tmp_path / f"{i}.png")
    Pillow.fromarray(rng.integers(0, 256, (10, 41, 3), np.uint8)).save(tmp_path / "small.png")
    table = open_photos(tmp_path, size=16, tiles=5, cache=tmp_path / "cache", progress=False)
    assert len(table) == 10 * 5 + 1 and table.shape == (3, 16, 16)  # 4 x 2 squares fit, and 5 of them are chosen.
    whole = np.asarray(Pillow.open(tmp_path / "0.png")).transpose(2, 0, 1)
    corners = [(3 + 16 * i, 4 + 16 * j) for i in range(4) for j in range(2)]
    squares = {whole[:, i : i + 16, j : j + 16].tobytes() for i, j in corners}
    pixels = [np.rint(x.numpy() * 127.5 + 127.5).astype(np.uint8) for x in table.signals(np.arange(5))]
    assert len({x.tobytes() for x in pixels} & squares) == 5
    train, held_out = table.split(0.2)
    files = np.minimum(np.arange(51) // 5, 10)
    assert not {*files[train.rows]} & {*files[held_out.rows]} and len(held_out) == 10
    again = open_photos(tmp_path, size=16, tiles=5, cache=tmp_path / "other", progress=False)
    assert torch.equal(table.signals(np.arange(51)), again.signals(np.arange(51)))


@pytest.mark.parametrize("tiles", [0, 2.5, True, "all"])
def test_wrong_number_of_tiles_is_one_clear_line(tmp_path: Path, tiles: Any) -> None:
    with pytest.raises(UserError, match=r"data\.tiles=.*whole number from 1"):
        open_photos(tmp_path, tiles=tiles)
