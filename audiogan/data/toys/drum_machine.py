"""`drum_machine`: synthetic drum sounds in 11 classes, so that training works without files or downloads."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audiogan.data.columns import Labels, Rendered, Signals
from audiogan.data.table import Table
from audiogan.data.toys.synth import (
    MAX_HZ,
    MEMBRANE,
    Array,
    RandomValues,
    Synth,
    bandpass,
    cymbal_partials,
    plate_modes,
    saturate,
    square_harmonics,
)
from audiogan.errors import UserError
from audiogan.modalities.sound import Sound
from audiogan.utils.names import describe_unknown_name, match_name

PEAK = 0.95


# Each voice (one per class) is a function of random parameters and a synthesiser. It returns a sound [T].


def _kick(d: RandomValues, s: Synth) -> Array:
    f = d.loguniform(38, 75)
    if d.chance(0.5):  # Electronic kick: a deep pitch sweep and a long tail.
        body = s.chirps(f, d.loguniform(2, 7), d.loguniform(0.006, 0.03), d.loguniform(0.3, 1.5), phase=d.uniform(0, 1))
    else:  # Acoustic kick: a small pitch sweep and overtones.
        t60, amps = d.loguniform(0.25, 0.9), np.append(1.0, d.loguniform(0.05, 0.5, 3))
        ratios = MEMBRANE[:4]
        body = s.chirps(
            f * ratios, d.loguniform(1.1, 2.2), d.loguniform(0.01, 0.05), t60 / ratios**1.5, amps, d.uniform(0, 1)
        )
    click = s.noise(d.loguniform(600, 2500), d.loguniform(3000, 12000), d.loguniform(0.008, 0.05))
    knock = s.partials(d.loguniform(300, 3500), 1, d.loguniform(0.01, 0.04))
    return saturate(body, d.loguniform(0.3, 4.0)) + d.loguniform(0.02, 0.5) * click + d.loguniform(0.02, 0.3) * knock


def _snare(d: RandomValues, s: Synth) -> Array:
    ratios = MEMBRANE[:5] * d.loguniform(0.96, 1.04, 5)
    t60, amps, bend = d.loguniform(0.15, 0.9) / ratios, d.loguniform(0.2, 1.0, 5) / ratios, d.loguniform(1.02, 1.5)
    head = s.chirps(d.loguniform(140, 330) * ratios, bend, d.loguniform(0.008, 0.04), t60, amps, d.uniform(0, 1.5))
    low, high, long = d.loguniform(500, 3000), d.loguniform(4000, 16000), d.loguniform(0.2, 1.0)
    wires = s.noise(low, 3000, long, attack=d.loguniform(0.001, 0.006), steep=False)
    wires += d.loguniform(0.2, 1.0) * s.noise(low, high, long * d.uniform(0.3, 0.8), steep=False)
    wires += d.uniform(0, 1.5) * s.noise(low, high, d.loguniform(0.02, 0.08), steep=False)
    crack = s.noise(d.loguniform(900, 3000), d.loguniform(4000, 18000), d.loguniform(0.006, 0.025))
    wave = saturate(head, d.loguniform(0.2, 2.5)) + d.loguniform(0.03, 0.4) * wires + d.loguniform(0.05, 0.4) * crack
    if d.chance(0.25):  # Rim shot: add the ringing of the hoop.
        ring = d.loguniform(500, 1500) * np.array([1, 1.51, 2.24, 3.1])
        wave += d.uniform(0.2, 0.7) * s.partials(ring, d.uniform(0.2, 1, 4), d.loguniform(0.05, 0.25, 4))
    return wave


def _hat(d: RandomValues, s: Synth, t60: float) -> Array:
    acoustic = d.chance(0.65)
    low, tilt = d.loguniform(500, 4000) if acoustic else d.loguniform(3000, 7500), d.uniform(-2, 3)
    f, amp, phase = cymbal_partials(d, low, MAX_HZ, tilt)
    each = t60 * (f / 6000) ** d.uniform(-0.5, 0.3) * d.loguniform(0.6, 1.4, len(f))
    wave = s.partials(f, amp, each, phase)
    wave += d.loguniform(0.3, 2.5) * s.noise(low, MAX_HZ, t60 * d.uniform(0.5, 1), tilt=tilt)
    wave += d.loguniform(0.1, 1.0) * s.noise(d.loguniform(800, 4000), MAX_HZ, d.loguniform(0.005, 0.02))
    if acoustic:  # The two cymbals collide with a dull thud.
        wave += d.loguniform(0.1, 1.0) * s.partials(
            d.loguniform(220, 650, 4), d.loguniform(0.2, 1, 4), d.loguniform(0.05, 0.3), d.uniform(0, 6.28, 4)
        )
    return wave


def _hat_closed(d: RandomValues, s: Synth) -> Array:
    return _hat(d, s, d.loguniform(0.08, 0.6))


def _hat_open(d: RandomValues, s: Synth) -> Array:
    wave = _hat(d, s, d.loguniform(1.0, 2.5))
    if d.chance(0.3):  # The pedal closes the hi-hat.
        wave *= 1 / (1 + np.exp((s.t - d.uniform(0.25, 0.6)) / 0.012))
    return wave


def _crash(d: RandomValues, s: Synth) -> Array:
    low, tilt, t60 = d.loguniform(200, 1200), d.uniform(-3, 2), d.loguniform(2.0, 4.5)
    f, amp, phase = cymbal_partials(d, low, MAX_HZ, tilt)
    each = t60 * (f / 2000) ** d.uniform(-0.5, -0.1) * d.loguniform(0.7, 1.4, len(f))
    metal = s.partials(f, amp, each, phase, attack=d.loguniform(0.001, 0.02))
    wash = s.noise(low * 2, MAX_HZ, t60 * d.uniform(0.5, 0.9), attack=d.loguniform(0.002, 0.02), steep=False, tilt=tilt)
    burst = s.noise(d.loguniform(1500, 5000), MAX_HZ, d.loguniform(0.05, 0.25))
    return metal + d.loguniform(0.3, 1.5) * wash + d.loguniform(0.1, 1.2) * burst


def _ride(d: RandomValues, s: Synth) -> Array:
    t60 = d.loguniform(1.6, 3.6)
    f, amp, phase = cymbal_partials(d, d.loguniform(200, 1200), MAX_HZ, d.uniform(-4, 0.5))
    each = t60 * (f / 2000) ** d.uniform(-0.4, 0.0) * d.loguniform(0.6, 1.5, len(f))
    wash = s.partials(f, amp, each, phase)
    count = int(d.rng.integers(4, 9))  # Number of prominent modes, which form the ping of the cymbal.
    ping = (
        d.loguniform(350, 900) * np.sort(d.loguniform(1, 9, count))
        if d.chance(0.6)
        else d.loguniform(450, 800) * np.arange(1, count + 1)
    )
    ring = s.partials(
        ping, d.loguniform(0.2, 1.0, count), t60 * d.loguniform(0.4, 1.2, count), d.uniform(0, 6.28, count)
    )
    stick = s.noise(d.loguniform(2000, 5000), MAX_HZ, d.loguniform(0.008, 0.04))
    return d.loguniform(0.25, 1.4) * wash + d.uniform(0.4, 1.0) * ring + d.loguniform(0.3, 1.5) * stick


def _drum(d: RandomValues, s: Synth, f: float, t60: float, bend: float) -> Array:
    """Return the sound of a tuned membrane: modes with a common pitch sweep, and the noise of the stroke."""
    ratios = MEMBRANE[:6] ** d.uniform(0.85, 1.0)  # Air loading moves the mode frequencies closer together.
    amps = np.append(1.0, d.loguniform(0.04, 0.6, 5) / ratios[1:])
    tone = s.chirps(f * ratios, bend, d.loguniform(0.015, 0.08), t60 / ratios**1.3, amps, d.uniform(0, 1))
    slap = s.noise(f * d.loguniform(1.2, 4), d.loguniform(2500, 14000), d.loguniform(0.01, 0.1), steep=False)
    return saturate(tone, d.loguniform(0.2, 2.0)) + d.loguniform(0.05, 0.8) * slap


def _tom(d: RandomValues, s: Synth) -> Array:
    if d.chance(0.3):  # Electronic tom: a pitch-swept sine and soft noise.
        tone = s.chirps(d.loguniform(75, 260), d.loguniform(1.3, 3.0), d.loguniform(0.02, 0.12), d.loguniform(0.3, 1.2))
        breath = s.noise(200, d.loguniform(1000, 5000), d.loguniform(0.05, 0.3))
        return saturate(tone, d.loguniform(0.2, 3)) + d.loguniform(0.01, 0.2) * breath
    # The buzz is the resonance of the rest of the drum kit.
    buzz = s.noise(d.loguniform(250, 900), d.loguniform(1500, 9000), d.loguniform(0.2, 0.9), attack=0.004, steep=False)
    return (
        _drum(d, s, d.loguniform(75, 240), d.loguniform(0.6, 2.2), d.loguniform(1.02, 1.4))
        + d.loguniform(0.005, 0.1) * buzz
    )


def _clap(d: RandomValues, s: Synth) -> Array:
    centre, width = d.loguniform(800, 2200), d.loguniform(1.2, 2.2)
    if d.chance(0.6):  # One person claps several times.
        gaps = d.loguniform(0.006, 0.014) * d.uniform(0.8, 1.2, int(d.rng.integers(2, 4)))
        starts = np.concatenate([[0.0], np.cumsum(gaps)])
    else:  # Several people clap almost in unison.
        starts = np.concatenate(
            [[0.0], np.sort(d.uniform(0.001, d.loguniform(0.006, 0.04), int(d.rng.integers(1, 9))))]
        )
    burst = d.loguniform(0.012, 0.06)
    wave = np.zeros(s.length)
    for start, gain in zip(starts, d.uniform(0.5, 1.0, len(starts)), strict=True):
        c = centre * d.loguniform(0.85, 1.2)
        wave += gain * s.noise(c / width, c * width, burst, attack=0.0005, start=start, tilt=-2.0)
    edges = centre / width, centre * width * 1.5
    tail = s.noise(*edges, d.loguniform(0.15, 0.9), attack=0.002, start=starts[-1], steep=False, tilt=-2.0)
    return wave + d.loguniform(0.15, 0.8) * tail


def _rim(d: RandomValues, s: Synth) -> Array:
    click = s.noise(d.loguniform(600, 4000), MAX_HZ, d.loguniform(0.004, 0.06), steep=False)
    if d.chance(0.4):  # Electronic rim: two resonant filters.
        f, amp = d.loguniform(380, 650) * np.array([1, d.loguniform(2.5, 4.2)]), np.array([d.uniform(0.3, 1), 1])
        t60 = d.loguniform(0.04, 0.15) * np.ones(2)
    else:  # Acoustic rim: modes of the shell and the hoop.
        f = d.loguniform(280, 650) * np.array([1, 1.62, 2.77, 4.3, 6.1, 8.4]) * d.loguniform(0.88, 1.14, 6)
        amp, t60 = d.loguniform(0.2, 1, 6) / np.arange(1, 7) ** 0.5, d.loguniform(0.1, 0.5) / np.sqrt(np.arange(1, 7))
    return s.partials(f, amp, t60, d.uniform(0, 1.5)) + d.loguniform(0.1, 1.2) * click


def _cowbell(d: RandomValues, s: Synth) -> Array:
    base, ratio = d.loguniform(420, 900), d.uniform(1.42, 1.58)
    if d.chance(0.5):
        f, amp = square_harmonics(base * np.array([1, ratio]))
        amp = amp * bandpass(f, base * ratio, base * ratio * d.loguniform(1.3, 5), False)
    else:  # Acoustic cowbell: modes of sheet metal.
        f = base * np.array([1, ratio, 2.6, 3.4, 4.2, 5.3, 6.1, 7.4]) * d.loguniform(0.98, 1.02, 8)
        amp = d.loguniform(0.3, 1, 8) / (f / base) ** d.uniform(0.2, 1.0)
    long, short = d.loguniform(0.18, 0.9), d.loguniform(0.02, 0.06)
    each = long * (f / base) ** -d.uniform(0.0, 0.6)
    stick = s.noise(1500, 9000, 0.008)
    return s.partials(f, amp, each) + d.uniform(0.2, 1) * s.partials(f, amp, short) + d.loguniform(0.02, 0.2) * stick


def _conga(d: RandomValues, s: Synth) -> Array:
    return _drum(d, s, d.loguniform(170, 480), d.loguniform(0.15, 0.9), d.loguniform(1.0, 1.12))


def _wood(d: RandomValues, s: Synth) -> Array:
    """Return the sound of a wood block or of claves: one to four short modes of a bar or cavity."""
    f, count = d.loguniform(550, 2600), int(d.rng.integers(1, 5))
    ratios = np.array([1, 2.76, 1.47, 4.1])[:count] * d.loguniform(0.95, 1.05, count)
    tone = s.partials(f * ratios, np.append(1, d.loguniform(0.1, 0.7, 3))[:count], d.loguniform(0.05, 0.3) / ratios)
    return tone + d.loguniform(0.02, 0.4) * s.noise(f, f * 4, 0.01)


def _tambourine(d: RandomValues, s: Synth) -> Array:
    f, amp = plate_modes(d, 3500, 120)
    amp = amp * bandpass(f, d.loguniform(4000, 7000), d.loguniform(10000, 18000))
    strokes = np.concatenate([[0.0], np.sort(d.uniform(0.004, 0.09, int(d.rng.integers(1, 5))))])
    t60 = d.loguniform(0.1, 0.5)
    jingles = s.partials(
        f, amp / np.sqrt(np.sum(amp**2) / 2), t60 * d.loguniform(0.6, 1.5, len(f)), d.uniform(0, 6.28, len(f))
    )
    wave = np.zeros(s.length)
    for start, gain in zip(strokes, np.append(1, d.uniform(0.2, 0.8, len(strokes) - 1)), strict=True):
        lag = min(round(start * s.sample_rate), s.length)
        wave[lag:] += gain * jingles[: s.length - lag]
        wave += gain * s.noise(4500, 15000, t60 / 2, attack=0.001, start=start)
    return wave


def _shaker(d: RandomValues, s: Synth) -> Array:
    centre = d.loguniform(3500, 7500)
    return s.noise(
        centre / 1.4, centre * d.loguniform(1.5, 3), d.loguniform(0.06, 0.3), attack=d.loguniform(0.004, 0.05)
    )


def _triangle(d: RandomValues, s: Synth) -> Array:
    f = d.loguniform(900, 2200) * np.array([1, 1.73, 2.41, 3.2, 4.37, 5.61, 7.02]) * d.loguniform(0.93, 1.07, 7)
    ring = s.partials(
        f, d.loguniform(0.2, 1, 7), d.loguniform(0.4, 2.0) * d.loguniform(0.5, 1.2, 7), d.uniform(0, 6.28, 7)
    )
    return ring + d.loguniform(0.05, 0.4) * s.noise(4000, MAX_HZ, 0.01)


def _perc(d: RandomValues, s: Synth) -> Array:
    kinds = (_conga, _conga, _wood, _wood, _tambourine, _shaker, _triangle)
    return kinds[int(d.rng.integers(len(kinds)))](d, s)


_VOICES: dict[str, Callable[[RandomValues, Synth], Array]] = {
    "clap": _clap,
    "cowbell": _cowbell,
    "crash": _crash,
    "hat_closed": _hat_closed,
    "hat_open": _hat_open,
    "kick": _kick,
    "perc": _perc,
    "ride": _ride,
    "rim": _rim,
    "snare": _snare,
    "tom": _tom,
}
CLASSES: tuple[str, ...] = tuple(_VOICES)


@functools.lru_cache(maxsize=4)
def _highpass(n: int, sample_rate: int) -> NDArray[np.float32]:
    """Return the gain of a 25 Hz high-pass filter for each bin of a real FFT of ``n`` samples."""
    return bandpass(np.arange(n // 2 + 1) * (sample_rate / n), 25.0, 1e9).astype(np.float32)


def _produce(label: str, sample_rate: int, length: int, channels: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return one sound ``[C, T]``: a centred voice, room reverberation that differs per channel, and a fade-out."""
    seeds = rng.integers(0, 2**63, size=2)
    d, s = RandomValues(int(seeds[0])), Synth(sample_rate, length, int(seeds[1]))
    amount, rt60, delay, ramp = (
        d.loguniform(0.02, 0.3),
        d.loguniform(0.06, 0.45),
        d.uniform(0.001, 0.008),
        d.loguniform(0.0003, 0.001),
    )
    dark = d.loguniform(3000, 9000)
    dry = _VOICES[label](d, s)
    n = scipy.fft.next_fast_len(2 * length, real=True)
    spectrum = scipy.fft.rfft(dry.astype(np.float32), n) * _highpass(n, sample_rate)
    walls = [s.noise(250.0, dark, rt60, attack=0.002, start=delay, steep=False) for _ in range(channels)]
    tails = np.stack(walls).astype(np.float32)
    tails *= np.float32(amount) / np.sqrt(np.sum(tails**2, axis=1, keepdims=True) + 1e-12)
    wave = scipy.fft.irfft(spectrum + spectrum * scipy.fft.rfft(tails, n), n)[:, :length]
    wave *= np.sin(np.pi / 2 * np.minimum(s.t / ramp, 1.0)) ** 2
    wave *= np.sin(np.pi / 2 * np.minimum((length - 1 - np.arange(length)) / (0.12 * length), 1.0)) ** 2
    return (PEAK / np.abs(wave).max() * wave).astype(np.float32)


def _check(sample_rate: int, length: int, channels: int) -> None:
    if not 4000 <= sample_rate <= 384_000:
        raise UserError(f"drum machine: sample_rate must be between 4000 and 384000 Hz, not {sample_rate}")
    if length < 256:
        raise UserError(f"drum machine: length must be at least 256 samples, not {length}")
    if channels < 1:
        raise UserError(f"drum machine: channels must be at least 1, not {channels}")


def render(
    label: str, *, sample_rate: int = 16000, length: int = 16384, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a random drum sound, float32 ``[length]``, with a peak of 0.95.

    Args:
        label: class of the sound, one of `CLASSES`.
        sample_rate: sample rate in Hz, 4,000 to 384,000.
        length: length in samples, at least 256.
        rng: random generator. Equal states give equal sounds.

    Raises:
        UserError: the class is unknown, or a setting is out of range.
    """
    name = match_name(label, CLASSES)
    if name is None:
        raise UserError(f"the drum machine has no class {describe_unknown_name(label, CLASSES)}")
    _check(sample_rate, length, 1)
    return _produce(name, sample_rate, length, 1, rng)[0]


def drum_machine(
    count: int = 2000,
    *,
    sample_rate: int = 16000,
    length: int = 16384,
    channels: int = 1,
    seed: int = 0,
    memory: int = 512 << 20,
    normalize: str = "peak",
) -> Table:
    """Return a table of synthetic drum sounds with equally frequent classes.

    Each sound depends only on ``seed``, on its row and on the settings. In sounds with two or more channels, the stroke
    is centred and the reverberation differs per channel.

    Args:
        count: number of sounds, 1 or more.
        sample_rate: sample rate in Hz, 4,000 to 384,000.
        length: length of a sound in samples, at least 256.
        channels: number of channels, 1 or more.
        seed: seed of the sounds, 0 or more.
        memory: size of the cache of rendered sounds in bytes. Other sounds are rendered again at each access.
        normalize: level normalisation of generated sounds, see `audiogan.modalities.Sound`.

    Raises:
        UserError: a setting is out of range.
    """
    if count < 1:
        raise UserError(f"drum machine: count must be at least 1, not {count}")
    if seed < 0:
        raise UserError(f"drum machine: seed must not be negative, not {seed}")
    _check(sample_rate, length, channels)
    classes = np.arange(count) % len(CLASSES)

    def make(row: int) -> NDArray[np.float32]:
        rng = np.random.default_rng((seed, row))
        return _produce(CLASSES[row % len(CLASSES)], sample_rate, length, channels, rng)

    sounds = Rendered(make, count, (channels, length), np.float32, memory)

    def source(table: Table) -> str:
        used = len(np.unique(table.rows % len(CLASSES)))
        return f"built-in drum machine: {len(table):,} sounds, {used} classes, seed {seed}"

    columns = {"x": Signals(sounds, Sound(sample_rate, normalize)), "label": Labels(classes, CLASSES)}
    return Table(columns, count, source=source, strata=classes)
