"""Pictures of sounds: contact sheets with labels, and grids of spectrograms for TensorBoard.

The functions share no state, so pictures can be drawn in several threads.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from audiogan.modalities.drawing.png import save_png
from audiogan.modalities.drawing.typeface import load_font, truncate_text

FLOOR_DB = -80.0
"""Lowest level drawn in a spectrogram, in dB relative to the loudest point of the sound."""
SILENT = 2.0**-16
"""Peak below which a sound counts as silent. All its samples round to 0 in a 16-bit file."""

# The colours are dark, because the pictures must be legible on both light and dark pages.
BACKGROUND, PANEL, TEXT, FAINT, ALERT = "#12131a", "#1a1c26", "#e8e8ee", "#8d90a0", "#ff8a80"
CHANNEL_COLOURS = ("#f2b35e", "#6fb7e9", "#a5d67c", "#d890d8")
# The colour map is matplotlib's magma, interpolated linearly between 17 of its colours.
_POINTS = """000004 0a0822 1d1146 36106a 50127c 691c81 822681 9c2e7f b63779 cf4170 e65163 f5695c fb8761 fea571 fec387
fde0a2 fcfdbf"""
_MAGMA = np.rint(
    [
        np.interp(np.arange(256), np.linspace(0, 255, 17), channel)
        for channel in np.array([[int(point[i : i + 2], 16) for point in _POINTS.split()] for i in (0, 2, 4)])
    ]
).T.astype(np.uint8)
# The frequency axis is roughly linear below this frequency and logarithmic above it, so that both bass drums and
# cymbals are legible.
_KNEE_HZ = 200.0


def _warp(hz: np.ndarray | float) -> np.ndarray:
    return np.log1p(np.asarray(hz, dtype=np.float64) / _KNEE_HZ)


def _bands(bins: int, sample_rate: int, rows: int) -> np.ndarray:
    """Return weights ``[bins, rows]`` that average STFT bins into rows, evenly spaced on the warped frequency axis."""
    hz = np.linspace(0.0, sample_rate / 2, bins)
    edges = _KNEE_HZ * np.expm1(np.linspace(0.0, _warp(sample_rate / 2), rows + 1))
    centre = (edges[1:] + edges[:-1]) / 2
    # Rows of low frequencies are narrower than STFT bins. A minimum width makes these rows interpolate two bins.
    width = np.maximum(np.diff(edges), hz[1])
    weights = np.clip(1.0 - np.abs(hz[:, None] - centre) / width, 0.0, None)
    return (weights / weights.sum(0)).astype(np.float32)


def _spectrogram(wave: np.ndarray, sample_rate: int, rows: int, columns: int) -> np.ndarray:
    """Return the spectrogram ``[rows, columns]`` of one sound ``[C, T]``, with low frequencies in the first row.

    Levels are in dB relative to the loudest point, from -80 to 0. Hann windows last about 32 ms. The power of the
    channels is added. A column shows the maximum of its frames, so that a click stays visible in a long sound.
    """
    window = max(32, 2 ** round(np.log2(0.032 * sample_rate)))
    hop = max(1, min(window // 4, wave.shape[-1] // columns))
    padded = np.pad(wave, ((0, 0), (window // 2, window // 2)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window, axis=-1)[:, ::hop]
    bands, shape = _bands(window + 1, sample_rate, rows), np.hanning(window).astype(np.float32)
    power = np.zeros((frames.shape[1], rows), np.float32)
    for start in range(0, len(power), 4096):  # Frames are processed in blocks to limit memory use.
        spectrum = np.fft.rfft(frames[:, start : start + 4096] * shape, 2 * window, axis=-1)
        power[start : start + 4096] = (np.abs(spectrum) ** 2).sum(0) @ bands
    at = np.linspace(0, len(power), columns, endpoint=False).astype(int)
    power = np.maximum.reduceat(power, at, axis=0)
    decibels = 10.0 * np.log10(np.maximum(power, 1e-30) / max(float(power.max()), 1e-30))
    return np.maximum(decibels, FLOOR_DB).T


def _condition(wave: np.ndarray) -> str:
    """Return the label of a sound ``[C, T]`` without a spectrogram: ``not finite`` or ``silent``; otherwise ``""``."""
    if not np.isfinite(wave).all():
        return "not finite"
    return "silent" if np.abs(wave).max() < SILENT else ""


def _checked(waves: np.ndarray, sample_rate: int, titles: Sequence[str] | None = None) -> np.ndarray:
    waves = np.asarray(waves, dtype=np.float32)
    if waves.ndim != 3 or 0 in waves.shape:
        raise ValueError(f"expected waves of shape [N, C, T] that are not empty, got {list(waves.shape)}")
    if sample_rate <= 0:
        raise ValueError(f"sample_rate={sample_rate} has to be positive")
    if titles is not None and len(titles) != len(waves):
        raise ValueError(f"{len(titles)} titles for {len(waves)} sounds")
    return waves


class _Sheet:
    """Contact sheet of sounds: each waveform above its spectrogram. Coordinates are pixels from the top left corner.

    It is drawn with Pillow and NumPy, because matplotlib takes five times as long.
    """

    # Sizes in pixels of the drawing of a sound: width, height of the waveform, height of the spectrogram.
    cell, wave, picture = 330, 51, 127
    # Gaps between waveform and spectrogram, between columns and between rows, in pixels.
    inner, across, between = 6, 18, 31
    left, right, bottom = 68, 62, 46

    def __init__(self, waves: np.ndarray, sample_rate: int, titles: Sequence[str], columns: int, title: str | None):
        from PIL import Image, ImageDraw

        self.sample_rate, self.seconds = sample_rate, waves.shape[-1] / sample_rate
        columns = min(columns, len(waves))
        rows = -(-len(waves) // columns)
        top = 73 if title else 40
        width = self.left + columns * (self.cell + self.across) - self.across + self.right
        down = self.wave + self.inner + self.picture + self.between
        self.image = Image.new("RGB", (width, top + rows * down - self.between + self.bottom), BACKGROUND)
        self.pen = ImageDraw.Draw(self.image)
        if title:
            wide = load_font(18)
            self.pen.text((self.left, 16), truncate_text(title, width - self.left - 16, wide), fill=TEXT, font=wide)
        for index, wave in enumerate(waves):
            row, column = divmod(index, columns)
            x, y = self.left + column * (self.cell + self.across), top + row * down
            self.sound(x, y, wave, titles[index])
            if column == 0:
                self.frequencies(x, y)
            if index + columns >= len(waves):
                self.times(x, y + self.wave + self.inner + self.picture)
        self.key(width - self.right + 13, top + self.wave + self.inner)

    def text(self, x: float, y: float, text: str, anchor: str = "ls", colour: str = FAINT, size: int = 11) -> None:
        self.pen.text((x, y), text, fill=colour, font=load_font(size), anchor=anchor)

    def upright(self, x: int, y: int, text: str) -> None:
        """Draw text that is rotated by 90 degrees and centred at a point."""
        from PIL import Image, ImageDraw

        size = (int(load_font(11).getlength(text)) + 2, 14)
        letters = Image.new("L", size)
        ImageDraw.Draw(letters).text((1, 7), text, fill=255, font=load_font(11), anchor="lm")
        turned = letters.rotate(90, expand=True)
        self.image.paste(FAINT, (x - turned.width // 2, y - turned.height // 2), turned)

    def paint(self, x: int, y: int, pixels: np.ndarray) -> None:
        """Paste uint8 pixels ``[H, W, 3]`` with their top left corner at a point."""
        from PIL import Image

        self.image.paste(Image.fromarray(pixels), (x, y))

    def sound(self, x: int, y: int, wave: np.ndarray, title: str) -> None:
        condition, peak = _condition(wave), float(np.abs(wave).max())
        note, colour = condition, ALERT
        if not condition:
            decibels = 20 * np.log10(peak)
            note = f"peak {decibels:.1f} dB" if peak <= 1 else f"too loud: +{decibels:.1f} dB"
            colour = FAINT if peak <= 1 else ALERT
        room = self.cell - load_font(11).getlength(note) - 8
        self.text(x, y - 5, truncate_text(title, int(room), load_font(12)), colour=TEXT, size=12)
        self.text(x + self.cell, y - 5, note, "rs", colour)
        self.paint(x, y, _draw_waveform(wave, self.wave, self.cell))
        below = y + self.wave + self.inner
        if condition:
            self.pen.rectangle((x, below, x + self.cell - 1, below + self.picture - 1), fill=PANEL)
            self.text(x + self.cell / 2, below + self.picture / 2, condition, "mm", ALERT, 15)
        else:
            self.paint(x, below, _coloured(_spectrogram(wave, self.sample_rate, self.picture, self.cell)[::-1]))

    def frequencies(self, x: int, y: int) -> None:
        """Draw the level axis and the frequency axis at the left of the first sound of a row."""
        for level, anchor in ((1, "ra"), (0, "rm"), (-1, "rs")):
            self.text(x - 8, y + self.wave * (1 - level) / 2, f"{level}", anchor)
        below, top = y + self.wave + self.inner, float(_warp(self.sample_rate / 2))
        for hz in (100, 500, 1000, 2000, 4000, 8000, 16000):
            if hz <= self.sample_rate / 2:
                mark = below + self.picture * (1 - float(_warp(hz)) / top)
                self.text(x - 8, mark, f"{hz:,}", "ra" if mark < below + 4 else "rm")
                self.pen.line((x - 5, mark, x - 1, mark), fill=FAINT)
        self.upright(x - 57, y + self.wave // 2, "level")
        self.upright(x - 57, below + self.picture // 2, "frequency (Hz)")

    def times(self, x: int, y: int) -> None:
        """Draw the time axis below the last sound of a column."""
        for tick in _ticks(self.seconds):
            mark = x + self.cell * tick / self.seconds
            anchor = "la" if mark < x + 11 else "ra" if mark > x + self.cell - 11 else "ma"
            self.text(mark, y + 6, f"{tick:g}", anchor)
            self.pen.line((mark, y + 1, mark, y + 4), fill=FAINT)
        self.text(x + self.cell / 2, y + 21, "time (s)", "ma")

    def key(self, x: int, y: int) -> None:
        """Draw the colour scale of the spectrograms, in dB."""
        self.paint(x, y, _coloured(np.repeat(np.linspace(0, FLOOR_DB, self.picture)[:, None], 8, axis=1)))
        for level in (0, -20, -40, -60, -80):
            anchor = {0: "la", -80: "ls"}.get(level, "lm")
            self.text(x + 14, y + self.picture * level / FLOOR_DB, f"{level}", anchor)
        self.text(x, y - 5, "dB")


def _ticks(end: float) -> list[float]:
    """Return at most seven evenly spaced round numbers from 0 to ``end``."""
    scale = 10.0 ** np.floor(np.log10(end / 6))
    step = next(scale * each for each in (1, 2, 2.5, 5, 10, 20) if end / (scale * each) <= 6)
    return [step * i for i in range(int(end / step * (1 + 1e-9)) + 1)]


def _draw_waveform(wave: np.ndarray, height: int, width: int) -> np.ndarray:
    """Draw the waveform of a sound ``[C, T]`` as uint8 pixels ``[height, width, 3]``.

    Each pixel column spans the smallest to the largest of its samples. Columns with NaN or infinity are left empty.
    """
    at = np.arange(width) * wave.shape[-1] // width
    finite = np.isfinite(wave)
    shown = np.clip(np.where(finite, wave, 0.0), -1.0, 1.0)
    low, high = np.minimum.reduceat(shown, at, axis=-1), np.maximum.reduceat(shown, at, axis=-1)
    whole = np.logical_and.reduceat(finite, at, axis=-1)
    # The drawn waveform is extended by ``line`` pixels on both sides, so that silence is visible as a thin line.
    middle, scale, line = height / 2, height / 2 - 2, 0.45
    rows = np.arange(height)[:, None]
    pixels = np.broadcast_to(np.array(_rgb(PANEL)), (height, width, 3)).astype(np.float64)
    for channel in range(len(wave)):
        top, bottom = middle - scale * high[channel] - line, middle - scale * low[channel] + line
        cover = np.clip(np.minimum(rows + 1, bottom) - np.maximum(rows, top), 0, 1) * whole[channel]
        cover *= 1.0 if len(wave) == 1 else 0.65
        colour = np.array(_rgb(CHANNEL_COLOURS[channel % len(CHANNEL_COLOURS)]))
        pixels += cover[..., None] * (colour - pixels)
    return np.rint(pixels).astype(np.uint8)


def _rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _coloured(decibels: np.ndarray) -> np.ndarray:
    """Return the colours, uint8 ``[..., 3]``, of levels from `FLOOR_DB` to 0 dB."""
    return _MAGMA[np.rint((1 - decibels / FLOOR_DB) * 255).astype(int).clip(0, 255)]


def contact_sheet(
    path: str | os.PathLike[str],
    waves: np.ndarray,
    sample_rate: int,
    titles: Sequence[str] | None = None,
    columns: int = 4,
    title: str | None = None,
) -> None:
    """Write a PNG file that shows the waveform of each sound above its spectrogram, atomically.

    Spectrograms show -80 dB to 0 dB relative to the loudest point of the sound. The frequency axis is about linear up
    to 200 Hz and logarithmic above. Waveforms are drawn from -1 to 1. Silent sounds, and sounds with NaN or infinity,
    are labelled.

    Args:
        path: the PNG file. Missing folders are created.
        waves: sounds ``[N, C, T]``, full scale ±1.
        sample_rate: sample rate in Hz.
        titles: one title per sound. By default sounds are numbered from 1.
        columns: number of sounds in a row, at least 1.
        title: headline of the picture.

    Raises:
        ValueError: ``waves`` is empty or has another shape, the number of titles differs from the number of sounds, or
            ``columns`` or ``sample_rate`` is not positive.
    """
    waves = _checked(waves, sample_rate, titles)
    if columns < 1:
        raise ValueError(f"columns={columns} has to be at least 1")
    if titles is None:
        titles = [str(i + 1) for i in range(len(waves))]
    sheet = _Sheet(waves, sample_rate, titles, columns, title)
    save_png(path, sheet.image, compress_level=4)


def spectrogram_image(waves: np.ndarray, sample_rate: int, columns: int | None = None) -> np.ndarray:
    """Return a grid of spectrograms without labels, for TensorBoard and animations.

    Colours and frequency axis are those of `contact_sheet`. Silent sounds are black. Sounds with NaN or infinity are
    grey.

    Args:
        waves: sounds ``[N, C, T]``, full scale ±1.
        sample_rate: sample rate in Hz.
        columns: number of columns. By default the grid is near-square.

    Returns:
        uint8 pixels ``[H, W, 3]``.
    """
    waves = _checked(waves, sample_rate)
    rows, width, border = 96, 128, 2
    across = int(np.ceil(np.sqrt(len(waves)))) if columns is None else columns
    down = -(-len(waves) // across)
    grid = np.full((down * (rows + border) + border, across * (width + border) + border, 3), 26, np.uint8)
    for index, wave in enumerate(waves):
        row, column = divmod(index, across)
        y, x = border + row * (rows + border), border + column * (width + border)
        cell = grid[y : y + rows, x : x + width]
        condition = _condition(wave)
        if condition:
            cell[:] = 0 if condition == "silent" else 128
        else:
            cell[:] = _coloured(_spectrogram(wave, sample_rate, rows, width)[::-1])
    return grid
