"""GAN inversion: find the recipe with the sound or image most similar to a recording or picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.games.calling import call_network
from audiogan.latents.recording import prepare_recording
from audiogan.latents.targets import PictureTarget, SoundTarget, pixel_distances, prepare_picture
from audiogan.losses.spectra import log_spectral_distance
from audiogan.modalities import Image
from audiogan.model.recipe import Recipe
from audiogan.model.recipe_inputs import parse_inputs

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

POOL_COST = 0.3
"""Time for generating and comparing one random sample, divided by the time of an optimisation step."""
POOL_SHARE, MAX_POOL_SIZE = 0.15, 512
"""Limits of the random samples that are compared at the start: fraction of the computing time, and number of
samples."""
STAGES: tuple[tuple[int, float], ...] = ((6, 0.45), (2, 0.3), (1, 0.25))
"""Stages of the optimisation: number of candidates, and fraction of the whole optimisation spent on the stage."""
Progress = Callable[[float], object]


Target = SoundTarget | PictureTarget


@dataclass(frozen=True, eq=False)
class Encoding:
    """Result of `encode`: the sample of a model most similar to a recording or picture.

    Attributes:
        recipe: recipe of the sample.
        distance: distance between the sample and the target. For sounds, it is the `log_spectral_distance` in dB (64
            mel bands). For images, it is the root mean square difference of the pixels in 0 ... 1, where black and
            white differ by 1.
        initial_distance: distance between the target and the most similar random sample, before the optimisation.
        signal: the sample, float32 ``[C, T]`` or ``[C, H, W]``.
        target: the recording or picture after preparation, float32, in the shape of ``signal``. A recording has the
            sample rate, length and level of the model, and starts at the onset. A picture has the size of the model's
            images.
    """

    recipe: Recipe
    distance: float
    initial_distance: float
    signal: NDArray[np.float32]
    target: NDArray[np.float32]

    @property
    def wave(self) -> NDArray[np.float32]:
        """Alias of ``signal`` for sounds."""
        return self.signal

    @property
    def recording(self) -> NDArray[np.float32]:
        """Alias of ``target`` for sounds."""
        return self.target


def encode(
    generator: Generator,
    source: Any,
    sample_rate: int | None = None,
    *,
    label: str | Mapping[str, float] | None = None,
    seconds: float = 10.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Encoding:
    """Find the recipe with the sound or image most similar to a recording or picture.

    Random samples are compared with the source. For sounds, half of them use the knob settings measured on the
    recording. Adam then optimises latent, class weights and knobs of the best candidates jointly. The loss is a
    multi-resolution spectral loss for sounds (`RecordingLoss`), and the difference of pixels at several resolutions for
    images. The number of candidates decreases in three stages. The norm of the latent is limited to the 99 % quantile
    of the norms of random latents, so that the result can be varied and morphed like any other sample.

    Args:
        generator: model of sounds or images.
        source: path of a file. For sounds also samples ``[T]`` or ``[C, T]`` at any level. For images also an array, a
            tensor or a Pillow image of any size, see `audiogan.modalities.Image.convert`; it is cropped and resized
            like training images.
        sample_rate: sample rate in Hz, if ``source`` is an array of samples. Sound files state their own sample rate.
        label: class name or weights of classes for the result. None optimises the class weights.
        seconds: approximate computing time on one CPU core, 0.1 ... 600. It is converted to a fixed number of steps.
            Two calls with equal arguments and the same number of threads therefore give equal recipes.
        seed: random seed of the initial samples.
        progress: function called with the completed fraction of the work, 0 ... 1. An exception that it raises ends the
            search.

    Returns:
        The recipe, its sound or image, and the distance from the source.

    Raises:
        UserError: the model generates neither sounds nor images, the class is unknown, the source is missing or
            unreadable, or a recording is shorter than 5 ms, silent or not finite.

    Source:
        Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016, section 3.1. Adam: Kingma
        & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

    Examples:
        >>> import audiogan
        >>> from audiogan.latents import encode
        >>> generator = audiogan.load("drums")
        >>> recording = generator.sample(1, seed=5)[0]
        >>> result = encode(generator, recording, generator.sample_rate, seconds=0.1)
        >>> result.signal.shape
        (1, 16384)
    """
    modality = generator.modality
    if modality.sample_rate is None and not isinstance(modality, Image):
        raise UserError(f"{generator.name}: it makes {modality.noun}s; only sounds and images can be encoded")
    generator.require_random_inputs("encodings")
    if not 0.1 <= seconds <= 600:
        raise UserError(f"seconds={seconds} must be from 0.1 to 600")
    target: Target
    if modality.sample_rate is None:
        target = PictureTarget(generator, prepare_picture(generator, source))
    else:
        target = SoundTarget(generator, prepare_recording(generator, source, sample_rate))
    search = _Search(generator, target, parse_inputs(generator, label))
    budget = seconds / target.step_seconds
    first = search.draw(int(np.clip(POOL_SHARE * budget / POOL_COST, 16, MAX_POOL_SIZE)), seed)
    found = search.improve(first, budget * (1 - POOL_SHARE), progress)
    # Compare the best random sample with the optimised one by their distances, which the loss only approximates.
    before, after = search.best_encoding(first), search.best_encoding(found)
    return replace(min(before, after, key=lambda each: each.distance), initial_distance=before.distance)


def nearest_distance(
    signals: NDArray[np.float32], target: NDArray[np.float32], sample_rate: int | None = None
) -> float:
    """Return the smallest distance between signals and a prepared recording or picture, see `Encoding.distance`.

    For random samples, this is the baseline: an encoding should be closer to the target.

    Args:
        signals: sounds ``[N, C, T]`` or images ``[N, C, H, W]``, float32.
        target: recording or picture of the same shape without ``N``, such as `Encoding.target`.
        sample_rate: sample rate of sounds, in Hz. None for images.

    Examples:
        >>> import numpy as np
        >>> from audiogan.latents import nearest_distance
        >>> black, white = -np.ones((1, 1, 8, 8), np.float32), np.ones((1, 8, 8), np.float32)
        >>> nearest_distance(black, white)
        1.0
    """
    if sample_rate is None:
        return float(pixel_distances(signals, target).min())
    made, wanted = torch.from_numpy(signals), torch.from_numpy(target)
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
    """Search for the input values of the sample most similar to a target.

    Args:
        generator: the model.
        target: the recording or picture.
        requested: values of inputs that stay fixed, such as the class.
    """

    def __init__(self, generator: Generator, target: Target, requested: Mapping[str, Tensor]) -> None:
        self.generator, self.target, self.requested = generator, target, requested
        self.device = next(generator.game.parameters()).device

    def draw(self, count: int, seed: int) -> _Candidates:
        """Draw random candidates and compute their losses. Half of them have the inputs measured on the target."""
        game = self.generator.game
        rng = torch.Generator().manual_seed(seed)
        z = game.draw(count, rng, selected_names=("latent",))
        measured = self.target.measured_inputs(self.requested)
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
        candidates = _Candidates(free, fixed, torch.zeros(count))
        with torch.no_grad():
            losses = [self.loss(candidates.rows(slice(i, i + 16))) for i in range(0, count, 16)]
        candidates.loss = torch.cat(losses)
        return candidates

    def improve(self, candidates: _Candidates, budget: float, progress: Progress | None) -> _Candidates:
        """Return optimised candidates. ``budget`` is the number of steps times the number of candidates."""
        stages = [(count, max(1, round(share * budget / count))) for count, share in STAGES]
        total, done, spent = sum(steps for _, steps in stages), 0, 0
        work = sum(count * steps for count, steps in stages)
        inputs = self.generator.inputs
        for count, steps in stages:
            candidates = candidates.best(count)
            for parameter in candidates.free.values():
                parameter.requires_grad_(True)
            groups = [
                {"params": [x], "rate": inputs[name].learning_rate} for name, x in candidates.free.items() if x.numel()
            ]
            adam = torch.optim.Adam(groups, betas=(0.9, 0.95))
            best = candidates.best(count)
            best.loss.fill_(torch.inf)
            for step in range(steps):
                warm = min(1.0, (step + 1) / 5) * (0.5 + 0.5 * math.cos(math.pi * done / total))
                done, spent = done + 1, spent + count
                for group in adam.param_groups:
                    group["lr"] = group["rate"] * warm
                loss = self.loss(candidates)
                adam.zero_grad()
                loss.sum().backward()
                better = loss.detach() < best.loss
                best.loss[better] = loss.detach()[better]
                for name, parameter in candidates.free.items():
                    best.free[name][better] = parameter.detach()[better]
                adam.step()
                self.bound(candidates)
                if progress is not None:
                    progress(POOL_SHARE + (1 - POOL_SHARE) * spent / work)
            candidates = best
        return candidates

    def values(self, candidates: _Candidates) -> dict[str, Tensor]:
        """Return the input values of candidates."""
        inputs = self.generator.inputs
        return {**candidates.fixed, **{name: inputs[name].from_parameter(x) for name, x in candidates.free.items()}}

    def loss(self, candidates: _Candidates) -> Tensor:
        """Return the losses ``[B]`` of candidates."""
        game = self.generator.game
        net = game.nets[game.default_generator]
        return self.target.loss(game.representation.decode(call_network(net, self.values(candidates)).float()))

    @torch.no_grad()
    def bound(self, candidates: _Candidates) -> None:
        """Project candidates to the range of input values used in training."""
        for name, parameter in candidates.free.items():
            self.generator.inputs[name].clip_parameter(parameter)

    def best_encoding(self, candidates: _Candidates) -> Encoding:
        """Return the best candidate, with the sample rendered from its recipe."""
        generator, best = self.generator, candidates.best(1)
        values = {name: x.detach().cpu() for name, x in self.values(best).items()}
        values = {name: generator.inputs[name].drop_negligible(x[0])[None] for name, x in values.items()}
        recipe = generator.recipe_from_values(values)
        made = generator.render(recipe)
        return Encoding(recipe, float(self.target.distances(made)[0]), math.nan, made[0], self.target.signal)
