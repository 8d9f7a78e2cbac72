"""Every metric at once, with the value that real data itself would get."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogan.features.embedding import Embedding, LogMel, embed
from audiogan.metrics.distances import frechet_distance, kernel_distance
from audiogan.metrics.diversity import vendi_score
from audiogan.metrics.neighbours import memorisation, nearest, prdc

__all__ = ["Report", "evaluate"]

LEAST = 20
NEIGHBOURS = 5
CAP = 0.5
WORST = 3

BETTER = {
    "frechet": "lower",
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
    """What was measured.

    The keys of `values` are metric/extractor@samples, and :trainK where K training samples were searched. Numbers under
    one name are comparable if they were measured against the same real data. `floor` has what real data itself gets,
    where that means something; `better` says which way is better. `counts` are the samples given; the number used is
    in the names. `details` takes some values apart, e.g. by class.
    """

    values: dict[str, float]
    floor: dict[str, float]
    better: dict[str, str]
    counts: dict[str, int]
    details: dict[str, dict[str, float]] = field(default_factory=dict)
    nothing: dict[str, float] = field(default_factory=dict)

    def table(self) -> str:
        """Return aligned text: metric, value, value of real data (floor), value of doing nothing, better direction."""
        columns = {"value": self.values, "floor": self.floor} | ({"do nothing": self.nothing} if self.nothing else {})
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
            lowest = sorted(parts.items(), key=lambda part: part[1])[:WORST]
            lines.append(f"{key}, lowest: " + ", ".join(f"{part} {share:.4g}" for part, share in lowest))
        return "\n".join(lines)

    def joined(self, other: Report) -> Report:
        """This report and another one as one; the counts stay this one's."""
        return Report(
            self.values | other.values,
            self.floor | other.floor,
            self.better | other.better,
            other.counts | self.counts,
            self.details | other.details,
            self.nothing | other.nothing,
        )

    def prefixed(self, prefix: str) -> Report:
        """Return this report with other names: ``prefix/NAME``."""
        parts = (self.values, self.floor, self.better, self.details, self.nothing)
        values, floor, better, details, nothing = ({f"{prefix}/{k}": v for k, v in part.items()} for part in parts)
        return Report(values, floor, better, self.counts, details, nothing)  # type: ignore[arg-type]

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
    """Measure generated samples against held-out real ones.

    All sets are cut to the same number n of samples, because the metrics' bias depends on it: the reference is n of
    `real`; its floor is n of `train` measured against it, or, without `train`, another n of `real`.

    * frechet, kernel: see `distances`;
    * precision, recall, density, coverage: see `neighbours.prdc`, with 5 neighbours and balls capped at the median;
    * diversity: Vendi score / that of the reference, the bandwidth being the reference's median distance to the 5th
      neighbour; near 0 for a collapsed set;
    * train_distance, train_copies (only with `train`): see `neighbours.memorisation`; the floor is one half of the
      reference against the other.

    An embedding that describes parts of examples (features [N, P, D], see `Patches`) gives only frechet, of all parts
    together: parts of one example are not independent samples, as the other metrics require.

    Args:
        fake: generated sounds [N, C, T] in [-1, 1], tensor or array.
        real: held-out real sounds [M, C, T].
        sample_rate: Hz; used by the default embedding only.
        train: the sounds trained on [K, C, T].
        embedding: an extractor; by default `LogMel` over the length of `real`. With another one, fake, real and train
            may be whatever it takes.
        count: use this n rather than the largest possible.
        seed: of the choice of samples.

    Raises:
        ValueError: fewer than 20 samples or than `count` (says how many there are), samples that are not finite (says
            which), neither embedding nor sample_rate.
    """
    counts = {"fake": len(fake), "real": len(real)} | ({} if train is None else {"train": len(train)})
    n = matched(counts, count)
    if embedding is None:
        if sample_rate is None:
            raise ValueError("evaluate needs sample_rate, or an embedding that knows it")
        embedding = LogMel.of_length(sample_rate, real[:1].shape[-1])
    rng = np.random.default_rng(seed)
    fakes = embed(fake, embedding, what="fake")[rng.permutation(len(fake))[:n]]
    if train is None:
        both = embed(real, embedding, index=rng.permutation(len(real))[: 2 * n], what="real")
        reference, other = both[:n], both[n:]
    else:
        reference = embed(real, embedding, index=rng.permutation(len(real))[:n], what="real")
        parts = reference.ndim == 3
        chosen = rng.permutation(len(train))[:n]
        seen = embed(train, embedding, index=chosen if parts else None, what="train")
        other = seen if parts else seen[chosen]
    values, floor = compare(fakes, reference), compare(other, reference)
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


def matched(counts: dict[str, int], count: int | None) -> int:
    split = "train" not in counts
    most = min(counts["real"] // 2 if split else counts["real"], *(v for k, v in counts.items() if k != "real"))
    wanted = LEAST if count is None else count
    if not LEAST <= wanted <= most:
        given = ", ".join(f"{v} {k}" for k, v in counts.items())
        rule = " (without train, half of the real ones serve as the floor)" if split else ""
        asked = "" if count is None else f" and count={count} no larger than that"
        raise ValueError(f"need at least {LEAST} samples of each kind{asked}, got {given}{rule}")
    return most if count is None else count


def compare(x: Features, reference: Features) -> dict[str, float]:
    if x.ndim == 3:
        return {"frechet": frechet_distance(x.reshape(-1, x.shape[2]), reference.reshape(-1, x.shape[2]))}
    bandwidth = float(np.median(nearest(reference, reference, k=NEIGHBOURS + 1)[0]))
    bandwidth = max(bandwidth, 1e-6)  # a reference of one repeated sound
    balls = prdc(x, reference, k=NEIGHBOURS, cap=CAP)
    return {
        "frechet": frechet_distance(x, reference),
        "kernel": kernel_distance(x, reference),
        **{f"{name}_capped": value for name, value in balls._asdict().items()},
        "diversity": vendi_score(x, bandwidth=bandwidth) / vendi_score(reference, bandwidth=bandwidth),
    }
