"""The last layers of critics: logits, with or without classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.checks import check_inputs, check_tensor, named_inputs

CONDITIONINGS = ("projection", "embedding", "auxiliary")
JOINT = 256
"""Units of the layer after hidden layer and class are joined; Mirza & Osindero 2014 have 240."""


class Head(nn.Module):
    """From a hidden layer ``[B, features]`` and class weights ``[B, classes]`` to logits ``[B]``.

    Args:
        features: size of the hidden layer.
        classes: number of classes. With 0 the head is one dense layer.
        conditioning: how the class enters.

            * ``projection``: the logit is ``psi(h) + <V y, h>`` (Miyato & Koyama, ICLR 2018, equation 3);
            * ``embedding``: an embedding of the class is joined with the hidden layer, and one more dense layer sees
              both (Mirza & Osindero 2014, section 3.2);
            * ``auxiliary``: the logit does not depend on the class. Class logits ``[B, classes]`` are a second output
              (Odena, Olah & Shlens, ICML 2017, section 3). The class is then not an input.
    """

    def __init__(self, features: int, classes: int, conditioning: str = "projection") -> None:
        super().__init__()
        if conditioning not in CONDITIONINGS:
            raise ValueError(f"conditioning={conditioning!r} must be one of {', '.join(CONDITIONINGS)}")
        if features < 1 or classes < 0:
            raise ValueError(f"Head wants features >= 1 and classes >= 0, got features={features}, classes={classes}")
        self.features, self.classes = features, classes
        self.conditioning = conditioning if classes else "none"
        self.takes = named_inputs(classes=0 if conditioning == "auxiliary" else classes)
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

    def forward(self, h: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        """Return logits ``[B]``; with ``auxiliary`` a `CriticOutput` with class logits ``[B, classes]``."""
        check_tensor(self, "hidden layer", h, (self.features,))
        check_inputs(self, classes=classes)
        if classes is not None and len(classes) != len(h):
            raise ValueError(f"Head: got classes of {len(classes)} samples for {len(h)} samples")
        if self.classify is not None:
            return CriticOutput(self.score(h)[:, 0], self.classify(h))
        if self.embed is None:
            return self.score(h)[:, 0]
        label = self.embed(classes)
        if self.join is not None:
            return self.score(F.leaky_relu(self.join(torch.cat([h, label], dim=1)), 0.2))[:, 0]
        return self.score(h)[:, 0] + (label * h).sum(1)
