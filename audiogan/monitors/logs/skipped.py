"""What of a log could not be read: counted, with an example, and said in one line."""

from __future__ import annotations

from dataclasses import dataclass

from audiogan.utils.text import printable


@dataclass
class Skipped:
    """Lines of one kind.

    Attributes:
        what: the reason, as a verb phrase such as ``hold no figures``.
    """

    what: str
    count: int = 0
    example: str = ""

    def add(self, line: str) -> None:
        self.example = self.example or line.strip()
        self.count += 1

    @property
    def remarks(self) -> list[str]:
        """One line, or none where nothing was skipped."""
        if not self.count:
            return []
        noun = "1 line" if self.count == 1 else f"{self.count:,} lines"
        return [f"{noun} could not be read: {self.what}, such as {printable(self.example)[:60]!r}"]
