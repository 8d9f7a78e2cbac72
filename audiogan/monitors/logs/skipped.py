"""Messages that state how many log lines could not be read, with one line as an example."""

from __future__ import annotations

from dataclasses import dataclass

from audiogan.utils.text import printable


@dataclass
class Skipped:
    """Number and example of log lines that were skipped for the same reason.

    Attributes:
        reason: reason why the lines were skipped, as a clause such as ``they contain no metrics``.
        count: number of skipped lines.
        example: first skipped line.
    """

    reason: str
    count: int = 0
    example: str = ""

    def add(self, line: str) -> None:
        self.example = self.example or line.strip()
        self.count += 1

    @property
    def remarks(self) -> list[str]:
        """A list with one message, or an empty list if no line was skipped."""
        if not self.count:
            return []
        noun = "1 line" if self.count == 1 else f"{self.count:,} lines"
        return [f"{noun} could not be read: {self.reason}; the first is {printable(self.example)[:60]!r}"]
