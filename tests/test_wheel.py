"""Tests of the wheel: its files, and the packages that it requires."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".audiogan", ".css", ".csv", ".html", ".js", ".jinja", ".md", ".py", ".svg", ".typed", ".xz", ".yaml"}
UNUSED_HERE = {
    *("build", "hatchling", "import_linter", "ipykernel", "mypy", "nbclient", "nbformat", "pre_commit", "ruff"),
    *("jiwer", "mkdocs", "mkdocs_material", "mkdocstrings", "pysfizz", "pytest_cov", "pytest_xdist"),
}
"""Packages that are run as tools, or loaded by other packages."""


def tracked(folder: str) -> set[str]:
    found = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True)
    if found.returncode or not found.stdout:
        pytest.skip("not a git checkout")
    return {name for name in found.stdout.split("\0") if name and (ROOT / name).exists()}


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    want = tracked("audiogan") | {f"audiogan/{name}" for name in tracked("configs")}
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        about = {
            name.rpartition("/")[2]: archive.read(name).decode() for name in archive.namelist() if name not in names
        }
    assert len(names) == len(set(names))
    assert want <= set(names)
    extra = set(names) - want  # Files that are not committed yet.
    assert all((ROOT / name).exists() or (ROOT / name.removeprefix("audiogan/")).exists() for name in extra)
    assert {Path(name).suffix for name in names} <= SUFFIXES
    assert "audiogan/py.typed" in names and "audiogan/configs/drums.yaml" in names
    assert sum(name.endswith("/static/index.html") for name in names) == 1
    assert sum(name.endswith(".audiogan") for name in names) >= 2
    assert wheel.stat().st_size < 25_000_000
    assert "audiogan = audiogan.cli:main" in about["entry_points.txt"] and "Apache License" in about["LICENSE"]


def imported(folders: Iterable[str]) -> set[str]:
    """Return the top-level packages that Python files import, except the standard library."""
    found = set()
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"audiogan"}


def normal(requirement: str) -> str:
    """Return the normalised name of a requirement."""
    return re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("-", "_")


def test_what_is_imported_is_declared() -> None:
    tomllib: Any = pytest.importorskip("tomllib", reason="Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    required = {normal(line) for line in project["dependencies"]}
    optional = {normal(line) for name in extras for line in extras[name] if not line.startswith("audiogan[")}
    homes = {name: {normal(home) for home in found} for name, found in packages_distributions().items()}
    package, tests = imported(["audiogan"]), imported(["benchmarks", "examples", "tests"])
    extra = {normal(line) for name in ("onnx", "video") for line in extras[name]}
    assert {name for name in package if not homes.get(name, {name}) & (required | extra)} == set()
    installed = {name for name in tests if name in homes}  # All other names are modules of the tests.
    assert {name for name in installed if not homes[name] & (required | optional)} == set()
    used = {home for name in package | tests for home in homes.get(name, {name})}
    assert (required | optional) - used - UNUSED_HERE == set()
