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


class Conditions(nn.Module):
    """Conditions `[B, classes + knobs]`: weights of classes, which sum to 1, then knobs as normal scores.

    Knobs of a class are taken for jointly normal. So what nobody asked for goes with what was: a bright kick is noisier
    than a dark one if it is so in the training data, and where only brightness is asked for the class is drawn from
    those that are so bright.

    Args:
        classes, knobs: how many of each; 0 for none.
        class_counts: examples of each class in the training data: how often classes are drawn.
    """

    class_counts: Tensor
    means: Tensor
    covariances: Tensor

    def __init__(self, classes: int, knobs: int, class_counts: Sequence[int] = ()) -> None:
        super().__init__()
        self.classes, self.knobs = classes, knobs
        counts = torch.as_tensor(list(class_counts) or [1] * classes, dtype=torch.float32)
        groups = max(classes, 1)
        self.register_buffer("class_counts", counts)
        self.register_buffer("means", torch.zeros(groups, knobs))
        self.register_buffer("covariances", torch.eye(knobs).repeat(groups, 1, 1))

    @property
    def size(self) -> int:
        return self.classes + self.knobs

    @torch.no_grad()
    def fit(self, knobs: Tensor, targets: Tensor) -> None:
        """Take means and covariances of knobs `[N, knobs]`; `targets` `[N]` are their classes, empty without."""
        rows = [knobs[targets == k] for k in range(self.classes)] if self.classes else [knobs]
        overall = torch.cov(knobs.T).reshape(self.knobs, self.knobs)
        for k, mine in enumerate(rows):
            if len(mine):
                self.means[k] = mine.mean(0)
            # A few examples say little of a covariance: that of all data counts like ten of them.
            own = torch.cov(mine.T).reshape(overall.shape) if len(mine) > 1 else overall
            n = len(mine)
            self.covariances[k] = (n * own + 10 * overall) / (n + 10) + 1e-3 * torch.eye(self.knobs)

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
            odds = self.class_counts.cpu() * self._likelihood(asked) if asked else self.class_counts.cpu()
            chosen = torch.multinomial(odds, n, replacement=True, generator=rng)
            shares = (chosen.numpy()[:, None] == np.arange(self.classes)).astype(np.float32)
        else:
            shares = np.broadcast_to(weights.cpu().numpy(), (n, self.classes))
        parts = [shares] if self.classes else []
        if self.knobs:
            parts.append(self._draw_knobs(shares, asked, torch.randn(n, self.knobs, generator=rng).numpy()))
        return torch.from_numpy(np.concatenate(parts, axis=1, dtype=np.float32))

    def _likelihood(self, asked: Mapping[int, float]) -> Tensor:
        """How likely each class has what is asked for, up to a factor, `[classes]`."""
        a, values = list(asked), torch.tensor(list(asked.values()))
        density = torch.distributions.MultivariateNormal(self.means.cpu()[:, a], self.covariances.cpu()[:, a][:, :, a])
        log = density.log_prob(values.expand(self.classes, -1))
        return (log - log.max()).exp() + 1e-9

    def _draw_knobs(self, weights: Floats, asked: Mapping[int, float], normal: Floats) -> Floats:
        """Knobs `[n, knobs]` of class weights `[n, classes]`: normal, given those that are asked for.

        In NumPy, for between the sounds of an instrument the time that small operations take is felt.
        """
        mean = weights @ self.means.cpu().numpy()
        covariance = (weights @ self.covariances.cpu().flatten(1).numpy()).reshape(-1, self.knobs, self.knobs)
        if asked:
            a = list(asked)
            gain = np.linalg.solve(covariance[:, a][:, :, a], covariance[:, a]).transpose(0, 2, 1)  # [n, knobs, asked]
            mean = mean + (gain @ (np.array(list(asked.values())) - mean[:, a])[:, :, None])[:, :, 0]
            covariance = covariance - gain @ covariance[:, a] + 1e-4 * np.eye(self.knobs)
        out = mean + (np.linalg.cholesky(covariance) @ normal[:, :, None])[:, :, 0]
        for k, value in asked.items():
            out[:, k] = value
        return out.clip(-LIMIT, LIMIT)
