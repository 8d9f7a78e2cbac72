"""Tests of the guard: exploding updates are rejected, and the run continues as configured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import digits, small_run
from torch import Tensor

from audiogan.core import Anneal
from audiogan.losses import NonSaturating, Wasserstein
from audiogan.monitors import Guard, read_findings


class Broken(NonSaturating):
    """Loss whose value is NaN in some calls of the generator's loss."""

    def __init__(self, *calls: int) -> None:
        self.calls, self.count = calls, 0

    def generator(self, fake_logits: Tensor) -> Tensor:
        self.count += 1
        return super().generator(fake_logits) * (float("nan") if self.count in self.calls else 1.0)


def run(tmp_path: Path, guard: Guard, loss: Any, steps: int = 30, **options: Any) -> Any:
    torch.set_num_threads(1)
    trainer, _ = small_run(digits(), tmp_path, steps=steps, loss=loss, guard=guard, **options)
    trainer.run()
    weights = torch.cat([p.detach().flatten() for p in trainer.game.parameters()])
    assert torch.isfinite(weights).all()
    return trainer, [f for f in read_findings(tmp_path / "findings.jsonl") if f.kind == "explosion"]


def test_stop_ends_the_run_with_the_weights_of_before(tmp_path: Path) -> None:
    trainer, found = run(tmp_path / "a", Guard("stop"), Broken(20))
    assert trainer.step == 20 and "explosion" in trainer.stop_reason
    assert found[0].severity == "failure" and "not applied" in found[0].text
    whole, _ = small_run(digits(), tmp_path / "b", steps=20, monitored=False)
    before: dict[str, Tensor] = {}
    original = whole._step

    def step() -> None:
        before.update({k: v.clone() for k, v in whole.game.nets["generator"].state_dict().items()})
        original()

    whole._step = step  # type: ignore[method-assign]
    whole.run()
    for name, weight in trainer.game.nets["generator"].state_dict().items():
        assert torch.equal(weight, before[name])  # The generator's 20th update was rejected.


def test_skip_goes_on_with_the_next_batch_and_says_so_once(tmp_path: Path) -> None:
    trainer, found = run(tmp_path, Guard("skip"), Broken(10, 11))
    assert trainer.step == 30 and trainer.stop_reason is None
    assert [f.severity for f in found] == ["warning"]


def test_skip_gives_up_when_it_does_not_help(tmp_path: Path) -> None:
    trainer, found = run(tmp_path, Guard("skip", patience=4), Broken(*range(10, 40)))
    assert trainer.step == 13 and "4 times in a row" in trainer.stop_reason
    assert found[-1].severity == "failure"


def test_rollback_returns_to_the_kept_state_and_learns_more_slowly(tmp_path: Path) -> None:
    trainer, found = run(tmp_path, Guard("rollback", every=5), Broken(18), lr=(1e-3, 1e-3))
    assert trainer.step == 30 and trainer.stop_reason is None
    assert "went back to step 15" in found[0].text and found[0].severity == "warning"
    assert {o.param_groups[0]["lr"] for o in trainer.optimizers.values()} == {0.5e-3}
    assert trainer.streams["train"].position == 60  # As many batches as 30 steps of two players need.


def test_a_rollback_ends_after_so_many_times_and_keeps_its_rate_when_resumed(tmp_path: Path) -> None:
    trainer, found = run(tmp_path / "a", Guard("rollback", every=5, rollbacks=2), Broken(*range(12, 99)))
    assert trainer.stop_reason is not None and "after 2 rollbacks" in trainer.stop_reason
    assert [f.severity for f in found] == ["warning", "warning", "failure"]
    resumed, _ = small_run(digits(), tmp_path / "b", steps=40, guard=Guard("rollback", every=5))
    resumed.load_state_dict(trainer.state_dict())
    assert {o.param_groups[0]["lr"] for o in resumed.optimizers.values()} == {0.25e-3}


def test_a_rollback_halves_annealed_rates_too(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    guard = Guard("rollback", every=5)
    trainer, _ = small_run(digits(), tmp_path, steps=30, loss=Broken(18), guard=guard, lr=(1e-3, 1e-3))
    trainer.callbacks["anneal"] = Anneal(0.0)
    trainer.callbacks["anneal"].on_start(trainer)
    trainer.run()
    assert guard.done == 1
    assert [o.param_groups[0]["lr"] for o in trainer.optimizers.values()] == pytest.approx([0.5e-5] * 2)


def test_a_runaway_loss_is_stopped_while_it_is_finite(tmp_path: Path) -> None:
    options = {"penalties": (), "lr": (0.3, 0.3), "optimizer": torch.optim.SGD}
    trainer, found = run(tmp_path, Guard("stop"), Wasserstein(), steps=100, **options)
    assert trainer.step < 100 and "above" in found[0].text


def test_a_guard_that_finds_nothing_changes_nothing(tmp_path: Path) -> None:
    guarded, found = run(tmp_path / "a", Guard("rollback", every=5), None, steps=12)
    plain, _ = small_run(digits(), tmp_path / "b", steps=12, monitored=False)
    plain.run()
    assert found == []
    for name, weight in plain.game.state_dict().items():
        assert torch.equal(weight, guarded.game.state_dict()[name])


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="action='explode'"):
        Guard("explode")
    with pytest.raises(ValueError, match="lr_factor=2"):
        Guard(lr_factor=2.0)
