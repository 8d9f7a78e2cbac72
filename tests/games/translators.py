"""Small translation networks and data sets of points, for tests of games with a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from audiogan.core import Play
from audiogan.data.columns import Labels, Signals
from audiogan.data.table import Table
from audiogan.inputs import Signal
from audiogan.modalities import Points
from audiogan.networks.base import CriticOutput


class Translator(nn.Module):
    """Linear map from a source ``[B, 2]`` to an output ``[B, 2]``, with a given initial matrix and offset."""

    takes, shape = frozenset({"source"}), (2,)

    def __init__(self, scale: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.dense = nn.Linear(2, 2)
        with torch.no_grad():
            self.dense.weight.copy_(scale * torch.eye(2))
            self.dense.bias.fill_(offset)

    def forward(self, source: Tensor) -> Tensor:
        return self.dense(source)


class Critic(nn.Module):
    """Critic: points ``[B, 2]``, optionally with their source, to logits."""

    def __init__(self, source: bool = False, features: bool = False, width: int = 16) -> None:
        super().__init__()
        self.takes, self.returns = frozenset({"source"} if source else ()), features
        self.first, self.score = nn.Linear(4 if source else 2, width), nn.Linear(width, 1)
        self.received: list[tuple[Tensor, Tensor | None]] = []

    def forward(self, x: Tensor, source: Tensor | None = None) -> Any:
        self.received.append((x.detach(), source))
        h = torch.tanh(self.first(x if source is None else torch.cat([x, source], 1)))
        logits = self.score(h)[:, 0]
        return CriticOutput(logits, None, [h, 2 * h]) if self.returns else logits


def source(column: str = "source") -> dict[str, Any]:
    return {"source": Signal(shape=(2,), modality=Points(), column=column)}


def context(player: str = "generator", step: int = 0) -> Play:
    scratch = Play(step)
    scratch.begin_move(player)
    return scratch


def paired(n: int = 200) -> Table:
    """Return pairs: each target is its source, mirrored, times 2, plus 1."""
    x = np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)
    return Table({"x": Signals(2 * x[:, ::-1].copy() + 1, Points()), "source": Signals(x, Points())}, n)


def domains(n: int = 200, offset: Sequence[float] = (3.0, 0.0)) -> Table:
    """Return two classes of points without pairs: around the origin, and around ``offset``."""
    rng = np.random.default_rng(0)
    codes = np.arange(n) % 2
    x = 0.5 * rng.standard_normal((n, 2)) + codes[:, None] * np.asarray(offset)
    return Table({"x": Signals(x.astype(np.float32), Points()), "label": Labels(codes, ["a", "b"])}, n)
