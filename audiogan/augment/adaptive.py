"""Adaptive discriminator augmentation: only as much augmentation as keeps the critic from knowing its examples."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from audiogan.augment.waveform import Augment
from audiogan.core import Callback, CheckpointError, Move, Trainer
from audiogan.core.checking import check_count


class AdaptiveAugment(Callback):
    """Moves `game.augment.p` so that the mean sign of the critic's logits on real examples approaches `target`.

    Karras et al. 2020 ("ADA"), section 3.2, the heuristic r_t: a critic that recognises its training examples gives
    them all positive logits, so p rises; it falls again where real and fake look alike. It serves sounds and pictures,
    whatever transformations the `Augment` holds. Losses whose critic does not decide at zero need their `boundary`:
    least squares with targets 0 and 1 decides at 0.5, a Wasserstein critic nowhere, so it has no use for this.

    Nothing waits for the device. Signs are counted over all processes, so that p is the same in each and a checkpoint,
    which the first process writes, holds the whole count. The notes of each move get the `augment_p` it had.

    Args:
        target: mean sign to approach, in -1 ... 1.
        every: moves of the player between two changes of p.
        speed: thousands of real examples in which p could go from 0 to 1.
        highest: p stays below it; above about 0.8 the generator may begin to imitate the augmentation (section 2.2).
        boundary: logits above it mean "real".
        player: whose notes hold `real_logits`.
    """

    def __init__(
        self,
        target: float = 0.6,
        every: int = 4,
        speed: float = 500.0,
        highest: float = 0.8,
        boundary: float = 0.0,
        player: str = "critic",
    ) -> None:
        if not -1 <= target <= 1 or every < 1 or not speed > 0 or not 0 <= highest <= 1:
            raise ValueError(
                f"AdaptiveAugment wants target in -1 ... 1, every >= 1, speed > 0 and highest in 0 ... 1, "
                f"got target={target}, every={every}, speed={speed}, highest={highest}"
            )
        self.target, self.every, self.speed, self.highest = target, every, speed, highest
        self.boundary, self.player = boundary, player
        self.moves = 0
        self.counts = torch.zeros(2)

    def on_start(self, trainer: Trainer) -> None:
        augment = getattr(trainer.game, "augment", None)
        if not isinstance(augment, Augment):
            found = type(augment).__name__
            raise ValueError(f"AdaptiveAugment wants game.augment to be an audiogan.augment.Augment, got {found}")
        if self.player not in [player.name for player in trainer.players]:
            raise ValueError(f"AdaptiveAugment: no player {self.player!r} in {[p.name for p in trainer.players]}")
        self.counts = torch.zeros(2, device=trainer.engine.device)

    def on_gradients(self, trainer: Trainer, move: Move) -> None:
        # Here rather than in on_move, so that a log finds it wherever it stands among the callbacks.
        if move.player.name == self.player:
            move.notes["augment_p"] = trainer.game.augment.p.clone()  # type: ignore[union-attr, operator]

    @torch.no_grad()
    def on_move(self, trainer: Trainer, move: Move) -> None:
        if move.player.name != self.player or not move.applied:
            return
        if "real_logits" not in move.notes:
            raise ValueError(f"AdaptiveAugment: the moves of {self.player!r} note {sorted(move.notes)}, no real_logits")
        p: Tensor = trainer.game.augment.p  # type: ignore[union-attr, assignment]
        signs = (move.notes["real_logits"].float() - self.boundary).sign()
        counts = torch.stack([signs.sum(), torch.full_like(signs.sum(), signs.numel())])
        if trainer.engine.world > 1:
            dist.all_reduce(counts)
        self.counts += counts
        self.moves += 1
        if self.moves % self.every == 0:
            up = (self.counts[0] / self.counts[1] - self.target).sign()
            p.add_(up * self.counts[1] / (1000 * self.speed)).clamp_(0, self.highest)
            self.counts.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Signs counted since p last moved; p itself is a buffer of the game."""
        return {"moves": self.moves, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        counts = state["counts"].to(self.counts.device)
        if counts.shape != self.counts.shape or not bool(torch.isfinite(counts).all()):
            raise CheckpointError("the counts of AdaptiveAugment are not two finite numbers")
        self.moves, self.counts = check_count(state["moves"], "the number of moves of AdaptiveAugment"), counts
