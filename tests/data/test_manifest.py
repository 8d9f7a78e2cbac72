"""Velocity is read from the manifest of a data folder, and games can mask examples without a value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audiogan.data.measures import KnobValues
from audiogan.data.sounds.folder import open_audio_folder
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.inputs import Knobs
from audiogan.modalities import Sound

FILES = {"kick/a.wav": "0.2", "kick/b.wav": "", "snare/c.wav": "0.9", "snare/d.wav": "0.5"}


def folder(tmp_path: Path, header: str = "path,label,velocity", cell: str | None = None) -> Table:
    root, rng = tmp_path / "kit", np.random.default_rng(0)
    lines = [header]
    for name, value in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Sound(16000).save(str(root / name), rng.uniform(-1, 1, (1, 3000)).astype(np.float32))
        lines.append(f"kit/{name},{name.split('/')[0]},{value if cell is None else cell}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return open_audio_folder(root, length=2048, cache=tmp_path / "cache", progress=False)


def test_velocity_stands_beside_measured_knobs(tmp_path: Path) -> None:
    table = folder(tmp_path)
    column = KnobValues(["brightness", "velocity"], progress=False)(table)
    assert column is not None and column.names == ("brightness", "velocity")
    values = column.values(table.rows)
    assert np.isfinite(values[:, 0]).all()
    np.testing.assert_allclose(values[:, 1], [0.2, np.nan, 0.9, 0.5], rtol=1e-6)
    part = table.take([2, 3])
    np.testing.assert_allclose(column.values(part.rows)[:, 1], [0.9, 0.5], rtol=1e-6)


def test_without_values_velocity_is_left_out(tmp_path: Path) -> None:
    column = KnobValues(["brightness", "velocity"], progress=False)(folder(tmp_path, header="path,label,strength"))
    assert column is not None and column.names == ("brightness",)
    assert KnobValues(["velocity"], progress=False)(folder(tmp_path / "empty", cell="")) is None


def test_a_value_that_is_not_a_number(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest.csv, line 2: velocity='loud' is not a number"):
        KnobValues(["velocity"])(folder(tmp_path, cell="loud"))


def test_examples_without_a_value_are_masked(tmp_path: Path) -> None:
    table = folder(tmp_path)
    table = table.with_column("knobs", KnobValues(["brightness", "velocity"], progress=False))
    for missing, expected in (("mask", float("nan")), ("median", 0.0)):
        knobs = Knobs(scale=Knobs.data_facts(table)["scale"], missing=missing)
        prepared = knobs.prepare_table(table)
        knobs.fit(prepared)
        batch = prepared.examples([0, 1])
        assert batch["knobs"][1, 1].item() == pytest.approx(expected, nan_ok=True)
        assert knobs.from_batch(batch, None)[1, 1] == 0  # type: ignore[arg-type]
        assert torch.isfinite(knobs.examples).all()
    with pytest.raises(ValueError, match="missing='zero'"):
        Knobs(scale=Knobs.data_facts(table)["scale"], missing="zero")
