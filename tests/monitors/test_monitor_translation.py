"""Tests of the rules for translations, on healthy networks and on networks that fail in one way each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import Flat
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core import Engine, Player, Stream, Trainer
from audiogan.data.columns import Labels, Signals
from audiogan.data.table import Table
from audiogan.games import Adversarial, Generative, Route
from audiogan.inputs import Signal
from audiogan.losses import L1, LeastSquares
from audiogan.modalities import Image
from audiogan.monitors import Monitors, Probe, diagnose, read_findings
from audiogan.monitors.history import History
from audiogan.monitors.pictures import checkerboard, convert_to_shape
from audiogan.monitors.translation import TRANSLATION_RULES
from audiogan.monitors.translation_probe import count_generated_samples
from audiogan.monitors.watch import Watch
from audiogan.representations import Identity
from audiogan.run.callbacks import MetricsLog

sys.path.insert(0, str(Path(__file__).parents[1] / "games"))
from translators import Critic, Translator, paired, source

SIDE = 32


class Formula(nn.Module):
    """A generator that computes a formula of its source and of its latent."""

    def __init__(self, formula: Callable[..., Tensor], channels: int = 3, latent: bool = False) -> None:
        super().__init__()
        self.takes = frozenset({"source", "latent"} if latent else {"source"})
        self.shape, self.latent_dim, self.latent = (channels, SIDE, SIDE), 4 if latent else 0, "normal"
        self.formula, self.unused = formula, nn.Parameter(torch.zeros(1))

    def forward(self, source: Tensor, latent: Tensor | None = None) -> Tensor:
        return self.formula(source) if latent is None else self.formula(source, latent)


def smooth(seed: int, n: int, channels: int = 3, cells: int = 4) -> Tensor:
    """Return smooth random pictures from -1 to 1."""
    x = torch.randn(n, channels, cells, cells, generator=torch.Generator().manual_seed(seed))
    return torch.tanh(F.interpolate(x, size=(SIDE, SIDE), mode="bicubic"))


def colours(x: Tensor) -> Tensor:
    """Return the correct translation: exchange colour channels and brighten the picture."""
    return (0.7 * x.roll(1, 1) + 0.2 * x + 0.1).clamp(-1, 1)


def noisy(x: Tensor) -> Tensor:
    return x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(5))


def pairs(source: Tensor, target: Tensor) -> Table:
    columns = {"x": Signals(target.numpy(), Image()), "source": Signals(source.numpy(), Image())}
    return Table(columns, len(source))


def measured(network: Formula, data: Table) -> dict[str, float]:
    """Return the metrics of the probe, without the name of the embedding."""
    shape = data.columns["source"].shape
    game = Generative(network, Identity(network.shape), {"source": Signal("source", shape, Image())})
    return Probe(game, Flat(), data, data, count=48).measure()


def named(figures: Mapping[str, float], settings: Mapping[str, Any] | None = None, used: float = 0.5) -> set[str]:
    """Return the kinds of findings of a run with these metrics at each monitoring step."""
    history, watch, found = History(settings={"trainer.steps": 10 / used, **(settings or {})}), Watch(), set()
    for step in range(1, 11):
        history.add({"step": step, **{f"monitor/{name}": value for name, value in figures.items()}})
        found |= {each.kind for each in watch.check(history) if each.severity_rank}
    return found & set(TRANSLATION_RULES)


SOURCES = smooth(0, 64)
PAIRS = pairs(SOURCES, colours(SOURCES))
HEALTHY: dict[str, tuple[Formula, Table]] = {
    "exact": (Formula(colours), PAIRS),
    "halfway": (Formula(lambda x: 0.5 * (x + colours(x))), PAIRS),
    "denoising": (Formula(lambda x: F.avg_pool2d(x, 3, 1, 1)), pairs(noisy(SOURCES), SOURCES)),
    "negative": (Formula(lambda x: -0.9 * x), pairs(SOURCES, -SOURCES)),
    "colourising": (Formula(lambda x: x.expand(-1, 3, -1, -1) * torch.tensor([1.0, 0.4, -0.2])[:, None, None]),
        pairs(SOURCES[:, :1], SOURCES[:, :1] * torch.tensor([1.0, 0.2, -0.5])[:, None, None])),
    "latent": (Formula(lambda x, z: colours(x) + 0.1 * z[:, :3, None, None], latent=True), PAIRS),
}  # fmt: skip
FAILING: dict[str, tuple[Formula, Table]] = {
    "copied source": (Formula(lambda x: 0.98 * x), PAIRS),
    "ignored source": (Formula(lambda x: 0.01 * x), PAIRS),
    "ignored latent": (Formula(lambda x, z: colours(x) + 0 * z[:, :3, None, None], latent=True), PAIRS),
    "inverted colours": (Formula(lambda x: -0.8 * x), pairs(SOURCES, 0.7 * SOURCES)),
    "checkerboard": (Formula(lambda x: colours(x) + 0.05 * (-1.0) ** torch.arange(SIDE)), PAIRS),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_translations_get_no_finding(name: str) -> None:
    figures = measured(*HEALTHY[name])
    assert any(each.startswith("translation/") for each in figures) and named(figures) == set(), figures


@pytest.mark.parametrize("kind", FAILING)
def test_each_failure_is_named(kind: str) -> None:
    figures = measured(*FAILING[kind])
    assert named(figures) == {kind}, figures
    assert named(figures, used=0.1) == set(), "no finding at the beginning of a run"


def test_figures_of_pairs() -> None:
    figures = measured(*HEALTHY["exact"])
    assert figures["translation/target_distance"] == 0 and figures["translation/own_target"] == 1
    assert figures["translation/source_distance"] == pytest.approx(1) == figures["translation/source_effect"]
    halfway = measured(*HEALTHY["halfway"])
    assert halfway["translation/source_distance"] == pytest.approx(0.5) == halfway["translation/target_distance"]
    assert "translation/latent_effect" not in figures and "translation/cycle_error" not in figures


def test_outputs_that_match_the_targets_of_others_ignore_their_source() -> None:
    data = pairs(SOURCES, smooth(9, 64))  # The sources contain no information about their targets.
    figures = measured(Formula(lambda x: 0.7 * x.flip(1, 3)), data)
    assert figures["translation/source_effect"] > 0.5 and figures["translation/own_target"] < 0.15
    assert "ignored source" in named(figures)


class Domains:
    """Two domains of pictures, of which the second is brighter and redder, and translations between them."""

    shift = torch.tensor([0.4, 0.1, 0.0])[:, None, None]

    def __init__(self, there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> None:
        a, b = 0.3 * smooth(1, 48) + 0.3 * smooth(7, 1), 0.3 * smooth(2, 48) + 0.3 * smooth(7, 1) + self.shift
        x = torch.cat([a, b]).numpy()
        data = Table({"x": Signals(x, Image()), "label": Labels(np.arange(96) // 48, ["a", "b"])}, 96)
        inputs = {"source": Signal("source", (3, SIDE, SIDE), Image(), column="x")}
        routes = {"there": Route(0, 1), "back": Route(1, 0)}
        networks = {"there": Formula(there), "back": Formula(back)}
        self.game = Generative(networks, Identity((3, SIDE, SIDE)), inputs, routes)
        self.figures = Probe(self.game, Flat(), data, data, count=48).measure()


def test_domains_without_pairs() -> None:
    healthy = Domains(lambda x: x + Domains.shift, lambda x: x - Domains.shift)
    assert named(healthy.figures) == set(), healthy.figures
    assert healthy.figures["translation/cycle_error"] == pytest.approx(0, abs=1e-6)
    assert healthy.figures["translation/cycle_error_noise"] == pytest.approx(2 / 255, rel=0.05)
    assert count_generated_samples(healthy.game) == 48
    assert named(Domains(lambda x: 0.99 * x, lambda x: x).figures) == {"copied source"}
    assert "inverted colours" in named(Domains(lambda x: -x + Domains.shift, lambda x: -x).figures)


def test_a_cycle_that_hides_its_source_in_noise_is_named() -> None:
    """The output shows only the target domain, plus traces of the source below one level of 8 bits."""
    picture = 0.3 * smooth(2, 1) + 0.3 * smooth(7, 1) + Domains.shift
    logs = torch.zeros(2, requires_grad=True)  # Logarithms of the amplitude of the traces and of their amplification.
    optimizer, x = torch.optim.Adam([logs], 0.1), smooth(3, 2)
    for _ in range(150):  # A large weight of the cycle loss, and a penalty on any difference from the target domain.
        code = logs[0].exp() * x
        loss = 10 * (logs[1].exp() * code - x).square().mean() + code.abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    hidden, reading = logs.detach().exp().tolist()
    found = Domains(lambda x: picture + hidden * x, lambda y: reading * (y - picture)).figures
    assert named(found) >= {"hidden source"}, (hidden, reading, found)
    assert found["translation/cycle_error_noise"] > 3 * found["translation/cycle_error"]


def test_transposed_convolutions_of_odd_kernels_leave_a_pattern() -> None:
    torch.manual_seed(0)
    x = F.avg_pool2d(smooth(4, 32, 8, 8), 2).relu()
    real = smooth(5, 32, 3, 8)
    odd, even = nn.ConvTranspose2d(8, 3, 3, 2, 1, 1), nn.ConvTranspose2d(8, 3, 4, 2, 1)
    nn.init.constant_(odd.weight, 0.1), nn.init.constant_(even.weight, 0.1)
    interpolated = F.interpolate(x, scale_factor=2, mode="bilinear").mean(1, keepdim=True).expand(-1, 3, -1, -1)
    with torch.no_grad():
        strengths = {"odd": checkerboard(odd(x), real), "even": checkerboard(even(x), real)}
    assert strengths["odd"][0] > 10 and strengths["odd"][1] > 0.024, strengths
    assert strengths["even"][1] < 0.5 * strengths["odd"][1] and checkerboard(interpolated, real)[1] < 0.024
    assert checkerboard(real, real)[0] == pytest.approx(1) and np.isnan(checkerboard(x[..., :8, :8], real)[0])


def test_sources_of_another_form_are_converted() -> None:
    x = smooth(0, 2)
    assert convert_to_shape(x, (3, SIDE, SIDE)) is x
    grey = convert_to_shape(x, (1, 16, 16))
    assert grey is not None and grey.shape == (2, 1, 16, 16)
    assert convert_to_shape(x[:, :1], (3, 64, 64)).shape == (2, 3, 64, 64)  # type: ignore[union-attr]
    assert convert_to_shape(x, (1, 512)) is None and convert_to_shape(x[:, :2], (3, SIDE, SIDE)) is None


class TowardsSource(Adversarial):
    """A game with a mistake: it compares outputs with their sources."""

    def output_terms(self, output: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"l1": 10 * (output - inputs["source"]).abs().mean()}


@pytest.mark.parametrize("kind", [Adversarial, TowardsSource])
def test_a_training_towards_the_source_is_named_in_the_run_and_in_its_log(kind: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    distances = {"l1": L1(10.0)} if kind is Adversarial else {}
    nets = Translator(0.2, 0.5), Critic(source=True)
    game = kind(*nets, LeastSquares(), Identity((2,)), source(), distances=distances, adversarial_weight=0.01)
    train, held_out = paired(300).split(0.25)
    adam: Any = partial(torch.optim.Adam, lr=0.05, betas=(0.5, 0.9))
    players = [Player(name, [name], adam, role=name) for name in ("critic", "generator")]
    log = MetricsLog(tmp_path, every=20)
    monitors = Monitors(tmp_path, log, train=train, held_out=held_out, every=10, embedding=Flat())
    streams = {"train": Stream(train, 16)}
    Trainer(game, players, streams, {"log": log, "monitors": monitors}, Engine("cpu", threads=1), steps=120).run()
    expected = {"copied source"} if kind is TowardsSource else set()
    diagnosis = diagnose(tmp_path)
    for findings in (read_findings(tmp_path / "findings.jsonl"), diagnosis.findings):
        assert {f.kind for f in findings if f.kind in TRANSLATION_RULES} == expected, findings
    assert "inverted colours" not in diagnosis.abstained, "rules for pictures do not concern points"


def test_runs_without_a_source_are_not_told_about_these_rules(tmp_path: Path) -> None:
    rows = [{"step": step, "critic/loss": 1.0 + 0.1 * (step % 3), "generator/loss": 1.0} for step in range(40)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = "\n".join(diagnose(tmp_path).lines)
    assert not any(kind in lines for kind in TRANSLATION_RULES), lines
