"""GAN inversion for sounds: find the recipe with the sound most similar to a recording."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.games.calling import call_network
from audiogan.inputs import Knobs
from audiogan.latents.recording import prepare_recording
from audiogan.losses.spectra import RecordingLoss, log_spectral_distance
from audiogan.model.recipe import Recipe
from audiogan.model.recipe_inputs import parse_inputs

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

COST = 0.014
"""Time of one optimisation step of one candidate sound on one CPU core, in seconds per second of sound."""
POOL_COST = 0.3
"""Time to generate and compare one random sound, as a fraction of `COST`."""
POOL_SHARE, POOL_LARGEST = 0.15, 512
"""Fraction of the computing time for the random sounds compared at the start, and maximum number of these sounds."""
ROUNDS: tuple[tuple[int, float], ...] = ((6, 0.45), (2, 0.3), (1, 0.25))
"""Stages of the optimisation: number of candidates, and fraction of the whole optimisation spent on the stage."""
Progress = Callable[[float], object]


@dataclass(frozen=True, eq=False)
class Encoding:
    """Result of `encode`: the sound of a model most similar to a recording.

    Attributes:
        recipe: recipe of the sound.
        distance: distance between the sound and the recording in dB, see `log_spectral_distance` (64 mel bands).
        initial_distance: distance between the recording and the most similar random sound, before the optimisation, in
            dB.
        wave: the sound, float32 ``[C, T]``.
        recording: the recording after preparation, float32 ``[C, T]``: at the sample rate, length and level of the
            model, starting at the onset.
    """

    recipe: Recipe
    distance: float
    initial_distance: float
    wave: NDArray[np.float32]
    recording: NDArray[np.float32]


def encode(
    generator: Generator,
    wave: str | os.PathLike[str] | NDArray[np.floating],
    sample_rate: int | None = None,
    *,
    label: str | Mapping[str, float] | None = None,
    seconds: float = 10.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Encoding:
    """Find the recipe with the sound most similar to a recording.

    Random sounds are compared with the recording. Half of them use the knob settings measured on the recording. Adam
    then optimises latent, class weights and knobs of the best candidates jointly, by the gradient of a multi-resolution
    spectral loss (`RecordingLoss`). The number of candidates decreases in three stages. The norm of the latent is
    limited to the 99 % quantile of the norms of random latents, so that the result can be varied and morphed like any
    other sound.

    Args:
        generator: model of sounds.
        wave: path of a sound file, or samples ``[T]`` or ``[C, T]`` at any level.
        sample_rate: sample rate of the samples in ``wave``, in Hz. Files store their own.
        label: class name or weights of classes for the result. None optimises the class weights.
        seconds: approximate computing time on one CPU core, 0.1 ... 600. It is converted to a fixed number of steps.
            Two calls with equal arguments and equally many threads therefore give equal recipes.
        seed: random seed of the initial sounds.
        progress: function called with the completed fraction of the work, 0 ... 1. An exception that it raises ends the
            search.

    Returns:
        The recipe, its sound, and the distance from the recording.

    Raises:
        UserError: the model does not generate sounds, the class is unknown, or the recording is missing, unreadable,
            shorter than 5 ms, silent or not finite.

    Source:
        Adam: Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

    Examples:
        >>> import audiogan
        >>> from audiogan.latents import encode
        >>> generator = audiogan.load("drums")
        >>> recording = generator.sample(1, seed=5)[0]
        >>> result = encode(generator, recording, generator.sample_rate, seconds=0.1)
        >>> result.wave.shape
        (1, 16384)
    """
    if generator.modality.sample_rate is None:
        raise UserError(f"{generator.name}: it makes {generator.modality.noun}s; only sounds can be encoded")
    generator.require_random_inputs("encodings")
    if not 0.1 <= seconds <= 600:
        raise UserError(f"seconds={seconds} must be from 0.1 to 600")
    recording = prepare_recording(generator, wave, sample_rate)
    search = _Search(generator, recording, parse_inputs(generator, label))
    budget = seconds / (COST * max(0.1, recording.size / 16384))
    first = search.draw(int(np.clip(POOL_SHARE * budget / POOL_COST, 16, POOL_LARGEST)), seed)
    found = search.improve(first, budget * (1 - POOL_SHARE), progress)
    # The best random sound and the optimised sound are compared by `log_spectral_distance`, because the loss only
    # approximates it.
    before, after = search.finished(first), search.finished(found)
    return replace(min(before, after, key=lambda each: each.distance), initial_distance=before.distance)


def nearest_distance(waves: NDArray[np.float32], recording: NDArray[np.float32], sample_rate: int) -> float:
    """Return the smallest distance in dB between sounds and a prepared recording, see `log_spectral_distance`.

    For random sounds, this is the baseline: an encoding should be closer to the recording.

    Args:
        waves: sounds, float32 ``[N, C, T]``.
        recording: recording from `prepare_recording`, float32 ``[C, T]``.
        sample_rate: sample rate of both, in Hz.
    """
    made, wanted = torch.from_numpy(waves), torch.from_numpy(recording)
    return float(log_spectral_distance(made, wanted[None], sample_rate).min())


@dataclass
class _Candidates:
    """Candidates of the search: optimised parameters ``[B, ...]``, fixed input values, and losses ``[B]``."""

    free: dict[str, Tensor]
    fixed: dict[str, Tensor]
    loss: Tensor

    def best(self, count: int) -> _Candidates:
        return self.rows(self.loss.argsort(stable=True)[:count])  # copies

    def rows(self, rows: slice | Tensor) -> _Candidates:
        free, fixed = ({name: x.detach()[rows] for name, x in part.items()} for part in (self.free, self.fixed))
        return _Candidates(free, fixed, self.loss.detach()[rows])


class _Search:
    """Search for the input values of the sound most similar to a recording.

    Args:
        generator: the model.
        recording: prepared recording, float32 ``[C, T]``.
        requested: values of inputs that stay fixed, such as the class.
    """

    def __init__(self, generator: Generator, recording: NDArray[np.float32], requested: Mapping[str, Tensor]) -> None:
        self.generator, self.recording, self.requested = generator, recording, requested
        self.device = next(generator.game.parameters()).device
        self.likeness = RecordingLoss(torch.from_numpy(recording).to(self.device), generator.sample_rate)

    def draw(self, count: int, seed: int) -> _Candidates:
        """Draw random candidates and compute their losses. Half of them have the knob settings of the recording."""
        game = self.generator.game
        rng = torch.Generator().manual_seed(seed)
        z = game.draw(count, rng, selected_names=("latent",))
        measured = self._measured()
        half = count // 2 if measured else 0
        counts = [(half, {**self.requested, **measured})] if half else []
        parts = [
            game.draw(each, rng, excluded_names=("latent",), **requested)
            for each, requested in [*counts, (count - half, self.requested)]
        ]
        values = z | {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        free: dict[str, Tensor] = {}
        fixed: dict[str, Tensor] = {}
        for name, x in values.items():
            parameter = None if name in self.requested else game.inputs[name].to_parameter(x)
            (fixed if parameter is None else free)[name] = (x if parameter is None else parameter).to(self.device)
        places = _Candidates(free, fixed, torch.zeros(count))
        with torch.no_grad():
            losses = [self.loss(places.rows(slice(i, i + 16))) for i in range(0, count, 16)]
        places.loss = torch.cat(losses)
        return places

    def _measured(self) -> dict[str, Tensor]:
        """Return the knob settings of the recording as normal scores."""
        from audiogan.data.sounds.knobs import measure_knobs

        found = {}
        for name, given in self.generator.inputs.items():
            if isinstance(given, Knobs) and name not in self.requested:
                values = measure_knobs(self.recording[None], self.generator.sample_rate, given.names)
                found[name] = torch.from_numpy(given.scale.to_normal_scores(values)[0])
        return found

    def improve(self, places: _Candidates, budget: float, progress: Progress | None) -> _Candidates:
        """Return optimised candidates. ``budget`` is the number of steps times the number of candidates."""
        rounds = [(count, max(1, round(share * budget / count))) for count, share in ROUNDS]
        total, done, spent = sum(steps for _, steps in rounds), 0, 0
        work = sum(count * steps for count, steps in rounds)
        inputs = self.generator.inputs
        for count, steps in rounds:
            places = places.best(count)
            for parameter in places.free.values():
                parameter.requires_grad_(True)
            groups = [{"params": [x], "rate": inputs[name].rate} for name, x in places.free.items() if x.numel()]
            adam = torch.optim.Adam(groups, betas=(0.9, 0.95))
            best = places.best(count)
            best.loss.fill_(torch.inf)
            for step in range(steps):
                warm = min(1.0, (step + 1) / 5) * (0.5 + 0.5 * math.cos(math.pi * done / total))
                done, spent = done + 1, spent + count
                for group in adam.param_groups:
                    group["lr"] = group["rate"] * warm
                loss = self.loss(places)
                adam.zero_grad()
                loss.sum().backward()
                better = loss.detach() < best.loss
                best.loss[better] = loss.detach()[better]
                for name, parameter in places.free.items():
                    best.free[name][better] = parameter.detach()[better]
                adam.step()
                self.bound(places)
                if progress is not None:
                    progress(POOL_SHARE + (1 - POOL_SHARE) * spent / work)
            places = best
        return places

    def values(self, places: _Candidates) -> dict[str, Tensor]:
        """Return the input values of candidates."""
        inputs = self.generator.inputs
        return {**places.fixed, **{name: inputs[name].from_parameter(x) for name, x in places.free.items()}}

    def loss(self, places: _Candidates) -> Tensor:
        """Return the losses ``[B]`` of candidates, with all sounds at the peak level of the recording."""
        game = self.generator.game
        values = self.values(places)
        net = game.nets[game.default_generator]
        made = game.representation.decode(call_network(net, values).float())
        peak = made.abs().amax((1, 2), keepdim=True).clamp_min(1e-3)
        return self.likeness(made * (float(np.abs(self.recording).max()) / peak))

    @torch.no_grad()
    def bound(self, places: _Candidates) -> None:
        """Project candidates to the range of input values used in training."""
        for name, parameter in places.free.items():
            self.generator.inputs[name].clip_parameter(parameter)

    def finished(self, places: _Candidates) -> Encoding:
        """Return the best candidate, with the sound rendered from its recipe."""
        generator, best = self.generator, places.best(1)
        values = {name: x.detach().cpu() for name, x in self.values(best).items()}
        values = {name: generator.inputs[name].drop_negligible(x[0])[None] for name, x in values.items()}
        recipe = generator.recipe_from_values(values)
        wave = generator.render(recipe)[0]
        distance = log_spectral_distance(
            torch.from_numpy(wave)[None], torch.from_numpy(self.recording)[None], generator.sample_rate
        )
        return Encoding(recipe, float(distance), math.nan, wave, self.recording)
