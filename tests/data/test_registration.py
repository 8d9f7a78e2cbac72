"""Tests of the shift between the images of a pair, and of the flags of shifted or identical pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from audiogan.cli import main
from audiogan.data.images.pairs import open_pairs
from audiogan.data.images.registration import PairShift, describe_shift, find_shift, usual_shift


def drawing(seed: int, side: int = 48) -> np.ndarray:
    """Return a drawing of rectangles, uint8 ``[3, side, side]``."""
    rng = np.random.default_rng(seed)
    x = np.full((3, side, side), 230, np.uint8)
    for _ in range(8):
        left, top = rng.integers(6, side - 16, 2)
        width, height = rng.integers(4, 12, 2)
        x[:, top : top + height, left : left + width] = rng.integers(0, 256, (3, 1, 1))
    return x


def painted(x: np.ndarray) -> np.ndarray:
    """Return the drawing with other colours: a negative with another contrast."""
    return (200 - 0.7 * x[::-1]).astype(np.uint8)


def test_shifts_are_found_in_spite_of_other_colours() -> None:
    for seed, (right, down) in enumerate([(0, 0), (3, -2), (-4, 1)]):
        x = drawing(seed)
        assert find_shift(x, np.roll(painted(x), (down, right), (1, 2))) == PairShift(right, down, True)


def test_large_images_are_measured_at_a_lower_resolution() -> None:
    x = drawing(0).repeat(16, 1).repeat(16, 2)
    found = find_shift(x, np.roll(painted(x), (9, -6), (1, 2)))
    assert (found.right, found.down, found.unit) == (-6, 9, 3) and found.reliable


def test_unrelated_and_empty_images_have_no_reliable_shift() -> None:
    assert not any(find_shift(drawing(i), drawing(20 + i)).reliable for i in range(10))
    plain = np.full((1, 8, 8), 9, np.uint8)
    assert find_shift(plain, plain) == PairShift(0, 0, False)


def test_the_usual_shift_is_the_median_of_reliable_shifts() -> None:
    shifts = [PairShift(3, 1, True)] * 3 + [PairShift(9, 9, False)] * 9 + [PairShift(0, 0, True)]
    assert usual_shift(shifts) == (3, 1) and usual_shift(shifts[:2]) == (0, 0)
    assert shifts[-1].differs_from((3, 1)) and not shifts[0].differs_from((3, 1)) and not shifts[5].differs_from((0, 0))
    assert not PairShift(3, 0, True, unit=3).differs_from((0, 0))
    assert describe_shift((3, -1)) == "3 pixels to the right and 1 pixel up"
    assert describe_shift((0, 2)) == "2 pixels down" and describe_shift((0, 0)) == "not shifted"


def save_pairs(root: Path, shifts: dict[int, tuple[int, int]], usual: tuple[int, int] = (0, 0), n: int = 8) -> None:
    for i in range(n):
        right, down = shifts.get(i, usual)
        for name, x in (("a", drawing(i)), ("b", np.roll(painted(drawing(i)), (down, right), (1, 2)))):
            (root / name).mkdir(parents=True, exist_ok=True)
            Pillow.fromarray(x.transpose(1, 2, 0)).save(root / name / f"{i}.png")


def scan(root: Path, **settings: Any) -> Any:
    return open_pairs(root, cache=root.parent / "cache", progress=False, **settings).scan


def flags(found: Any) -> dict[str, tuple[str, str]]:
    return {row["path"]: (row["flags"], row["detail"]) for row in found.rows() if row["flags"] or row["detail"]}


def test_a_shifted_pair_is_flagged_and_used(tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", {5: (3, -2)})
    for found in (scan(tmp_path / "data"), scan(tmp_path / "data")):  # The second scan comes from the cache.
        said = "the target is shifted against its source: 3 pixels to the right and 2 pixels up"
        assert flags(found) == {f"{side}/5.png": ("misregistered", said) for side in "ab"}
        assert found.clips == 8 and found.flags == {"misregistered": 2} and tuple(found.shift) == (0, 0)
        assert "2 misregistered (used; the target is shifted" in found.summary()


def test_a_shift_that_most_pairs_have_is_reported_once(tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", {2: (0, 0)}, usual=(4, 0))
    found = scan(tmp_path / "data")
    assert set(flags(found)) == {"a/2.png", "b/2.png"}
    assert "in most pairs the target is shifted against its source: 4 pixels to the right" in found.summary()


def test_identical_sides_are_flagged(tmp_path: Path) -> None:
    save_pairs(tmp_path / "data", {})
    for side in "ab":
        Pillow.fromarray(drawing(50).transpose(1, 2, 0)).save(tmp_path / "data" / side / "same.png")
    found = scan(tmp_path / "data")
    assert flags(found) == {f"{side}/same.png": ("identical", "") for side in "ab"}
    assert found.clips == 9 and "2 identical (used; both images of the pair have the same pixels)" in found.summary()


def test_side_by_side_pairs_are_flagged_too(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    for i in range(4):
        halves = [drawing(i), np.roll(painted(drawing(i)), 3 * (i == 1), 2) if i else drawing(i)]
        Pillow.fromarray(np.concatenate(halves, 2).transpose(1, 2, 0)).save(root / f"{i}.png")
    found = flags(scan(root, layout="side-by-side"))
    assert {path: flag for path, (flag, _) in found.items()} == {"0.png": "identical", "1.png": "misregistered"}


def test_the_command_scans_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    save_pairs(root, {5: (3, -2)})
    (root / "b" / "7.png").unlink()
    (root / "b" / "6.png").write_bytes(b"\x89PNG\r\nbroken")
    assert main(["data", "scan", str(root), "--pairs", "data.size=48", "--csv", str(tmp_path / "scan.csv")]) == 0
    said = capsys.readouterr().out
    for words in ("6 pairs, 48x48", "1 no partner", "1 unreadable", "1 partner unusable", "2 misregistered"):
        assert words in said, said
    assert len((tmp_path / "scan.csv").read_text().splitlines()) == 16
    assert main(["data", "scan", str(root), "--config", "pix2pix", "data.size=32", "data.direction=b-to-a"]) == 0
    said = capsys.readouterr().out
    assert "6 pairs, 32x32" in said and "training:" in said
    assert main(["data", "scan", str(root)]) == 0
    assert "the folders a and b may hold pairs; scan them with: audiogan data scan --pairs" in capsys.readouterr().out
