"""The recipe whose sound comes nearest to a recording."""

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
from audiogan.games.calling import call
from audiogan.inputs import Knobs
from audiogan.latents.recording import prepare
from audiogan.losses.spectra import Likeness, log_spectral_distance
from audiogan.model.recipe import Recipe

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

COST = 0.014
"""Seconds in which a core of a small server makes, compares and improves one sound of a second."""
POOL_COST = 0.3
"""The same without improving it."""
POOL_SHARE, POOL_LARGEST = 0.15, 512
"""Random sounds to start from: part of the time that they may take, and their number."""
ROUNDS: tuple[tuple[int, float], ...] = ((6, 0.45), (2, 0.3), (1, 0.25))
"""How many sounds are improved at a time, and in which part of the time."""
Progress = Callable[[float], object]


@dataclass(frozen=True, eq=False)
class Encoding:
    """The sound of a model that is nearest to a recording.

    Attributes:
        recipe: of that sound.
        distance: how far it is from the recording, in dB (`log_spectral_distance`, 64 mel bands).
        start: the same of the nearest of the random sounds that the search began with.
        wave: the sound itself, float32 `[C, T]`.
        recording: what it was compared with, float32 `[C, T]`: at the model's rate, from its onset on, cropped or
            padded, and at the model's level.
    """

    recipe: Recipe
    distance: float
    start: float
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
    """The recipe whose sound is nearest to a recorded one.

    Some hundred random sounds are compared with the recording, half of them with the knobs that are measured on it.
    Adam (Kingma & Ba 2015) improves the nearest, latent, class weights and knobs together, by the gradient of a
    multi-resolution spectral loss (`Likeness`); the worse ones are dropped on the way. Latents stay no longer than 99
    of 100 random ones are, so that the result can be varied and morphed like any other sound.

    Args:
        generator: of sounds.
        wave: a sound file, or samples `[T]` or `[C, T]`, of any level.
        sample_rate: of samples, in Hz; that of a file stands in it.
        label: the class it is to be, or a mixture (`Generator.sample`); without one, whatever class and mixture fits.
        seconds: 0.1 ... 600, how much work is done: about what one core needs that long for. It is counted in steps,
            not by a clock: the same recording, seed and number of threads give the same recipe.
        seed: of the random sounds.
        progress: called now and then with the share of the work that is done, 0 ... 1. What it raises ends the search.

    Raises:
        UserError: a model of something else than sounds; a recording that is missing, unreadable, shorter than 5 ms,
            silent or not finite; an unknown class.

    Examples:
        >>> g = audiogan.load("drums")
        >>> kick = g.sample(1, seed=3, label="kick")[0]  # or the name of a sound file
        >>> found = encode(g, kick, g.sample_rate, seconds=0.3)
        >>> found.recipe.label, found.distance <= found.start
        ('kick', True)
    """
    if generator.modality.sample_rate is None:
        raise UserError(f"{generator.name}: it makes {generator.modality.noun}s; only sounds can be encoded")
    generator.check_drawable("imitations")
    if not 0.1 <= seconds <= 600:
        raise UserError(f"seconds={seconds} must be from 0.1 to 600")
    recording = prepare(generator, wave, sample_rate)
    search = _Search(generator, recording, generator.requested(label))
    budget = seconds / (COST * max(0.1, recording.size / 16384))
    first = search.draw(int(np.clip(POOL_SHARE * budget / POOL_COST, 16, POOL_LARGEST)), seed)
    found = search.improve(first, budget * (1 - POOL_SHARE), progress)
    # Between what was found and what was there the measure decides, not the loss.
    before, after = search.finished(first), search.finished(found)
    return replace(min(before, after, key=lambda each: each.distance), start=before.distance)


def nearest_distance(waves: NDArray[np.float32], recording: NDArray[np.float32], sample_rate: int) -> float:
    """Distance in dB (`log_spectral_distance`) of the nearest of sounds `[N, C, T]` to a recording `[C, T]` that was
    prepared: for random sounds, what an imitation has to be better than.
    """
    made, wanted = torch.from_numpy(waves), torch.from_numpy(recording)
    return float(log_spectral_distance(made, wanted[None], sample_rate).min())


@dataclass
class _Candidates:
    """Candidates: parameters ``[B, ...]`` of the inputs that are searched, values of the fixed ones, and losses."""

    free: dict[str, Tensor]
    fixed: dict[str, Tensor]
    loss: Tensor

    def best(self, count: int) -> _Candidates:
        return self.rows(self.loss.argsort(stable=True)[:count])  # copies

    def rows(self, rows: slice | Tensor) -> _Candidates:
        free, fixed = ({name: x.detach()[rows] for name, x in part.items()} for part in (self.free, self.fixed))
        return _Candidates(free, fixed, self.loss.detach()[rows])


class _Search:
    """The search for the inputs of a sound like ``recording``.

    Args:
        generator: the model.
        recording: float32 ``[C, T]``.
        requested: values of inputs that are fixed, such as the class.
    """

    def __init__(self, generator: Generator, recording: NDArray[np.float32], requested: Mapping[str, Tensor]) -> None:
        self.generator, self.recording, self.requested = generator, recording, requested
        self.device = next(generator.game.parameters()).device
        self.likeness = Likeness(torch.from_numpy(recording).to(self.device), generator.sample_rate)

    def draw(self, count: int, seed: int) -> _Candidates:
        """Draw random candidates and their losses; half of them have the knobs of the recording."""
        game = self.generator.game
        rng = torch.Generator().manual_seed(seed)
        z = game.draw(count, rng, only=("latent",))
        measured = self._measured()
        half = count // 2 if measured else 0
        counts = [(half, {**self.requested, **measured})] if half else []
        parts = [
            game.draw(each, rng, skip=("latent",), **requested)
            for each, requested in [*counts, (count - half, self.requested)]
        ]
        values = z | {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        free: dict[str, Tensor] = {}
        fixed: dict[str, Tensor] = {}
        for name, x in values.items():
            parameter = None if name in self.requested else game.inputs[name].to_free(x)
            (fixed if parameter is None else free)[name] = (x if parameter is None else parameter).to(self.device)
        places = _Candidates(free, fixed, torch.zeros(count))
        with torch.no_grad():
            losses = [self.loss(places.rows(slice(i, i + 16))) for i in range(0, count, 16)]
        places.loss = torch.cat(losses)
        return places

    def _measured(self) -> dict[str, Tensor]:
        """Return the knobs of the recording."""
        from audiogan.data.sounds.knobs import measure

        found = {}
        for name, given in self.generator.inputs.items():
            if isinstance(given, Knobs) and name not in self.requested:
                values = measure(self.recording[None], self.generator.sample_rate, given.names)
                found[name] = torch.from_numpy(given.scale.scores(values)[0])
        return found

    def improve(self, places: _Candidates, budget: float, progress: Progress | None) -> _Candidates:
        """Return better candidates, after about ``budget`` steps of one sound."""
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
        return {**places.fixed, **{name: inputs[name].from_free(x) for name, x in places.free.items()}}

    def loss(self, places: _Candidates) -> Tensor:
        """Return the loss ``[B]`` of the sounds at the level at which they are played."""
        game = self.generator.game
        values = self.values(places)
        net = game.nets[game.main]
        made = game.representation.decode(call(net, values).float())
        peak = made.abs().amax((1, 2), keepdim=True).clamp_min(1e-3)
        return self.likeness(made * (float(np.abs(self.recording).max()) / peak))

    @torch.no_grad()
    def bound(self, places: _Candidates) -> None:
        """Move candidates to where the model was trained."""
        for name, parameter in places.free.items():
            self.generator.inputs[name].bound(parameter)

    def finished(self, places: _Candidates) -> Encoding:
        """Return the best candidate with the sound that its recipe gives."""
        generator, best = self.generator, places.best(1)
        values = {name: x.detach().cpu() for name, x in self.values(best).items()}
        values = {name: generator.inputs[name].rounded(x[0])[None] for name, x in values.items()}
        recipe = generator.recipe_of(values)
        wave = generator.render(recipe)[0]
        distance = log_spectral_distance(
            torch.from_numpy(wave)[None], torch.from_numpy(self.recording)[None], generator.sample_rate
        )
        return Encoding(recipe, float(distance), math.nan, wave, self.recording)
