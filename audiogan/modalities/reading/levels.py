"""What can be heard in samples `[N, C]`: channels, offsets, scales, and what a resampler leaves of ultrasound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SILENCE = 1e-3
"""Half the peak-to-peak range below which there is nothing to hear (-60 dB of full scale)."""
CANCELLED = 0.01
"""Channels cancel out if their mean is this far below the loudest of them (-40 dB)."""
OVERS = 32.0
"""Peaks of float samples up to here (+30 dB) are overs. Beyond, the samples are in units of integers."""
SCALES = (1 << 7, 1 << 15, 1 << 23, 1 << 31)
"""Full scale of 8-, 16-, 24- and 32-bit integers."""
OFFSET = 0.1
"""An offset counts from this share of the sound's own range; smaller ones are in nearly every recording."""
STEADY = 0.1
"""The offset of neighbouring windows differs by at most this share of it."""
STEADY_SHARE = 0.25
"""A signal has an offset if at least this share of its windows shows it."""
QUIET = 0.1
"""A window is quiet if its half range is at most this share of the largest; there an offset is measured best."""
FEWEST = 4
"""Windows below which an offset cannot be told from a sound of one sign."""
ULTRASONIC = 1e-4
"""Energy that resampling keeps of a sound above half the new rate, at most (-40 dB)."""
CLICK_SAMPLES, CLICK_SHARE, CLICK_ENERGY = 100, 0.02, 0.9
"""The rest is only clicks if no other samples than so many, or this share of all, exceed silence or hold its energy."""


def full_scale(peak: float) -> float | None:
    """The full scale of float samples with this peak: 1, or that of integers; None if the peak is beyond all.

    It is a power of two, so that dividing by it is exact.
    """
    if not peak > OVERS:
        return 1.0
    return next((float(scale) for scale in SCALES if peak <= 2 * scale), None)


def ranges(x: np.ndarray) -> NDArray[np.float64]:
    """Half the peak-to-peak range of each channel, float64 `[C]`."""
    return (x.max(axis=0).astype(np.float64) - x.min(axis=0)) / 2 if len(x) else np.zeros(x.shape[1])


def mix(x: np.ndarray, channels: int, keep: bool = False, instead: dict[int, int] | None = None) -> np.ndarray:
    """`[N, c]` -> `[N, channels]`.

    With fewer channels in the file, they are repeated in turn. With more, channel i is the mean of the file's
    channels i, i + channels, ...

    Args:
        keep: use the first channels instead of means.
        instead: for a channel of the result, the one of the file to use instead of a mean.
    """
    have = x.shape[1]
    if have == channels:
        return x
    if have < channels:
        return x[:, np.arange(channels) % have]
    if keep:
        return x[:, :channels]
    instead = instead or {}
    mixed = [x[:, instead[i]] if i in instead else x[:, i::channels].mean(axis=1) for i in range(channels)]
    return np.stack(mixed, axis=1)


def cancelled(before: np.ndarray, after: np.ndarray) -> dict[int, int]:
    """For each mixed channel that cancels out, the loudest channel of the file in it.

    Args:
        before: half range of the file's channels `[c]`. after: the same of the mixed channels `[C]`.
    """
    found = {}
    for i in range(len(after)):
        loudest = i + len(after) * int(np.argmax(before[i :: len(after)])) if i < len(before) else 0
        if len(before) > len(after) and before[loudest] >= SILENCE and after[i] < CANCELLED * before[loudest]:
            found[i] = loudest
    return found


class Windows:
    """Range, mean and energy of consecutive windows of about 50 ms, in little memory.

    Attributes:
        size: frames of a window, a power of two; blocks that are added have a multiple of it, except the last.
    """

    def __init__(self, sample_rate: int) -> None:
        self.size = 1 << max(4, round(np.log2(sample_rate / 20)))
        self._parts: list[np.ndarray] = []
        self._table: np.ndarray | None = None

    def add(self, y: np.ndarray) -> None:
        """Add a block `[N, C]`."""
        at = np.arange(0, len(y), self.size)
        count = np.diff(np.append(at, len(y)))[:, None]
        total = np.add.reduceat(y, at, dtype=np.float64)
        energy = np.add.reduceat(np.square(y, dtype=np.float64), at) - total**2 / count
        low, high = np.minimum.reduceat(y, at), np.maximum.reduceat(y, at)
        self._parts.append(np.stack([low, high, total / count, energy, np.broadcast_to(count, low.shape)]))
        self._table = None

    @property
    def table(self) -> np.ndarray:
        """`[5, K, C]`: low, high, mean, energy without the mean, and frames of each window."""
        if self._table is None:
            self._table = np.concatenate(self._parts, axis=1) if self._parts else np.zeros((5, 0, 1))
        return self._table

    def peaks(self, rest: Rest | None = None) -> np.ndarray:
        """Peak `[K]` of each window over all channels, offset removed."""
        low, high = self.table[:2]
        if rest is not None:
            low, high = low - rest.level, high - rest.level
        return np.maximum(-low, high).max(axis=1)

    def energy(self, start: float, frames: float) -> float:
        """Energy, without offset, of the windows that overlap with ``frames`` frames from ``start`` on."""
        first, last = int(start // self.size), int(-(-(start + frames) // self.size))
        return float(self.table[3, first:last].sum())

    def rest(self, least: float = OFFSET) -> Rest | None:
        """The offset at which the signal rests, or None if it has none that counts.

        An offset shows in windows with nearly the same mean as their neighbours. Between them it is interpolated, so
        it may change over time, and a sound of low frequency does not count as one.

        Args:
            least: smallest offset that counts, as a share of the largest half range of a window.
        """
        low, high, mean = self.table[:3]
        whole = len(mean) - (len(mean) > 1 and bool(self.table[4, -1, 0] < self.size / 2))
        if whole < FEWEST:
            return None
        half, middle = (high - low)[:whole] / 2, mean[:whole]
        largest = half.max(axis=0)
        size = np.abs(middle)
        near = np.abs(np.diff(middle, axis=0)) <= STEADY * np.minimum(size[1:], size[:-1])
        steady = (size > least * largest) & np.append(near, near[-1:], 0) & np.append(near[:1], near, 0)
        quiet = half <= QUIET * largest
        still = (size <= least * largest) & quiet
        knots: list[tuple[np.ndarray, np.ndarray] | None] = []
        for c in range(mean.shape[1]):
            known = np.flatnonzero(steady[:, c] | still[:, c])
            calm = known[quiet[known, c]]
            known = calm if len(calm) > 1 else known  # a sound moves the mean of its windows a little
            has = len(known) > 1 and steady[:, c].mean() >= STEADY_SHARE
            knots.append(_knots(known, middle[known, c], self.size) if has else None)
        return Rest(knots, (np.arange(len(mean)) + 0.5) * self.size) if any(knots) else None


class Rest:
    """An offset over time, linear between knots.

    Args:
        knots: for each channel positions, in frames, and the offset there; None for a channel without offset.
        middles: positions of the middles of all windows, in frames.
    """

    def __init__(self, knots: list[tuple[np.ndarray, np.ndarray] | None], middles: np.ndarray) -> None:
        self.knots = knots
        self.level = self.at(middles)

    def at(self, frames: np.ndarray) -> np.ndarray:
        """The offset at positions `[N]`: `[N, C]`."""
        zero = np.zeros(len(frames))
        return np.stack([zero if knots is None else np.interp(frames, *knots) for knots in self.knots], axis=1)

    @property
    def typical(self) -> float:
        """Median size of the offset where it is large."""
        size = np.abs(self.level)
        return float(np.median(size[size >= size.max() / 2]))

    def remove(self, y: np.ndarray, start: int = 0) -> np.ndarray:
        """Remove the offset from a part `[N, C]` that begins at frame ``start``."""
        return (y - self.at(np.arange(start, start + len(y)) + 0.5)).astype(np.float32)


def _knots(at: np.ndarray, value: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of windows and offsets there, in frames, with a little room for a slope at both ends."""
    ends = np.array([at[0] - 1.5, at[-1] + 1.5])
    slope = np.diff(value)[[0, -1]] * (np.diff(at)[[0, -1]] == 1)
    outside = value[[0, -1]] + slope * np.array([-1.5, 1.5])
    return (np.r_[ends[0], at, ends[1]] + 0.5) * size, np.r_[outside[0], value, outside[1]]


def only_clicks(y: np.ndarray, energy: float) -> bool:
    """Return whether resampling left only clicks of the filter, because the sound was above half the new rate.

    Args:
        y: resampled samples `[N, C]`.
        energy: of the same part before, as a sum of squares at the rate of ``y``.
    """
    y = y - y.mean(axis=0)
    squares = np.square(y, dtype=np.float64).sum(axis=1)
    total = float(squares.sum())
    if total >= ULTRASONIC * energy:
        return False
    count = max(CLICK_SAMPLES, round(CLICK_SHARE * len(y)))
    if count >= len(y) or np.count_nonzero(np.abs(y).max(axis=1) >= SILENCE) <= count:
        return True
    return float(np.partition(squares, -count)[-count:].sum()) > CLICK_ENERGY * total
