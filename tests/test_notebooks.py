"""The notebooks run from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

from audiogan.model.bundle import shipped_models

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


@pytest.mark.parametrize("name", ["play", "train"])
def test_notebook(name: str, tiny_sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="pip install 'audiogan[dev]'")
    nbformat = pytest.importorskip("nbformat")
    if name == "play" and not {"drums", "digits"} <= shipped_models().keys():
        pytest.skip("the models it plays do not ship")
    monkeypatch.setenv("SOUNDS", str(tiny_sounds))
    monkeypatch.setenv("MINUTES", "0.1")
    book = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    if name == "train":
        assert (tmp_path / "mine.audiogan").exists() and (tmp_path / "out/contact-sheet.png").exists()
    sounds = [
        o for c in book.cells for o in c.get("outputs", []) if "Audio" in str(o.get("data", {}).get("text/plain"))
    ]
    assert len(sounds) >= 2
