"""Tests of `Adversarial`: inputs of generator and critic, loss terms, sampling."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiogan.augment import Shift
from audiogan.core import Play
from audiogan.games import Adversarial
from audiogan.inputs import Classes, Input
from audiogan.losses import R1, NonSaturating, WeightClip
from audiogan.networks.base import CriticOutput
from audiogan.representations import ComplexSTFT, Identity, SoundFormat, Waveform


class Maker(nn.Module):
    latent_dim = 4

    def __init__(self, shape: tuple[int, ...], classes: int = 0, latent: str = "normal") -> None:
        super().__init__()
        self.shape, self.classes, self.latent = shape, classes, latent
        self.takes = frozenset({"latent", "classes"} if classes else {"latent"})
        self.dense = nn.Linear(4 + classes, int(torch.tensor(shape).prod()))

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        x = latent if classes is None else torch.cat([latent, classes], 1)
        return self.dense(x).view(len(x), *self.shape)


class Judge(nn.Module):
    def __init__(self, shape: tuple[int, ...], classes: int = 0) -> None:
        super().__init__()
        self.classes, self.seen = classes, []  # type: ignore[var-annotated]
        self.takes = frozenset({"classes"} if classes else ())
        self.dense = nn.Linear(int(torch.tensor(shape).prod()) + classes, 1)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        self.seen.append((x, classes))
        x = x.flatten(1)
        return self.dense(x if classes is None else torch.cat([x, classes], 1))[:, 0]


def game(representation: Any, classes: int = 0, latent: str = "normal", **options: Any) -> Adversarial:
    maker, judge = Maker(representation.shape, classes, latent), Judge(representation.shape, classes)
    return Adversarial(maker, judge, NonSaturating(), representation, **options)


def context(step: int = 0, player: str = "critic") -> Play:
    scratch = Play(step)
    scratch.begin_move(player)
    return scratch


def test_through_the_signal_the_critic_sees_what_one_hears() -> None:
    representation = ComplexSTFT(SoundFormat(512))
    batch = {"x": torch.randn(3, 1, 512)}
    for through in (True, False):
        it = game(representation, through_signal=through)
        it.losses("critic", batch, context())
        real, fake = (x for x, _ in it.nets["critic"].seen)  # type: ignore[union-attr]
        torch.testing.assert_close(real, representation.encode(batch["x"]))
        consistent = representation.encode(representation.decode(fake))
        assert torch.allclose(consistent, fake, atol=1e-3) == through


def test_penalties_are_lazy_and_named() -> None:
    it = game(Waveform(SoundFormat(16)), penalties=[R1(1.0, every=4)])
    batch = {"x": torch.randn(3, 1, 16)}
    assert set(it.losses("critic", batch, context(4))) == {"loss", "r1"}
    assert set(it.losses("critic", batch, context(5))) == {"loss"}


def test_penalties_can_be_left_out() -> None:
    """Test of `game.penalties=null` on the command line."""
    it = game(Waveform(SoundFormat(16)), penalties=None, generator_penalties=None)
    losses = it.losses("critic", {"x": torch.zeros(2, 1, 16)}, Play(0))
    assert set(losses) == {"loss"}


def test_only_the_generator_gets_a_gradient_through_the_fake() -> None:
    it = game(Waveform(SoundFormat(16)))
    sum(it.losses("critic", {"x": torch.randn(3, 1, 16)}, context()).values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is None for p in it.nets["generator"].parameters())
    it.losses("generator", {"x": torch.randn(3, 1, 16)}, context())["loss"].backward()
    assert all(p.grad is not None for p in it.nets["generator"].parameters())


def counted(*counts: int) -> dict[str, Input]:
    return {"classes": Classes(labels=list("abc"), counts=counts)}


def test_fakes_have_the_labels_of_the_batch() -> None:
    it = game(Waveform(SoundFormat(16)), classes=3, inputs=counted(1, 1, 8))
    it.losses("critic", {"x": torch.randn(4, 1, 16), "label": torch.tensor([2, 0, 1, 2])}, context())
    for _, classes in it.nets["critic"].seen:  # type: ignore[union-attr]
        assert classes.argmax(1).tolist() == [2, 0, 1, 2]
    with pytest.raises(ValueError, match="no labels"):
        it.losses("critic", {"x": torch.randn(4, 1, 16)}, context())


def test_classes_are_drawn_as_often_as_in_the_data() -> None:
    it = game(Waveform(SoundFormat(16)), classes=3, inputs=counted(1, 1, 8))
    drawn = it.draw(2000, torch.Generator().manual_seed(0))["classes"]
    torch.testing.assert_close(drawn.mean(0), torch.tensor([0.1, 0.1, 0.8]), atol=0.03, rtol=0)


@pytest.mark.parametrize("latent", ["normal", "uniform"])
def test_latents_are_what_the_paper_says(latent: str) -> None:
    it = game(Waveform(SoundFormat(16)), latent=latent)
    z = it.draw(4000, torch.Generator().manual_seed(0))["latent"]
    assert (z.abs().max() <= 1) == (latent == "uniform")
    assert abs(float(z.std()) - (1.0 if latent == "normal" else 3**-0.5)) < 0.02


def test_sampling_repeats_with_its_seed_and_takes_other_networks() -> None:
    it = game(Waveform(SoundFormat(16)), classes=2)
    one, two = (it.sample(5, rng=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, two) and one.shape == (5, 1, 16)
    other = Maker((1, 16), 2)
    assert not torch.equal(one, it.sample(5, rng=torch.Generator().manual_seed(1), nets={"generator": other}))


def test_the_constraint_acts_after_the_critics_move_only() -> None:
    it = game(Waveform(SoundFormat(16)), constraint=WeightClip(0.01))
    it.after_step("generator", context())
    assert it.nets["critic"].dense.weight.abs().max() > 0.01  # type: ignore[union-attr, operator]
    it.after_step("critic", context())
    assert it.nets["critic"].dense.weight.abs().max() <= 0.01  # type: ignore[union-attr, operator]


def test_both_networks_must_know_the_same_classes() -> None:
    with pytest.raises(ValueError, match="the generator has 2 classes, but the critic has 0"):
        Adversarial(Maker((1, 16), 2), Judge((1, 16)), NonSaturating(), Waveform(SoundFormat(16)))


class Classifying(Judge):
    """Critic that also returns class logits."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__(shape, 0)
        self.classes, self.takes = classes, frozenset()
        self.names = nn.Linear(int(torch.tensor(shape).prod()), classes)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Any:
        return CriticOutput(super().forward(x), self.names(x.flatten(1)))


def test_class_logits_are_a_loss_of_both_players() -> None:
    representation = Identity((16,))
    it = Adversarial(Maker((16,), 3), Classifying((16,), 3), NonSaturating(), representation, auxiliary_weight=0.5)
    batch = {"x": torch.randn(6, 16), "label": torch.arange(6) % 3}
    losses = it.losses("critic", batch, context())
    assert set(losses) == {"loss", "class_real", "class_fake"}
    named = it.nets["critic"](batch["x"]).classes
    expected = 0.5 * nn.functional.cross_entropy(named, batch["label"])
    torch.testing.assert_close(losses["class_real"], expected)
    assert set(it.losses("generator", batch, context(player="generator"))) == {"loss", "class_fake"}


def test_penalties_of_the_generator_are_lazy_and_keep_their_state() -> None:
    class Size(nn.Module):
        every = 2

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, generator: nn.Module, inputs: dict[str, Tensor], randn: Any) -> Tensor:
            assert set(inputs) == {"latent"} and inputs["latent"].shape == (3, 4) and randn(3, 2).shape == (3, 2)
            self.seen += 1
            return generator(**inputs).square().mean()

    it = game(Waveform(SoundFormat(16)), generator_penalties={"size": Size(), "none": None})
    batch = {"x": torch.randn(3, 1, 16)}
    assert set(it.losses("generator", batch, context(2, "generator"))) == {"loss", "size"}
    assert set(it.losses("generator", batch, context(3, "generator"))) == {"loss"}
    assert set(it.losses("critic", batch, context(2))) == {"loss"}
    assert [float(v) for k, v in it.state_dict().items() if k.endswith("seen")] == [1.0]


def test_score_sees_real_examples_as_they_are() -> None:
    it = game(Waveform(SoundFormat(16)), classes=3, augment=Shift(3))
    batch = {"x": torch.randn(5, 1, 16), "label": torch.arange(5) % 3}
    expected = it.nets["critic"](batch["x"], classes=torch.eye(3)[batch["label"]])
    torch.testing.assert_close(it.real_logits(batch), expected)
    assert not it.real_logits(batch).requires_grad and it.nets["critic"].training


def test_truncation_is_the_networks_own_where_it_has_one() -> None:
    it = game(Identity((16,)))
    z = it.draw(4, torch.Generator().manual_seed(0))
    torch.testing.assert_close(it.generate(z, truncation=0.5), it.generate({"latent": z["latent"] * 0.5}))

    class Own(Maker):
        def forward_truncated(self, truncation: float, **inputs: Tensor) -> Tensor:
            return torch.full((len(inputs["latent"]), 16), truncation)

    own = Adversarial(Own((16,)), Judge((16,)), NonSaturating(), Identity((16,)))
    assert (own.generate(z, truncation=0.5) == 0.5).all() and not (own.generate(z) == 1.0).all()


def test_the_critic_judges_the_samples_of_the_generators_move() -> None:
    """With `reuse_samples`, the critic also receives their inputs. Without samples of this step, it gets new ones."""
    representation = Waveform(SoundFormat(16))
    inputs = {"classes": Classes(labels=["kick", "snare"])}
    it = game(representation, classes=2, inputs=inputs, reuse_samples=True)
    judge: Any = it.nets["critic"]
    first, second = ({"x": torch.randn(3, 1, 16), "label": torch.tensor(labels)} for labels in ([0, 0, 1], [1, 1, 0]))
    scratch = context(player="generator")
    it.losses("generator", first, scratch)
    (fake, classes), judge.seen = judge.seen[0], []
    scratch.begin_move("critic")
    it.losses("critic", second, scratch)
    (real, of_real), (again, of_fake) = judge.seen
    assert torch.equal(again, fake) and not again.requires_grad and torch.equal(of_fake, classes)
    assert torch.equal(real, second["x"]) and of_real.argmax(1).tolist() == [1, 1, 0]
    it.losses("critic", second, context())
    assert not torch.equal(judge.seen[-1][0], fake)
