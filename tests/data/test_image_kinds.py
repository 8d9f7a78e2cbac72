"""Tests of image files from telephones, cameras and scanners, and of arrays with unusual names."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audiogan.data.images.scan import scan_images
from audiogan.data.images.sources import open_images
from audiogan.errors import UserError
from audiogan.run.training import build_trainer, open_data, write_scan

GREY = np.linspace(0, 1, 256).reshape(16, 16)
X = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def verdicts(folder: Path) -> dict[str, dict[str, str]]:
    return {row["path"]: row for row in scan_images(folder, progress=False).rows()}


def test_a_folder_in_which_every_image_is_usable_trains(tmp_path: Path) -> None:
    from audiogan.run.config import compose

    for i in range(4):
        save(tmp_path / "images" / f"{i}.png", np.roll((255 * GREY).astype(np.uint8), i))
    cfg = compose(
        "images", [f"data.root={tmp_path / 'images'}", "data.size=16", "width=4", f"run_dir={tmp_path / 'r'}"]
    )
    train, held_out = open_data(cfg)
    (tmp_path / "r").mkdir()
    write_scan(tmp_path / "r", train)
    assert train.scan.hints() == [] and "4 usable" in (tmp_path / "r" / "scan.txt").read_text()
    assert build_trainer(cfg, train, held_out, progress=False).step == 0


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_bits_that_a_camera_uses_are_full_scale(bits: int, tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.rint(GREY * (2**bits - 1)).astype(np.uint16))
    save(tmp_path / "b.png", np.rint(GREY.T * (2**bits - 1) / 2).astype(np.uint16))
    data = open_images(tmp_path, progress=False)
    a, b = data.signals([0, 1]).numpy()[:, 0]
    np.testing.assert_allclose(a, 2 * GREY - 1, atol=0.01)
    np.testing.assert_allclose(b, GREY.T - 1, atol=0.01)  # Half as bright as the other image, as in the files.
    assert {row["flags"] for row in data.scan.rows()} == ({"few bits"} if bits < 16 else {""})


def test_values_beyond_16_bits_are_scaled_to_their_range(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", (GREY * 1e9 - 5e8).astype(np.int32))
    data = open_images(tmp_path, progress=False)
    np.testing.assert_allclose(data.signals([0]).numpy()[0, 0], 2 * GREY - 1, atol=0.01)
    assert [row["flags"] for row in data.scan.rows()] == ["deep"]


def test_nearly_black_pictures_are_flagged(tmp_path: Path) -> None:
    save(tmp_path / "dark.png", np.full((16, 16, 3), 12, np.uint8))
    save(tmp_path / "fine.png", np.full((16, 16, 3), 40, np.uint8))
    found = verdicts(tmp_path)
    assert (found["dark.png"]["flags"], found["fine.png"]["flags"]) == ("dark", "")


def test_pictures_that_cannot_be_read_say_what_to_do(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.cr2", "c.svg", "d.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(b"x" * 64)
    save(tmp_path / "photo.png", X[0])
    (tmp_path / "photo.png").rename(tmp_path / "photo")
    found = verdicts(tmp_path)
    assert "convert it to JPEG or PNG" in found["a.HEIC"]["detail"] and "raw" in found["b.cr2"]["detail"]
    assert "PNG" in found["c.svg"]["detail"] and "frames" in found["d.mp4"]["detail"]
    assert (found["photo"]["reason"], found["notes.txt"]["reason"]) == ("misnamed", "not an image")
    with pytest.raises(UserError, match=r"no usable image .*a\.HEIC: HEIC cannot be read: convert it"):
        open_images(tmp_path, progress=False)


def test_a_photograph_with_the_name_of_another_kind_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    (tmp_path / "b.jpg").write_bytes(b"\xff\x0a" + bytes(64))
    save(tmp_path / "c.png", X[0])
    found = verdicts(tmp_path)
    assert found["a.jpg"]["detail"] == "HEIC cannot be read: convert it to JPEG or PNG"
    assert found["b.jpg"]["detail"] == "JXL cannot be read: convert it to JPEG or PNG"


def test_a_large_picture_is_used_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "large.png", np.zeros((100, 100), np.uint8) + 99)
    save(tmp_path / "huge.png", np.zeros((200, 200), np.uint8) + 99)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = verdicts(tmp_path)
    assert found["large.png"]["reason"] == "usable"
    assert found["huge.png"]["reason"] == "unreadable" and "scale it down" in found["huge.png"]["detail"]


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ("x", "y"),
        ("X", "Y"),
        ("images", "labels"),
        ("x_train", "y_train"),
        ("X_train", "Y_train"),
        ("train_images", "train_labels"),
        ("data", "target"),
        ("data", "labels"),
        ("arr_0", "arr_1"),
        ("image", "label"),
        ("trainX", "trainY"),
    ],
)
def test_arrays_of_other_names_are_read(x: str, y: str, tmp_path: Path) -> None:
    arrays = {x: X, y: np.array([0, 1, 2, 0, 1, 2])}
    if "train" in x:
        arrays |= {x.replace("train", "test"): X[:1], y.replace("train", "test"): np.array([9])}
    np.savez(tmp_path / "a.npz", **arrays)
    data = open_images(tmp_path / "a.npz")
    assert len(data) == 6 and data.labels == ["0", "1", "2"] and data.targets.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    "y",
    [
        np.array([[0], [1], [2], [0], [1], [2]]),
        np.array([[0, 1, 2] * 2]),
        np.eye(3, dtype=np.uint8)[[0, 1, 2] * 2],
        np.array([0.0, 1, 2] * 2),
    ],
)
def test_classes_in_other_shapes_are_read(y: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=y)
    assert open_images(tmp_path / "a.npz").targets.tolist() == [0, 1, 2, 0, 1, 2]


def test_an_array_that_claims_to_be_huge_is_refused_before_it_is_read(tmp_path: Path) -> None:
    import io
    import zipfile

    def header(shape: tuple[int, ...], kind: str) -> bytes:
        out = io.BytesIO()
        np.lib.format.write_array_header_1_0(out, {"descr": kind, "fortran_order": False, "shape": shape})
        return out.getvalue()

    sane = io.BytesIO()
    np.lib.format.write_array(sane, X)
    for name, x, y, words in (
        ("wide", header((1, 10**6, 10**6), "|u1"), b"", "at most 4,096 pixels"),
        ("classes", sane.getvalue(), header((10**12,), "<i8"), "too large for classes"),
        ("text", sane.getvalue(), header((6,), "<U100000000"), "too large for classes"),
    ):
        with zipfile.ZipFile(tmp_path / f"{name}.npz", "w") as archive:
            archive.writestr("x.npy", x)
            if y:
                archive.writestr("y.npy", y)
        with pytest.raises(UserError, match=words):
            open_images(tmp_path / f"{name}.npz")
