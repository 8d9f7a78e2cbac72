"""The recipe whose sound comes nearest to a recording."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.latents.recording import prepare
from audiogan.losses.spectra import Likeness, log_spectral_distance
from audiogan.recipe import Recipe

if TYPE_CHECKING:
    from audiogan.generator import Generator

COST = 0.014
"""Seconds in which a core of a small server makes, compares and improves one sound of a second."""
POOL_COST = 0.3
"""The same without improving it."""
POOL_SHARE, POOL_LARGEST = 0.15, 512
"""Random sounds to start from: part of the time that they may take, and their number."""
ROUNDS: tuple[tuple[int, float], ...] = ((6, 0.45), (2, 0.3), (1, 0.25))
"""How many sounds are improved at a time, and in which part of the time."""
RATE, CLASS_RATE, CLASS_LOGIT = 0.1, 0.2, 5.0
TYPICAL = 0.99
"""Latents are not longer than this share of random ones."""
LEAST = 0.02
"""Classes of less weight are left out of a recipe."""
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
    """
    if generator.modality.sample_rate is None:
        raise UserError(f"{generator.name}: it makes {generator.modality.noun}s; only sounds can be encoded")
    if not 0.1 <= seconds <= 600:
        raise UserError(f"seconds={seconds} must be from 0.1 to 600")
    recording = prepare(generator, wave, sample_rate)
    search = _Search(generator, recording, generator._weights(label))
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
class _Places:
    """Places in a model's space of sounds: latents `[B, D]`, class logits `[B, classes]`, knobs `[B, knobs]`."""

    z: Tensor
    classes: Tensor
    knobs: Tensor
    loss: Tensor

    def best(self, count: int) -> _Places:
        order = self.loss.argsort(stable=True)[:count]
        z, classes, knobs, loss = (x.detach()[order].clone() for x in [*self.parts, self.loss])
        return _Places(z, classes, knobs, loss)

    @property
    def parts(self) -> list[Tensor]:
        return [self.z, self.classes, self.knobs]


class _Search:
    """What stays the same while places are looked for whose sound is like ``recording``.

    ``weights`` `[classes]`: what class it is to be, ``None`` for any.
    """

    def __init__(self, generator: Generator, recording: NDArray[np.float32], weights: Tensor | None) -> None:
        self.generator, self.recording, self.weights = generator, recording, weights
        self.device = next(generator.game.parameters()).device
        self.likeness = Likeness(torch.from_numpy(recording).to(self.device), generator.sample_rate)
        self.normal = generator.game._normal
        self.longest = _longest(generator.game.latent_dim)

    def draw(self, count: int, seed: int) -> _Places:
        """``count`` random places and how good they are; half of them have the knobs of the recording."""
        game, scale = self.generator.game, self.generator.scale
        rng = torch.Generator().manual_seed(seed)
        z = game.latents(count, rng)
        asked: dict[int, float] = {}
        if scale is not None:
            from audiogan.data.knobs import measure

            values = measure(self.recording[None], self.generator.sample_rate, scale.names)
            asked = {i: float(score) for i, score in enumerate(scale.scores(values)[0])}
        half = count // 2 if asked else 0
        drawn = [game.draw_condition(half, rng, weights=self.weights, asked=asked)] if half else []
        drawn.append(game.draw_condition(count - half, rng, weights=self.weights))
        condition = torch.empty(count, 0) if drawn[-1] is None else torch.cat(drawn)
        classes, knobs = condition.split([game.classes, condition.shape[1] - game.classes], dim=1)
        if self.weights is None:
            classes = CLASS_LOGIT * classes
        places = _Places(z.to(self.device), classes.to(self.device), knobs.to(self.device), torch.zeros(count))
        with torch.no_grad():
            parts = [self.loss(*(x[i : i + 16] for x in places.parts)) for i in range(0, count, 16)]
        places.loss = torch.cat(parts)
        return places

    def improve(self, places: _Places, budget: float, progress: Progress | None) -> _Places:
        """Better places, after about ``budget`` steps of one sound."""
        rounds = [(count, max(1, round(share * budget / count))) for count, share in ROUNDS]
        total, done, spent = sum(steps for _, steps in rounds), 0, 0
        work = sum(count * steps for count, steps in rounds)
        for count, steps in rounds:
            places = places.best(count)
            for part in places.parts:
                part.requires_grad_(True)
            free = [(places.z, RATE), (places.knobs, RATE)]
            if self.weights is None:
                free.append((places.classes, CLASS_RATE))
            groups = [{"params": [part], "rate": rate} for part, rate in free if part.numel()]
            adam = torch.optim.Adam(groups, betas=(0.9, 0.95))
            best = places.best(count)
            best.loss.fill_(torch.inf)
            for step in range(steps):
                warm = min(1.0, (step + 1) / 5) * (0.5 + 0.5 * math.cos(math.pi * done / total))
                done, spent = done + 1, spent + count
                for group in adam.param_groups:
                    group["lr"] = group["rate"] * warm
                loss = self.loss(*places.parts)
                adam.zero_grad()
                loss.sum().backward()
                better = loss.detach() < best.loss
                for kept, part in zip([*best.parts, best.loss], [*places.parts, loss], strict=True):
                    kept[better] = part.detach()[better]
                adam.step()
                self.bound(places)
                if progress is not None:
                    progress(POOL_SHARE + (1 - POOL_SHARE) * spent / work)
            places = best
        return places

    def loss(self, z: Tensor, classes: Tensor, knobs: Tensor) -> Tensor:
        """`[B]`; of the sound at the level at which it will be heard."""
        game = self.generator.game
        condition = torch.cat([self.shares(classes), knobs], dim=1)
        made = game.representation.decode(game.nets["generator"](z, condition if condition.shape[1] else None).float())
        peak = made.abs().amax((1, 2), keepdim=True).clamp_min(1e-3)
        return self.likeness(made * (float(np.abs(self.recording).max()) / peak))

    def shares(self, classes: Tensor) -> Tensor:
        return classes.softmax(1) if self.weights is None and classes.shape[1] else classes

    @torch.no_grad()
    def bound(self, places: _Places) -> None:
        """Keep places where the model was trained."""
        from audiogan.games.conditions import LIMIT

        places.knobs.clamp_(-LIMIT, LIMIT)
        if self.normal:
            places.z.mul_((self.longest / places.z.norm(dim=1, keepdim=True)).clamp_max(1.0))
        else:
            places.z.clamp_(-1.0, 1.0)

    def finished(self, places: _Places) -> Encoding:
        """The best of them, as it will sound."""
        generator, best = self.generator, places.best(1)
        weights = self.shares(best.classes)[0].cpu()
        kept = torch.where(weights >= min(LEAST, float(weights.max())), weights, 0.0) if len(weights) else weights
        shares = torch.special.ndtr(best.knobs[0].cpu().double()).tolist()
        mixture: Sequence[float] = (kept / kept.sum()).tolist() if len(kept) else []
        recipe = Recipe(
            generator.name,
            tuple(best.z[0].tolist()),
            {name: weight for name, weight in zip(generator.labels, mixture, strict=True) if weight},
            dict(zip(generator.knobs, shares, strict=True)),
        )
        wave = generator.render(recipe)[0]
        apart = log_spectral_distance(
            torch.from_numpy(wave)[None], torch.from_numpy(self.recording)[None], generator.sample_rate
        )
        return Encoding(recipe, float(apart), math.nan, wave, self.recording)


def _longest(latent_dim: int) -> float:
    """The length that 99 of 100 standard normal vectors do not exceed."""
    from scipy.stats import chi2

    return float(chi2.ppf(TYPICAL, latent_dim)) ** 0.5
