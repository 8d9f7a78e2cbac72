from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from waves import load_wav

from audiogan.modalities.drawing.spectrograms import contact_sheet, spectrogram_image

RATE = 16000


def tones(count: int, channels: int = 1, samples: int = 8000) -> np.ndarray:
    t = np.arange(samples) / RATE
    hz = 200.0 * (1 + np.arange(count * channels)).reshape(count, channels, 1)
    return (0.5 * np.sin(2 * np.pi * hz * t) * np.exp(-5 * t)).astype(np.float32)


def pixels(path: Path) -> np.ndarray:
    return matplotlib.image.imread(path)[..., :3]


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(("count", "across", "down"), [(1, 1, 1), (3, 3, 1), (9, 4, 3), (30, 4, 8)])
def test_sheet_grows_with_its_sounds(tmp_path: Path, count: int, across: int, down: int) -> None:
    contact_sheet(tmp_path / "sheet.png", tones(count, samples=2000), RATE)
    image = pixels(tmp_path / "sheet.png")
    assert 330 * across < image.shape[1] < 400 * across + 140
    assert 180 * down < image.shape[0] < 230 * down + 100
    assert image.std() > 0.05
    assert list(tmp_path.iterdir()) == [tmp_path / "sheet.png"]


def test_sheet_of_real_drums_shows_them_all(tmp_path: Path, real_drums: Path) -> None:
    waves = np.zeros((16, 1, 16384), np.float32)
    for wave, path in zip(waves, sorted(real_drums.glob("*/*.wav"))[::120], strict=False):
        sound = load_wav(path)[0][:, :16384]
        wave[:, : sound.shape[1]] = sound
    contact_sheet(tmp_path / "warm.png", waves[:1], RATE)
    contact_sheet(tmp_path / "sheet.png", waves, RATE)
    assert (tmp_path / "sheet.png").stat().st_size > 4 * (tmp_path / "warm.png").stat().st_size


def test_every_sound_changes_the_picture_and_nothing_else_does(tmp_path: Path) -> None:
    waves = tones(4)
    contact_sheet(tmp_path / "a.png", waves, RATE, title="one")
    contact_sheet(tmp_path / "same.png", waves.copy(), RATE, title="one")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "same.png").read_bytes()
    for index in range(4):
        changed = waves.copy()
        changed[index] = changed[index, :, ::-1]
        contact_sheet(tmp_path / "b.png", changed, RATE, title="one")
        columns = np.flatnonzero((pixels(tmp_path / "a.png") != pixels(tmp_path / "b.png")).any(axis=(0, 2)))
        width = pixels(tmp_path / "a.png").shape[1]
        assert index == int((columns.mean() / width) * 4), "the change is in the cell of that sound"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("samples", [1, 300, 40000])
def test_any_length_and_channels(tmp_path: Path, channels: int, samples: int) -> None:
    contact_sheet(tmp_path / "sheet.png", tones(2, channels, samples) + 0.1, 44100)
    assert pixels(tmp_path / "sheet.png").std() > 0.01


def test_silent_broken_and_too_loud_clips_are_shown_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL.ImageDraw import ImageDraw

    written: list[str] = []
    draw = ImageDraw.text

    def noted(self: ImageDraw, at: tuple[float, float], text: str, **style: Any) -> None:
        written.append(text)
        draw(self, at, text, **style)

    monkeypatch.setattr(ImageDraw, "text", noted)
    waves = tones(6)
    waves[0] = 0.0
    waves[1, 0, 100] = np.nan
    waves[2] = np.inf
    waves[3] *= 4
    waves[4] = 1e-7
    contact_sheet(tmp_path / "sheet.png", waves, RATE, titles=["a", "b", "c", "d", "e", "f"])
    # In the corner of the cell and in the picture.
    assert written.count("silent") == 4 and written.count("not finite") == 4
    assert sum(text.startswith("too loud: +") for text in written) == 1
    assert sum(text.startswith("peak -") for text in written) == 1
    assert {"a", "f", "time (s)", "frequency (Hz)", "8,000", "dB"} <= set(written)


def test_titles_are_one_line_that_fits(tmp_path: Path) -> None:
    names = ["$x_{", "a\nb\tc", "x" * 500, "<b>"]
    contact_sheet(tmp_path / "sheet.png", tones(4, samples=500), RATE, titles=names, title="$\\frac{")
    assert pixels(tmp_path / "sheet.png").shape[1] < 1800


@pytest.mark.parametrize(
    ("waves", "options", "message"),
    [
        (np.zeros((4, 100)), {}, r"\[4, 100\]"),
        (np.zeros((0, 1, 100)), {}, r"\[0, 1, 100\]"),
        (np.zeros((2, 1, 100)), {"titles": ["a"]}, "1 titles for 2"),
        (np.zeros((2, 1, 100)), {"columns": 0}, "columns=0"),
        (np.zeros((2, 1, 100)), {"sample_rate": 0}, "sample_rate=0"),
    ],
)
def test_misuse_is_told(tmp_path: Path, waves: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        contact_sheet(tmp_path / "sheet.png", waves, **{"sample_rate": RATE, **options})
    assert not list(tmp_path.iterdir())


def test_threads_draw_the_same_picture(tmp_path: Path) -> None:
    waves = tones(2, samples=3000)
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    threads = [threading.Thread(target=contact_sheet, args=(path, waves, RATE)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_sheet_needs_no_matplotlib(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from audiogan.modalities.drawing.spectrograms import contact_sheet\n"
        f"contact_sheet({str(tmp_path / 'a.png')!r}, np.ones((1, 1, 50)), 8000)\n"
        "assert 'matplotlib' not in sys.modules"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_grid_shows_where_the_energy_is() -> None:
    t = np.arange(8000) / RATE
    waves = np.stack([np.sin(2 * np.pi * hz * t) for hz in (60, 440, 3000, 7000)])[:, None]
    grid = spectrogram_image(waves, RATE)
    assert grid.dtype == np.uint8 and grid.shape == (2 + 2 * 98, 2 + 2 * 130, 3)
    brightest = []
    for index in range(4):
        y, x = 2 + index // 2 * 98, 2 + index % 2 * 130
        brightest.append(int(grid[y : y + 96, x : x + 128].astype(int).sum(2)[:, 20:-20].mean(1).argmax()))
    expected = [95.5 - 96 * np.log1p(hz / 200) / np.log1p(8000 / 200) for hz in (60, 440, 3000, 7000)]
    assert np.abs(np.array(brightest) - expected).max() <= 2


def test_grid_shows_when_the_energy_is_and_how_much() -> None:
    wave = np.zeros((1, 1, 16000), np.float32)
    wave[0, 0, 4000] = 1.0  # A click after a quarter of the sound.
    wave[0, 0, 12000] = 0.01  # A click that is 40 dB lower, after three quarters.
    brightness = spectrogram_image(wave, RATE)[2:-2, 2:-2].astype(int).sum(axis=(0, 2))
    assert abs(int(brightness[:64].argmax()) - 32) <= 3 and abs(int(brightness[64:].argmax()) - 32) <= 3
    assert brightness[:64].max() > 1.5 * brightness[64:].max() > 3 * brightness[60:68].max()


def test_grid_of_silent_and_broken_clips() -> None:
    waves = tones(3)
    waves[0], waves[1, 0, 5] = 0.0, np.nan
    grid = spectrogram_image(waves, RATE)
    assert (grid[2:98, 2:130] == 0).all() and (grid[2:98, 132:260] == 128).all()
    assert grid[100:196, 2:130].std() > 10
