"""The base class of games with generators: named inputs, sampling, and decoding to signals."""

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
    input_names,
    inputs_from_attributes,
)
from audiogan.inputs import Input, Latent, Random, Seeded
from audiogan.representations import Representation

Rows = NDArray[np.int64]
DRAWN_FIRST = ("latent", "classes", "knobs")
"""Names of the inputs that a game draws before all other inputs, in this order."""
OLD_BUFFER_NAMES = {
    "conditions.class_counts": "inputs.classes.counts",
    "conditions.examples": "inputs.knobs.examples",
    "conditions.spread": "inputs.knobs.spread",
}
"""Mapping from buffer names in older model files to the present names."""


@dataclass(frozen=True)
class Route:
    """Source and target class of a generator that translates between classes.

    Attributes:
        source: index of the class of the sources. ``None`` if all examples are sources.
        target: index of the class of the targets. ``None`` if all examples are targets.

    Examples:
        >>> from audiogan.games import Route
        >>> Route(source=0, target=1)
        Route(source=0, target=1)
    """

    source: int | None = None
    target: int | None = None


class Generative(Game):
    """Base class of games with one or several generators. It draws inputs and generates samples. Subclasses add other
    networks and implement `losses`.

    Args:
        generator: network from named inputs to ``[B, *representation.shape]``, or several such networks by name.
        representation: transform between signals and the tensors that networks process.
        inputs: inputs by name. Inputs that no generator takes are ignored. By default, ``latent``, ``classes`` and
            ``knobs`` follow from the generator's attributes.
        routes: `Route` (source and target class) of each generator, by the generator's name, for unpaired translation.

    Attributes:
        inputs: inputs by name, in the order in which they are drawn.
        generators: `Route` of each generator, by the generator's name.

    Raises:
        ValueError: a network takes an input that does not exist, or a network's shape differs from the representation's
            shape.
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
        known = {**self._inputs_from_generators(), **(inputs or {})}
        order = [*(name for name in DRAWN_FIRST if name in known), *(name for name in known if name not in DRAWN_FIRST)]
        wanted = frozenset().union(*(input_names(net) for net in nets.values()))
        self.inputs = nn.ModuleDict({name: known[name] for name in order if name in wanted})
        for given in self.inputs.values():
            given.connect(dict(self.inputs.items()))  # type: ignore[operator]
        for net in nets.values():
            check_input_names(net, self.inputs)
            check_input_sizes(net, dict(self.inputs.items()))  # type: ignore[arg-type]
            check_shape(net, representation)
        self._inputs_by_generator: dict[str, list[tuple[str, Any]]] = {
            name: [(key, self.inputs[key]) for key in input_names(net)] for name, net in nets.items()
        }

    def _inputs_from_generators(self) -> dict[str, Input]:
        return {
            name: given for net in self.generator_nets.values() for name, given in inputs_from_attributes(net).items()
        }

    @property
    def generator_nets(self) -> dict[str, nn.Module]:
        """Generator networks by name."""
        return {name: self.nets[name] for name in self.generators}

    @property
    def default_generator(self) -> str:
        """Name of the first generator, which methods use if their argument ``generator`` is ``None``."""
        return next(iter(self.generators))

    def get_input(self, name: str) -> Any:
        """Return the input with this name.

        Raises:
            UserError: no input has this name.
        """
        if name not in self.inputs:
            near = difflib.get_close_matches(name, list(self.inputs), 1)
            have = ", ".join(self.inputs) or "none"
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise UserError(f"the model has no input {name[:60]!r}; it has {have}{meant}")
        return self.inputs[name]

    def upgrade_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict with buffer names of older versions replaced by the present names.

        Args:
            state: state dict of this version or of an older version.
        """
        renamed = {OLD_BUFFER_NAMES.get(name, name): value for name, value in state.items()}
        own = self.state_dict()
        return {name: value for name, value in renamed.items() if name in own or name not in OLD_BUFFER_NAMES.values()}

    # Methods that draw inputs.

    def draw(
        self,
        n: int,
        random: Random | torch.Generator | None = None,
        *,
        selected_names: Collection[str] | None = None,
        excluded_names: Collection[str] = (),
        **requested: Any,
    ) -> dict[str, Tensor]:
        """Draw the inputs of ``n`` samples from the distribution of the training data.

        Args:
            n: number of samples.
            random: source of random numbers. ``None`` selects PyTorch's global random number generator.
            selected_names: names of the inputs to draw. ``None`` selects all inputs.
            excluded_names: names of inputs that are not drawn.
            requested: values by the name of the input. An input has one value for all samples, or ``n`` values. Inputs
                with the value ``None`` are drawn.

        Raises:
            UserError: an input does not exist, or an input that cannot be drawn has no value.
        """
        if random is None or isinstance(random, torch.Generator):
            random = Seeded(random)
        wanted = {name: value for name, value in requested.items() if value is not None}
        odds: dict[str, Tensor] = {}
        for name, value in wanted.items():
            for other, factor in self.get_input(name).odds_for_other_inputs(value).items():
                odds[other] = odds[other] * factor if other in odds else factor
        drawn: dict[str, Tensor] = {}
        for name, given in self.inputs.items():
            if name in excluded_names or (selected_names is not None and name not in selected_names):
                continue
            if name not in wanted and not given.drawable:
                raise UserError(f"the model needs the input {name!r}: {given.describe()}")  # type: ignore[operator]
            drawn[name] = given.draw(n, random, wanted.get(name), drawn, odds)  # type: ignore[operator]
        return drawn

    def draw_for_batch(
        self, batch: Mapping[str, Tensor], random: Random | torch.Generator | None = None, **requested: Any
    ) -> dict[str, Tensor]:
        """Draw inputs for as many samples as ``batch`` has. Inputs that cannot be drawn take their values from the
        batch.

        Args:
            batch: tensors by the name of the data column.
            random: source of random numbers. ``None`` selects PyTorch's global random number generator.
            requested: values by the name of the input. Inputs without a value are drawn.
        """
        if random is None or isinstance(random, torch.Generator):
            random = Seeded(random)
        n = len(next(iter(batch.values())))
        for name, given in self.inputs.items():
            if not given.drawable and requested.get(name) is None:
                requested[name] = given.from_batch(batch, random)  # type: ignore[operator]
        return self.draw(n, random, **requested)

    def inputs_from_batch(self, batch: Mapping[str, Tensor], random: Random) -> dict[str, Tensor]:
        """Return the inputs that have a column in a training batch, encoded for networks.

        Args:
            batch: tensors by the name of the data column.
            random: source of random numbers.
        """
        return {
            name: given.encode(given.from_batch(batch, random))  # type: ignore[operator]
            for name, given in self.inputs.items()
            if given.column is not None
        }

    def add_drawn_inputs(self, n: int, batch_inputs: Mapping[str, Tensor], random: Random) -> dict[str, Tensor]:
        """Return all inputs for a training step, encoded for networks: ``batch_inputs`` and random inputs such as
        latents.

        Args:
            n: number of samples.
            batch_inputs: result of `inputs_from_batch`.
            random: source of random numbers.
        """
        whole = dict(batch_inputs)
        each: Any
        for name, each in self.inputs.items():
            if each.column is None:
                whole[name] = each.encode(each.draw(n, random, None, whole))
        return whole

    def balanced_inputs(self, n: int) -> dict[str, Tensor]:
        """Return ``n`` values of each input that has kinds (such as classes), by the input's name. All kinds are
        equally frequent."""
        values = {name: each.balanced_values(n) for name, each in self.inputs.items()}  # type: ignore[operator]
        return {name: value for name, value in values.items() if value is not None}

    def captions(self, inputs: Mapping[str, Tensor]) -> list[str] | None:
        """Return a short text for each sample, from the first input that has captions. ``None`` if no input has any."""
        texts = (each.captions(inputs[name]) for name, each in self.inputs.items() if name in inputs)  # type: ignore[operator]
        return next((text for text in texts if text is not None), None)

    def kind_indices(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """Return the index of each sample's kind (such as its class), int64 ``[n]``. ``None`` if no input has kinds."""
        kinds = (each.kind_indices(inputs[name]) for name, each in self.inputs.items() if name in inputs)  # type: ignore[operator]
        return next((kind for kind in kinds if kind is not None), None)

    @property
    def required_inputs(self) -> dict[str, Any]:
        """Inputs that cannot be drawn, by name. The user or a data set must give their values."""
        return {name: each for name, each in self.inputs.items() if not each.drawable}

    def used_columns(self) -> set[str]:
        """Return the names of the data columns that `real_logits` and `draw_for_batch` use."""
        return {"x", "label"} | {each.column for each in self.inputs.values() if each.column is not None}  # type: ignore[misc]

    def source_and_target_rows(self, table: Any, generator: str | None = None) -> tuple[Rows, Rows]:
        """Return the indices of the rows with a generator's sources, and of the rows with its targets.

        Args:
            table: data set.
            generator: name of the generator. ``None`` selects the first.
        """
        route = self.generators[self.default_generator if generator is None else generator]
        whole = np.arange(len(table))
        found = (whole if end is None else np.flatnonzero(table.targets == end) for end in (route.source, route.target))
        sources, targets = found
        return sources, targets

    # Methods that generate signals.

    @torch.no_grad()
    def generate(
        self,
        inputs: Mapping[str, Tensor],
        *,
        generator: str | None = None,
        nets: Mapping[str, nn.Module] | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Return generated signals ``[n, *signal_shape]``.

        Args:
            inputs: values ``[n, ...]`` by the name of the input.
            generator: name of the generator. ``None`` selects the first.
            nets: networks by name, such as averaged networks. They replace the game's networks with the same names.
            truncation: factor on the latents, 0 to 1. If the network has a method ``forward_truncated``, this method
                receives the factor, and the latents are not scaled. ``None`` disables truncation.
        """
        name = self.default_generator if generator is None else generator
        own: Any = self.nets[name]
        net: Any = nets[name] if nets is not None and name in nets else own  # A ModuleDict has no `get`.
        device = next(own.parameters()).device
        values = {key: given.encode(inputs[key].to(device)) for key, given in self._inputs_by_generator[name]}
        with eval_mode(net):
            if truncation is None:
                x = net(**values)
            elif hasattr(net, "forward_truncated"):
                x = net.forward_truncated(truncation, **values)
            else:
                latents = {key for key, given in self._inputs_by_generator[name] if isinstance(given, Latent)}
                x = net(**{key: value * truncation if key in latents else value for key, value in values.items()})
            return self.representation.decode(x.float() if x.is_floating_point() else x)

    def sample(
        self, n: int, *, nets: Mapping[str, nn.Module] | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        return self.generate(self.draw(n, Seeded(rng)), nets=nets)
