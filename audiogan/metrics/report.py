"""`Report`, the result of an evaluation, and `evaluate`, which computes all metrics for one embedding."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogan.features.embedding import Embedding, LogMel, embed
from audiogan.metrics.distances import frechet_distance, frechet_infinity, kernel_distance
from audiogan.metrics.diversity import vendi_score
from audiogan.metrics.neighbours import memorisation, nearest, prdc

__all__ = ["Report", "evaluate"]

MIN_SAMPLES = 20
"""Smallest number of samples of each kind (generated, real, training)."""
MIN_EXTRAPOLATED = 500
"""Smallest number of samples for which `evaluate` extrapolates Fréchet distances to infinitely many samples."""
NEIGHBOURS, MAX_RADIUS_QUANTILE = 5, 0.5
"""Arguments ``k`` and ``radius_quantile`` of `prdc`."""
LISTED_PARTS = 3
"""Number of parts of the samples, such as classes, that the text table lists: those with the lowest values."""

BETTER = {
    "frechet": "lower",
    "frechet_infinity": "lower",
    "kernel": "lower",
    "precision_capped": "higher",
    "recall_capped": "higher",
    "density_capped": "higher",
    "coverage_capped": "higher",
    "diversity": "near 1",
    "train_distance": "near 1",
    "train_copies": "lower",
}

Features = NDArray[np.float64]


@dataclass(frozen=True)
class Report:
    """Results of an evaluation.

    Each value has a name ``metric/embedding@n``, where n is the number of generated samples and also the number of real
    samples. ``:trainK`` is appended if samples were compared with K training examples. Values with the same name are
    comparable if they were measured with the same real data.

    Attributes:
        values: name -> value of the metric for generated samples.
        floor: name -> value of the metric for real data. Some metrics have none.
        better: name -> which values are better, such as ``higher``, ``lower`` or ``near 1``.
        counts: number of samples of each kind that were available.
        details: name -> values of the metric for parts of the samples, e.g. class -> value.
        nothing: name -> value of the metric for the unchanged sources, for models that translate signals.
        baseline: name -> value of the metric for another model that was evaluated on the same data.
        baseline_name: name of this other model. Empty if there is none.

    Examples:
        >>> from audiogan.metrics import Report
        >>> report = Report({"l1/x@20": 0.2}, {"l1/x@20": 0.0}, {"l1/x@20": "lower"}, {"fake": 20, "real": 20})
        >>> report.values["l1/x@20"]
        0.2
    """

    values: dict[str, float]
    floor: dict[str, float]
    better: dict[str, str]
    counts: dict[str, int]
    details: dict[str, dict[str, float]] = field(default_factory=dict)
    nothing: dict[str, float] = field(default_factory=dict)
    baseline: dict[str, float] = field(default_factory=dict)
    baseline_name: str = ""

    def table(self) -> str:
        """Return the report as an aligned text table with one row for each metric."""
        columns = {"do nothing": self.nothing, "baseline": self.baseline, "value": self.values, "floor": self.floor}
        columns = {name: column for name, column in columns.items() if column or name in ("value", "floor")}
        rows = [("metric", *columns, "better")]
        for key in self.values:
            values = (f"{column[key]:.4g}" if key in column else "-" for column in columns.values())
            rows.append((key, *values, self.better[key]))
        name, *widths, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = []
        for first, *cells, last in rows:
            middle = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
            lines.append(f"{first:<{name}}  {middle}  {last}")
        for key, parts in self.details.items():
            lowest = sorted(parts.items(), key=lambda part: part[1])[:LISTED_PARTS]
            lines.append(f"{key}, lowest: " + ", ".join(f"{part} {share:.4g}" for part, share in lowest))
        return "\n".join(lines)

    def merged(self, other: Report) -> Report:
        """Return a report with the values of both reports. If both have a count of the same name, the count
        of this report is kept."""
        return Report(
            self.values | other.values,
            self.floor | other.floor,
            self.better | other.better,
            other.counts | self.counts,
            self.details | other.details,
            self.nothing | other.nothing,
            self.baseline | other.baseline,
            self.baseline_name or other.baseline_name,
        )

    def with_prefix(self, prefix: str) -> Report:
        """Return a copy of the report with names of the form ``prefix/NAME``."""
        parts = ("values", "floor", "better", "details", "nothing", "baseline")
        prefixed: Any = {part: {f"{prefix}/{k}": v for k, v in getattr(self, part).items()} for part in parts}
        return replace(self, **prefixed)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, allow_nan=False)


def evaluate(
    fake: Any,
    real: Any,
    *,
    sample_rate: int | None = None,
    train: Any | None = None,
    embedding: Embedding | None = None,
    count: int | None = None,
    seed: int = 0,
) -> Report:
    """Measure generated samples against held-out real samples.

    The bias of metrics depends on the number of samples, so generated and real samples are reduced to the same number
    n. The reference is n samples of ``real``. The floor is the value of each metric for real data: for n samples of
    ``train``, or, without ``train``, for another n samples of ``real``.

    * ``frechet``, ``kernel``: see `frechet_distance` and `kernel_distance`.
    * ``frechet_infinity``, for 500 samples or more: see `frechet_infinity`.
    * ``precision_capped``, ``recall_capped``, ``density_capped``, ``coverage_capped``: see `prdc`, with 5 neighbours
      and radii limited to the median.
    * ``diversity``: Vendi score divided by the Vendi score of the reference. The bandwidth is the median distance of a
      reference sample to its 5th neighbour. The value is near 0 for a collapsed generator.
    * ``train_distance``, ``train_copies``, with ``train``: see `memorisation`. The floor compares one half of the
      reference with the other.

    Embeddings with several feature vectors per example (``[N, P, D]``, see `Patches`) give only ``frechet``. The other
    metrics require independent samples, and vectors of one example are not independent.

    Args:
        fake: generated sounds ``[N, C, T]`` in -1 ... 1, tensor or array.
        real: held-out real sounds ``[M, C, T]``.
        sample_rate: sample rate in Hz, for the default embedding.
        train: training sounds ``[K, C, T]``.
        embedding: embedding of the signals. Default: `LogMel` for the length of ``real``. Other embeddings may take
            other signals, such as images.
        count: number of samples n. Default: the largest possible number.
        seed: seed for the choice of samples.

    Raises:
        ValueError: there are fewer than 20 samples or than ``count``, samples are not finite, or both ``embedding`` and
            ``sample_rate`` are missing.

    Examples:
        >>> import numpy as np
        >>> from audiogan.metrics import evaluate
        >>> rng = np.random.default_rng(0)
        >>> real, clicks = rng.normal(size=(60, 1, 2048)) / 10, np.zeros((30, 1, 2048)) + np.eye(2048)[:30, None]
        >>> report = evaluate(clicks, real, sample_rate=16000)
        >>> [report.values[name] > report.floor[name] for name in report.values if name.startswith("frechet")]
        [True]
    """
    counts = {"fake": len(fake), "real": len(real)} | ({} if train is None else {"train": len(train)})
    n = common_count(counts, count)
    if embedding is None:
        if sample_rate is None:
            raise ValueError("evaluate needs a sample_rate or an embedding")
        embedding = LogMel.for_length(sample_rate, real[:1].shape[-1])
    rng = np.random.default_rng(seed)
    fakes = embed(fake, embedding, data_name="fake")[rng.permutation(len(fake))[:n]]
    if train is None:
        both = embed(real, embedding, index=rng.permutation(len(real))[: 2 * n], data_name="real")
        reference, other = both[:n], both[n:]
    else:
        reference = embed(real, embedding, index=rng.permutation(len(real))[:n], data_name="real")
        parts = reference.ndim == 3
        chosen = rng.permutation(len(train))[:n]
        seen = embed(train, embedding, index=chosen if parts else None, data_name="train")
        other = seen if parts else seen[chosen]
    values, floor = compare_features(fakes, reference), compare_features(other, reference)
    if n >= MIN_EXTRAPOLATED and reference.ndim == 2:
        for side, x in ((values, fakes), (floor, other)):
            side["frechet_infinity"] = frechet_infinity(x, reference, seed=seed)
    suffix = dict.fromkeys(values, f"{embedding.name}@{n}")
    if train is not None and reference.ndim == 2:
        half = n // 2
        for side, pair in (
            (values, memorisation(fakes, reference, seen)),
            (floor, memorisation(reference[half:], reference[:half], seen)),
        ):
            side |= {"train_distance": pair.ratio, "train_copies": pair.copies}
        suffix |= dict.fromkeys(("train_distance", "train_copies"), f"{embedding.name}@{n}:train{len(train)}")
    return Report(
        values={f"{k}/{suffix[k]}": v for k, v in values.items()},
        floor={f"{k}/{suffix[k]}": v for k, v in floor.items()},
        better={f"{k}/{suffix[k]}": BETTER[k] for k in values},
        counts=counts,
    )


def common_count(counts: dict[str, int], count: int | None) -> int:
    """Return the size n to which all sets of samples are reduced: ``count``, or by default the largest possible size.

    Raises:
        ValueError: there are not enough samples.
    """
    split = "train" not in counts
    largest = min(counts["real"] // 2 if split else counts["real"], *(v for k, v in counts.items() if k != "real"))
    wanted = MIN_SAMPLES if count is None else count
    if not MIN_SAMPLES <= wanted <= largest:
        given = ", ".join(f"{v} {k}" for k, v in counts.items())
        rule = "; without train, half of the real samples are used for the floor" if split else ""
        need = f"count={count} must be {MIN_SAMPLES} ... {largest}"
        if largest < MIN_SAMPLES:
            need = f"need at least {MIN_SAMPLES} samples of each kind"
        raise ValueError(f"{need}, got {given}{rule}")
    return largest if count is None else count


def compare_features(x: Features, reference: Features) -> dict[str, float]:
    """Return all metrics of features against a reference, both ``[n, D]``. For ``[n, P, D]`` only ``frechet``."""
    if x.ndim == 3:
        return {"frechet": frechet_distance(x.reshape(-1, x.shape[2]), reference.reshape(-1, x.shape[2]))}
    # If all samples are equal, the median distance is 0, which is not a valid bandwidth.
    bandwidth = max(float(np.median(nearest(reference, reference, k=NEIGHBOURS + 1)[0])), 1e-6)
    balls = prdc(x, reference, k=NEIGHBOURS, radius_quantile=MAX_RADIUS_QUANTILE)
    return {
        "frechet": frechet_distance(x, reference),
        "kernel": kernel_distance(x, reference),
        **{f"{name}_capped": value for name, value in balls._asdict().items()},
        "diversity": vendi_score(x, bandwidth=bandwidth) / vendi_score(reference, bandwidth=bandwidth),
    }
