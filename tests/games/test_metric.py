"""Tests of `MetricLearning` and its replay buffer, with scores that are computed in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiogan.core import Play
from audiogan.errors import UserError
from audiogan.games import MetricLearning
from audiogan.games.scored_pairs import FIRST_PAIRS, ScoredPairs
from audiogan.inputs import Signal
from audiogan.modalities import Sound
from audiogan.networks.metricgan import MetricCritic
from audiogan.representations import Identity, SoundFormat
from audiogan.utils.score_pool import PairScore

SHAPE = (1, 2048)


class InstantPool:
    """Stand-in for `ScorePool` that computes scores at once."""

    cpu_seconds = 2.5

    def __init__(self, function: Callable[[Any, Any, int], float | None]) -> None:
        self.function, self.calls = function, 0

    def submit(self, output: Any, target: Any, sample_rate: int) -> Future[PairScore]:
        assert output.shape == target.shape and output.ndim == 1 and sample_rate == 16000
        self.calls += 1
        future: Future[PairScore] = Future()
        value = self.function(output, target, sample_rate)
        future.set_result(PairScore(value, "" if value is not None else "no speech", 1, 0.0))
        return future

    def result(self, future: Future[PairScore]) -> PairScore:
        return future.result()


class Gain(nn.Module):
    shape, source, takes = SHAPE, SHAPE, frozenset({"source"})

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, source: Tensor) -> Tensor:
        return self.gain * source


def closeness(output: Any, target: Any, sample_rate: int) -> float:
    return float(1 - np.abs(np.asarray(output) - np.asarray(target)).mean())


def play(step: int, player: str = "critic") -> Play:
    context = Play(step, seed=1)
    context.begin_move(player)
    return context


def pairs(size: int = 6, delay: int = 2, function: Callable[..., float | None] = closeness) -> ScoredPairs:
    made = ScoredPairs(SHAPE, 16000, (0.0, 1.0), size, delay)
    made.pool = InstantPool(function)
    return made


def waves(n: int, level: float = 0.1) -> Tensor:
    return torch.full((n, *SHAPE), level)


def test_a_pair_is_used_after_the_delay() -> None:
    it = pairs(delay=2)
    it.add(waves(2, 0.5), waves(2, 0.25), step=10)
    for step, known in ((10, False), (11, False), (12, True)):
        it.collect(step)
        assert (it.draw(3, play(step)) is not None) == known
    output, target, score = it.draw(3, play(12))  # type: ignore[misc]
    assert torch.equal(output, waves(3, 0.5)) and torch.equal(target, waves(3, 0.25))
    assert torch.allclose(score, torch.tensor(0.75))


def test_a_new_pair_replaces_the_oldest() -> None:
    it = pairs(size=3, delay=5)
    for step in range(4):  # The fourth pair takes the place of a pair that is not collected yet.
        it.add(waves(1, 0.1 * step), waves(1, 0), step)
    it.collect()
    assert sorted(round(1 - float(score), 1) for score in it.scores) == [0.1, 0.2, 0.3] and int(it.attempts) == 4


def test_a_failed_score_is_counted_and_never_drawn() -> None:
    it = pairs(function=lambda output, target, rate: None if output[0] > 0.4 else 0.5)
    it.add(torch.cat([waves(2, 0.5), waves(1, 0.25)]), waves(3), step=0)
    it.collect(2)
    output, _, score = it.draw(20, play(2))  # type: ignore[misc]
    assert (output == 0.25).all() and (score == 0.5).all()
    assert it.statistics(2) == {"score_failures": 2, "score": 0.5}
    assert torch.isfinite(it.scores).all()  # Checkpoints with values that are not finite are refused.


def test_scores_are_scaled_and_limited() -> None:
    values = iter([1.0, 2.0, 3.0, 9.0])
    it = ScoredPairs(SHAPE, 16000, (1.0, 3.0), 4, 0)
    it.pool = InstantPool(lambda *_: next(values))
    it.add(waves(4), waves(4), 0)
    it.collect()
    assert it.scores.tolist() == [0.0, 0.5, 1.0, 1.0]


def test_training_ends_if_every_score_fails() -> None:
    it = pairs(size=100, delay=0, function=lambda *_: None)
    it.add(waves(FIRST_PAIRS), waves(FIRST_PAIRS), 0)
    with pytest.raises(UserError, match=f"failed for all of the first {FIRST_PAIRS} pairs: no speech"):
        it.collect(0)


def make(**options: Any) -> MetricLearning:
    torch.manual_seed(0)
    critic = MetricCritic(SoundFormat(SHAPE[1]), n_ffts=[128], width=2, layers=2)
    source = Signal("source", shape=SHAPE, modality=Sound(16000))
    made = MetricLearning(Gain(), critic, Identity(SHAPE), inputs={"source": source}, **{"score": "estoi", **options})
    made.replay.pool = InstantPool(closeness)
    return made


def batch(step: int = 0) -> dict[str, Tensor]:
    x = torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(step)) / 4
    return {"x": x, "source": x + 0.1}


def train_step(game: MetricLearning, step: int) -> dict[str, float]:
    """Compute the losses of one step in the order of `enhance`: first the generator, then the critic. Each has a batch
    of its own."""
    context, losses = Play(step, seed=1), {}
    for i, player in enumerate(("generator", "critic")):
        context.begin_move(player)
        for name, value in game.losses(player, batch(2 * step + i), context).items():
            losses[f"{player}/{name}"] = float(value.detach())
    return losses


def test_outputs_and_sources_are_scored() -> None:
    game = make(scored=3, scored_sources=2, delay=1, reuse_samples=True)
    assert set(train_step(game, 0)) == {"generator/loss", "critic/loss"}
    assert set(train_step(game, 1)) == {"generator/loss", "critic/loss", "critic/prediction"}
    assert game.replay.pool.calls == 10
    x = batch(0)
    expected = [closeness(0.5 * a, b, 0) for a, b in zip(x["source"][:3], x["x"][:3], strict=True)] + [0.9, 0.9]
    assert np.allclose(game.replay.scores[:5], expected, atol=1e-3)
    assert game.background_seconds == 2.5


def test_the_generator_uses_the_critic_after_the_warm_up() -> None:
    game = make(scored=4, scored_sources=0, warm_up=8, adversarial_weight=3.0, reuse_samples=True)
    losses = [train_step(game, step)["generator/loss"] for step in range(3)]
    assert losses[:2] == [0, 0] and losses[2] > 0
    game.requires_grad_(True)
    terms = game.losses("generator", batch(), play(3, "generator"))
    terms["loss"].backward()
    assert float(game.nets["generator"].gain.grad.abs()) > 0
    predicted = game.critic(0.5 * batch()["source"], batch()["x"])
    assert torch.allclose(terms["loss"], 3 * (predicted - 1).square().mean())


def test_without_stored_samples_the_critic_makes_its_own() -> None:
    game = make()
    assert set(game.losses("critic", batch(), play(0))) == {"loss"} and game.replay.pool.calls == 5


def test_a_resumed_game_continues_exactly() -> None:
    """The saved game has pairs without scores, and the other game saves no state."""
    game, other = make(delay=3, history=20), make(delay=3, history=20)
    for step in range(4):
        assert train_step(game, step) == train_step(other, step)
    resumed = make(delay=3, history=20)
    resumed.load_state_dict(game.state_dict())
    for step in range(4, 9):
        expected = train_step(other, step)
        assert train_step(resumed, step) == expected
        assert resumed.replay.statistics(step) == other.replay.statistics(step)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"score='mos' must be one of pesq, stoi, estoi, or MODULE:FUNCTION"):
        make(score="mos")
    with pytest.raises(ValueError, match=r"scored=0"):
        make(scored=0)
    with pytest.raises(ValueError, match=r"game\.feature_matching_weight=0"):
        make(feature_matching_weight=1.0)
    with pytest.raises(ValueError, match=r"score_range=\[2, 1\]"):
        make(score_range=[2, 1])
    assert make(score="my.scores:snr").score == "my.scores:snr"


def test_a_critic_judges_clean_sounds_without_a_target() -> None:
    game, x = make(), batch()
    assert torch.equal(game.real_logits(x), game.critic(x["x"], x["x"])) and len(game.features(x)) == 6
