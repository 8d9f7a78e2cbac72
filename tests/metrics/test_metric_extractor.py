"""Tests of user-defined networks as extractors: only the user can name them, never a file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from audiogan.errors import UserError
from audiogan.metrics import embed, evaluate, load_extractor
from audiogan.run.targets import resolve_target

MODULE = """
import torch

class Rows(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((4,), 2.0))
        self.dropout = torch.nn.Dropout(0.5)
    def forward(self, x):
        return self.dropout(self.scale * x.mean((1, 3)))

class Maps(torch.nn.Module):
    def forward(self, x):
        return torch.cat([x, -x], 1)

class Waves(torch.nn.Module):
    wants = "signals"
    def forward(self, x):
        return x.flatten(1)

class Scalar(torch.nn.Module):
    def forward(self, x):
        return x.mean()

ready = Rows()
number = 3

def make():
    return Rows()

def fails():
    raise RuntimeError("no luck\\ntoday")
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_networks.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_networks", raising=False)
    return tmp_path


def doubled(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


@pytest.mark.parametrize("name", ["Rows", "make", "ready"])
def test_a_network_from_the_current_folder(here: Path, name: str) -> None:
    before = list(sys.path)
    extractor = load_extractor(f"my_networks:{name}", doubled)
    x = torch.rand(5, 1, 4, 6)
    np.testing.assert_allclose(extractor(x), 4 * x.mean((1, 3)), rtol=1e-5)  # In evaluation mode, there is no dropout.
    assert extractor.name.startswith(f"my_networks.{name}-") and sys.path == before


def test_maps_are_averaged_and_signals_can_be_asked_for(here: Path) -> None:
    x = torch.rand(3, 2, 4, 4)
    maps = load_extractor("my_networks:Maps", doubled)
    mean = 2 * x.mean((2, 3))
    np.testing.assert_allclose(maps(x), torch.cat([mean, -mean], 1), rtol=1e-5)
    waves = load_extractor("my_networks:Waves", doubled)
    np.testing.assert_allclose(waves(x), x.flatten(1))


@pytest.mark.parametrize("kind", ["safetensors", "pt", "nested"])
def test_weights_are_loaded_and_named(here: Path, kind: str) -> None:
    state = {"scale": torch.tensor([1.0, 0, 0, 3])}
    path = here / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state, "epoch": 3} if kind == "nested" else state, path)
    extractor = load_extractor("my_networks:Rows", doubled, path)
    x = torch.ones(2, 1, 4, 4)
    np.testing.assert_allclose(extractor(x), [[2, 0, 0, 6]] * 2)
    assert extractor.name != load_extractor("my_networks:Rows", doubled).name
    assert extractor.name == load_extractor("my_networks:Rows", doubled, path).name


def test_it_serves_every_metric(here: Path) -> None:
    rng = np.random.default_rng(0)
    real, near, far = (rng.standard_normal((60, 1, 4, 4)).astype(np.float32) + shift for shift in (0, 0.1, 2))
    extractor = load_extractor("my_networks:Rows", doubled)
    distances = [evaluate(x, real, train=real, embedding=extractor).values for x in (near, far)]
    assert distances[0][f"frechet/{extractor.name}@60"] < distances[1][f"frechet/{extractor.name}@60"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("my_networks", "write MODULE:NAME"),
        (":Rows", "write MODULE:NAME"),
        ("nowhere_at_all:Rows", "No module named"),
        ("my_networks:Nothing", "no attribute 'Nothing'"),
        ("my_networks:number", "not callable"),
        ("my_networks:fails", "no luck today"),
        ("builtins:dict", "it is a dict, not a torch.nn.Module"),
    ],
)
def test_what_is_no_network_is_one_line(here: Path, spec: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        load_extractor(spec, doubled)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(f"--extractor {spec}: ")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code from a file of weights ran",)


@pytest.mark.parametrize("kind", ["missing", "foreign", "pickle", "list"])
def test_weights_that_do_not_fit_and_cannot_run_code(here: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = here / "w.pt"
    if kind == "foreign":
        torch.save({"other": torch.zeros(3)}, path)
    if kind == "pickle":
        torch.save({"scale": Evil()}, path)
    if kind == "list":
        torch.save([1, 2], path)
    with pytest.raises(UserError, match=r"w\.pt: not weights for my_networks:Rows: ") as caught:
        load_extractor("my_networks:Rows", doubled, path)
    assert "\n" not in str(caught.value) and "ran" not in capsys.readouterr().out


def test_features_of_a_wrong_shape_are_echoed(here: Path) -> None:
    with pytest.raises(ValueError, match=r"must give features \[4, D\], got \[\]"):
        embed(torch.zeros(4, 1, 4, 4), load_extractor("my_networks:Scalar", doubled))


def test_no_configuration_can_import_a_module_this_way() -> None:
    for target in ("audiogan.metrics.extractor.load_extractor", "audiogan.metrics.extractor.Extractor"):
        for key in ("game._target_", "game.critic._target_", "callbacks.x._target_", "data._target_"):
            with pytest.raises(UserError, match="is not allowed"):
                resolve_target(target, key)
