"""Tests of loss terms: values, names, and games with several critics compared with a single critic."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_networks import SmallClassifier
from torch import Tensor, nn

from audiogan.core import Play
from audiogan.games import VAEGAN, Adversarial, MultiCritic, SemiSupervised
from audiogan.games.terms import add_terms, name_terms
from audiogan.losses import R1, R2, NonSaturating, OrthogonalRegularisation
from audiogan.networks.base import CriticOutput
from audiogan.representations import Identity


class Maker(nn.Module):
    latent, latent_dim = "normal", 3

    def __init__(self, classes: int = 0, knobs: int = 0) -> None:
        super().__init__()
        self.classes, self.knobs = classes, knobs
        sizes = {"latent": 3, "classes": classes, "knobs": knobs}
        self.takes = frozenset(name for name, size in sizes.items() if size)
        self.dense = nn.Linear(3 + classes + knobs, 4)

    def forward(self, latent: Tensor, classes: Tensor | None = None, knobs: Tensor | None = None) -> Tensor:
        return self.dense(torch.cat([x for x in (latent, classes, knobs) if x is not None], 1))


class Critic(nn.Module):
    """Critic with one head or several heads, optionally with class logits and with a view of the signal."""

    def __init__(self, kind: str = "plain", classes: int = 0) -> None:
        super().__init__()
        self.kind, self.classes = kind, classes
        self.takes = frozenset({"classes"} if classes and kind != "auxiliary" else ())
        inputs = 8 if kind == "view" else 4
        self.dense = nn.Linear(inputs + (0 if kind == "auxiliary" else classes), 2 if kind == "heads" else 1)
        self.names = nn.Linear(inputs, max(classes, 1))
        if kind == "view":
            self.view = lambda x: torch.cat([x, x.square()], 1)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Any:
        if self.kind == "auxiliary":
            return CriticOutput(self.dense(x)[:, 0], self.names(x))
        logits = self.dense(x if classes is None else torch.cat([x, classes], 1))
        return list(logits.unbind(1)) if self.kind == "heads" else logits[:, 0]


def context(player: str, step: int = 0) -> Play:
    scratch = Play(step)
    scratch.begin_move(player)
    return scratch


def batch(n: int = 6, classes: int = 0, knobs: int = 0) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(1)
    made = {"x": torch.randn(n, 4, generator=rng)}
    if classes:
        made["label"] = torch.arange(n) % classes
    return made | ({"knobs": torch.randn(n, knobs, generator=rng)} if knobs else {})


def values(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in losses.items()}


@pytest.mark.parametrize("game", ["adversarial", "multi", "semi"])
def test_two_penalties_of_one_class_both_count(game: str) -> None:
    def losses(penalties: Any) -> dict[str, float]:
        torch.manual_seed(0)
        generator: Any = Maker()
        options: dict[str, Any] = {"loss": NonSaturating(), "representation": Identity((4,)), "penalties": penalties}
        if game == "multi":
            critics = {"critic_0": Critic(), "critic_1": Critic()}
            return values(MultiCritic(generator, critics, **options).losses("critic_1", batch(), context("critic_1")))
        if game == "semi":
            both = {"labelled": batch(classes=3), "unlabelled": batch()}
            semi = SemiSupervised(generator, SmallClassifier(4), **options)
            return values(semi.losses("critic", both, context("critic")))
        return values(Adversarial(generator, Critic(), **options).losses("critic", batch(), context("critic")))

    both = losses({"r1": R1(1.0, every=1), "strong": R1(3.0, every=1), "none": None, "r2": R2(1.0, every=1)})
    assert {"r1", "strong", "r2"} <= set(both) and "none" not in both
    assert both["strong"] == pytest.approx(3 * both["r1"]) and both["r1"] > 0
    listed = losses([R1(1.0, every=1), None, R1(3.0, every=1), R2(1.0, every=1)])
    assert list(listed)[-3:] == ["r1", "r1_2", "r2"]
    assert sorted(listed.values()) == pytest.approx(sorted(both.values()))


@pytest.mark.parametrize("game", ["adversarial", "multi", "semi"])
def test_penalties_of_the_generator_reach_it_in_every_game(game: str) -> None:
    torch.manual_seed(0)
    penalties = {"one": OrthogonalRegularisation(1.0, every=2), "two": OrthogonalRegularisation(3.0)}
    options: dict[str, Any] = {
        "loss": NonSaturating(),
        "representation": Identity((4,)),
        "generator_penalties": penalties,
    }
    it: Any
    if game == "multi":
        it = MultiCritic(Maker(), {"critic_0": Critic(), "critic_1": Critic()}, **options)
    elif game == "semi":
        it = SemiSupervised(Maker(), SmallClassifier(4), **options)
    else:
        it = Adversarial(Maker(), Critic(), **options)
    due = values(it.losses("generator", batch(), context("generator", 2)))
    assert due["two"] == pytest.approx(1.5 * due["one"]) and due["one"] > 0
    assert "one" not in it.losses("generator", batch(), context("generator", 3))


KINDS = [(kind, *sizes) for kind in ("plain", "heads", "view") for sizes in ((0, 0), (3, 0), (3, 2), (0, 2))]


@pytest.mark.parametrize(("kind", "classes", "knobs"), [*KINDS, ("auxiliary", 3, 0), ("auxiliary", 3, 2)])
def test_a_game_of_one_critic_is_the_ordinary_game(kind: str, classes: int, knobs: int) -> None:
    torch.manual_seed(0)
    generator, critic = Maker(classes, knobs), Critic(kind, classes)
    options: dict[str, Any] = {
        "loss": NonSaturating(),
        "representation": Identity((4,)),
        "penalties": {"r1": R1(1.0, every=1)},
        "generator_penalties": {"angles": OrthogonalRegularisation(1.0)},
    }
    one = Adversarial(generator, critic, **options)
    many = MultiCritic(generator, {"critic_0": critic, "critic_1": critic}, **options)
    data = batch(classes=classes, knobs=knobs)
    assert values(many.losses("generator", data, context("generator"))) == pytest.approx(
        values(one.losses("generator", data, context("generator")))
    )
    ours, theirs = context("critic"), context("critic")
    assert values(many.losses("critic_1", data, ours)) == values(one.losses("critic", data, theirs))
    assert torch.equal(ours.recorded_values["real_logits"], theirs.recorded_values["real_logits"])
    assert torch.allclose(many.real_logits(data), one.real_logits(data)) and many.real_logits(data).shape == (6,)


def test_names_that_the_log_uses_are_refused() -> None:
    for name in ("loss", "grad_norm", "real_logits"):
        with pytest.raises(ValueError, match=f"penalties: the name '{name}' is reserved"):
            Adversarial(Maker(), Critic(), NonSaturating(), Identity((4,)), penalties={name: R1()})
    with pytest.raises(ValueError, match="generator_penalties"):
        Adversarial(Maker(), Critic(), NonSaturating(), Identity((4,)), generator_penalties={"loss": R1()})
    with pytest.raises(ValueError, match="auxiliary"):
        SemiSupervised(Maker(), SmallClassifier(4), NonSaturating(), Identity((4,)), auxiliary_weight=2.0)


def test_terms_of_one_name_add_up() -> None:
    parts = {"a": torch.tensor(1.0), "b": torch.tensor(2.0)}, {"a": torch.tensor(4.0)}
    assert values(add_terms(*parts)) == {"a": 5.0, "b": 2.0}
    terms: Any = {1: "x", "y": None}
    assert list(name_terms(terms, "where")) == ["1"] and name_terms(None, "where") == {}


class Encoder(nn.Module):
    latent_dim, takes = 3, frozenset[str]()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, :3], torch.zeros(len(x), 3)


class Listener(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, :0], x[:, :2]


class DecayLoss(nn.Module):
    knob, index = "decay", 1

    def forward(self, x: Tensor, requested: Tensor) -> Tensor:
        return (x[:, 3] - requested[:, 1]).abs().mean()


@pytest.mark.parametrize("named_in_yaml", [True, False])
def test_two_losses_of_one_knob_both_count(named_in_yaml: bool) -> None:
    torch.manual_seed(0)
    losses_of_knobs = DecayLoss(), DecayLoss()
    it = VAEGAN(
        Maker(knobs=2),
        Critic(),
        Encoder(),
        NonSaturating(),
        Identity((4,)),
        nn.MSELoss(),
        listener=Listener(),
        knob_losses=dict(zip(("decay", "kl"), losses_of_knobs, strict=True)) if named_in_yaml else losses_of_knobs,
    )
    losses = values(it.losses("generator", batch(knobs=2), context("generator")))
    alone = losses["decay"]
    if named_in_yaml:  # Another term has the same key, so the two terms are added.
        it.knob_losses.pop("kl")
        without = values(it.losses("generator", batch(knobs=2), context("generator")))
        assert losses["kl"] == pytest.approx(without["kl"] + alone) and alone > 0
    else:
        assert losses["decay_2"] == alone
