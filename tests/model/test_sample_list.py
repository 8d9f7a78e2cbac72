"""Tests of the list of samples in a folder: formats that are preserved, and errors."""

from __future__ import annotations

import csv
import io
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from stub_generator import Stub

from audiogan.errors import UserError
from audiogan.modalities.drawing.sheets import check_sheet_overwritable
from audiogan.modalities.image import Image
from audiogan.modalities.points import Points
from audiogan.model.sample_list import FIELDS, SampleList
from audiogan.model.sampling import write_samples


def sample(out: Path, n: int = 1, stub: Any = None, **options: Any) -> list[Path]:
    return write_samples(stub or Stub(), out, n, echo=lambda line: None, **options)


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "samples.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def as_spreadsheet(text: str, separator: str = ",", encoding: str = "utf-8", newline: str = "\r\n") -> bytes:
    """Return the list as a spreadsheet program saves it."""
    table = csv.reader(io.StringIO(text, newline=""))
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator=newline).writerows(table)
    return out.getvalue().encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\r\n", "\n", "\r"])
def test_a_list_that_went_through_a_spreadsheet_keeps_all_rows(
    encoding: str, separator: str, newline: str, tmp_path: Path
) -> None:
    stub = Stub(["größe", "=a;b,c", "x"])
    sample(tmp_path, 3, stub, seed=0, truncation=0.5)
    before, path = rows(tmp_path), tmp_path / "samples.csv"
    path.write_bytes(as_spreadsheet(path.read_text("utf-8"), separator, encoding, newline))
    sample(tmp_path, 1, stub, seed=9)
    assert rows(tmp_path)[:3] == before and len(rows(tmp_path)) == 4
    names = {path.name for path in tmp_path.glob("*.wav")}
    sample(tmp_path, 3, stub, seed=0, truncation=0.5)  # These samples are listed already, so nothing is added.
    assert {path.name for path in tmp_path.glob("*.wav")} == names and len(rows(tmp_path)) == 4


def test_columns_of_the_person_and_their_order_stay(tmp_path: Path) -> None:
    text = (
        "sep=;\r\nCheckpoint ;note;truncation;seed;file;class;mixture;knobs;\r\n"
        "stub;my best; 0,5;3;kick-3.wav;kick;;;more\r\n;;;;;;;;\r\nstub;-;;x\r\n"
    )
    (tmp_path / "samples.csv").write_bytes(text.encode("utf-8-sig"))
    (tmp_path / "kick-3.wav").write_bytes(b"old")
    sample(tmp_path, 1, seed=3, truncation=0.5, label="kick")
    assert (tmp_path / "kick-3.wav").read_bytes() != b"old" and len(list(tmp_path.glob("*.wav"))) == 1
    sample(tmp_path, 1, seed=4)
    table = list(csv.reader((tmp_path / "samples.csv").read_text("utf-8").splitlines()))
    assert table[0] == ["Checkpoint ", "note", "truncation", "seed", "file", "class", "mixture", "knobs", ""]
    assert table[1] == ["stub", "my best", " 0,5", "3", "kick-3.wav", "kick", "", "", "more"]
    assert table[2][:4] == ["stub", "-", "", "x"]
    assert table[3] == ["stub", "", "", "4", "kick-4.wav", "kick", "", "", ""] and len(table) == 4


def test_missing_columns_are_added(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text("file,seed\nkick-1.wav,1")  # no line end
    sample(tmp_path, 1, seed=2)
    assert [row["file"] for row in rows(tmp_path)] == ["kick-1.wav", "kick-2.wav"]
    assert list(rows(tmp_path)[0]) == list(FIELDS)


def test_formulas_of_older_lists_become_text(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text(",".join(FIELDS) + "\r\na-1.wav,1,=cmd|x,,,,m\r\n", newline="")
    sample(tmp_path, 1, seed=2)
    assert rows(tmp_path)[0]["class"] == "'=cmd|x"


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\r\n \n"])
def test_an_empty_list_is_a_new_one(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_bytes(content)
    sample(tmp_path, 1, seed=2)
    assert len(rows(tmp_path)) == 1


@pytest.mark.parametrize(
    "content",
    [b"name,bpm\nmy loop,120\n", b"file\nx\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"seed", b"\x81\x8d\xff\xfe"],
)
def test_a_table_of_the_persons_own_is_not_touched(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_bytes(content)
    stub = Stub()
    with pytest.raises(UserError, match=r"samples\.csv: "):
        sample(tmp_path, stub=stub)
    assert contents(tmp_path) == {"samples.csv": content} and not stub.rendered


def picture(path: Path, mode: str = "RGB", colour: Any = "white") -> bytes:
    Pillow.new(mode, (5, 5), colour).save(path, "PNG")
    return path.read_bytes()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "I;16"])
def test_a_picture_of_the_persons_own_is_not_touched(mode: str, tmp_path: Path) -> None:
    path, stub = tmp_path / "contact-sheet.png", Stub()
    content = picture(path, mode, 0 if mode not in ("RGB", "RGBA") else "black")
    for list_of_ours in (False, True):
        if list_of_ours:
            (tmp_path / "samples.csv").write_text(",".join(FIELDS) + "\n")
        with pytest.raises(UserError, match=r"contact-sheet\.png: not a contact sheet"):
            sample(tmp_path, stub=stub)
        assert path.read_bytes() == content and not stub.rendered
    (tmp_path / "samples.csv").write_text("a,b\n")
    with pytest.raises(UserError, match=r"contact-sheet\.png: .*samples\.csv: "):
        sample(tmp_path)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + bytes(60)])
def test_what_is_no_picture_is_not_touched_either(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "contact-sheet.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a contact sheet"):
        check_sheet_overwritable(path)
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(UserError, match="not a contact sheet"):
        check_sheet_overwritable(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match="not a contact sheet"):
        check_sheet_overwritable(path)


@pytest.mark.parametrize("modality", [None, Image(), Points()])
def test_sheets_of_audiogan_are_replaced(modality: Any, tmp_path: Path) -> None:
    for seed in (1, 5):
        sample(tmp_path, 3, Stub(modality=modality), seed=seed)
    check_sheet_overwritable(tmp_path / "contact-sheet.png")
    assert len(rows(tmp_path)) == (2 if modality == Points() else 6)


def test_a_link_stays_a_link_and_a_broken_one_is_named(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "samples.csv").symlink_to(tmp_path / "list.csv")
    with pytest.raises(UserError, match=r"samples\.csv: a link to a file that does not exist"):
        sample(out)
    (tmp_path / "list.csv").touch()
    sample(out, 2, seed=1)
    assert (out / "samples.csv").is_symlink() and len((tmp_path / "list.csv").read_text().splitlines()) == 3


def test_links_and_folders_with_the_name_of_a_sample_are_kept(tmp_path: Path) -> None:
    (tmp_path / "kick-2.wav").symlink_to("nowhere")
    (tmp_path / "kick-2-2.wav").mkdir()
    assert [path.name for path in sample(tmp_path, 1, seed=2)] == ["kick-2-3.wav"]
    assert os.readlink(tmp_path / "kick-2.wav") == "nowhere"


def test_processes_that_sample_into_one_folder_lose_nothing(tmp_path: Path) -> None:
    """Threads simulate processes: each opens the folder separately, so the lock works between them."""
    settings = [(0, None), (0, None), (0, 0.5), (100, None)]
    start = threading.Barrier(len(settings))

    def work(seed: int, truncation: float | None) -> None:
        start.wait()
        sample(tmp_path, 20, seed=seed, truncation=truncation)

    threads = [threading.Thread(target=work, args=each) for each in settings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    listed = rows(tmp_path)
    assert len({row["file"] for row in listed}) == len(listed) == 60
    assert {row["file"] for row in listed} == {path.name for path in tmp_path.glob("*.wav")}
    assert {(row["seed"], row["truncation"]) for row in listed} >= {("0", ""), ("0", "0.5"), ("119", "")}


def test_a_row_that_another_process_wrote_is_seen(tmp_path: Path) -> None:
    sample(tmp_path, 1, seed=1)
    mine = SampleList(tmp_path)
    sample(tmp_path, 1, seed=2)
    assert "kick-2.wav" not in mine
    with mine.lock():
        assert "kick-2.wav" in mine


def test_the_same_seeds_give_the_same_files_in_blocks(tmp_path: Path) -> None:
    sample(tmp_path / "whole", 150, seed=0)
    for start in range(0, 150, 25):
        sample(tmp_path / "parts", 25, seed=start)
    whole, parts = contents(tmp_path / "whole"), contents(tmp_path / "parts")
    whole.pop("contact-sheet.png"), parts.pop("contact-sheet.png")
    assert whole == parts and len(whole) == 151


def test_points_are_one_file(tmp_path: Path) -> None:
    (file,) = sample(tmp_path, 150, Stub(modality=Points()), seed=0)
    assert np.load(file).shape == (150, 2) and file.name == "points-0.npy"
