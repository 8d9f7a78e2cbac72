"""The text input: characters as integers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs.base import Input, find_column


class Text(Input):
    """Input with a text as character indices, int64 ``[length]``. Index 0 pads the end of short texts.

    Args:
        name: keyword argument of the networks, and key in recipes (stored inputs of generated samples).
        alphabet: known characters. The first has index 1.
        length: largest number of characters.
        column: name of the data column with the texts.
        size: number of character indices. It is ignored, because the number follows from ``alphabet``.

    Examples:
        >>> from audiogan.inputs import Text
        >>> Text(alphabet="abc", length=4).parse("cab")
        tensor([3, 1, 2, 0])
    """

    default_column = "text"
    drawable = False

    def __init__(
        self,
        name: str = "text",
        alphabet: str = "",
        length: int = 0,
        column: str | None = "text",
        size: int | None = None,
    ) -> None:
        if not alphabet or length < 1:
            raise ValueError(f"{name}: the data has no column {column!r} of texts")
        super().__init__(name, (length,), column)
        self.alphabet = alphabet
        self.numbers = {character: i for i, character in enumerate(alphabet, start=1)}

    @classmethod
    def data_facts(cls, table: Any, column: str | None = "text", **options: Any) -> dict[str, Any]:
        """Return ``alphabet``, ``length`` and ``size``, the number of character indices including 0."""
        if table is None:
            return {"alphabet": "", "length": 0, "size": 0}
        found = find_column(table, column or cls.default_column, "texts", "alphabet")
        return {"alphabet": found.alphabet, "length": found.shape[0], "size": len(found.alphabet) + 1}

    def captions(self, x: Tensor) -> list[str]:
        return ["".join(self.alphabet[i - 1] for i in row if i) for row in x.tolist()]

    def parse(self, value: Any) -> Tensor:
        """Return the character indices of a text.

        Raises:
            UserError: the text is too long or has an unknown character.
        """
        if not isinstance(value, str):
            raise UserError(f"{self.name}: expected a text, got {type(value).__name__}")
        if unknown := sorted(set(value) - set(self.alphabet)):
            raise UserError(f"{self.name}: unknown characters {''.join(unknown)!r}; known are {self.alphabet!r}")
        length = self.shape[0] or 0
        if len(value) > length:
            raise UserError(f"{self.name}: {len(value)} characters; the model takes at most {length}")
        x = torch.zeros(length, dtype=torch.int64)
        x[: len(value)] = torch.tensor([self.numbers[character] for character in value], dtype=torch.int64)
        return x

    def to_json(self, x: Tensor) -> str:
        return self.captions(x[None])[0]

    def from_json(self, json_value: Any) -> Tensor:
        return self.parse(json_value)

    def example_values(self, n: int) -> Tensor:
        length = self.shape[0] or 1
        return torch.arange(n * length).remainder(len(self.alphabet)).reshape(n, length) + 1

    def mix(self, first: Tensor, second: Tensor, fraction: float) -> Tensor:
        return first if fraction < 0.5 else second

    def describe(self) -> str:
        return f"text of at most {self.shape[0]} of the characters {self.alphabet!r}"
