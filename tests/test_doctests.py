"""The examples in docstrings run alone, and everything that the API reference shows has an example."""

from __future__ import annotations

import doctest
import functools
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

import audiogan

PACKAGE = Path(audiogan.__file__).parent
REFERENCE = PACKAGE.parent / "mkdocs.yml"
load = functools.cache(audiogan.load)
"""Loading a model takes longer than most examples."""
EXCEPTIONS: dict[str, str] = {}
"""Functions and classes of the API reference without an example, with the reason."""


def modules() -> list[str]:
    """Return the names of the modules that hold examples."""
    paths = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
    parts = [("audiogan", *path.relative_to(PACKAGE).with_suffix("").parts) for path in paths]
    return [".".join(part for part in each if part != "__init__") for each in parts]


def examples(name: str) -> list[doctest.DocTest]:
    """Return the examples in the docstrings of a module, one entry for each object. No name is defined for them."""
    module = importlib.import_module(name)
    return [test for test in doctest.DocTestFinder().find(module, globs={}) if test.examples]


def documented() -> dict[str, Any]:
    """Return the functions and classes that the API reference shows, by their full names."""
    entries = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))["extra"]["reference"]
    found: list[Any] = []
    for entry in (entry for page in entries.values() for entry in page):
        parent, _, name = entry.rpartition(".")
        try:
            shown = importlib.import_module(entry)
        except ModuleNotFoundError:
            found.append(getattr(importlib.import_module(parent), name))
            continue
        names = getattr(shown, "__all__", None)
        if names is None:
            names = [name for name, member in vars(shown).items() if getattr(member, "__module__", None) == entry]
        found += [getattr(shown, name) for name in names if not name.startswith("_")]
    found = [each for each in found if inspect.isfunction(each) or inspect.isclass(each)]
    return {f"{each.__module__}.{each.__qualname__}": each for each in found}


@pytest.mark.parametrize("name", modules())
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(audiogan, "load", load, raising=False)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for test in examples(name):
        runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("kind", ["function", "class"])
def test_documented_parts_have_examples(kind: str) -> None:
    is_kind = inspect.isclass if kind == "class" else inspect.isfunction
    without = {name for name, part in documented().items() if is_kind(part) and ">>> " not in (part.__doc__ or "")}
    assert without - EXCEPTIONS.keys() == set()


def test_exceptions_are_needed() -> None:
    shown = documented()
    assert [name for name in EXCEPTIONS if name not in shown or ">>> " in (shown[name].__doc__ or "")] == []
