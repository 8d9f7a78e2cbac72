"""A trained model as a music tool uses it."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.inputs import Inputs, Seeded
from audiogan.modalities import Modality
from audiogan.model.recipe import Recipe
from audiogan.model.recipe_inputs import input_values, recipe_of, with_signals
from audiogan.utils.text import printable
from audiogan.utils.workers import WORKERS

if TYPE_CHECKING:
    from audiogan.inputs import Input, Scale

BATCH = 16
"""Samples that are made together on other devices than a CPU."""
TRACED_AFTER = 64
"""Sounds after which it is worth a tenth of a second to make the next ones faster."""
Label = str | Mapping[str, float] | None


class Generator:
    """A trained model. ``audiogan.load`` returns one.

    Attributes:
        inputs: the named inputs of the model; see `audiogan.inputs`.
        routes: what each of its generators translates, by name; several for a model that translates both ways.
        modality: the kind of its signals: sounds, images, points.
        shape: shape of one signal: `(channels, samples)` for sounds, `(C, H, W)` for images.
        sample_rate: of sounds, in Hz.
        labels: class names; empty for a model without classes.
        knobs: names of its continuous controls, and for each a table of 65 values, in its unit, that 0 ... 1 mean;
            empty for a model without.
        step: number of training steps.
        checkpoint: the file it was loaded from.
        name: the argument with which `load` returns it again: the name of a shipped model, or the file.
        card: description of a model that was made to be given away, in Markdown; else empty.
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
        self.name, self.card, self.trust = str(checkpoint) if name is None else name, card, tuple(trust)
        self.inputs: dict[str, Input] = Inputs(game.inputs.items())
        self.labels: list[str] = list(getattr(self.inputs.get("classes"), "labels", ()))
        self.scale: Scale | None = getattr(self.inputs.get("knobs"), "scale", None)
        self.shape: tuple[int, ...] = game.representation.signal_shape
        self.routes: dict[str, Any] = dict(game.generators)
        self._weight = next(game.parameters())  # to look for one takes as long as drawing a latent
        self._count, self._counting = 0, threading.Lock()
        self._traced: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Generator({self.name!r}, step={self.step}, labels={self.labels})"

    @property
    def sample_rate(self) -> int:
        """Of its sounds, in Hz; ``UserError`` for a model of something else."""
        if self.modality.sample_rate is None:
            raise UserError(f"{self.name}: it makes {self.modality.noun}s, which have no sample rate")
        return self.modality.sample_rate

    @property
    def knobs(self) -> dict[str, list[float]]:
        return {} if self.scale is None else dict(zip(self.scale.names, self.scale.quantiles.tolist(), strict=True))

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        label: Label = None,
        knobs: Mapping[str, float] | None = None,
        truncation: float | None = None,
        inputs: Mapping[str, Any] | None = None,
        generator: str | None = None,
    ) -> NDArray[np.float32]:
        """Make new sounds, images or other signals.

        Sample ``i`` depends on ``seed + i`` and on the given inputs only: ``sample(1, seed=s + i)`` returns it again.

        Args:
            n: number of samples, at least 1; by default 1, or one for each of a list of signals in ``inputs``.
            seed: at least 0; without one the samples are new each time.
            label: one of ``labels``, or a mixture: ``{"kick": 0.7, "tom": 0.3}``. Without one, classes have the
                proportions of the training data.
            knobs: 0 ... 1 for some of ``knobs``. ``{"brightness": 0.9}`` requests a sound brighter than 90 % of the
                training sounds. Knobs you leave out are drawn to fit the ones you set.
            truncation: more than 0; smaller values give more typical samples. Latents are multiplied by it, unless the
                network's paper defines another way: StyleGAN's psi (1: no truncation), BigGAN's threshold (infinity: no
                truncation).
            inputs: values of other inputs by name: ``{"source": "photo.png"}``. A signal is a file or an array; a list
                of signals gives one sample each. See `inputs`.
            generator: name of one of several generators, see `routes`.

        Returns:
            float32 array ``[n, *shape]``; sounds and images lie within -1 ... 1.

        Raises:
            UserError: an unknown input, class or knob, a missing input, or a value out of range.

        Examples:
            >>> g = audiogan.load("drums")
            >>> g.sample(2, seed=1, label="kick").shape
            (2, 1, 16384)
            >>> g.sample(1, seed=1, label={"kick": 0.7, "tom": 0.3}, knobs={"brightness": 0.9}).shape
            (1, 1, 16384)
        """
        wanted: Any = {"seed": seed, "label": label, "knobs": knobs, "truncation": truncation, "inputs": inputs}
        return self.render(self.recipes(n, **wanted), generator=generator)

    def sample_with_labels(self, n: int | None = None, **options: Any) -> tuple[NDArray[np.float32], list[str]]:
        """Like `sample`; also return the class of each sample: of a mixture the largest, empty without classes."""
        recipes = self.recipes(n, **options)
        return self.render(recipes), [recipe.label for recipe in recipes]

    def recipes(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        label: Label = None,
        knobs: Mapping[str, float] | None = None,
        truncation: float | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> list[Recipe]:
        """Return the recipes of the samples that `sample` makes with the same arguments.

        Examples:
            >>> g = audiogan.load("drums")
            >>> recipe = g.recipes(1, seed=3, label="kick")[0]
            >>> recipe.seed, recipe.label, len(recipe.latent)
            (3, 'kick', 64)
        """
        requested = self.requested(label, knobs, inputs)
        lists = {name: len(value) for name, value in requested.items() if isinstance(value, list)}
        n = next(iter(lists.values()), 1) if n is None else n
        if n < 1:
            raise UserError(f"n={n}: ask for at least one")
        if odd := next((name for name, count in lists.items() if count != n), None):
            raise UserError(f"{odd}: {lists[odd]} values for {n} samples; give one, or one for each sample")
        if truncation is not None and not 0 < truncation < float("inf"):
            raise UserError(f"truncation={truncation} must be more than 0 and finite")
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        if not 0 <= seed <= 2**63 - 1 - n:
            raise UserError(f"seed={seed} must be a whole number from 0 to 2**63 - 1 - n")
        made = []
        for i in range(n):
            random = Seeded(torch.Generator().manual_seed(seed + i))
            mine = {**requested, **{name: requested[name][i] for name in lists}} if lists else requested
            made.append(self.recipe_of(self.game.draw(1, random, **mine), seed + i, truncation))
        return made

    def requested(
        self, label: Label = None, knobs: Mapping[str, float] | None = None, inputs: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return requested values as tensors, by input; a list of signals as a list of tensors."""
        values = {"classes": label, "knobs": knobs or None, **(inputs or {})}
        requested: dict[str, Any] = {}
        for name, value in values.items():
            if value is None:
                continue
            if name not in self.inputs and name in ("classes", "knobs"):
                shown = f"class {value!r}" if isinstance(value, str) else f"{name} {', '.join(map(str, value))}"
                raise UserError(f"{shown}: {self.name} was trained without {name}; leave it out")
            given = self.game.input(name)
            several = isinstance(value, list | tuple) and not given.drawable
            requested[name] = [given.parse(each) for each in value] if several else given.parse(value)
        return requested

    def recipe_of(
        self, drawn: Mapping[str, torch.Tensor], seed: int | None = None, truncation: float | None = None
    ) -> Recipe:
        """Return the recipe of one sample, of input values ``[1, ...]``."""
        return recipe_of(self.inputs, drawn, self.name, seed, truncation)

    def render(
        self,
        recipes: Recipe | Sequence[Recipe],
        *,
        inputs: Mapping[str, Any] | None = None,
        generator: str | None = None,
    ) -> NDArray[np.float32]:
        """Return the signals `[n, *shape]` of recipes, regardless of the model that they name.

        On a CPU a recipe gives the same bits in any batch and with any number of threads: each signal is made alone and
        in one thread, because a sum in another order is rounded differently. Many signals are made on all CPUs at
        once. Several threads may call this.

        Args:
            recipes: one or several.
            inputs: signals by name for recipes that were read from a file, which hold only their SHA-256: one, or a
                list with one for each recipe.
            generator: name of one of several generators, see `routes`.

        Raises:
            UserError: a recipe does not fit this model, or a signal is not the one of the recipe.

        Examples:
            >>> g = audiogan.load("drums")
            >>> recipe = g.recipes(1, seed=3, label="kick")[0]
            >>> bool((g.render(recipe) == g.sample(1, seed=3, label="kick")).all())
            True
        """
        recipes = [recipes] if isinstance(recipes, Recipe) else list(recipes)
        name = self.route(generator)
        if inputs:
            recipes = with_signals({key: self.game.input(key) for key in inputs}, recipes, inputs)
        alone = self._weight.device.type == "cpu"
        parts = [[recipe] for recipe in recipes] if alone else _batches(recipes)
        jobs = [(self.input_values(part), part[0].truncation, name) for part in parts]
        waves = WORKERS.map(self._alone, jobs) if alone else [self._made(*job) for job in jobs]
        return np.concatenate(waves) if waves else np.empty((0, *self.shape), np.float32)

    def route(self, generator: str | None = None) -> str:
        """Return the name of a generator: of that name, or with the target class of that name; by default the first.

        Raises:
            UserError: there is none; lists those there are.
        """
        if generator is None:
            return next(iter(self.routes))
        by_class = [name for name, route in self.routes.items() if self._domain(route.target) == generator]
        found = [generator] if generator in self.routes else by_class
        if len(found) != 1:
            raise UserError(f"generator {printable(generator)!r} is none of those of {self.name}: {self._listed()}")
        return found[0]

    def chosen(self, generator: str | None = None) -> str:
        """Return the name of a generator like `route`; of a model with several, one must be named.

        Raises:
            UserError: there is none of this name, or no name and several generators; lists those there are.
        """
        if generator is None and len(self.routes) > 1:
            count = len(self.routes)
            raise UserError(f"{self.name}: it has {count} generators; give --generator: one of {self._listed()}")
        return self.route(generator)

    def _listed(self) -> str:
        return ", ".join(f"{name} ({text})" if text else name for name, text in self.route_names.items())

    def _domain(self, number: int | None) -> str | None:
        """Return the name of a class of the data, ``None`` without one."""
        labels = self.config.get("facts", {}).get("labels", [])
        return None if number is None or number >= len(labels) else str(labels[number])

    @property
    def route_names(self) -> dict[str, str]:
        """What each generator translates, in words, such as ``apples -> tomatoes``; empty for other models."""
        ends = {name: (self._domain(route.source), self._domain(route.target)) for name, route in self.routes.items()}
        return {name: " -> ".join(filter(None, pair)) if None not in pair else "" for name, pair in ends.items()}

    def check_drawable(self, what: str) -> None:
        """Raise ``UserError`` if a person must give some inputs, for ``what`` draws all of them."""
        if needed := self.game.needed:
            names, instead = ", ".join(needed), "use `audiogan apply` or `audiogan sample --input`"
            raise UserError(f"{self.name}: it needs the input {names}, and {what} draw all inputs; {instead}")

    def apply(self, source: Any, *, generator: str | None = None, **options: Any) -> NDArray[np.float32]:
        """Translate a signal of any size; see `audiogan.model.translation.signals.apply_signal`."""
        from audiogan.model.translation.signals import apply_signal

        return apply_signal(self, source, route=generator, **options)

    @torch.inference_mode()
    def _alone(self, job: tuple[dict[str, torch.Tensor], float | None, str]) -> NDArray[np.float32]:
        """Make one signal; called in a worker thread."""
        values, truncation, name = job
        nets = self._faster(values) if truncation is None and len(self.routes) == 1 else None
        return self._made(values, truncation, name, nets)

    @torch.inference_mode()
    def _made(
        self,
        values: Mapping[str, torch.Tensor],
        truncation: float | None,
        name: str,
        nets: dict[str, Any] | None = None,
    ) -> NDArray[np.float32]:
        """Return finished signals `[B, *shape]` of input values."""
        out = self.game.generate(values, generator=name, nets=nets, truncation=truncation)
        if not math.isfinite(float(out.sum())):
            noun = self.modality.noun
            raise UserError(f"{self.name}: its {noun}s are not finite numbers (truncation={truncation})")
        return self.modality.finish(out.cpu().numpy())

    def _faster(self, values: Mapping[str, torch.Tensor]) -> dict[str, Any] | None:
        """Return the generator as `traced`, once many signals were made one by one; ``None`` until then."""
        with self._counting:
            self._count += 1
            due = self._count == TRACED_AFTER
        if due and None not in (size for given in self.inputs.values() for size in given.shape):
            from audiogan.model.tracing import Direct, traced

            name, net = self.game.main, self.game.nets[self.game.main]
            script = traced(net, {key: value for key, value in values.items() if key in net.takes})
            self._traced = None if script is None else {name: Direct(script)}
        return self._traced

    def vary(self, recipe: Recipe, amount: float = 0.3, n: int = 1, *, seed: int | None = None) -> list[Recipe]:
        """``n`` recipes near one, of the same class and knobs; ``amount`` 0 ... 1: from the same to any other.

        Examples:
            >>> g = audiogan.load("drums")
            >>> kick = g.recipes(1, seed=3, label="kick")[0]
            >>> [recipe.label for recipe in g.vary(kick, 0.2, 3, seed=0)]
            ['kick', 'kick', 'kick']
        """
        rng = np.random.default_rng(seed)
        return [recipe.varied(amount, rng) for _ in range(n)]

    def morph(self, a: Recipe, b: Recipe, steps: int = 9) -> list[Recipe]:
        """Recipes that lead from one to another in ``steps`` sounds, both ends among them; also between classes.

        Examples:
            >>> g = audiogan.load("drums")
            >>> kick, snare = (g.recipes(1, seed=3, label=name)[0] for name in ("kick", "snare"))
            >>> middle = g.morph(kick, snare, 3)[1]
            >>> {name: round(weight, 2) for name, weight in middle.classes.items() if weight}
            {'kick': 0.5, 'snare': 0.5}
        """
        if steps < 2:
            raise UserError(f"steps={steps}: a morph has at least two sounds")
        return [a.towards(b, i / (steps - 1)) for i in range(steps)]

    def save(self, path: str | os.PathLike[str], signal: NDArray[np.float32]) -> None:
        """Write one signal to a file, atomically: a sound as 16-bit WAV, an image as 8-bit PNG.

        Args:
            path: the file. Its name must end in ``.wav`` for sounds and in ``.png`` for images. Missing folders are
                created.
            signal: the signal ``[*shape]``; for points, a whole batch ``[n, 2]``, saved as ``.npy``.

        Raises:
            ValueError: another ending or shape, or values that are not finite.

        Examples:
            >>> g = audiogan.load("drums")
            >>> g.save("kick.wav", g.sample(1, seed=3, label="kick")[0])
        """
        self.modality.save(path, signal)

    def input_values(self, recipes: Sequence[Recipe]) -> dict[str, torch.Tensor]:
        """Return the input values ``[B, ...]`` of recipes, by name; ``UserError`` if one does not fit this model."""
        return input_values(self.inputs, recipes, self.name)


def _batches(recipes: Sequence[Recipe]) -> list[list[Recipe]]:
    """Return recipes in batches of one truncation."""
    groups = [list(group) for _, group in groupby(recipes, key=lambda recipe: recipe.truncation)]
    return [group[i : i + BATCH] for group in groups for i in range(0, len(group), BATCH)]
