"""What is left of a game when training is over: a generator, what it is asked for, and how signals come of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from audiogan.core import Game
from audiogan.games.conditions import LIMIT, Conditions
from audiogan.representations import Representation


class Sampling(Game):
    """A generator that can be sampled. Games that train one add the other networks and the losses.

    Args:
        generator: latents ``[B, latent_dim]`` (and conditions ``[B, classes + knobs]``) ->
            ``[B, *representation.shape]``.
        representation: between signals and what the networks see.
        class_counts: examples of each class in the training data; how ``sample`` draws classes if none are asked for.
    """

    def __init__(self, generator: nn.Module, representation: Representation, class_counts: Sequence[int] = ()) -> None:
        super().__init__({"generator": generator})
        check_shape(generator, representation)
        self.representation = representation
        self.latent_dim: int = generator.latent_dim  # type: ignore[assignment]
        self.classes: int = getattr(generator, "classes", 0)
        self.conditions = Conditions(self.classes, getattr(generator, "knobs", 0), class_counts)

    @property
    def _normal(self) -> bool:
        return getattr(self.nets["generator"], "latent", "normal") == "normal"

    def condition(self, label: Tensor | None, knobs: Tensor | None = None) -> Tensor | None:
        """What the generator is told of labels ``[B]`` and knobs ``[B, knobs]``, see `Conditions`; ``None`` if it
        knows neither.
        """
        return self.conditions.of(label, knobs)

    def latents(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        """``[n, latent_dim]`` on the CPU: standard normal, or uniform in [-1, 1] where the paper has it so."""
        if self._normal:
            return torch.randn(n, self.latent_dim, generator=rng)
        return 2 * torch.rand(n, self.latent_dim, generator=rng) - 1

    def draw_condition(self, n: int, rng: torch.Generator | None = None, **asked: Any) -> Tensor | None:
        """``n`` conditions as the training data has them, or as ``asked`` (see `Conditions.draw`)."""
        return self.conditions.draw(n, rng, **asked)

    def completed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As `Game.completed`: of knobs there used to be means and covariances of classes, and no examples."""
        older = "conditions.examples" not in state
        dropped = ("conditions.means", "conditions.covariances") if older else ()
        own = {f"conditions.{name}": value for name, value in self.conditions.state_dict().items()} if older else {}
        if older and self.conditions.knobs and all(name in state for name in dropped):
            mean, covariance = (state[name].float().cpu() for name in dropped)
            normal = Conditions(self.classes, self.conditions.knobs).examples @ torch.linalg.cholesky(covariance).mT
            own["conditions.examples"] = (mean[:, None] + normal).clamp(-LIMIT, LIMIT)
        return own | {name: value for name, value in state.items() if name not in dropped}

    @torch.no_grad()
    def generate(
        self,
        z: Tensor,
        condition: Tensor | None = None,
        *,
        nets: Mapping[str, nn.Module] | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Signals ``[n, *signal_shape]`` of latents ``[n, latent_dim]`` and class weights ``[n, classes]``."""
        generator: Any = nets["generator"] if nets is not None and "generator" in nets else self.nets["generator"]
        device = next(generator.parameters()).device
        z, condition = z.to(device), None if condition is None else condition.to(device)
        with evaluating(generator):
            if truncation is None:
                x = generator(z, condition)
            elif hasattr(generator, "truncated"):
                x = generator.truncated(z, condition, truncation)
            else:
                x = generator(z * truncation, condition)
            return self.representation.decode(x.float())

    def sample(
        self,
        n: int,
        condition: Tensor | None = None,
        *,
        nets: Mapping[str, nn.Module] | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        z = self.latents(n, rng)
        if condition is None:
            condition = self.draw_condition(n, rng)
        return self.generate(z, condition, nets=nets)


def check_shape(network: nn.Module, representation: Representation) -> None:
    """Raise ``ValueError`` if a network has a ``shape`` and it is not the representation's."""
    shape = getattr(network, "shape", None)
    if shape is not None and tuple(shape) != tuple(representation.shape):
        given = f"signals of shape {list(representation.signal_shape)} become {list(representation.shape)}"
        name = type(network).__name__
        raise ValueError(f"{name} works on tensors of shape {list(shape)}, but {given}; change the data or the network")


@contextlib.contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, for a while. One that is costs nothing: to set a mode takes a millisecond."""
    if not net.training:
        yield
        return
    net.eval()
    try:
        yield
    finally:
        net.train()
