"""The critic's side of a game."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from audiogan.core import Play
from audiogan.games.calling import logits_for_penalties, sum_over_critics
from audiogan.games.terms import add_terms, due_penalties
from audiogan.networks.base import CriticOutput


def critic_terms(
    loss: Any,
    judge: Callable[[Tensor], CriticOutput],
    real: Tensor,
    fake: Tensor,
    penalties: Mapping[str, Any],
    context: Play,
    judge_fake: Callable[[Tensor], CriticOutput] | None = None,
) -> tuple[dict[str, Tensor], CriticOutput, CriticOutput]:
    """Return the terms of a critic's loss (``loss`` and penalties by name), and its outputs for real and fake.

    Args:
        loss: has ``critic(real_logits, fake_logits)``.
        judge: the critic, with the inputs of the real examples bound.
        real, fake: batches ``[B, ...]``, without gradient.
        penalties: by name; those due at this step are added.
        context: of the move.
        judge_fake: the critic, with the inputs of the fakes bound, where they differ. Penalties use ``judge``.
    """
    of_real, of_fake = judge(real), (judge_fake or judge)(fake)
    terms = {"loss": sum_over_critics(loss.critic, of_real, of_fake)}
    values = due_penalties(
        penalties,
        context.step,
        lambda penalty: penalty(lambda x: logits_for_penalties(judge(x)), real, fake, context.rand),
    )
    return add_terms(terms, values), of_real, of_fake
