"""Tests of `Adversarial` with a source: inputs of the networks, and loss terms of translations."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from translators import Critic, Translator, context, paired, source

from audiogan.core import EMA, Engine, Player, Stream, Trainer, load_state, save_state
from audiogan.games import Adversarial, MultiCritic
from audiogan.inputs import Classes
from audiogan.losses import L1, R1, R2, NonSaturating, RelativisticPairing
from audiogan.networks.base import CriticOutput
from audiogan.representations import Identity


def game(critic: Critic | None = None, loss: Any = None, scale: float = 1.0, **options: Any) -> Adversarial:
    torch.manual_seed(0)
    critic = Critic(source=True) if critic is None else critic
    return Adversarial(Translator(scale), critic, loss or NonSaturating(), Identity((2,)), source(), **options)


def batch(n: int = 6) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return {"x": torch.randn(n, 2, generator=rng), "source": torch.randn(n, 2, generator=rng)}


def test_both_networks_receive_the_source_of_the_batch() -> None:
    it, data = game(scale=2.0), batch()
    it.losses("critic", data, context("critic"))
    (real, beside_real), (fake, beside_fake) = it.nets["critic"].received  # type: ignore[union-attr, misc]
    assert torch.equal(real, data["x"]) and torch.equal(fake, 2 * data["source"])
    assert beside_real is not None and torch.equal(beside_real, data["source"]) and beside_fake is beside_real
    with pytest.raises(ValueError, match=r"inputs.source: the data has no column 'source'; it has x"):
        it.losses("critic", {"x": data["x"]}, context("critic"))


def test_score_and_features_judge_with_the_source() -> None:
    it, data = game(), batch()
    expected = it.nets["critic"](data["x"], data["source"])
    torch.testing.assert_close(it.real_logits(data), expected.detach())
    assert it.features(data).shape == (6, 16) and it.used_columns() == {"x", "label", "source"}


def test_distances_are_named_by_their_keys() -> None:
    it, data = game(distances={"near": L1(100.0), "none": None, "far": L1()}), batch()
    losses = it.losses("generator", data, context())
    assert set(losses) == {"loss", "near", "far"}
    torch.testing.assert_close(losses["near"], 100 * (data["source"] - data["x"]).abs().mean())
    assert set(game(distances=[L1(), L1()]).losses("generator", data, context())) == {"loss", "l1", "l1_2"}
    assert set(it.losses("critic", data, context("critic"))) == {"loss"}
    with pytest.raises(ValueError, match="distances: the name 'loss' is reserved"):
        game(distances={"loss": L1()})


def test_without_an_adversarial_loss_the_critic_is_not_used() -> None:
    it, data = game(adversarial_weight=0.0, distances={"l1": L1()}, loss=RelativisticPairing()), batch()
    losses = it.losses("generator", data, context())
    assert set(losses) == {"l1"} and not it.nets["critic"].received
    losses["l1"].backward()
    assert all(p.grad is None for p in it.nets["critic"].parameters())
    half, whole = (game(adversarial_weight=a).losses("generator", data, context())["loss"] for a in (0.5, 1.0))
    assert torch.equal(half, 0.5 * whole)


def test_feature_matching_is_the_mean_difference_of_the_hidden_layers() -> None:
    it, data = game(Critic(source=True, features=True), feature_matching_weight=10.0), batch()
    losses = it.losses("generator", data, context())
    of_fake, of_real = (it.nets["critic"](x, data["source"]).features for x in (data["source"], data["x"]))
    expected = torch.stack([(a - b).abs().mean() for a, b in zip(of_fake, of_real, strict=True)]).mean()
    torch.testing.assert_close(losses["features"], 10 * expected)
    with pytest.raises(ValueError, match="feature_matching_weight needs a critic that returns features"):
        game(feature_matching_weight=1.0).losses("generator", data, context())


def test_a_relativistic_loss_compares_with_real_logits() -> None:
    penalties = {"r1": R1(1.0, every=1), "r2": R2(1.0, every=1)}
    it, data = game(loss=RelativisticPairing(), penalties=penalties), batch()
    real, fake = (it.nets["critic"](x, data["source"]) for x in (data["x"], data["source"]))
    losses = it.losses("generator", data, context())
    torch.testing.assert_close(losses["loss"], nn.functional.softplus(real - fake).mean())
    losses["loss"].backward()
    critic = it.losses("critic", data, context("critic"))
    assert set(critic) == {"loss", "r1", "r2"} and not torch.equal(critic["r1"], critic["r2"])
    torch.testing.assert_close(critic["loss"], nn.functional.softplus(fake - real).mean())


def test_augmentation_of_the_target_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="augment transforms only x, so the critic must not also receive"):
        game(augment=nn.Identity())
    game(Critic(source=False), augment=nn.Identity())


def test_several_critics_receive_the_source() -> None:
    critics = {"one": Critic(source=True), "two": Critic(source=True)}
    it = MultiCritic(Translator(), critics, NonSaturating(), Identity((2,)), inputs=source(), distances={"l1": L1()})
    assert set(it.losses("generator", batch(), context())) == {"loss", "l1"}
    assert set(it.losses("one", batch(), context("one"))) == {"loss"} and it.real_logits(batch()).shape == (6,)


# A target class that is drawn during training (StarGAN, Choi et al., CVPR 2018).


class Star(Translator):
    takes, classes = frozenset({"source", "classes"}), 3

    def forward(self, source: Tensor, classes: Tensor) -> Tensor:  # type: ignore[override]
        self.targets = classes.argmax(1)
        return self.dense(source) + self.targets[:, None]


class StarCritic(nn.Module):
    """Critic that predicts the classes as an auxiliary classifier, or receives them."""

    def __init__(self, receives: bool) -> None:
        super().__init__()
        self.takes, self.classes = frozenset({"classes"} if receives else ()), 3
        self.dense, self.names = nn.Linear(2, 1), nn.Linear(2, 3)
        self.received: list[Tensor] = []

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Any:
        if classes is None:
            return CriticOutput(self.dense(x)[:, 0], self.names(x))
        self.received.append(classes.argmax(1))
        return self.dense(x)[:, 0] + (self.names(x) * classes).sum(1)


def star(receives: bool, **options: Any) -> tuple[Adversarial, dict[str, Tensor]]:
    torch.manual_seed(0)
    inputs = {**source("x"), "classes": Classes(labels=list("abc"), column=None)}
    it = Adversarial(Star(), StarCritic(receives), NonSaturating(), Identity((2,)), inputs, **options)
    return it, {"x": batch(60)["x"], "label": torch.arange(60) % 3}


def test_outputs_have_drawn_classes_and_real_examples_their_own() -> None:
    it, data = star(receives=False)
    losses = it.losses("critic", data, context("critic"))
    critic, generator = it.nets["critic"], it.nets["generator"]
    targets = generator.targets
    assert set(targets.tolist()) == {0, 1, 2} and not torch.equal(targets, data["label"])
    expected = nn.functional.cross_entropy(critic.names(data["x"]), data["label"])  # type: ignore[operator]
    torch.testing.assert_close(losses["class_real"], expected)
    fake = data["x"] + targets[:, None]
    torch.testing.assert_close(losses["class_fake"], nn.functional.cross_entropy(critic.names(fake), targets))  # type: ignore[operator]


def test_a_critic_that_receives_classes_judges_real_examples_with_their_own() -> None:
    it, data = star(receives=True)
    it.losses("critic", data, context("critic"))
    of_real, of_fake = it.nets["critic"].received  # type: ignore[union-attr, misc]
    assert torch.equal(of_real, data["label"]) and torch.equal(of_fake, it.nets["generator"].targets)
    assert torch.equal(it.real_logits(data), it.nets["critic"](data["x"], torch.eye(3)[data["label"]]).detach())
    it.loss = RelativisticPairing()
    it.nets["critic"].received.clear()  # type: ignore[union-attr, operator]
    it.losses("generator", data, context())
    of_fake, of_real = it.nets["critic"].received  # type: ignore[union-attr, misc]
    assert torch.equal(of_real, data["label"]) and torch.equal(of_fake, it.nets["generator"].targets)


# Training.


def trainer(steps: int) -> Trainer:
    torch.manual_seed(0)
    it = game(
        Critic(source=True, features=True),
        distances={"l1": L1(2.0)},
        feature_matching_weight=1.0,
        penalties={"r1": R1(0.1, every=2)},
    )
    adam: Any = partial(torch.optim.Adam, lr=0.02, betas=(0.5, 0.9))
    players = [Player("critic", ("critic",), adam), Player("generator", ("generator",), adam)]
    callbacks = {"ema": EMA(["generator"])}
    return Trainer(it, players, {"train": Stream(paired(), 16)}, callbacks, Engine("cpu", threads=1), steps=steps)


def test_a_resumed_run_ends_bit_identical(tmp_path: Path) -> None:
    whole, first, second = trainer(9), trainer(4), trainer(9)
    whole.run()
    first.run()
    save_state(tmp_path / "half", first.state_dict())
    second.load_state_dict(load_state(tmp_path / "half"))
    second.run()
    one, two = ({**t.game.state_dict(), **t.callbacks["ema"].nets.state_dict()} for t in (whole, second))  # type: ignore[attr-defined]
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_it_learns_to_translate() -> None:
    run, data = trainer(300), paired().examples(slice(None))
    before = float((data["source"] - data["x"]).abs().mean())
    run.run()
    made = run.game.generate({"source": data["source"]})  # type: ignore[operator]
    assert float((made - data["x"]).abs().mean()) < 0.2 * before
