"""Tests of the semi-supervised game: losses, use of labels, training, and the logged accuracy."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import SmallClassifier
from torch import Tensor, nn

from audiogan.core import EMA, Engine, Play, Player, Stream, Trainer
from audiogan.errors import UserError
from audiogan.games import Accuracy, SemiSupervised
from audiogan.losses import R1, NonSaturating
from audiogan.networks.classifying import DenseClassifier
from audiogan.representations import Identity
from audiogan.run.config import compose
from audiogan.run.training import train as run


class Maker(nn.Module):
    latent_dim, latent, classes, takes = 3, "normal", 0, frozenset({"latent"})

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(3, 2)
        self.calls = 0

    def forward(self, latent: Tensor) -> Tensor:
        self.calls += 1
        return self.dense(latent)


class Points:
    """Three distant clusters in the plane."""

    labels = ("a", "b", "c")

    def __init__(self, n: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.targets = np.arange(n) % 3
        centres = np.array([[0, 1], [1, -1], [-1, -1]])
        self.x = torch.from_numpy(centres[self.targets] + 0.1 * rng.standard_normal((n, 2))).float()

    def __len__(self) -> int:
        return len(self.x)

    def signals(self, indices: Any) -> Tensor:
        return self.x[indices]

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        return {"x": self.x[indices], "label": torch.from_numpy(self.targets[indices])}


def game(**options: Any) -> SemiSupervised:
    torch.manual_seed(0)
    return SemiSupervised(Maker(), SmallClassifier(2), NonSaturating(), Identity([2]), **options)


def context(player: str = "critic", step: int = 0) -> Play:
    scratch = Play(step)
    scratch.begin_move(player)
    return scratch


def batches() -> dict[str, dict[str, Tensor]]:
    torch.manual_seed(1)
    labelled = {"x": torch.randn(6, 2), "label": torch.tensor([0, 1, 2, 0, 1, 2])}
    return {"labelled": labelled, "unlabelled": {"x": torch.randn(8, 2), "label": torch.zeros(8, dtype=torch.long)}}


def test_the_critics_loss_is_that_of_k_plus_one_classes() -> None:
    """Salimans et al. 2016, section 5: supervised loss, and real or fake by a softmax over K + 1 logits."""
    it, both = game(supervised_weight=1.0, unsupervised_weight=0.5), batches()
    losses = it.losses("critic", both, context())

    def probabilities(x: Tensor) -> Tensor:
        logits = it.nets["critic"](x)
        return torch.cat([logits, torch.zeros(len(x), 1)], 1).softmax(1)

    fake = it.nets["generator"](context().randn(8, 3))
    real_term = -(1 - probabilities(both["unlabelled"]["x"])[:, 3]).log().mean()
    fake_term = -probabilities(fake)[:, 3].log().mean()
    torch.testing.assert_close(losses["loss"], 0.5 * (real_term + fake_term))
    known = probabilities(both["labelled"]["x"])
    among_real = known[:, :3] / known[:, :3].sum(1, keepdim=True)
    torch.testing.assert_close(losses["labels"], -among_real[range(6), both["labelled"]["label"]].log().mean())


def test_labels_of_unlabelled_examples_change_nothing() -> None:
    it, one, two = game(), batches(), batches()
    two["unlabelled"]["label"] += 1
    del one["unlabelled"]["label"]
    for name, term in it.losses("critic", one, context()).items():
        assert torch.equal(term, it.losses("critic", two, context())[name])


def test_without_the_unsupervised_half_it_is_a_classifier_that_asks_for_no_fakes() -> None:
    it = game(unsupervised_weight=0.0, penalties=[R1()])
    assert set(it.losses("critic", batches(), context())) == {"labels"}
    assert it.nets["generator"].calls == 0


def test_the_generator_matches_mean_features() -> None:
    it, batch = game(feature_matching_weight=2.0), batches()["unlabelled"]
    losses = it.losses("generator", batch, context("generator"))
    critic, fake = it.nets["critic"], it.nets["generator"](context("generator").randn(8, 3))
    gap = critic.features(fake).mean(0) - critic.features(batch["x"]).mean(0)  # type: ignore[operator]
    assert set(losses) == {"features"}
    torch.testing.assert_close(losses["features"], 2 * gap.square().mean())
    losses["features"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in it.nets["generator"].parameters())


def test_the_generator_may_learn_from_the_loss_instead() -> None:
    it = game(feature_matching_weight=0.0, adversarial_weight=1.0)
    losses = it.losses("generator", batches()["unlabelled"], context("generator"))
    fake = it.nets["generator"](context("generator").randn(8, 3))
    z = it.nets["critic"](fake).exp().sum(1)
    torch.testing.assert_close(losses["loss"], -(z / (z + 1)).log().mean())


def test_score_is_the_logit_of_being_real_and_classify_ignores_dropout_and_noise() -> None:
    torch.manual_seed(0)
    it = SemiSupervised(Maker(), DenseClassifier([2], 3, widths=[8]), NonSaturating(), Identity([2]))
    x = torch.randn(5, 2)
    assert it.classify(x).shape == (5, 3) and torch.equal(it.classify(x), it.classify(x))
    assert not torch.equal(it.nets["critic"](x), it.nets["critic"](x))
    torch.testing.assert_close(it.real_logits({"x": x}).sigmoid(), 1 - 1 / (1 + it.classify(x).exp().sum(1)))


def test_penalties_of_the_critic_are_on_the_logit_of_being_real() -> None:
    it, both = game(penalties=[R1(2.0, every=1)]), batches()
    value = it.losses("critic", both, context())["r1"]
    x = both["unlabelled"]["x"].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(torch.log(it.nets["critic"](x).exp().sum(1)).sum(), x)
    torch.testing.assert_close(value.detach(), gradient.square().sum(1).mean())


def test_misuse_is_named() -> None:
    conditional = Maker()
    conditional.classes = 3
    with pytest.raises(ValueError, match="without classes, not with 3"):
        SemiSupervised(conditional, SmallClassifier(2), NonSaturating(), Identity([2]))
    with pytest.raises(ValueError, match="has no loss"):
        game(feature_matching_weight=0, adversarial_weight=0)


class Log:
    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def append_row(self, trainer: Any, row: dict[str, float]) -> None:
        self.rows.append(row)


def test_it_learns_and_the_log_says_how_well() -> None:
    torch.manual_seed(0)
    it = SemiSupervised(Maker(), DenseClassifier([2], 3, widths=[32], noise=0.1), NonSaturating(), Identity([2]))
    adam: Any = partial(torch.optim.Adam, lr=0.01, betas=(0.5, 0.99))
    players = [
        Player("critic", ("critic",), adam, ("labelled", "unlabelled")),
        Player("generator", ("generator",), adam, ("unlabelled",)),
    ]
    streams = {"labelled": Stream(Points(3), 3), "unlabelled": Stream(Points(60, seed=1), 16)}
    log, held_out = Log(), Points(90, seed=2)
    callbacks = {"ema": EMA(["critic"], 0.9), "accuracy": Accuracy(held_out, log, every=50)}
    Trainer(it, players, streams, callbacks, Engine("cpu", threads=1), steps=120).run()
    assert [row["step"] for row in log.rows] == [50, 100, 120]
    right = (it.classify(held_out.x).argmax(1).numpy() == held_out.targets).mean()
    assert log.rows[-1]["held_out/accuracy"] == pytest.approx(right) and right > 0.95
    assert log.rows[-1]["held_out/accuracy_ema"] > 0.95


SMALL = ("data.root=digits", "width=4", "game.critic.widths=[16]", "callbacks.previews=null", "engine.threads=1")


def test_the_configuration_logs_accuracy_and_its_baseline_is_one_override(tmp_path: Path) -> None:
    for name, extra in (("semi", []), ("alone", ["game.unsupervised_weight=0", "~players.generator"])):
        short = ["trainer.steps=4", "callbacks.accuracy.every=2", f"run_dir={tmp_path / name}"]
        trainer = run(compose("semi-supervised", [*SMALL, *short, *extra]), progress=False, echo=lambda line: None)
        rows = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows if "held_out/accuracy_ema" in row] == [2, 4]
        assert len(trainer.streams["labelled"].dataset) == 100
        moved = {key.split("/")[0] for row in rows for key in row if key.endswith("grad_norm")}
        assert moved == ({"critic", "generator"} if name == "semi" else {"critic"})


def test_more_labels_than_there_are_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="PerClass count=1000, but class '0' has"):
        run(compose("semi-supervised", [*SMALL, "streams.labelled.count=1000", f"run_dir={tmp_path}"]), progress=False)
