"""The attack time of sounds as a loss can use it: the knob of `audiogan.data.knobs`, differentiable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ENVELOPE_SECONDS, ONSET, EXTREME = 0.005, 0.02, 0.01
"""As in `audiogan.data.knobs`."""


class Attack(nn.Module):
    """Sounds `[B, C, T]` -> normal scores `[B]` of their attack among the training sounds, about -2.3 ... 2.3.

    Half of all drums rise within 4 to 11 ms. A network that listens in frames tells these apart badly, and a generator
    that is to please it obeys badly; but the definition of the knob has a gradient of its own.

    Args:
        scale: that of the knobs of the training data, as `audiogan.data.knobs.Scale.to_dict` has it; ``None`` without.
        sample_rate: in Hz.

    Attributes:
        index: number of the knob among those of the data; ``None`` where it is none of them.
    """

    knob = "attack"
    values: Tensor
    scores: Tensor

    def __init__(self, scale: Mapping[str, Any] | None, sample_rate: int) -> None:
        super().__init__()
        names = list(scale["names"]) if scale is not None else []
        self.index, self.sample_rate = names.index(self.knob) if self.knob in names else None, sample_rate
        if scale is None or self.index is None:
            return
        values = torch.tensor(list(scale["quantiles"][self.index]), dtype=torch.float32)
        shares = torch.linspace(0, 1, len(values), dtype=torch.float64).clamp(EXTREME, 1 - EXTREME)
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("scores", torch.special.ndtri(shares).float(), persistent=False)

    def forward(self, signal: Tensor) -> Tensor:
        size = max(1, round(ENVELOPE_SECONDS / 2 * self.sample_rate))
        power = F.pad(signal.float().square().sum(1), (2 * size, 2 * size))
        for _ in range(2):
            power = F.avg_pool1d(power[:, None], size, 1)[:, 0]
        envelope = (power + 1e-10).sqrt()
        peak = envelope.amax(1, keepdim=True).clamp_min(1e-4)
        began = (envelope >= ONSET * peak).cumsum(1) > 0
        missing = ((1 - envelope.cummax(1).values / peak) * began).sum(1)
        value = torch.log10(2 * missing / self.sample_rate + 1e-5)
        # Straight lines between quantiles, and beyond the outermost.
        k = torch.searchsorted(self.values, value.detach().contiguous()).clamp(1, len(self.values) - 1)
        slope = (self.scores[k] - self.scores[k - 1]) / (self.values[k] - self.values[k - 1])
        return self.scores[k - 1] + (value - self.values[k - 1]) * slope
