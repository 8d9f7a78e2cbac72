"""Analysis of recordings ``[N, C]``: scale of the samples, mixing of channels, DC offset, and ultrasonic content."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SILENCE = 1e-3
"""A signal is silent if half of its peak-to-peak range is below this value (-60 dB relative to full scale)."""
CANCELLED_RATIO = 0.01
"""Channels count as cancelling out if the range of their mean is below this fraction of the range of the loudest
channel (-40 dB)."""
MAX_FLOAT_PEAK = 32.0
"""Largest peak of floating-point samples with a full scale of 1 (+30 dB). Larger peaks indicate integer units."""
INTEGER_SCALES = (1 << 7, 1 << 15, 1 << 23, 1 << 31)
"""Full scale of 8-, 16-, 24- and 32-bit integers."""
MIN_RELATIVE_OFFSET = 0.1
"""Smallest significant DC offset, as a fraction of the amplitude of the loudest window. Most recordings have smaller
offsets."""
MAX_OFFSET_CHANGE = 0.1
"""Largest difference between the offsets of two neighbouring windows at which a DC offset counts as steady, as a
fraction of the smaller offset."""
MIN_STEADY_SHARE = 0.25
"""A signal has a DC offset if at least this fraction of its windows has a steady offset."""
QUIET_RANGE = 0.1
"""Largest range of a quiet window, as a fraction of the range of the loudest window. In quiet windows, an offset can be
measured best."""
MIN_WINDOWS = 4
"""Smallest number of windows for an offset estimate. In shorter sounds, the mean can differ from 0 without an
offset."""
MIN_KEPT_ENERGY = 1e-4
"""If resampling keeps less than this fraction of the energy (-40 dB), the sound counts as ultrasonic."""
CLICK_SAMPLES, CLICK_SHARE, CLICK_ENERGY = 100, 0.02, 0.9
"""Limits for a signal that consists only of clicks: largest number of loud samples, largest fraction of loud samples,
and smallest fraction of the energy in these samples."""


def infer_full_scale(peak: float) -> float | None:
    """Infer the full scale of floating-point samples from their peak.

    Returns:
        1 or the full scale of an integer type, which is a power of two, so that division by it is exact. None if the
        peak exceeds all integer types.
    """
    if not peak > MAX_FLOAT_PEAK:
        return 1.0
    return next((float(scale) for scale in INTEGER_SCALES if peak <= 2 * scale), None)


def half_peak_to_peak(x: np.ndarray) -> NDArray[np.float64]:
    """Return half the peak-to-peak range of each channel of ``x`` ``[N, C]``, as float64 ``[C]``."""
    return (x.max(axis=0).astype(np.float64) - x.min(axis=0)) / 2 if len(x) else np.zeros(x.shape[1])


def mix_channels(
    x: np.ndarray, channels: int, keep_first: bool = False, substitute_channels: dict[int, int] | None = None
) -> np.ndarray:
    """Convert samples ``[N, C]`` to ``[N, channels]``.

    If ``x`` has fewer channels, they are repeated cyclically. If it has more, channel i of the result is the mean of
    the channels i, i + channels, i + 2 * channels and so on.

    Args:
        x: samples ``[N, C]``.
        channels: number of channels of the result.
        keep_first: use the first channels of ``x`` instead of means.
        substitute_channels: channel of the result -> channel of ``x`` that is used instead of the mean.
    """
    have = x.shape[1]
    if have == channels:
        return x
    if have < channels:
        return x[:, np.arange(channels) % have]
    if keep_first:
        return x[:, :channels]
    chosen = substitute_channels or {}
    mixed = [x[:, chosen[i]] if i in chosen else x[:, i::channels].mean(axis=1) for i in range(channels)]
    return np.stack(mixed, axis=1)


def find_cancelled_channels(source_ranges: np.ndarray, mixed_ranges: np.ndarray) -> dict[int, int]:
    """Find mixed channels in which the source channels cancel out.

    Args:
        source_ranges: half the peak-to-peak range of each channel before mixing ``[C]``.
        mixed_ranges: half the peak-to-peak range of each channel after mixing.

    Returns:
        A dict from the index of each cancelled mixed channel to the index of the loudest source channel in it, for
        `mix_channels`.
    """
    found = {}
    source, mixed = source_ranges, mixed_ranges
    for i in range(len(mixed)):
        loudest = i + len(mixed) * int(np.argmax(source[i :: len(mixed)])) if i < len(source) else 0
        if len(source) > len(mixed) and source[loudest] >= SILENCE and mixed[i] < CANCELLED_RATIO * source[loudest]:
            found[i] = loudest
    return found


class Windows:
    """Range, mean and energy of consecutive windows of about 50 ms, computed block by block to limit memory.

    Args:
        sample_rate: sample rate in Hz.

    Attributes:
        size: frames per window, a power of two. The length of every added block except the last must be a multiple of
            ``size``.
    """

    def __init__(self, sample_rate: int) -> None:
        self.size = 1 << max(4, round(np.log2(sample_rate / 20)))
        self._parts: list[np.ndarray] = []
        self._statistics: np.ndarray | None = None

    def add(self, block: np.ndarray) -> None:
        """Compute the statistics of the next samples ``[N, C]``."""
        at = np.arange(0, len(block), self.size)
        count = np.diff(np.append(at, len(block)))[:, None]
        total = np.add.reduceat(block, at, dtype=np.float64)
        energy = np.add.reduceat(np.square(block, dtype=np.float64), at) - total**2 / count
        low, high = np.minimum.reduceat(block, at), np.maximum.reduceat(block, at)
        self._parts.append(np.stack([low, high, total / count, energy, np.broadcast_to(count, low.shape)]))
        self._statistics = None

    @property
    def statistics(self) -> np.ndarray:
        """Statistics ``[5, K, C]`` of K windows: minimum, maximum, mean, energy around the mean, number of frames."""
        if self._statistics is None:
            self._statistics = np.concatenate(self._parts, axis=1) if self._parts else np.zeros((5, 0, 1))
        return self._statistics

    def peaks(self, offset: Offset | None = None) -> np.ndarray:
        """Return the peak of each window ``[K]``, the maximum over all channels, after removal of ``offset``."""
        low, high = self.statistics[:2]
        if offset is not None:
            low, high = low - offset.level, high - offset.level
        return np.maximum(-low, high).max(axis=1)

    def energy(self, start: float, frames: float) -> float:
        """Return the energy of all windows that overlap a range of the recording, after removal of their means.

        Args:
            start: first frame of the range.
            frames: length of the range in frames.
        """
        first, last = int(start // self.size), int(-(-(start + frames) // self.size))
        return float(self.statistics[3, first:last].sum())

    def estimate_offset(self, min_relative_offset: float = MIN_RELATIVE_OFFSET) -> Offset | None:
        """Estimate the DC offset of the signal over time. None if the signal has no significant offset.

        The offset is measured in windows with nearly the same mean as their neighbours, and interpolated between them.
        Low-frequency sounds are not mistaken for an offset, because the means of their windows differ.

        Args:
            min_relative_offset: smallest significant offset, as a fraction of the amplitude (half the peak-to-peak
                range) of the loudest window.
        """
        low, high, mean = self.statistics[:3]
        whole = len(mean) - (len(mean) > 1 and bool(self.statistics[4, -1, 0] < self.size / 2))
        if whole < MIN_WINDOWS:
            return None
        half, middle = (high - low)[:whole] / 2, mean[:whole]
        largest = half.max(axis=0)
        size = np.abs(middle)
        near = np.abs(np.diff(middle, axis=0)) <= MAX_OFFSET_CHANGE * np.minimum(size[1:], size[:-1])
        steady = (size > min_relative_offset * largest) & np.append(near, near[-1:], 0) & np.append(near[:1], near, 0)
        quiet = half <= QUIET_RANGE * largest
        still = (size <= min_relative_offset * largest) & quiet
        knots: list[tuple[np.ndarray, np.ndarray] | None] = []
        for c in range(mean.shape[1]):
            known = np.flatnonzero(steady[:, c] | still[:, c])
            calm = known[quiet[known, c]]
            # Quiet windows are preferred, because sound changes the mean of a window slightly.
            known = calm if len(calm) > 1 else known
            has = len(known) > 1 and steady[:, c].mean() >= MIN_STEADY_SHARE
            knots.append(_knots(known, middle[known, c], self.size) if has else None)
        return Offset(knots, (np.arange(len(mean)) + 0.5) * self.size) if any(knots) else None


class Offset:
    """DC offset of a recording over time, interpolated linearly between knots.

    Args:
        knots: positions in frames and offsets at these positions, for each channel. None for a channel without offset.
        centres: centre of each window, in frames.

    Attributes:
        level: offset at the centre of each window ``[K, C]``.
    """

    def __init__(self, knots: list[tuple[np.ndarray, np.ndarray] | None], centres: np.ndarray) -> None:
        self.knots = knots
        self.level = self.interpolate(centres)

    def interpolate(self, frames: np.ndarray) -> np.ndarray:
        """Return the offset ``[N, C]`` at positions ``[N]``, in frames."""
        zero = np.zeros(len(frames))
        return np.stack([zero if knots is None else np.interp(frames, *knots) for knots in self.knots], axis=1)

    @property
    def median_level(self) -> float:
        """Median absolute offset of the windows whose absolute offset is at least half of the largest one."""
        size = np.abs(self.level)
        return float(np.median(size[size >= size.max() / 2]))

    def remove(self, samples: np.ndarray, start: int = 0) -> np.ndarray:
        """Subtract the offset from samples ``[N, C]``, a part of the recording that begins at frame ``start``."""
        return (samples - self.interpolate(np.arange(start, start + len(samples)) + 0.5)).astype(np.float32)


def _knots(at: np.ndarray, value: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the knots of `Offset`: positions in frames and offsets. The offset is extrapolated by 1.5 windows at both
    ends."""
    ends = np.array([at[0] - 1.5, at[-1] + 1.5])
    slope = np.diff(value)[[0, -1]] * (np.diff(at)[[0, -1]] == 1)
    outside = value[[0, -1]] + slope * np.array([-1.5, 1.5])
    return (np.r_[ends[0], at, ends[1]] + 0.5) * size, np.r_[outside[0], value, outside[1]]


def is_only_clicks(samples: np.ndarray, source_energy: float) -> bool:
    """Return whether resampling has removed a sound except for clicks, which the resampling filter produces.

    This happens if all frequencies of the sound are above half the new sample rate.

    Args:
        samples: resampled sound ``[N, C]``.
        source_energy: energy of the sound before resampling: its sum of squares, multiplied by the new and divided by
            the old sample rate.
    """
    samples = samples - samples.mean(axis=0)
    squares = np.square(samples, dtype=np.float64).sum(axis=1)
    total = float(squares.sum())
    if total >= MIN_KEPT_ENERGY * source_energy:
        return False
    count = max(CLICK_SAMPLES, round(CLICK_SHARE * len(samples)))
    if count >= len(samples) or np.count_nonzero(np.abs(samples).max(axis=1) >= SILENCE) <= count:
        return True
    return float(np.partition(squares, -count)[-count:].sum()) > CLICK_ENERGY * total
