"""Tests of kits as JSON: exact conversion in both directions, and untrusted files that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from audiogan import UserError
from audiogan.kits import Kit
from audiogan.kits.kit import velocity_ranges


def test_kit_comes_back_exactly(kit: Kit) -> None:
    again = Kit.from_json(kit.to_json())
    assert again == kit and again.to_json() == kit.to_json()


def test_level_pan_and_tune_are_kept_and_may_be_missing(kit: Kit) -> None:
    moved = Kit((replace(kit.pads[0], level=-3, pan=0.25, tune=-7.5), *kit.pads[1:]), kit.model)
    assert Kit.from_json(moved.to_json()) == moved and moved != kit
    old = json.loads(kit.to_json())
    for pad in old["pads"]:
        assert [pad.pop(key) for key in ("level", "pan", "tune")] == [0, 0, 0]
    assert Kit.from_json(json.dumps(old)) == kit


def _name(text: str) -> Callable[[Any], None]:
    return lambda content: content["pads"][0].update(name=text)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda c: c.update(kit=2), "format 2"),
        (lambda c: c.pop("kit"), "'kit' is missing"),
        (lambda c: c.pop("model"), "'model' is missing"),
        (lambda c: c.update(model=["drums"]), "model"),
        (lambda c: c.update(pads=[]), "at least one pad"),
        (lambda c: c.update(pads=7), "not a kit"),
        (lambda c: c.update(pads=[*c["pads"], c["pads"][0]]), "more than one pad"),
        (lambda c: c["pads"][0].update(note=128), "note=128"),
        (lambda c: c["pads"][0].update(note=36.0), "note=36.0"),
        (lambda c: c["pads"][0].update(note=True), "note=True"),
        (lambda c: c["pads"][0].update(layers=[]), "0 layers"),
        (lambda c: c["pads"][0].update(layers=c["pads"][0]["layers"] * 9), "27 layers"),
        (lambda c: c["pads"][0]["layers"][0].update(latent="AADAfw=="), "finite"),
        (lambda c: c["pads"][0]["layers"][0].pop("latent"), "latent"),
        (lambda c: c["pads"][0].update(level=12.1), "level=12.1 must be from -24 to 12"),
        (lambda c: c["pads"][0].update(level=float("nan")), "level=nan"),
        (lambda c: c["pads"][0].update(pan="left"), "pan='left' must be from -1 to 1"),
        (lambda c: c["pads"][0].update(tune=True), "tune=True"),
        (lambda c: c["pads"][0].update(tune=[0]), "tune"),
        (_name(""), "printable"),
        (_name("a\nb"), "printable"),
        (_name("\ud800"), "printable"),
        (_name("x" * 101), "printable"),
    ],
)
def test_what_is_no_kit_is_refused_in_a_line(kit: Kit, spoil: Callable[[Any], None], says: str) -> None:
    content = json.loads(kit.to_json())
    spoil(content)
    with pytest.raises(UserError, match="not a kit of audiogan") as error:
        Kit.from_json(json.dumps(content))
    assert says in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"kit": NaN}', "[" * 100_000, b"\xff\xfe\x00", "7"])
def test_other_files_are_refused(text: str | bytes) -> None:
    with pytest.raises(UserError, match="not a kit of audiogan"):
        Kit.from_json(text)


@pytest.mark.parametrize("layers", range(1, 17))
def test_layers_tile_all_velocities(layers: int) -> None:
    borders = velocity_ranges(layers)
    assert [v for low, high in borders for v in range(low, high + 1)] == list(range(128))
    widths = [high - low for low, high in borders]
    assert max(widths) - min(widths) <= 1
