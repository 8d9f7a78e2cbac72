"""What a game expects of its networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor


class CriticOutput(NamedTuple):
    """The output of a critic that returns more than logits.

    Attributes:
        logits: a tensor ``[B, ...]`` of one critic, averaged per sample by the loss; or a list of such tensors, one for
            each of several critics in one network.
        classes: class logits ``[B, classes]`` of an auxiliary classifier.
        features: hidden layers ``[B, ...]``, for feature matching.
    """

    logits: Tensor | Sequence[Tensor]
    classes: Tensor | None = None
    features: Sequence[Tensor] | None = None


@runtime_checkable
class GeneratorNet(Protocol):
    """A generator: a function of named inputs.

    ``generator(latent=z, classes=w)`` returns ``[B, *shape]``. In evaluation mode it draws no random numbers.

    Attributes:
        takes: names of the inputs that it must be given, such as ``{"latent", "classes"}``.
    """

    takes: frozenset[str]

    def __call__(self, **inputs: Tensor) -> Any: ...


@runtime_checkable
class CriticNet(Protocol):
    """A critic: ``critic(x, classes=w)`` returns logits, or a `CriticOutput`.

    Attributes:
        takes: names of the inputs that it must be given beside ``x``.
    """

    takes: frozenset[str]

    def __call__(self, x: Tensor, /, **inputs: Tensor) -> Any: ...
