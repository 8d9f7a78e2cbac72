"""A generator against a critic that learns a score, such as PESQ (MetricGAN+, Fu et al., Interspeech 2021)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from audiogan.core import Play
from audiogan.games.adversarial import Adversarial
from audiogan.games.critics import to_critic_output
from audiogan.games.scored_pairs import ScoredPairs
from audiogan.networks.base import CriticOutput
from audiogan.representations import Representation
from audiogan.utils.score_pool import ScorePool
from audiogan.utils.speech_scores import SCORES, import_speech_package


class MetricLearning(Adversarial):
    """Game whose critic learns to predict a score of (output, target), which need not be differentiable.

    The generator learns to raise the prediction to 1, the scaled score of a clean sound. Worker processes compute the
    scores of some outputs and sources of each step while training continues. The critic learns from pairs that are
    drawn from the last ``history`` scored pairs, and from pairs of two clean sounds, whose scaled score is 1. A pair
    whose score fails is left out. The log contains the mean score of outputs and sources (``score``), and the number of
    failures so far (``score_failures``). Call `start_scoring` before training.

    It differs from the paper in three points: scores are computed for short examples in each step instead of whole
    recordings in each epoch, the generator's loss may have distances as well, and the critic uses old and new pairs
    together.

    Args:
        generator: network from the source to ``[B, *representation.shape]``.
        critic: network from outputs and targets, both signals ``[B, C, T]``, to predicted scores ``[B]``.
        representation: transform between signals and the tensors that networks process.
        score: name of the score: ``pesq`` (wide band), ``stoi``, ``estoi``, or ``MODULE:FUNCTION``. The function has
            the arguments ``output``, ``target`` (both ``[T]``, float32) and ``sample_rate`` (Hz). It returns a number,
            which is better if it is higher, or None if the score is undefined.
        score_range: lowest and highest value of the score, which become 0 and 1. None: the range of the named score,
            or ``(0, 1)`` for a function.
        sample_rate: sample rate of the signals in Hz.
        scored: number of the generator's outputs that are scored in each step, 1 or more.
        scored_sources: number of sources that are scored in each step as well, 0 or more.
        replayed: number of scored pairs that are drawn for each update of the critic, 1 or more.
        clean: number of pairs of two clean sounds in each update of the critic, 1 or more.
        history: number of the latest scored pairs that are kept, 1 or more.
        delay: number of steps from the start of scoring a pair to its first use, 0 or more.
        warm_up: number of pairs that are sent to be scored before the critic trains the generator, 0 or more.
        workers: number of worker processes, 1 or more.
        source: name of the input that is scored in addition to the outputs. None: sources are not scored.
        options: other arguments of `Adversarial`. The adversarial loss and feature matching are not used.

    Raises:
        ValueError: a setting is out of range.

    Source:
        Fu et al., "MetricGAN+: an improved version of MetricGAN for speech enhancement", Interspeech 2021. Fu et al.,
        "MetricGAN: generative adversarial networks based black-box metric scores optimization for speech enhancement",
        ICML 2019.

    Examples:
        >>> from audiogan.games import MetricLearning
        >>> from audiogan.inputs import Signal
        >>> from audiogan.modalities import Sound
        >>> from audiogan.networks.metricgan import MetricCritic
        >>> from audiogan.networks.speech_masker import SpeechMasker
        >>> from audiogan.representations import Identity, SoundFormat
        >>> source = Signal("source", shape=(1, 4096), modality=Sound(16000))
        >>> net = SpeechMasker((1, 4096), (1, 4096), n_fft=256, hop_length=128, widths=(4, 8), hidden=16)
        >>> critic = MetricCritic(SoundFormat(4096), n_ffts=[256], width=4)
        >>> MetricLearning(net, critic, Identity((1, 4096)), inputs={"source": source}, score="estoi").score
        'estoi'
    """

    single_process = "each process would have its own replay buffer of scored pairs"

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        representation: Representation,
        *,
        score: str = "pesq",
        score_range: Sequence[float] | None = None,
        sample_rate: int = 16_000,
        scored: int = 4,
        scored_sources: int = 1,
        replayed: int = 8,
        clean: int = 2,
        history: int = 256,
        delay: int = 4,
        warm_up: int = 400,
        workers: int = 1,
        source: str | None = "source",
        loss: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(generator, critic, loss, representation, **options)
        if score not in SCORES and not _is_function_name(score):
            raise ValueError(f"score={score!r} must be one of {', '.join(SCORES)}, or MODULE:FUNCTION")
        if min(scored, replayed, clean, workers) < 1 or min(scored_sources, warm_up) < 0:
            raise ValueError(
                f"scored={scored}, replayed={replayed}, clean={clean} and workers={workers} must be at least 1, "
                f"scored_sources={scored_sources} and warm_up={warm_up} not negative"
            )
        if self.feature_matching_weight:
            raise ValueError("the critic of MetricLearning has no features; set game.feature_matching_weight=0")
        self.score, self.workers, self.source = score, workers, source
        self.scored, self.scored_sources, self.warm_up = scored, scored_sources if source else 0, warm_up
        self.replayed, self.clean = replayed, clean
        limits = SCORES[score][1] if score in SCORES else (0.0, 1.0)
        low, high = limits if score_range is None else score_range
        shape = tuple(representation.signal_shape)
        self.replay = ScoredPairs(shape, sample_rate, (low, high), history, delay)

    def start_scoring(self, function: Callable[..., float | None] | None = None) -> None:
        """Prepare the worker processes that compute scores. They start when the first pair is added.

        Args:
            function: function that computes the score, defined at the top level of a module. None: the function of the
                named score.

        Raises:
            UserError: the package of the score is not installed.
        """
        if function is None:
            function, _, package = SCORES[self.score]
            import_speech_package(package)
        self.replay.pool = ScorePool(function, self.workers)

    @property
    def background_seconds(self) -> float:
        return 0.0 if self.replay.pool is None else self.replay.pool.cpu_seconds

    def player_losses(
        self, player: str, batch: Mapping[str, Tensor], batch_inputs: Mapping[str, Tensor], context: Play
    ) -> dict[str, Tensor]:
        if player != "critic":
            return super().player_losses(player, batch, batch_inputs, context)
        target = batch["x"]
        if context.has_stored("samples"):
            # The players draw different batches, so the target of the generator's batch is stored as well.
            inputs = {name: context.get_stored(f"samples.{name}") for name in self.inputs}
            fake, target = context.get_stored("samples"), context.get_stored("samples.target")
        else:
            with torch.no_grad():
                inputs, _, fake = self._make(len(target), batch_inputs, context)
        clean = target[: self.clean]
        of_clean = self._predict(clean, clean)
        terms = {"loss": (of_clean - 1).square().mean() * (len(clean) / (len(clean) + self.replayed))}
        self.replay.collect(context.step)
        self._add_pairs(fake, target, inputs, context)
        drawn = self.replay.draw(self.replayed, context)
        if drawn is not None:
            outputs, targets, wanted = drawn
            errors = (self._predict(outputs, targets) - wanted).square()
            terms["prediction"] = errors.mean() * (self.replayed / (len(clean) + self.replayed))
        context.record(**self.replay.statistics(context.step))
        return terms

    def _add_pairs(self, fake: Tensor, target: Tensor, inputs: Mapping[str, Tensor], context: Play) -> None:
        """Start to score some outputs, and the sources of some other examples of the batch."""
        self.replay.add(fake[: self.scored], target[: self.scored], context.step)
        if self.scored_sources:
            places = slice(self.scored, self.scored + self.scored_sources)
            self.replay.add(inputs[str(self.source)][places], target[places], context.step)

    def _adversarial_terms(
        self, fake: Tensor, inputs: Mapping[str, Tensor], batch: Mapping[str, Tensor], context: Play
    ) -> tuple[dict[str, Tensor], CriticOutput]:
        context.store("samples.target", batch["x"])
        predicted = self._predict(fake, batch["x"])
        weight = self.adversarial_weight if int(self.replay.position) >= self.warm_up else 0.0
        context.record(predicted_score=predicted.mean())
        return {"loss": weight * (predicted - 1).square().mean()}, CriticOutput(predicted)

    def _predict(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return to_critic_output(self.critic(outputs, targets)).logits.float()  # type: ignore[union-attr]


def _is_function_name(score: str) -> bool:
    module, colon, function = score.partition(":")
    return bool(colon) and function.isidentifier() and all(part.isidentifier() for part in module.split("."))
