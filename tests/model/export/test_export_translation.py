"""Tests of exported models that translate a signal: inputs by name, one of several generators, any batch size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_translators import cycle, pix2pix

import audiogan
from audiogan.model.export import input_arrays, save_onnx, save_pt2
from audiogan.model.export.graph import example_recipes


@pytest.mark.parametrize("noise", [0, 3])
def test_a_translation_as_an_exported_program(noise: int, tmp_path: Path) -> None:
    model = pix2pix(noise)
    checked = save_pt2(tmp_path / "a.pt2", model)
    assert checked.max_difference is not None and checked.max_difference <= 1e-5
    play = torch.export.load(tmp_path / "a.pt2").module()
    for n in (1, 3):
        recipes = example_recipes(model, n)
        inputs = {name: torch.from_numpy(x) for name, x in input_arrays(model, recipes).items()}
        assert set(inputs) == ({"source", "latent"} if noise else {"source"})
        np.testing.assert_allclose(play(**inputs).numpy(), model.render(recipes), atol=1e-5)


@pytest.mark.parametrize("route", ["a_to_b", "b_to_a"])
def test_each_generator_of_a_cycle(route: str, tmp_path: Path) -> None:
    model = cycle()
    about = {"audiogan.json": ""}
    save_pt2(tmp_path / "a.pt2", model, route=route)
    play = torch.export.load(tmp_path / "a.pt2", extra_files=about).module()
    recipes = example_recipes(model, 3)
    source = torch.from_numpy(input_arrays(model, recipes, route)["source"])
    wanted = model.render(recipes, generator=route)
    np.testing.assert_allclose(play(source=source).numpy(), wanted, atol=1e-5)
    assert json.loads(about["audiogan.json"])["generator"] == route


def test_both_generators_of_a_cycle_differ() -> None:
    model = cycle()
    recipes = example_recipes(model, 1)
    there, back = (model.render(recipes, generator=name) for name in model.routes)
    assert np.abs(there - back).max() > 0.01
    np.testing.assert_array_equal(model.render(recipes, generator="pear"), there)


def test_a_translation_in_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="pip install 'audiogan[onnx]'")
    runtime = pytest.importorskip("onnxruntime")
    model = pix2pix(3)
    save_onnx(tmp_path / "a.onnx", model)
    session = runtime.InferenceSession(tmp_path / "a.onnx")
    assert {node.name: node.shape[1:] for node in session.get_inputs()} == {"latent": [3], "source": [1, 8, 8]}
    told = json.loads(session.get_modelmeta().custom_metadata_map["inputs"])
    assert "image [1, 8, 8]" in told["source"]
    for n in (1, 3):
        recipes = example_recipes(model, n)
        found = session.run(None, input_arrays(model, recipes))[0]
        np.testing.assert_allclose(found, model.render(recipes), atol=1e-5)


def test_a_generator_is_found_by_the_name_of_its_target_class() -> None:
    routes = cycle().routes
    assert routes.find("pear") == routes.find("Pear") == "a_to_b"


def test_a_generator_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(audiogan.UserError, match=r"unknown generator 'c'; choose one of .*a_to_b \(apple -> pear\)"):
        save_pt2(tmp_path / "a.pt2", cycle(), route="c")
    assert not list(tmp_path.iterdir())
