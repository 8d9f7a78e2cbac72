"""The base class of a generator's named inputs, and sources of random numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from audiogan.errors import UserError
from audiogan.utils.text import printable

ByName = Mapping[str, Tensor] | None
"""Type of a mapping from input names to tensors, or ``None``."""


class Random(Protocol):
    """Interface of a source of random numbers. `audiogan.core.Play` implements it for training, and `Seeded` for
    sampling."""

    def rand(self, *shape: int) -> Tensor:
        """Return uniform random numbers in [0, 1) with the given shape."""
        ...

    def randn(self, *shape: int) -> Tensor:
        """Return standard normal random numbers with the given shape."""
        ...

    def choice(self, odds: Tensor, n: int) -> Tensor:
        """Return ``n`` random indices, int64 ``[n]``. The probability of index ``i`` is proportional to ``odds[i]``."""
        ...


class Seeded:
    """Source of random numbers on the CPU.

    Args:
        generator: random number generator or seed. ``None`` selects PyTorch's global random number generator.

    Examples:
        >>> from audiogan.inputs import Seeded
        >>> bool((Seeded(7).randn(2, 3) == Seeded(7).randn(2, 3)).all())
        True
    """

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


def find_column(table: Any, name: str, contents: str, required_attribute: str) -> Any:
    """Return a column of the training data.

    Args:
        table: data set.
        name: name of the column.
        contents: plural noun for the column's values in the error message, such as ``signals``.
        required_attribute: attribute that a column must have to be accepted, such as ``modality`` for signals.

    Raises:
        UserError: the column does not exist or lacks the required attribute.
    """
    found = table.columns.get(name)
    if found is None:
        raise UserError(f"the data has no column {name!r}; it has {', '.join(table.columns)}: {table.source}")
    if getattr(found, required_attribute, None) in (None, ()):
        raise UserError(f"the column {name!r} of the data holds no {contents}; choose another column: {table.source}")
    return found


def parse_numbers(text: str, separator: str, error_message: str) -> dict[str, float]:
    """Return the numbers in a text such as ``a=1,b=2`` as a dictionary, such as ``{"a": 1.0, "b": 2.0}``.

    Args:
        text: names and numbers, separated by commas.
        separator: character between a name and its number, such as ``=``.
        error_message: message of the error. ``{!r}`` in it is replaced by the invalid part of the text.

    Raises:
        UserError: a part of the text does not end in a number.
    """
    found = {}
    for part in text.split(","):
        name, _, value = part.rpartition(separator)
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise UserError(error_message.format(part)) from None
    return found


class Input(nn.Module):
    """Base class of a generator's named inputs.

    An input defines how values are drawn, read from training data, parsed from user input, and stored in recipes. It
    has buffers but no parameters. Networks that process an input, such as a text encoder, belong to the game. Facts
    about the data, such as names of classes, are constructor arguments, because a state dict contains only tensors.

    Args:
        name: keyword argument of the networks, and key in recipes (stored inputs of generated samples).
        shape: shape of one value, without the batch dimension. A dimension of ``None`` can have any size.
        column: name of the data column with the values for training. ``None``: values are drawn in training as well.

    Attributes:
        drawable: whether `draw` can create values. If not, the user or a data set must give them.
        modality: `audiogan.modalities.Modality` of the values, such as images. ``None`` for inputs that are not
            signals.
        learning_rate: learning rate for optimising values by gradient descent, as in `audiogan.latents.encode`.
        default_column: name of the column that is used if none is configured.
    """

    default_column: ClassVar[str | None] = None
    drawable: bool = True
    modality: Any = None
    learning_rate: float = 0.1

    def __init__(self, name: str, shape: Sequence[int | None] = (), column: str | None = None) -> None:
        super().__init__()
        self.name, self.shape, self.column = name, tuple(shape), column

    # The following methods read the training data.

    @classmethod
    def data_facts(cls, table: Any, column: str | None = None, **options: Any) -> dict[str, Any] | None:
        """Return constructor arguments that depend on the training data, as plain values for the configuration.

        In the result, ``size`` is the number of channels that networks receive. YAML files refer to the value ``KEY``
        as ``${facts.inputs.NAME.KEY}``.

        Args:
            table: training data. ``None`` if the data has not been opened yet. The result then has the same keys, with
                placeholder values.
            column: name of the column with the values.
            options: other settings of the input in the configuration.
        """
        return {}

    def connect(self, inputs: Mapping[str, Input]) -> None:
        """Read the properties of other inputs on which this input depends. The game calls this method once, with all
        inputs by name."""

    def prepare_table(self, table: Any) -> Any:
        """Return the data set with this input's column in the form that `from_batch` needs."""
        return table

    def fit(self, table: Any) -> None:
        """Compute the buffers from the training data. It is called once before training. Checkpoints store the
        buffers."""

    def check_buffers(self) -> None:
        """Raise `UserError` if the buffers of a loaded model are invalid, because the model file may be untrusted."""

    # Methods that return values.

    def from_batch(self, batch: Mapping[str, Tensor], random: Random) -> Tensor:
        """Return the values ``[B, *shape]`` for a training batch. An input without a column draws them.

        Args:
            batch: tensors by the name of the data column.
            random: source of random numbers.
        """
        if self.column is None:
            return self.draw(next(len(value) for value in batch.values()), random)
        if self.column not in batch:
            raise UserError(f"inputs.{self.name}: the data has no column {self.column!r}; it has {', '.join(batch)}")
        return batch[self.column]

    def values_for_real_examples(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        """Return the values ``[B, *shape]`` that a critic receives with the real examples of a batch.

        ``None`` means that the critic receives the values of `from_batch`. The two differ if, for example, the
        generator receives a random target class.

        Args:
            batch: tensors by the name of the data column.
        """
        return None

    def draw(
        self, n: int, random: Random, requested: Tensor | None = None, drawn: ByName = None, odds: ByName = None
    ) -> Tensor:
        """Return ``n`` values with the distribution of the training data, ``[n, *shape]``.

        Args:
            n: number of values.
            random: source of random numbers.
            requested: requested value, ``[*shape]`` or ``[n, *shape]``. Its NaN elements are drawn. ``None``: all are
                drawn.
            drawn: values of inputs that were drawn before this one, by name.
            odds: factors on the probabilities of classes, by input name. They follow from requested values of other
                inputs, see `odds_for_other_inputs`.

        Raises:
            UserError: the input cannot be drawn, and there is no requested value.
        """
        if requested is None:
            raise UserError(f"the input {self.name!r} cannot be drawn; give a value")
        return self.expand_to_batch(requested, n)

    def odds_for_other_inputs(self, requested: Tensor) -> dict[str, Tensor]:
        """Return factors by which a requested value changes the probabilities of other inputs, such as classes.

        Args:
            requested: requested value, ``[*shape]`` or ``[n, *shape]``. Its NaN elements are drawn.

        Returns:
            Factors on the probabilities, by the name of the other input.
        """
        return {}

    def balanced_values(self, n: int) -> Tensor | None:
        """Return ``n`` values in which all classes or other kinds are equally frequent. ``None`` if there are no
        kinds."""
        return None

    def proportional_values(self, n: int) -> Tensor | None:
        """Return ``n`` values in which classes or other kinds are as frequent as in the training data. ``None`` if
        there are no kinds."""
        return None

    def neutral_values(self, n: int) -> Tensor | None:
        """Return ``n`` copies of a value without information, such as equal class weights. ``None`` if there is
        no such value."""
        return None

    def captions(self, x: Tensor) -> list[str] | None:
        """Return a short text for each value. ``None`` if values have no text.

        Args:
            x: values ``[n, *shape]``.
        """
        return None

    def kind_indices(self, x: Tensor) -> Tensor | None:
        """Return the index of each value's kind, such as its class, int64 ``[n]``. ``None`` if there are no kinds.

        Args:
            x: values ``[n, *shape]``.
        """
        return None

    def to_batch(self, x: Tensor) -> dict[str, Tensor]:
        """Return batch columns for the values ``x`` ``[n, *shape]``. `from_batch` converts them back to ``x``."""
        return {} if self.column is None else {self.column: x}

    def encode(self, x: Tensor) -> Tensor:
        """Return values ``[B, *shape]`` in the form that networks receive, on the device of the values."""
        return x

    def expand_to_batch(self, value: Tensor, n: int) -> Tensor:
        """Return ``value`` as ``[n, *shape]``. A single value is repeated.

        Raises:
            UserError: there are several values, but not ``n``.
        """
        if value.dim() == len(self.shape):
            return value.expand(n, *value.shape)
        if len(value) != n:
            raise UserError(f"{self.name}: got {len(value)} values for {n} samples; give 1 or {n}")
        return value

    # The following methods convert values from and to user input and recipes.

    def values_by_name(self, x: Any, names: Sequence[str]) -> dict[str, float]:
        """Return a dictionary from the given names to the numbers in an array or tensor.

        Args:
            x: numbers ``[len(names)]``.
            names: names of the numbers, in order.

        Raises:
            UserError: the array has another shape.
        """
        values = np.asarray(x, np.float64)
        if values.shape != (len(names),):
            raise UserError(f"{self.name}: expected {len(names)} numbers, got shape {list(values.shape)}")
        return dict(zip(names, values.tolist(), strict=True))

    def parse(self, value: Any) -> Tensor:
        """Return a value from the user, a Python object or a string from the command line, as a tensor ``[*shape]``.

        Raises:
            UserError: the value is invalid.
        """
        raise NotImplementedError

    def to_json(self, x: Tensor) -> Any:
        """Return one value ``[*shape]`` in a form that JSON can store, for a recipe."""
        return x.tolist()

    def from_json(self, json_value: Any) -> Tensor:
        """Return the value that `to_json` has stored. It never opens a file.

        Raises:
            UserError: the stored value does not fit this input.
        """
        return torch.tensor(json_value, dtype=torch.float32)

    def example_values(self, n: int) -> Tensor:
        """Return ``n`` values for tracing and exporting a model."""
        return self.draw(n, Seeded(0))

    # Methods for exported models.

    def to_exported(self, x: Tensor) -> Tensor:
        """Return values ``[n, *shape]`` in the form that an exported model takes."""
        return x

    def from_exported(self, x: Tensor) -> Tensor:
        """Return values ``[n, *shape]`` for inputs of an exported model. Use only operations that every runtime
        supports, because this method is part of the exported graph."""
        return x

    # The following methods are for gradient descent on values, as in `audiogan.latents.encode`.

    def to_parameter(self, x: Tensor) -> Tensor | None:
        """Convert values ``[n, *shape]`` to an unconstrained parameter for gradient descent. Return ``None`` if values
        are not differentiable."""
        return None

    def from_parameter(self, parameter: Tensor) -> Tensor:
        """Convert an unconstrained parameter, optimised by gradient descent, to input values."""
        return parameter

    def clip_parameter(self, parameter: Tensor) -> None:
        """Clip a parameter that gradient descent optimises, in place, to the range of the training data."""

    def drop_negligible(self, x: Tensor) -> Tensor:
        """Return one value ``[*shape]`` with negligible elements, such as small class weights, set to 0, for a
        recipe."""
        return x

    def mix(self, first: Tensor, second: Tensor, fraction: float) -> Tensor:
        """Return the interpolation between two values.

        Args:
            first: value at ``fraction=0``.
            second: value at ``fraction=1``.
            fraction: position between the two values, 0 to 1.
        """
        return torch.lerp(first, second, fraction)

    def describe(self) -> str:
        """Return a description in one line, for help texts, ``audiogan inputs`` and model cards."""
        return f"values of shape {list(self.shape)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.describe()})"


class Inputs(dict[str, Input]):
    """Dictionary of inputs by name, in the order in which they are drawn. Its ``repr`` is a table with descriptions.

    Examples:
        >>> from audiogan.inputs import Inputs, Latent
        >>> Inputs(latent=Latent(shape=8))
        latent  8 random numbers, standard normal; drawn from the seed
    """

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{printable(name):{width}}  {printable(given.describe())}" for name, given in self.items())
