"""The `TranslationProbe`, which measures how the outputs of a translation depend on its sources and latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogan.features.embedding import Embedding
from audiogan.inputs import Latent, Signal
from audiogan.metrics import embed
from audiogan.monitors.pictures import channel_correlations, checkerboard, convert_to_shape

MIN_EXAMPLES = 8  # Smallest number of examples from which metrics are computed.
REGENERATED = 16  # Number of samples that are generated again with another source, with another latent, or with noise.
CANDIDATES = 16  # Number of targets that are compared with an output to find its nearest target.
NOISE = 4 / 255  # Standard deviation of the noise on translations, for the range -1 to 1: two levels of 8 bits.
LEVELS = 127.5  # Number of levels of 8 bits per unit of the range -1 to 1.


class TranslationProbe:
    """Measurements of a generator that translates a source. `Probe` adds these measurements to its own.

    Distances between signals are root mean squares over all values. Metrics:

    * ``source_distance``: distance between outputs and their sources, divided by the distance between sources and
      targets. 0 if the generator copies its source.
    * ``target_distance``: distance between outputs and their targets, divided by the distance between sources and
      targets. 1 if the output is no better than the source. Without pairs, the means of sources, outputs and targets in
      the embedding are compared: the metric is 1 minus the fraction of the way from the mean source to the mean target
      at which the mean output lies.
    * ``source_effect``: distance between outputs for different sources, divided by the distance between different
      targets. 0 if the generator ignores its source.
    * ``own_target``: fraction of outputs that are nearer to their own target than to 15 other targets, in the
      embedding. Unrelated outputs reach 1/16. Measured for pairs only.
    * ``latent_effect``: distance between outputs for different latents, divided by the distance between different
      targets.
    * ``colour``, ``colour_expected``: correlation over pixels between outputs and sources, and between targets and
      sources. Both are measured in the luma or in one channel, whichever has the smallest difference ``colour`` minus
      ``colour_expected``. Without pairs, ``colour_expected`` is the correlation between the mean target and the mean
      source.
    * ``cycle_error``, ``cycle_error_noise``, ``cycle_error_rounded``: distance between sources and the result of
      translating them to the other domain and back, as a fraction of the range of values. Before the translation
      back, ``cycle_error_noise`` adds noise of two levels of 8 bits, and ``cycle_error_rounded`` rounds to 8 bits.
    * ``checkerboard``, ``checkerboard_amplitude``: results of `audiogan.monitors.pictures.checkerboard`.

    Args:
        game: a `audiogan.games.Generative` game with a source.
        embedding: function from signals ``[B, ...]`` on the CPU to features ``[B, D]``.
        inputs: inputs of the generator for different sources, ``[n, ...]`` by name.
        batch: columns of the examples to which the sources belong, ``[n, ...]`` by name.
        real: signals of the target domain ``[m, *shape]``. They are used if ``batch`` contains no targets.
        generator: random generator for latents and noise.
    """

    def __init__(
        self,
        game: Any,
        embedding: Embedding,
        inputs: Mapping[str, Tensor],
        batch: Mapping[str, Tensor],
        real: Tensor,
        generator: torch.Generator,
    ) -> None:
        self.game, self.embedding = game, embedding
        signals = {name: given for name, given in game.inputs.items() if isinstance(given, Signal)}
        self.name = max(signals, key=lambda name: signals[name].shape[0] or 0)  # A mask has fewer channels.
        route = game.generators[game.default_generator]
        self.paired = route.source is None and route.target is None
        self.targets = batch["x"].float() if self.paired else real
        self.count = min(len(inputs[self.name]), len(self.targets))
        self.targets = self.targets[: self.count]
        self.inputs = {name: value[: self.count] for name, value in inputs.items()}
        self.source = convert_to_shape(self.inputs[self.name].float().cpu(), tuple(self.targets.shape[1:]))
        self.spread = _distance(self.targets, _others(self.targets))
        self.back = _way_back(game)
        again = game.draw_for_batch({name: value[: self.count] for name, value in batch.items()}, generator)
        self.latents = {name: again[name] for name, given in game.inputs.items() if isinstance(given, Latent)}
        self.noise = NOISE * torch.randn(self.targets[:REGENERATED].shape, generator=generator)
        self.features = embed(self.targets, embedding, data_name="targets")
        same_kind = self.source is not None and not self.paired
        self.source_features = embed(self.source, embedding, data_name="sources") if same_kind else None
        self.expected = self._expected_colours()

    @property
    def usable(self) -> bool:
        """Whether there are enough different examples."""
        return self.count >= MIN_EXAMPLES and self.spread > 0

    def measure(self, x: Tensor, features: Any) -> dict[str, float]:
        """Return all metrics that the game and the data support.

        Args:
            x: outputs ``[N, *shape]`` on the CPU. The first outputs belong to ``inputs``, in the same order.
            features: features of the outputs ``[N, D]``.
        """
        if not self.usable:
            return {}
        x, features = x[: self.count].float(), features[: self.count]
        figures = self._distances(x, features) | {"source_effect": self._source_effect(x)}
        if self.paired and self.count >= CANDIDATES:
            figures["own_target"] = self._own_target(features)
        if self.latents:
            figures["latent_effect"] = self._distance_if(x, self.latents)
        if x.dim() == 4:
            figures |= self._colours(x) | self._hidden(x)
            figures["checkerboard"], figures["checkerboard_amplitude"] = checkerboard(x, self.targets)
        return {name: value for name, value in figures.items() if np.isfinite(value)}

    def _distances(self, x: Tensor, features: Any) -> dict[str, float]:
        if self.source is None:
            return {}
        gap = _distance(self.source, self.targets if self.paired else _others(self.targets))
        if not gap:
            return {}
        figures = {"source_distance": _distance(x, self.source) / gap}
        if self.source_features is None:
            return figures | {"target_distance": _distance(x, self.targets) / gap}
        start = self.source_features.mean(0)
        way = self.features.mean(0) - start
        length = float(way @ way)
        return figures | ({"target_distance": 1 - float((features.mean(0) - start) @ way) / length} if length else {})

    def _source_effect(self, x: Tensor) -> float:
        if len(self.inputs) == 1:
            return _distance(x, _others(x)) / self.spread
        return self._distance_if(x, {self.name: _others(self.inputs[self.name])})

    def _distance_if(self, x: Tensor, changed: Mapping[str, Tensor]) -> float:
        """Return how far outputs move if inputs are changed, relative to the distance between targets."""
        inputs = {name: changed.get(name, value)[:REGENERATED] for name, value in self.inputs.items()}
        return _distance(x[:REGENERATED], self.game.generate(inputs).cpu().float()) / self.spread

    def _own_target(self, features: Any) -> float:
        distances = [((features - np.roll(self.features, -shift, axis=0)) ** 2).sum(1) for shift in range(CANDIDATES)]
        return float((distances[0] < np.min(distances[1:], axis=0)).mean())

    def _expected_colours(self) -> Any:
        if self.source is None or self.source.dim() != 4 or self.source.shape[1] not in (1, 3):
            return None
        if self.paired:
            return channel_correlations(self.targets, self.source)
        return channel_correlations(self.targets.mean(0, keepdim=True), self.source.mean(0, keepdim=True))

    def _colours(self, x: Tensor) -> dict[str, float]:
        if self.expected is None or self.source is None:
            return {}
        found = channel_correlations(x, self.source)
        below = np.nan_to_num(self.expected - found, nan=-np.inf)
        worst = int(below.argmax())
        return {"colour": float(found[worst]), "colour_expected": float(self.expected[worst])}

    def _hidden(self, x: Tensor) -> dict[str, float]:
        if self.back is None:
            return {}
        x = x[:REGENERATED]
        changed = {"": x, "_noise": x + self.noise, "_rounded": ((x + 1) * LEVELS).round() / LEVELS - 1}
        source = self.inputs[self.name][:REGENERATED].float().cpu()
        others = {name: value[:REGENERATED] for name, value in self.inputs.items()}
        return {
            f"cycle_error{name}": _distance(
                source, self.game.generate({**others, self.name: y}, generator=self.back).cpu().float()
            )
            / 2
            for name, y in changed.items()
        }


def is_translation(game: Any) -> bool:
    """Return whether the generators of a game receive a source signal."""
    return any(isinstance(given, Signal) for given in getattr(game, "inputs", {}).values())


def count_generated_samples(game: Any) -> int:
    """Return the number of samples that `TranslationProbe.measure` generates. It depends on the game only."""
    if not is_translation(game):
        return 0
    latents = any(isinstance(given, Latent) for given in game.inputs.values())
    return REGENERATED * ((len(game.inputs) > 1) + latents + 3 * (_way_back(game) is not None))


def _way_back(game: Any) -> str | None:
    """Return the name of the generator that translates in the opposite direction of the first, or ``None``."""
    first = game.generators[game.default_generator]
    if first.source is None or first.target is None:
        return None
    ends = (first.target, first.source)
    return next((name for name, route in game.generators.items() if (route.source, route.target) == ends), None)


def _others(x: Tensor) -> Tensor:
    """Return the rows of ``x`` in another order, such that no row keeps its place."""
    return x.roll(max(1, len(x) // 2), 0)


def _distance(x: Tensor, y: Tensor) -> float:
    return float((x - y).square().mean().sqrt())
