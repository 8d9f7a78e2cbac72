"""Tests of untrusted bundles of models that require a signal: errors in one line, before memory is allocated."""

from __future__ import annotations

import copy
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save

import audiogan
from audiogan.errors import UserError
from audiogan.games import Generative
from audiogan.inputs import Signal
from audiogan.modalities import Image
from audiogan.networks.unet import UNet
from audiogan.representations import Identity
from audiogan.run.model_files import ABOUT, BUNDLE_FORMAT, CARD, WEIGHTS

IMAGE = {"_target_": "audiogan.modalities.Image"}
UNET = {"_target_": "audiogan.networks.unet.UNet", "shape": [3, 8, 8], "source": [1, 8, 8], "width": 4}
CONFIG: dict[str, Any] = {
    "name": "small",
    "data": {},
    "facts": {"modality": IMAGE, "inputs": {"source": {"shape": [1, 8, 8], "modality": IMAGE, "size": 1}}},
    "inputs": {"source": {"_target_": "audiogan.inputs.Signal"}},
    "representation": {"_target_": "audiogan.representations.Identity", "shape": [3, 8, 8]},
    "game": {"_target_": "audiogan.games.Generative", "generator": UNET},
}
SOUND = {"_target_": "audiogan.modalities.Sound", "sample_rate": 16000}


def bundle(path: Path, changes: dict[str, Any] | None = None) -> Path:
    """Write a bundle. ``changes`` are values by dotted key of its configuration."""
    config: Any = copy.deepcopy(CONFIG)
    for key, value in (changes or {}).items():
        *parts, last = key.split(".")
        node = config
        for part in parts:
            node = node[part]
        node[last] = value
    network = UNet((3, 8, 8), (1, 8, 8), width=4)
    game = Generative(network, Identity((3, 8, 8)), {"source": Signal("source", (1, 8, 8), Image())})
    raw = save({name: value.contiguous() for name, value in game.state_dict().items()})
    about = {"format": BUNDLE_FORMAT, "sha256": hashlib.sha256(raw).hexdigest(), "step": 1, "config": config}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in ((WEIGHTS, raw), (ABOUT, json.dumps(about)), (CARD, "")):
            archive.writestr(name, content)
    return path


def test_an_honest_one_is_played(tmp_path: Path) -> None:
    model = audiogan.load(bundle(tmp_path / "x.audiogan"))
    assert model.sample(inputs={"source": np.zeros((1, 8, 8), np.float32)}).shape == (1, 3, 8, 8)


def test_sizes_of_a_source_may_be_open(tmp_path: Path) -> None:
    model = audiogan.load(bundle(tmp_path / "x.audiogan", {"facts.inputs.source.shape": [1, None, None]}))
    assert model.inputs["source"].shape == (1, None, None)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"facts.inputs.source.shape": [1, 1 << 20, 1 << 20]}, "facts.inputs.source.shape: expected"),
    ({"facts.inputs.source": {"modality": IMAGE}, "inputs.source.shape": [1, 1 << 40, 8]}, "inputs.source: expected"),
    ({"facts.inputs.source": {"modality": IMAGE}, "inputs.source.shape": [1, 1 << 20, 1 << 20]}, "values"),
    ({"facts.inputs.source": {"modality": IMAGE}, "inputs.source.shape": [1, "8", 8]}, ""),
    ({"facts.inputs.source": {"modality": IMAGE}, "inputs.source.shape": [None] * 9}, "at most 8 sizes"),
    ({"facts.inputs.source": {"modality": IMAGE}, "inputs.source.shape": [None] * 8}, ""),
    ({"facts.inputs.source.modality": None}, "facts.inputs.source.modality"),
    ({"facts.inputs.source.modality": {"_target_": "audiogan.modalities.Smell"}}, "does not exist"),
    ({"facts.inputs.source.modality": SOUND}, "a sound cannot have the shape"),
    ({"facts.inputs.source.modality": {**SOUND, "sample_rate": 10**12}}, "sample_rate"),
    ({"inputs.source.modality": "audiogan", "facts.inputs.source": {"shape": [1, 8, 8]}}, "modality"),
    ({"inputs.source._target_": "audiogan.inputs.Latent"}, ""),
    (
        {"inputs.source": {"_target_": "audiogan.inputs.Latent", "shape": [1 << 30, 1 << 30]}, "facts.inputs": {}},
        "expected at most",
    ),
    (
        {"inputs.source": {"_target_": "audiogan.inputs.Latent", "shape": [10**6] * 3}, "facts.inputs": {}},
        "larger than its weights",
    ),
    (
        {"inputs.source": {"_target_": "audiogan.inputs.Text", "alphabet": "ab", "length": 10**9}, "facts.inputs": {}},
        "expected at most",
    ),
    (
        {
            "inputs.source": {"_target_": "audiogan.inputs.Knobs"},
            "facts.inputs.source": {"scale": {"names": ["a", "b"], "quantiles": [[1.0, 2.0]]}},
        },
        "quantiles",
    ),
]


@pytest.mark.parametrize(("changes", "words"), WRONG, ids=range(len(WRONG)))
def test_a_hostile_source_is_one_line(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = bundle(tmp_path / "x.audiogan", changes)
    with pytest.raises(UserError) as caught:
        audiogan.load(path)
    said = str(caught.value)
    assert words in said and said.startswith(str(path)) and "\n" not in said and len(said) < 600, said
