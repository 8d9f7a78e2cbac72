"""Interfaces that generators and critics must implement, and the output type of critics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor


class CriticOutput(NamedTuple):
    """Output of a critic that returns class logits, features, or the logits of several critics.

    Attributes:
        logits: logits ``[B, ...]``. A network that contains several critics returns a list with one tensor per critic.
        classes: class logits ``[B, classes]`` of an auxiliary classifier, or ``None``.
        features: hidden layers, each ``[B, ...]``, for feature matching, or ``None``.

    Examples:
        >>> import torch
        >>> from audiogan.networks.base import CriticOutput
        >>> CriticOutput(logits=torch.zeros(2)).classes is None
        True
    """

    logits: Tensor | Sequence[Tensor]
    classes: Tensor | None = None
    features: Sequence[Tensor] | None = None


@runtime_checkable
class GeneratorNet(Protocol):
    """Protocol of generators: ``generator(latent=z, classes=w)`` returns samples ``[B, *shape]``.

    In evaluation mode a generator draws no random numbers, so a sample depends on the inputs only.

    Attributes:
        takes: names of the required inputs, such as ``{"latent", "classes"}``.
    """

    takes: frozenset[str]

    def __call__(self, **inputs: Tensor) -> Any: ...


@runtime_checkable
class CriticNet(Protocol):
    """Protocol of critics: ``critic(x, classes=w)`` returns logits ``[B, ...]`` or a `CriticOutput`.

    Attributes:
        takes: names of the required inputs in addition to the samples ``x``.
    """

    takes: frozenset[str]

    def __call__(self, x: Tensor, /, **inputs: Tensor) -> Any: ...
