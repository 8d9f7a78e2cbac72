"""Tests of generated kits: their pads, the similarity of their sounds, and darker sounds for soft velocities."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import audiogan
from audiogan import Generator, Recipe, UserError
from audiogan.data.sounds.knobs import measure_knobs
from audiogan.features.embedding import LogMel, embed
from audiogan.kits import Kit, make_kit
from audiogan.kits.drums import FAMILIES, NOTES, assign_notes, drum_role, find_pad
from audiogan.kits.making import velocity_layers


def _labels(kit: Kit) -> dict[int, str]:
    return {pad.note: pad.layers[-1].label for pad in kit.pads}


def test_sixteen_pads_are_a_drum_kit(kit: Kit) -> None:
    assert _labels(kit) == {
        35: "kick", 36: "kick", 37: "rim", 38: "snare", 39: "clap", 40: "snare", 41: "tom", 42: "hat_closed",
        44: "hat_closed", 45: "tom", 46: "hat_open", 48: "tom", 49: "crash", 50: "tom", 51: "ride", 60: "perc",
    }  # fmt: skip
    assert len({pad.name for pad in kit.pads}) == 16
    assert all(len(pad.layers) == 3 for pad in kit.pads)


def test_same_seed_same_kit_and_smaller_kits_are_parts_of_it(drums: Generator, kit: Kit) -> None:
    assert make_kit(drums, 16, seed=7, layers=3) == kit
    assert make_kit(drums, 16, seed=8, layers=3) != kit
    whole = {pad.note: pad.layers[-1] for pad in kit.pads}
    few = make_kit(drums, 6, seed=7)
    assert {pad.note for pad in few.pads} == {36, 37, 38, 39, 42, 46}
    for pad in few.pads:
        assert pad.layers == (whole[pad.note],), pad.name


def test_without_a_seed_kits_are_new(drums: Generator) -> None:
    assert make_kit(drums, 1) != make_kit(drums, 1)


def test_chosen_classes_and_knobs(drums: Generator) -> None:
    kit = make_kit(drums, 8, seed=1, labels=["kick", "snare"], knobs={"decay": 0.25})
    assert _labels(kit) == {35: "kick", 36: "kick", 38: "snare", 40: "snare"} | {
        37: "kick", 39: "snare", 41: "kick", 42: "snare",
    }  # fmt: skip
    assert all(pad.layers[0].knobs["decay"] == pytest.approx(0.25) for pad in kit.pads)


def test_classes_that_are_no_drums_are_laid_out_chromatically() -> None:
    digits = audiogan.load("digits")
    kit = make_kit(digits, 12, seed=1)
    assert [pad.note for pad in kit.pads] == list(range(36, 48))
    assert [pad.layers[0].label for pad in kit.pads] == [digits.labels[i % 10] for i in range(12)]
    assert kit.pads[0].layers != kit.pads[10].layers


def test_composition_of_other_models() -> None:
    assert assign_notes([], 3) == [(36, "", "sound"), (37, "", "sound 2"), (38, "", "sound 3")]
    assert [note for note, _, _ in assign_notes([], 128)] == [*range(36, 128), *range(35, -1, -1)]
    mixed = assign_notes(["BD", "Laser_Zap", "conga", "bongo"], 4)
    assert mixed == [(36, "BD", "kick"), (60, "conga", "conga"), (61, "bongo", "bongo"), (37, "Laser_Zap", "Laser Zap")]
    every = assign_notes(
        ["kick", "snare", "hat_closed", "hat_open", "tom", "crash", "ride", "perc", "rim", "clap"], 128
    )
    assert sorted(note for note, _, _ in every) == list(range(128))
    assert len({name for _, _, name in every}) == 128
    assert assign_notes(["a\nb"], 1) == [(36, "a\nb", "a b")]


@pytest.mark.parametrize(
    ("label", "part"),
    {
        "hat_open": "open hat", "Open Hi-Hat": "open hat", "HiHat closed": "closed hat", "hh": "closed hat",
        "bass_drum": "kick", "Kick-808": "kick", "SD": "snare", "floor tom": "tom", "ride": "ride",
        "that": None, "seven": None, "": None, "stomach": None,
    }.items(),
)  # fmt: skip
def test_names_of_drums_are_understood(label: str, part: str | None) -> None:
    assert drum_role(label) == part


FULL: dict[int, str | None] = {
    36: "kick", 38: "snare", 42: "closed hat", 46: "open hat", 39: "clap", 37: "rim", 45: "tom", 48: "tom", 41: "tom",
    49: "crash", 51: "ride", 60: "perc", 44: "closed hat",
}  # fmt: skip
SMALL: dict[int, str | None] = {36: "kick", 38: "snare", 42: "closed hat", 45: "tom", 48: "tom", 49: "crash"}


@pytest.mark.parametrize(
    ("pads", "wanted"),
    [
        (SMALL, {35: 36, 40: 38, 37: 38, 44: 42, 46: 42, 50: 48, 41: 45, 51: 42, 57: 49, 63: 48, 39: 38, 70: 42}),
        (FULL, {22: 42, 26: 46, 58: 41, 43: 41, 53: 51, 52: 49, 28: 39, 31: 37, 82: 42, 54: 42, 33: 37, 61: 60}),
        # The tom with the most similar pitch is used.
        ({45: "tom", 48: "tom", 41: "tom"}, {60: 48, 64: 45, 86: 41, 87: 41, 58: 41}),
        ({36: "kick"}, {35: 36, 38: None, 42: None, 0: None, 41: None, 127: None}),
        ({36: "kick", 60: None, 61: None}, {38: 60, 99: 61, 35: 36}),  # Pads that are not drums are used last.
    ],
)
def test_notes_a_kit_lacks_are_played_by_a_similar_drum(
    pads: dict[int, str | None], wanted: dict[int, int | None]
) -> None:
    assert {note: find_pad(note, pads) for note in wanted} == wanted


def test_only_kick_notes_are_played_by_a_kick() -> None:
    for pads in (FULL, SMALL, {36: "kick", 35: "kick", 40: "crash"}):
        assert [note for note in range(128) if pads.get(find_pad(note, pads) or 0) == "kick"] == [35, 36]
    assert set(range(27, 88)) | {22, 26} == set(FAMILIES)  # all percussion notes of General MIDI 2
    assert set(range(35, 82)) == set(NOTES)  # all notes of General MIDI's percussion key map


def test_note_58_is_a_tom_except_in_files_that_select_general_midi() -> None:
    pads = {**FULL, 58: "perc"}
    assert find_pad(58, pads) == 41 and find_pad(58, pads, general_midi=True) == 58


def _residuals(drums: Generator, recipes: list[Recipe], means: dict[str, Any]) -> np.ndarray:
    """Return the embeddings of sounds minus the mean of their class, `[N, D]`."""
    features = embed(drums.render(recipes), LogMel(drums.sample_rate))
    return np.stack([f - means[r.label] for f, r in zip(features, recipes, strict=True)])


def _likeness(residuals: np.ndarray, labels: list[str]) -> float:
    """Return the mean cosine similarity of sounds of different classes."""
    unit = residuals / np.linalg.norm(residuals, axis=1, keepdims=True)
    apart = np.array(labels)[:, None] != np.array(labels)[None]
    return float((unit @ unit.T)[apart].mean())


def test_sounds_of_a_kit_belong_together_and_pads_of_a_class_differ(drums: Generator) -> None:
    extractor = LogMel(drums.sample_rate)
    means = {
        label: embed(drums.render(drums.recipes(24, seed=10_000, label=label)), extractor).mean(0)
        for label in drums.labels
    }
    ours: list[Any] = []
    others: list[Any] = []
    near: list[Any] = []
    far: list[Any] = []
    for seed in range(6):
        kit = make_kit(drums, 16, seed=seed)
        recipes = [pad.layers[0] for pad in kit.pads]
        labels = [recipe.label for recipe in recipes]
        picks = [drums.recipes(1, seed=500 + 50 * seed + i, label=label)[0] for i, label in enumerate(labels)]
        for mine, likeness, distance in ((recipes, ours, near), (picks, others, far)):
            residuals = _residuals(drums, mine, means)
            likeness.append(_likeness(residuals, labels))
            pairs = [(a, b) for a in range(16) for b in range(a) if labels[a] == labels[b]]
            distance += [float(np.linalg.norm(residuals[a] - residuals[b])) for a, b in pairs]
    assert np.mean(ours) > np.mean(others) + 0.02
    assert min(near) > 0.1 and np.mean(near) > 0.7 * np.mean(far)


def test_toms_rise_in_pitch(drums: Generator) -> None:
    for seed in range(3):
        toms = [pad.layers[0] for pad in make_kit(drums, 16, seed=seed).pads if pad.layers[0].label == "tom"]
        spectra = np.abs(np.fft.rfft(drums.render(toms)[:, 0])) ** 2
        centre = [int(np.searchsorted(s.cumsum(), s.sum() / 2)) for s in spectra]
        assert centre == sorted(centre) and centre[-1] > 1.15 * centre[0], (seed, centre)


def test_softer_strokes_are_darker(drums: Generator, kit: Kit) -> None:
    falls = []
    for pad in kit.pads:
        value = measure_knobs(drums.render(list(pad.layers)), drums.sample_rate, ["brightness"])[:, 0]
        assert (np.diff(value) > 0).all(), (pad.name, value)
        falls.append(value[-1] - value[0])
    assert np.median(falls) > 0.1  # octaves


def test_without_the_knob_softer_strokes_are_found_among_neighbours(drums: Generator) -> None:
    deaf: Any = SimpleNamespace(knobs={}, render=drums.render, sample_rate=drums.sample_rate)
    for recipe in drums.recipes(3, seed=3, label="snare"):
        strokes = velocity_layers(deaf, recipe, 4)
        value = measure_knobs(drums.render(list(strokes)), drums.sample_rate, ["brightness"])[:, 0]
        assert len({stroke.latent for stroke in strokes}) == 4
        assert (np.diff(value) > 0).all()
        assert strokes == velocity_layers(deaf, recipe, 4)
    assert velocity_layers(deaf, recipe, 1) == (recipe,)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"pads": 0}, "pads=0"),
        ({"pads": 129}, "pads=129"),
        ({"layers": 0}, "layers=0"),
        ({"layers": 17}, "layers=17"),
        ({"labels": ["kick", "gong"]}, "gong"),
        ({"knobs": {"wetness": 0.5}}, "wetness"),
        ({"knobs": {"decay": 1.5}}, "decay=1.5"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_requests(drums: Generator, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        make_kit(drums, **arguments)


def test_class_names_are_matched_as_people_write_them(drums: Generator) -> None:
    kit = make_kit(drums, 2, seed=3, labels=["Kick", "closed hat"])
    assert kit == make_kit(drums, 2, seed=3, labels=["kick", "hat_closed"])
    with pytest.raises(UserError, match="no class 'kik'; did you mean 'kick'"):
        make_kit(drums, 2, seed=3, labels=["kik"])
