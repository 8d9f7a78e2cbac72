"""Tests of the choice of held-out examples: the same rows as in earlier versions, and undivided groups."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from audiogan.data.columns import Labels, Signals, Texts, Values
from audiogan.data.images.folder import image_table
from audiogan.data.table import Table
from audiogan.data.toys.drum_machine import drum_machine
from audiogan.data.toys.points import open_points
from audiogan.errors import UserError
from audiogan.modalities import Image

CHOICES = ((0.1, 0), (0.25, 3), (0.9, 1))


def digest(rows: np.ndarray) -> str:
    return hashlib.sha256(np.asarray(rows, "<i8").tobytes()).hexdigest()[:12]


def recorded(counts: Any, classes: Any) -> Table:
    """Return a table like that of a folder: ``counts`` clips of each recording, with the given classes."""
    strata, recordings = np.repeat(classes, counts), np.repeat(np.arange(len(counts)), counts)
    columns = {"x": Signals(np.zeros((len(strata), 1), np.float32))}
    return Table(columns, len(strata), strata=strata, recordings=recordings)


def recordings() -> dict[str, tuple[Any, Any]]:
    rng = np.random.default_rng(0)
    return {
        "single": (np.ones(200, int), rng.integers(0, 3, 200)),
        "slices": (rng.integers(1, 9, 80), rng.integers(0, 3, 80)),
        "long": ([400, 3, 2, 5, 1, 1, 300, 200, 2, 4], [0, 0, 0, 0, 0, 1, 1, 2, 2, 2]),
        "few": ([40, 35, 38], [0, 0, 0]),
        "unlabelled": (rng.integers(1, 5, 60), np.full(60, -1)),
        "one": ([9], [0]),
    }


# Digests of the held-out rows in version 0.1, for each entry of CHOICES and for a fifth of a random half.
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("single", ["ad9beb60e2fd", "49ad454cf7eb", "7243e54c654d", "89e1453dba69"]),
        ("slices", ["81a81842d44f", "21a59c784dab", "b142ab16f684", "20ad84ea7ca3"]),
        ("long", ["83ce3f70af4f", "05bfe57dac44", "7a8c302f8224", "d531b6dfec82"]),
        ("few", ["d1c162c19a55", "4fab9e47bb0c", "296c81b55b83", "164ccb3a8e61"]),
        ("unlabelled", ["87327d3cd09d", "0cd1dffa8e58", "66b6e0fe7bff", "bfcf54974b91"]),
        ("one", ["6cc16abd70ee", "1f281a4e0796", "808ae425ef16", "f0a0278e4372"]),
    ],
)
def test_folders_of_sounds_keep_their_split(name: str, rows: list[str]) -> None:
    table = recorded(*recordings()[name])
    half = table.take(np.random.default_rng(5).permutation(len(table))[: len(table) // 2])
    parts = [*(table.split(*choice) for choice in CHOICES), half.split(0.2, 2)]
    assert [digest(held.rows) for _, held in parts] == rows
    for (train, held), whole in zip(parts, (table, table, table, half), strict=True):
        assert np.array_equal(np.sort([*train.rows, *held.rows]), np.sort(whole.rows))
    if name == "long":
        assert parts[0][0].note == "held out: the last clips of 3 long recordings, 90 in total"
        assert parts[0][1].note == table.note == ""


def test_images_points_and_drums_keep_their_split() -> None:
    pixels, targets = np.zeros((300, 1, 2, 2), np.uint8), np.random.default_rng(1).integers(0, 4, 300)
    none = np.empty(0, np.int64)
    points = ["331dd8df5dc6", "ac30e90f3bfa", "dbaca18744d2"]
    drums = ["45e82a0dce87", "25c3af621c73", "15bcc92de269"]
    machine = drum_machine(300, length=256)
    for table, want in (
        (image_table(pixels, targets, list("abcd")), ["c8747d36cebc", "0092412cff0d", "205508f50e0d"]),
        (image_table(pixels, none), ["43e4c488cdd0", "d3eaba5cc210", "09bdf2134c81"]),
        (open_points("grid", count=500), points),
        (open_points("grid", count=500, labels="modes"), points),
        (machine, drums),
        (machine.drop_column("label"), drums),
    ):
        assert [digest(table.split(*choice)[1].rows) for choice in CHOICES] == want, table.source
    again = image_table(pixels, targets, list("abcd")).split(0.5)[0].split(0.3, 7)[1]
    assert digest(again.rows) == "e398dbce25f4"


def spoken(speakers: int = 20, words: int = 10) -> Table:
    """Return a table in which each speaker says each word once. Speaker k has k additional clips of the first word."""
    speaker = np.concatenate(
        [np.repeat(np.arange(speakers), words), np.repeat(np.arange(speakers), np.arange(speakers))]
    )
    word = np.concatenate([np.tile(np.arange(words), speakers), np.zeros(len(speaker) - speakers * words, int)])
    columns = {
        "x": Signals(np.zeros((len(word), 1), np.float32), Image()),
        "label": Labels(word, [str(i) for i in range(words)]),
        "speaker": Labels(speaker, [f"s{i}" for i in range(speakers)]),
        "name": Texts.from_strings([f"s{i}" for i in speaker]),
        "age": Values(speaker[:, None].astype(np.float32)),
    }
    return Table(columns, len(word))


@pytest.mark.parametrize("groups", ["speaker", "name", "age"])
@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
def test_groups_do_not_stand_on_both_sides(groups: str, fraction: float) -> None:
    table = spoken()
    train, held = table.split(fraction, 2, groups=groups)
    sides = [{str(v) for v in part.column("speaker", slice(None)).tolist()} for part in (train, held)]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 20
    assert abs(len(held) - fraction * len(table)) < 20
    assert np.array_equal(table.split(fraction, 2, groups=groups)[1].rows, held.rows)
    assert not np.array_equal(table.split(fraction, 3, groups=groups)[1].rows, held.rows)


def test_groups_of_one_class_are_held_out_class_by_class() -> None:
    kit, label = np.repeat(np.arange(40), 5), np.repeat(np.arange(40) % 2, 5)
    label[kit < 30] = 0
    columns = {"x": Signals(np.zeros((200, 1))), "label": Labels(label, "ab"), "kit": Labels(kit, [""] * 40)}
    table = Table(columns, 200)
    train, held = table.split(0.2, groups="kit")
    assert held.class_counts == [35, 5] and train.class_counts == [140, 20]


def test_groups_and_recordings_both_stay_together() -> None:
    speaker, recording = np.repeat(np.arange(12), 6), np.arange(72) // 4  # A recording may have two speakers.
    columns = {"x": Signals(np.zeros((72, 1))), "speaker": Labels(speaker, [""] * 12)}
    table = Table(columns, 72, recordings=recording)
    train, held = table.split(0.4, groups="speaker")
    assert 0 < len(held) < 72
    for of in (speaker, recording):
        assert not set(of[train.rows]) & set(of[held.rows])


def test_columns_that_make_no_groups() -> None:
    with pytest.raises(UserError, match="no column 'kit'; it has x, label, speaker"):
        spoken().split(0.1, groups="kit")
    with pytest.raises(UserError, match="'x' contains signals"):
        spoken().split(0.1, groups="x")
    one = Table({"x": Signals(np.zeros((50, 1))), "kit": Labels(np.zeros(50, int), ["a"])}, 50)
    train, held = one.split(0.1, groups="kit")
    assert len(held) == 0 and train.note == "no group is small enough to hold out 0.1 of the examples"


def test_an_empty_table_splits() -> None:
    assert [len(part) for part in spoken().take([]).split(0.5)] == [0, 0]
    assert [len(part) for part in spoken().take([]).split(0.5, groups="speaker")] == [0, 0]
