"""Noisy speech: clean recordings with reverberation, noise and clipping."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Annotated, Any, cast

import numpy as np
import torch
from torch import Tensor

from audiogan.data.degrade.base import Degradation, Range, Rng, column_sample_rate
from audiogan.data.degrade.sounds import SILENT_POWER, coloured_noise, random_excerpt
from audiogan.data.table import Table

NOISES = ("white", "pink", "brown", "hum", "babble")
"""Kinds of built-in noise. ``babble`` is the sum of several examples of the data."""
BABBLE_VOICES = (3, 8)
"""Smallest and largest number of voices of babble."""
DEFAULT_RATE = 16_000
"""Assumed sample rate of signals without a sample rate, in Hz."""


@dataclass(eq=False)
class NoisySpeech(Degradation):
    """Noisy speech for training speech enhancement: reverberation, then noise, then clipping.

    The direct sound keeps its level and its position, so the clean sound is the target. Each degradation except noise
    has a probability with which it is applied to an example. For a silent sound, the level of the noise is computed as
    if the mean square of the sound were -50 dB relative to 1.

    Args:
        snr: signal-to-noise ratio in dB, -30 to 100.
        noises: folder of recorded noises, or a table of them. Default: built-in noises only.
        built_in: probability, 0 to 1, of built-in noise if there are recorded noises. The kinds are white, pink and
            brown noise, hum of about 50 to 60 Hz with harmonics, and babble, the sum of several examples of the data.
        second: probability, 0 to 1, that two noises of equal mean level are added together.
        clean: probability, 0 to 1, that the signal-to-noise ratio is 100 dB, at which noise is inaudible.
        rooms: folder of impulse responses of rooms, or a table of them. Default: no reverberation.
        reverb: probability of reverberation, 0 to 1.
        direct: level of the direct sound relative to the reverberation in dB, -30 to 60.
        clip: probability of clipping, 0 to 1.
        level: clipping level relative to the peak of the noisy sound, 0.001 to 1.
        sample_rate: sample rate in Hz. Default: the sample rate of the table.
        talkers: table with the voices of babble. Default: the table itself.

    Examples:
        >>> import numpy as np, torch
        >>> from audiogan.data.degrade import NoisySpeech
        >>> NoisySpeech(snr=10.0)(torch.rand(1, 8000) - 0.5, np.random.default_rng(0)).shape
        torch.Size([1, 8000])
    """

    dims = 2
    snr: Annotated[Range, -30, 100] = (-5.0, 20.0)
    noises: Any = None
    built_in: Annotated[Range, 0, 1] = 0.3
    second: Annotated[Range, 0, 1] = 0.2
    clean: Annotated[Range, 0, 1] = 0.05
    rooms: Any = None
    reverb: Annotated[Range, 0, 1] = 0.2
    direct: Annotated[Range, -30, 60] = (6.0, 20.0)
    clip: Annotated[Range, 0, 1] = 0.05
    level: Annotated[Range, 1e-3, 1] = (0.3, 0.8)
    sample_rate: int | None = None
    talkers: Any = None

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        y = x
        if self.rooms is not None and rng.random() < self._draw_probability(self.reverb, rng):
            y = self._reverberate(x, rng)
        snr = 100.0 if rng.random() < self._draw_probability(self.clean, rng) else rng.uniform(*self.snr)
        noise = self._noise(x, rng)
        if rng.random() < self._draw_probability(self.second, rng):
            noise = noise + self._noise(x, rng)
        signal, power = float(y.double().square().mean()), float(noise.double().square().mean())
        signal = signal if signal >= SILENT_POWER else 1e-5
        if power >= SILENT_POWER:
            y = y + noise * (signal / power / 10 ** (snr / 10)) ** 0.5
        if rng.random() < self._draw_probability(self.clip, rng):
            most = float(y.abs().max()) * rng.uniform(*self.level)
            y = y.clamp(-most, most)
        return y

    def bind(self, table: Table) -> Degradation:
        rate = self.sample_rate or column_sample_rate(table, self.input) or DEFAULT_RATE
        noises, rooms = (self._open(name, rate) for name in ("noises", "rooms"))
        talkers = table if self.talkers is None else self.talkers
        return replace(self, sample_rate=rate, talkers=talkers, noises=noises, rooms=rooms)

    def _open(self, name: str, rate: int) -> Table | None:
        from audiogan.data.sounds.folder import open_audio_folder

        found = getattr(self, name)
        if isinstance(found, str | os.PathLike):
            options: dict[str, Any] = {"sample_rate": rate, "labels": "none", "normalize": "none", "progress": False}
            if name == "noises":
                return open_audio_folder(found, length=rate, long="slice", **options)
            return open_audio_folder(found, length=rate, trim=True, lead=0.0, **options)
        theirs = None if found is None else column_sample_rate(found, "x")
        if theirs not in (None, rate):
            raise self.error(f"{name}: the sounds have {theirs} Hz, the data {rate} Hz; use equal sample rates")
        return cast("Table | None", found)

    @staticmethod
    def _draw_probability(pair: Any, rng: Rng) -> float:
        return pair[0] if pair[0] == pair[1] else rng.uniform(*pair)

    def _reverberate(self, x: Tensor, rng: Rng) -> Tensor:
        """Return the sound ``[C, T]`` with the reverberation of a random room. The direct sound keeps its level and
        position."""
        rate = self.sample_rate or DEFAULT_RATE
        room = self.rooms.signals(np.array([int(rng.integers(len(self.rooms)))]))[0].mean(0)
        peak = int(room.abs().argmax())
        room = room[peak:].double()
        tail = room.clone()
        tail[: round(0.0025 * rate)] = 0  # The direct sound lasts 2.5 ms.
        power = float(tail.square().sum())
        if power < SILENT_POWER:
            return x
        tail *= (10 ** (-rng.uniform(*self.direct) / 10) / power) ** 0.5
        n = x.shape[1] + len(tail) - 1
        late = torch.fft.irfft(torch.fft.rfft(x.double(), n) * torch.fft.rfft(tail, n), n)[:, : x.shape[1]]
        return x + late.to(x.dtype)

    def _noise(self, x: Tensor, rng: Rng) -> Tensor:
        """Return noise ``[C, T]`` with a mean square of 1, or silence."""
        channels, length = x.shape
        if self.noises is not None and rng.random() >= self._draw_probability(self.built_in, rng):
            noise = random_excerpt(self.noises, channels, length, rng)
            noise = self._filter_randomly(noise, rng)
        else:
            kind = NOISES[int(rng.integers(len(NOISES) if self.talkers is not None else len(NOISES) - 1))]
            if kind == "babble":
                count = int(rng.integers(BABBLE_VOICES[0], BABBLE_VOICES[1] + 1))
                noise = sum(
                    (self._normalise_level(random_excerpt(self.talkers, channels, length, rng)) for _ in range(count)),
                    torch.zeros(channels, length),
                )
            elif kind == "hum":
                noise = self._hum(channels, length, rng)
            else:
                noise = self._filter_randomly(coloured_noise(kind, channels, length, rng), rng)
        return self._normalise_level(noise)

    @staticmethod
    def _normalise_level(noise: Tensor) -> Tensor:
        power = float(noise.double().square().mean())
        return noise / power**0.5 if power >= SILENT_POWER else torch.zeros_like(noise)

    def _hum(self, channels: int, length: int, rng: Rng) -> Tensor:
        rate = self.sample_rate or DEFAULT_RATE
        base, count = rng.uniform(49, 61), int(rng.integers(3, 20))
        order = np.arange(1, count + 1)
        amplitudes = rng.uniform(0, 1, count) / order ** rng.uniform(0.3, 1.5)
        time = 2 * np.pi * base * np.arange(length) / rate
        waves = (
            a * np.sin(k * time + p)
            for a, k, p in zip(amplitudes, order, rng.uniform(0, 2 * np.pi, count), strict=True)
            if k * base < rate / 2
        )
        hum = torch.from_numpy(sum(waves, np.zeros(length)).astype(np.float32)).expand(channels, -1)
        return hum + 0.05 * coloured_noise("pink", channels, length, rng)

    @staticmethod
    def _filter_randomly(noise: Tensor, rng: Rng) -> Tensor:
        """Return noise after a filter with a random smooth frequency response, so that few recordings give many
        noises."""
        n = noise.shape[1]
        points = rng.normal(0, 4, 5)  # gains in dB at 5 equally spaced frequencies
        gains = 10 ** (np.interp(np.linspace(0, 4, n // 2 + 1), np.arange(5), points) / 20)
        return torch.fft.irfft(torch.fft.rfft(noise) * torch.from_numpy(gains.astype(np.float32)), n)
