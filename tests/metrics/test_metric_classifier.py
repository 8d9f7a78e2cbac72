"""Tests of the classifier for metrics: accuracy, reproducibility, caching, use as an embedding."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from audiogan.data.images.sources import open_images
from audiogan.data.table import Table
from audiogan.data.toys.points import open_points
from audiogan.errors import UserError
from audiogan.metrics import Classifier, ClassifierRecipe, embed, train_classifier
from audiogan.metrics import classifier as module
from audiogan.metrics.convnet import ClassifierNet, accuracy, digest, fit, load_pictures, stratified_sample

QUICK = ClassifierRecipe(widths=(16, 32), examples=6_000)


@pytest.fixture(scope="module")
def digits() -> tuple[Table, Table]:
    return open_images("digits").split(0.25)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(scope="module")
def judge(digits: tuple[Table, Table], folder: Path) -> Classifier:
    return train_classifier(digits[0], recipe=QUICK, cache=folder, progress=False)


def share(judge: Classifier, data: Table) -> float:
    x = data.signals(np.arange(len(data)))
    return float((judge.probabilities(embed(x, judge)).argmax(1) == data.targets).mean())


def test_it_names_what_it_has_not_seen(digits: tuple[Table, Table], judge: Classifier) -> None:
    assert share(judge, digits[1]) > 0.97


def test_it_is_an_extractor_of_its_last_hidden_layer(digits: tuple[Table, Table], judge: Classifier) -> None:
    x = digits[0].signals(np.arange(300))
    features = embed(x, judge)
    assert features.shape == (300, QUICK.features) and features.dtype == np.float64
    assert (features**2).mean() == pytest.approx(1, abs=0.1)
    # Features do not depend on the other examples of the batch.
    np.testing.assert_allclose(features, judge(x), atol=1e-5)
    expected = judge.net.head(judge.net(load_pictures(x, judge.to_images))).double().softmax(1)
    np.testing.assert_allclose(judge.probabilities(features), expected, atol=1e-6)


def test_the_second_time_it_comes_from_the_cache(
    digits: tuple[Table, Table], judge: Classifier, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(*args: object, **settings: object) -> ClassifierNet:
        raise AssertionError("trained again")

    with monkeypatch.context() as patch:
        patch.setattr(module, "fit", trained)
        again = train_classifier(digits[0], recipe=QUICK, cache=folder)
        x = digits[1].signals(np.arange(50))
        assert again.name == judge.name
        np.testing.assert_array_equal(again(x), judge(x))
        for other in ({"seed": 1}, {"recipe": ClassifierRecipe(widths=(16, 32), examples=5_000)}):
            with pytest.raises(AssertionError, match="trained again"):
                train_classifier(digits[0], **{"recipe": QUICK, "cache": folder, **other})  # type: ignore[arg-type]
        with pytest.raises(AssertionError, match="trained again"):
            train_classifier(digits[0].take(np.arange(1, len(digits[0]))), recipe=QUICK, cache=folder)


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign"])
def test_a_damaged_cache_is_trained_again(damage: str, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    data = open_points("ring", count=400, labels="modes")
    quick = ClassifierRecipe(widths=(8, 8), examples=3000)
    first = train_classifier(data, recipe=quick, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    if damage == "changed":
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        tensors["head.bias"][0] += 1
        save_file(tensors, path, metadata)
    if damage == "foreign":
        save_file({"x": torch.zeros(3)}, path)
    again = train_classifier(data, recipe=quick, cache=tmp_path)
    assert again.name == first.name
    assert train_classifier(data, recipe=quick, cache=tmp_path).name == first.name
    assert list(tmp_path.iterdir()) == [path]


def test_training_is_the_same_with_any_threads_and_leaves_no_trace(digits: tuple[Table, Table]) -> None:
    x, y = load_pictures(digits[0], digits[0].modality.to_images), torch.from_numpy(digits[0].targets)
    weights, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            torch.manual_seed(count)
            before = torch.get_rng_state()
            weights.append(digest(*fit(x, y, 10, recipe=QUICK, steps=20).state_dict().values()))
            assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert weights[0] == weights[1]
    assert digest(*fit(x, y, 10, recipe=QUICK, steps=20, seed=1).state_dict().values()) != weights[0]


def test_further_examples_are_half_of_each_batch(digits: tuple[Table, Table]) -> None:
    x, y = load_pictures(digits[0], digits[0].modality.to_images), torch.from_numpy(digits[0].targets)
    first, second = y < 5, y >= 5
    net = fit(x[first], y[first], 10, recipe=QUICK, steps=120, extra_examples=(x[second], y[second]))
    assert accuracy(net, x, y) > 0.9


def test_points_are_told_apart_too(tmp_path: Path) -> None:
    train, held_out = open_points("ring", count=1500, labels="modes").split(0.2)
    judge = train_classifier(train, recipe=ClassifierRecipe(examples=8_000), cache=tmp_path)
    assert share(judge, held_out) > 0.98


def test_large_pictures_are_made_smaller() -> None:
    x = torch.arange(2 * 256 * 256, dtype=torch.float32).reshape(2, 1, 256, 256)
    seen = load_pictures(x, lambda pictures: pictures, batch=1)
    assert seen.shape == (2, 1, 64, 64)
    torch.testing.assert_close(seen.mean((1, 2, 3)), x.mean((1, 2, 3)))
    assert load_pictures(x[..., :65, :65], lambda pictures: pictures).shape == (2, 1, 65, 65)


@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 64, 64), (1, 64, 200), (2, 1, 1), (1, 3, 90)])
def test_any_shape_of_picture(shape: tuple[int, ...]) -> None:
    net = ClassifierNet(shape, 4).eval()
    features = net(torch.zeros(3, *shape))
    assert features.shape == (3, 128) and net.head(features).shape == (3, 4)


def test_some_of_each_keeps_shares_and_leaves_no_class_out() -> None:
    targets = np.repeat([0, 1, 2], [600, 300, 3])
    rows = stratified_sample(targets, 90, np.random.default_rng(0))
    assert np.bincount(targets[rows]).tolist() == [59, 30, 1] and len(set(rows)) == len(rows)
    assert len(stratified_sample(np.arange(500) % 7, 100, np.random.default_rng(0))) == 100
    assert stratified_sample(targets, 2, np.random.default_rng(0)).shape == (3,)
    assert stratified_sample(targets, 5000, np.random.default_rng(0)).tolist() == list(range(903))


def test_data_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs data with labels of at least two classes: 400 points"):
        train_classifier(open_points("ring", count=400), cache=tmp_path)
    data = open_points("ring", count=400, labels="modes")
    with pytest.raises(UserError, match="two classes"):
        train_classifier(data.take(np.flatnonzero(data.targets == 3)), cache=tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
def test_the_cached_classifier_has_the_permissions_of_other_files(tmp_path: Path) -> None:
    from audiogan.metrics.classifier import _load_weights, _save_weights
    from audiogan.metrics.convnet import STANDARD_RECIPE, ClassifierNet

    before = os.umask(0o022)
    try:
        _save_weights(tmp_path / "net.safetensors", ClassifierNet((1, 16, 16), 2, STANDARD_RECIPE))
    finally:
        os.umask(before)
    assert (tmp_path / "net.safetensors").stat().st_mode & 0o777 == 0o644
    assert _load_weights(tmp_path / "net.safetensors", ClassifierNet((1, 16, 16), 2, STANDARD_RECIPE)) is not None
