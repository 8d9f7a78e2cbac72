"""Full-reference metrics of sounds ``[N, C, T]``: log-spectral distance and multi-resolution STFT distance.

`audiogan.modalities.references` has the metrics that sounds and images share, and
`audiogan.modalities.speech_references` has those of speech.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.modalities.references import LARGEST_RATIO_DB, SILENCE, check_pairs

N_FFT, HOP_LENGTH = 2048, 512
"""Window length and hop of `lsd` in samples, for all sample rates."""
SMALLEST_POWER = 1e-8
"""Smallest power in `lsd`; smaller powers are raised to it. A sine of full scale has a power of about 262,144."""
RESOLUTIONS = (512, 1024, 2048)
"""Window lengths of `stft_distance` in samples. Each hop is a quarter of its window."""
MAX_POWER_RATIO = 0.01
"""Above their cut-off frequency, sources have at most this fraction of the power of their targets (-20 dB)."""
EMPTY_POWER = 1e-4
"""Mean power of targets below which a frequency is ignored in `cutoff_frequency` (-94 dB relative to a sine of full
scale)."""
WINDOW_BINS = 3
"""Number of bins by which the spectrum of the window blurs the edge of a band."""
STEP_HZ = 250
"""Cut-off frequencies are rounded up to a multiple of this number of Hz."""
SMALLEST_BAND = 0.05
"""Smallest width of the band above a cut-off frequency, as a fraction of half the sample rate."""
BLOCK_SAMPLES = 1 << 20
"""Approximate number of samples processed at a time, to limit memory."""


def lsd(output: np.ndarray, target: np.ndarray, sample_rate: int, above: float = 0.0) -> float:
    """Return the log-spectral distance (LSD) between sounds ``[N, C, T]``, averaged over pairs, channels and frames.

    The distance of a frame is the root mean square over frequency of the difference of log10 power, as in AERO and
    NU-Wave: 1 corresponds to 10 dB. Windows are Hann windows of 2,048 samples, with a hop of 512 samples. Powers
    below 1e-8 are raised to 1e-8. Silent frames have the same weight as others.

    Args:
        output: sounds ``[N, C, T]``.
        target: sounds of the same shape.
        sample_rate: sample rate in Hz.
        above: lowest frequency to compare, in Hz.

    Source: Mandel, Tal & Adi, "AERO: audio super resolution in the spectral domain", ICASSP 2023, section 4.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.sound_references import lsd
        >>> sound = np.random.default_rng(0).normal(size=(1, 1, 4096))
        >>> lsd(sound, sound, 16000), round(lsd(sound, sound / 10, 16000), 2)  # 20 dB softer
        (0.0, 2.0)
    """
    check_pairs(output, target)
    total, first = 0.0, _first_bin(above, sample_rate)
    for x, y in _blocks(output, target):
        levels = [power.clamp_min(SMALLEST_POWER).log10() for power in (_power(x, first), _power(y, first))]
        total += float((levels[0] - levels[1]).square().mean(-1).sqrt().mean((1, 2)).double().sum())
    return total / len(output)


def stft_distance(output: np.ndarray, target: np.ndarray, sample_rate: int) -> float | None:
    """Return the multi-resolution STFT distance between sounds ``[N, C, T]``, averaged over pairs.

    `audiogan.losses.MultiResolutionSTFT` defines the distance. Its windows have 512, 1,024 and 2,048 samples. Pairs
    with a silent target are ignored.

    Returns:
        Mean over the pairs. None if all targets are silent.

    Source: Yamamoto, Song & Kim, "Parallel WaveGAN", ICASSP 2020, section 2.2.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.sound_references import stft_distance
        >>> sound = np.random.default_rng(0).normal(size=(1, 1, 4096))
        >>> stft_distance(sound, sound, 16000), stft_distance(0.5 * sound, sound, 16000) > 1
        (0.0, True)
    """
    from audiogan.losses.multi_resolution import MultiResolutionSTFT
    from audiogan.representations import SoundFormat

    check_pairs(output, target)
    loud = [i for i, wanted in enumerate(target) if np.square(wanted, dtype=np.float64).mean() > SILENCE**2]
    if not loud:
        return None
    length = max(output.shape[2], RESOLUTIONS[-1])
    distance = MultiResolutionSTFT(SoundFormat(length, output.shape[1], sample_rate), RESOLUTIONS)
    with torch.no_grad():
        values = [float(distance(_padded(output[i : i + 1]), _padded(target[i : i + 1]))) for i in loud]
    return float(np.mean(values))


def snr_below(output: np.ndarray, source: np.ndarray, sample_rate: int, cutoff: float) -> float | None:
    """Return the power of sources divided by the power of output minus source, below a frequency, in dB.

    It shows whether a model for bandwidth extension preserves the band that its sources have. Powers are summed over
    all STFT bins below ``cutoff`` and over all pairs. The ratio is limited to 100 dB.

    Args:
        output: sounds ``[N, C, T]``.
        source: sounds of the same shape.
        sample_rate: sample rate in Hz.
        cutoff: frequency in Hz.

    Returns:
        Ratio in dB. None if all sources are silent.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.sound_references import snr_below
        >>> sound = np.random.default_rng(0).normal(size=(1, 1, 4096))
        >>> round(snr_below(1.01 * sound, sound, 16000, 4000))
        40
    """
    check_pairs(output, source)
    last, signal, change = _first_bin(cutoff, sample_rate), 0.0, 0.0
    for x, y in _blocks(output, source):
        signal += float(_power(y)[..., :last].double().sum())
        change += float(_power(x - y)[..., :last].double().sum())
    limit = 10 ** (-LARGEST_RATIO_DB / 10)
    return 10 * math.log10(signal / max(change, limit * signal)) if signal else None


def cutoff_frequency(source: np.ndarray, target: np.ndarray, sample_rate: int) -> float | None:
    """Return the frequency above which sources lack the content of their targets, for bandwidth extension.

    Above the cut-off frequency, the mean power spectrum of the sources is at least 20 dB below that of the targets.

    Args:
        source: sounds ``[N, C, T]``.
        target: sounds of the same shape.
        sample_rate: sample rate in Hz.

    Returns:
        Frequency in Hz, a multiple of 250 Hz. None if the sources have the bandwidth of the targets.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.sound_references import cutoff_frequency
        >>> sound = np.random.default_rng(0).normal(size=(4, 1, 8192))
        >>> spectrum = np.fft.rfft(sound)
        >>> spectrum[..., 2048:] = 0  # nothing above 4 kHz
        >>> cutoff_frequency(np.fft.irfft(spectrum), sound, 16000)
        4000.0
    """
    check_pairs(source, target)
    sums = [torch.zeros(N_FFT // 2 + 1, dtype=torch.float64) for _ in range(2)]
    for block in _blocks(source, target):
        for total, x in zip(sums, block, strict=True):
            total += _power(x).double().mean((1, 2)).sum(0)
    empty = sums[1] < len(source) * EMPTY_POWER
    gap = (sums[0] <= MAX_POWER_RATIO * sums[1]) & ~empty
    # Bins that have a gap, and above which all bins have a gap or are empty.
    missing = (gap | empty).flip(0).int().cumprod(0).flip(0).bool() & gap
    if int(missing.sum()) < SMALLEST_BAND * len(gap):
        return None
    return float(STEP_HZ * math.ceil((int(missing.int().argmax()) - WINDOW_BINS) * sample_rate / N_FFT / STEP_HZ))


def _first_bin(above: float, sample_rate: int) -> int:
    if not 0 <= above < sample_rate / 2:
        raise ValueError(f"above={above} must be from 0 to below half the sample rate, {sample_rate / 2:g} Hz")
    return round(above * N_FFT / sample_rate)


def _blocks(x: np.ndarray, y: np.ndarray) -> list[tuple[Tensor, Tensor]] | zip[tuple[Tensor, Tensor]]:
    step = max(1, BLOCK_SAMPLES // int(np.prod(x.shape[1:])))
    starts = range(0, len(x), step)
    return zip((_padded(x[i : i + step]) for i in starts), (_padded(y[i : i + step]) for i in starts), strict=True)


def _padded(x: NDArray[np.floating]) -> Tensor:
    sound = torch.from_numpy(np.ascontiguousarray(x, np.float32))
    return torch.nn.functional.pad(sound, (0, max(0, N_FFT - sound.shape[-1])))


@torch.no_grad()
def _power(x: Tensor, first: int = 0) -> Tensor:
    """Return power spectrograms ``[B, C, frames, bins]`` of sounds ``[B, C, T]``, starting with the bin ``first``."""
    from audiogan.representations.stft import Frames

    frames = Frames(x.shape[-1], N_FFT, HOP_LENGTH, pad=N_FFT // 2)
    return torch.view_as_real(frames.analyse(x)[..., first:]).square().sum(-1)
