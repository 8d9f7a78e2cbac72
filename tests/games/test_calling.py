"""Tests of the inputs of networks, and of logits of any shape."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiogan.games import Adversarial
from audiogan.games.calling import call_network, check_input_names, input_names
from audiogan.games.critics import logits_for_penalties, logits_per_sample, sum_over_critics, to_critic_output
from audiogan.losses import R1, GradientPenalty, Hinge, LeastSquares, NonSaturating, RelativisticPairing
from audiogan.networks.base import CriticOutput
from audiogan.representations import Identity


class Net(nn.Module):
    def __init__(self, *names: str) -> None:
        super().__init__()
        self.takes = frozenset(names)

    def forward(self, *x: Tensor, **inputs: Tensor) -> Any:
        return x, inputs


def test_a_network_must_say_what_it_takes() -> None:
    with pytest.raises(ValueError, match="Linear has no attribute `takes`: the names of its inputs"):
        input_names(nn.Linear(1, 1))
    text = Net()
    text.takes = "latent"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="no attribute `takes`"):
        input_names(text)


def test_missing_inputs_are_named_with_both_lists() -> None:
    check_input_names(Net("latent"), ["latent", "source"])
    with pytest.raises(ValueError) as caught:
        check_input_names(Net("source", "latent"), ["latent", "classes"])
    assert str(caught.value) == (
        "Net takes latent, source, but source is not among the inputs of this game: latent, classes; "
        "add it to the configuration: inputs.source"
    )
    with pytest.raises(ValueError, match="this game: none; the data has no labels, or the setting is classes=0"):
        check_input_names(Net("classes"), [])
    with pytest.raises(ValueError, match="the data has no knobs"):
        check_input_names(Net("knobs"), [])
    with pytest.raises(ValueError, match="latent_dim"):
        check_input_names(Net("latent"), [])


def test_a_game_checks_its_networks_at_the_start() -> None:
    generator = Net("latent")
    generator.latent_dim = 3  # type: ignore[assignment]
    with pytest.raises(ValueError, match="Net takes source, but source is not among the inputs of this game: latent"):
        Adversarial(generator, Net("source"), NonSaturating(), Identity((2,)))


def test_networks_get_the_inputs_that_they_take_by_keyword() -> None:
    inputs = {"latent": torch.zeros(1), "source": torch.ones(1)}
    x, given = call_network(Net("source"), inputs, torch.zeros(2))
    assert len(x) == 1 and list(given) == ["source"]
    assert call_network(Net(), inputs) == ((), {})
    assert set(call_network(Net(), inputs, names=frozenset(inputs))[1]) == set(inputs)


LOSSES = [NonSaturating(), LeastSquares(), Hinge()]


@pytest.mark.parametrize("loss", LOSSES)
def test_one_logit_a_sample_and_patches_are_averaged(loss: Any) -> None:
    for shape in ((5,), (5, 1, 3, 4)):
        real, fake = torch.randn(2, *shape)
        outputs = to_critic_output(real), to_critic_output(fake)
        assert torch.equal(sum_over_critics(loss.critic, *outputs), loss.critic(real, fake))
        assert torch.equal(sum_over_critics(loss.generator, outputs[1]), loss.generator(fake))
        for reduce in (logits_per_sample, logits_for_penalties):
            torch.testing.assert_close(reduce(outputs[0]), real.flatten(1).mean(1) if real.dim() > 1 else real)


@pytest.mark.parametrize("loss", LOSSES)
def test_several_critics_have_the_arithmetic_of_earlier_versions(loss: Any) -> None:
    """Logits ``[B, critics]``: the mean over both dimensions, times the number of critics."""
    real, fake = torch.randn(2, 6, 3)
    lists = to_critic_output(list(real.unbind(1))), to_critic_output(list(fake.unbind(1)))
    assert torch.equal(sum_over_critics(loss.critic, *lists), 3 * loss.critic(real, fake))
    assert torch.equal(sum_over_critics(loss.generator, lists[1]), 3 * loss.generator(fake))
    assert torch.equal(logits_for_penalties(lists[0]), real) and torch.equal(logits_per_sample(lists[0]), real.mean(1))


@pytest.mark.parametrize("loss", [*LOSSES, RelativisticPairing()])
def test_critics_of_different_shapes_each_learn_as_alone(loss: Any) -> None:
    shapes = (6,), (6, 1, 3, 3), (6, 4)
    real, fake = ([torch.randn(shape) for shape in shapes] for _ in range(2))
    outputs = to_critic_output(CriticOutput(real)), to_critic_output(CriticOutput(tuple(fake)))
    expected = sum(loss.critic(a, b) for a, b in zip(real, fake, strict=True))
    torch.testing.assert_close(sum_over_critics(loss.critic, *outputs), expected)
    means = torch.stack([x.reshape(6, -1).mean(1) for x in real], 1)
    torch.testing.assert_close(logits_for_penalties(outputs[0]), means)
    torch.testing.assert_close(logits_per_sample(outputs[0]), means.mean(1))


def test_a_list_of_one_critic_is_that_critic() -> None:
    real, fake = torch.randn(2, 5, 4)
    for shape in ((5, 4), (5, 1, 2, 2)):
        lists = to_critic_output([real.reshape(shape)]), to_critic_output([fake.reshape(shape)])
        torch.testing.assert_close(sum_over_critics(Hinge().critic, *lists), Hinge().critic(real, fake))
        torch.testing.assert_close(logits_for_penalties(lists[0]), real.mean(1))


def test_other_parts_of_an_output_are_kept() -> None:
    out = to_critic_output(CriticOutput([torch.zeros(2), torch.zeros(2)], torch.ones(2, 3), [torch.ones(2)]))
    assert out.classes is not None and out.features is not None and len(out.logits) == 1


@pytest.mark.parametrize("penalty", [R1(2.0, every=1), GradientPenalty(2.0)])
def test_penalties_differentiate_the_mean_of_each_sample(penalty: Any) -> None:
    """A critic with 12 equal patches has the same penalty as a critic with one logit."""
    dense = nn.Linear(3, 1)

    def patches(x: Tensor) -> Tensor:
        return logits_for_penalties(to_critic_output(torch.tanh(dense(x))[:, :, None].expand(-1, 3, 4)))

    def single(x: Tensor) -> Tensor:
        return logits_for_penalties(to_critic_output(torch.tanh(dense(x))[:, 0]))

    real, fake = torch.randn(2, 5, 3)
    values = [penalty(critic, real, fake, lambda *shape: torch.full(shape, 0.3)) for critic in (patches, single)]
    torch.testing.assert_close(*values)
