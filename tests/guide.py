"""Reader of the examples in CONTRIBUTING.md: the files and commands of each section."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass
class Example:
    """Code blocks of a section.

    Attributes:
        files: text of each file to write, by file name.
        diffs: changes of files of the package, by file name.
        commands: shell lines that begin with ``audiogan``.
        code: Python code to run after the commands.
    """

    files: dict[str, str] = field(default_factory=dict)
    diffs: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    code: str = ""

    @property
    def modules(self) -> list[str]:
        """Names of the files that are Python modules."""
        return [name.removesuffix(".py") for name in self.files if name.endswith(".py") and "/" not in name]


def examples() -> dict[str, Example]:
    """Return the examples of the guide by the title of their section. Sections without an example are omitted."""
    found = {}
    for section in GUIDE.read_text(encoding="utf-8").split("\n## ")[1:]:
        example = Example()
        for language, title, text in BLOCK.findall(section):
            if title:
                (example.diffs if language == "diff" else example.files)[title] = text
            elif language == "sh":
                example.commands += [line for line in text.splitlines() if line.startswith("audiogan ")]
            elif language == "python":
                example.code += text
        if example.files:
            found[section.split("\n", 1)[0]] = example
    return found


def write(example: Example, folder: Path) -> None:
    """Write the files of an example that do not belong to the package."""
    for name, text in example.files.items():
        if not name.startswith("audiogan/"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def patched(text: str, diff: str) -> str:
    """Return a text with the changes of a diff. Each hunk must match at exactly one place."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        old, new = ("".join(line[1:] for line in lines if line[0] in marks) for marks in (" -", " +"))
        assert text.count(old) == 1, f"{text.count(old)} places for\n{old}"
        text = text.replace(old, new)
    return text
