"""Fixtures that all tests share. Tests that need real data are skipped if the data is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import TINY

os.environ.setdefault("OMP_NUM_THREADS", "1")  # Tests run in parallel processes.


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of test processes: one more than the number of cores, because tests of pages and of commands
    often wait."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Import librosa once before the test processes start. librosa compiles functions at the first import and caches
    them. If several processes do this at the same time, they can corrupt the cache and crash."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        import librosa.core.audio
        import librosa.core.pitch
        import librosa.util.utils  # noqa: F401


def _shared() -> Path:
    return Path(os.environ.get("AUDIOGAN_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data: `AUDIOGAN_TEST_DATA`, or `../shared/data` beside the checkout."""
    root = _shared()
    if not root.is_dir():
        pytest.skip(f"real data is not here: {root} (set AUDIOGAN_TEST_DATA)")
    return root


@pytest.fixture(scope="session")
def real_drums(shared_data: Path) -> Path:
    """Return a folder of real one-shot drums, 16 kHz mono WAV, with ten classes as sub-folders."""
    return shared_data / "drums"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a wheel that was built from this checkout."""
    for name in ("build", "hatchling"):
        pytest.importorskip(name, reason="pip install 'audiogan[dev]'")
    out, root = tmp_path_factory.mktemp("wheel"), Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(root)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return next(out.glob("*.whl"))


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use an empty cache folder for each test instead of the user's cache folder."""
    monkeypatch.setenv("AUDIOGAN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty working folder and return it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny_sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 40 short sounds of the drum machine in two classes."""
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
def tiny_speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 48 short sounds with texts, of an English and a German speaker. The sounds are no speech."""
    import numpy as np

    from audiogan.modalities.wav import save_wav

    root, lines = tmp_path_factory.mktemp("speech"), ["path,text,speaker,language"]
    for i in range(48):
        rng, language = np.random.default_rng(i), ("en", "de")[i % 2]
        wave = 0.3 * np.sin(0.08 * np.arange(6000)) + 0.02 * rng.standard_normal(6000)
        save_wav(root / f"{i}.wav", wave[None].astype(np.float32), 16000)
        lines.append(f"{i}.wav,{'an ' * (i % 3)}on{'n' * (i // 12)},{('anna', 'otto')[i % 2]},{language}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="session")
def tiny_run(tiny_sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of four training steps."""
    from audiogan.run import config
    from audiogan.run.training import train

    run_dir = tmp_path_factory.mktemp("run") / "tiny"
    os.environ["AUDIOGAN_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    overrides = [*TINY, f"data.root={tiny_sounds}", f"run_dir={run_dir}", "trainer.steps=4", "callbacks.log.every=2"]
    train(config.compose("drums", overrides), progress=False, echo=lambda line: None)
    return run_dir
