"""Tests of tables and columns: content of batches, random numbers, memory use."""

from __future__ import annotations

import gc
import hashlib
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from audiogan.data.columns import Column, Derived, Labels, Mirror, Signals, Texts, Values
from audiogan.data.images.folder import image_table
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.modalities import Image

RNG = np.random.default_rng
NONE = np.empty(0, np.int64)


def pictures(n: int = 20, mirror: bool = True) -> Table:
    return image_table(RNG(2).integers(0, 256, (n, 3, 4, 5), dtype=np.uint8), NONE, mirror=mirror)


def with_source(table: Table) -> Table:
    """Add a column in the augmentation group of ``x`` with the same images."""
    return table.with_column("source", Signals(table.columns["x"].storage, Image(), group="picture"))


def noisy(x: Tensor, rng: np.random.Generator) -> Tensor:
    return x + 0.1 * torch.from_numpy(rng.standard_normal(x.shape, np.float32))


def test_flipped_batches_have_the_bits_of_earlier_versions() -> None:
    batches = [pictures().batch(np.arange(16), RNG([0, 1, k]))["x"].numpy().tobytes() for k in range(3)]
    assert [hashlib.sha256(x).hexdigest()[:12] for x in batches] == ["43b99c72d27c", "da351f5c7d92", "67ef51fa4772"]


def test_further_columns_change_no_flip() -> None:
    table, places = pictures(), np.arange(16)
    more = with_source(table).with_column("noisy", Derived("x", noisy))
    first = Table({"noise": Values(np.zeros((20, 2))), **more.columns}, 20, augment={"picture": Mirror()})
    plain = table.batch(places, RNG(7))["x"]
    for other in (more, first):
        assert torch.equal(other.batch(places, RNG(7))["x"], plain)
    assert not torch.equal(plain, table.signals(places))


def test_columns_of_one_group_share_their_flips() -> None:
    batch = with_source(pictures()).batch(np.arange(16), RNG(1))
    assert torch.equal(batch["x"], batch["source"])
    other = pictures()
    columns = {"source": Signals(other.columns["x"].storage, group="other"), **other.columns}
    apart = Table(columns, 20, augment={"picture": Mirror(), "other": Mirror()})
    batch = apart.batch(np.arange(16), RNG(1))
    assert torch.equal(batch["x"], pictures().batch(np.arange(16), RNG(1))["x"])
    assert not torch.equal(batch["x"], batch["source"])
    assert torch.equal(apart.drop_column("source").batch(np.arange(16), RNG(1))["x"], batch["x"])


def test_a_batch_depends_on_the_seed_of_the_generator_only() -> None:
    table = with_source(pictures()).with_column("noisy", Derived("source", noisy))
    batch, again = (table.batch([3, 3, 5], RNG([4, 2])) for _ in range(2))
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert not torch.equal(batch["noisy"][0], batch["noisy"][1])
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda _: table.batch([3, 3, 5], RNG([4, 2])), range(16)))
    assert all(torch.equal(each["noisy"], batch["noisy"]) for each in many)


def test_without_augmentation_nothing_is_drawn() -> None:
    table = with_source(pictures()).with_column("noisy", Derived("x", noisy))
    examples, again = table.examples([1, 2, 1]), table.take([2, 1]).examples([1, 0])
    assert torch.equal(examples["x"], pictures(mirror=False).signals([1, 2, 1]))
    assert torch.equal(examples["noisy"][0], examples["noisy"][2])  # An example has the same noise in every call.
    assert torch.equal(examples["noisy"][:2], again["noisy"])
    assert torch.equal(table.column("noisy", [1, 2]), again["noisy"])
    assert not torch.equal(examples["noisy"][0] - examples["x"][0], examples["noisy"][1] - examples["x"][1])
    fixed = table.with_column("noisy", Derived("x", noisy, redraw=False)).batch([4], RNG(0))
    torch.testing.assert_close(fixed["noisy"] - fixed["x"], table.column("noisy", [4]) - table.signals([4]))


def test_derived_columns() -> None:
    def half(x: Tensor, rng: np.random.Generator) -> Tensor:
        return x[:, ::2, ::2]

    table = pictures().with_column("small", Derived("x", half)).with_column("both", Derived(("small", "x"), add))
    assert table.columns["small"].shape == (3, 2, 3) and table.columns["small"].modality == Image()
    batch = table.batch([0, 1], RNG(0))
    assert torch.equal(batch["small"], batch["x"][:, :, ::2, ::2])
    assert torch.equal(batch["both"], batch["small"] + batch["x"].mean((1, 2, 3), keepdim=True))
    assert pictures().take([]).with_column("small", Derived("x", half)).columns["small"].shape == (3, 2, 3)
    assert table.examples([])["small"].shape == (0, 3, 2, 3)
    with pytest.raises(ValueError, match="needs the column 'small'"):
        table.drop_column("small")
    with pytest.raises(UserError, match="no column 'mask'; it has x"):
        pictures().with_column("small", Derived("mask", half))


def add(a: Tensor, b: Tensor, rng: np.random.Generator) -> Tensor:
    return a + b.mean()


def test_views_and_other_columns() -> None:
    codes = np.arange(20, dtype=np.int8) % 3
    table = pictures().with_column("label", Labels(codes, ["a", "b", "c"]))
    assert (table.labels, table.class_counts, table.targets.dtype) == (["a", "b", "c"], [7, 7, 6], np.int64)
    view = table.take([5, 1]).take(slice(0, 1))
    assert view.targets.tolist() == [2] and view.columns is table.columns and len(view) == 1
    assert view.batch([0, 0], RNG(0))["label"].dtype == torch.int64
    plain = view.drop_column("label")
    assert (plain.labels, plain.targets.tolist(), plain.class_counts) == ([], [], [])
    assert plain.drop_column("label").columns.keys() == {"x"} and "label" in table.columns
    assert table.with_column("more", None) is table and table.with_column("more", lambda table: None) is table
    assert table.with_column("n", lambda t: Values(np.ones((len(t), 2)))).column("n", [0]).tolist() == [[1.0, 1.0]]
    with pytest.raises(ValueError, match="needs a column 'x'"):
        Table({"label": Labels(codes, "abc")}, 20)
    with pytest.raises(UserError, match="no column 'text'; it has x, label: 20 colour images"):
        table.column("text", [0])


def test_numbers_are_mapped() -> None:
    values = Values(np.arange(40).reshape(20, 2), ["a", "b"])
    table = pictures().with_column("knobs", values).take([3, 1, 3])
    mapped = table.map_column("knobs", lambda v: -v.astype(np.float64))
    assert mapped.column("knobs", slice(None)).tolist() == [[-6.0, -7.0], [-2.0, -3.0], [-6.0, -7.0]]
    assert mapped.columns["knobs"].names == ("a", "b") and mapped.column("knobs", [0]).dtype == torch.float32
    assert table.column("knobs", [0]).tolist() == [[6.0, 7.0]]
    assert mapped.take([1]).column("knobs", [0]).tolist() == [[-2.0, -3.0]]
    with pytest.raises(ValueError, match="'x' is not numeric"):
        table.map_column("x", np.negative)
    assert table.take([]).map_column("knobs", np.negative).column("knobs", []).shape == (0, 2)


def test_texts() -> None:
    column = Texts.from_strings(["ab", "", "über"])
    assert (column.alphabet, column.shape) == ("aberü", (4,))
    x = column.read(np.array([2, 0, 1]))
    assert x.tolist() == [[5, 2, 3, 4], [1, 2, 0, 0], [0, 0, 0, 0]] and x.dtype == torch.int64
    assert column.texts(np.array([2])) == ["über"]
    assert Texts.from_strings(["ba"], "abc", 3).read(np.array([0])).tolist() == [[2, 1, 0]]
    with pytest.raises(UserError, match="unknown characters 'z'; known are 'ab'"):
        Texts.from_strings(["az"], "ab")
    with pytest.raises(UserError, match="one has 3 characters; at most 2"):
        Texts.from_strings(["aaa"], length=2)


def test_batches_are_copies() -> None:
    columns: dict[str, Column] = {
        "x": Signals(np.ones((4, 2), np.float32)),
        "knobs": Values(np.ones((4, 2), np.float32)),
        "label": Labels(np.ones(4, np.int64), "ab"),
    }
    table = Table(columns, 4)
    for places in (slice(None), [0, 1, 2, 3]):
        for value in table.batch(places).values():
            value.zero_()
    assert all((value == 1).all() for value in table.examples(slice(None)).values())


def test_a_batch_is_freed_at_once() -> None:
    table = with_source(pictures()).with_column("noisy", Derived("x", noisy))
    gc.disable()
    try:
        values = [weakref.ref(value) for value in table.batch([1, 2], RNG(0)).values()]
        assert [value() for value in values] == [None] * 3
    finally:
        gc.enable()


class Made:
    """Storage of a million signals that are computed when they are read."""

    shape, dtype = (1_000_000, 1, 4096), np.dtype(np.float32)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.asarray(rows, np.float32)[:, None, None] * np.ones((1, 1, 4096), np.float32)


def test_memory_is_bounded_at_a_million_rows() -> None:
    million = 1_000_000
    tracemalloc.start()
    try:
        columns = {
            "x": Signals(Made(), indices=np.arange(million)),
            "label": Labels(np.zeros(million, np.int8), ["a"]),
            "speaker": Labels(np.arange(million, dtype=np.int32) // 100, [""] * 10_000),
        }
        table = Table(columns, million, recordings=columns["speaker"].class_indices)
        table = table.with_column("low", Derived("x", lambda x, rng: x[:, ::2]))
        train, held = table.split(0.1)
        batch = train.batch(RNG(0).integers(0, len(train), 64), RNG(0))
        assert len(held) == 100_000 and batch["low"].shape == (64, 1, 2048)
        built, peak = tracemalloc.get_traced_memory()
        assert len(table.split(0.1, groups="speaker")[1]) == 100_000
    finally:
        tracemalloc.stop()
    assert built < 60e6 and peak < 400e6, (built, peak)  # The signals would take 16 GB.
