"""Fixtures shared by all tests. Real data lives outside the project; a test that needs it skips where it is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "2")


def _shared() -> Path:
    return Path(os.environ.get("AUDIOGAN_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data (`AUDIOGAN_TEST_DATA`, else `../shared/data` beside the checkout)."""
    root = _shared()
    if not root.is_dir():
        pytest.skip(f"real data is not here: {root} (set AUDIOGAN_TEST_DATA)")
    return root


@pytest.fixture(scope="session")
def real_drums(shared_data: Path) -> Path:
    """Folder of real drum one-shots, 16 kHz mono WAV, ten classes in sub-folders."""
    return shared_data / "drums"


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's own cache."""
    monkeypatch.setenv("AUDIOGAN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
