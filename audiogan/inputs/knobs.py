"""The knob input: continuous properties of the training examples, such as brightness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs.base import ByName, Input, Random, find_column, parse_numbers
from audiogan.inputs.scale import MAX_NORMAL_SCORE, Scale, quantile_levels_to_normal_scores
from audiogan.utils.text import printable

Floats = NDArray[np.floating]
EXAMPLES_PER_CLASS = 256
"""Number of training examples with knob values that `Knobs` stores for each class."""
MISSING_TREATMENTS = ("median", "mask")
"""Treatments of training examples without a measured value, see `Knobs`."""
MIN_KERNEL_STD = 0.1
"""Smallest width of the Gaussian kernel that compares stored examples with requested knobs: a standard deviation in
normal scores."""


class Knobs(Input):
    """Input with measured properties such as brightness, as normal scores: float32 ``[knobs]``, from -2.33 to 2.33.

    A normal score is a measured value that is mapped to a standard normal distribution by its rank in the training
    data.

    Knobs that are not requested are copied from a stored training example of the requested class, with added noise. The
    closer an example is to the requested knobs, the more probable it is. A sound with a high requested brightness
    therefore receives the noisiness of a bright training example.

    Args:
        name: keyword argument of the networks, and key in recipes (stored inputs of generated samples).
        scale: quantiles of the training data, as a `Scale` or the result of `Scale.to_dict`.
        column: name of the data column with the measured values.
        class_input: name of the input with the classes of the examples.
        size: number of knobs. It is ignored, because the number follows from ``scale``.
        missing: treatment of training examples without a measured value. With ``median``, networks receive the median
            instead. With ``mask``, they receive the median too, but the data set keeps NaN, so that games can exclude
            these examples from losses. In `examples`, the value of another example of the same class is used.

    Attributes:
        names: names of the knobs.
        examples: stored normal scores, ``[classes, 256, knobs]``.
        spread: standard deviation of the noise that is added to copied knobs, in normal scores. It is 0 unless a game
            sets it.
    """

    default_column = "knobs"
    examples: Tensor
    spread: Tensor

    def __init__(
        self,
        name: str = "knobs",
        scale: Mapping[str, Any] | Scale | None = None,
        column: str | None = "knobs",
        class_input: str = "classes",
        size: int | None = None,
        missing: str = "median",
    ) -> None:
        if missing not in MISSING_TREATMENTS:
            raise ValueError(f"{name}: missing={missing!r} must be one of {', '.join(MISSING_TREATMENTS)}")
        self.missing = missing
        if scale is None:
            raise ValueError(f"{name}: the scale of the knobs is missing")
        own_scale = scale if isinstance(scale, Scale) else Scale.from_dict(dict(scale))
        super().__init__(name, (len(own_scale.names),), column)
        self.scale, self.class_input, self.class_count, self.names = own_scale, class_input, 0, own_scale.names
        self.register_buffer("examples", self._random_examples())
        self.register_buffer("spread", torch.tensor(0.0))

    def _random_examples(self) -> Tensor:
        size = (max(self.class_count, 1), EXAMPLES_PER_CLASS, len(self.scale.names))
        return torch.randn(*size, generator=torch.Generator().manual_seed(0)).clamp(-MAX_NORMAL_SCORE, MAX_NORMAL_SCORE)

    def connect(self, inputs: Mapping[str, Input]) -> None:
        self.class_count = len(getattr(inputs.get(self.class_input), "labels", ()))
        self.examples = self._random_examples()

    @classmethod
    def data_facts(cls, table: Any, column: str | None = "knobs", **options: Any) -> dict[str, Any]:
        """Return ``scale``, the quantiles of the training data, and ``size``, the number of knobs."""
        column = column or cls.default_column
        if table is None or (column == cls.default_column and column not in table.columns):
            return {"scale": None, "size": 0}
        found = find_column(table, column, "numbers with names", "names")
        scale = Scale.fit(found.values(table.rows), found.names)
        return {"scale": scale.to_dict(), "size": len(scale.names)}

    def prepare_table(self, table: Any) -> Any:
        """Return the data set with measured values replaced by normal scores."""
        if self.missing == "mask":
            return table.map_column(
                self.column, lambda x: np.where(np.isnan(x), np.float32(np.nan), self.scale.to_normal_scores(x))
            )
        return table.map_column(self.column, self.scale.to_normal_scores)

    @torch.no_grad()
    def fit(self, table: Any) -> None:
        """Store examples of each class, sorted by their first knob.

        Because of this order, equal random numbers select examples with a similar first knob in every class.
        """
        knobs, targets = torch.from_numpy(table.columns[self.column].values(table.rows)), None
        if self.class_count:
            targets = torch.from_numpy(table.targets)
        if self.missing == "mask":
            knobs = _fill_missing(knobs, targets)
        for k, examples in enumerate(self.examples):
            mine = knobs if targets is None else knobs[targets == k]
            mine = mine if len(mine) else knobs
            order = torch.randperm(len(mine), generator=torch.Generator().manual_seed(k))
            mine = mine[order[torch.arange(EXAMPLES_PER_CLASS) % len(mine)]]
            examples.copy_(mine[mine[:, 0].argsort(stable=True)])

    def from_batch(self, batch: Mapping[str, Tensor], random: Random) -> Tensor:
        if self.column is None or self.column not in batch:
            raise ValueError(f"the networks need {len(self.names)} knobs, but the data has none")
        return batch[self.column].nan_to_num(0.0) if self.missing == "mask" else batch[self.column]

    def draw(
        self, n: int, random: Random, requested: Tensor | None = None, drawn: ByName = None, odds: ByName = None
    ) -> Tensor:
        # NumPy is faster than PyTorch for small arrays, which keeps the latency low when a model is played live.
        weights = drawn.get(self.class_input) if drawn and self.class_count else None
        shares = np.ones((n, 1), np.float32) if weights is None else weights.cpu().numpy()
        size = len(self.names)
        places, noise = random.rand(n).cpu().numpy(), random.randn(n, size).cpu().numpy()
        rows = None if requested is None else requested.cpu().numpy().reshape(-1, size)
        if rows is None or len(rows) == 1:
            made = self._draw(shares, None if rows is None else rows[0], places, noise)
        elif len(rows) != n:
            raise UserError(f"{self.name}: got {len(rows)} values for {n} samples; give 1 or {n}")
        else:
            each = ((shares[i : i + 1], rows[i], places[i : i + 1], noise[i : i + 1]) for i in range(n))
            made = np.concatenate([*(self._draw(*its) for its in each), np.empty((0, size), np.float32)])
        return torch.from_numpy(made)

    def odds_for_other_inputs(self, requested: Tensor) -> dict[str, Tensor]:
        """Return a factor on the probability of each class, given requested knobs: ``[classes]`` or ``[n, classes]``.

        A class has a large factor if many of its stored examples are close to the requested knobs.
        """
        rows = requested.cpu().numpy().reshape(-1, len(self.names))
        if not self.class_count or np.isnan(rows).all():
            return {}
        if (np.isnan(rows) | (rows == rows[:1])).all() and (np.isnan(rows) == np.isnan(rows[:1])).all():
            return {self.class_input: self._class_odds(rows[0])}
        return {self.class_input: torch.stack([self._class_odds(row) for row in rows])}

    def _class_odds(self, wanted: Floats) -> Tensor:
        near = self._log_kernel(wanted)
        return torch.from_numpy(np.exp(near - near.max()).mean(1)) + 1e-9

    def _log_kernel(self, wanted: Floats) -> Floats:
        """Return the log of a Gaussian kernel between stored examples and requested knobs, ``[classes, 256]``."""
        known = np.flatnonzero(~np.isnan(wanted)).tolist()
        apart = self.examples.cpu().numpy()[:, :, known] - wanted[known].astype(np.float32)
        return -0.5 * np.square(apart / max(self.spread.item(), MIN_KERNEL_STD)).sum(2)

    def _draw(self, weights: Floats, wanted: Floats | None, places: Floats, noise: Floats) -> Floats:
        """Return knobs ``[n, knobs]`` for class weights ``[n, classes]``. A mixture of classes averages one example
        of each class."""
        known = [] if wanted is None else np.flatnonzero(~np.isnan(wanted)).tolist()
        examples, out = self.examples.cpu().numpy(), self.spread.item() * noise
        near = None if wanted is None or not known else self._log_kernel(wanted)
        for k in np.flatnonzero(weights.any(0)).tolist():
            rows = np.flatnonzero(weights[:, k])
            which = (places[rows] * EXAMPLES_PER_CLASS).astype(np.int64)
            if near is not None:
                up_to = np.exp(near[k] - near[k].max()).cumsum()
                which = np.searchsorted(up_to / up_to[-1], places[rows], side="right").clip(max=EXAMPLES_PER_CLASS - 1)
            out[rows] += weights[rows, k : k + 1] * examples[k][which]
        if wanted is not None:
            out[:, known] = wanted[known]
        return out.clip(-MAX_NORMAL_SCORE, MAX_NORMAL_SCORE)

    def parse(self, value: Any) -> Tensor:
        """Return normal scores for quantile levels by knob, such as ``{"brightness": 0.9}``. Missing knobs become NaN,
        so they are drawn later.

        Raises:
            UserError: a name is not a knob, or a quantile level is not from 0 to 1.
        """
        if isinstance(value, Tensor | np.ndarray):
            value = self.values_by_name(value, self.names)
        if isinstance(value, str):
            problem = f"{self.name}={{!r}}: write NAME=NUMBER, with a number from 0 to 1"
            value = parse_numbers(value, "=", problem)
        if not isinstance(value, Mapping):
            raise UserError(f"{self.name}: give a mapping of names to numbers from 0 to 1")
        shares = np.full(len(self.names), np.nan)
        for name, share in value.items():
            if name not in self.names:
                raise UserError(f"the model has no knob {name!r}; it has {', '.join(self.names)}")
            if isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 <= share <= 1:
                raise UserError(f"knob {name}={share!r:.60} must be from 0 to 1")
            shares[self.names.index(name)] = share
        return torch.from_numpy(self.scale.quantile_levels_to_normal_scores(shares))

    def to_json(self, x: Tensor) -> dict[str, float]:
        return dict(zip(self.names, torch.special.ndtr(x.double()).tolist(), strict=True))

    def from_json(self, json_value: Any) -> Tensor:
        if not isinstance(json_value, Mapping) or set(json_value) != set(self.names):
            found = printable(", ".join(map(str, json_value)))[:200] if isinstance(json_value, Mapping) else ""
            raise UserError(f"the recipe has the knobs {found or 'none'}, but the model has {', '.join(self.names)}")
        return self.parse(json_value)

    def to_exported(self, x: Tensor) -> Tensor:
        """Return the quantile levels, 0 to 1, of normal scores ``[n, knobs]``."""
        return torch.special.ndtr(x.double()).float()

    def from_exported(self, x: Tensor) -> Tensor:
        return quantile_levels_to_normal_scores(x)

    def to_parameter(self, x: Tensor) -> Tensor:
        return x.clone()

    def clip_parameter(self, parameter: Tensor) -> None:
        parameter.clamp_(-MAX_NORMAL_SCORE, MAX_NORMAL_SCORE)

    def mix(self, first: Tensor, second: Tensor, fraction: float) -> Tensor:
        shares = torch.special.ndtr(first.double()).lerp(torch.special.ndtr(second.double()), fraction)
        return torch.from_numpy(self.scale.quantile_levels_to_normal_scores(shares.numpy()))

    def describe(self) -> str:
        return f"ranks in the training data, 0 (lowest) to 1 (highest): {', '.join(self.names)}"


def _fill_missing(knobs: Tensor, targets: Tensor | None) -> Tensor:
    """Return knobs ``[N, K]`` in which NaN is replaced by the value of a random example, if possible of the same
    class."""
    knobs, rng = knobs.clone(), torch.Generator().manual_seed(0)
    for column in knobs.t():
        known = column.isfinite()
        values = column[known]
        for i in (~known).nonzero().flatten().tolist():
            same = values if targets is None else values[targets[known] == targets[i]]
            same = same if len(same) else values
            column[i] = same[torch.randint(len(same), (1,), generator=rng)] if len(same) else 0.0
    return knobs
