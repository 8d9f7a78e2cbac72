"""Adaptive discriminator augmentation (ADA): the more the critic overfits, the higher the augmentation probability."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from audiogan.augment.waveform import Augment
from audiogan.core import Callback, CheckpointError, Move, Trainer
from audiogan.core.checking import check_count


class AdaptiveAugment(Callback):
    """Callback that adapts the augmentation probability `game.augment.p` to the overfitting of the critic.

    The measure of overfitting is the mean sign of the critic's logits on real examples (the heuristic r_t of ADA). If
    this mean is above ``target``, the callback increases ``p``. Otherwise, it decreases ``p``. Any `Augment` of sounds
    or images can be adapted. The current value is logged as `augment_p`. In distributed training, signs are counted
    over all processes, so ``p`` is the same in all of them. Do not use this callback with `Wasserstein`, because the
    sign of a Wasserstein critic's output has no meaning.

    Args:
        target: desired mean sign of the logits on real examples, -1 ... 1.
        every: interval between changes of ``p``, in updates of the player.
        ramp_kimg: smallest number of real examples, in thousands, in which ``p`` can rise from 0 to 1.
        max_p: upper limit of ``p``, 0 ... 1. Above about 0.8, the generator may learn to generate augmented samples
            (section 2.2).
        real_fake_threshold: logit above which the critic classifies a sample as real: 0 for most losses, 0.5 for
            `LeastSquares`.
        player: name of the player that trains the critic. The game must record `real_logits` in its updates.

    Source:
        Karras et al., "Training generative adversarial networks with limited data", NeurIPS 2020, section 3.2.

    Examples:
        >>> from audiogan.augment import AdaptiveAugment
        >>> AdaptiveAugment(target=0.6, every=4).max_p
        0.8
    """

    def __init__(
        self,
        target: float = 0.6,
        every: int = 4,
        ramp_kimg: float = 500.0,
        max_p: float = 0.8,
        real_fake_threshold: float = 0.0,
        player: str = "critic",
    ) -> None:
        if not -1 <= target <= 1 or every < 1 or not ramp_kimg > 0 or not 0 <= max_p <= 1:
            raise ValueError(
                f"AdaptiveAugment needs target in -1 ... 1, every >= 1, ramp_kimg > 0 and max_p in 0 ... 1, "
                f"got target={target}, every={every}, ramp_kimg={ramp_kimg}, max_p={max_p}"
            )
        self.target, self.every, self.ramp_kimg, self.max_p = target, every, ramp_kimg, max_p
        self.real_fake_threshold, self.player = real_fake_threshold, player
        self.moves = 0
        self.counts = torch.zeros(2)

    def on_start(self, trainer: Trainer) -> None:
        augment = getattr(trainer.game, "augment", None)
        if not isinstance(augment, Augment):
            found = type(augment).__name__
            raise ValueError(f"AdaptiveAugment needs game.augment to be an audiogan.augment.Augment, got {found}")
        if self.player not in [player.name for player in trainer.players]:
            raise ValueError(f"AdaptiveAugment: no player {self.player!r} in {[p.name for p in trainer.players]}")
        self.counts = torch.zeros(2, device=trainer.engine.device)

    def on_gradients(self, trainer: Trainer, move: Move) -> None:
        # Log ``p`` when the gradients are ready, because a logging callback may run before this callback in `on_move`.
        if move.player.name == self.player:
            move.recorded_values["augment_p"] = trainer.game.augment.p.clone()  # type: ignore[union-attr, operator]

    @torch.no_grad()
    def on_move(self, trainer: Trainer, move: Move) -> None:
        if move.player.name != self.player or not move.applied:
            return
        if "real_logits" not in move.recorded_values:
            names = sorted(move.recorded_values)
            raise ValueError(f"AdaptiveAugment: the updates of {self.player!r} record {names}, but no real_logits")
        p: Tensor = trainer.game.augment.p  # type: ignore[union-attr, assignment]
        signs = (move.recorded_values["real_logits"].float() - self.real_fake_threshold).sign()
        counts = torch.stack([signs.sum(), torch.full_like(signs.sum(), signs.numel())])
        if trainer.engine.world_size > 1:
            dist.all_reduce(counts)
        self.counts += counts
        self.moves += 1
        if self.moves % self.every == 0:
            up = (self.counts[0] / self.counts[1] - self.target).sign()
            p.add_(up * self.counts[1] / (1000 * self.ramp_kimg)).clamp_(0, self.max_p)
            self.counts.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Return the number of updates and the signs counted since ``p`` last changed. ``p`` itself is stored in the
        state dict of the game."""
        return {"moves": self.moves, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        counts = state["counts"].to(self.counts.device)
        if counts.shape != self.counts.shape or not bool(torch.isfinite(counts).all()):
            raise CheckpointError("the counts of AdaptiveAugment are not two finite numbers")
        self.moves, self.counts = check_count(state["moves"], "the number of moves of AdaptiveAugment"), counts
