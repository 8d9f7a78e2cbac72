"""Tests of tiling: the result must not depend on the tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from audiogan.errors import UserError
from audiogan.model.translation import tiling
from audiogan.model.translation.tiling import Array, Process, apply_tiled, reflect_indices


def exact(source: Any, process: Process, field: int, multiple: int = 1, tile: Any = None, trained: Any = ()) -> Any:
    return apply_tiled(source, process, trained, field, multiple, tile)


def windows(source: Any, process: Process, window: Sequence[int]) -> Iterator[Array]:
    return apply_tiled(source, process, window)


FEW = settings(max_examples=40, deadline=None)


def processing(net: Any) -> tiling.Process:
    def process(tiles: Sequence[np.ndarray]) -> list[np.ndarray]:
        with torch.inference_mode():
            return [net(torch.tensor(tile)[None])[0].numpy() for tile in tiles]

    return process


class Stack(nn.Module):
    """Convolutions with a known receptive field. With ``stride``: an encoder, a decoder and a skip connection."""

    def __init__(self, dimensions: int, kernels: Sequence[int], stride: int, scale: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        conv = (nn.Conv1d, nn.Conv2d)[dimensions - 1]
        self.first = nn.ModuleList(conv(2, 2, kernel, padding=kernel // 2) for kernel in kernels)
        self.down = conv(2, 2, stride, stride=stride) if stride > 1 else None
        self.inner = conv(2, 2, 3, padding=1)
        self.up = nn.Upsample(scale_factor=stride) if stride > 1 else None
        self.larger = nn.Upsample(scale_factor=scale) if scale > 1 else None
        self.last = conv(2, 3, 3, padding=1)
        self.multiple = stride
        # The inner layer depends on `stride` samples on either side, plus up to `stride - 1` because of its grid.
        self.field = sum(kernel // 2 for kernel in kernels) + 2 * stride + 1

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.first:
            x = torch.tanh(layer(x))
        y = x if self.down is None else torch.tanh(self.down(x))
        y = self.inner(y)
        x = x + (y if self.up is None else self.up(y))
        return self.last(x if self.larger is None else self.larger(x))


@FEW
@given(
    st.integers(1, 2),
    st.lists(st.sampled_from([1, 3, 5]), max_size=2),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 1, 2]),
    st.data(),
)
def test_exact_whole_is_tiled(dimensions: int, kernels: list[int], stride: int, scale: int, data: Any) -> None:
    net = Stack(dimensions, kernels, stride, scale, seed=len(kernels))
    sizes = data.draw(st.tuples(*[st.integers(1, 60)] * dimensions))
    cut = data.draw(st.tuples(*[st.integers(1, 70)] * dimensions))
    x = np.random.default_rng(0).standard_normal((2, *sizes)).astype(np.float32)
    whole = list(exact(x, processing(net), net.field, net.multiple, 1000))
    tiled = np.concatenate(list(exact(x, processing(net), net.field, net.multiple, cut)), axis=1)
    assert len(whole) == 1
    assert tiled.shape == whole[0].shape == (3, *(scale * size for size in sizes))
    np.testing.assert_allclose(tiled, whole[0], atol=2e-5)


@FEW
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 50), st.booleans())
def test_blocks_of_a_stream_do_not_matter(blocks: list[int], size: int, blended: bool) -> None:
    net = Stack(1, [5], 2, 1, seed=0)
    x = np.random.default_rng(0).standard_normal((2, sum(blocks))).astype(np.float32)

    def parts() -> Iterator[np.ndarray]:
        yield from np.split(x, np.cumsum(blocks)[:-1], axis=1)

    def translated(source: Any) -> np.ndarray:
        made = (
            windows(source, processing(net), [16])
            if blended
            else exact(source, processing(net), net.field, net.multiple, size)
        )
        return np.concatenate(list(made), axis=1)

    assert (translated(parts()) == translated(x)).all()


def test_the_inside_is_what_the_network_makes_of_the_whole() -> None:
    net = Stack(2, [3], 2, 1, seed=3)
    x = np.random.default_rng(0).standard_normal((2, 64, 48)).astype(np.float32)
    tiled = np.concatenate(list(exact(x, processing(net), net.field, net.multiple, 10)), axis=1)
    direct = processing(net)([x])[0]
    r = net.field
    np.testing.assert_allclose(tiled[:, r:-r, r:-r], direct[:, r:-r, r:-r], atol=2e-5)


@pytest.mark.parametrize("sizes", [(40,), (40, 24)])
def test_a_signal_of_the_trained_size_is_processed_once(sizes: tuple[int, ...]) -> None:
    net = Stack(len(sizes), [3], 2, 1, seed=3)
    x = np.random.default_rng(0).standard_normal((2, *sizes)).astype(np.float32)
    direct = processing(net)([x])[0]
    for made in (exact(x, processing(net), net.field, 2, 8, sizes), windows(x, processing(net), sizes)):
        assert (np.concatenate(list(made), axis=1) == direct).all()


class Norm(nn.Module):
    """Network with an unbounded receptive field that enlarges signals by the factor ``k``."""

    def __init__(self, k: int = 1) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        dims = tuple(range(2, x.dim()))
        y = (x - x.mean(dims, keepdim=True)) / (x.std(dims, correction=0, keepdim=True) + 0.1)
        for dim in dims:
            y = y.repeat_interleave(self.k, dim)
        return y


@FEW
@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 7), st.data())
def test_windows_depend_on_the_signal_alone(dimensions: int, k: int, at_once: int, data: Any) -> None:
    sizes = data.draw(st.tuples(*[st.integers(1, 60)] * dimensions))
    window = data.draw(st.tuples(*[st.integers(2, 20)] * dimensions))
    x = np.random.default_rng(0).standard_normal((2, *sizes)).astype(np.float32)
    before = x.copy()
    first = np.concatenate(list(windows(x, processing(Norm(k)), window)), axis=1)
    assert first.shape == (2, *(k * size for size in sizes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "MAX_TILES", at_once)
        again = np.concatenate(list(windows(np.array_split(x, 5, axis=1), processing(Norm(k)), window)), axis=1)
    assert (first == again).all()
    assert (x == before).all()


@FEW
@given(st.data())
def test_windows_of_a_function_of_each_value_are_that_function(data: Any) -> None:
    sizes = data.draw(st.tuples(*[st.integers(1, 60)] * 2))
    x = np.random.default_rng(0).standard_normal((1, *sizes)).astype(np.float32)
    made = np.concatenate(list(windows(x, lambda tiles: [2 * tile for tile in tiles], (9, 12))), axis=1)
    np.testing.assert_allclose(made, 2 * x, rtol=1e-6)


@pytest.mark.parametrize("sizes", [(1,), (7,), (16,), (17,), (1000,), (1, 1), (3, 500), (33, 16)])
def test_a_constant_stays_constant(sizes: tuple[int, ...]) -> None:
    x = np.full((1, *sizes), 0.3, np.float32)
    made = np.concatenate(list(windows(x, lambda tiles: tiles, (16,) * len(sizes))), axis=1)
    assert made.shape == x.shape
    np.testing.assert_allclose(made, x, rtol=1e-6)


def test_windows_have_no_seams() -> None:
    """Each window has another level. A seam would be a jump as high as the difference of the levels."""
    levels = iter(np.random.default_rng(0).uniform(-1, 1, 100))

    def process(tiles: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.full_like(tile, next(levels)) for tile in tiles]

    for sizes in [(500,), (100, 100)]:
        made = np.concatenate(list(windows(np.zeros((1, *sizes), np.float32), process, (40,) * len(sizes))), axis=1)
        for axis in range(1, made.ndim):
            assert np.abs(np.diff(made, axis=axis)).max() < 2 * np.pi / 2 / 20


@pytest.mark.parametrize("blended", [True, False])
def test_memory_does_not_grow_with_the_length(blended: bool) -> None:
    """A stream discards values that are no longer needed, and results are computed on demand."""
    read = made = 0
    most = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal read
        for _ in range(500):
            read += 100
            yield np.zeros((1, 100), np.float32)

    parts = windows(blocks(), list, [64]) if blended else exact(blocks(), list, 10, 1, 64)
    for part in parts:
        made += part.shape[1]
        most = max(most, read - made)
    assert made == 50_000
    assert most < 64 * (tiling.MAX_TILES + 4) + 300


@pytest.mark.parametrize("blended", [True, False])
def test_pictures_are_processed_line_by_line(blended: bool) -> None:
    alive = 0

    def process(tiles: Sequence[np.ndarray]) -> list[np.ndarray]:
        nonlocal alive
        alive += len(tiles)
        return list(tiles)

    x = np.zeros((1, 1000, 100), np.float32)
    lines = []
    for _ in windows(x, process, (20, 20)) if blended else exact(x, process, 5, 1, 20):
        lines.append(alive)
        alive = 0
    assert max(lines) <= 9 * max(1, 1 + tiling.MAX_TILES // 5) and len(lines) >= 50


@given(st.integers(1, 20), st.integers(-100, 100))
@FEW
def test_reflection_agrees_with_numpy(length: int, place: int) -> None:
    padded = np.pad(np.arange(length), 100, mode="reflect") if length > 1 else np.zeros(201, int)
    if place + 100 < len(padded):
        assert reflect_indices(np.array([place]), length)[0] == padded[place + 100]


def test_faults_are_told() -> None:
    x = np.zeros((1, 50), np.float32)
    with pytest.raises(UserError, match="whole factors"):
        list(exact(x, lambda tiles: [tile[:, ::2] for tile in tiles], 2))
    with pytest.raises(UserError, match="empty"):
        list(windows(np.zeros((1, 0), np.float32), list, [16]))
    with pytest.raises(UserError, match="empty"):
        list(windows(iter([]), list, [16]))
    with pytest.raises(UserError, match="empty"):
        list(exact(np.zeros((1, 4, 0), np.float32), list, 1))
    with pytest.raises(ValueError, match="dimensions"):
        list(windows(x, list, [16, 16]))
    with pytest.raises(ValueError, match="at least 2"):
        list(windows(x, list, [1]))
