"""Tests of untrusted kits: limits on the content of kit.json, and on the paths of written files."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from audiogan import Generator, UserError
from audiogan.kits import Kit, Pad, save_kit


def _named(kit: Kit, *names: str, model: str = "drums") -> Kit:
    """Return a kit of the first pads with other names."""
    pads = [Pad(name, pad.note, pad.layers[:1]) for name, pad in zip(names, kit.pads, strict=False)]
    return Kit(tuple(pads), model)


@pytest.mark.parametrize("name", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0"])
def test_no_cell_of_the_table_is_a_formula(drums: Generator, kit: Kit, tmp_path: Path, name: str) -> None:
    save_kit(drums, _named(kit, name, "kick"), tmp_path, "wav")
    with open(tmp_path / "map.csv", newline="", encoding="utf-8") as stream:
        pads = [row["pad"] for row in csv.DictReader(stream)]
    assert pads == [f"'{name}", "kick"]


@pytest.mark.parametrize("model", ["a\x1b[2Jb\0", "\udcff.ckpt", "\ufffe", "<&>\"'"])
def test_any_name_of_a_model_gives_well_formed_kits(drums: Generator, kit: Kit, tmp_path: Path, model: str) -> None:
    import tarfile

    [*_, archive] = save_kit(drums, _named(kit, "kick", model=model), tmp_path, "hydrogen", name="x")
    with tarfile.open(archive) as opened:
        member = opened.extractfile("x/drumkit.xml")
        assert member is not None
        ET.fromstring(member.read())


def _recipe(content: Any) -> dict[str, Any]:
    first: dict[str, Any] = content["pads"][0]["layers"][0]
    return first


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda c: c.update(pads=c["pads"] * 100), "at most 128"),
        (lambda c: c.update(model="x" * 5000), "at most 4096"),
        (lambda c: _recipe(c).update(classes={f"c{i}": 1 for i in range(2000)}), "more than 1000 classes"),
        (lambda c: _recipe(c).update(knobs={f"k{i}": 1 for i in range(200)}), "100 knobs"),
    ],
)
def test_what_is_too_much_is_refused_in_a_line(kit: Kit, spoil: Any, says: str) -> None:
    content = json.loads(kit.to_json())
    spoil(content)
    with pytest.raises(UserError, match=says) as error:
        Kit.from_json(json.dumps(content))
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_many_pads_are_counted_quickly(kit: Kit) -> None:
    """Pads are not compared pairwise, which would take minutes for 100,000 pads."""
    pads = tuple(replace(kit.pads[0], name=str(i)) for i in range(100_000))
    with pytest.raises(ValueError, match="more than one pad"):
        Kit(pads, "drums")


@pytest.mark.parametrize("format", ["sfz", "decent"])
def test_a_link_in_the_folder_leads_nowhere_else(drums: Generator, kit: Kit, tmp_path: Path, format: str) -> None:
    small, out, mine = _named(kit, "kick"), tmp_path / "out", tmp_path / "mine"
    out.mkdir()
    mine.mkdir()
    (out / "kit.json").write_text(small.to_json())
    for name in {"samples", "Samples"}:
        (out / name).symlink_to(mine)
    before = sorted(out.iterdir())
    with pytest.raises(UserError, match="a link to another folder"):
        save_kit(drums, small, out, format)
    assert not list(mine.iterdir()) and sorted(out.iterdir()) == before
