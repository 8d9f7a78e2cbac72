"""The adversarial game of vocoders that predict the magnitudes of an STFT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from audiogan.core import Play
from audiogan.games.adversarial import Adversarial

FLOOR = 0.01
"""Constant that is added to magnitudes before the logarithm. A full-scale sine has the magnitude ``n_fft / 4``."""


class Vocoding(Adversarial):
    """Adversarial game with a distance between the magnitudes that the generator predicts and those of the target.

    The distance is the mean absolute difference of log magnitudes plus half the relative error of magnitudes. It does
    not depend on phases. While the critic is paused (see `audiogan.core.FirstStage`), this distance is the only loss,
    which saves the time to compute phases and sounds.

    Args:
        magnitude_weight: factor on the distance of magnitudes, 0 or more. With 0, this game equals `Adversarial`.
        generator: network with the methods ``predict_magnitude_and_phase(mel)`` and ``magnitudes(sound)`` of
            `audiogan.networks.vocos.Vocos`.
        options: other arguments of `Adversarial`.

    Raises:
        ValueError: the generator predicts no magnitudes.

    Examples:
        >>> from audiogan.games import Vocoding
        >>> from audiogan.inputs import MelSignal
        >>> from audiogan.losses import LeastSquares
        >>> from audiogan.modalities import Sound
        >>> from audiogan.networks.hifigan import MPD
        >>> from audiogan.networks.vocos import Vocos
        >>> from audiogan.representations import Identity
        >>> settings = {"n_fft": 256, "hop_length": 64, "n_mels": 20}
        >>> mel = MelSignal("mel", shape=(1, 1024), modality=Sound(16000), **settings)
        >>> generator = Vocos((1, 1024), {"sample_rate": 16000, **settings}, width=8, inner=16, layers=1)
        >>> parts = {"critic": MPD(width=2), "loss": LeastSquares(), "representation": Identity((1, 1024))}
        >>> Vocoding(generator, **parts, inputs={"mel": mel}).magnitude_weight
        10.0
    """

    def __init__(self, generator: Any, *, magnitude_weight: float = 10.0, **options: Any) -> None:
        super().__init__(generator, **options)
        if magnitude_weight < 0:
            raise ValueError(f"magnitude_weight={magnitude_weight} must not be negative")
        if magnitude_weight and not hasattr(generator, "predict_magnitude_and_phase"):
            name = type(generator).__name__
            raise ValueError(f"{name} predicts no magnitudes; set game.magnitude_weight=0")
        self.magnitude_weight = float(magnitude_weight)

    def player_losses(
        self, player: str, batch: Mapping[str, Tensor], batch_inputs: Mapping[str, Tensor], context: Play
    ) -> dict[str, Tensor]:
        if player != "generator" or not self.magnitude_weight:
            return super().player_losses(player, batch, batch_inputs, context)
        generator: Any = self.nets["generator"]
        output, target = generator.predict_magnitude_and_phase(batch_inputs["mel"])[0], generator.magnitudes(batch["x"])
        logs = ((output + FLOOR).log() - (target + FLOOR).log()).abs().mean()
        relative = (output - target).norm() / target.norm().clamp_min(1e-3)
        terms = {"magnitude": self.magnitude_weight * (logs + 0.5 * relative)}
        if "critic" in context.paused:
            return terms
        return {**super().player_losses(player, batch, batch_inputs, context), **terms}
