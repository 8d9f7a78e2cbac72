"""Hooks of MkDocs: they write the pages of the API reference, and add files of the repository that pages link to."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(\]\(|(?:src|href)=\")([^)\s\"#]+)")
"""Pattern for links and pictures in Markdown or HTML. Its groups are the text before the address, and the address."""


def on_config(config: Any) -> Any:
    """Add the pages of the API reference to the navigation."""
    pages = ["reference/index.md", *(f"reference/{name}.md" for name in config.extra["reference"])]
    for entry in config.nav:
        if "API reference" in entry:
            entry["API reference"] = pages
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the API reference, and all files outside `docs/` that pages link to."""
    for name, modules in config.extra["reference"].items():
        text = f"# {name}\n\n" + "\n".join(f"::: {module}\n" for module in modules)
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    waiting = [file for file in files if file.src_uri.endswith(".md")]
    while waiting:
        file = waiting.pop()
        for _, address in [*LINK.findall(file.content_string)]:
            path = target(file.src_uri, address)
            if path and not path.startswith("docs/") and (ROOT / path).is_file() and not files.get_file_from_path(path):
                files.append(added := File.generated(config, path, abs_src_path=str(ROOT / path)))
                waiting += [added] if path.endswith(".md") else []
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Change the addresses of links to the paths of the files in the site, which lack `docs/`."""

    def with_site_path(match: re.Match[str]) -> str:
        path = target(page.file.src_uri, match[2])
        if path is None:
            return match[0]
        return match[1] + posixpath.relpath(path.removeprefix("docs/"), posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(with_site_path, markdown)


def target(source: str, address: str) -> str | None:
    """Return the path in the repository to which a page of the site links; `None` for other addresses.

    Args:
        source: path of the page in the site.
        address: the address in the page.
    """
    if ":" in address or address.startswith("/"):
        return None
    folder = posixpath.dirname(source if is_outside_docs(source) else f"docs/{source}")
    return posixpath.normpath(posixpath.join(folder, address))


def is_outside_docs(source: str) -> bool:
    """Return whether a page of the site is a file of the repository outside `docs/`."""
    return not (ROOT / "docs" / source).is_file() and (ROOT / source).is_file()
