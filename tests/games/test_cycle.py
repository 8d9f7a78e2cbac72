"""Tests of `Cycle`: loss terms, identity loss, image pools, resumption, errors."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from translators import Critic, Translator, context, domains, source

from audiogan.core import EMA, Engine, Player, Stream, Trainer, load_state, save_state
from audiogan.core.engine import frozen_except
from audiogan.games import Accuracy, Cycle, Route
from audiogan.losses import L1, R1, LeastSquares, RelativisticPairing, WeightClip
from audiogan.monitors import Guard
from audiogan.representations import Identity

NAMES = ("there", "back", "of_first", "of_second")


def game(there: nn.Module | None = None, back: nn.Module | None = None, **options: Any) -> Cycle:
    torch.manual_seed(0)
    generators = {"there": there or Translator(2.0, 1.0), "back": back or Translator(0.5, -0.5)}
    critics = options.pop("critics", None) or {"of_first": Critic(), "of_second": Critic()}
    loss = options.pop("loss", LeastSquares())
    inputs = options.pop("inputs", source("x"))
    return Cycle(generators, critics, loss, Identity((2,)), inputs, **{"cycle": L1(10.0), **options})


def batch(n: int = 6) -> dict[str, dict[str, Tensor]]:
    rng = torch.Generator().manual_seed(1)
    return {"first": {"x": torch.randn(n, 2, generator=rng)}, "second": {"x": 3 + torch.randn(n, 2, generator=rng)}}


def test_terms_have_names_and_values_of_the_paper() -> None:
    it, data = game(back=Translator(1.0), identity=L1(5.0), pool=0), batch()
    first, second = (part["x"] for part in data.values())
    there, back, of_first, of_second = (it.nets[name] for name in NAMES)
    losses = it.losses("generator", data, context())
    assert set(losses) == {"loss", "cycle", "identity"}
    adversarial = 0.5 * sum(
        (c(x) - 1).square().mean() for c, x in ((of_second, there(first)), (of_first, back(second)))
    )
    torch.testing.assert_close(losses["loss"], adversarial)
    cycle = 10 * ((back(there(first)) - first).abs().mean() + (there(back(second)) - second).abs().mean())
    torch.testing.assert_close(losses["cycle"], cycle)
    identity = 5 * ((there(second) - second).abs().mean() + (back(first) - first).abs().mean())
    torch.testing.assert_close(losses["identity"], identity)
    scratch = context("critic")
    critic = it.losses("critic", data, scratch)
    pairs = ((of_second, second, there(first)), (of_first, first, back(second)))
    expected = sum(0.5 * (c(real) - 1).square().mean() + 0.5 * c(fake).square().mean() for c, real, fake in pairs)
    assert set(critic) == {"loss"}
    torch.testing.assert_close(critic["loss"], expected)
    assert scratch.recorded_values["real_logits"].shape == scratch.recorded_values["fake_logits"].shape == (12,)


def test_perfect_inverses_have_no_cycle_term() -> None:
    losses = game().losses("generator", batch(), context())
    assert float(losses["cycle"].detach()) == pytest.approx(0, abs=1e-5) and "identity" not in losses
    same = game(Translator(), Translator(), identity=L1()).losses("generator", batch(), context())
    assert float(same["identity"].detach()) == 0


@pytest.mark.parametrize(("player", "nets"), [("generator", NAMES[:2]), ("critic", NAMES[2:])])
def test_each_player_teaches_its_own_networks(player: str, nets: tuple[str, ...]) -> None:
    it = game(back=Translator(1.0), penalties={"r1": R1(1.0, every=1)}).requires_grad_(False)
    with frozen_except(it, nets):
        losses = it.losses(player, batch(), context(player))
        assert ("r1" in losses) == (player == "critic")
        sum(losses.values()).backward()  # type: ignore[union-attr]
    for name, weight in it.named_parameters():
        assert (weight.grad is not None and bool(weight.grad.any())) == (name.split(".")[1] in nets), name


def test_a_relativistic_loss_compares_with_examples_of_the_target_domain() -> None:
    it, data = game(loss=RelativisticPairing()), batch()
    first, second = (part["x"] for part in data.values())
    there, back, of_first, of_second = (it.nets[name] for name in NAMES)
    gaps = of_second(second) - of_second(there(first)), of_first(first) - of_first(back(second))
    expected = sum(nn.functional.softplus(gap).mean() for gap in gaps)
    torch.testing.assert_close(it.losses("generator", data, context())["loss"], expected)


def test_critics_see_earlier_translations_and_generators_do_not() -> None:
    it = game(pool=4)
    assert set(it.pools) == {"there", "back"} and it.pools["there"].stored.shape == (4, 2)
    seen = []
    for step in range(6):
        data = batch(4) if step == 0 else {name: {"x": part["x"] + step} for name, part in batch(4).items()}
        it.losses("critic", data, context("critic", step))
        fake = it.nets["of_second"].received[-1][0]  # type: ignore[union-attr, index]
        new = it.nets["there"](data["first"]["x"]).detach()
        seen.append(torch.isclose(fake, new).all(1))
        it.losses("generator", data, context("generator", step))
        judged = it.nets["of_second"].received[-1][0]  # type: ignore[union-attr, index]
        torch.testing.assert_close(judged, new)
    assert bool(seen[0].all()) and 0 < float(torch.cat(seen[1:]).float().mean()) < 1


def test_sampling_follows_the_routes() -> None:
    it, data = game(), domains()
    assert it.generators == {"there": Route(0, 1), "back": Route(1, 0)} and it.default_generator == "there"
    sources, targets = it.source_and_target_rows(data, "back")
    assert set(data.targets[sources]) == {1} and set(data.targets[targets]) == {0}
    x = data.signals(sources[:5])
    torch.testing.assert_close(it.generate({"source": x}, generator="back"), (x - 1) / 2)
    torch.testing.assert_close(it.generate({"source": x}), 2 * x + 1)
    torch.testing.assert_close(it.generate({"source": x}, nets={"there": Translator(3.0)}), 3 * x)
    torch.testing.assert_close(it.real_logits({"x": x}), it.nets["of_second"](x).detach())
    assert it.features({"x": x}).shape == (5, 16)


def test_constraints_bind_both_critics() -> None:
    it = game(constraint=WeightClip(0.01))
    it.after_step("generator", context())
    assert max(float(p.detach().abs().max()) for p in it.nets["of_first"].parameters()) > 0.01
    it.after_step("critic", context("critic"))
    assert max(float(p.detach().abs().max()) for name in NAMES[2:] for p in it.nets[name].parameters()) <= 0.01


def test_what_does_not_fit_is_named() -> None:
    nets: dict[str, Any] = {name: Translator() for name in ("a", "b", "c")}
    critics: dict[str, Any] = {"of_first": Critic(), "of_second": Critic()}

    def build(generators: dict[str, Any], judges: dict[str, Any], **options: Any) -> Cycle:
        given = {"inputs": source("x"), "cycle": L1(), **options}
        return Cycle(generators, judges, LeastSquares(), Identity((2,)), **given)

    for generators, judges in ((nets, critics), ({"a": nets["a"]}, critics), ({"a": nets["a"], "b": nets["b"]}, {})):
        with pytest.raises(ValueError, match="Cycle needs two generators and two critics of different names, got a"):
            build(generators, judges)
    with pytest.raises(ValueError, match="of different names, got of_first, b and of_first, of_second"):
        build({"of_first": nets["a"], "b": nets["b"]}, critics)
    with pytest.raises(ValueError, match="Critic takes source, but source is not among the inputs"):
        game(critics={"of_first": Critic(), "of_second": Critic(source=True)})
    latent = nn.Linear(2, 2)
    latent.takes, latent.latent_dim = frozenset({"latent"}), 2  # type: ignore[assignment]
    with pytest.raises(ValueError, match="the generators of Cycle must take one signal, not none"):
        build({"a": latent, "b": latent}, critics)
    with pytest.raises(ValueError, match="source is not among the inputs"):
        build({"a": nets["a"], "b": nets["b"]}, critics, inputs=None)
    with pytest.raises(ValueError, match="player 'critic' of Cycle needs two streams"):
        game().losses("critic", batch()["first"], context("critic"))


# Training.


def trainer(steps: int, world: int = 1, **options: Any) -> Trainer:
    it = game(Translator(1.0), Translator(1.0), **{"identity": L1(1.0), **options})
    data = domains()
    streams = {f"domain_{k}": Stream(data.take(it.source_and_target_rows(data)[k]), 8, seed=k) for k in (0, 1)}
    adam: Any = partial(torch.optim.Adam, lr=0.02, betas=(0.5, 0.9))
    players = [
        Player("critic", NAMES[2:], adam, tuple(streams), role="critic"),
        Player("generator", NAMES[:2], adam, tuple(streams), role="generator"),
    ]
    engine = Engine("cpu", threads=1)
    if world > 1:  # As under torchrun. `prepare` communicates with other processes after the check.
        engine.world_size, engine.prepare = world, lambda game: None  # type: ignore[method-assign]
    callbacks = {"guard": Guard("stop"), "ema": EMA(NAMES[:2], 0.9)}
    return Trainer(it, players, streams, callbacks, engine, steps=steps)


def everything(run: Trainer) -> dict[str, Tensor]:
    ema: Any = run.callbacks["ema"]
    return {**run.game.state_dict(), **{f"ema.{name}": value for name, value in ema.nets.state_dict().items()}}


@pytest.mark.parametrize("stop", [2, 9])  # The run stops while the pools are filling, and afterwards.
def test_a_resumed_run_ends_bit_identical(stop: int, tmp_path: Path) -> None:
    whole, first, second = trainer(14, pool=20), trainer(stop, pool=20), trainer(14, pool=20)
    whole.run()
    first.run()
    save_state(tmp_path / "half", first.state_dict())
    second.load_state_dict(load_state(tmp_path / "half"))
    second.run()
    one, two = everything(whole), everything(second)
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    assert int(one["pools.there.count"]) == 20 and any(name.startswith("ema.back.") for name in one)


def test_pools_run_in_one_process_only() -> None:
    with pytest.raises(ValueError) as caught:
        trainer(1, world=2)
    assert str(caught.value) == (
        "Cycle must run in one process, not 2: each process would have its own image pool; "
        "set game.pool=0 to use several; start it without torchrun"
    )
    assert trainer(1, world=2, pool=0).step == 0 == trainer(1).step


def test_it_learns_to_translate_both_ways() -> None:
    run, data = trainer(300, cycle=L1(0.3), identity=None), domains()
    run.run()
    it: Any = run.game
    first, second = (data.signals(places) for places in it.source_and_target_rows(data))
    for name, x, target in (("there", first, second), ("back", second, first)):
        made = it.generate({"source": x}, generator=name)
        gap = (made.mean(0) - target.mean(0)).norm()
        assert gap < 0.35 * (x.mean(0) - target.mean(0)).norm(), name
        averaged = it.generate({"source": x}, generator=name, nets=run.callbacks["ema"].nets)  # type: ignore[attr-defined]
        assert not torch.equal(averaged, made) and (averaged - made).abs().mean() < 0.5


def test_the_guard_refuses_a_move_of_both_generators() -> None:
    class Broken(LeastSquares):
        count = 0

        def generator(self, fake_logits: Tensor) -> Tensor:
            self.count += 1
            return super().generator(fake_logits) * (float("nan") if self.count == 21 else 1.0)

    run = trainer(30, loss=Broken())
    run.run()
    assert run.step == 11 and "explosion: the loss of generator is nan" in (run.stop_reason or "")
    assert all(bool(torch.isfinite(p).all()) for p in run.game.parameters())


def test_accuracy_needs_a_game_that_classifies() -> None:
    with pytest.raises(ValueError, match="with a method `classify`, such as SemiSupervised, not Cycle"):
        Accuracy(domains()).on_start(trainer(1))
