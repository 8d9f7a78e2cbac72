"""Tests of drawing all inputs of a game: order of random numbers, requested values, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiogan.core import Play
from audiogan.data.columns import Labels, Signals, Values
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.games import Generative
from audiogan.inputs import Classes, Knobs, Latent, Scale, Seeded, Signal
from audiogan.modalities import Points
from audiogan.representations import Identity


class Maker(nn.Module):
    latent_dim, classes, knobs = 3, 3, 2

    def __init__(self, *more: str) -> None:
        super().__init__()
        self.takes = frozenset({"latent", "classes", "knobs", *more})
        self.dense = nn.Linear(8, 4)

    def forward(self, latent: Tensor, classes: Tensor, knobs: Tensor, **more: Tensor) -> Tensor:
        return self.dense(torch.cat([latent, classes, knobs], 1))


def fitted() -> Generative:
    """Return a game that is fitted to 300 examples. The first knob is about -1, 0 or 1 in the three classes."""
    places = torch.arange(300)
    targets = (places * 7) % 3
    first = (targets - 1.0) + torch.sin(places * 1.0) * 0.5
    knobs = torch.stack([first, 0.8 * first + 0.3 * torch.cos(places * 3.0)], 1).numpy()
    scale = Scale(("brightness", "decay"), np.linspace(0, 1, 65)[None].repeat(2, 0))
    inputs = {"knobs": Knobs(scale=scale), "classes": Classes(labels=list("abc"), counts=[50, 100, 150])}
    game = Generative(Maker(), Identity((4,)), inputs)
    columns: Any = {"x": Signals(np.zeros((300, 4), np.float32)), "knobs": Values(knobs)}
    game.get_input("knobs").fit(Table({**columns, "label": Labels(targets.numpy(), list("abc"))}, 300))
    return game


NAN = float("nan")
LATENTS = [-0.1467950940132141, -1.1143440008163452, -0.3556250333786011, -1.6821985244750977]
# Results of the version before named inputs: requests, class weights, and both knobs of four samples.
DRAWN: list[tuple[dict[str, list[float]], list[list[float]], list[list[float]]]] = [
    (
        {},
        [[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]],
        [
            [0.1898038685321808, 0.03427761048078537],
            [-0.8902726769447327, -0.47591495513916016],
            [-0.6519707441329956, -0.31953781843185425],
            [1.4953036308288574, 1.0762473344802856],
        ],
    ),
    (
        {"knobs": [0.9, NAN]},
        [[0, 0, 1]] * 4,
        [[0.9, 0.4701603055000305], [0.9, 0.9568309783935547], [0.9, 1.048427700996399], [0.9, 0.5699125528335571]],
    ),
    (
        {"knobs": [NAN, -0.5]},
        [[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]],
        [[-0.7169586420059204, -0.5], [-0.7583410143852234, -0.5], [-0.6748560667037964, -0.5], [-0.05740738, -0.5]],
    ),
    (
        {"classes": [0.25, 0.75, 0]},
        [[0.25, 0.75, 0]] * 4,
        [
            [-0.20580440759658813, -0.019902780652046204],
            [-0.10926031321287155, -0.2836924195289612],
            [0.20402295887470245, 0.3136845827102661],
            [-0.05613228678703308, -0.15499036014080048],
        ],
    ),
    (
        {"classes": [0.25, 0.75, 0], "knobs": [0.1, NAN]},
        [[0.25, 0.75, 0]] * 4,
        [
            [0.1, 0.12192133814096451],
            [0.1, 0.1146286353468895],
            [0.1, 0.054127588868141174],
            [0.1, -0.1571156084537506],
        ],
    ),
]


@pytest.mark.parametrize(("requested", "classes", "knobs"), DRAWN)
def test_draws_have_the_values_of_earlier_versions(
    requested: dict[str, list[float]], classes: list[list[float]], knobs: list[list[float]]
) -> None:
    """Latents, then classes, then knobs are drawn, so that a seed gives the same samples as in earlier versions."""
    values = {name: torch.tensor(value) for name, value in requested.items()}
    drawn = fitted().draw(4, torch.Generator().manual_seed(7), **values)
    assert list(drawn) == ["latent", "classes", "knobs"]
    torch.testing.assert_close(drawn["latent"][:, 0], torch.tensor(LATENTS))
    assert torch.equal(drawn["classes"], torch.tensor(classes, dtype=torch.float32))
    torch.testing.assert_close(drawn["knobs"], torch.tensor(knobs))


def test_draws_with_noise_have_the_values_of_earlier_versions() -> None:
    game = fitted()
    game.get_input("knobs").spread.fill_(0.5)
    drawn = game.draw(4, torch.Generator().manual_seed(7), knobs=torch.tensor([0.9, NAN]))
    assert drawn["classes"].argmax(1).tolist() == [1, 1, 1, 2]
    expected = [1.060434341430664, -0.4204642176628113, -0.27469316124916077, 0.5263439416885376]
    torch.testing.assert_close(drawn["knobs"][:, 1], torch.tensor(expected))


def test_parts_of_the_inputs() -> None:
    game = fitted()
    assert list(game.draw(2, selected_names=["classes"])) == ["classes"]
    assert list(game.draw(2, excluded_names=["classes"])) == ["latent", "knobs"]
    everything = game.draw(2, torch.Generator().manual_seed(1), classes=None, knobs=None)
    assert torch.equal(everything["latent"], game.draw(2, Seeded(1))["latent"])


def test_unknown_inputs_are_named_with_those_there_are() -> None:
    with pytest.raises(UserError) as caught:
        fitted().draw(2, knob=torch.zeros(2))
    said = "the model has no input 'knob'; it has latent, classes, knobs; did you mean 'knobs'?"
    assert str(caught.value) == said
    with pytest.raises(UserError, match=r"the model has no input 'zebra'; it has latent, classes, knobs$"):
        fitted().get_input("zebra")
    with pytest.raises(UserError, match=r"no input '\\x1b\[2J"):
        fitted().get_input("\x1b[2J" + "x" * 200)


def test_inputs_that_must_be_given() -> None:
    source = Signal(shape=(4,), modality=Points())
    game = Generative(Maker("source"), Identity((4,)), {"source": source})
    assert list(game.inputs) == ["latent", "classes", "knobs", "source"] and list(game.required_inputs) == ["source"]
    with pytest.raises(UserError, match=r"^the model needs the input 'source': [^\n]*\[4\][^\n]*$"):
        game.draw(2)
    assert "source" not in game.draw(2, excluded_names=["source"])
    batch = {"x": torch.zeros(3, 4), "source": torch.randn(3, 4)}
    drawn = game.draw_for_batch(batch, Seeded(0))
    assert torch.equal(drawn["source"], batch["source"]) and len(drawn["latent"]) == 3
    given = torch.ones(4)
    assert torch.equal(game.draw_for_batch({"x": batch["x"]}, Seeded(0), source=given)["source"], torch.ones(3, 4))
    assert game.generate(drawn).shape == (3, 4)


def test_inputs_that_no_network_takes_are_left_out() -> None:
    game = Generative(Maker(), Identity((4,)), {"source": Signal(shape=(4,), modality=Points())})
    assert list(game.inputs) == ["latent", "classes", "knobs"]


def test_inputs_follow_from_the_generator() -> None:
    game = Generative(Maker(), Identity((4,)))
    latent, classes, knobs = game.inputs.values()
    assert isinstance(latent, Latent) and isinstance(classes, Classes) and isinstance(knobs, Knobs)
    assert latent.shape == (3,) and classes.labels == ["0", "1", "2"] and knobs.names == ("knob 1", "knob 2")
    assert game.balanced_inputs(4)["classes"].argmax(1).tolist() == [0, 1, 2, 0]
    drawn = game.draw(5, Seeded(0))
    kinds, captions = game.kind_indices(drawn), game.captions(drawn)
    assert kinds is not None and captions == [str(k) for k in kinds.tolist()]


def test_training_draws_what_the_batch_does_not_have() -> None:
    game = Generative(Maker(), Identity((4,)), {"classes": Classes(labels=list("abc"), counts=[1, 0, 1], column=None)})
    batch = {"x": torch.zeros(60, 4), "label": torch.ones(60, dtype=torch.int64), "knobs": torch.randn(60, 2)}
    context = Play(0)
    context.begin_move("critic")
    given = game.inputs_from_batch(batch, context)
    assert list(given) == ["knobs"]
    drawn = game.add_drawn_inputs(60, given, context)
    assert set(drawn) == {"latent", "classes", "knobs"} and torch.equal(drawn["knobs"], batch["knobs"])
    assert set(drawn["classes"].argmax(1).tolist()) == {0, 2}, "not the class of the batch"
    context.begin_move("critic")
    again = game.add_drawn_inputs(60, given, context)
    assert all(torch.equal(again[name], drawn[name]) for name in drawn)


def test_state_dicts_of_earlier_versions() -> None:
    game = fitted()
    state = game.state_dict()
    old = {"classes.counts": "class_counts", "knobs.examples": "examples", "knobs.spread": "spread"}
    renamed = {f"inputs.{new}": f"conditions.{name}" for new, name in old.items()}
    assert set(renamed) < set(state)
    stored = {renamed.get(name, name): value for name, value in state.items()}
    upgraded = game.upgrade_state_dict(stored)
    assert upgraded.keys() == state.keys() and all(torch.equal(upgraded[name], state[name]) for name in state)
    assert game.upgrade_state_dict(state).keys() == state.keys()
    plain = nn.Linear(2, 4)
    plain.latent_dim, plain.takes, plain.shape = 2, frozenset({"latent"}), (4,)  # type: ignore[assignment]
    alone = Generative(plain, Identity((4,)))
    empty = {"conditions.class_counts": torch.ones(0), "conditions.examples": torch.ones(1, 256, 0)}
    spread = {"conditions.spread": torch.tensor(0.0)}
    assert alone.upgrade_state_dict({**alone.state_dict(), **empty, **spread}).keys() == alone.state_dict().keys()
