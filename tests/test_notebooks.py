"""Tests that the notebooks run if only the wheel is installed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from audiogan.run.model_files import shipped_models

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


@pytest.mark.parametrize("name", ["play", "train"])
def test_notebook(name: str, wheel: Path, tiny_sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="pip install 'audiogan[dev]'")
    nbformat = pytest.importorskip("nbformat")
    if name == "play" and not {"drums", "digits"} <= shipped_models().keys():
        pytest.skip("the models that it plays are not shipped")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))  # This folder precedes the checkout.
    monkeypatch.setenv("SOUNDS", str(tiny_sounds))
    monkeypatch.setenv("MINUTES", "0.02")
    book = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert "pip install audiogan" in book.cells[0].source
    book.cells.append(nbformat.v4.new_code_cell("print(audiogan.__file__)"))
    (tmp_path / "work").mkdir()
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path / "work")}}).execute()
    assert book.cells.pop().outputs[0].text.startswith(str(tmp_path / "site"))
    if name == "train":
        assert (tmp_path / "work/mine.audiogan").exists() and (tmp_path / "work/out/contact-sheet.png").exists()
    sounds = [
        o for c in book.cells for o in c.get("outputs", []) if "Audio" in str(o.get("data", {}).get("text/plain"))
    ]
    assert len(sounds) >= 2
