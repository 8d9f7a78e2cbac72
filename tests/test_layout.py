"""Tests of the layout of the package: unique names, no private names across modules, short modules."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import audiogan

ROOT = Path(audiogan.__file__).parent
TESTS = Path(__file__).parent
MODULES = {path.relative_to(ROOT.parent).as_posix(): path.read_text("utf-8") for path in sorted(ROOT.rglob("*.py"))}
LONGEST = 400
"""Lines of a module."""


def nodes(kind: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Yield every syntax node of a kind, with the module that it is in."""
    for name, text in MODULES.items():
        yield from ((name, node) for node in ast.walk(ast.parse(text)) if isinstance(node, kind))


def test_every_class_name_is_unique() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module, node in nodes(ast.ClassDef):
        assert isinstance(node, ast.ClassDef)
        places[node.name].append(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_modules_import_public_names_only() -> None:
    private = [
        f"{module}: {node.module}.{name.name}"
        for module, node in nodes(ast.ImportFrom)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("audiogan")
        for name in node.names
        if name.name.startswith("_") and not name.name.startswith("__")
    ]
    assert private == []


def test_modules_are_short() -> None:
    lengths = {module: len(text.splitlines()) for module, text in MODULES.items()}
    assert {module: lines for module, lines in lengths.items() if lines > LONGEST} == {}


def test_modules_of_the_tests_have_different_names() -> None:
    """pytest imports test modules by their file name, so two modules of one name cannot be collected."""
    names = Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
