"""Fixtures shared by all tests. Real data lives outside the project; a test that needs it skips where it is absent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import TINY

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run beside each other


def pytest_configure(config: pytest.Config) -> None:
    """librosa compiles some functions when it is imported first, and caches them; processes that do so at the same time
    can mix up each other's (and crash). So it is done once, before there are several.
    """
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        import librosa.core.audio
        import librosa.core.pitch
        import librosa.util.utils  # noqa: F401


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


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    for name in ("build", "hatchling"):
        pytest.importorskip(name, reason="pip install 'audiogan[dev]'")
    out, root = tmp_path_factory.mktemp("wheel"), Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(root)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return next(out.glob("*.whl"))


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's own cache."""
    monkeypatch.setenv("AUDIOGAN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny_sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 short drum-machine sounds in two classes."""
    import numpy as np

    from audiogan.data.toys.drum_machine import render
    from audiogan.modalities.wav import save_wav

    root = tmp_path_factory.mktemp("sounds")
    for i in range(40):
        label = ("kick", "snare")[i % 2]
        wave = render(label, sample_rate=16000, length=2048, rng=np.random.default_rng(i))
        save_wav(root / label / f"{i}.wav", wave, 16000)
    return root


@pytest.fixture(scope="session")
def tiny_run(tiny_sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a training of four steps."""
    from audiogan.run import config
    from audiogan.run.training import train

    run_dir = tmp_path_factory.mktemp("run") / "tiny"
    os.environ["AUDIOGAN_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    overrides = [*TINY, f"data.root={tiny_sounds}", f"run_dir={run_dir}", "trainer.steps=4", "callbacks.log.every=2"]
    train(config.compose("drums", overrides), progress=False, echo=lambda line: None)
    return run_dir
