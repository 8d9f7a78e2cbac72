"""What a generator is asked for: class weights, and knobs that go with the class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

Floats = NDArray[np.floating]
LIMIT = 2.3263478
"""Knobs are normal scores; between -2.33 and 2.33 lie 98 of 100 training examples."""
EXAMPLES = 256
"""Of a class, at most."""
NEAR = 0.1
"""How far a knob may be from what is asked for, to say something of the other knobs: standard deviation."""


class Conditions(nn.Module):
    """Conditions `[B, classes + knobs]`: weights of classes, which sum to 1, then knobs as normal scores.

    Knobs that nobody asks for are drawn as a generator meets them in training: those of an example of the class, and
    noise, where training adds noise to them (``spread``). So what was not asked for goes with what was: a bright kick
    is noisier than a dark one if it is so in the training data, and where only brightness is asked for the class is
    drawn from those that are so bright.

    Args:
        classes, knobs: how many of each; 0 for none.
        class_counts: examples of each class in the training data: how often classes are drawn.

    Attributes:
        spread: standard deviation of the noise, 0 until a game that trains with noise says otherwise.
    """

    class_counts: Tensor
    examples: Tensor
    spread: Tensor

    def __init__(self, classes: int, knobs: int, class_counts: Sequence[int] = ()) -> None:
        super().__init__()
        self.classes, self.knobs = classes, knobs
        counts = torch.as_tensor(list(class_counts) or [1] * classes, dtype=torch.float32)
        self.register_buffer("class_counts", counts)
        # Without any, knobs are normal.
        normal = torch.randn(max(classes, 1), EXAMPLES, knobs, generator=torch.Generator().manual_seed(0))
        self.register_buffer("examples", normal.clamp(-LIMIT, LIMIT))
        self.register_buffer("spread", torch.tensor(0.0))

    @property
    def size(self) -> int:
        return self.classes + self.knobs

    @torch.no_grad()
    def fit(self, knobs: Tensor, targets: Tensor) -> None:
        """Remember knobs `[N, knobs]`; `targets` `[N]` are their classes, empty without.

        Examples are in the order of their first knob, so that of one seed bright sounds are drawn of every class.
        """
        for k, examples in enumerate(self.examples):
            mine = knobs[targets == k] if self.classes else knobs
            mine = mine if len(mine) else knobs
            order = torch.randperm(len(mine), generator=torch.Generator().manual_seed(k))
            mine = mine[order[torch.arange(EXAMPLES) % len(mine)]]
            examples.copy_(mine[mine[:, 0].argsort(stable=True)])

    def of(self, label: Tensor | None, knobs: Tensor | None = None) -> Tensor | None:
        """The condition of labels `[B]` and knobs `[B, knobs]`; ``None`` where a network knows neither."""
        weights = self.weights(label)
        if not self.knobs:
            return weights
        if knobs is None:
            raise ValueError(f"the networks want {self.knobs} knobs, but the data has none")
        return knobs if weights is None else torch.cat([weights, knobs], dim=1)

    def weights(self, label: Tensor | None) -> Tensor | None:
        """Class weights `[B, classes]` of labels `[B]`; ``None`` for networks that know no classes."""
        if not self.classes:
            return None
        if label is None:
            raise ValueError(f"the networks want {self.classes} classes, but the data has no labels")
        return F.one_hot(label, self.classes).to(self.class_counts.dtype)

    def draw(
        self,
        n: int,
        rng: torch.Generator | None = None,
        *,
        weights: Tensor | None = None,
        asked: Mapping[int, float] | None = None,
    ) -> Tensor | None:
        """``n`` conditions, on the CPU; ``None`` where a network knows neither classes nor knobs.

        Args:
            weights: class weights `[classes]` or `[n, classes]`; without them classes are drawn as often as the
                training data has them, among those where what is asked for is likely.
            asked: normal scores of some knobs, by number.
        """
        asked = dict(asked or {})
        if not self.size:
            return None
        if not self.classes:
            shares = np.ones((n, 1), np.float32)
        elif weights is None:
            odds = self.class_counts.cpu()
            if asked:
                near = self._nearness(asked)
                odds = odds * (torch.from_numpy(np.exp(near - near.max()).mean(1)) + 1e-9)
            chosen = torch.multinomial(odds, n, replacement=True, generator=rng)
            shares = (chosen.numpy()[:, None] == np.arange(self.classes)).astype(np.float32)
        else:
            shares = np.broadcast_to(weights.cpu().numpy(), (n, self.classes))
        parts = [shares] if self.classes else []
        if self.knobs:
            places, noise = torch.rand(n, generator=rng).numpy(), torch.randn(n, self.knobs, generator=rng).numpy()
            parts.append(self._draw_knobs(shares, asked, places, noise))
        return torch.from_numpy(np.concatenate(parts, axis=1, dtype=np.float32))

    def _nearness(self, asked: Mapping[int, float]) -> Floats:
        """How near each example is to what is asked for, `[groups, EXAMPLES]`, a logarithm."""
        apart = self.examples.cpu().numpy()[:, :, list(asked)] - np.array(list(asked.values()), np.float32)
        return -0.5 * np.square(apart / max(self.spread.item(), NEAR)).sum(2)

    def _draw_knobs(self, weights: Floats, asked: Mapping[int, float], places: Floats, noise: Floats) -> Floats:
        """Knobs `[n, knobs]` of class weights `[n, classes]`, given those that are asked for: of a mixture an example
        of each class, mixed.

        In NumPy, for between the sounds of an instrument the time that small operations take is felt.
        """
        examples, out = self.examples.cpu().numpy(), self.spread.item() * noise
        near = self._nearness(asked) if asked else None
        for k in np.flatnonzero(weights.any(0)).tolist():
            rows = np.flatnonzero(weights[:, k])
            which = (places[rows] * EXAMPLES).astype(np.int64)
            if near is not None:
                up_to = np.exp(near[k] - near[k].max()).cumsum()
                which = np.searchsorted(up_to / up_to[-1], places[rows], side="right").clip(max=EXAMPLES - 1)
            out[rows] += weights[rows, k : k + 1] * examples[k][which]
        for k, value in asked.items():
            out[:, k] = value
        return out.clip(-LIMIT, LIMIT)
