"""Tests of untrusted bundles and checkpoints: refused in one line, before they use memory or have side effects."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_weights
from safetensors.torch import save as save_weights
from states import with_value

import audiogan
from audiogan.cli import main
from audiogan.core import load_state
from audiogan.core.checkpoint import list_checkpoints, save_state
from audiogan.errors import UserError
from audiogan.model.bundle import save_bundle
from audiogan.model.untrusted import Budget
from audiogan.run.model_files import ABOUT, CARD, WEIGHTS

Parts = dict[str, Any]


@pytest.fixture(scope="module")
def parts(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small bundle: weights as bytes, and ``model.json`` as a dict."""
    path = save_bundle(tmp_path_factory.mktemp("models") / "tiny.audiogan", audiogan.load(tiny_run), "# Tiny\n")
    with zipfile.ZipFile(path) as archive:
        return {"raw": archive.read(WEIGHTS), "about": json.loads(archive.read(ABOUT))}


def written(path: Path, raw: bytes, about: Any, compression: int = zipfile.ZIP_STORED) -> Path:
    about = {**about, "sha256": hashlib.sha256(raw).hexdigest()} if isinstance(about, dict) else about
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(WEIGHTS, raw)
        archive.writestr(ABOUT, about if isinstance(about, str) else json.dumps(about))
        archive.writestr(CARD, "")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        audiogan.load(path).sample(1, seed=0)
    said = str(caught.value)
    assert said.startswith(str(path)) and "\n" not in said and "\x1b" not in said and len(said) < 600
    return said


DEEP: Any = "end"
for _ in range(200):
    DEEP = [DEEP]
SOUNDS = {"_target_": "audiogan.data.open_sounds", "root": "sounds", "cache": "victim"}
MLP = {"_target_": "audiogan.networks.mlp.MLPGenerator", "shape": [1, 2048], "classes": 2}
WRONG: list[tuple[str, Any, str]] = [
    ("config.facts.modality", SOUNDS, "open_sounds"),
    ("config.facts.modality", {"_target_": "audiogan.core.Engine", "threads": 1_000_000}, "Engine"),
    ("config.facts.modality", {"_target_": "audiogan.core.Engine", "device": "cpu"}, "Engine"),
    ("config.facts.modality", {"_target_": "audiogan.representations.Identity", "shape": [1, 2]}, "facts.modality"),
    ("config.facts.modality", {"_target_": "audiogan.modalities.Image"}, "image cannot have the shape"),
    ("config.facts.modality", None, "facts.modality"),
    ("config.representation", SOUNDS, "open_sounds"),
    ("config.representation", {"_target_": "audiogan.representations.Identity", "shape": [1, 1 << 30]}, ""),
    ("config.representation.n_fft", 1 << 30, "larger than its weights"),
    ("config.game", {**SOUNDS, "generator": None}, "open_sounds"),
    ("config.game.extra", {"_target_": "audiogan.run.callbacks.Previews"}, "Previews"),
    ("config.game.generator", {**MLP, "widths": [10**6, 10**6]}, "larger than its weights"),
    ("config.game.generator", {**MLP, "widths": [10**6]}, "larger than its weights"),
    ("config.game.generator", {**MLP, "widths": [1] * 4_000}, "too many operations"),
    ("config.game.generator", {**MLP, "latent_dim": 10**9}, "larger than its weights"),
    ("config.game.generator", {**MLP, "classes": 10**9}, "classes=1000000000"),
    ("config.game.generator", {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 2}, ""),
    ("config.game.generator._partial_", True, ""),
    ("config.facts.labels", ["a"] * 1_000_000, "more than a bundle can hold"),
    ("config.facts.labels", ["a"] * 100_000, "facts.labels: 100,000 entries"),
    ("config.facts.labels", ["a" * 5_000, "b"], "facts.labels.0"),
    ("config.facts.inputs.classes.labels", ["a"], "facts.inputs.classes.counts: expected a count"),
    ("config.facts.inputs.classes", {"labels": ["a"], "counts": [1], "size": 1}, "has 2 classes, but the data has 1"),
    ("config.facts.labels", "ab", "facts.labels"),
    ("config.facts.labels", ["\ud800", "b"], "facts.labels.0"),
    ("config.facts.class_counts", [1] * 100_000, "class_counts"),
    ("config.facts.knob_scale", {"names": ["x"] * 100_000, "quantiles": []}, "knob_scale.names"),
    ("config.data.extra", {str(i): i for i in range(20_000)}, "data.extra: 20,000 entries"),
    ("config.data.extra", DEEP, "levels deep"),
    ("config.data.extra", [[0] * 9_000] * 20, "values"),
    ("config.name", "n" * 100_000, "name: 100,000 characters"),
    ("config.name", "${oc.env:HOME}", "interpolations"),
    ("config.facts.modality.sample_rate", 10**12, "sample_rate"),
    ("config.facts.modality.sample_rate", 0, "sample_rate"),
    ("config.facts.modality.sample_rate", 16000.5, "sample_rate"),
    ("config.facts.modality.normalize", ["peak"], "normalize"),
    ("config.game.generator.widths", [float("nan"), 8], "finite"),
    ("config.game.generator.latent_dim", 10**400, "out of range"),
    ("config", None, "config"),
    ("config", {}, "facts"),
    ("step", float("inf"), "step=inf"),
    ("step", -1, "step=-1"),
    ("step", True, "step"),
    ("step", "\x1b[2J", "step"),
    ("format", "\x1b[2J" * 1000, "format"),
]


@pytest.mark.parametrize(("key", "value", "words"), WRONG, ids=[f"{i}-{key}" for i, (key, _, _) in enumerate(WRONG)])
def test_a_hostile_description_is_one_line(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: Any, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sounds").mkdir()
    mine = tmp_path / "victim" / ".tmp-my-old-work"
    mine.mkdir(parents=True)
    os.utime(mine, (1e9, 1e9))
    path = written(tmp_path / "x.audiogan", parts["raw"], with_value(parts["about"], key, value))
    assert words in refusal(path)
    assert mine.is_dir() and len(list((tmp_path / "victim").iterdir())) == 1


@pytest.mark.parametrize("text", ["[", "[]", "5", "[" * 100_000, '{"a":' * 50_000, '{"format": 1' + "0" * 5_000 + "}"])
def test_json_that_is_none(parts: Parts, tmp_path: Path, text: str) -> None:
    assert "not a bundle" in refusal(written(tmp_path / "x.audiogan", parts["raw"], text))


def _spoiled(kind: str) -> Callable[[torch.Tensor], torch.Tensor]:
    return {
        "nan": lambda x: x * float("nan"),
        "half": lambda x: (x.float() + 1e30).half(),
        "double": lambda x: (x.double() + 1) * 1e300,
        "complex": lambda x: x.to(torch.complex64),
    }[kind]


@pytest.mark.parametrize("kind", ["nan", "half", "double", "complex"])
def test_weights_that_are_not_finite_are_refused(parts: Parts, tmp_path: Path, kind: str) -> None:
    weights = load_weights(parts["raw"])
    name = next(name for name in weights if name.startswith("nets.generator.") and weights[name].is_floating_point())
    raw = save_weights({**weights, name: _spoiled(kind)(weights[name]).contiguous()})
    assert name in refusal(written(tmp_path / "x.audiogan", raw, parts["about"]))


def test_counts_of_classes_that_no_training_writes(parts: Parts, tmp_path: Path) -> None:
    weights = load_weights(parts["raw"])
    for factor in (0, -1):
        raw = save_weights({**weights, "inputs.classes.counts": factor * weights["inputs.classes.counts"]})
        assert "classes: expected a count" in refusal(written(tmp_path / "x.audiogan", raw, parts["about"]))


def test_compressed_doubled_and_oversized_parts_are_refused(parts: Parts, tmp_path: Path) -> None:
    path = tmp_path / "x.audiogan"
    assert "compressed" in refusal(written(path, parts["raw"], parts["about"], zipfile.ZIP_DEFLATED))
    written(path, parts["raw"], parts["about"])
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(CARD, "again")
    assert "each once" in refusal(path)
    assert "more than a bundle can hold" in refusal(written(path, parts["raw"], " " * (5 << 20)))
    content = written(path, parts["raw"], parts["about"]).read_bytes()
    at = content.index(b"PK\1\2") + 20  # Position of the sizes in the directory.
    path.write_bytes(content[:at] + struct.pack("<II", 1 << 29, 1 << 29) + content[at + 8 :])
    assert "more than a bundle can hold" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(100):
            archive.writestr(f"{i}" + "x" * 60_000, "")
    assert "directory is larger" in refusal(path)


def test_a_header_of_weights_that_is_too_long(parts: Parts, tmp_path: Path) -> None:
    header = json.dumps(
        {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(80_000)}
    ).encode()
    raw = struct.pack("<Q", len(header)) + header
    assert "header of its weights" in refusal(written(tmp_path / "x.audiogan", raw, parts["about"]))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for path in (tmp_path / "x.audiogan", tmp_path / "run" / "checkpoints" / "step-00000001.ckpt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
    assert main(["sample", "-n", "1", "--run", str(tmp_path / "x.audiogan"), str(tmp_path / "out")]) == 2
    assert main(["sample", "-n", "1", "--run", str(tmp_path / "run"), str(tmp_path / "out")]) == 2


def test_checkpoints_are_judged_as_bundles_are(tiny_run: Path, tmp_path: Path) -> None:
    state = load_state(list_checkpoints(tiny_run / "checkpoints")[0])
    path = tmp_path / "step-00000004.ckpt"

    def saved(key: str, value: Any) -> Path:
        save_state(path, with_value(state, key, value))
        return path

    assert "facts.labels: 1,000,000 entries" in refusal(saved("config.facts.labels", ["a"] * 1_000_000))
    assert "open_sounds" in refusal(saved("config.facts.modality", SOUNDS))
    assert "larger than its weights" in refusal(saved("config.game.critic.widths", [10**5, 10**5]))
    assert "step=inf" in refusal(saved("trainer.step", float("inf")))
    assert "config.extra" not in refusal(saved("config.extra", torch.zeros(2)))
    weights = state["trainer"]["game"]
    name = next(name for name in weights if name.startswith("nets.generator.") and weights[name].is_floating_point())
    saved("trainer.game", {**weights, name: weights[name] * float("inf")})
    assert name in refusal(path)


def test_average_weights_that_are_not_finite_count_where_they_are_used(tiny_run: Path, tmp_path: Path) -> None:
    state = copy.deepcopy(load_state(list_checkpoints(tiny_run / "checkpoints")[0]))
    for callback in state["trainer"]["callbacks"].values():
        for value in callback.get("nets", {}).values() if isinstance(callback, dict) else ():
            if value.is_floating_point():
                value.mul_(float("nan"))
    save_state(tmp_path / "step-00000004.ckpt", state)
    assert "not finite" in refusal(tmp_path / "step-00000004.ckpt")
    assert audiogan.load(tmp_path / "step-00000004.ckpt", ema=False).sample(1, seed=0).shape[0] == 1


def test_a_header_of_a_checkpoint_that_lies(tmp_path: Path) -> None:
    path = tmp_path / "step-00000001.ckpt"
    for length in (0, 1 << 40, 100 << 20):
        path.write_bytes(struct.pack("<Q", length) + b"{}" * 100)
        assert "header is wrong" in refusal(path)


def test_a_budget_judges_sizes_before_memory_is_allocated() -> None:
    huge: list[Callable[[], Any]] = [
        lambda: torch.empty(10**6, 10**6),
        lambda: torch.nn.Linear(10**6, 10**6),
        lambda: torch.arange(10**12),
        lambda: torch.eye(10**6),
        lambda: torch.ones(10).repeat(10**9),
        lambda: torch.ones(10**5, 1) * torch.ones(1, 10**5),
        lambda: torch.ones(10**5, 1) @ torch.ones(1, 10**5),
        lambda: torch.nn.functional.pad(torch.ones(10), (0, 10**10)),
        lambda: torch.hann_window(10**11),
    ]
    for make in huge:
        with pytest.raises(UserError, match="too many elements"), Budget(10**6, 10**7, 10**7, 1000):
            make()
    with pytest.raises(UserError, match="too much memory"), Budget(10**6, 10**6, 10**6, 1000):
        [torch.empty(10**5) for _ in range(11)]
    with pytest.raises(UserError, match="too many operations"), Budget(10**6, 10**6, 10**6, 100):
        [torch.empty(1) for _ in range(101)]
    with Budget(10**6, 10**6, 10**6, 1000):
        assert torch.nn.Linear(500, 500)(torch.zeros(3, 500)).shape == (3, 500)


def test_gradients_are_on_again_after_a_refusal() -> None:
    with pytest.raises(UserError, match="too many operations"), Budget(10**6, 10**6, 10**6, 100), torch.no_grad():
        [torch.empty(1) for _ in range(200)]
    assert torch.is_grad_enabled()


def test_a_checkpoint_chooses_no_folder_for_a_cache(tiny_run: Path, tmp_path: Path) -> None:
    state = load_state(list_checkpoints(tiny_run / "checkpoints")[0])
    save_state(tmp_path / "step-00000004.ckpt", with_value(state, "config.data.cache", str(tmp_path / "victim")))
    data = audiogan.load(tmp_path / "step-00000004.ckpt").config["data"]
    assert "cache" not in data and data["length"] == 2048


def test_a_bundle_names_no_file_of_the_machine(tiny_run: Path, tmp_path: Path) -> None:
    model = audiogan.load(tiny_run)
    for labels, kept in ((str(tmp_path / "mine.csv"), "auto"), ("mine.csv", "auto"), ("folders", "folders")):
        model.config = with_value(model.config, "data.labels", labels)
        save_bundle(tmp_path / "x.audiogan", model)
        with zipfile.ZipFile(tmp_path / "x.audiogan") as archive:
            assert json.loads(archive.read(ABOUT))["config"]["data"]["labels"] == kept


def test_a_dangling_link_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "r" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "step-00000001.ckpt").symlink_to(tmp_path / "nowhere")
    assert main(["sample", "-n", "1", "out"]) == 0 and "from drums" in capsys.readouterr().out
