"""Tests of MD-GAN: mean loss over critics, separate data for each critic, exchange of critics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiogan.core import Engine, Play, Player, Stream, Trainer
from audiogan.games import MultiCritic
from audiogan.losses import R1, NonSaturating, WeightClip
from audiogan.networks.mlp import MLPCritic, MLPGenerator
from audiogan.representations import Identity
from audiogan.run.config import compose
from audiogan.run.training import train as run


class Judge(MLPCritic):
    """Critic with a buffer that stores the samples it has received."""

    def __init__(self, classes: int = 0) -> None:
        super().__init__([2], classes, widths=[16])
        self.register_buffer("mark", torch.rand(1))
        self.seen: list[tuple[Tensor, Tensor | None]] = []

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Any:
        self.seen.append((x, classes))
        return super().forward(x, classes=classes)


class Cluster:
    """Points around a centre."""

    def __init__(self, place: Sequence[float], n: int = 64) -> None:
        noise = np.random.default_rng(0).standard_normal((n, 2))
        self.x = torch.from_numpy(np.asarray(place) + 0.1 * noise).float()

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        return {"x": self.x[indices]}


def game(n: int = 3, classes: int = 0, **options: Any) -> MultiCritic:
    torch.manual_seed(0)
    critics = {f"critic_{i}": Judge(classes) for i in range(n)}
    return MultiCritic(MLPGenerator([2], 4, classes, [16]), critics, NonSaturating(), Identity([2]), **options)


def context(player: str, step: int = 0) -> Play:
    scratch = Play(step)
    scratch.begin_move(player)
    return scratch


def trainer(it: MultiCritic, steps: int, lr: float = 0.005) -> Trainer:
    adam: Any = partial(torch.optim.Adam, lr=lr, betas=(0.5, 0.9))
    places = [(-2, 0), (0, 2), (2, 0)][: len(it.critics)]
    shards = {f"shard_{i}": Stream(Cluster(place), 16, seed=i) for i, place in enumerate(places)}
    players = [Player(name, (name,), adam, (f"shard_{i}",)) for i, name in enumerate(it.critics)]
    players.append(Player("generator", ("generator",), adam, ("shard_0",)))
    return Trainer(it, players, shards, {}, Engine("cpu", threads=1), steps=steps)


def weights(it: MultiCritic, name: str) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in (*it.nets[name].parameters(), *it.nets[name].buffers())]


def same(one: list[Tensor], two: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_the_generators_gradient_is_the_mean_of_the_critics_feedback() -> None:
    it, batch = game(), {"x": torch.randn(8, 2)}
    generator = it.nets["generator"]
    (loss,) = it.losses("generator", batch, context("generator")).values()
    together = torch.autograd.grad(loss, list(generator.parameters()))
    single = []
    for name in it.critics:
        fake = generator(context("generator").randn(8, 4))
        single.append(torch.autograd.grad(NonSaturating().generator(it.nets[name](fake)), list(generator.parameters())))
    for mean, *parts in zip(together, *single, strict=True):
        torch.testing.assert_close(mean, torch.stack(parts).mean(0))


def test_a_critics_move_is_the_ordinary_one_of_that_critic_alone() -> None:
    it, batch = game(penalties=[R1(1.0, every=1)]), {"x": torch.randn(8, 2)}
    losses = it.losses("critic_1", batch, context("critic_1"))
    assert set(losses) == {"loss", "r1"}
    sum(losses.values()).backward()  # type: ignore[union-attr]
    moved = {name for name, p in it.nets.named_parameters() if p.grad is not None}
    assert moved and all(name.startswith("critic_1.") for name in moved)
    assert not it.nets["critic_0"].seen and not it.nets["critic_2"].seen
    with pytest.raises(ValueError, match=r"no critic 'critic'.*critic_0, critic_1, critic_2"):
        it.losses("critic", batch, context("critic"))


def test_streams_of_the_generator_make_as_many_batches_dealt_out_in_turn() -> None:
    it = game()
    it.losses("generator", {"x": torch.randn(8, 2)}, context("generator"))
    one, two, three = (it.nets[name].seen.pop()[0] for name in it.critics)  # type: ignore[union-attr, operator]
    assert one is two is three and len(one) == 8
    it.losses(
        "generator", {"shard_0": {"x": torch.randn(4, 2)}, "shard_1": {"x": torch.randn(6, 2)}}, context("generator")
    )
    one, two, three = (it.nets[name].seen.pop()[0] for name in it.critics)  # type: ignore[union-attr, operator]
    assert one is three and [len(one), len(two)] == [4, 6]


def test_a_critic_with_classes_judges_fakes_of_the_labels_it_was_given() -> None:
    it = game(2, classes=3)
    parts = {f"shard_{i}": {"x": torch.randn(4, 2), "label": torch.tensor([i] * 4)} for i in range(2)}
    it.losses("generator", parts, context("generator"))
    asked = [it.nets[name].seen[0][1].argmax(1).tolist() for name in it.critics]  # type: ignore[union-attr, index]
    assert asked == [[0] * 4, [1] * 4]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_swap_moves_every_critic_with_its_buffers(n: int) -> None:
    it = game(n)
    for step in range(6):
        before = [weights(it, name) for name in it.critics]
        order = it.swap_critics(step)
        assert sorted(order) == list(range(n)) and all(i != source for i, source in enumerate(order))
        assert all(same(weights(it, name), before[source]) for name, source in zip(it.critics, order, strict=True))


def test_swaps_are_a_function_of_seed_and_step() -> None:
    orders = [[game(5, seed=seed).swap_critics(step) for step in range(8)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert len({tuple(order) for order in orders[0]}) > 3


def test_critics_change_places_when_due_and_only_then() -> None:
    it = game(2, swap_every=3)
    moves = [("critic_0", 2, 0), ("generator", 1, 0), ("generator", 2, 0), ("generator", 2, 1), ("generator", 3, 0)]
    swapped = []
    for player, step, repeat in moves:
        before, scratch = weights(it, "critic_0"), Play(step)
        scratch.begin_move(player, repeat)
        it.after_step(player, scratch)
        swapped.append(not same(before, weights(it, "critic_0")))
    assert swapped == [False, False, True, False, False]
    still = game(2)
    before = weights(still, "critic_0")
    still.after_step("generator", context("generator", 99))
    assert same(before, weights(still, "critic_0"))


def test_a_run_taken_up_between_two_swaps_is_the_run_never_stopped() -> None:
    whole, half, rest = (trainer(game(swap_every=2), steps) for steps in (7, 3, 7))
    whole.run()
    half.run()
    rest.load_state_dict(half.state_dict())
    rest.run()
    one, two = whole.game.state_dict(), rest.game.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_critics_that_change_places_teach_the_generator_what_none_of_them_sees_whole() -> None:
    """Without the exchange of critics, each critic treats the data of the others as fake, so samples lie between the
    clusters."""
    near = {}
    for swap_every in (0, 1):
        it = game(2, swap_every=swap_every, penalties=[R1(0.5, every=4)])
        trainer(it, 250).run()
        x = it.sample(400, rng=torch.Generator().manual_seed(0))
        distance = torch.cdist(x, torch.tensor([[-2.0, 0.0], [0.0, 2.0]]))
        near[swap_every] = (distance < 0.6).sum(0).tolist()
    assert sum(near[0]) < 20 < 25 < min(near[1]), near


def test_score_is_the_mean_of_the_critics_and_constraints_bind_the_one_that_moved() -> None:
    it, x = game(constraint=WeightClip(0.01)), torch.randn(5, 2)
    expected = torch.stack([it.nets[name](x) for name in it.critics]).mean(0)
    torch.testing.assert_close(it.real_logits({"x": x}), expected.detach())
    it.after_step("critic_1", context("critic_1"))
    largest = [max(float(p.detach().abs().max()) for p in it.nets[name].parameters()) for name in it.critics]
    assert [value <= 0.01 for value in largest] == [False, True, False]


def test_misuse_is_named() -> None:
    def build(critics: dict[str, nn.Module], **options: Any) -> None:
        MultiCritic(MLPGenerator([2], 4), critics, NonSaturating(), Identity([2]), **options)

    with pytest.raises(ValueError, match="critic 'b' differs in architecture from 'a'"):
        build({"a": MLPCritic([2], widths=[4]), "b": MLPCritic([2], widths=[5])})
    with pytest.raises(ValueError, match="swap_every=5 needs at least two critics"):
        build({"a": Judge()}, swap_every=5)
    with pytest.raises(ValueError, match="needs critics"):
        build({})


def test_the_configuration_gives_each_worker_classes_of_its_own(tmp_path: Path) -> None:
    small = ["data.root=digits", "width=4", "workers=3", "game.swap_every=2", "callbacks.previews=null"]
    end = ["trainer.steps=3", "engine.threads=1", f"run_dir={tmp_path}"]
    trained = run(compose("md-gan", [*small, *end]), progress=False, echo=lambda line: None)
    assert [p.name for p in trained.players] == ["generator", "critic_0", "critic_1", "critic_2"]
    shards = [set(trained.streams[f"shard_{i}"].dataset.targets.tolist()) for i in range(3)]  # type: ignore[attr-defined]
    assert set().union(*shards) == set(range(10)) and sum(map(len, shards)) == 10
    assert "classes" not in trained.game.inputs and len(trained.streams["train"].dataset) == sum(
        len(trained.streams[f"shard_{i}"].dataset) for i in range(3)
    )
