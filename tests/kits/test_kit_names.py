"""Tests of names of kits: unchanged in the text of a kit, and different file names for different names."""

from __future__ import annotations

import tarfile
import unicodedata
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from audiogan import Generator
from audiogan.kits import Kit, save_kit
from audiogan.kits.names import file_stem, single_line

SPACE = "{http://www.hydrogen-music.org/drumkit}"
NAMES = [
    "Größe",
    "太鼓",
    "बीट",
    "🥁",
    "🥁🥁",
    "CON",
    "con.a",
    "Aux",
    "a/b",
    "a:b",
    "a\\b",
    "a.b",
    "a-b",
    ".a",
    "a.",
    "..",
    "a b",
]
NAMES += [
    "..a",
    "a--b",
    "a b ",
    "x" * 300,
    "x" * 299 + "y",
    "𐍈" * 90,
    "<&>\"'",
    "-a",
    "été",
    "ete",
    "a\nb",
    "kit",
    "\udcff",
    "?",
]


@pytest.mark.parametrize("ascii_only", [False, True])
def test_different_names_give_different_files(tmp_path: Path, ascii_only: bool) -> None:
    stems = [file_stem(name, ascii_only=ascii_only) for name in NAMES]
    assert len({stem.casefold() for stem in stems}) == len(NAMES)
    for stem in stems:
        assert stem == stem.strip(" .-") and not set(stem) & set('/\\:*?"<>|\n') and stem.isprintable()
        assert stem.split(".")[0].casefold() not in {"con", "aux"} and stem.isascii() >= ascii_only
        (tmp_path / f".{stem}.h2drumkit.01234567.tmp").write_text("")  # the name of the temporary file


def test_letters_of_all_languages_stay() -> None:
    for name in ("Größe", "太鼓", "बीट", "a.b", "a-b_c 2"):
        assert file_stem(name) == single_line(name) == name
    assert file_stem(unicodedata.normalize("NFD", "Größe")) == "Größe"
    assert file_stem("") == "kit"
    assert single_line("a\nb\x1b[2J\u2028c \u202ed") == "a b [2J c d"


@pytest.mark.parametrize("name", ["Größe", "太鼓", "🥁 <&>\"'", "x" * 300, "a/b\n<region> sample=x"])
def test_the_name_stands_in_the_kit(drums: Generator, kit: Kit, tmp_path: Path, name: str) -> None:
    small = Kit(kit.pads[:1], kit.model)
    shown = single_line(name)
    for format in ("sfz", "decent", "hydrogen"):
        file = save_kit(drums, small, tmp_path, format, name=name)[-1]
        assert file.parent == tmp_path and file.stem == file_stem(name)
        if format == "sfz":
            lines = file.read_text(encoding="utf-8").splitlines()
            assert (
                lines[0] == f"// {shown}: made by audiogan" and sum(line.startswith("<region>") for line in lines) == 3
            )
        elif format == "decent":
            assert ET.parse(file).getroot().get("presetName") == shown
        else:
            with tarfile.open(file) as archive:
                folder = file_stem(name, ascii_only=True)
                member = archive.extractfile(f"{folder}/drumkit.xml")
                assert member is not None and ET.fromstring(member.read()).findtext(f"{SPACE}name") == shown
                assert {path.split("/")[0] for path in archive.getnames()} == {folder}


def test_without_a_name_it_is_that_of_the_folder(drums: Generator, kit: Kit, tmp_path: Path) -> None:
    small = Kit(kit.pads[:1], kit.model)
    assert save_kit(drums, small, tmp_path / "太鼓")[-1].name == "太鼓.sfz"
    assert save_kit(drums, small, tmp_path / "太鼓", name="")[-1].name == "kit.sfz"
