"""Tests of comparison sheets: blocks of rows, and the stored positions of the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from audiogan.modalities import Image
from audiogan.modalities.drawing.grid import LAYOUT, read_layout, rows_per_block


def write(path: Path, rows: int = 16, size: int = 20) -> dict[str, np.ndarray]:
    """Write a comparison of images of one colour each, and return the images."""
    levels = np.linspace(-0.9, 0.9, 3 * rows, dtype=np.float32).reshape(3, rows)
    names = ("source", "output", "target")
    columns = {
        name: np.broadcast_to(x[:, None, None, None], (rows, 1, size, size))
        for name, x in zip(names, levels, strict=True)
    }
    columns["source"] = columns["source"][..., : size // 2, : size // 2]  # Enlarged on the sheet.
    Image().draw_columns(path, columns, "a title", [f"row {i}" for i in range(rows)])
    return columns


@pytest.mark.parametrize("rows", [1, 7, 16, 30])
def test_the_stored_positions_are_those_of_the_images(rows: int, tmp_path: Path) -> None:
    columns = write(tmp_path / "a.png", rows)
    layout = read_layout(tmp_path / "a.png")
    assert layout is not None and layout.columns == ["source", "output", "target"]
    assert layout.titles == [f"row {i}" for i in range(rows)]
    with Pillow.open(tmp_path / "a.png") as picture:
        assert picture.size == layout.sheet
        pixels = np.asarray(picture.convert("L"))
    for column, x in enumerate(columns.values()):
        for (left, top), level in zip(layout.rows, x[:, 0, 0, 0], strict=True):
            left += column * layout.stride
            cell = pixels[top : top + layout.cell[1], left : left + layout.cell[0]]
            assert cell.shape == layout.cell[::-1] and (cell == round(level * 127.5 + 127.5)).all()


def test_many_rows_stand_in_several_blocks(tmp_path: Path) -> None:
    for rows in (4, 16):
        write(tmp_path / f"{rows}.png", rows)
    few, many = (read_layout(tmp_path / f"{rows}.png") for rows in (4, 16))
    assert few is not None and len({left for left, _ in few.rows}) == 1
    assert many is not None and len({left for left, _ in many.rows}) == 2
    # Rows go down first, then to the next block on the right.
    assert many.rows[0][1] == many.rows[8][1] and many.rows[7][0] == many.rows[0][0]
    assert rows_per_block(16, 3 * 128, 128) == 8
    assert rows_per_block(16, 3000, 128) == 16  # One block, because a row is wider than a screen.


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        "{}",
        '{"cell": [8, 8], "stride": 9, "columns": ["a", "b"], "rows": [[0, 99]], "titles": []}',
        '{"cell": [8, 8], "stride": 9, "columns": ["a", "b"], "rows": [[-1, 0]], "titles": []}',
        '{"cell": [8, 0], "stride": 9, "columns": ["a", "b"], "rows": [[0, 0]], "titles": []}',
        '{"cell": [8, 8], "stride": 9, "columns": ["a"], "rows": [[0, 0]], "titles": []}',
        '{"cell": [8, 8], "stride": 9, "columns": ["a", "b"], "rows": [], "titles": []}',
        '{"cell": [8, 1e999], "stride": 9, "columns": ["a", "b"], "rows": [[0, 0]], "titles": []}',
    ],
)
def test_wrong_positions_are_ignored(text: str, tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text(LAYOUT, text)
    Pillow.new("RGB", (20, 20)).save(tmp_path / "a.png", pnginfo=info)
    assert read_layout(tmp_path / "a.png") is None


def test_other_files_have_no_positions(tmp_path: Path) -> None:
    Image().sheet(tmp_path / "sheet.png", np.zeros((4, 1, 8, 8)))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert read_layout(tmp_path / "sheet.png") is read_layout(tmp_path / "broken.png") is None
    assert read_layout(tmp_path / "missing.png") is None
