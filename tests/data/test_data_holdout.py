"""Tests of the choice of held-out clips: whole files if there are many, and the requested fraction for long
recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiogan.data.measures import KnobValues
from audiogan.data.sounds.folder import open_audio_folder
from audiogan.data.table import Table

LENGTH = 400


def folder(root: Path, **classes: list[int]) -> Table:
    """Create a data set in which the files of each class give the listed numbers of clips."""
    for label, counts in classes.items():
        (root / label).mkdir(parents=True)
        for i, count in enumerate(counts):
            rng = np.random.default_rng([ord(label[0]), i])
            sf.write(root / label / f"{i:03}.wav", rng.uniform(-0.5, 0.5, LENGTH * count), 16_000)
    data = open_audio_folder(root, length=LENGTH, long="slice", labels="folders", progress=False)
    assert data.class_counts == [sum(counts) for _, counts in sorted(classes.items())]
    return data


def files_of(data: Table) -> np.ndarray:
    """Return the index of the file of each clip."""
    index = np.load(data.scan.folder / "index.npy")
    return index["file"][data.rows]


def by_files(data: Table, fraction: float, seed: int) -> np.ndarray:
    """Return whether each clip would be held out if no recording were divided."""
    rng = np.random.default_rng(seed)
    files, first = np.unique(files_of(data), return_index=True)
    label_of = data.targets[first]
    parts = (files[label_of == label] for label in np.unique(label_of))
    held = [rng.permutation(members)[: round(fraction * len(members))] for members in parts]
    return np.isin(files_of(data), np.concatenate(held))


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize(
    "classes",
    [
        {"kick": [1] * 30, "snare": [1] * 17},
        {"kick": [1] * 3, "snare": [1] * 2},
        {"kick": [5] * 40, "snare": [3] * 30},
        {"kick": [2, 3, 4, 2, 3, 4, 2, 3, 4, 3] * 4},
    ],
)
def test_the_same_files_as_ever_where_that_works(
    tmp_path: Path, classes: dict[str, list[int]], fraction: float
) -> None:
    data = folder(tmp_path, **classes)
    for seed in (0, 3):
        train, held = data.split(fraction, seed)
        want = by_files(data, fraction, seed)
        assert np.array_equal(train.rows, data.rows[~want]) and np.array_equal(held.rows, data.rows[want])
        assert "last clips" not in train.source


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize(
    "classes",
    [
        {"kick": [1, 1, 104], "hat": [1, 1], "snare": [1, 1]},
        {"one": [60]},
        {"kick": [50], "snare": [50]},
        {"kick": [40, 1, 1, 1, 1, 1, 1], "snare": [1] * 12, "tom": [70, 80]},
    ],
)
def test_long_recordings_are_cut_to_the_share_asked_for(
    tmp_path: Path, classes: dict[str, list[int]], fraction: float
) -> None:
    data = folder(tmp_path, **classes)
    for seed in range(3):
        train, held = data.split(fraction, seed)
        assert np.array_equal(np.sort(np.concatenate([train.rows, held.rows])), data.rows)
        smaller = min(fraction, 1 - fraction) * len(data)
        assert abs(len(held) - fraction * len(data)) <= smaller / 2
        # The held-out clips of a divided recording are its last ones.
        for file in set(files_of(train)) & set(files_of(held)):
            mine = [part.rows[files_of(part) == file] for part in (train, held)]
            assert mine[0].max() < mine[1].min()
            assert "the last clips of" in train.source


def test_why_nothing_is_held_out_is_said(tmp_path: Path) -> None:
    data = folder(tmp_path, **{f"{c}lass": [1, 1] for c in "abcdefghijkl"})
    train, held = data.split(0.1)
    assert len(held) == 0 and "no class has enough files to hold out 0.1 of them" in train.source
    assert "no class" not in data.split(0.0)[0].source and "no class" not in data.source


def test_what_is_measured_beside_the_clips_is_split_in_the_same_way(tmp_path: Path) -> None:
    data = folder(tmp_path, kick=[1, 1, 30], hat=[1, 1])
    train, held = data.with_column("knobs", KnobValues(["brightness"], progress=False)).split(0.25)
    assert [len(train), len(held)] == [len(part) for part in data.split(0.25)]


def test_a_view_with_repeated_clips_keeps_copies_together(tmp_path: Path) -> None:
    data = folder(tmp_path, kick=[1] * 4)
    repeated = data.take(np.repeat(np.arange(4), [20, 1, 1, 1]))
    train, held = repeated.split(0.25)
    assert not set(train.rows) & set(held.rows)
