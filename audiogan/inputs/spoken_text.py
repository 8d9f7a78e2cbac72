"""The input of text to speech: a text with its pronunciation in each language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs.base import Input, find_column
from audiogan.inputs.spoken import LANGUAGES, LONGEST_TEXT, SYMBOLS, check_text, pronounce


class SpokenText(Input):
    """Input with a text and its pronunciation in each language, int64 ``[1 + languages, length]``.

    The first row has the code points of the characters. Each further row has the pronunciation in one language, as
    indices of phonemes and punctuation marks (`audiogan.inputs.spoken.SYMBOLS`). A network reads the row of the
    language that the speaker speaks. Rows end with the padding value 0.

    Args:
        name: keyword argument of the networks, and key in recipes (stored inputs of generated samples).
        languages: language of each speaker, ``en`` or ``de``, in the order of the classes.
        column: name of the data column with the texts.
        size: number of symbols, including the padding value 0. It is ignored, because it is fixed.

    Attributes:
        rows: languages of the rows after the first, each language once.

    Examples:
        >>> from audiogan.inputs import SpokenText
        >>> SpokenText(languages=["de"]).parse("Ja!").tolist()
        [[74, 97, 33, 0], [1, 42, 46, 5]]
    """

    default_column = "text"
    drawable = False

    def __init__(
        self,
        name: str = "text",
        languages: Sequence[str] = (),
        column: str | None = "text",
        size: int | None = None,
    ) -> None:
        if not languages or set(languages) - set(LANGUAGES):
            raise ValueError(f"{name}: languages={list(languages)}: choose from {', '.join(LANGUAGES)}")
        self.rows = tuple(dict.fromkeys(languages))
        super().__init__(name, (1 + len(self.rows), None), column)

    @classmethod
    def data_facts(cls, table: Any, column: str | None = "text", **options: Any) -> dict[str, Any]:
        """Return ``languages``, the language of each speaker, and ``size``, the number of symbols with the padding."""
        if table is None:
            return {"languages": [], "size": 0}
        found = find_column(table, column or cls.default_column, "texts with a language", "languages")
        return {"languages": list(found.languages), "size": len(SYMBOLS) + 1}

    def captions(self, x: Tensor) -> list[str]:
        return ["".join(chr(code) for code in row[0].tolist() if code) for row in x]

    def parse(self, value: Any) -> Tensor:
        """Return the code points of a text and its symbols in each language, see `encode_text`.

        Raises:
            UserError: the text is empty or too long, or has characters that cannot be pronounced.
        """
        if not isinstance(value, str):
            raise UserError(f"{self.name}: expected a text, got {type(value).__name__}")
        try:
            text = check_text(value)
        except UserError as error:
            raise UserError(f"{self.name}: {error}") from error
        return encode_text(text, self.rows)

    def to_json(self, x: Tensor) -> str:
        return self.captions(x[None])[0]

    def from_json(self, json_value: Any) -> Tensor:
        return self.parse(json_value)

    def example_values(self, n: int) -> Tensor:
        return self.parse("one two").expand(n, -1, -1)

    def mix(self, first: Tensor, second: Tensor, fraction: float) -> Tensor:
        return first if fraction < 0.5 else second

    def describe(self) -> str:
        return f"text of at most {LONGEST_TEXT:,} characters ({', '.join(self.rows)})"


def encode_text(text: str, languages: Sequence[str]) -> Tensor:
    """Return the code points of a text and its symbols in each language, int64 ``[1 + languages, length]``.

    Args:
        text: text that `audiogan.inputs.spoken.check_text` accepts.
        languages: languages of the rows after the first.

    Examples:
        >>> from audiogan.inputs.spoken_text import encode_text
        >>> encode_text("Oh", ["en"]).tolist()
        [[79, 104, 0], [1, 30, 3]]
    """
    numbers = {symbol: i for i, symbol in enumerate(SYMBOLS, start=1)}
    rows = [[ord(c) for c in text], *([numbers[s] for s in pronounce(text, language)] for language in languages)]
    x = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    for row, values in zip(x, rows, strict=True):
        row[: len(values)] = torch.tensor(values)
    return x
