"""Decoder of sound files: returns clips with a fixed sample rate, length and number of channels.

Files are read in blocks, so memory use does not depend on their duration.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import soxr

from audiogan.errors import UserError
from audiogan.modalities.reading import RATES, SoundReader, Unreadable, levels
from audiogan.modalities.reading.reader import BLOCK

SILENT_WINDOW = 10 ** (-40 / 20)  # Slices with a peak below this fraction of the file's peak are skipped as pauses.
ONSET = 0.05  # The onset is the first sample above this fraction of the peak (-26 dB).
PEAK = 0.95  # Peak of clips with normalize="peak".
CLIP_RUN = 4  # Minimum number of consecutive samples at the same full-scale value that counts as clipping.
# Level above which samples of 8-bit formats count as full scale.
FULL_SCALE = {"PCM_U8": 0.992, "PCM_S8": 0.992, "ULAW": 0.980, "ALAW": 0.984}


@dataclass(frozen=True)
class DecodeSettings:
    """Settings for decoding a sound file to clips.

    Args:
        sample_rate: sample rate of the clips in Hz. Files with other rates are resampled (soxr HQ).
        length: length of a clip in samples. Shorter files are padded with zeros at the end.
        channels: number of channels of the clips, 1 to 64. The channels of files with fewer channels are repeated.
        channel_mode: treatment of files with more than ``channels`` channels. ``mix``: channel ``i`` is the mean of the
            file's channels ``i``, ``i + channels``, ... ``keep``: the first channels.
        long: treatment of files longer than a clip. ``onset``: one clip from the onset, the first sample above 5 % of
            the peak. ``start``: one clip from the start; the rest is not read. ``slice``: consecutive clips,
            without clips whose peak is more than 40 dB below the file's peak. A last clip that is less than half full
            is omitted.
        trim: cut the time before the onset from all files: from short files too, and before long files are sliced.
        lead: time before the onset to keep, in seconds, 0 to 60. Speech needs a longer time than drums, because its
            onsets are softer.
        min_seconds: minimum duration of a usable file in seconds, 0 to 3600.
        normalize: level normalisation of each clip: ``peak`` (peak of 0.95) or ``none``.
    """

    sample_rate: int = 16_000
    length: int = 16_384
    channels: int = 1
    channel_mode: str = "mix"
    long: str = "onset"
    trim: bool = False
    lead: float = 0.005
    min_seconds: float = 0.02
    normalize: str = "peak"

    def __post_init__(self) -> None:
        choices = {"channel_mode": ("mix", "keep"), "long": ("onset", "start", "slice"), "normalize": ("peak", "none")}
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise UserError(f"data.{key}={getattr(self, key)!r}: choose one of {', '.join(allowed)}")
        limits = {"sample_rate": RATES, "length": (1, 1 << 28), "channels": (1, 64)}
        limits |= {"lead": (0, 60), "min_seconds": (0, 3600)}
        for key, (low, high) in limits.items():
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise UserError(f"data.{key}={value!r}: must be a number from {low:,} to {high:,}")
            if key not in ("lead", "min_seconds") and value != int(value):
                raise UserError(f"data.{key}={value!r}: must be a whole number")


@dataclass
class Decoded:
    """Result of decoding a sound file.

    Attributes:
        reason: ``usable``, or the reason why the file cannot be used.
        detail: details of the reason or of the flags.
        flags: flags of a usable file, such as ``clipped``.
        clips: clips, float32 ``[C, T]`` each.
        windows: number of clips including silent ones, which `clips` omits.
        digest: hash of the decoded samples. It does not depend on the file format.
        seconds: duration of the file in seconds.
        sample_rate: sample rate of the file in Hz.
        channels: number of channels of the file.
    """

    reason: str
    detail: str = ""
    flags: tuple[str, ...] = ()
    clips: Iterable[np.ndarray] = ()
    windows: int = 0
    digest: bytes = b""
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0


def decode(path: str | os.PathLike[str], settings: DecodeSettings) -> Decoded:
    """Decode a sound file. An unusable file does not raise an error; the result contains the reason."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            return Decoded("unreadable", "not a regular file")
        with SoundReader(path) as reader:
            return _decode(reader, settings)
    except OSError as e:
        return Decoded("unreadable", e.strerror or str(e))
    except (Unreadable, RuntimeError, ValueError, TypeError) as e:
        return Decoded("unreadable", str(e) or type(e).__name__)


@dataclass
class _Facts:
    """Measurements from one pass over a sound file.

    Attributes:
        windows: extremes and energy of the mixed signal over time.
        frames: number of frames read.
        clipped: length of the longest run of equal samples at full scale.
        finite: ``True`` if all samples are finite.
        digest: hash of all samples.
        samples: all samples ``[N, c]`` if the file fits into one block, else ``None``.
        largest: largest absolute sample.
        source_ranges: half the peak-to-peak range of each channel of the file.
        mixed_ranges: half the peak-to-peak range of each channel after mixing.
        scale: full scale of the samples.
        substitute_channels: for each output channel that would cancel out, the file channel to use instead.
        offset: DC offset to remove, or ``None``.
    """

    windows: levels.Windows
    frames: int = 0
    clipped: int = 0
    finite: bool = True
    digest: bytes = b""
    samples: np.ndarray | None = None
    largest: float = 0.0
    source_ranges: np.ndarray = field(default_factory=lambda: np.zeros(1))
    mixed_ranges: np.ndarray = field(default_factory=lambda: np.zeros(1))
    scale: float = 1.0
    substitute_channels: dict[int, int] = field(default_factory=dict)
    offset: levels.Offset | None = None

    @property
    def peak(self) -> float:
        return float(self.windows.peaks(self.offset).max(initial=0.0))

    def read(self, f: SoundReader, start: int, count: int) -> np.ndarray:
        """Return ``count`` frames of the file from ``start``, ``[N, c]``."""
        if self.samples is not None:
            return self.samples[start : start + count]
        f.seek(start)
        return f.read(count)

    def mixed(self, x: np.ndarray, s: DecodeSettings, start: int = 0) -> np.ndarray:
        """Return file samples ``[N, c]``, read from frame ``start``, as mixed samples ``[N, C]`` without offset."""
        y = self.mix(x, s)
        return y if self.offset is None else self.offset.remove(y, start)

    def mix(self, x: np.ndarray, s: DecodeSettings) -> np.ndarray:
        x = x if self.scale == 1 else x / np.float32(self.scale)
        return levels.mix_channels(x, s.channels, s.channel_mode == "keep", self.substitute_channels)


def _decode(f: SoundReader, s: DecodeSettings) -> Decoded:
    rate = f.sample_rate
    # Read 50 ms more than a clip, because the filter of the resampler extends beyond the end of the clip.
    need = math.ceil(s.length * rate / s.sample_rate) + rate // 20
    whole = s.long != "start" or s.trim
    limit = None if whole else need
    with np.errstate(all="ignore"):
        facts = _examine(f, s, limit)
        scale = levels.infer_full_scale(facts.largest)
        substitute_channels = levels.find_cancelled_channels(facts.source_ranges, facts.mixed_ranges)
        if facts.finite and scale and (scale != 1 or substitute_channels):
            f.seek(0)
            facts = _examine(f, s, limit, scale, substitute_channels)
    about = {"seconds": facts.frames / rate, "sample_rate": rate, "channels": f.channels, "digest": facts.digest}
    reason, detail = _verdict(f, facts, s)
    if reason:
        return Decoded(reason, detail, **about)
    longer = round(facts.frames * s.sample_rate / rate) > s.length
    crop = s.trim or (longer and s.long == "onset")
    facts.offset = facts.windows.estimate_offset(levels.MIN_RELATIVE_OFFSET)
    start = _onset(f, facts, s) if crop else 0
    if longer and crop and facts.offset is None:
        # A DC offset before a sound can be mistaken for its onset. Remove a small offset (below
        # `levels.MIN_RELATIVE_OFFSET`) only if the onset is otherwise more than 50 ms too early.
        facts.offset = facts.windows.estimate_offset(ONSET / 2)
        later = start if facts.offset is None else _onset(f, facts, s)
        start, facts.offset = (later, facts.offset) if later > start + rate // 20 else (start, None)
    flags, notes = _flags(f, facts, whole)
    if longer and s.long == "slice":
        count, rest = divmod(round((facts.frames - start) * s.sample_rate / rate), s.length)
        count += 2 * rest >= s.length
        return Decoded("usable", notes, flags, _slices(f.source, facts, rate, s, start, count), count, **about)
    x = facts.mixed(facts.read(f, start, need), s, start)
    y = (x if rate == s.sample_rate or not len(x) else soxr.resample(x, rate, s.sample_rate, quality="HQ"))[: s.length]
    if not np.isfinite(y).all():
        return Decoded("non-finite", "NaN or infinite after resampling", **about)
    if (
        not len(y)
        or levels.half_peak_to_peak(y).max() < levels.SILENCE
        or (rate > s.sample_rate and _ultrasonic(x, y, rate / s.sample_rate))
    ):
        return Decoded("silent", f"nothing audible in the used part at {s.sample_rate:,} Hz", **about)
    return Decoded("usable", notes, flags, [crop_and_normalise(y, s)], 1, **about)


def _ultrasonic(x: np.ndarray, y: np.ndarray, ratio: float) -> bool:
    x = x[: math.ceil(len(y) * ratio)]
    return levels.is_only_clicks(y, float(np.square(x - x.mean(axis=0), dtype=np.float64).sum()) / ratio)


def _verdict(f: SoundReader, facts: _Facts, s: DecodeSettings) -> tuple[str, str]:
    if facts.frames == 0:
        return ("unreadable", f.damage_message) if f.damaged else ("too short", "no samples")
    if not facts.finite:
        return "non-finite", "contains NaN or infinite samples"
    if levels.infer_full_scale(facts.largest) is None:
        return "unreadable", f"float samples up to {facts.largest:.3g}, beyond the scale of any format"
    if facts.mixed_ranges.max() < levels.SILENCE:
        level = f"peak {20 * math.log10(facts.peak):.0f} dBFS" if facts.peak else "all zero"
        return "silent", level if facts.peak < levels.SILENCE else "a constant"
    if facts.frames < s.min_seconds * f.sample_rate:
        return "too short", f"{1000 * facts.frames / f.sample_rate:.1f} ms, data.min_seconds={s.min_seconds:g}"
    return "", ""


def _flags(f: SoundReader, facts: _Facts, whole: bool) -> tuple[tuple[str, ...], str]:
    found = {}
    if facts.clipped >= CLIP_RUN:
        found["clipped"] = f"{facts.clipped} equal samples in a row at full scale"
    if f.broken:
        found["truncated"] = f"cut off or damaged after {facts.frames / f.sample_rate:.2f} s"
    elif f.has_gap:
        found["truncated"] = "damaged parts are skipped"
    elif f.cut or (whole and facts.frames < f.frames < 1 << 62):
        found["truncated"] = "shorter than its header states"
    if f.unfinished:
        found["unfinished"] = "no length in its header; read to the end of the file"
    if facts.scale != 1:
        found["rescaled"] = f"float samples up to {facts.largest:,.0f}, divided by {facts.scale:,.0f}"
    if facts.substitute_channels:
        found["out of phase"] = ", ".join(f"channel {i + 1}" for i in facts.substitute_channels.values()) + " used"
    if facts.offset is not None:
        found["offset"] = f"an offset of {facts.offset.median_level:.2g} removed"
    return tuple(found), "; ".join(found.values())


def _examine(
    f: SoundReader,
    s: DecodeSettings,
    limit: int | None,
    scale: float = 1.0,
    substitute_channels: dict[int, int] | None = None,
) -> _Facts:
    """Read up to ``limit`` frames of a file and measure range, peaks, clipping and a hash of the samples."""
    digest = hashlib.blake2b(f"{f.sample_rate} {f.channels}".encode(), digest_size=16)
    full = FULL_SCALE.get(f.subtype, 0.9999)
    facts = _Facts(levels.Windows(f.sample_rate), scale=scale, substitute_channels=substitute_channels or {})
    extremes = []
    while limit is None or facts.frames < limit:
        x = f.read(BLOCK if limit is None else min(BLOCK, limit - facts.frames))
        if not len(x):
            break
        facts.samples = x if facts.frames == 0 else None
        facts.frames += len(x)
        digest.update(np.ascontiguousarray(x).data)
        y = facts.mix(x, s)
        facts.windows.add(y)
        if y is not x:
            extremes += [x.min(axis=0), x.max(axis=0)]
        facts.clipped = max(facts.clipped, _longest_run(x, full))
        facts.finite &= bool(np.isfinite(x).all())
    facts.mixed_ranges = levels.half_peak_to_peak(facts.windows.statistics[:2].reshape(-1, s.channels))
    facts.source_ranges = levels.half_peak_to_peak(np.stack(extremes)) if extremes else facts.mixed_ranges
    facts.largest = float(np.abs(extremes).max()) if extremes else facts.peak
    facts.digest = digest.digest()
    return facts


def _longest_run(x: np.ndarray, full: float) -> int:
    """Return the longest run of equal samples at full scale in a channel of ``x`` ``[N, C]``.

    Samples above full scale, as in float or MP3 files, do not count as clipped.
    """
    size = np.abs(x)
    if np.count_nonzero(size >= full) < CLIP_RUN:
        return 0
    flat = (size[1:] >= full) & (size[1:] <= 1.000001) & (x[1:] == x[:-1])
    edges = np.diff(np.pad(flat, ((1, 1), (0, 0))).astype(np.int8), axis=0).T
    return 1 + int(np.max(np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1], initial=0))


def _onset(f: SoundReader, facts: _Facts, s: DecodeSettings) -> int:
    peaks = facts.windows.peaks(facts.offset)
    level = ONSET * float(peaks.max())
    first = int(np.argmax(peaks > level)) * facts.windows.size
    block = first // BLOCK * BLOCK
    above = np.abs(facts.mixed(facts.read(f, block, BLOCK), s, block)).max(axis=1) > level
    onset = block + int(np.argmax(above)) if above.any() else first
    return max(0, onset - round(s.lead * f.sample_rate))


def crop_and_normalise(x: np.ndarray, settings: DecodeSettings) -> np.ndarray:
    """Convert samples ``[N, C]`` at the final rate to a clip ``[C, T]``: crop or pad, and normalise the level."""
    clip = np.zeros((settings.channels, settings.length), np.float32)
    n = min(len(x), settings.length)
    clip[:, :n] = x[:n].T
    peak = float(np.abs(clip).max())
    if settings.normalize == "peak" and peak > 0:
        clip *= np.float32(PEAK) / np.float32(peak)
    return clip


def _blocks(
    source: str | os.PathLike[str] | bytes, facts: _Facts, s: DecodeSettings, start: int
) -> Iterator[np.ndarray]:
    """Yield mixed blocks ``[N, C]`` of a file from frame ``start`` to its end."""
    if facts.samples is not None:
        yield facts.mixed(facts.samples[start:], s, start)
        return
    with SoundReader(source) as f:
        f.seek(start)
        while len(x := f.read(BLOCK)):
            yield facts.mixed(x, s, start)
            start += len(x)


def _slices(
    source: str | os.PathLike[str] | bytes, facts: _Facts, rate: int, s: DecodeSettings, start: int, count: int
) -> Iterator[np.ndarray]:
    """Yield consecutive clips of a file, resampled block by block. Quiet clips are skipped."""
    stream = soxr.ResampleStream(rate, s.sample_rate, s.channels, dtype="float32", quality="HQ")
    blocks, floor, ratio = _blocks(source, facts, s, start), facts.peak * SILENT_WINDOW, rate / s.sample_rate
    rest, made, block = np.zeros((0, s.channels), np.float32), 0, next(blocks, None)
    while block is not None and made < count:
        following = next(blocks, None)
        x = np.ascontiguousarray(block, np.float32)
        if rate != s.sample_rate:
            x = stream.resample_chunk(x, last=following is None)
        rest, block = np.concatenate([rest, x.reshape(-1, s.channels)]), following
        while made < count and (len(rest) >= s.length or (block is None and len(rest))):
            window, rest, made = rest[: s.length], rest[s.length :], made + 1
            energy = facts.windows.energy(start + (made - 1) * s.length * ratio, len(window) * ratio) / ratio
            loud = np.abs(window).max() >= max(floor, levels.SILENCE)
            constant = len(window) > levels.CLICK_SAMPLES and levels.half_peak_to_peak(window).max() < levels.SILENCE
            if loud and not constant and not (ratio > 1 and levels.is_only_clicks(window, energy)):
                yield crop_and_normalise(window, s)
