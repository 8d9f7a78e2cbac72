"""Tests of columns of measured values: they equal the values of each sound, and are measured once and cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

from audiogan.data.measures import KnobValues, PitchTrack
from audiogan.data.sounds.folder import open_audio_folder
from audiogan.data.sounds.knobs import measure_knobs
from audiogan.data.sounds.pitch import measure_pitch
from audiogan.data.table import Table
from audiogan.data.toys.drum_machine import drum_machine
from audiogan.data.toys.points import open_points
from audiogan.errors import UserError
from audiogan.inputs import Knobs

RATE = 16_000
NAMES = ["decay", "brightness"]


@pytest.fixture(scope="module")
def machine() -> Table:
    return drum_machine(110, length=4096).with_column("knobs", KnobValues(NAMES))


def sounds(root: Path, count: int = 24) -> Path:
    rng = np.random.default_rng(0)
    for i in range(count):
        (root / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        wave = rng.standard_normal(1600) * np.exp(-np.arange(1600) / rng.integers(50, 900))
        sf.write(root / "ab"[i % 2] / f"{i:02}.wav", wave / 10, RATE)
    return root


def test_knobs_are_those_of_the_sounds(machine: Table) -> None:
    column = machine.columns["knobs"]
    assert column.names == ("decay", "brightness") and column.shape == (2,)
    values = measure_knobs(machine.signals(slice(None)).numpy(), RATE, NAMES)
    assert np.array_equal(column.values(machine.rows), values)
    batch = machine.batch(np.array([5, 0, 5, 99]), np.random.default_rng(0))
    assert set(batch) == {"x", "label", "knobs"}
    assert batch["knobs"].dtype == torch.float32 and np.array_equal(batch["knobs"], values[[5, 0, 5, 99]])
    batch["knobs"].zero_()  # A batch is a copy.
    assert machine.column("knobs", [5]).abs().min() > 0


def test_networks_see_scores_among_the_training_sounds(machine: Table) -> None:
    train, held = machine.split(0.3, seed=7)
    facts = Knobs.data_facts(train)
    knobs = Knobs(scale=facts["scale"])
    for part in (train, held):
        want = knobs.scale.to_normal_scores(measure_knobs(part.signals(slice(None)).numpy(), RATE, NAMES))
        assert np.array_equal(knobs.prepare_table(part).column("knobs", slice(None)).numpy(), want)
    assert facts["size"] == 2 and knobs.names == ("decay", "brightness")


def test_nothing_is_measured_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiogan.data.measures.measure_knobs", lambda *_: pytest.fail("measured"))
    table = drum_machine(22, length=512).with_column("knobs", KnobValues(["attack"]))
    parts = [*table.split(0.5), table.take([3])]
    assert [part.signals([0]).shape for part in parts] == [(1, 1, 512)] * 3


@pytest.mark.parametrize("part", ["whole", "some"])
def test_folders_keep_the_result_in_their_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    root, home = sounds(tmp_path / "s"), tmp_path / "cache"

    def opened() -> Table:
        table = open_audio_folder(root, cache=home, length=1600, progress=False)
        table = table if part == "whole" else table.take([5, 3, 8])
        return table.with_column("knobs", KnobValues(["attack"])).with_column("pitch", PitchTrack(256))

    first = opened().examples(slice(None))
    assert np.array_equal(first["knobs"], measure_knobs(first["x"].numpy(), RATE, ["attack"]))
    with monkeypatch.context() as m:
        for name in ("measure_knobs", "measure_pitch"):
            m.setattr(f"audiogan.data.measures.{name}", lambda *_: pytest.fail("measured again"))
        again = opened().examples(slice(None))
        assert all(torch.equal(again[name].nan_to_num(), first[name].nan_to_num()) for name in first)
        with pytest.raises(pytest.fail.Exception, match="measured again"):
            open_audio_folder(root, cache=home, length=1600).with_column("knobs", KnobValues(["decay"])).examples([0])
    before = len(list(home.iterdir()))
    sounds(root, 25)  # With another file, the cached values are outdated and removed.
    assert len(opened().examples(slice(None))["knobs"]) == (25 if part == "whole" else 3)
    assert len(list(home.iterdir())) == before


def test_a_damaged_cache_is_measured_again(tmp_path: Path) -> None:
    root, home = sounds(tmp_path / "s"), tmp_path / "cache"

    def values() -> np.ndarray:
        table = open_audio_folder(root, cache=home, length=1600, progress=False)
        return table.with_column("knobs", KnobValues(["attack"])).column("knobs", slice(None)).numpy()

    want = values()
    (path,) = home.glob("*/values.npy")
    path.write_bytes(b"\0" * path.stat().st_size)
    assert np.array_equal(values(), want)


def test_pitch(tiny_sounds: Path) -> None:
    table = open_audio_folder(tiny_sounds, length=2000, progress=False).with_column("pitch", PitchTrack(256))
    assert table.columns["pitch"].shape == (9,)
    want = measure_pitch(table.signals([3, 1]).numpy(), RATE, 256)
    assert np.array_equal(table.column("pitch", [3, 1]).numpy(), want, equal_nan=True)


def test_views_have_the_values_of_their_rows(machine: Table) -> None:
    view = machine.take([8, 2, 30])
    assert torch.equal(view.column("knobs", slice(None)), machine.column("knobs", [8, 2, 30]))
    some = drum_machine(110, length=4096).take([8, 2, 30, 8]).with_column("knobs", KnobValues(NAMES))
    assert torch.equal(some.column("knobs", [1, 0, 3]), machine.column("knobs", [2, 8, 8]))
    with pytest.raises(ValueError, match="knobs: some rows are not in the table"):
        some.columns["knobs"].values(np.array([9]))


@pytest.mark.parametrize("names", [[], None])
def test_no_names_no_column(names: Any) -> None:
    assert KnobValues(names)(open_points(count=10)) is None


def test_data_that_have_no_such_values() -> None:
    with pytest.raises(UserError, match="no knob 'size'; there are brightness"):
        KnobValues(["size"])(drum_machine(11))
    with pytest.raises(UserError, match="knobs attack are measured on sounds, but this is other data: 10 points"):
        KnobValues(["attack"])(open_points(count=10))
