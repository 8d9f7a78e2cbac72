"""Tests of coding rules of the core."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import audiogan

PACKAGE = Path(audiogan.__file__).parent
CORE = sorted((PACKAGE / "core").glob("*.py"))
DOMAIN = r"drum|speech|image|spectrogram|discriminator|audio(?!gan)|sound|wave|pixel|generators?\b(?!=)"


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_the_core_imports_nothing_else_of_the_package_but_small_helpers() -> None:
    for path in CORE:
        mine = {name for name in imports(path) if name.startswith("audiogan")}
        mine -= {"audiogan.errors", "audiogan.files", "audiogan.utils.text"}
        assert all(name.startswith("audiogan.core") for name in mine), (path, mine)


def test_the_core_knows_no_domain() -> None:
    for path in CORE:
        text = re.sub(
            r"^ +(?:>>>|\.\.\.) .*"  # Examples in docstrings may use the rest of the package.
            r"|torch\.Generator|np\.random\.Generator|random number generator|the generator itself"
            r'|"generator", "critic", "other"|``generator``, ``critic`` or ``other``',  # Roles of players.
            "",
            path.read_text(),
            flags=re.MULTILINE,
        )
        found = re.findall(DOMAIN, text, re.IGNORECASE)
        assert not found, (path.name, found)


def test_only_the_core_steps() -> None:
    for folder in ("games", "networks", "losses", "augment", "representations"):
        for path in (PACKAGE / folder).glob("*.py"):
            calls = re.findall(r"\.(?:backward|zero_grad)\(|autocast|\.step\(\)", path.read_text())
            assert not calls, (path, calls)


def test_help_needs_no_torch() -> None:
    code = "import sys, audiogan.cli as c; c.parser().format_help(); print({'torch', 'numpy'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
