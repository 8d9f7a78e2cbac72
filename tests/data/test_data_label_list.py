"""Tests of label lists, as spreadsheet programs and public data sets write them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image as Pillow

from audiogan.data.images.scan import scan_images
from audiogan.data.sounds.folder import open_audio_folder
from audiogan.data.sounds.scan import scan_folder
from audiogan.data.verdicts import Scan
from audiogan.errors import UserError

PLAIN = "path,label\nf0.wav,a\nf1.wav,b\nsub/f2.wav,a\nsub/f3.wav,b\n"


def write(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = sum(map(ord, name))
        sf.write(path, np.random.default_rng([seed, len(name)]).uniform(-0.5, 0.5, 800), 16_000)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "sounds", "f0.wav", "f1.wav", "sub/f2.wav", "sub/f3.wav")


def listed(root: Path, content: str | bytes, name: str = "list.csv") -> Scan:
    """Scan a folder with a label list."""
    path = root.parent / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return scan_folder(root, labels=path, progress=False)


def labels(scan: Scan) -> dict[str, str]:
    return {row["path"]: row["label"] for row in scan.rows() if row["reason"] == "usable"}


WANT = {"f0.wav": "a", "f1.wav": "b", "sub/f2.wav": "a", "sub/f3.wav": "b"}


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", " | "),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\n\n" + PLAIN,
        "\ufeff" + PLAIN,
        "# from a program\n#\n" + PLAIN,
        "#" + PLAIN,
        "sep=,\n" + PLAIN,
        "sep=;\r\n" + PLAIN.replace(",", ";"),
        '\ufeff"sep=;"\r\n' + PLAIN.replace(",", ";"),
        PLAIN.encode("utf-16"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-32"),
        PLAIN.replace(",", "\t").encode("utf-16"),
        PLAIN.replace("path", "slice_file_name").replace("label", "class"),
        PLAIN.replace("path", "File Name").replace("label", "CLASS"),
        PLAIN.replace("path,label", "fname,verified;by,category").replace("wav,", "wav,1,"),
        PLAIN.replace("path,label", "wav,target"),
        PLAIN.replace("path,label", "audio_path,emotional state"),
        PLAIN.replace("path,label", "label,path").replace("f0.wav,a", "a,f0.wav").replace("f1.wav,b", "b,f1.wav")
        .replace("sub/f2.wav,a", "a,sub/f2.wav").replace("sub/f3.wav,b", "b,sub/f3.wav"),
        PLAIN.replace("sub/", "sub\\"),
        PLAIN.replace("\nf", "\n./f").replace("\nsub", "\n.\\sub"),
        PLAIN.replace("f0.wav,a", '"f0.wav" , "a"'),
        PLAIN.replace("f0.wav,a", "  f0.wav  ,  a  "),
        "\n".join(",".join(f"'{cell}'" for cell in line.split(",")) for line in PLAIN.split()),
        PLAIN.replace(".wav", ""),
        PLAIN.upper().replace("A\n", "a\n").replace("B\n", "b\n"),
        PLAIN.replace(".wav", ".flac"),
        PLAIN.replace("sub/", ""),
        PLAIN.replace("\nf", "\n/home/someone/data/f").replace("\nsub", "\n/home/someone/data/sub"),
        PLAIN.replace("\nf", "\nC:\\data\\f").replace("\nsub/", "\nC:\\data\\sub\\"),
    ],
)  # fmt: skip
def test_what_others_write_is_read(root: Path, content: str | bytes) -> None:
    scan = listed(root, content)
    assert labels(scan) == WANT and scan.counts == {"usable": 4}


def test_pictures_and_notes_beside_the_sounds_are_not_meant(root: Path) -> None:
    for name in ("f0.png", "f0.txt", "f0.m4a", "f0", "f1"):
        (root / name).write_bytes(b"x")
    (root / "sub" / "f2").mkdir()
    scan = listed(root, PLAIN.replace(".wav", ""))
    assert labels(scan)["sub/f2.wav"] == "a" and labels(scan)["sub/f3.wav"] == "b"
    scan = listed(root, PLAIN.replace(".wav", "").replace("f0", "F0"))
    assert labels(scan)["f0.wav"] == "a"


def test_what_was_guessed_is_said(root: Path) -> None:
    assert listed(root, PLAIN).hints() == []
    without = listed(root, PLAIN.replace(".wav", ""))
    assert without.hints() == ["list.csv: 4 of 4 files were found by name, ignoring the extension"]
    assert without.hints()[0] in without.summary()
    assert scan_folder(root, labels=root.parent / "list.csv", progress=False).hints() == without.hints()
    assert "by name, ignoring case" in listed(root, PLAIN.replace("f0.wav", "F0.WAV")).hints()[0]


def test_letters_of_other_encodings(tmp_path: Path) -> None:
    root = write(tmp_path / "s", unicodedata.normalize("NFD", "Bäss.wav"), "hütte.wav")
    for content in ("path,label\nBäss.wav,a\nHütte.WAV,ö\n", "path;label\nBäss.wav;a\nhütte.wav;ö\n".encode("cp1252")):
        scan = listed(root, content)
        assert scan.labels == ["a", "ö"] and scan.usable == 2
    assert "Windows-1252" in scan.summary()


def test_what_could_be_several_files_is_none(tmp_path: Path) -> None:
    root = write(tmp_path / "s", "a/one.wav", "b/one.wav", "x.wav", "X.wav", "deep/y.wav", "two.wav")
    sf.write(root / "two.flac", np.random.default_rng(5).uniform(-0.5, 0.5, 800), 16_000)
    scan = listed(root, "path,label\none.wav,q\nx.WAV,q\nz/y.wav,q\ntwo,q\nx.wav,exact\n")
    found = {row["path"]: (row["reason"], row["detail"]) for row in scan.rows()}
    assert labels(scan) == {"x.wav": "exact"}
    assert found["one.wav"] == ("missing", "in the label list; matches 2 files")
    assert found["x.WAV"][0] == "missing" and found["two"][1].endswith("matches 2 files")
    assert found["z/y.wav"] == ("missing", "in the label list")  # A file in another folder does not match.


def test_listed_files_that_are_left_out_are_said_to_be(tmp_path: Path) -> None:
    root = write(tmp_path / "s", "a.wav", ".hidden/b.wav")
    write(tmp_path, "near.wav")
    scan = listed(root, "path,label\na.wav,x\n.hidden/b.wav,x\n../near.wav,x\ngone.wav,x\n")
    missing = {row["path"]: row["detail"] for row in scan.rows() if row["reason"] == "missing"}
    left_out = "in the label list; skipped or outside the folder"
    assert missing == {".hidden/b.wav": left_out, "../near.wav": left_out, "gone.wav": "in the label list"}


def test_rows_that_contradict_each_other_are_not_used(tmp_path: Path) -> None:
    root = write(tmp_path / "s", "1.wav", "2.wav")
    scan = listed(root, "path,label\nkick/1.wav,kick\nsnare/1.wav,snare\n2.wav,tom\n")
    assert labels(scan) == {"2.wav": "tom"} and scan.counts["missing"] == 2
    same = listed(root, "path,label\nF/1.wav,kick\nF/1,kick\nF/2.wav,tom\n", "same.csv")
    assert labels(same) == {"1.wav": "kick", "2.wav": "tom"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Datei;Klasse;Ort\nf0.wav;a;b\n", r"found: Datei, Klasse, Ort\); known names are path, .*slice_file_name"),
        ("f0.wav,a\nf1.wav,b\n", r"found: f0.wav, a"),
        ("x,\x1b[2J\nf0.wav,a\n", r"found: x, \\x1b\[2J"),
        (b"PK\x03\x04rest", "a workbook or an archive"),
        (b"RIFF\x00\x00\x00\x00WAVE" * 10, "not a text file|must name|damaged"),
        ("", "must name the columns"),
        ('path,label\n"f0.wav,a\nf1.wav,b\n', "quotation mark before f0.wav,a is not closed"),
        ("path,label\n", "no row names a file"),
        ("path,label\n" + 'a.wav,"' + "x" * 200_000, "field larger"),
    ],
)
def test_lists_that_cannot_be_read_are_one_clear_line(root: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        listed(root, content)
    assert "data.labels=" in str(caught.value) and "list.csv" in str(caught.value)
    assert "\x1b" not in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_a_list_of_other_files_gets_a_hint_that_fits(root: Path) -> None:
    (root.parent / "list.csv").write_text("path,label\nother.wav,a\n")
    with pytest.raises(UserError, match=r"the list names other\.wav, but the folder has f0\.wav") as caught:
        open_audio_folder(root, labels=root.parent / "list.csv", progress=False)
    assert "inside folders" not in str(caught.value)


def test_labels_stay_text(root: Path) -> None:
    long = "x" * 5000
    scan = listed(root, f'path,label\nf0.wav,"a\nb"\nf1.wav,=1+1\nsub/f2.wav,"\x1b[2J"\nsub/f3.wav,{long}\n')
    assert scan.labels == sorted(["a\nb", "=1+1", "\x1b[2J", long])
    assert max(map(len, scan.summary().splitlines())) < 300 and "\x1b" not in scan.summary()


def test_names_that_cannot_be_expanded(root: Path) -> None:
    with pytest.raises(UserError, match=r"data\.labels=~nobody-here"):
        scan_folder(root, labels="~nobody-here/list.csv", progress=False)
    with pytest.raises(UserError, match=r"data\.labels=2024"):
        scan_folder(root, labels=2024, progress=False)  # type: ignore[arg-type]


def test_a_list_of_images(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / "p").mkdir(exist_ok=True)
        Pillow.fromarray(np.full((8, 8), 60 * i, np.uint8)).save(tmp_path / "p" / f"{i}.png")
    (tmp_path / "list.csv").write_text("image;class\n0;red\n1.PNG;blue\n9.png;red\n")
    scan = scan_images(tmp_path / "p", labels=tmp_path / "list.csv", progress=False)
    assert scan.labels == ["blue", "red"] and scan.counts == {"usable": 2, "no label": 1, "missing": 1}
    assert "by name" in scan.summary()


def test_labels_that_look_the_same_are_one_class(root: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Bäss") for form in ("NFC", "NFD"))
    assert listed(root, f"path,label\nf0.wav,{composed}\nf1.wav,{decomposed}\n").labels == [composed]
    folders = write(root.parent / "folders", f"{composed}/1.wav", f"{decomposed}/2.wav", "kick/1.wav")
    assert scan_folder(folders, progress=False).labels == [composed, "kick"]


def test_columns_that_are_not_read_are_named(root: Path) -> None:
    content = "path,speaker,label,take\nf0.wav,ann,a,1\nf1.wav,bob,b,2\n"
    list_file = root.parent / "list.csv"
    list_file.write_text(content)
    line = f"data.labels={list_file}: only the columns path, label are read, not speaker, take"
    assert line in open_audio_folder(root, labels=list_file, length=800, progress=False).source
    assert line in listed(root, content).summary()
    assert "not speaker" not in listed(root, PLAIN).summary()
