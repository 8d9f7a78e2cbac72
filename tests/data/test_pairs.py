"""Tests of image pairs and of two domains: layouts, duplicates, partners, sizes, labels, errors, the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from audiogan.data.images.pairs import open_domains, open_pairs
from audiogan.errors import UserError

RNG = np.random.default_rng
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "images"


def noise(seed: int, *shape: int) -> np.ndarray:
    return RNG(seed).integers(0, 256, shape or (8, 8, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options: Any) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels).save(path, **options)
    return pixels


def signal(pixels: np.ndarray) -> torch.Tensor:
    x = torch.from_numpy(pixels).float().sub(127.5).div(127.5)
    return x[None] if x.dim() == 2 else x.permute(2, 0, 1)


def pairs(root: Path, **settings: Any) -> Any:
    return open_pairs(root, cache=root.parent / "cache", progress=False, **settings)


def domains(root: Path, **settings: Any) -> Any:
    return open_domains(root, cache=root.parent / "cache", progress=False, **settings)


def verdicts(table: Any) -> dict[str, str]:
    return {row["path"]: row["reason"] for row in table.scan.rows()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def test_two_folders_with_matching_names(root: Path) -> None:
    sources = {name: save(root / "a" / f"{name}.png", noise(i, 8, 8)) for i, name in enumerate(["1", "2", "in/3"])}
    targets = {name: save(root / "b" / f"{name}.bmp", noise(10 + i)) for i, name in enumerate(["1", "2", "in/3"])}
    table = pairs(root, labels="none")
    assert list(table.columns) == ["source", "x"] and len(table) == 3 and table.labels == []
    assert table.columns["source"].shape == (1, 8, 8) and table.shape == (3, 8, 8)
    got = table.examples(slice(None))
    for i, name in enumerate(sources):
        assert torch.equal(got["source"][i], signal(sources[name])) and torch.equal(got["x"][i], signal(targets[name]))
    assert table.source == f"3 pairs of 8x8 images from {root}"
    assert "3 pairs, 8x8, grey to colour" in table.scan.summary()
    back = pairs(root, direction="b-to-a", labels="none").examples(slice(None))
    assert torch.equal(back["source"], got["x"]) and torch.equal(back["x"], got["source"])


def test_named_folders_and_channels(root: Path) -> None:
    for i in range(3):
        save(root / "black" / f"{i}.png", noise(i))
        save(root / "color" / f"{i}.png", noise(9 + i))
    with pytest.raises(UserError, match=r"no folders a and b; it has .*; set data\.a and data\.b"):
        pairs(root)
    table = pairs(root, a="black", b="color", source_channels=1, size=4)
    assert table.columns["source"].shape == (1, 4, 4) and table.shape == (3, 4, 4)


def test_mirror_flips_both_alike(root: Path) -> None:
    for i in range(40):
        save(root / "a" / f"{i}.png", noise(i))
        save(root / "b" / f"{i}.png", noise(i))  # the same picture
    batch = pairs(root, mirror=True).batch(np.arange(40), RNG(0))
    assert torch.equal(batch["source"], batch["x"])
    assert not torch.equal(batch["x"], pairs(root).batch(np.arange(40), RNG(0))["x"])


def test_duplicates_are_removed_as_pairs(root: Path) -> None:
    for name, source, target in [("1", 0, 10), ("2", 0, 11), ("3", 1, 10), ("4", 0, 10), ("5", 2, 12)]:
        save(root / "a" / f"{name}.png", noise(source))
        save(root / "b" / f"{name}.png", noise(target))
    table = pairs(root)
    assert len(table) == 4 and table.scan.counts == {"usable": 8, "duplicate": 2}
    found = verdicts(table)
    assert [path for path, reason in found.items() if reason == "duplicate"] == ["a/4.png", "b/4.png"]
    got = table.examples([1])
    assert torch.equal(got["source"][0], signal(noise(0))) and torch.equal(got["x"][0], signal(noise(11)))


def test_files_without_a_usable_partner_are_reported(root: Path) -> None:
    for name in ("1", "2", "only-a"):
        save(root / "a" / f"{name}.png", noise(int(name) if name.isdigit() else 7))
    for name in ("1", "2", "only-b"):
        save(root / "b" / f"{name}.png", noise(10 + len(name)))
    (root / "a" / "2.png").write_bytes(b"not a picture")
    (root / "b" / "notes.txt").write_text("x")
    table = pairs(root)
    assert len(table) == 1
    found = verdicts(table)
    assert found["a/2.png"] == "unreadable" and found["b/2.png"] == "partner unusable"
    assert found["a/only-a.png"] == found["b/only-b.png"] == "no partner" and found["b/notes.txt"] == "not an image"
    details = {path: detail for path, _, detail in table.scan.problems}
    assert details["a/only-a.png"] == "no file of this name in b" and details["b/2.png"] == "a/2.png is unreadable"
    assert "2 no partner (the other image of the pair is missing): a/only-a.png" in table.scan.summary()


def test_an_ambiguous_name_without_extension_has_no_partner(root: Path) -> None:
    save(root / "a" / "1.png", noise(0))
    save(root / "a" / "1.bmp", noise(1))
    save(root / "b" / "1.bmp", noise(2))  # The partner of 1.bmp.
    save(root / "a" / "2.png", noise(3))
    save(root / "a" / "2.bmp", noise(4))
    save(root / "b" / "2.gif", noise(5, 8, 8))
    table = pairs(root)
    assert len(table) == 1 and torch.equal(table.column("source", [0])[0], signal(noise(1)))
    assert verdicts(table)["b/2.gif"] == "no partner"


def test_pictures_of_different_size(root: Path) -> None:
    for name, source, target in [("1", (8, 8), (8, 8)), ("2", (16, 16), (8, 8)), ("3", (8, 12), (8, 8))]:
        save(root / "a" / f"{name}.png", noise(int(name), *source, 3))
        save(root / "b" / f"{name}.png", noise(9, *target, 3))
    table = pairs(root)
    assert len(table) == 1 and table.scan.counts["different size"] == 4
    assert (
        "a/2.png",
        "different size",
        "16x16 and 8x8; set data.size to scale both alike",
    ) in table.scan.problems
    table = pairs(root, size=4)
    assert len(table) == 2 and table.shape == (3, 4, 4)
    assert ("a/3.png", "different size", "12x8 and 8x8; the proportions differ") in table.scan.problems


def test_side_by_side(root: Path) -> None:
    left, right = noise(0), noise(1)
    save(root / "train" / "1.png", np.concatenate([left, right], 1))
    save(root / "train" / "2.png", np.concatenate([right, left], 1))
    save(root / "train" / "3.png", np.concatenate([left, right], 1))
    save(root / "val" / "4.png", np.concatenate([noise(3), noise(4)], 1))
    table = pairs(root, layout="side-by-side")
    assert len(table) == 2 and table.scan.counts == {"usable": 2, "duplicate": 1}
    got = table.examples([0])
    assert torch.equal(got["source"][0], signal(left)) and torch.equal(got["x"][0], signal(right))
    back = pairs(root, layout="side-by-side", direction="b-to-a", source_channels=1)
    assert torch.equal(back.column("x", [0])[0], signal(left)) and back.columns["source"].shape == (1, 8, 8)
    rows = list(back.scan.rows())
    assert (rows[0]["width"], rows[0]["height"]) == ("16", "8")


def test_side_by_side_jpegs_are_decoded_at_the_requested_size(root: Path) -> None:
    whole = np.zeros((64, 128, 3), np.uint8)
    whole[:, :64], whole[:, 64:] = 30, 220
    save(root / "1.jpg", whole)
    table = pairs(root, layout="side-by-side", size=8)
    got = table.examples([0])
    assert table.shape == (3, 8, 8)
    assert float(got["source"].max()) < -0.6 and float(got["x"].min()) > 0.6


def test_a_list_of_pairs(root: Path) -> None:
    for i in range(3):
        save(root / "in" / f"s{i}.png", noise(i))
        save(root / "out" / f"t{i}.png", noise(10 + i))
    (root / "list.csv").write_text(
        "Label;source;target\nred;in/s0.png;out/t1.png\nblue;in\\s1.png;out/t0.png\nred;in/s0.png;out/t2.png\n"
        "red;in/no.png;out/t2.png\n"
    )
    table = pairs(root, pairs="list.csv")
    assert len(table) == 3 and (table.labels, table.targets.tolist()) == (["blue", "red"], [1, 0, 1])
    got = table.examples([0, 2])
    assert torch.equal(got["source"][0], got["source"][1]) and torch.equal(got["x"][1], signal(noise(12)))
    assert ("in/no.png", "missing", "line 5 of the list") in table.scan.problems
    assert ("in/s2.png", "no partner", "not in the list, or its partner is missing") in table.scan.problems
    back = pairs(root, pairs=root / "list.csv", direction="b-to-a", labels="none")
    assert torch.equal(back.column("x", [0])[0], signal(noise(0))) and back.labels == []
    (root / "in" / "list.csv").write_text("source,target\ns0.png,../out/t0.png\ns1.png,../../outside.png\n")
    save(root.parent / "outside.png", noise(5))
    table = pairs(root, pairs="in/list.csv")
    assert len(table) == 1 and table.labels == [] and table.scan.counts["missing"] == 1


def test_labels_are_the_folders_of_the_targets_or_a_list(root: Path) -> None:
    for i, name in enumerate(["cat/1", "cat/2", "dog/3"]):
        save(root / "a" / f"{name}.png", noise(i))
        save(root / "b" / f"{name}.png", noise(9 + i))
    table = pairs(root)
    assert (table.labels, table.class_counts) == (["cat", "dog"], [2, 1])
    (root / "labels.csv").write_text("path,label\ncat/1.png,old\ndog/3.png,new\n")
    table = pairs(root, labels=root / "labels.csv")
    assert (table.labels, table.class_counts, table.scan.counts["no label"]) == (["new", "old"], [1, 1], 2)


def test_transparency_is_white_on_both_sides(root: Path) -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    save(root / "a" / "1.png", clear)
    save(root / "b" / "1.png", clear)
    got = pairs(root, size=8).examples([0])
    assert bool((got["source"] == 1).all()) and bool((got["x"] == 1).all())


def test_the_cache_is_used_again_and_follows_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(3):
        save(root / "a" / f"{i}.png", noise(i))
        save(root / "b" / f"{i}.png", noise(9 + i))
    first = pairs(root)
    with monkeypatch.context() as patch:
        patch.setattr("audiogan.data.images.pair_scan.build_images", lambda *_: pytest.fail("decoded again"))
        assert torch.equal(pairs(root).signals([0, 1, 2]), first.signals([0, 1, 2]))
    save(root / "b" / "1.png", noise(77))
    assert torch.equal(pairs(root).column("x", [1])[0], signal(noise(77)))
    assert len(list((root.parent / "cache").iterdir())) == 1


def test_without_a_folder_there_are_drawn_figures() -> None:
    table = open_pairs(size=16, source_channels=3, mirror=True)
    assert list(table.columns) == ["source", "x"] and len(table) == 2000
    assert table.columns["source"].shape == table.shape == (3, 16, 16)
    table = open_domains(size=16)
    assert len(table.labels) == 2 and "source" not in table.columns


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"layout": "grid"}, "data.layout='grid': choose one of folders, side-by-side"),
        ({"direction": "back"}, "data.direction='back': choose one of a-to-b, b-to-a"),
        ({"a": "a"}, "data.a and data.b must be set together"),
        ({"a": "a", "b": "c"}, "data.b=c: there is no such folder"),
        ({"a": "a", "b": "a"}, "data.a and data.b are the same folder"),
        ({"size": 3}, "data.size=3"),
        ({"source_channels": 2}, "data.source_channels=2"),
        ({"links": "all"}, "data.links='all'"),
        ({"pairs": "no.csv"}, "data.pairs=no.csv: no such file"),
        ({"pairs": "bad.csv"}, "data.pairs=bad.csv: the first line must name the columns source and target"),
        ({"pairs": "gap.csv"}, "data.pairs=gap.csv, line 2: source or target is empty"),
        ({"pairs": "none.csv"}, "data.pairs=none.csv: no row names a pair; add one row per pair"),
        ({"pairs": "gap.csv", "labels": "folders"}, "data.labels=folders: with data.pairs choose auto or none"),
        ({}, "no usable pair in"),
    ],
)
def test_bad_settings(root: Path, settings: dict, said: str) -> None:
    save(root / "a" / "1.png", noise(0))
    save(root / "b" / "2.png", noise(0))
    (root / "bad.csv").write_text("path,label\n1,2\n")
    (root / "gap.csv").write_text("source,target\na/1.png,\n")
    (root / "none.csv").write_text("source,target\n")
    with pytest.raises(UserError) as error:
        pairs(root, **settings)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_no_folder_and_no_pair_are_one_clear_line(root: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        pairs(root / "no")
    with pytest.raises(UserError, match=r"data\.a=x needs data\.root=FOLDER"):
        open_pairs(a="x", b="y")
    save(root / "a" / "1.png", noise(0))
    save(root / "b" / "2.png", noise(0))
    with pytest.raises(UserError, match=r"2 no partner; for example a/1\.png: no partner, no file of this name in b"):
        pairs(root)


def test_empty_folders_are_one_clear_line(root: Path) -> None:
    (root / "a").mkdir()
    (root / "b").mkdir()
    with pytest.raises(UserError, match=r"no usable pair in .*: the folders are empty"):
        pairs(root)


def test_a_listed_file_that_cannot_be_read_is_counted_once(root: Path) -> None:
    for i in range(3):
        save(root / f"{i}.png", noise(i))
    (root / "photo.heic").write_bytes(b"x")
    (root / "list.csv").write_text("source,target\n0.png,1.png\n2.png,photo.heic\n")
    found = pairs(root, pairs="list.csv").scan
    assert found.counts == {"usable": 2, "unreadable": 1, "partner unusable": 1, "not an image": 1}


def test_two_folders_are_two_domains(root: Path) -> None:
    for i in range(3):
        save(root / "apples" / f"{i}.png", noise(i))
        save(root / "tomatoes" / f"{i}.png", noise(9 + i))
    table = domains(root)
    assert (table.labels, table.class_counts) == (["apples", "tomatoes"], [3, 3]) and list(table.columns) == [
        "x",
        "label",
    ]
    other = domains(root, a="tomatoes", b="apples", mirror=True)
    assert other.labels == ["tomatoes", "apples"]
    assert torch.equal(other.signals(other.targets == 0), table.signals(table.targets == 1))


def test_test_folders_are_no_domains(root: Path) -> None:
    for i, part in enumerate(["testA", "testB", "trainA", "trainB"]):
        save(root / part / "1.png", noise(i))
    save(root / "trainA" / "2.png", noise(0))  # as in testA
    table = domains(root)
    assert (table.labels, table.class_counts) == (["trainA", "trainB"], [2, 1])


def test_other_numbers_of_domains_are_errors(root: Path) -> None:
    save(root / "one" / "1.png", noise(0))
    with pytest.raises(UserError, match="needs two folders of images, found 1: one"):
        domains(root)
    save(root / "three" / "1.png", noise(1))
    (root / "two").mkdir()
    (root / "two" / "1.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"found 3: one, three, two; set data\.a, data\.b"):
        domains(root)
    assert domains(root, a="three", b="one").labels == ["three", "one"]
    with pytest.raises(UserError, match=r"no usable image in .*two: 1 unreadable"):
        domains(root, a="one", b="two")
    for bad, said in (({"a": "one"}, "must be set together"), ({"a": "one", "b": "six"}, "data.b=six: no folder")):
        with pytest.raises(UserError, match=said):
            domains(root, **bad)


def test_parts_of_a_data_set_are_no_domains(root: Path) -> None:
    for part in ("train", "test"):
        save(root / part / "apples" / "1.png", noise(len(part)))
    with pytest.raises(UserError, match="test and train are parts of a data set, not domains"):
        domains(root)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the pictures of shared/data")
def test_real_pairs_and_domains(tmp_path: Path) -> None:
    table = open_pairs(SHARED / "openmoji_64", a="black", b="color", size=16, cache=tmp_path, progress=False)
    assert len(table) == 1626 and table.scan.counts == {"usable": 3252, "duplicate": 54}
    relief = open_pairs(SHARED / "paired_bluemarble_etopo", size=16, cache=tmp_path, progress=False)
    assert len(relief) == 254
    fruit = open_domains(SHARED / "unpaired_apple_tomato", size=16, cache=tmp_path, progress=False)
    assert (fruit.labels, fruit.class_counts) == (["trainA", "trainB"], [240, 240])
