"""Replay buffer of pairs, each of an output and its target, with their scores."""

from __future__ import annotations

from concurrent.futures import Future

import torch
from torch import Tensor, nn

from audiogan.core import Play
from audiogan.errors import UserError
from audiogan.utils.score_pool import PairScore, ScorePool

UNKNOWN, FAILED = -1.0, -2.0
"""Values in place of the score of a pair that is not scored yet (``UNKNOWN``), and of a pair whose score failed."""
FIRST_PAIRS = 50
"""Number of pairs at the start of training. If the score fails for all of them, training ends with an error."""


class ScoredPairs(nn.Module):
    """Replay buffer of pairs of sounds with scores, which worker processes compute while training continues.

    A pair can be drawn ``delay`` steps after it was added. If its score is not known by then, training waits for it.
    The pairs of an update therefore do not depend on the speed of the workers. A pair whose score fails is never drawn.
    Pairs are stored in half precision. If the buffer is full, a new pair replaces the oldest one. A checkpoint contains
    the whole buffer. Before it is written, the buffer waits for all scores.

    Args:
        shape: shape ``(C, T)`` of a sound.
        sample_rate: sample rate of the sounds in Hz.
        score_range: lowest and highest value of the score. Scores in the buffer are scaled from this range to 0 ... 1.
        size: number of pairs, 1 or more.
        delay: number of steps between the addition of a pair and its first use, 0 or more.

    Attributes:
        pool: worker processes that compute the scores, or None. Without them, no pair can be added.
        attempts: number of pairs whose scores were computed, int64 scalar. Failures are included.
        failures: number of pairs whose scores failed, int64 scalar.

    Raises:
        ValueError: a setting is out of range.
    """

    pairs: Tensor
    scores: Tensor
    ready_step: Tensor
    position: Tensor
    attempts: Tensor
    failures: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        sample_rate: int,
        score_range: tuple[float, float],
        size: int = 256,
        delay: int = 4,
    ) -> None:
        super().__init__()
        low, high = score_range
        if size < 1 or delay < 0 or not low < high:
            raise ValueError(
                f"history={size} must be at least 1, delay={delay} not negative, and score_range="
                f"{list(score_range)} two rising numbers"
            )
        self.sample_rate, self.delay, self.low, self.high = sample_rate, delay, float(low), float(high)
        self.pool: ScorePool | None = None
        self._pending: list[tuple[int, int, Future[PairScore]]] = []  # place, first step of use, result
        self.register_buffer("pairs", torch.zeros(size, 2, *shape, dtype=torch.float16))
        self.register_buffer("scores", torch.full((size,), UNKNOWN))
        self.register_buffer("ready_step", torch.zeros(size, dtype=torch.int64))
        for name in ("position", "attempts", "failures"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))
        self.register_state_dict_pre_hook(lambda *_: self.collect())
        self.register_load_state_dict_post_hook(lambda *_: self._pending.clear())

    @torch.no_grad()
    def add(self, outputs: Tensor, targets: Tensor, step: int) -> None:
        """Add pairs of sounds, both ``[n, C, T]``, and start to compute their scores.

        Args:
            outputs: sounds to judge.
            targets: clean sounds.
            step: number of the present step.
        """
        assert self.pool is not None, "call `MetricLearning.start_scoring` before training"
        size = len(self.scores)
        stored = torch.stack([outputs, targets], dim=1).clamp(-6e4, 6e4).half()
        for pair in stored:
            place = int(self.position) % size
            while any(place == other for other, _, _ in self._pending):  # The buffer is full of pairs without scores.
                self._store_oldest_score()
            self.pairs[place], self.scores[place], self.ready_step[place] = pair, UNKNOWN, step + self.delay
            output, target = pair.float().mean(1).cpu().numpy()
            self._pending.append((place, step + self.delay, self.pool.submit(output, target, self.sample_rate)))
            self.position += 1

    def collect(self, step: int | None = None) -> None:
        """Store the scores of all pairs that can be drawn at a step. Wait for scores that are not known yet.

        Args:
            step: number of the step. None: all pairs.

        Raises:
            UserError: the score failed for all of the first 50 pairs.
        """
        while self._pending and (step is None or self._pending[0][1] <= step):
            self._store_oldest_score()

    def _store_oldest_score(self) -> None:
        """Wait for the oldest pair without a score, and store its score."""
        assert self.pool is not None
        place, _, future = self._pending.pop(0)
        result = self.pool.result(future)
        self.attempts += 1
        if result.value is None:
            self.failures += 1
            self.scores[place] = FAILED
            if int(self.attempts) == int(self.failures) == FIRST_PAIRS:
                raise UserError(f"game.score failed for all of the first {FIRST_PAIRS} pairs: {result.error}")
        else:
            self.scores[place] = min(max((result.value - self.low) / (self.high - self.low), 0.0), 1.0)

    def statistics(self, step: int) -> dict[str, Tensor]:
        """Return values for the log. They do not depend on the time at which workers finish.

        Args:
            step: number of the present step. Call `collect` with this step first.

        Returns:
            ``score_failures``: number of failures so far. ``score``: mean score, before scaling, of the pairs that
            can be drawn for the first time in this step. It is missing if there is no such pair.
        """
        later = (self.scores == FAILED) & (self.ready_step > step)
        new = self.scores[(self.scores > UNKNOWN) & (self.ready_step == step)]
        found = {"score_failures": (self.failures - later.sum()).float()}
        return found if not len(new) else {**found, "score": self.low + (self.high - self.low) * new.mean()}

    def draw(self, n: int, context: Play) -> tuple[Tensor, Tensor, Tensor] | None:
        """Draw ``n`` random pairs that can be used at the present step.

        Args:
            n: number of pairs.
            context: context of this update, with the step and the random numbers.

        Returns:
            Outputs ``[n, C, T]``, targets ``[n, C, T]`` and scaled scores ``[n]``. None if there is no such pair.
        """
        usable = (self.scores > UNKNOWN) & (self.ready_step <= context.step)
        if not bool(usable.any()):
            return None
        places = context.choice(usable.double(), n).to(self.pairs.device)
        chosen = self.pairs[places].float()
        return chosen[:, 0], chosen[:, 1], self.scores[places]
