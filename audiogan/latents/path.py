"""Closed, smooth paths through the space of a model's inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs import Latent, Seeded
from audiogan.model.sample_inputs import has_random_inputs

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

MAX_POINTS = 1000
"""Maximum number of points of a path."""
BATCH = 32
"""Number of signals that are generated at a time."""
EDGE = 1e-6
"""Smallest distance of a uniform latent from its limits, because the normal scores of the limits are infinite."""


class ClosedPath:
    """Closed path of one or several signals through the space of a model's inputs.

    Each latent on the path is the trigonometric interpolation of the latents of all points. The weights are divided by
    the root of the sum of their squares, see `path_weights`. Uniform latents are converted to normal scores first.

    Args:
        generator: the model.
        requested: one mapping for each signal, from the names of its fixed inputs to their values.
        points: number of random points that the path goes through, 2 to 1,000.
        seed: seed of the first point of the first signal. Each point of each signal has its own seed.
        truncation: truncation of the latent, see `Generator.sample`. ``None``: no truncation.

    Raises:
        UserError: an argument is out of range, an input is missing, or the model draws nothing at random.
    """

    def __init__(
        self,
        generator: Generator,
        requested: Sequence[Mapping[str, Any]],
        points: int,
        seed: int,
        truncation: float | None = None,
    ) -> None:
        if not has_random_inputs(generator):
            raise UserError(
                f"{generator.name}: the model draws no input at random, so it has no walk; use `audiogan apply`"
            )
        if not 2 <= points <= MAX_POINTS:
            raise UserError(f"points={points} must be from 2 to {MAX_POINTS:,}")
        if not 0 <= seed <= 2**63 - 1 - points * len(requested):
            raise UserError(f"seed={seed} must be a whole number from 0 to 2**63 - 1 - the number of points")
        if truncation is not None and not 0 < truncation < math.inf:
            raise UserError(f"truncation={truncation} must be more than 0 and finite")
        self.generator, self.points, self.count, self.truncation = generator, points, len(requested), truncation
        drawn: list[list[dict[str, Tensor]]] = []
        for i, mine in enumerate(requested):
            seeds = range(seed + i * points, seed + (i + 1) * points)
            drawn.append([generator.game.draw(1, Seeded(each), **mine) for each in seeds])
        self._fixed: dict[str, Tensor] = {}
        self._latents: dict[str, Tensor] = {}  # normal scores [points, count, ...]
        self._others: dict[str, Tensor] = {}
        for name, given in generator.inputs.items():
            first = torch.cat([each[0][name] for each in drawn])
            whole = torch.stack([torch.cat([each[p][name] for each in drawn]) for p in range(points)])
            if not given.drawable or bool((whole == first).all()):
                self._fixed[name] = first
            elif isinstance(given, Latent):
                self._latents[name] = whole if given.is_normal else _normal_scores(whole)
            else:
                self._others[name] = whole

    def values(self, positions: NDArray[np.float64]) -> dict[str, Tensor]:
        """Return the input values ``[positions * signals, ...]`` by input name. Positions are in 0 ... 1."""
        inputs, out = self.generator.inputs, {}
        weights = torch.from_numpy(path_weights(positions, self.points)).float()
        for name, whole in self._latents.items():
            x = torch.tensordot(weights, whole, 1).flatten(0, 1)
            given: Any = inputs[name]
            out[name] = x if given.is_normal else 2 * torch.special.ndtr(x) - 1
        for name, whole in self._others.items():
            parts = [self._mix(inputs[name], whole, float(position)) for position in positions]
            out[name] = torch.cat(parts)
        for name, first in self._fixed.items():
            out[name] = first.repeat(len(positions), *[1] * (first.dim() - 1))
        return {name: out[name] for name in inputs}

    def _mix(self, given: Any, whole: Tensor, position: float) -> Tensor:
        """Return the values ``[signals, ...]`` of an input between two points."""
        point, fraction = divmod(position * self.points, 1)
        first, second = whole[int(point) % self.points], whole[(int(point) + 1) % self.points]
        share = math.sin(fraction * math.pi / 2) ** 2  # With this easing, the path has no corners.
        if not whole.is_floating_point():
            return first if share < 0.5 else second
        return torch.stack([given.mix(a, b, share) for a, b in zip(first, second, strict=True)])

    def signals(self, positions: NDArray[np.float64], route: str | None = None) -> Iterator[NDArray[np.float32]]:
        """Yield the signals ``[signals, *shape]`` at each position. A few positions are computed at a time."""
        generator, size = self.generator, max(1, BATCH // self.count)
        for start in range(0, len(positions), size):
            part = positions[start : start + size]
            made = generator.game.generate(self.values(part), generator=route, truncation=self.truncation)
            if not bool(torch.isfinite(made.sum())):
                raise UserError(f"{generator.name}: its {generator.modality.noun}s are not finite numbers")
            x = generator.modality.postprocess(made.cpu().numpy())
            yield from x.reshape(len(part), self.count, *x.shape[1:])


def path_weights(positions: NDArray[np.float64], points: int) -> NDArray[np.float64]:
    """Return the weights ``[positions, points]`` of the points of a closed path. The squares of a row sum to 1.

    The weights are those of trigonometric interpolation through equidistant points, divided by their norm. A path
    through standard normal latents is therefore smooth, and each latent on it is standard normal.

    Args:
        positions: positions on the path, 0 ... 1. Point ``k`` is at ``k / points``.
        points: number of points.
    """
    x = np.pi * (np.asarray(positions)[:, None] - np.arange(points) / points)
    at_point = np.abs(np.sin(x)) < 1e-9
    below = np.where(at_point, 1.0, points * (np.sin(x) if points % 2 else np.tan(x)))
    weights = np.where(at_point, 1.0, np.sin(points * x) / below)
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


def _normal_scores(x: Tensor) -> Tensor:
    return torch.special.ndtri(((x.double() + 1) / 2).clamp(EDGE, 1 - EDGE)).float()
