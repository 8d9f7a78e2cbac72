"""Tests of the data settings for all sources of sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogan.data.sounds.sources import open_sounds
from audiogan.data.toys.drum_machine import CLASSES
from audiogan.errors import UserError
from audiogan.modalities.sound import Sound
from audiogan.run import config
from audiogan.run.training import open_data


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": "nope.csv"}, r"data\.labels=nope\.csv: .*drum machine.*data\.root=FOLDER"),
        ({"normalize": "loud"}, r"data\.normalize='loud': choose one of peak, none"),
        ({"long": "middle"}, r"data\.long='middle'"),
        ({"lead": -1}, r"data\.lead=-1"),
        ({"channel_mode": "left"}, r"data\.channel_mode='left'"),
        ({"links": "all"}, r"data\.links='all'"),
        ({"length": "long"}, r"data\.length='long'"),
        ({"min_seconds": None}, r"data\.min_seconds=None"),
        ({"smaple_rate": 8000}, r"data\.smaple_rate: there is no such setting; there are root, sets, sample_rate"),
        ({"sets": None}, r"data\.sets=None: choose from drums, sc09, fsdd"),
        ({"sets": [["drums"]]}, r"data\.sets="),
    ],
)
def test_the_drum_machine_ignores_no_setting(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_sounds(**settings)


@pytest.mark.parametrize("settings", [{"smaple_rate": 8000}, {"links": "all"}, {"long": "middle"}])
def test_a_folder_ignores_no_setting(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"data\.(smaple_rate|links|long)"):
        open_sounds(tmp_path, **settings)


def test_the_drum_machine_applies_what_concerns_it() -> None:
    plain = open_sounds(length=512)
    assert plain.labels == list(CLASSES) and plain.modality == Sound(16_000, "peak")
    bare = open_sounds(length=512, normalize="none", labels="none", trim=True, long="slice", links="follow")
    assert bare.labels == [] and bare.modality == Sound(16_000, "none")
    assert np.array_equal(bare.signals(np.arange(3)), plain.signals(np.arange(3)))
    assert open_sounds(length=512, labels="folders").labels == plain.labels
    assert open_sounds(length=512, labels=None).labels == []


def test_the_shipped_configurations_open_the_drum_machine() -> None:
    data, held_out = open_data(config.compose("drums", ["data.length=512", "data.normalize=none"]))
    assert data.modality == Sound(16_000, "none") and len(held_out) > 0
    with pytest.raises(UserError, match=r"data\.labels=nope\.csv"):
        open_data(config.compose("drums", ["data.labels=nope.csv"]))


@pytest.mark.parametrize("root", ["", "~nobody-here/sounds"])
def test_roots_that_are_no_folder(root: str) -> None:
    with pytest.raises(UserError, match=r"data\.root"):
        open_sounds(root)
