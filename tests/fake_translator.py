"""A generator that translates signals without training, for tests of `audiogan.model.translation`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from audiogan.games.generative import Generative, Route
from audiogan.inputs import Input, Signal
from audiogan.modalities import Image, Sound
from audiogan.model.generator import Generator
from audiogan.representations import Identity


class AnySize(Identity):
    """Signal input for signals of any size."""

    def __init__(self, shape: tuple[int | None, ...]) -> None:
        nn.Module.__init__(self)
        self.shape = self.signal_shape = shape  # type: ignore[assignment]


class Net(nn.Module):
    """Network that negates the source, or returns ``made`` instead. It stores the shapes of the tiles in ``shapes``."""

    def __init__(self, takes: frozenset[str], field: int | None, multiple: int) -> None:
        super().__init__()
        self.takes, self.receptive_field, self.multiple = takes, field, multiple
        self.unused = nn.Parameter(torch.zeros(1))
        self.made: Callable[[dict[str, Tensor]], Tensor] = lambda inputs: -inputs["source"]
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, **inputs: Tensor) -> Tensor:
        self.shapes.append(tuple(inputs["source"].shape[1:]))
        return self.made(inputs)


class Translator(Generator):
    """Generator of signals like its source.

    Args:
        shape: shape of the source, such as ``[3, 64, 64]``.
        field: receptive field. ``None``: overlapping windows.
        more: further inputs.
        k: factor of the resolution.
        routes: source and target class, as indices of ``labels``, by the name of the generator.
    """

    def __init__(
        self,
        shape: tuple[int | None, ...] = (3, 64, 64),
        field: int | None = 2,
        more: Mapping[str, Input] | None = None,
        *,
        multiple: int = 1,
        k: int = 1,
        sample_rate: int = 8000,
        normalize: str | None = None,
        routes: Mapping[str, Route] | None = None,
        labels: tuple[str, ...] = (),
    ) -> None:
        kinds: list[Any] = [Sound(sample_rate * each, normalize) if len(shape) == 2 else Image() for each in (1, k)]
        inputs: dict[str, Input] = {**(more or {}), "source": Signal("source", shape, kinds[0])}
        nets = {name: Net(frozenset(inputs), field, multiple) for name in routes or ("generator",)}
        self.net = next(iter(nets.values()))
        if k > 1:
            self.net.made = lambda inputs: -enlarged(inputs["source"], k)
        target = (shape[0], *(None if size is None else k * size for size in shape[1:]))
        game = Generative(nets, AnySize(target), inputs, routes)
        super().__init__(game, kinds[1], {"facts": {"labels": labels}}, Path("fake"), 7)


def enlarged(x: Tensor, k: int) -> Tensor:
    for dim in range(2, x.dim()):
        x = x.repeat_interleave(k, dim)
    return x


def noise(*shape: int, seed: int = 0, dtype: Any = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
