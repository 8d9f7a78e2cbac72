"""Pictures of sounds: a contact sheet for people, a bare grid of spectrograms for TensorBoard.

Only matplotlib's object interface is used (no pyplot, no global state), so a picture may be drawn in any thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.fft import rfft

from audiogan.sounds import replacing

FLOOR_DB = -80.0
"""The darkest level of a spectrogram, relative to the loudest point of its clip."""
SILENT = 2.0**-16
"""A clip whose peak is below this rounds to nothing in a 16-bit file."""

# One dark look, because a picture is seen on white and on black pages alike.
_BACKGROUND, _PANEL, _TEXT, _FAINT, _ALERT = "#12131a", "#1a1c26", "#e8e8ee", "#8d90a0", "#ff8a80"
_CHANNELS = ("#f2b35e", "#6fb7e9", "#a5d67c", "#d890d8")
_COLORMAP = "magma"
_KNEE_HZ = 200.0  # below it the frequency axis is about linear, above it logarithmic: kicks and hats both get room


def _warp(hz: np.ndarray | float) -> np.ndarray:
    return np.log1p(np.asarray(hz, dtype=np.float64) / _KNEE_HZ)


def _bands(bins: int, sample_rate: int, rows: int) -> np.ndarray:
    """Weights `[bins, rows]` that gather STFT bins into rows evenly spaced on the warped axis, low first."""
    hz = np.linspace(0.0, sample_rate / 2, bins)
    edges = _KNEE_HZ * np.expm1(np.linspace(0.0, _warp(sample_rate / 2), rows + 1))
    centre = (edges[1:] + edges[:-1]) / 2
    # Where rows lie closer than bins, a row blends its two neighbours instead of falling between them.
    width = np.maximum(np.diff(edges), hz[1])
    weights = np.clip(1.0 - np.abs(hz[:, None] - centre) / width, 0.0, None)
    return (weights / weights.sum(0)).astype(np.float32)


def _spectrogram(wave: np.ndarray, sample_rate: int, rows: int, columns: int) -> np.ndarray:
    """Level of one finite clip `[C, T]` in dB below its own loudest point, −80…0: `[rows, columns]`, low rows first.

    Hann windows of about 32 ms; channels are summed in power. A column is the strongest of the frames it covers, so
    that a click stays visible in a long clip.
    """
    window = max(32, 2 ** round(np.log2(0.032 * sample_rate)))
    hop = max(1, min(window // 4, wave.shape[-1] // columns))
    padded = np.pad(wave, ((0, 0), (window // 2, window // 2)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window, axis=-1)[:, ::hop]
    bands = _bands(window + 1, sample_rate, rows)
    power = np.zeros((frames.shape[1], rows), np.float32)
    for start in range(0, len(power), 4096):  # a clip of minutes does not have to fit in memory as frames
        spectrum = rfft(frames[:, start : start + 4096] * np.hanning(window).astype(np.float32), 2 * window, axis=-1)
        power[start : start + 4096] = (np.abs(spectrum) ** 2).sum(0) @ bands
    at = np.linspace(0, len(power), columns, endpoint=False).astype(int)
    power = np.maximum.reduceat(power, at, axis=0)
    decibels = 10.0 * np.log10(np.maximum(power, 1e-30) / max(float(power.max()), 1e-30))
    return np.maximum(decibels, FLOOR_DB).T


def _condition(wave: np.ndarray) -> str:
    """What is wrong with a clip `[C, T]`: `not finite`, `silent`, or nothing."""
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
    """A contact sheet on one matplotlib axes whose unit is the inch, from the top left corner down.

    Axes are what makes matplotlib slow (20 ms each); 32 of them would hold up a training for longer than the drawing.
    """

    cell, wave, picture = 3.0, 0.46, 1.15  # width of a sound; heights of its waveform and of its spectrogram
    inner, across, between = 0.05, 0.16, 0.28  # gaps: wave to spectrogram, column to column, row to row
    left, right, bottom = 0.62, 0.56, 0.42

    def __init__(self, waves: np.ndarray, sample_rate: int, titles: Sequence[str], columns: int, title: str | None):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.sample_rate, self.seconds = sample_rate, waves.shape[-1] / sample_rate
        columns = min(columns, len(waves))
        rows = -(-len(waves) // columns)
        top = 0.66 if title else 0.36
        width = self.left + columns * (self.cell + self.across) - self.across + self.right
        down = self.wave + self.inner + self.picture + self.between
        height = top + rows * down - self.between + self.bottom
        self.figure = Figure(figsize=(width, height), dpi=110, facecolor=_BACKGROUND)
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        if title:
            self.text(self.left, 0.16, title, color=_TEXT, fontsize=12, va="top")
        for index, wave in enumerate(waves):
            row, column = divmod(index, columns)
            x, y = self.left + column * (self.cell + self.across), top + row * down
            self.sound(x, y, wave, titles[index])
            if column == 0:
                self.frequencies(x, y)
            if index + columns >= len(waves):
                self.times(x, y + self.wave + self.inner + self.picture)
        self.key(width - self.right + 0.12, top + self.wave + self.inner)
        self.axes.set(xlim=(0, width), ylim=(height, 0))

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        # A label with a dollar sign in it is no formula.
        style = {"color": _FAINT, "fontsize": 7, "parse_math": False, **style}
        self.axes.text(x, y, text, **style)

    def image(self, x: float, y: float, width: float, values: np.ndarray) -> None:
        """A picture in dB, its first row at the bottom."""
        extent = (x, x + width, y + self.picture, y)
        limits: dict[str, Any] = {"vmin": FLOOR_DB, "vmax": 0.0}
        self.axes.imshow(values, cmap=_COLORMAP, origin="lower", aspect="auto", extent=extent, **limits)

    def sound(self, x: float, y: float, wave: np.ndarray, title: str) -> None:
        condition, peak = _condition(wave), float(np.abs(wave).max())
        note, colour = condition, _ALERT
        if not condition:
            decibels = 20 * np.log10(peak)
            note = f"peak {decibels:.1f} dB" if peak <= 1 else f"too loud: +{decibels:.1f} dB"
            colour = _FAINT if peak <= 1 else _ALERT
        self.text(x, y - 0.05, title, color=_TEXT, fontsize=8)
        self.text(x + self.cell, y - 0.05, note, color=colour, ha="right")
        self.panel(x, y, self.wave)
        self.outline(x, y, wave)
        below = y + self.wave + self.inner
        if condition:
            self.panel(x, below, self.picture)
            middle = (x + self.cell / 2, below + self.picture / 2)
            self.text(*middle, condition, color=_ALERT, fontsize=10, ha="center", va="center")
        else:
            self.image(x, below, self.cell, _spectrogram(wave, self.sample_rate, rows=96, columns=256))

    def panel(self, x: float, y: float, height: float) -> None:
        self.axes.fill_between((x, x + self.cell), y, y + height, color=_PANEL, linewidth=0)

    def outline(self, x: float, y: float, wave: np.ndarray) -> None:
        """Smallest and largest sample of each column, full scale ±1; gaps where samples are not finite."""
        columns = min(wave.shape[-1], 400)
        at = np.linspace(0, wave.shape[-1], columns, endpoint=False).astype(int)
        finite = np.isfinite(wave)
        shown = np.clip(np.where(finite, wave, 0.0), -1.0, 1.0)
        low, high = np.minimum.reduceat(shown, at, axis=-1), np.maximum.reduceat(shown, at, axis=-1)
        whole = np.logical_and.reduceat(finite, at, axis=-1)
        low, high, whole = (np.append(part, part[:, -1:], axis=-1) for part in (low, high, whole))
        time = x + np.linspace(0, self.cell, columns + 1)
        middle, scale, line = y + self.wave / 2, self.wave / 2 - 0.02, 0.004  # where nothing sounds, a thin line
        for channel in range(len(wave)):
            self.axes.fill_between(
                time,
                middle - scale * high[channel] - line,
                middle - scale * low[channel] + line,
                where=whole[channel],
                step="post",
                color=_CHANNELS[channel % len(_CHANNELS)],
                alpha=1.0 if len(wave) == 1 else 0.65,
                linewidth=0,
            )

    def frequencies(self, x: float, y: float) -> None:
        """What is up and down, left of the first sound of a row."""
        for level, anchor in ((1, "top"), (0, "center"), (-1, "bottom")):
            self.text(x - 0.07, y + self.wave * (1 - level) / 2, f"{level}", ha="right", va=anchor)
        below, top = y + self.wave + self.inner, _warp(self.sample_rate / 2)
        ticks = np.array([hz for hz in (100, 500, 1000, 2000, 4000, 8000, 16000) if hz <= self.sample_rate / 2])
        marks = below + self.picture * (1 - _warp(ticks) / top)
        for hz, mark in zip(ticks, marks, strict=True):
            self.text(x - 0.07, mark, f"{hz:,}", ha="right", va="top" if mark < below + 0.03 else "center")
        self.axes.hlines(marks, x - 0.04, x, color=_FAINT, linewidth=0.6)
        upright: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "center"}
        self.text(x - 0.52, y + self.wave / 2, "level", **upright)
        self.text(x - 0.52, below + self.picture / 2, "frequency (Hz)", **upright)

    def times(self, x: float, y: float) -> None:
        """When, below the last sound of a column."""
        from matplotlib.ticker import MaxNLocator

        ticks = np.asarray(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]).tick_values(0, self.seconds))
        ticks = ticks[(ticks >= 0) & (ticks <= self.seconds)]
        marks = x + self.cell * ticks / self.seconds
        for tick, mark in zip(ticks, marks, strict=True):
            anchor = "left" if mark < x + 0.1 else "right" if mark > x + self.cell - 0.1 else "center"
            self.text(mark, y + 0.06, f"{tick:g}", ha=anchor, va="top")
        self.axes.vlines(marks, y, y + 0.04, color=_FAINT, linewidth=0.6)
        self.text(x + self.cell / 2, y + 0.2, "time (s)", ha="center", va="top")

    def key(self, x: float, y: float) -> None:
        """What the colours mean."""
        self.image(x, y, 0.07, np.linspace(FLOOR_DB, 0, 128)[:, None])
        for level in (0, -20, -40, -60, -80):
            anchor = {0: "top", -80: "bottom"}.get(level, "center")
            self.text(x + 0.12, y + self.picture * level / FLOOR_DB, f"{level}", va=anchor)
        self.text(x, y - 0.05, "dB")


def contact_sheet(
    path: str | os.PathLike[str],
    waves: np.ndarray,
    sample_rate: int,
    titles: Sequence[str] | None = None,
    columns: int = 4,
    title: str | None = None,
) -> None:
    """Write a PNG with every sound's waveform above its spectrogram, atomically.

    Spectrograms are in dB below the clip's own loudest point (−80…0 dB); the frequency axis is linear at the bottom
    and logarithmic above 200 Hz. Waveforms share the scale ±1. Clips that are silent or hold NaN are labelled so.

    Args:
        path: the PNG to write; missing folders are made.
        waves: `[N, C, T]`, full scale ±1.
        sample_rate: in Hz.
        titles: one a sound, else they are numbered from 1.
        columns: sounds beside each other.
        title: a headline.

    Raises:
        ValueError: waves of another shape, no sounds, as many titles as there are not sounds, `columns` below 1.
    """
    waves = _checked(waves, sample_rate, titles)
    if columns < 1:
        raise ValueError(f"columns={columns} has to be at least 1")
    if titles is None:
        titles = [str(i + 1) for i in range(len(waves))]
    names = [" ".join(str(each).split()) for each in titles]
    names = [name if len(name) <= 30 else name[:29] + "…" for name in names]
    sheet = _Sheet(waves, sample_rate, names, columns, title)
    with replacing(path) as temporary:
        sheet.figure.savefig(temporary, format="png", facecolor=_BACKGROUND, pil_kwargs={"compress_level": 4})


def spectrogram_image(waves: np.ndarray, sample_rate: int) -> np.ndarray:
    """A bare, near-square grid of spectrograms of `waves [N, C, T]`: uint8 `[H, W, 3]`, for TensorBoard.

    Colours and frequency axis are those of `contact_sheet`. A silent clip is black, one that is not finite grey.
    """
    from matplotlib import colormaps

    waves = _checked(waves, sample_rate)
    rows, columns, border = 96, 128, 2
    across = int(np.ceil(np.sqrt(len(waves))))
    down = -(-len(waves) // across)
    grid = np.full((down * (rows + border) + border, across * (columns + border) + border, 3), 26, np.uint8)
    for index, wave in enumerate(waves):
        row, column = divmod(index, across)
        y, x = border + row * (rows + border), border + column * (columns + border)
        cell = grid[y : y + rows, x : x + columns]
        condition = _condition(wave)
        if condition:
            cell[:] = 0 if condition == "silent" else 128
        else:
            level = 1.0 - _spectrogram(wave, sample_rate, rows, columns)[::-1] / FLOOR_DB
            cell[:] = colormaps[_COLORMAP](level, bytes=True)[..., :3]
    return grid
