"""The inference part of a game: generators, their named inputs, and decoding to signals."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiogan.core import Game
from audiogan.errors import UserError
from audiogan.games.calling import (
    check_input_names,
    check_input_sizes,
    check_shape,
    eval_mode,
    implied_inputs,
    input_names,
)
from audiogan.inputs import Input, Latent, Random, Seeded
from audiogan.representations import Representation

Rows = NDArray[np.int64]
FIRST = ("latent", "classes", "knobs")
"""Inputs that are drawn before all others, in this order."""
OLD_NAMES = {
    "conditions.class_counts": "inputs.classes.counts",
    "conditions.examples": "inputs.knobs.examples",
    "conditions.spread": "inputs.knobs.spread",
}
"""Buffers of models that were stored before inputs had names."""


@dataclass(frozen=True)
class Route:
    """What a generator translates: numbers of the classes of its sources and of its targets.

    Attributes:
        source, target: class in the data; ``None`` where the data is not split by class.
    """

    source: int | None = None
    target: int | None = None


class Generative(Game):
    """Generators that can be sampled. Games that train them add the other networks and the losses.

    Args:
        generator: a network that takes named inputs and returns ``[B, *representation.shape]``; or several, by name.
        representation: between signals and what the networks see.
        inputs: by name. Inputs that no network takes are left out. ``latent``, ``classes`` and ``knobs`` follow from
            the attributes of the generator where they are not given.
        routes: what each of several generators translates.

    Attributes:
        inputs: in the order in which they are drawn.
        generators: the route of each generator, by the name of its network.

    Raises:
        ValueError: a network takes an input that there is not, or has another shape than the representation.
    """

    def __init__(
        self,
        generator: nn.Module | Mapping[str, nn.Module],
        representation: Representation,
        inputs: Mapping[str, Input] | None = None,
        routes: Mapping[str, Route] | None = None,
    ) -> None:
        nets = {"generator": generator} if isinstance(generator, nn.Module) else dict(generator)
        if not nets:
            raise ValueError("a game needs at least one generator")
        super().__init__(nets)
        self.representation = representation
        self.generators = {name: (routes or {}).get(name, Route()) for name in nets}
        known = {**self._implied(), **(inputs or {})}
        order = [*(name for name in FIRST if name in known), *(name for name in known if name not in FIRST)]
        wanted = frozenset().union(*(input_names(net) for net in nets.values()))
        self.inputs = nn.ModuleDict({name: known[name] for name in order if name in wanted})
        for given in self.inputs.values():
            given.connect(dict(self.inputs.items()))  # type: ignore[operator]
        for net in nets.values():
            check_input_names(net, self.inputs)
            check_input_sizes(net, dict(self.inputs.items()))  # type: ignore[arg-type]
            check_shape(net, representation)
        self._taken: dict[str, list[tuple[str, Any]]] = {
            name: [(key, self.inputs[key]) for key in input_names(net)] for name, net in nets.items()
        }

    def _implied(self) -> dict[str, Input]:
        return {name: given for net in self.generator_nets.values() for name, given in implied_inputs(net).items()}

    @property
    def generator_nets(self) -> dict[str, nn.Module]:
        """The generators, by name."""
        return {name: self.nets[name] for name in self.generators}

    @property
    def default_generator(self) -> str:
        """The name of the generator that is used when none is named: the first."""
        return next(iter(self.generators))

    def input(self, name: str) -> Any:
        """Return an input by its name; ``UserError`` that lists the inputs if there is none of this name."""
        if name not in self.inputs:
            near = difflib.get_close_matches(name, list(self.inputs), 1)
            have = ", ".join(self.inputs) or "none"
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise UserError(f"the model has no input {name[:60]!r}; it has {have}{meant}")
        return self.inputs[name]

    def upgrade_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict of an older version with today's names."""
        renamed = {OLD_NAMES.get(name, name): value for name, value in state.items()}
        own = self.state_dict()
        return {name: value for name, value in renamed.items() if name in own or name not in OLD_NAMES.values()}

    # Drawing inputs.

    def draw(
        self,
        n: int,
        random: Random | torch.Generator | None = None,
        *,
        only: Collection[str] | None = None,
        skip: Collection[str] = (),
        **requested: Any,
    ) -> dict[str, Tensor]:
        """Draw the inputs of ``n`` samples, distributed as in the training data.

        Args:
            n: number of samples.
            random: source of random numbers.
            only, skip: names of the inputs to draw, and not to draw; all by default.
            requested: tensors by the name of the input, one value or ``n`` values; ``None``: not requested.

        Raises:
            UserError: an unknown input, or one that must be given and is not.
        """
        if random is None or isinstance(random, torch.Generator):
            random = Seeded(random)
        wanted = {name: value for name, value in requested.items() if value is not None}
        odds: dict[str, Tensor] = {}
        for name, value in wanted.items():
            for other, factor in self.input(name).odds_of_others(value).items():
                odds[other] = odds[other] * factor if other in odds else factor
        drawn: dict[str, Tensor] = {}
        for name, given in self.inputs.items():
            if name in skip or (only is not None and name not in only):
                continue
            if name not in wanted and not given.drawable:
                raise UserError(f"the model needs the input {name!r}: {given.describe()}")  # type: ignore[operator]
            drawn[name] = given.draw(n, random, wanted.get(name), drawn, odds)  # type: ignore[operator]
        return drawn

    def draw_for_batch(
        self, batch: Mapping[str, Tensor], random: Random | torch.Generator | None = None, **requested: Any
    ) -> dict[str, Tensor]:
        """Draw the inputs of as many samples as ``batch`` has; those that cannot be drawn are taken from the batch."""
        if random is None or isinstance(random, torch.Generator):
            random = Seeded(random)
        n = len(next(iter(batch.values())))
        for name, given in self.inputs.items():
            if not given.drawable and requested.get(name) is None:
                requested[name] = given.from_batch(batch, random)  # type: ignore[operator]
        return self.draw(n, random, **requested)

    def inputs_from_batch(self, batch: Mapping[str, Tensor], random: Random) -> dict[str, Tensor]:
        """Return the inputs that a training batch determines, as networks receive them."""
        return {
            name: given.encode(given.from_batch(batch, random))  # type: ignore[operator]
            for name, given in self.inputs.items()
            if given.column is not None
        }

    def add_drawn_inputs(self, n: int, batch_inputs: Mapping[str, Tensor], random: Random) -> dict[str, Tensor]:
        """Return ``given`` with the inputs that are drawn in training too, as networks receive them."""
        whole = dict(batch_inputs)
        each: Any
        for name, each in self.inputs.items():
            if each.column is None:
                whole[name] = each.encode(each.draw(n, random, None, whole))
        return whole

    def balanced_inputs(self, n: int) -> dict[str, Tensor]:
        """Return values that show each kind equally often, such as each class in turn, for inputs that have kinds."""
        values = {name: each.balanced_values(n) for name, each in self.inputs.items()}  # type: ignore[operator]
        return {name: value for name, value in values.items() if value is not None}

    def captions(self, inputs: Mapping[str, Tensor]) -> list[str] | None:
        """Return a short text for each sample, from the first input that has one."""
        texts = (each.captions(inputs[name]) for name, each in self.inputs.items() if name in inputs)  # type: ignore[operator]
        return next((text for text in texts if text is not None), None)

    def kinds(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """Return the kind of each sample, int64 ``[n]``, from the first input that has kinds."""
        kinds = (each.kinds(inputs[name]) for name, each in self.inputs.items() if name in inputs)  # type: ignore[operator]
        return next((kind for kind in kinds if kind is not None), None)

    @property
    def required_inputs(self) -> dict[str, Any]:
        """The inputs that cannot be drawn, by name."""
        return {name: each for name, each in self.inputs.items() if not each.drawable}

    def used_columns(self) -> set[str]:
        """Return the columns of the data that `score` and `draw_for_batch` read."""
        return {"x", "label"} | {each.column for each in self.inputs.values() if each.column is not None}  # type: ignore[misc]

    def source_and_target_rows(self, table: Any, generator: str | None = None) -> tuple[Rows, Rows]:
        """Return the places in a table of the sources and of the targets of a generator."""
        route = self.generators[self.default_generator if generator is None else generator]
        whole = np.arange(len(table))
        found = (whole if end is None else np.flatnonzero(table.targets == end) for end in (route.source, route.target))
        sources, targets = found
        return sources, targets

    # Signals.

    @torch.no_grad()
    def generate(
        self,
        inputs: Mapping[str, Tensor],
        *,
        generator: str | None = None,
        nets: Mapping[str, nn.Module] | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Return signals ``[n, *signal_shape]``.

        Args:
            inputs: values ``[n, ...]`` by name, as `draw` returns them.
            generator: name of one of several generators; the first by default.
            nets: networks that replace the game's by name, such as an average of the weights.
            truncation: see `audiogan.model.generator.Generator.sample`.
        """
        name = self.default_generator if generator is None else generator
        own: Any = self.nets[name]
        net: Any = nets[name] if nets is not None and name in nets else own  # a ModuleDict has no method `get`
        device = next(own.parameters()).device
        values = {key: given.encode(inputs[key].to(device)) for key, given in self._taken[name]}
        with eval_mode(net):
            if truncation is None:
                x = net(**values)
            elif hasattr(net, "truncated"):
                x = net.truncated(truncation, **values)
            else:
                latents = {key for key, given in self._taken[name] if isinstance(given, Latent)}
                x = net(**{key: value * truncation if key in latents else value for key, value in values.items()})
            return self.representation.decode(x.float() if x.is_floating_point() else x)

    def sample(
        self, n: int, *, nets: Mapping[str, nn.Module] | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        return self.generate(self.draw(n, Seeded(rng)), nets=nets)
