"""The `Generator` class: a trained model with methods to sample, vary, morph and translate signals."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.inputs import Inputs, Seeded
from audiogan.modalities import Modality
from audiogan.model import recipe_inputs
from audiogan.model.recipe import Recipe
from audiogan.model.routes import Routes
from audiogan.utils.workers import WORKERS

if TYPE_CHECKING:
    from audiogan.inputs import Input, Scale

TRACED_AFTER = 64
"""Number of samples after which the network is traced. For fewer samples, tracing (about 0.1 s) would not pay off."""
Label = str | Mapping[str, float] | None


class Generator:
    """A trained model that draws samples, renders recipes and translates signals. `audiogan.load` returns one.

    Attributes:
        inputs: dict from input name to the `audiogan.inputs.Input` of the model.
        routes: dict from the name of a generator network to its source and target class.
        modality: kind of signal, such as sound, image or point.
        shape: shape of one signal: ``(channels, samples)`` for sounds, ``(C, H, W)`` for images.
        labels: class names. Empty for a model without classes.
        step: number of training steps.
        checkpoint: file from which the model was loaded.
        name: argument with which `audiogan.load` finds the model again: the name of a shipped model, or the file.
        card: description of a published model in Markdown, or an empty string.
        config: configuration of the training run, as nested dicts.
        trust: modules outside the package that were trusted when the model was loaded.
        first_stage: state dict of the networks at the end of the first stage. Empty for models without a first stage.
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
        first_stage: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self.game, self.modality, self.config, self.checkpoint, self.step = game, modality, config, checkpoint, step
        self.name, self.card, self.trust = str(checkpoint) if name is None else name, card, tuple(trust)
        self.first_stage: dict[str, torch.Tensor] = dict(first_stage or {})
        self.inputs: dict[str, Input] = Inputs(game.inputs.items())
        self.labels: list[str] = list(getattr(self.inputs.get("classes"), "labels", ()))
        self.scale: Scale | None = getattr(self.inputs.get("knobs"), "scale", None)
        self.shape: tuple[int, ...] = game.representation.signal_shape
        self.routes = Routes(game.generators, config.get("facts", {}).get("labels", []), self.name)
        self._weight = next(game.parameters())  # Stored, because finding it takes as long as drawing a latent.
        self._count, self._count_lock = 0, threading.Lock()
        self._traced: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Generator({self.name!r}, step={self.step}, labels={self.labels})"

    @property
    def sample_rate(self) -> int:
        """Sample rate of the generated sounds, in Hz.

        Raises:
            UserError: the model does not generate sounds.
        """
        if self.modality.sample_rate is None:
            raise UserError(f"{self.name}: it makes {self.modality.noun}s, which have no sample rate")
        return self.modality.sample_rate

    @property
    def knobs(self) -> dict[str, list[float]]:
        """Quantiles of each knob in the training data: 65 values by knob name, in the unit of the knob.

        A knob is a continuous control of the model. Quantile ``i`` corresponds to the setting ``i / 64``. The
        dict is empty for a model without knobs.
        """
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
        """Draw new samples.

        Sample ``i``, counted from 0, depends only on ``seed + i`` and on the other arguments. The call
        ``sample(1, seed=seed + i)`` returns this sample again.

        Args:
            n: number of samples, at least 1. The default is the number of signals listed in ``inputs``, or 1.
            seed: random seed, at least 0. None draws different samples in each call.
            label: class name, or weights of a mixture of classes such as ``{"kick": 0.7, "tom": 0.3}``. None draws
                classes with the proportions of the training data.
            knobs: knob settings in 0 ... 1 by name. ``{"brightness": 0.9}`` requests a sound brighter than 90 % of the
                training sounds. Knobs you leave out are drawn to fit the ones you set.
            truncation: truncation of the latent, above 0. Smaller values give samples that are more typical and less
                diverse. Most models multiply the latent by this number. In StyleGAN it is psi (1: no truncation), in
                BigGAN the threshold of the truncated normal distribution. None disables truncation.
            inputs: values of other inputs by name, such as ``{"source": "photo.png"}``. A signal is a file or an array.
                A list of signals gives one sample for each signal.
            generator: name of the generator network, for models with several, see `routes`. None selects the first.

        Returns:
            Samples, float32 ``[n, *shape]``. Sounds and images are in -1 ... 1.

        Raises:
            UserError: an input, class or knob is unknown, an input is missing, or a value is out of range.

        Examples:
            >>> import audiogan
            >>> generator = audiogan.load("drums")
            >>> generator.sample(2, seed=5, label="kick").shape
            (2, 1, 16384)
        """
        wanted: Any = {"seed": seed, "label": label, "knobs": knobs, "truncation": truncation, "inputs": inputs}
        return self.render(self.recipes(n, **wanted), generator=generator)

    def sample_with_labels(self, n: int | None = None, **options: Any) -> tuple[NDArray[np.float32], list[str]]:
        """Draw samples like `sample`, and return their classes.

        Returns:
            Samples ``[n, *shape]``, and one class name for each sample. For a mixture of classes, it is the name of the
            class with the largest weight. For a model without classes, it is an empty string.
        """
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
        """Draw the recipes of samples without rendering them. `sample` renders the same recipes.

        Args:
            n: number of recipes, see `sample`.
            seed: random seed, see `sample`.
            label: class name or weights of classes, see `sample`.
            knobs: knob settings, see `sample`.
            truncation: truncation of the latent, see `sample`.
            inputs: values of other inputs, see `sample`.

        Raises:
            UserError: see `sample`.

        Examples:
            >>> import audiogan
            >>> generator = audiogan.load("drums")
            >>> [recipe.label for recipe in generator.recipes(2, seed=1, label="snare")]
            ['snare', 'snare']
        """
        requested = recipe_inputs.parse_inputs(self, label, knobs, inputs)
        lists = {name: len(value) for name, value in requested.items() if isinstance(value, list)}
        n = next(iter(lists.values()), 1) if n is None else n
        if n < 1:
            raise UserError(f"n={n} must be at least 1")
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
            made.append(self.recipe_from_values(self.game.draw(1, random, **mine), seed + i, truncation))
        return made

    def recipe_from_values(
        self, values: Mapping[str, torch.Tensor], seed: int | None = None, truncation: float | None = None
    ) -> Recipe:
        """Return the recipe of one sample.

        Args:
            values: input values ``[1, ...]`` by input name.
            seed: seed from which the values were drawn.
            truncation: truncation of the latent, see `sample`.
        """
        return recipe_inputs.recipe_from_values(self.inputs, values, self.name, seed, truncation)

    def render(
        self,
        recipes: Recipe | Sequence[Recipe],
        *,
        inputs: Mapping[str, Any] | None = None,
        generator: str | None = None,
    ) -> NDArray[np.float32]:
        """Generate the signals of recipes. The model name stored in a recipe is ignored.

        On a CPU, a recipe gives bit-identical signals in any batch and with any number of threads. Each signal is
        computed alone by one thread, because batches and threads change the order of summation and so the rounding.
        Several signals are computed in parallel. Several threads may call this method.

        Args:
            recipes: one recipe, or several.
            inputs: signals by input name: one signal, or a list with one signal for each recipe. Required for recipes
                read from files, because a file stores only the SHA-256 of a signal.
            generator: name of the generator network, for models with several, see `routes`. None selects the first.

        Returns:
            Signals, float32 ``[n, *shape]``.

        Raises:
            UserError: a recipe does not fit this model, or a signal is not the one with which the recipe was made.

        Examples:
            >>> import audiogan
            >>> generator = audiogan.load("drums")
            >>> recipes = generator.recipes(1, seed=5)
            >>> bool((generator.render(recipes) == generator.sample(1, seed=5)).all())
            True
        """
        recipes = [recipes] if isinstance(recipes, Recipe) else list(recipes)
        name = self.routes.find(generator)
        if inputs:
            recipes = recipe_inputs.attach_signals({key: self.game.get_input(key) for key in inputs}, recipes, inputs)
        alone = self._weight.device.type == "cpu"
        parts = [[recipe] for recipe in recipes] if alone else recipe_inputs.batch_recipes(recipes)
        jobs = [(self.input_values(part), part[0].truncation, name) for part in parts]
        waves = WORKERS.map(self._generate_one, jobs) if alone else [self._generate(*job) for job in jobs]
        return recipe_inputs.concatenate_signals(waves) if waves else np.empty((0, *self.shape), np.float32)

    def require_random_inputs(self, feature_name: str) -> None:
        """Raise `UserError` if an input cannot be drawn at random and must be given by the user.

        Args:
            feature_name: plural name of the calling feature, such as "kits", for the error message.
        """
        if needed := self.game.required_inputs:
            names, instead = ", ".join(needed), "use `audiogan apply` or `audiogan sample --input`"
            raise UserError(
                f"{self.name}: it needs the input {names}, but {feature_name} draw all inputs at random; {instead}"
            )

    def apply(self, source: Any, *, generator: str | None = None, **options: Any) -> NDArray[np.float32]:
        """Translate one signal of any size, for example a photograph larger than the training images.

        Args:
            source: sound ``[C, T]`` at the sample rate of the model, image ``[C, H, W]``, or the path of a file.
            generator: name of the generator network, required for models with several.
            options: other arguments of `audiogan.model.translation.signals.apply_signal`: ``inputs``, ``seed``,
                ``progress``.

        Returns:
            Translated signal, float32 ``[C, T]`` or ``[C, H, W]``.

        Raises:
            UserError: the model has no signal as an input, or the signal does not fit the model.
        """
        from audiogan.model.translation.signals import apply_signal

        return apply_signal(self, source, route=generator, **options)

    def stream(self, blocks: Iterable[Any], **options: Any) -> Iterator[NDArray[np.float32]]:
        """Translate a sound in blocks ``[C, n]``, see `audiogan.model.translation.signals.stream_signal`."""
        from audiogan.model.translation.signals import stream_signal

        return stream_signal(self, blocks, **options)

    @torch.inference_mode()
    def _generate_one(self, job: tuple[dict[str, torch.Tensor], float | None, str]) -> NDArray[np.float32]:
        """Generate one signal in a worker thread."""
        values, truncation, name = job
        nets = self._traced_network(values) if truncation is None and len(self.routes) == 1 else None
        return self._generate(values, truncation, name, nets)

    @torch.inference_mode()
    def _generate(
        self,
        values: Mapping[str, torch.Tensor],
        truncation: float | None,
        name: str,
        nets: dict[str, Any] | None = None,
    ) -> NDArray[np.float32]:
        """Return the finished signals ``[B, *shape]`` of input values."""
        out = self.game.generate(values, generator=name, nets=nets, truncation=truncation)
        if not math.isfinite(float(out.sum())):
            noun = self.modality.noun
            raise UserError(f"{self.name}: its {noun}s are not finite numbers (truncation={truncation})")
        return self.modality.postprocess(out.cpu().numpy())

    def _traced_network(self, values: Mapping[str, torch.Tensor]) -> dict[str, Any] | None:
        """Return the traced network after `TRACED_AFTER` single signals, or None before that."""
        with self._count_lock:
            self._count += 1
            due = self._count == TRACED_AFTER
        if due and None not in (size for given in self.inputs.values() for size in given.shape):
            from audiogan.model.tracing import TracedNetwork, trace_network

            name, net = self.game.default_generator, self.game.nets[self.game.default_generator]
            script = trace_network(net, {key: value for key, value in values.items() if key in net.takes})
            self._traced = None if script is None else {name: TracedNetwork(script)}
        return self._traced

    def vary(self, recipe: Recipe, amount: float = 0.3, n: int = 1, *, seed: int | None = None) -> list[Recipe]:
        """Return recipes near a given recipe. They differ from it in the latent only.

        Args:
            recipe: the recipe to vary.
            amount: distance in 0 ... 1. 0 returns the same recipe, 1 an independent latent.
            n: number of recipes.
            seed: random seed. None draws different recipes in each call.

        Raises:
            UserError: ``amount`` is out of range.

        Examples:
            >>> import audiogan
            >>> generator = audiogan.load("drums")
            >>> kick = generator.recipes(1, seed=5, label="kick")[0]
            >>> len(generator.vary(kick, 0.2, n=3, seed=0))
            3
        """
        rng = np.random.default_rng(seed)
        return [recipe.vary(amount, rng) for _ in range(n)]

    def morph(self, start: Recipe, end: Recipe, steps: int = 9) -> list[Recipe]:
        """Return a sequence of recipes that changes gradually from one recipe to another, also between classes.

        Args:
            start: first recipe of the sequence.
            end: last recipe of the sequence.
            steps: number of recipes, both ends included, at least 2.

        Raises:
            UserError: ``steps`` is too small, or the recipes belong to different models.

        Examples:
            >>> import audiogan
            >>> generator = audiogan.load("drums")
            >>> start, end = generator.recipes(2, seed=5)
            >>> len(generator.morph(start, end, steps=5))
            5
        """
        if steps < 2:
            raise UserError(f"steps={steps} must be at least 2")
        return [start.interpolate(end, i / (steps - 1)) for i in range(steps)]

    def save(self, path: str | os.PathLike[str], signal: NDArray[np.float32]) -> None:
        """Write one signal to a file atomically: a sound as 16-bit WAV, an image as 8-bit PNG, points as NPY.

        Args:
            path: output file. The suffix must be ``.wav`` for sounds, ``.png`` for images and ``.npy`` for points.
                Missing folders are created.
            signal: signal ``[*shape]``. For points, a batch ``[n, 2]``.

        Raises:
            ValueError: the suffix or the shape is wrong, or a value is not finite.

        Examples:
            >>> import audiogan, tempfile
            >>> generator = audiogan.load("drums")
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     generator.save(f"{folder}/kick.wav", generator.sample(1, seed=5, label="kick")[0])
        """
        self.modality.save(path, signal)

    def input_values(self, recipes: Sequence[Recipe]) -> dict[str, torch.Tensor]:
        """Return a dict from input name to the values ``[B, ...]`` of recipes.

        Raises:
            UserError: a recipe does not fit this model.
        """
        return recipe_inputs.input_values(self.inputs, recipes, self.name)
