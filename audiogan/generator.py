"""A trained model as a music tool uses it."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.modalities import Modality, Sound
from audiogan.recipe import Recipe
from audiogan.sounds import save_wav
from audiogan.workers import WORKERS

if TYPE_CHECKING:
    from audiogan.data.knobs import Scale
    from audiogan.kits import Kit
    from audiogan.latents import Direction, Encoding, Neighbour

BATCH = 16
"""Samples that are made together on other devices than a CPU."""
TRACED_AFTER = 64
"""Sounds after which it is worth a tenth of a second to make the next ones faster."""
Label = str | Mapping[str, float] | None


class Generator:
    """Makes sounds. ``audiogan.load`` gives you one.

    Attributes:
        modality: what it makes: sounds, images, points.
        shape: of one signal: `(channels, samples)` for sounds, `(C, H, W)` for images.
        sample_rate: of sounds, in Hz.
        labels: class names; empty for a model that knows no classes.
        knobs: names of its continuous controls, and for each a table of 65 values, in its unit, that 0 ... 1 mean;
            empty for a model without.
        step: training steps it has seen.
        checkpoint: the file it came from.
        name: what `load` gives it again for: a shipped model's name, or the file.
        card: what there is to know about a model that was made to be given away, in Markdown; else empty.
        config: the configuration of its training, as nested dicts.
        trust: names of the modules from outside the package that were trusted when it was loaded.
    """

    def __init__(
        self,
        game: Any,
        modality: Modality,
        config: dict[str, Any],
        checkpoint: Path,
        step: int,
        *,
        name: str | None = None,
        card: str = "",
        trust: Sequence[str] = (),
    ) -> None:
        self.game, self.modality, self.config, self.checkpoint, self.step = game, modality, config, checkpoint, step
        self.name, self.card = str(checkpoint) if name is None else name, card
        self.trust = tuple(trust)
        self.labels: list[str] = list(config["facts"]["labels"]) if game.classes else []
        self.scale: Scale | None = None
        if game.conditions.knobs:
            from audiogan.data.knobs import Scale

            self.scale = Scale.from_dict(config["facts"]["knob_scale"])
        self.shape: tuple[int, ...] = game.representation.signal_shape
        self._count, self._counting = 0, threading.Lock()
        self._traced: dict[str, torch.nn.Module] | None = None

    def __repr__(self) -> str:
        return f"Generator({self.name!r}, step={self.step}, labels={self.labels})"

    @property
    def sample_rate(self) -> int:
        """Of its sounds, in Hz; ``UserError`` for a model of something else."""
        if not isinstance(self.modality, Sound):
            raise UserError(f"{self.name}: it makes {self.modality.noun}s, which have no sample rate")
        return self.modality.sample_rate

    @property
    def knobs(self) -> dict[str, list[float]]:
        return {} if self.scale is None else dict(zip(self.scale.names, self.scale.quantiles.tolist(), strict=True))

    def sample(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        label: Label = None,
        knobs: Mapping[str, float] | None = None,
        truncation: float | None = None,
    ) -> NDArray[np.float32]:
        """New sounds (or images, or whatever it was trained on).

        Sample ``i`` depends on ``seed + i`` alone, so ``sample(1, seed=s + i)`` gives it again.

        Args:
            n: how many, at least 1.
            seed: at least 0; without one the samples are new each time.
            label: one of ``labels``, or a mixture: ``{"kick": 0.7, "tom": 0.3}``; without one, classes come as often
                as in the training data.
            knobs: 0 ... 1 for some of ``knobs``: ``{"brightness": 0.9}`` asks for a sound brighter than 90 % of those
                it was trained on. The others are drawn as they go with class and knobs that were asked for.
            truncation: the smaller, the more typical; more than 0. Latents are multiplied by it, unless the network's
                paper has another way: StyleGAN's psi (1: everything), BigGAN's threshold (infinity: everything).

        Returns:
            float32 array ``[n, *shape]``; sounds and images lie within -1 ... 1.

        Raises:
            UserError: unknown label or knob, or a number out of range.
        """
        waves, _ = self.sample_with_labels(n, seed=seed, label=label, knobs=knobs, truncation=truncation)
        return waves

    def sample_with_labels(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        label: Label = None,
        knobs: Mapping[str, float] | None = None,
        truncation: float | None = None,
    ) -> tuple[NDArray[np.float32], list[str]]:
        """As ``sample``, with the class of each sound: of a mixture the largest, empty where the model knows none."""
        recipes = self.recipes(n, seed=seed, label=label, knobs=knobs, truncation=truncation)
        return self.render(recipes), [recipe.label for recipe in recipes]

    def recipes(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        label: Label = None,
        knobs: Mapping[str, float] | None = None,
        truncation: float | None = None,
    ) -> list[Recipe]:
        """Recipes of the sounds that ``sample`` makes with the same arguments."""
        if n < 1:
            raise UserError(f"n={n}: ask for at least one")
        if truncation is not None and not 0 < truncation < float("inf"):
            raise UserError(f"truncation={truncation} must be more than 0 and finite")
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        if not 0 <= seed <= 2**63 - 1 - n:
            raise UserError(f"seed={seed} must be a whole number from 0 to 2**63 - 1 - n")
        weights, asked = self._weights(label), self._scores(knobs or {})
        names = () if self.scale is None else self.scale.names
        made = []
        for i in range(seed, seed + n):
            rng = torch.Generator().manual_seed(i)
            z = self.game.latents(1, rng)[0]
            condition = self.game.draw_condition(1, rng, weights=weights, asked=asked)
            classes, shares = {}, {}
            if condition is not None:
                drawn, scores = condition[0, : len(self.labels)].tolist(), condition[0, len(self.labels) :]
                classes = {name: weight for name, weight in zip(self.labels, drawn, strict=True) if weight}
                shares = dict(zip(names, torch.special.ndtr(scores.double()).tolist(), strict=True))
            made.append(Recipe(self.name, tuple(z.tolist()), classes, shares, i, truncation))
        return made

    def render(self, recipes: Recipe | Sequence[Recipe]) -> NDArray[np.float32]:
        """The sounds `[n, *shape]` of recipes, whichever model they name.

        On a CPU a recipe gives the same bits whatever is made with it and however many threads there are: each sound is
        made alone and in one thread, because other sums are rounded in another order. Many sounds are made on all CPUs
        at once. Several threads may call this.

        Raises:
            UserError: a recipe that does not fit this model.
        """
        recipes = [recipes] if isinstance(recipes, Recipe) else list(recipes)
        alone = next(self.game.parameters()).device.type == "cpu"
        jobs: list[tuple[torch.Tensor, torch.Tensor | None, float | None]] = []
        for truncation, group in groupby(recipes, key=lambda recipe: recipe.truncation):
            these, size = list(group), 1 if alone else BATCH
            jobs += [(*self._inputs(these[i : i + size]), truncation) for i in range(0, len(these), size)]
        waves = WORKERS.map(self._alone, jobs) if alone else [self._made(*job) for job in jobs]
        return np.concatenate(waves) if waves else np.empty((0, *self.shape), np.float32)

    @torch.inference_mode()
    def _alone(self, job: tuple[torch.Tensor, torch.Tensor | None, float | None]) -> NDArray[np.float32]:
        """Make one sound; called in a worker thread."""
        z, condition, truncation = job
        return self._made(z, condition, truncation, self._faster(z, condition) if truncation is None else None)

    @torch.inference_mode()
    def _made(
        self,
        z: torch.Tensor,
        condition: torch.Tensor | None,
        truncation: float | None,
        nets: dict[str, torch.nn.Module] | None = None,
    ) -> NDArray[np.float32]:
        """Finished signals `[B, *shape]` of latents and conditions."""
        out = self.game.generate(z, condition, nets=nets, truncation=truncation)
        if not math.isfinite(float(out.sum())):
            noun = self.modality.noun
            raise UserError(f"{self.name}: its {noun}s are not finite numbers (truncation={truncation})")
        return self.modality.finish(out.cpu().numpy())

    def _faster(self, z: torch.Tensor, condition: torch.Tensor | None) -> dict[str, torch.nn.Module] | None:
        """The generator as `traced`, once many sounds were made one by one; ``None`` until then."""
        with self._counting:
            self._count += 1
            due = self._count == TRACED_AFTER
        if due and condition is not None:
            from audiogan.tracing import traced

            script = traced(self.game.nets["generator"], z, condition)
            self._traced = None if script is None else {"generator": script}
        return self._traced

    def vary(self, recipe: Recipe, amount: float = 0.3, n: int = 1, *, seed: int | None = None) -> list[Recipe]:
        """``n`` recipes near one, of the same class and knobs; ``amount`` 0 ... 1: from the same to any other."""
        rng = np.random.default_rng(seed)
        return [recipe.varied(amount, rng) for _ in range(n)]

    def morph(self, a: Recipe, b: Recipe, steps: int = 9) -> list[Recipe]:
        """Recipes that lead from one to another in ``steps`` sounds, both ends among them; also between classes."""
        if steps < 2:
            raise UserError(f"steps={steps}: a morph has at least two sounds")
        return [a.towards(b, i / (steps - 1)) for i in range(steps)]

    def kit(
        self,
        pads: int = 16,
        *,
        seed: int | None = None,
        labels: Sequence[str] | None = None,
        layers: int = 1,
        knobs: Mapping[str, float] | None = None,
    ) -> Kit:
        """A set of sounds by class that belong together; see `audiogan.kits.make_kit`."""
        from audiogan.kits import make_kit

        return make_kit(self, pads, seed=seed, labels=labels, layers=layers, knobs=knobs)

    def encode(
        self,
        wave: str | os.PathLike[str] | NDArray[np.floating],
        sample_rate: int | None = None,
        *,
        label: Label = None,
        seconds: float = 10.0,
        seed: int = 0,
        progress: Callable[[float], object] | None = None,
    ) -> Encoding:
        """The recipe whose sound is nearest to a recorded one; see `audiogan.latents.encode`."""
        from audiogan.latents import encode

        return encode(self, wave, sample_rate, label=label, seconds=seconds, seed=seed, progress=progress)

    def neighbours(self, recipe: Recipe, n: int = 8, *, pool: int = 256, seed: int = 0) -> list[Neighbour]:
        """The sounds of this model that are most like one of them; see `audiogan.latents.neighbours`."""
        from audiogan.latents import neighbours

        return neighbours(self, recipe, n, pool=pool, seed=seed)

    def directions(
        self,
        n: int = 8,
        *,
        method: Literal["pca", "factorisation"] = "pca",
        label: Label = None,
        knobs: bool = True,
        seed: int = 0,
    ) -> list[Direction]:
        """Directions in which its sounds change most, named by what they change; see `audiogan.latents.directions`."""
        from audiogan.latents import directions

        return directions(self, n, method=method, label=label, knobs=knobs, seed=seed)

    def edit(self, recipe: Recipe, direction: Direction, amount: float = 1.0) -> Recipe:
        """The recipe ``amount`` steps along a direction, or against it; see `audiogan.latents.edit`."""
        from audiogan.latents import edit

        return edit(recipe, direction, amount)

    def save_wav(self, path: str | os.PathLike[str], wave: NDArray[np.float32], subtype: str = "PCM_16") -> None:
        """Write one sound ``[channels, samples]`` (or ``[samples]``) at this model's sample rate."""
        save_wav(path, wave, self.sample_rate, subtype=subtype)

    def _weights(self, label: Label) -> torch.Tensor | None:
        """Class weights ``[classes]`` that sum to 1."""
        return None if label is None else torch.from_numpy(self._mixture(label))

    def _mixture(self, label: str | Mapping[str, float]) -> NDArray[np.float32]:
        """The same in NumPy, of a label that is given."""
        mixture = {label: 1.0} if isinstance(label, str) else dict(label)
        weights = np.zeros(len(self.labels), np.float32)
        for name, weight in mixture.items():
            if not self.labels:
                raise UserError(f"class {name!r}: {self.name} was trained without classes; leave it out")
            if name not in self.labels:
                raise UserError(f"class {name!r} is none of those this model knows: {', '.join(self.labels)}")
            if not 0 <= weight < float("inf"):
                raise UserError(f"class {name!r}: its weight {weight} must be at least 0 and finite")
            weights[self.labels.index(name)] = weight
        if not weights.sum() > 0:
            raise UserError(f"classes {mixture}: the weights of a mixture must not all be 0")
        return weights / weights.sum()

    def _scores(self, knobs: Mapping[str, float]) -> dict[int, float]:
        """Normal scores of shares 0 ... 1, by number of the knob."""
        scores = {}
        for name, share in knobs.items():
            if self.scale is None:
                raise UserError(f"knob {name!r}: {self.name} was trained without knobs; leave it out")
            if name not in self.scale.names:
                raise UserError(f"knob {name!r} is none of those this model has: {', '.join(self.scale.names)}")
            if not 0 <= share <= 1:
                raise UserError(f"knob {name}={share} must be from 0 to 1")
            scores[self.scale.names.index(name)] = float(
                self.scale.scores_of_shares(np.full((1, len(self.scale.names)), share))[0, 0]
            )
        return scores

    def _inputs(self, recipes: Sequence[Recipe]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Latents ``[B, latent_dim]`` and conditions ``[B, classes + knobs]``."""
        knobs = set() if self.scale is None else set(self.scale.names)
        for recipe in recipes:
            if len(recipe.latent) != self.game.latent_dim:
                have = f"a latent of {len(recipe.latent)} numbers"
                raise UserError(f"{self.name}: it wants latents of {self.game.latent_dim}; the recipe has {have}")
            if bool(recipe.classes) != bool(self.labels) or set(recipe.knobs) != knobs:
                what = f"classes {', '.join(recipe.classes) or 'none'} and knobs {', '.join(recipe.knobs) or 'none'}"
                raise UserError(f"{self.name}: the recipe is of another model: it has {what}")
        z = torch.from_numpy(np.array([recipe.latent for recipe in recipes], np.float32))
        parts = []
        if self.labels:
            parts.append(np.stack([self._mixture(recipe.classes) for recipe in recipes]))
        if self.scale is not None:
            shares = np.array([[recipe.knobs[name] for name in self.scale.names] for recipe in recipes])
            parts.append(self.scale.scores_of_shares(shares))
        return z, torch.from_numpy(np.concatenate(parts, axis=1)) if parts else None
