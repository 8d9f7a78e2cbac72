"""Evaluation of models that translate a source: outputs and, as a baseline, sources are compared with targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from audiogan.data.table import Table
from audiogan.inputs import Seeded, Signal
from audiogan.metrics import Report, evaluate
from audiogan.modalities import Modality
from audiogan.modalities.appearance import BETTER as BETTER_APPEARANCE
from audiogan.modalities.references import BETTER, CANDIDATES, edge_correlation, target_match_rate
from audiogan.model.generator import Generator


class Translated(NamedTuple):
    """Outputs of one generator for held-out sources.

    Attributes:
        outputs: outputs ``[n, *shape]``.
        targets: real signals of the target domain ``[m, *shape]``.
        sources: source signals, converted to the shape of the outputs ``[n, *shape]``. ``None`` if they cannot be
            converted. Small images are enlarged by bicubic interpolation.
        paired: whether target ``i`` belongs to source ``i``.
        shown: input name -> source signals that can be displayed next to the outputs.
    """

    outputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    sources: NDArray[np.float32] | None
    paired: bool
    shown: dict[str, NDArray[np.float32]]


def translate(generator: Generator, table: Table, route: str, max_examples: int, seed: int) -> Translated:
    """Translate the sources in a table with one generator.

    Args:
        generator: a model with an input that cannot be drawn at random.
        table: held-out data.
        route: name of a generator of the model, such as one direction of a CycleGAN.
        max_examples: largest number of examples.
        seed: seed for the random inputs of the first example. It is increased by 1 for each further example.
    """
    game = generator.game
    sources, targets = game.source_and_target_rows(table, route)
    rng = np.random.default_rng(0)
    paired = game.generators[route].source is None and game.generators[route].target is None
    sources = rng.permutation(sources)[:max_examples]
    targets = sources if paired else rng.permutation(targets)[:max_examples]
    columns = {name: table.column(given.column, sources) for name, given in game.required_inputs.items()}
    outputs = _apply(generator, route, columns, seed)
    kind, inputs = generator.modality, game.required_inputs
    shown = {
        name: inputs[name].to_display(x).numpy() for name, x in columns.items() if _displayable(kind, inputs[name])
    }
    return Translated(outputs, table.signals(targets).numpy(), _sources_as_outputs(generator, columns), paired, shown)


def _apply(generator: Generator, route: str, columns: Mapping[str, torch.Tensor], seed: int) -> NDArray[np.float32]:
    """Return the outputs ``[n, *shape]`` of one generator for signals ``[n, ...]`` by the name of the input."""
    game, recipes = generator.game, []
    for i in range(len(next(iter(columns.values())))):
        mine = {
            name: game.inputs[name].from_batch({game.inputs[name].column: value[i : i + 1]}, Seeded(0))[0]
            for name, value in columns.items()
        }
        recipes.append(generator.recipe_from_values(game.draw(1, Seeded(seed + i), **mine), seed + i))
    return _fit_length(generator.render(recipes, generator=route), generator.shape[-1])


def _fit_length(signals: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Return signals ``[n, ..., T]`` with the last size ``length``: shortened, or extended by zeros."""
    missing = length - signals.shape[-1]
    return np.pad(signals[..., :length], [(0, 0)] * (signals.ndim - 1) + [(0, max(0, missing))])


def _displayable(kind: Modality, given: Any) -> bool:
    return isinstance(given, Signal) and kind.same_kind(given.modality)


def _sources_as_outputs(generator: Generator, columns: dict[str, torch.Tensor]) -> NDArray[np.float32] | None:
    """Return the first source that has the modality of the output, in the shape of the output.

    Grey images are converted to colour. Images of another size are resized by bicubic interpolation.
    """
    for name, value in columns.items():
        if not _displayable(generator.modality, generator.inputs[name]):
            continue
        channels, *size = generator.shape
        if value.shape[1] != channels and value.shape[1] == 1:
            value = value.expand(-1, channels, *value.shape[2:])
        if value.ndim == 4 and list(value.shape[2:]) != size:
            value = F.interpolate(value, size=size, mode="bicubic", antialias=True)
        if tuple(value.shape[1:]) == tuple(generator.shape):
            return generator.modality.postprocess(value.numpy())
    return None


def measure_distribution(translated: Translated, generator: Generator, embedding: Any, train: Any, seed: int) -> Report:
    """Compare the distribution of outputs with the distribution of targets.

    Args:
        translated: the outputs, see `translate`.
        generator: the model.
        embedding: `Embedding` that extracts the features of outputs and targets.
        train: training targets. ``None`` leaves out the metrics that need them.
        seed: seed for the choice of examples.

    Returns:
        A report. `Report.nothing` has the values of the metrics for the unchanged sources.
    """
    outputs, targets, sources, *_ = translated
    options: dict[str, Any] = {"train": train, "embedding": embedding, "seed": seed}
    report = evaluate(outputs, targets, **options)
    nothing = {} if sources is None else evaluate(sources, targets, **options).values
    return Report(report.values, report.floor, report.better, report.counts, {}, nothing)


def measure_reference_metrics(translated: Translated, generator: Generator, *, speech: bool = False) -> Report:
    """Measure the error of each output against its own target, e.g. SSIM. The report is empty for unpaired data.

    ``match@16`` is the fraction of outputs whose own target is the nearest of 16 targets, see
    `audiogan.modalities.references.target_match_rate`.

    Args:
        translated: the outputs, see `translate`.
        generator: the model.
        speech: also measure speech, see `Modality.speech_metrics`.

    Returns:
        A report. `Report.nothing` has the values of the metrics for the unchanged sources.
    """
    outputs, targets, sources, paired, _ = translated
    if not paired:
        return Report({}, {}, {}, {})

    def by_name(x: NDArray[np.float32]) -> dict[str, float]:
        found = generator.modality.reference_metrics(x, targets)
        if sources is not None:
            found |= generator.modality.restoration_metrics(x, targets, sources)
        if speech:
            found |= generator.modality.speech_metrics(x, targets)
        if len(targets) >= CANDIDATES:
            found[f"match@{CANDIDATES}"] = target_match_rate(x, targets)
        return {f"{name}/target@{len(targets)}": value for name, value in found.items() if np.isfinite(value)}

    values = by_name(outputs)
    better = {name: BETTER.get(name.partition("/")[0], "higher") for name in values}
    return Report(values, {}, better, {}, {}, {} if sources is None else by_name(sources))


def measure_samples(outputs: NDArray[np.float32], real: NDArray[np.float32], generator: Generator) -> Report:
    """Measure properties of a set of outputs and of real signals, e.g. colourfulness, see `Modality.sample_metrics`."""

    def by_name(x: NDArray[np.float32]) -> dict[str, float]:
        found = generator.modality.sample_metrics(x, real)
        return {f"{name}@{len(outputs)}": value for name, value in found.items() if np.isfinite(value)}

    values = by_name(outputs)
    better = {name: BETTER_APPEARANCE.get(name.partition("@")[0], "higher") for name in values}
    return Report(values, by_name(real), better, {})


def measure_source_preservation(translated: Translated, generator: Generator, route: str, seed: int) -> Report:
    """Measure how well the outputs of an unpaired translation preserve their sources.

    * ``edge_correlation/source``, for images: correlation between the edges of outputs and of sources, see
      `audiogan.modalities.references.edge_correlation`.
    * ``psnr/cycle`` and the other full-reference metrics of the modality: error of sources that were translated to the
      other domain and back, if the model has a generator in the opposite direction.

    The report is empty for paired data.
    """
    outputs, _, sources, paired, shown = translated
    if paired or sources is None:
        return Report({}, {}, {}, {})
    values, better = {}, {}
    if outputs.ndim == 4:
        values["edge_correlation/source"] = edge_correlation(outputs, sources)
        better["edge_correlation/source"] = "higher"
    ends = generator.routes[route]
    back = [name for name, r in generator.routes.items() if (r.source, r.target) == (ends.target, ends.source)]
    if back and len(shown) == len(generator.game.required_inputs) == 1:
        restored = _apply(generator, back[0], {name: torch.from_numpy(outputs) for name in shown}, seed)
        found = generator.modality.reference_metrics(restored, sources)
        values |= {f"{name}/cycle": value for name, value in found.items()}
        better |= {f"{name}/cycle": BETTER[name] for name in found}
    kept = {name: f"{name}@{len(outputs)}" for name, value in values.items() if np.isfinite(value)}
    return Report(
        {new: values[old] for old, new in kept.items()}, {}, {new: better[old] for old, new in kept.items()}, {}
    )
