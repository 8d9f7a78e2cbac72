"""Small networks for tests of games."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SmallClassifier(nn.Module):
    """Classifier of three classes with a hidden layer of five units, for semi-supervised games."""

    outputs, takes = 3, frozenset[str]()

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(inputs, 5), nn.Linear(5, 3)

    def features(self, x: Tensor) -> Tensor:
        return torch.tanh(self.hidden(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.features(x))
