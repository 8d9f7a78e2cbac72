"""Output layers of critics: logits with or without a class condition."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.checks import check_inputs, check_tensor, input_names

CONDITIONINGS = ("projection", "embedding", "auxiliary")
EMBEDDING_UNITS = 256
"""Number of units of the class embedding, and of the hidden layer that receives it, for
``conditioning="embedding"``."""


class Head(nn.Module):
    """Output layer of a critic: hidden layer ``[B, features]`` and class weights ``[B, classes]`` to logits ``[B]``.

    Args:
        features: size of the hidden layer.
        classes: number of classes. With 0 the head is one dense layer.
        conditioning: class conditioning, one of:

            * ``projection``: the logit is ``psi(h) + <V y, h>`` for a hidden layer h and class weights y (Miyato &
              Koyama, ICLR 2018, equation 3);
            * ``embedding``: a dense layer receives the hidden layer and an embedding of the class (Mirza & Osindero
              2014, section 3.2);
            * ``auxiliary``: an auxiliary classifier returns class logits ``[B, classes]`` as a second output. The logit
              does not depend on the class, and classes are not an input (Odena, Olah & Shlens, ICML 2017, section 3).

    Examples:
        >>> import torch
        >>> from audiogan.networks.heads import Head
        >>> Head(8, classes=3)(torch.zeros(2, 8), torch.eye(3)[:2]).shape
        torch.Size([2])
    """

    def __init__(self, features: int, classes: int, conditioning: str = "projection") -> None:
        super().__init__()
        if conditioning not in CONDITIONINGS:
            raise ValueError(f"conditioning={conditioning!r} must be one of {', '.join(CONDITIONINGS)}")
        if features < 1 or classes < 0:
            raise ValueError(f"Head needs features >= 1 and classes >= 0, got features={features}, classes={classes}")
        self.features, self.classes = features, classes
        self.conditioning = conditioning if classes else "none"
        self.takes = input_names(classes=0 if conditioning == "auxiliary" else classes)
        self.embed = self.join = self.classify = None
        if self.conditioning == "projection":
            self.embed = nn.Linear(classes, features, bias=False)
            # This standard deviation makes <V y, h> and psi(h) similar in magnitude at the start of training.
            nn.init.normal_(self.embed.weight, std=features**-0.5)
        elif self.conditioning == "embedding":
            self.embed = nn.Linear(classes, EMBEDDING_UNITS, bias=False)
            self.join = nn.Linear(features + EMBEDDING_UNITS, EMBEDDING_UNITS)
        elif self.conditioning == "auxiliary":
            self.classify = nn.Linear(features, classes)
        self.score = nn.Linear(EMBEDDING_UNITS if self.join is not None else features, 1)

    def forward(self, hidden: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        """Return logits ``[B]``, or with ``auxiliary`` conditioning a `CriticOutput` that also has class logits."""
        check_tensor(self, "hidden layer", hidden, (self.features,))
        check_inputs(self, classes=classes)
        if classes is not None and len(classes) != len(hidden):
            raise ValueError(f"Head: got classes of {len(classes)} samples for {len(hidden)} samples")
        if self.classify is not None:
            return CriticOutput(self.score(hidden)[:, 0], self.classify(hidden))
        if self.embed is None:
            return self.score(hidden)[:, 0]
        label = self.embed(classes)
        if self.join is not None:
            return self.score(F.leaky_relu(self.join(torch.cat([hidden, label], dim=1)), 0.2))[:, 0]
        return self.score(hidden)[:, 0] + (label * hidden).sum(1)
