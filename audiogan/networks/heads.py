"""What a critic does with its last hidden layer: one logit, with or without a class."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CONDITIONINGS = ("projection", "embedding", "auxiliary")
JOINT = 256
"""Units of the layer that sees hidden layer and class together; Mirza & Osindero 2014 have 240."""


class Head(nn.Module):
    """Hidden layer ``[B, features]`` and class weights ``[B, classes]`` to logits ``[B]``.

    Args:
        features: size of the hidden layer.
        classes: how many classes a condition weighs; 0 for none, then this is one dense layer.
        conditioning: how the class comes in.

            * ``projection``: the logit is ``psi(h) + <V y, h>`` (Miyato & Koyama, ICLR 2018, equation 3);
            * ``embedding``: an embedding of the class is joined with the hidden layer, and one more dense layer sees
              both (Mirza & Osindero 2014, section 3.2);
            * ``auxiliary``: the logit does not know the class; logits ``[B, classes]`` that guess it come with it
              (Odena, Olah & Shlens, ICML 2017, section 3).
    """

    def __init__(self, features: int, classes: int, conditioning: str = "projection") -> None:
        super().__init__()
        if conditioning not in CONDITIONINGS:
            raise ValueError(f"conditioning={conditioning!r} must be one of {', '.join(CONDITIONINGS)}")
        if features < 1 or classes < 0:
            raise ValueError(f"Head wants features >= 1 and classes >= 0, got features={features}, classes={classes}")
        self.features, self.classes = features, classes
        self.conditioning = conditioning if classes else "none"
        self.embed = self.join = self.classify = None
        if self.conditioning == "projection":
            self.embed = nn.Linear(classes, features, bias=False)
            # The size at which <V y, h> begins as large as psi(h).
            nn.init.normal_(self.embed.weight, std=features**-0.5)
        elif self.conditioning == "embedding":
            self.embed = nn.Linear(classes, JOINT, bias=False)
            self.join = nn.Linear(features + JOINT, JOINT)
        elif self.conditioning == "auxiliary":
            self.classify = nn.Linear(features, classes)
        self.score = nn.Linear(JOINT if self.join is not None else features, 1)

    def forward(self, h: Tensor, condition: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Logits ``[B]``; with ``auxiliary`` also class logits ``[B, classes]``, and the condition may be missing."""
        self._check(h, condition)
        if self.classify is not None:
            return self.score(h)[:, 0], self.classify(h)
        if self.embed is None:
            return self.score(h)[:, 0]
        label = self.embed(condition)
        if self.join is not None:
            return self.score(F.leaky_relu(self.join(torch.cat([h, label], dim=1)), 0.2))[:, 0]
        return self.score(h)[:, 0] + (label * h).sum(1)

    def _check(self, h: Tensor, condition: Tensor | None) -> None:
        if h.dim() != 2 or h.shape[1] != self.features:
            raise ValueError(f"Head expected [B, {self.features}], got {list(h.shape)}")
        if condition is None:
            if self.embed is not None:
                raise ValueError(f"this critic knows {self.classes} classes, but the condition is missing")
        elif not self.classes:
            raise ValueError(f"this critic is unconditional, got a condition of shape {list(condition.shape)}")
        elif condition.shape != (len(h), self.classes):
            expected = [len(h), self.classes]
            raise ValueError(f"Head expected a condition of shape {expected}, got {list(condition.shape)}")
