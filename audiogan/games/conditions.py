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
CENTRES = 256
"""Training examples of a class that its density is made of, at most."""


class Conditions(nn.Module):
    """Conditions `[B, classes + knobs]`: weights of classes, which sum to 1, then knobs as normal scores.

    Knobs of a class are distributed as those of its training examples: a small normal density about each, narrower the
    more there are, all drawn in so much that the covariance stays what it is (Silverman, Density Estimation for
    Statistics and Data Analysis, 1986, section 6.4.1). So what nobody asked for goes with what was: a bright kick is
    noisier than a dark one if it is so in the training data, and where only brightness is asked for the class is drawn
    from those that are so bright. Without examples, as in models of before there were any, it is one normal density.

    Args:
        classes, knobs: how many of each; 0 for none.
        class_counts: examples of each class in the training data: how often classes are drawn.
    """

    class_counts: Tensor
    means: Tensor
    covariances: Tensor
    centres: Tensor  # [groups, CENTRES, knobs], about the mean
    widths: Tensor  # [groups], of the density about each centre, in standard deviations of the class

    def __init__(self, classes: int, knobs: int, class_counts: Sequence[int] = ()) -> None:
        super().__init__()
        self.classes, self.knobs = classes, knobs
        counts = torch.as_tensor(list(class_counts) or [1] * classes, dtype=torch.float32)
        groups = max(classes, 1)
        self.register_buffer("class_counts", counts)
        self.register_buffer("means", torch.zeros(groups, knobs))
        self.register_buffer("covariances", torch.eye(knobs).repeat(groups, 1, 1))
        self.register_buffer("centres", torch.zeros(groups, CENTRES, knobs))
        self.register_buffer("widths", torch.ones(groups))

    @property
    def size(self) -> int:
        return self.classes + self.knobs

    @torch.no_grad()
    def fit(self, knobs: Tensor, targets: Tensor) -> None:
        """Take the distribution of knobs `[N, knobs]`; `targets` `[N]` are their classes, empty without."""
        rows = [knobs[targets == k] for k in range(self.classes)] if self.classes else [knobs]
        overall = torch.cov(knobs.T).reshape(self.knobs, self.knobs)
        for k, mine in enumerate(rows):
            if len(mine):
                self.means[k] = mine.mean(0)
            # A few examples say little of a covariance: that of all data counts like ten of them.
            own = torch.cov(mine.T).reshape(overall.shape) if len(mine) > 1 else overall
            n = len(mine)
            self.covariances[k] = (n * own + 10 * overall) / (n + 10) + 1e-3 * torch.eye(self.knobs)
            if n:
                width = 0.25 * n ** (-2 / (self.knobs + 4)) + 1 / n
                self.widths[k] = (width / (1 + width)) ** 0.5
                order = torch.randperm(n, generator=torch.Generator().manual_seed(k))
                chosen = mine[order[torch.arange(CENTRES) * n // CENTRES if n < CENTRES else slice(CENTRES)]]
                self.centres[k] = (chosen - self.means[k]) * (1 - self.widths[k].square()).sqrt()

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
            places, noise = torch.rand(n, generator=rng).numpy(), torch.randn(n, self.knobs, generator=rng).numpy()
            parts.append(self._draw_knobs(shares, asked, places, noise))
        return torch.from_numpy(np.concatenate(parts, axis=1, dtype=np.float32))

    def _likelihood(self, asked: Mapping[int, float]) -> Tensor:
        """How likely each class has what is asked for, up to a factor, `[classes]`."""
        logs = [self._nearness(k, asked) for k in range(self.classes)]
        highest = max(log.max() for log in logs)
        return torch.tensor([np.exp(log - highest).mean() for log in logs]) + 1e-9

    def _nearness(self, k: int, asked: Mapping[int, float]) -> Floats:
        """The logarithm of the density of what is asked for, about each centre of class `k`: `[CENTRES]`."""
        a = list(asked)
        factor = np.linalg.cholesky(self.widths[k].item() ** 2 * self.covariances[k].cpu().numpy()[a][:, a])
        apart = np.array(list(asked.values())) - self.means[k].cpu().numpy()[a] - self.centres[k].cpu().numpy()[:, a]
        return -0.5 * np.square(np.linalg.solve(factor, apart.T)).sum(0) - np.log(np.diagonal(factor)).sum()

    def _draw_knobs(self, weights: Floats, asked: Mapping[int, float], places: Floats, noise: Floats) -> Floats:
        """Knobs `[n, knobs]` of class weights `[n, classes]`, given those that are asked for: of a mixture, one of each
        class, mixed.

        In NumPy, for between the sounds of an instrument the time that small operations take is felt.
        """
        out, a = np.zeros_like(noise), list(asked)
        values = np.array(list(asked.values()), np.float32)
        for k in np.flatnonzero(weights.any(0)).tolist():
            rows = np.flatnonzero(weights[:, k])
            centres, covariance = self.centres[k].cpu().numpy(), self.covariances[k].cpu().numpy()
            covariance = covariance * self.widths[k].item() ** 2
            if asked:
                log = self._nearness(k, asked)
                odds = np.exp(log - log.max()).cumsum()
                which = np.searchsorted(odds / odds[-1], places[rows], side="right")
            else:
                which = (places[rows] * CENTRES).astype(np.int64)
            mean = self.means[k].cpu().numpy() + centres[which.clip(max=CENTRES - 1)]
            if asked:
                gain = np.linalg.solve(covariance[a][:, a], covariance[a])  # [asked, knobs]
                mean = mean + (values - mean[:, a]) @ gain
                covariance = covariance - covariance[:, a] @ gain + 1e-4 * np.eye(self.knobs)
            out[rows] += weights[rows, k : k + 1] * (mean + noise[rows] @ np.linalg.cholesky(covariance).T)
        if asked:
            out[:, a] = values
        return out.clip(-LIMIT, LIMIT)
