"""Full-reference metrics of speech: PESQ, ESTOI, mel-cepstral distortion, pitch, and word and character error rates.

The metrics need the packages of ``pip install 'audiogan[speech]'``. Sounds are arrays ``[N, C, T]``, whose channels are
averaged. A metric ignores pairs of sounds for which it is undefined, such as pairs without speech. A metric is None if
it is undefined for all pairs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogan.modalities.references import SILENCE, check_pairs
from audiogan.utils.speech_scores import estoi_of_pair, import_speech_package, pesq_of_pair

Wave = NDArray[np.float64]

FRAME_MS = 5.0
"""Hop of the analysis of pitch and spectral envelopes, in milliseconds."""
PITCH_RANGE = (71.0, 800.0)
"""Lowest and highest pitch that is detected, in Hz."""
COEFFICIENTS, MEL_POINTS = 24, 128
"""Number of mel-cepstral coefficients, and number of points of the mel axis from which they are computed."""
MAX_RANGE_DB = 60.0
"""Frames of the target that are quieter than its loudest frame by more than this number of dB are left out of
`mcd24`."""
FEWEST_FRAMES = 20
"""Smallest number of frames that are voiced in output and target for which their pitches are correlated."""


def speech_metrics(output: np.ndarray, target: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Return all metrics of speech sounds ``[N, C, T]`` that are defined and whose packages are installed.

    * ``pesq_wb_ludlows``: see `pesq_wideband`. It is missing if the package ``pesq`` is not installed, because ``pesq``
      has to be compiled.
    * ``estoi``: see `estoi`.
    * ``mcd24_world``: see `mcd24`, in dB.
    * ``f0_rmse_cents``, ``f0_correlation``, ``voicing_error``: see `compare_pitch`.

    Raises:
        UserError: ``pystoi`` or ``pyworld`` is not installed.
    """
    found: dict[str, float | None] = {}
    if importlib.util.find_spec("pesq") is not None:
        found["pesq_wb_ludlows"] = pesq_wideband(output, target, sample_rate)
    found["estoi"] = estoi(output, target, sample_rate)
    found["mcd24_world"] = mcd24(output, target, sample_rate)
    found |= compare_pitch(output, target, sample_rate)
    return {name: value for name, value in found.items() if value is not None}


def pesq_wideband(output: np.ndarray, target: np.ndarray, sample_rate: int) -> float | None:
    """Return the wide-band PESQ of sounds ``[N, C, T]`` on the scale MOS-LQO, 1.0 (bad) to 4.64 (identical).

    The package ``pesq`` (author: ludlows) computes it. Other programs return raw scores or narrow-band scores, which
    are not comparable. Sounds are resampled to 16 kHz. Pairs in which PESQ finds no speech are ignored.

    Source: ITU-T Recommendation P.862.2, 2007.

    Raises:
        UserError: the package ``pesq`` is not installed.
    """
    import_speech_package("pesq")
    return _mean(lambda x, y: pesq_of_pair(x, y, sample_rate), output, target)


def estoi(output: np.ndarray, target: np.ndarray, sample_rate: int) -> float | None:
    """Return the extended short-time objective intelligibility (ESTOI) of sounds ``[N, C, T]``, up to 1 (identical).

    The package ``pystoi`` computes it at 10 kHz. Pairs with less than 0.4 s of speech are ignored, because ``pystoi``
    returns 0.00001 for these.

    Source: Jensen & Taal, "An algorithm for predicting the intelligibility of speech masked by modulated noise
    maskers", IEEE/ACM TASLP 2016.

    Raises:
        UserError: the package ``pystoi`` is not installed.
    """
    import_speech_package("pystoi")
    return _mean(lambda x, y: estoi_of_pair(x, y, sample_rate), output, target)


def mcd24(output: np.ndarray, target: np.ndarray, sample_rate: int) -> float | None:
    """Return the mel-cepstral distortion (MCD) of speech ``[N, C, T]`` in dB, without time alignment.

    WORLD (Harvest and CheapTrick) computes a spectral envelope every 5 ms. The cepstrum of the log amplitude on
    HTK's mel scale has 24 coefficients. Coefficient 0, which is the level, is left out. The MCD of a frame is
    ``10 / ln 10 * sqrt(2 * sum of squared differences)``. It is averaged over the frames in which the target is at most
    60 dB below its loudest frame, and then over pairs. Other definitions of the MCD give other values.

    Source: Kubichek, "Mel-cepstral distance measure for objective speech quality assessment", PACRIM 1993. Morise,
    Yokomori & Ozawa, "WORLD", IEICE Transactions 2016.

    Raises:
        UserError: the package ``pyworld`` is not installed.
    """

    def score(x: Wave, y: Wave) -> float | None:
        cepstra, levels = zip(*(mel_cepstra(wave, sample_rate) for wave in (x, y)), strict=True)
        loud = levels[1] >= levels[1].max(initial=-np.inf) - MAX_RANGE_DB
        if not loud.any():
            return None
        squares = np.square(cepstra[0] - cepstra[1]).sum(1)[loud]
        return float(np.mean(10 / np.log(10) * np.sqrt(2 * squares)))

    return _mean(score, output, target)


def compare_pitch(output: np.ndarray, target: np.ndarray, sample_rate: int) -> dict[str, float | None]:
    """Compare the pitch of speech ``[N, C, T]``, detected by WORLD's Harvest every 5 ms from 71 to 800 Hz.

    Returns:
        * ``f0_rmse_cents``: root mean square difference between the two pitches in cents, over all frames that are
          voiced in both sounds.
        * ``f0_correlation``: correlation between the log pitch of the output and that of the target over the same
          frames, averaged over pairs with at least 20 such frames.
        * ``voicing_error``: fraction of the frames that are voiced in only one of the two sounds, 0 to 1.

    Source: Morise, "Harvest: a high-performance fundamental frequency estimator from speech signals", Interspeech 2017.

    Raises:
        UserError: the package ``pyworld`` is not installed.
    """
    world = import_speech_package("pyworld", "pyworld-prebuilt")
    squares: list[Wave] = []
    correlations, wrong, frames = [], 0, 0
    for x, y in _pairs(output, target):
        a, b = (_pitch(world, wave, sample_rate) for wave in (x, y))
        both = (a > 0) & (b > 0)
        wrong, frames = wrong + int(((a > 0) != (b > 0)).sum()), frames + len(a)
        logs = 1200 * np.log2(a[both]), 1200 * np.log2(b[both])
        squares.append(np.square(logs[0] - logs[1]))
        if both.sum() >= FEWEST_FRAMES and min(np.std(logs[0]), np.std(logs[1])) > 0:
            correlations.append(float(np.corrcoef(*logs)[0, 1]))
    voiced = np.concatenate(squares) if squares else np.zeros(0)
    return {
        "f0_rmse_cents": float(np.sqrt(voiced.mean())) if len(voiced) else None,
        "f0_correlation": float(np.mean(correlations)) if correlations else None,
        "voicing_error": wrong / frames if frames else None,
    }


def word_error_rate(recognised: Sequence[str], spoken: Sequence[str]) -> float:
    """Return the word error rate of recognised sentences, counted over all sentences together.

    Letters are compared in lower case, and punctuation is ignored. The rate can exceed 1.

    Args:
        recognised: sentences that a speech recogniser returned.
        spoken: sentences that were spoken, in the same order.

    Raises:
        UserError: the package ``jiwer`` is not installed.
        ValueError: the numbers of sentences differ, or no word was spoken.
    """
    return float(import_speech_package("jiwer").wer(*_normalised(spoken, recognised)))


def character_error_rate(recognised: Sequence[str], spoken: Sequence[str]) -> float:
    """Return the character error rate of recognised sentences, see `word_error_rate`. Spaces count as characters."""
    return float(import_speech_package("jiwer").cer(*_normalised(spoken, recognised)))


def _normalised(spoken: Sequence[str], recognised: Sequence[str]) -> tuple[list[str], list[str]]:
    if len(spoken) != len(recognised):
        raise ValueError(f"{len(recognised)} recognised sentences for {len(spoken)} spoken ones")
    cleaned = [
        [" ".join("".join(c for c in text.lower() if c.isalnum() or c.isspace() or c == "'").split()) for text in texts]
        for texts in (spoken, recognised)
    ]
    if not any(cleaned[0]):
        raise ValueError("no word was spoken")
    return cleaned[0], cleaned[1]


def _pairs(output: np.ndarray, target: np.ndarray) -> Iterator[tuple[Wave, Wave]]:
    """Yield pairs of mono waves ``[T]`` of output and target. Silent targets are skipped."""
    check_pairs(output, target)
    for made, wanted in zip(output, target, strict=True):
        x, y = (np.ascontiguousarray(wave.astype(np.float64).mean(0)) for wave in (made, wanted))
        if np.square(y).mean() > SILENCE**2:
            yield x, y


def _mean(score: Callable[[Wave, Wave], float | None], output: np.ndarray, target: np.ndarray) -> float | None:
    """Return the mean score of all pairs for which it is defined. None if there is no such pair."""
    found = [value for x, y in _pairs(output, target) if (value := score(x, y)) is not None]
    return float(np.mean(found)) if found else None


def _pitch(world: Any, wave: Wave, sample_rate: int) -> Wave:
    low, high = PITCH_RANGE
    found: Wave = world.harvest(wave, sample_rate, f0_floor=low, f0_ceil=high, frame_period=FRAME_MS)[0]
    return found


def mel_cepstra(wave: Wave, sample_rate: int) -> tuple[Wave, Wave]:
    """Return the coefficients 1 to 24 of each frame that `mcd24` compares, ``[frames, 24]``, and its level in dB.

    Args:
        wave: samples ``[T]``.
        sample_rate: sample rate in Hz.

    Raises:
        UserError: the package ``pyworld`` is not installed.
    """
    from scipy.fft import dct

    world = import_speech_package("pyworld", "pyworld-prebuilt")

    times = FRAME_MS / 1000 * np.arange(int(1000 * len(wave) / sample_rate / FRAME_MS) + 1)
    pitch = _pitch(world, wave, sample_rate)
    power = world.cheaptrick(wave, pitch, times[: len(pitch)], sample_rate)
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    hertz = 700 * (10 ** ((np.arange(MEL_POINTS) + 0.5) / MEL_POINTS * top / 2595) - 1)
    places = hertz / (sample_rate / 2) * (power.shape[1] - 1)
    lower = places.astype(int).clip(max=power.shape[1] - 2)
    logs = 0.5 * np.log(power)
    logs = logs[:, lower] + (logs[:, lower + 1] - logs[:, lower]) * (places - lower)
    # With this factor, the log amplitude is c_0 + sum of c_d * cos(...), as in the definition of the MCD.
    cepstrum = dct(logs, type=2, axis=1)[:, 1 : COEFFICIENTS + 1] / MEL_POINTS
    return cepstrum, 10 * np.log10(power.mean(1))
