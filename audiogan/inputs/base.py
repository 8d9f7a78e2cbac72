"""The base class of the named inputs of a generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from audiogan.errors import UserError
from audiogan.utils.text import printable

ByName = Mapping[str, Tensor] | None
"""Tensors by the names of inputs."""


class Random(Protocol):
    """A source of random numbers: `audiogan.core.Play` in training, `Seeded` elsewhere."""

    def rand(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1)."""
        ...

    def randn(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        ...

    def choice(self, odds: Tensor, n: int) -> Tensor:
        """``n`` indices, int64 ``[n]``, with probabilities in proportion to ``odds``."""
        ...


class Seeded:
    """Random numbers on the CPU from a ``torch.Generator``; without one, from torch's global generator."""

    def __init__(self, generator: torch.Generator | int | None = None) -> None:
        if isinstance(generator, int):
            generator = torch.Generator().manual_seed(generator)
        self.generator = generator

    def rand(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator)

    def randn(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator)

    def choice(self, odds: Tensor, n: int) -> Tensor:
        return torch.multinomial(odds, n, replacement=True, generator=self.generator)


def find_column(table: Any, name: str, contents: str, attribute: str) -> Any:
    """Return a column of the training table.

    Args:
        table: the training table.
        name: name of the column.
        contents: contents such a column holds, for the message, such as ``signals``.
        attribute: the attribute that only columns of this kind have.

    Raises:
        UserError: there is no such column, or it holds something else.
    """
    found = table.columns.get(name)
    if found is None:
        raise UserError(f"the data has no column {name!r}; it has {', '.join(table.columns)}: {table.source}")
    if getattr(found, attribute, None) in (None, ()):
        raise UserError(f"the column {name!r} of the data holds no {contents}; choose another column: {table.source}")
    return found


def parse_numbers(text: str, separator: str, message: str) -> dict[str, float]:
    """Return the numbers of a text such as ``a=1,b=2`` by name.

    Args:
        text: names and numbers, separated by commas.
        separator: separates a name from its number, such as ``=``.
        message: message for a part that has another form; ``{!r}`` stands for the part.

    Raises:
        UserError: a part is not a name and a number.
    """
    found = {}
    for part in text.split(","):
        name, _, value = part.rpartition(separator)
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise UserError(message.format(part)) from None
    return found


class Input(nn.Module):
    """One named input of a generator.

    An input has buffers only. Networks that process it, such as a text encoder, belong to the game. Names of classes,
    quantiles and other facts about the data are constructor arguments: a state dict holds tensors only.

    Args:
        name: the keyword under which networks receive the input, and its key in recipes.
        shape: shape of one value, without the batch dimension. ``None`` stands for any length.
        column: the column of the training table that holds its values. ``None``: the input is drawn in training too.

    Attributes:
        drawable: whether `draw` can make values. If not, a person or a data set must give them.
        modality: the modality of its values, for inputs that can be shown; otherwise ``None``.
        rate: learning rate of a gradient search.
    """

    default_column: ClassVar[str | None] = None
    drawable: bool = True
    modality: Any = None
    rate: float = 0.1

    def __init__(self, name: str, shape: Sequence[int | None] = (), column: str | None = None) -> None:
        super().__init__()
        self.name, self.shape, self.column = name, tuple(shape), column

    # Facts about the data.

    @classmethod
    def facts(cls, table: Any, column: str | None = None, **options: Any) -> dict[str, Any] | None:
        """Return contents the data decides, as plain values for the configuration; they become constructor arguments.

        ``size`` among them is the number of channels that networks receive; it is ``${facts.NAME}`` in YAML.

        Args:
            table: the training table; ``None`` before the data is open: the result then has the same keys.
            column: the column to look at.
            options: the other settings of the input in the configuration.
        """
        return {}

    def connect(self, others: Mapping[str, Input]) -> None:
        """Learn which other inputs the generator has. Called once, when the game is built."""

    def prepare_table(self, table: Any) -> Any:
        """Return the table with this input's column as `from_batch` wants it, such as measured values as scores."""
        return table

    def fit(self, table: Any) -> None:
        """Fill buffers from the training table. Called once, before training; checkpoints hold the result."""

    def check_buffers(self) -> None:
        """Check the buffers of a stored model, which may come from a stranger; ``UserError`` for nonsense."""

    # Values.

    def from_batch(self, batch: Mapping[str, Tensor], random: Random) -> Tensor:
        """Return the values ``[B, *shape]`` of a training batch. Inputs without a column are drawn."""
        if self.column is None:
            return self.draw(next(len(value) for value in batch.values()), random)
        if self.column not in batch:
            raise ValueError(f"the input {self.name!r} needs the column {self.column!r}; the data has {list(batch)}")
        return batch[self.column]

    def values_of_real(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        """Return the values ``[B, *shape]`` that describe the real examples of a batch to a critic.

        ``None``: they are those of `from_batch`. They differ where a generator gets a drawn target, such as a class.
        """
        return None

    def draw(
        self, n: int, random: Random, requested: Tensor | None = None, drawn: ByName = None, odds: ByName = None
    ) -> Tensor:
        """Draw ``n`` values with the distribution of the training data.

        Args:
            n: number of values.
            random: source of random numbers.
            requested: the requested value, ``[*shape]`` or ``[n, *shape]``. NaN marks entries that are not requested.
            drawn: values ``[n, ...]`` of the inputs that come before this one.
            odds: contents requests for other inputs say about this one, by name; see `odds_of_others`.
        """
        if requested is None:
            raise UserError(f"the input {self.name!r} cannot be drawn; give one")
        return self.expand_to_batch(requested, n)

    def odds_of_others(self, requested: Tensor) -> dict[str, Tensor]:
        """Return factors on the odds of other inputs, by name, given a request for this one.

        Args:
            requested: see `draw`.
        """
        return {}

    def balanced_values(self, n: int) -> Tensor | None:
        """Return ``n`` values that show each kind equally often, for previews; ``None`` if there are no kinds."""
        return None

    def proportional_values(self, n: int) -> Tensor | None:
        """Return ``n`` values with the proportions of the training data; ``None`` if there are no kinds."""
        return None

    def neutral_values(self, n: int) -> Tensor | None:
        """Return ``n`` values that contain no information; ``None`` if there are no such values."""
        return None

    def captions(self, x: Tensor) -> list[str] | None:
        """Return a short text for each value ``[n, *shape]``; ``None`` if values have no text."""
        return None

    def kinds(self, x: Tensor) -> Tensor | None:
        """Return the kind of each value ``[n, *shape]``, int64 ``[n]``; ``None`` if there are no kinds."""
        return None

    def to_batch(self, x: Tensor) -> dict[str, Tensor]:
        """Return the columns of a batch that `from_batch` turns into the values ``[n, *shape]``."""
        return {} if self.column is None else {self.column: x}

    def encode(self, x: Tensor) -> Tensor:
        """Return contents networks receive for values ``[B, *shape]``, on the device of ``x``."""
        return x

    def expand_to_batch(self, value: Tensor, n: int) -> Tensor:
        """Return ``value`` as ``[n, *shape]``: one value is repeated, ``n`` values are checked."""
        if value.dim() == len(self.shape):
            return value.expand(n, *value.shape)
        if len(value) != n:
            raise UserError(f"{self.name}: got {len(value)} values for {n} samples; give one, or one for each")
        return value

    # Values from and for people.

    def numbers_by_name(self, x: Any, names: Sequence[str]) -> dict[str, float]:
        """Return the numbers of an array or tensor by name; ``UserError`` if there is not one number for each name."""
        values = np.asarray(x, np.float64)
        if values.shape != (len(names),):
            raise UserError(f"{self.name}: expected {len(names)} numbers, got shape {list(values.shape)}")
        return dict(zip(names, values.tolist(), strict=True))

    def parse(self, value: Any) -> Tensor:
        """Return a value from Python or from the command line as a tensor.

        Raises:
            UserError: the value does not fit. The message names the input.
        """
        raise NotImplementedError

    def to_json(self, x: Tensor) -> Any:
        """Return one value ``[*shape]`` as plain JSON, for a recipe."""
        return x.tolist()

    def from_json(self, stored: Any) -> Tensor:
        """Return the value that `to_json` stored. It never opens a path.

        Raises:
            UserError: the stored value does not fit this input.
        """
        return torch.tensor(stored, dtype=torch.float32)

    def example(self, n: int) -> Tensor:
        """Return ``n`` values for tracing and export."""
        return self.draw(n, Seeded(0))

    # Exported models.

    def to_exported(self, x: Tensor) -> Tensor:
        """Return values ``[n, *shape]`` in the form in which an exported model takes them."""
        return x

    def from_exported(self, x: Tensor) -> Tensor:
        """Return the values of an exported model's input; only operations that every runtime supports."""
        return x

    # Gradient search, such as `audiogan.latents.encode`.

    def to_parameter(self, x: Tensor) -> Tensor | None:
        """Return an unconstrained parameter for values ``[n, *shape]``; ``None``: gradients cannot change them."""
        return None

    def from_parameter(self, parameter: Tensor) -> Tensor:
        """Return the values of an unconstrained parameter."""
        return parameter

    def clip_parameter(self, parameter: Tensor) -> None:
        """Move a parameter, in place, to where the model was trained."""

    def drop_negligible(self, x: Tensor) -> Tensor:
        """Return one value ``[*shape]`` without negligible parts, for a recipe."""
        return x

    def mix(self, first: Tensor, second: Tensor, share: float) -> Tensor:
        """Return the value that lies ``share`` of the way from ``a`` to ``b``, for morphs."""
        return torch.lerp(first, second, share)

    def describe(self) -> str:
        """Return one line for help, ``audiogan inputs`` and model cards."""
        return f"values of shape {list(self.shape)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.describe()})"


class Inputs(dict[str, Input]):
    """Inputs by name, in the order in which they are drawn. Printed, they are a table of names and descriptions."""

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{printable(name):{width}}  {printable(given.describe())}" for name, given in self.items())
