"""Tests of synthetic shapes: reproducibility, pairs, two domains, limited memory."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from audiogan.data.columns import Rendered
from audiogan.data.toys.shapes import (
    COLOURS,
    KINDS,
    Figure,
    draw_outline,
    draw_painted,
    open_shapes,
    paint_by_kind,
    paint_pattern,
)
from audiogan.errors import UserError

RNG = np.random.default_rng


def test_pairs_have_an_outline_and_the_same_figures_in_colour() -> None:
    table = open_shapes(40, size=32)
    batch = table.batch(np.arange(8), RNG(0))
    assert batch["source"].shape == (8, 1, 32, 32) and batch["x"].shape == (8, 3, 32, 32)
    assert float(batch["source"].min()) < -0.5 and float(batch["source"].max()) == 1.0
    assert table.columns["source"].modality == table.modality and table.labels == []
    # Dark lines are at the same positions in both images.
    lines = batch["source"][:, 0] < -0.5
    assert float(batch["x"].mean(1)[lines].mean()) + 0.4 < float(batch["x"].mean(1)[~lines].mean())
    assert "40 pairs" in table.source


def test_a_picture_depends_on_seed_and_row_only() -> None:
    first, second, other = open_shapes(30, size=16), open_shapes(30, size=16, memory=0), open_shapes(30, 16, seed=1)
    whole = first.signals(slice(None))
    assert torch.equal(whole[[7, 3, 7]], second.signals([7, 3, 7]))
    assert torch.equal(whole[:5], open_shapes(500, size=16).signals(np.arange(5)))
    assert not torch.equal(whole, other.signals(slice(None)))
    held = first.split(0.2, seed=3)[1]
    assert torch.equal(held.signals([0]), whole[held.rows[:1]])


def test_memory_is_bounded_and_signals_beyond_it_are_made_again() -> None:
    made: list[int] = []

    def make(row: int) -> np.ndarray:
        made.append(row)
        return np.full((1, 16, 16), row % 7, np.uint8)

    storage = Rendered(make, 1_000_000_000, (1, 16, 16), np.uint8, memory=2500)
    for _ in range(2):
        assert storage[np.array([3, 999_999_999])][:, 0, 0, 0].tolist() == [3, 999_999_999 % 7]
    assert made == [3, 999_999_999, 999_999_999] and storage._kept.nbytes == 9 * 256
    assert len(open_shapes(100_000_000, size=16, memory=10_000).examples([99_999_999])["x"]) == 1


def test_a_batch_is_a_copy() -> None:
    table = open_shapes(10, size=16, mirror=True)
    before = table.signals([1])
    table.batch(np.ones(50, np.int64), RNG(0))["x"].zero_()
    assert torch.equal(table.signals([1]), before)


def test_mirror_flips_source_and_target_alike() -> None:
    table = open_shapes(60, size=16, mirror=True)
    plain, batch = table.examples(slice(None)), table.batch(np.arange(60), RNG(1))
    turned = (batch["x"] == plain["x"].flip(-1)).all(dim=(1, 2, 3))
    assert 15 < int(turned.sum()) < 45
    for name in ("x", "source"):
        want = torch.where(turned[:, None, None, None], plain[name].flip(-1), plain[name])
        assert torch.equal(batch[name], want)


def test_domains_have_two_labels_of_other_colours() -> None:
    table = open_shapes(60, size=32, kind="domains")
    assert (table.labels, table.class_counts) == (["dotted", "striped"], [30, 30])
    assert set(table.columns) == {"x", "label"}
    batch = table.examples(slice(None))
    redder = (batch["x"][:, 0] - batch["x"][:, 2]).mean((1, 2))
    assert float(redder[batch["label"] == 1].min()) > float(redder[batch["label"] == 0].max())


def test_plain_figures_are_classes() -> None:
    table = open_shapes(20, size=16, kind="plain", channels=1)
    assert (table.labels, table.class_counts, table.shape) == (list(KINDS), [7, 7, 6], (1, 16, 16))


@pytest.mark.parametrize("kind", KINDS)
def test_the_colour_follows_from_the_figure(kind: str) -> None:
    part = Figure(kind, 0.0, 0.0, 0.8, 0.2)
    middle = draw_painted([part], 33, paint_by_kind)[:, 16, 20]
    assert np.argmax(middle) == np.argmax(COLOURS[kind]) and np.argmin(middle) == np.argmin(COLOURS[kind])
    assert draw_outline([part], 33)[0, 16, 16] == 1.0
    assert float(part.distance(np.zeros(1, np.float32), np.zeros(1, np.float32))[0]) < -0.1


def test_a_figure_hides_the_lines_below_it() -> None:
    below, above = Figure("square", 0.0, 0.0, 0.5, 0.0), Figure("disc", 0.3, 0.0, 0.5, 0.0)
    alone, both = draw_outline([above], 64)[0], draw_outline([below, above], 64)[0]
    inside = above.distance(*np.meshgrid(*[(np.arange(64, dtype=np.float32) + 0.5) / 32 - 1] * 2)) < -0.05
    assert np.array_equal(alone[inside], both[inside]) and not np.array_equal(alone, both)
    warm, cold = (draw_painted([above], 64, partial(paint_pattern, pattern=name)) for name in ("striped", "dotted"))
    corner = (slice(None), slice(0, 8), slice(0, 8))
    assert np.array_equal(warm[corner], cold[corner]) and not np.array_equal(warm, cold)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"kind": "faces"}, "data.kind='faces': choose one of pairs, domains, plain"),
        ({"size": 8}, "data.size=8"),
        ({"size": True}, "data.size=True"),
        ({"count": 1}, "data.count=1"),
        ({"seed": -1}, "data.seed=-1"),
        ({"channels": 2}, "data.channels=2"),
        ({"source_channels": 4}, "data.source_channels=4"),
    ],
)
def test_bad_settings(setting: dict, said: str) -> None:
    with pytest.raises(UserError) as error:
        open_shapes(**setting)
    assert said in str(error.value)
