"""Tests that class names of earlier versions work in configurations and stored models."""

from __future__ import annotations

import json
import zipfile
from typing import Any

import pytest

from audiogan.run.model_files import ABOUT, shipped_models
from audiogan.run.targets import MOVED, check_targets, find_targets, resolve_target, update_targets

PLACES = {
    "games.Sampling": "game._target_",
    "points.Points": "data._target_",
    ".open_": "data._target_",
    ".augment.": "game.augment._target_",
}
PLACES |= dict.fromkeys(("callbacks.MetricsLog", "callbacks.Previews"), "callbacks.log._target_")


def stored(name: str) -> dict[str, Any]:
    with zipfile.ZipFile(shipped_models()[name]) as archive:
        return json.loads(archive.read(ABOUT))["config"]


@pytest.mark.parametrize("name", shipped_models())
def test_the_targets_of_shipped_models_resolve(name: str) -> None:
    config = stored(name)
    check_targets(config)
    found = dict(find_targets(config))
    assert found["game._target_"] in ("audiogan.games.Sampling", "audiogan.games.Generative")
    for key, target in found.items():
        assert resolve_target(target, key) is resolve_target(MOVED.get(target, target), key)


@pytest.mark.parametrize("old", MOVED)
def test_each_moved_name_resolves(old: str) -> None:
    key = next(key for end, key in PLACES.items() if end in old)
    assert resolve_target(old, key) is resolve_target(MOVED[old], key)
    assert MOVED[old] not in MOVED  # no chains


def test_present_names() -> None:
    plain = {"game": {"_target_": "audiogan.games.Sampling", "a": [{"_target_": "audiogan.data.points.Points"}, 5]}}
    assert update_targets(plain) == {
        "game": {"_target_": "audiogan.games.Generative", "a": [{"_target_": "audiogan.data.open_points"}, 5]}
    }
    assert plain["game"]["_target_"] == "audiogan.games.Sampling"
    odd = {"_target_": ["audiogan.games.Sampling"], "name": "audiogan.games.Sampling", "x": None}
    assert update_targets(odd) == odd
