"""One sound file -> clips of a fixed rate, length and channel count, or the reason why not.

A file is read in blocks, so memory stays the same for a click and for an hour of music.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from audiogan.errors import UserError

BLOCK = 1 << 16  # frames read at a time
SILENCE = 10 ** (-60 / 20)  # half the peak-to-peak range below which a file is silent (-60 dBFS; an offset is no sound)
SILENT_WINDOW = 10 ** (-40 / 20)  # a slice this far below its file's peak is a pause, not a sound
ONSET = 0.05  # a sound starts where it first exceeds this fraction of its peak (-26 dB)
PEAK = 0.95  # what normalize="peak" scales to
CLIP_RUN = 4  # equal samples in a row at full scale that count as clipped
RATES = (1_000, 1_000_000)  # Hz; a header outside is damaged
# The largest value a subtype holds; positive 8-bit and mu-law samples end well below 1.
FULL_SCALE = {"PCM_U8": 0.992, "PCM_S8": 0.992, "ULAW": 0.980, "ALAW": 0.984}


@dataclass(frozen=True)
class Settings:
    """How a file becomes clips.

    Args:
        sample_rate: of the clips, Hz; files of other rates are resampled (soxr HQ, anti-aliased).
        length: samples a clip; shorter files are padded with zeros at the end.
        channels: of the clips. A file with fewer repeats its channels in turn (mono -> both sides).
        channel_mode: for a file with more: `mix` (channel i is the mean of the file's channels i, i + channels, ...; so
            the mean of all for mono) or `keep` (the first ones).
        long: what a longer file gives: `onset` (one clip, from its onset, the first sample above 5 % of the peak),
            `start` (its first samples; the rest is neither read nor judged), `slice` (consecutive clips, the
            last only if at least half full; clips 40 dB below the file's peak are left out).
        trim: start short files at their onset too.
        lead: seconds of what is before the onset that are kept: words begin softer than drums.
        min_seconds: a shorter file is "too short".
        normalize: `peak` (each clip scaled to a peak of 0.95) or `none`.
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
    """What one file gave: `reason` is "usable" or why it is not; `clips` yields float32 arrays `[C, T]`."""

    reason: str
    detail: str = ""
    flags: tuple[str, ...] = ()
    clips: Iterable[np.ndarray] = ()
    windows: int = 0  # clips expected, silent ones included
    digest: bytes = b""  # of the decoded samples, whatever the file format
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0


def decode(path: str | os.PathLike[str], settings: Settings) -> Decoded:
    """Judge and decode one file. Never raises for what the file holds: the reason is in the result."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            return Decoded("unreadable", "not a regular file")
        with open(path, "rb"):  # libsndfile says only "System error" where this says "Permission denied"
            pass
        with sf.SoundFile(os.fsencode(path)) as f:
            return _decode(f, Path(path), settings)
    except OSError as e:
        return Decoded("unreadable", e.strerror or str(e))
    except (sf.SoundFileError, RuntimeError, ValueError, TypeError) as e:
        return Decoded("unreadable", _plain(e))


def _plain(error: Exception) -> str:
    """libsndfile's own words, without the path in front of them (the report has it already)."""
    text = str(getattr(error, "error_string", "") or error)
    if "not a regular file" in text:  # what libsndfile says of an .mp3 without MPEG frames
        return "Format not recognised"
    return " ".join(text.split()).rstrip(".") or type(error).__name__


@dataclass
class _Facts:
    frames: int
    low: float
    high: float
    block_peaks: list[float]
    clipped: int  # longest run of equal samples at full scale
    digest: bytes
    held: np.ndarray | None  # the samples themselves, when the file is only one block

    @property
    def peak(self) -> float:
        return max(self.block_peaks, default=0.0)


def _decode(f: sf.SoundFile, path: Path, s: Settings) -> Decoded:
    rate = f.samplerate
    if not RATES[0] <= rate <= RATES[1]:
        return Decoded("unreadable", f"sample rate of {rate:,} Hz in the header")
    # The resampler looks ahead; 50 ms is more than its filter is long.
    need = math.ceil(s.length * rate / s.sample_rate) + rate // 20
    whole = s.long != "start" or s.trim
    with np.errstate(all="ignore"):
        facts = _examine(f, s, None if whole else need)
    about = {"seconds": facts.frames / rate, "sample_rate": rate, "channels": f.channels, "digest": facts.digest}
    reason, detail = _verdict(facts, rate, s)
    if reason:
        return Decoded(reason, detail, **about)
    flags, notes = _flags(f, facts, whole)
    longer = round(facts.frames * s.sample_rate / rate) > s.length
    start = _onset(f, facts, rate, s) if s.trim or (longer and s.long == "onset") else 0
    if longer and s.long == "slice":
        windows = _windows(round((facts.frames - start) * s.sample_rate / rate), s.length)
        blocks = iter([facts.held[start:]]) if facts.held is not None else _blocks(path, start)
        clips: Iterable[np.ndarray] = _slices(blocks, rate, f.channels, s, facts.peak * SILENT_WINDOW, windows)
        return Decoded("usable", notes, flags, clips, windows, **about)
    if facts.held is not None:
        x = facts.held[start : start + need]
    else:
        f.seek(start)
        x = f.read(need, dtype="float32", always_2d=True)
    y = _resample(_channels(x, s), rate, s)[: s.length]
    if not np.isfinite(y).all():
        return Decoded("non-finite", "NaN or infinite after resampling", **about)
    if not len(y) or np.ptp(y) / 2 < SILENCE:  # ultrasonic, or it starts after its first `length` samples
        return Decoded("silent", f"nothing to hear in the part used at {s.sample_rate:,} Hz", **about)
    return Decoded("usable", notes, flags, [finish(y, s)], 1, **about)


def _verdict(facts: _Facts, rate: int, s: Settings) -> tuple[str, str]:
    if facts.frames == 0:
        return "too short", "no samples in it"
    if not (math.isfinite(facts.peak) and math.isfinite(facts.low) and math.isfinite(facts.high)):
        return "non-finite", "holds NaN or infinite samples"
    if (facts.high - facts.low) / 2 < SILENCE:
        level = f"peak {20 * math.log10(facts.peak):.0f} dBFS" if facts.peak else "all zero"
        return "silent", level if facts.peak < SILENCE else "a constant"
    if facts.frames < s.min_seconds * rate:
        return "too short", f"{1000 * facts.frames / rate:.1f} ms, data.min_seconds={s.min_seconds:g}"
    return "", ""


def _flags(f: sf.SoundFile, facts: _Facts, whole: bool) -> tuple[tuple[str, ...], str]:
    flags, notes = [], []
    if facts.clipped >= CLIP_RUN:
        flags.append("clipped")
        notes.append(f"{facts.clipped} equal samples in a row at full scale")
    # libsndfile reads what is left of a cut file and mentions the header's larger size only in its log.
    cut = re.search(r"^\s*(data|SSND)\s*:\s*\d+ \(should be \d+\)", f.extra_info, re.MULTILINE)
    if cut or (whole and facts.frames < f.frames < 1 << 62):
        flags.append("truncated")
        notes.append("ends before its header says")
    return tuple(flags), "; ".join(notes)


def _examine(f: sf.SoundFile, s: Settings, limit: int | None) -> _Facts:
    """One pass over the file (at most `limit` frames): range, peaks, clipping and a digest of all samples."""
    digest = hashlib.blake2b(f"{f.samplerate} {f.channels}".encode(), digest_size=16)
    full = FULL_SCALE.get(f.subtype, 0.9999)
    facts = _Facts(0, math.inf, -math.inf, [], 0, b"", None)
    while limit is None or facts.frames < limit:
        x = f.read(BLOCK if limit is None else min(BLOCK, limit - facts.frames), dtype="float32", always_2d=True)
        if not len(x):
            break
        facts.held = x if facts.frames == 0 else None
        facts.frames += len(x)
        digest.update(np.ascontiguousarray(x).data)
        y = _channels(x, s)
        low, high = float(y.min()), float(y.max())
        facts.low, facts.high = float(np.minimum(facts.low, low)), float(np.maximum(facts.high, high))  # keep NaN
        facts.block_peaks.append(float(np.maximum(-low, high)))
        facts.clipped = max(facts.clipped, _longest_run(x, full))
        if not math.isfinite(facts.block_peaks[-1]) or not np.isfinite(x).all():
            facts.high = math.nan
    facts.digest = digest.digest()
    return facts


def _longest_run(x: np.ndarray, full: float) -> int:
    """Longest run of equal samples at full scale in a channel of `[N, C]`; beyond it (float, MP3) nothing clips."""
    size = np.abs(x)
    if np.count_nonzero(size >= full) < CLIP_RUN:
        return 0
    flat = (size[1:] >= full) & (size[1:] <= 1.000001) & (x[1:] == x[:-1])
    edges = np.diff(np.pad(flat, ((1, 1), (0, 0))).astype(np.int8), axis=0).T
    return 1 + int(np.max(np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1], initial=0))


def _onset(f: sf.SoundFile, facts: _Facts, rate: int, s: Settings) -> int:
    level = ONSET * facts.peak
    block = next(i for i, peak in enumerate(facts.block_peaks) if peak > level)
    if facts.held is not None:
        x = facts.held
    else:
        f.seek(block * BLOCK)
        x = f.read(BLOCK, dtype="float32", always_2d=True)
    inside = int(np.argmax(np.abs(_channels(x, s)).max(axis=1) > level))
    return max(0, block * BLOCK + inside - round(s.lead * rate))


def _channels(x: np.ndarray, s: Settings) -> np.ndarray:
    """`[N, c]` -> `[N, C]`."""
    have, want = x.shape[1], s.channels
    if have == want:
        return x
    if have < want:
        return x[:, np.arange(want) % have]
    if s.channel_mode == "keep":
        return x[:, :want]
    return np.stack([x[:, i::want].mean(axis=1) for i in range(want)], axis=1)


def _resample(x: np.ndarray, rate: int, s: Settings) -> np.ndarray:
    return x if rate == s.sample_rate or not len(x) else soxr.resample(x, rate, s.sample_rate, quality="HQ")


def finish(x: np.ndarray, s: Settings) -> np.ndarray:
    """`[N, C]` at the final rate -> one clip `[C, T]`: cropped or padded, and scaled as the settings say."""
    clip = np.zeros((s.channels, s.length), np.float32)
    n = min(len(x), s.length)
    clip[:, :n] = x[:n].T
    peak = float(np.abs(clip).max())
    if s.normalize == "peak" and peak > 0:
        clip *= np.float32(PEAK) / np.float32(peak)
    return clip


def _windows(n: int, length: int) -> int:
    return n // length + (2 * (n % length) >= length)


def _blocks(path: Path, start: int) -> Iterator[np.ndarray]:
    with sf.SoundFile(os.fsencode(path)) as f:
        f.seek(start)
        while len(x := f.read(BLOCK, dtype="float32", always_2d=True)):
            yield x


def _slices(
    blocks: Iterator[np.ndarray], rate: int, channels: int, s: Settings, floor: float, windows: int
) -> Iterator[np.ndarray]:
    """Consecutive clips of a stream of blocks, resampled as it goes; quiet ones are left out."""
    stream = soxr.ResampleStream(rate, s.sample_rate, s.channels, dtype="float32", quality="HQ")
    rest, made, block = np.zeros((0, s.channels), np.float32), 0, next(blocks, None)
    while block is not None and made < windows:
        following = next(blocks, None)
        x = np.ascontiguousarray(_channels(block, s), np.float32)
        if rate != s.sample_rate:
            x = stream.resample_chunk(x, last=following is None)
        rest, block = np.concatenate([rest, x.reshape(-1, s.channels)]), following
        while made < windows and (len(rest) >= s.length or (block is None and len(rest))):
            window, rest, made = rest[: s.length], rest[s.length :], made + 1
            if np.abs(window).max() >= max(floor, SILENCE):
                yield finish(window, s)
