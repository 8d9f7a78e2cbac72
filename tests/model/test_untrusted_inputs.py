"""Tests of facts about inputs in untrusted models: limits, checks, errors in one line."""

from __future__ import annotations

from typing import Any

import pytest
from states import with_value

from audiogan.errors import UserError
from audiogan.model.untrusted import check_config

SOUND = {"_target_": "audiogan.modalities.Sound", "sample_rate": 16000, "normalize": "peak"}
CONFIG: dict[str, Any] = {
    "facts": {
        "modality": SOUND,
        "inputs": {
            "latent": {},
            "classes": {"labels": ["a", "b"], "counts": [3, 0], "size": 2},
            "knobs": {"scale": {"names": ["x"], "quantiles": [[0.0, 1.0]]}, "size": 1},
            "source": {"shape": [3, None, 64], "modality": {"_target_": "audiogan.modalities.Image"}, "size": 3},
            "text": {"alphabet": "abc ", "length": 20, "size": 5},
            "other": None,
        },
    },
    "game": {
        "_target_": "audiogan.games.Adversarial",
        "inputs": {"source": {"_target_": "audiogan.inputs.Signal", "shape": [3, 64, 64]}},
    },
    "representation": {"_target_": "audiogan.representations.Identity", "shape": [1, 8]},
    "inputs": {
        "classes": {"_target_": "audiogan.inputs.Classes", "use": "auto"},
        "source": {
            "_target_": "audiogan.inputs.Signal",
            "representation": {"_target_": "audiogan.representations.Identity", "shape": [3, 64, 64]},
        },
    },
}


def changed(key: str, value: Any) -> dict[str, Any]:
    return with_value(CONFIG, key, value)


def test_what_a_training_stores_is_accepted() -> None:
    check_config(CONFIG)
    check_config(changed("facts.inputs", None))
    check_config(changed("facts.inputs.classes", {"labels": [], "counts": [], "size": 0}))
    check_config(changed("facts.inputs.source.shape", []))
    check_config(changed("facts.inputs.classes.labels", ["n" * 1000, "ä"]))


DEEP: Any = "end"
for _ in range(200):
    DEEP = [DEEP]
WRONG: list[tuple[str, Any, str]] = [
    ("inputs", [], "inputs: expected a mapping, got list"),
    ("inputs", 0, "inputs: expected a mapping, got int"),
    ("inputs", {f"x{i}": {} for i in range(1000)}, "inputs: 1,000 inputs"),
    ("inputs", {"a b": {}}, "not the name of an input"),
    ("inputs", {"\x1b[2J": {}}, "not the name of an input"),
    ("inputs.classes._target_", "audiogan.core.Checkpoints", "takes an input"),
    ("inputs.classes._target_", "audiogan.networks.mlp.MLPGenerator", "takes an input"),
    ("inputs.classes._target_", "os.system", "takes an input"),
    ("inputs.classes._target_", "nets.Mine", "it needs the module nets"),
    ("inputs.classes.more", {"_target_": "torch.nn.Linear"}, "takes no class"),
    ("inputs.source.representation._target_", "torch.nn.Linear", "takes a representation"),
    ("inputs.source.shape", list(range(6_000)), ": more than 5,000 values"),
    ("inputs.source.scale", float("nan"), "finite"),
    ("inputs.source.scale", "${oc.env:HOME}", "interpolations"),
    ("game.inputs.source._target_", "audiogan.run.callbacks.Previews", "takes an input"),
    ("game.generators", {"a": {"_target_": "audiogan.core.Engine"}}, "game.generators.a"),
    ("facts.inputs", [], "facts.inputs: expected a mapping, got list"),
    ("facts.inputs", {f"x{i}": {} for i in range(1000)}, "facts.inputs: 1,000 inputs"),
    ("facts.inputs", {"n" * 65: {}}, "not the name of an input"),
    ("facts.inputs", {"../x": {}}, "not the name of an input"),
    ("facts.inputs", {5: {}}, "not the name of an input"),
    ("facts.inputs", {"é": {}}, "not the name of an input"),
    ("facts.inputs.text", "x", "facts.inputs.text: expected a mapping, got str"),
    ("facts.inputs.text.alphabet", "x" * 20_000, "20,000 characters"),
    ("facts.inputs.text.length", 10**9, "length=1000000000: must be from 0 to 10,000"),
    ("facts.inputs.text.size", -1, "size=-1"),
    ("facts.inputs.text.size", 1.5, "size=1.5"),
    ("facts.inputs.text.size", True, "size=True"),
    ("facts.inputs.classes.labels", "ab", "facts.inputs.classes.labels: expected a list"),
    ("facts.inputs.classes.labels", ["a" * 5_000, "b"], "facts.inputs.classes.labels.0"),
    ("facts.inputs.classes.labels", ["\ud800", "b"], "facts.inputs.classes.labels.0"),
    ("facts.inputs.classes.labels", ["a"] * 20_000, "facts.inputs.classes.labels: 20,000 entries"),
    ("facts.inputs.classes.counts", [1], "counts: expected a count"),
    ("facts.inputs.classes.counts", [1, -1], "counts: expected a count"),
    ("facts.inputs.classes.counts", [0, 0], "counts: expected a count"),
    ("facts.inputs.classes.counts", [1, True], "counts: expected a count"),
    ("facts.inputs.classes.counts", [1, float("nan")], "facts.inputs.classes"),
    ("facts.inputs.classes.counts", 5, "counts: expected a count"),
    ("facts.inputs.knobs.scale", 5, "scale.names: expected a list"),
    ("facts.inputs.knobs.scale", {"names": "x"}, "scale.names: expected a list"),
    ("facts.inputs.knobs.scale", {"names": ["x"], "quantiles": [[float("inf")]]}, "finite"),
    ("facts.inputs.source.shape", [1 << 13, 1 << 13], "shape: expected"),
    ("facts.inputs.source.shape", [0], "shape: expected"),
    ("facts.inputs.source.shape", [True], "shape: expected"),
    ("facts.inputs.source.shape", [1] * 9, "shape: expected"),
    ("facts.inputs.source.shape", "abc", "shape: expected"),
    ("facts.inputs.source.modality._target_", "audiogan.core.Engine", "takes a modality"),
    ("facts.inputs.source.modality._target_", "audiogan.data.sounds.sources.open_sounds", "takes a modality"),
    ("facts.inputs.source.modality.centres", list(range(6_000)), ": more than 5,000 values"),
    ("facts.inputs.source.more", {"_target_": "torch.nn.Linear"}, "takes no class"),
    ("facts.inputs.source.more", DEEP, "levels deep"),
]


@pytest.mark.parametrize(("key", "value", "words"), WRONG, ids=[f"{i}-{key}" for i, (key, _, _) in enumerate(WRONG)])
def test_hostile_facts_are_one_line(key: str, value: Any, words: str) -> None:
    with pytest.raises(UserError) as caught:
        check_config(changed(key, value))
    said = str(caught.value)
    assert words in said and "\n" not in said and "\x1b" not in said and len(said) < 400


def test_a_route_stands_only_inside_of_a_game() -> None:
    from audiogan.run.targets import resolve_target

    for key in ("representation.x", "data", "callbacks.x", "inputs.x", "voice.x"):
        with pytest.raises(UserError, match=r"this key takes|does not exist"):
            resolve_target("audiogan.games.Route", f"{key}._target_")
