"""Functions for the outputs of critics: losses, penalties and logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from audiogan.core import Play
from audiogan.games.terms import add_terms, due_penalties
from audiogan.networks.base import CriticOutput


def critic_terms(
    loss: Any,
    critic: Callable[[Tensor], CriticOutput],
    real: Tensor,
    fake: Tensor,
    penalties: Mapping[str, Any],
    context: Play,
    critic_for_fake: Callable[[Tensor], CriticOutput] | None = None,
) -> tuple[dict[str, Tensor], CriticOutput, CriticOutput]:
    """Return the terms of a critic's loss.

    Args:
        loss: adversarial loss with a method ``critic(real_logits, fake_logits)``.
        critic: function from a batch ``[B, ...]`` to a `CriticOutput`. It passes the named inputs of the real examples
            to the critic network. Penalties call this function as well.
        real: real examples ``[B, ...]``, without gradient.
        fake: generated samples ``[B, ...]``, without gradient.
        penalties: penalties by name. A penalty is added if the step is a multiple of its ``every``.
        context: context of this update.
        critic_for_fake: function like ``critic`` that passes the named inputs of the generated samples. By default,
            ``critic``.

    Returns:
        A tuple of the terms by name, the output for ``real``, and the output for ``fake``.
    """
    of_real, of_fake = critic(real), (critic_for_fake or critic)(fake)
    terms = {"loss": sum_over_critics(loss.critic, of_real, of_fake)}
    values = due_penalties(
        penalties,
        context.step,
        lambda penalty: penalty(lambda x: logits_for_penalties(critic(x)), real, fake, context.rand),
    )
    return add_terms(terms, values), of_real, of_fake


def to_critic_output(output: Any) -> CriticOutput:
    """Return the output of a critic as a `CriticOutput`.

    Logits of several critics, a list of tensors ``[B]``, become one tensor ``[B, critics]``.
    """
    out = output if isinstance(output, CriticOutput) else CriticOutput(output)
    if not isinstance(out.logits, Tensor):
        logits = list(out.logits)
        if all(part.dim() == 1 for part in logits):
            return out._replace(logits=[torch.stack(logits, dim=1)])
        return out._replace(logits=logits if len(logits) > 1 else logits[0])
    return out


def sum_over_critics(loss: Any, *outputs: CriticOutput) -> Tensor:
    """Return the sum of an adversarial loss over critics. With a sum, each critic has the same gradient as it would
    have alone.

    Args:
        loss: function from logits to a scalar.
        outputs: outputs of the critics, such as those for real and generated samples.
    """
    first = outputs[0].logits
    if isinstance(first, Tensor):
        return loss(*(out.logits for out in outputs))
    if len(first) == 1:  # The loss averages logits [B, critics].
        return first[0].shape[1] * loss(*(out.logits[0] for out in outputs))
    losses = [loss(*parts) for parts in zip(*(out.logits for out in outputs), strict=True)]
    return torch.stack(losses).sum()


def logits_per_sample(output: CriticOutput) -> Tensor:
    """Return one logit for each sample, ``[B]``: the mean over critics, positions and channels."""
    if isinstance(output.logits, Tensor):
        return _mean_per_sample(output.logits)
    return torch.stack([_mean_per_sample(part) for part in output.logits]).mean(0)


def logits_for_penalties(output: CriticOutput) -> Tensor:
    """Return the logits that gradient penalties differentiate: the mean over positions for each critic, ``[B]`` or
    ``[B, critics]``."""
    if isinstance(output.logits, Tensor):
        return _mean_per_sample(output.logits)
    if len(output.logits) == 1:
        return output.logits[0]
    return torch.stack([_mean_per_sample(part) for part in output.logits], dim=1)


def _mean_per_sample(logits: Tensor) -> Tensor:
    return logits if logits.dim() == 1 else logits.flatten(1).mean(1)
