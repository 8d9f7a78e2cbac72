"""Adversarial losses, penalties on critics and generators, reconstruction losses and auxiliary targets."""

from __future__ import annotations

from audiogan.losses.adversarial import Hinge, LeastSquares, NonSaturating, Wasserstein
from audiogan.losses.auxiliary_targets import AuxiliaryTarget, PartialTracks, Pitch, Width
from audiogan.losses.distances import L1
from audiogan.losses.knobs import Attack, Brightness, Decay, Noisiness
from audiogan.losses.mel_distance import MelDistance
from audiogan.losses.modes import Glide, MidSideDistance, ModeFrequencies
from audiogan.losses.multi_resolution import MultiResolutionSTFT
from audiogan.losses.orthogonal import OrthogonalRegularisation
from audiogan.losses.penalties import R1, R2, GradientPenalty, WeightClip
from audiogan.losses.reconstruction import SpectralDistance
from audiogan.losses.relativistic import RelativisticPairing
from audiogan.losses.shared_spectrum import Spectrum
from audiogan.losses.speech import CompressedSpectrum, SignalToDistortion

__all__ = ["L1", "R1", "R2", "Attack", "AuxiliaryTarget", "Brightness", "Decay", "Glide", "GradientPenalty", "Hinge"]
__all__ += [
    "LeastSquares",
    "MelDistance",
    "MidSideDistance",
    "ModeFrequencies",
    "MultiResolutionSTFT",
    "Noisiness",
    "NonSaturating",
]
__all__ += [
    "CompressedSpectrum",
    "OrthogonalRegularisation",
    "PartialTracks",
    "Pitch",
    "RelativisticPairing",
    "SignalToDistortion",
    "SpectralDistance",
    "Spectrum",
    "Wasserstein",
    "WeightClip",
    "Width",
]
