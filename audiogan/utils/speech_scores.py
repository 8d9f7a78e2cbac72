"""Scores of one pair of speech sounds: PESQ, STOI and ESTOI. This module does not import PyTorch.

The scores need the packages ``pesq`` and ``pystoi`` of ``pip install 'audiogan[speech]'``.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError

Wave = NDArray[np.floating]

PESQ_RATE = 16_000
"""Sample rate of PESQ in Hz. Sounds with another rate are resampled."""
SHORTEST_SPEECH = 0.4
"""Shortest target for which STOI and ESTOI are defined, in seconds. They average over segments of about this length."""


def import_speech_package(module: str, package: str | None = None) -> Any:
    """Import a module of the extra ``speech``.

    Args:
        module: name of the module.
        package: name of the package that contains the module. By default, the name of the module.

    Raises:
        UserError: the package is not installed.

    Examples:
        >>> from audiogan.utils.speech_scores import import_speech_package
        >>> import_speech_package("json").__name__
        'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        needed = package or module
        raise UserError(f"speech metrics need the package {needed}: pip install 'audiogan[speech]'") from error


def resample(wave: Wave, sample_rate: int, wanted: int) -> Wave:
    """Return a sound ``[T]`` resampled from ``sample_rate`` to ``wanted``, both in Hz.

    Examples:
        >>> import numpy as np
        >>> from audiogan.utils.speech_scores import resample
        >>> resample(np.zeros(800), 8000, 16000).shape
        (1600,)
    """
    import soxr

    return wave if sample_rate == wanted else soxr.resample(wave, sample_rate, wanted, quality="HQ")


def pesq_of_pair(output: Wave, target: Wave, sample_rate: int) -> float | None:
    """Return the wide-band PESQ of a sound ``[T]`` on the scale MOS-LQO, 1.0 (bad) to 4.64 (identical).

    The package ``pesq`` (author: ludlows) computes it at 16 kHz. The result is None if PESQ finds no speech in the
    target, or if the sounds are shorter than a quarter of a second.

    Args:
        output: sound to judge, ``[T]``.
        target: clean sound, ``[T]``.
        sample_rate: sample rate of both sounds in Hz.

    Source: ITU-T Recommendation P.862.2, 2007.

    Raises:
        UserError: the package ``pesq`` is not installed.
    """
    pesq = import_speech_package("pesq")
    try:
        # On some errors, the function returns -1 instead of raising an exception.
        waves = (resample(wave, sample_rate, PESQ_RATE) for wave in (target, output))
        value = float(pesq.pesq(PESQ_RATE, *waves, "wb"))
    except (pesq.PesqError, ValueError):  # No speech, or shorter than a quarter of a second.
        return None
    return value if value >= 1 else None


def stoi_of_pair(output: Wave, target: Wave, sample_rate: int, extended: bool = False) -> float | None:
    """Return the short-time objective intelligibility (STOI) of a sound ``[T]``, up to 1 (identical).

    The package ``pystoi`` computes it at 10 kHz. The result is None if the target is shorter than 0.4 s, or is
    shorter than that without its silent parts. For such pairs, ``pystoi`` itself returns 0.00001.

    Args:
        output: sound to judge, ``[T]``.
        target: clean sound, ``[T]``.
        sample_rate: sample rate of both sounds in Hz.
        extended: whether to compute ESTOI instead of STOI.

    Source: Taal et al., "An algorithm for intelligibility prediction of time-frequency weighted noisy speech", IEEE
    TASLP 2011. Jensen & Taal, "An algorithm for predicting the intelligibility of speech masked by modulated noise
    maskers", IEEE/ACM TASLP 2016 (ESTOI).

    Raises:
        UserError: the package ``pystoi`` is not installed.
    """
    pystoi = import_speech_package("pystoi")
    if len(target) < SHORTEST_SPEECH * sample_rate:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(pystoi.stoi(target, output, sample_rate, extended=extended))
        except RuntimeWarning:  # Not enough frames.
            return None


def estoi_of_pair(output: Wave, target: Wave, sample_rate: int) -> float | None:
    """Return the extended short-time objective intelligibility (ESTOI) of a pair, see `stoi_of_pair`."""
    return stoi_of_pair(output, target, sample_rate, extended=True)


SCORES: dict[str, tuple[Callable[[Wave, Wave, int], float | None], tuple[float, float], str]] = {
    "pesq": (pesq_of_pair, (1.0, 4.644), "pesq"),
    "stoi": (stoi_of_pair, (0.0, 1.0), "pystoi"),
    "estoi": (estoi_of_pair, (0.0, 1.0), "pystoi"),
}
"""Function, range (lowest and highest value), and package of each score, by name."""
