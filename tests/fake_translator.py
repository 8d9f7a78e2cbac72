"""A generator that translates signals, for tests of `audiogan.applying`: it needs no training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogan.errors import UserError
from audiogan.generator import Generator
from audiogan.inputs import Input, Signal
from audiogan.modalities import Image, Sound
from audiogan.reading.pictures import read_picture
from audiogan.sounds import load_wav


def float32(value: Any, shape: Any = None) -> np.ndarray:
    return np.asarray(value, np.float32)


class Pictures(Image):
    """Pictures without the conversions of the modality."""

    def load(self, path: Any, shape: Any) -> np.ndarray:
        return read_picture(path).values(shape[0])

    convert = staticmethod(float32)  # type: ignore[assignment]


class Sounds(Sound):
    """Sounds without the conversions of the modality."""

    def load(self, path: Any, shape: Any) -> np.ndarray:
        return load_wav(path)[0]

    convert = staticmethod(float32)  # type: ignore[assignment]


class Game:
    """``generate`` negates the source; ``made`` replaces that. It counts the tiles in ``shapes``."""

    def __init__(self, inputs: Mapping[str, Input], field: int | None, multiple: int) -> None:
        self.inputs = inputs
        self.nets = {"generator": SimpleNamespace(receptive_field=field, multiple=multiple)}
        self.generators = {"generator": SimpleNamespace(source=None, target=None)}
        self.made: Callable[[dict[str, Tensor]], Tensor] = lambda inputs: -inputs["source"]
        self.shapes: list[tuple[int, ...]] = []
        self.routes: list[str | None] = []

    def draw(self, n: int, random: Any, skip: Any = (), **requested: Tensor) -> dict[str, Tensor]:
        return {name: x.draw(n, random, requested.get(name)) for name, x in self.inputs.items() if name not in skip}

    def input(self, name: str) -> Input:
        if name not in self.inputs:
            raise UserError(f"the model has no input {name!r}")
        return self.inputs[name]

    def generate(self, inputs: dict[str, Tensor], *, generator: str | None = None) -> Tensor:
        self.shapes.append(tuple(inputs["source"].shape[1:]))
        self.routes.append(generator)
        return self.made(inputs)


class Translator:
    """What `audiogan.applying` asks of a generator.

    Args:
        shape: of the source, such as ``[3, 64, 64]``.
        field: receptive field; ``None``: windows.
        more: further inputs.
        k: factor of the resolution.
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
    ) -> None:
        sound = len(shape) == 2
        self.modality: Any = Sounds(k * sample_rate, normalize) if sound else Pictures()
        kind: Any = Sounds(sample_rate, normalize) if sound else Pictures()
        self.inputs: dict[str, Input] = {**(more or {}), "source": Signal("source", shape, kind)}
        self.game = Game(self.inputs, field, multiple)
        self.shape = (shape[0], *(None if size is None else k * size for size in shape[1:]))
        self.labels: list[str] = []
        self.config: dict[str, Any] = {}
        self.name, self.step = "fake", 7
        if k > 1:
            self.game.made = lambda inputs: -enlarged(inputs["source"], k)

    @property
    def routes(self) -> dict[str, Any]:
        return self.game.generators

    route, chosen, route_names = Generator.route, Generator.chosen, Generator.route_names  # type: ignore[assignment]
    _listed, _domain = Generator._listed, Generator._domain  # type: ignore[assignment]


def enlarged(x: Tensor, k: int) -> Tensor:
    for dim in range(2, x.dim()):
        x = x.repeat_interleave(k, dim)
    return x


def noise(*shape: int, seed: int = 0, dtype: Any = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
