"""Tests of linear probes on features with and without information about the class."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiogan.data.images.sources import open_images
from audiogan.data.toys.points import open_points
from audiogan.games.features import last_hidden_layer
from audiogan.metrics.transfer import (
    FunctionEmbedding,
    SmallPictures,
    evaluate_transfer,
    linear_probe_accuracy,
)


def blobs(n: int, dimensions: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return two classes that differ only in the last dimension, whose variance is small."""
    y = rng.integers(2, size=n)
    x = rng.standard_normal((n, dimensions)) * 100
    x[:, -1] = (y * 2 - 1 + 0.3 * rng.standard_normal(n)) * 1e-3
    return x, y


@pytest.mark.parametrize("dimensions", [3, 40])
def test_a_probe_reads_what_is_linear_at_any_scale(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    (x, y), (unseen, truth) = blobs(400, dimensions, rng), blobs(400, dimensions, rng)
    assert linear_probe_accuracy(x, y, unseen, truth) > 0.97
    assert linear_probe_accuracy(x, rng.permutation(y), unseen, truth) < 0.65


def test_wide_features_are_read_through_their_components() -> None:
    rng = np.random.default_rng(1)
    directions = rng.standard_normal((10, 1000))
    y, truth = rng.integers(10, size=400), rng.integers(10, size=300)
    x, unseen = (directions[labels] + 2 * rng.standard_normal((len(labels), 1000)) for labels in (y, truth))
    assert linear_probe_accuracy(x, y, unseen, truth) > 0.97


def test_constant_features_tell_nothing() -> None:
    y = np.arange(200) % 4
    assert linear_probe_accuracy(np.ones((200, 5)), y, np.ones((100, 5)), y[:100]) == pytest.approx(0.25)


def test_embeddings_are_ranked_on_real_digits() -> None:
    data = open_images("digits")
    train, held_out = data.split(0.3)
    rng = torch.Generator().manual_seed(0)
    report = evaluate_transfer(
        {
            "picture": SmallPictures(data.modality.to_images),
            "four pixels": FunctionEmbedding("four", lambda x: x[..., 3:5, 3:5]),
            "noise": FunctionEmbedding("noise", lambda x: torch.randn(len(x), 10, generator=rng)),
        },
        train,
        held_out,
        count=600,
    )
    (whole, part, nothing), sizes = report.values.values(), {name.rpartition("@")[2] for name in report.values}
    assert whole > 0.93 > 0.7 > part > 0.25 > 0.2 > nothing
    assert sizes == {"600"}
    assert list(report.better.values()) == ["higher", "baseline", "baseline"] and not report.floor


def test_data_without_labels_is_refused() -> None:
    train, held_out = open_points("ring", count=300).split(0.2)
    with pytest.raises(ValueError, match="labelled data, got 240 points"):
        evaluate_transfer({"x": FunctionEmbedding("x", lambda x: x)}, train, held_out)


class WithMethod(nn.Module):
    takes = frozenset({"source", "classes"})

    def features(self, x: Tensor, source: Tensor) -> Tensor:
        return 3 * x + source


class WithScore(nn.Module):
    """Critic whose last hidden layer is not the input of its first linear layer."""

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        self.takes = frozenset({"classes"} if classes else ())
        self.first = nn.Linear(4, 6)
        self.score = nn.Linear(6, 1)
        self.embed = nn.Linear(classes, 6) if classes else None

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        h = torch.relu(self.first(x))
        logits = self.score(h)[:, 0]
        if self.embed is None:
            return logits
        assert classes is not None
        return logits + (self.embed(classes) * h).sum(1)


class Bare(nn.Module):
    takes = frozenset[str]()

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1)


def test_the_last_hidden_layer_of_any_critic() -> None:
    x, classes = torch.rand(5, 4), torch.full((5, 3), 1 / 3)
    assert torch.equal(last_hidden_layer(WithMethod(), x, {"source": x, "classes": classes}), 3 * x + x)
    for critic in (WithScore(), WithScore(3)):
        assert torch.equal(last_hidden_layer(critic, x, {"classes": classes}), torch.relu(critic.first(x)))
        assert not critic.score._forward_pre_hooks
    with pytest.raises(ValueError, match="Bare has neither"):
        last_hidden_layer(Bare(), x, {})
