"""The `Monitors` callback, which measures a training run, applies the rules and reports findings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from audiogan.core import Callback, Move, Trainer
from audiogan.core.checking import check_count, check_running_sums
from audiogan.errors import UserError
from audiogan.files import is_regular_file, read_small_file
from audiogan.monitors.advice import clear_invalid_override
from audiogan.monitors.finding import VERDICT, Finding, read_findings, write_findings
from audiogan.monitors.history import History
from audiogan.monitors.probe import MAX_SCORED, MIN_COUNT, Probe, auc_tensor
from audiogan.monitors.translation_probe import count_generated_samples
from audiogan.monitors.watch import Watch
from audiogan.run.optional import ignore_write_errors, notify
from audiogan.utils.text import parse_json_object

if TYPE_CHECKING:
    from audiogan.metrics import Embedding
    from audiogan.modalities import Modality
    from audiogan.run.callbacks import MetricsLog

MAX_SHARE = 0.02  # Largest fraction of all forward passes that monitoring may take.
# Smallest number of forward passes that training takes per example. A backward pass counts as two forward passes.
PASSES_PER_EXAMPLE = 6
# Monitoring steps become rarer in long runs: at step s, they are at least s / LONG_RUN_DIVISOR steps apart.
LONG_RUN_DIVISOR = 40
RECORDINGS = 5  # Logits are recorded at this number of steps between two monitoring steps.
# Largest number of logits compared per batch. The number of compared pairs grows with the square of this number.
MAX_LOGITS = 64
# Largest size of a config.yaml in bytes, and its largest nesting depth.
LARGEST_CONFIG, MAX_NESTING = 1 << 20, 50


class Monitors(Callback):
    """Callback that detects failures of a training run, such as mode collapse. See `audiogan.monitors`.

    Some training steps are monitoring steps. At these steps, the metrics of `Probe` are measured and appended to the
    log, and all rules are applied to the log. The first monitoring step is step 1. Later ones are at least ``every``
    steps apart. They are farther apart in long runs, and if monitoring would otherwise take more than 2 % of the
    forward passes. Monitoring uses random generators of its own and changes no weight, so training is not affected.

    New findings are printed, written to ``findings.jsonl`` in the run folder, and added to TensorBoard. At the end of
    the run, a verdict is reported.

    Args:
        run_dir: the run folder.
        log: log to which metrics are appended, and from which the rules read them. It must precede this callback in the
            list of callbacks. ``None``: rules use only the metrics of this callback.
        modality: modality of the data. Its embedding is used to compare outputs with real data.
        train: training data. ``None``: outputs are not measured.
        held_out: held-out data. ``None``: the critic is not tested for memorising.
        every: smallest number of steps between monitoring steps, at least 1.
        count: number of examples of each kind that are compared (outputs, training examples, held-out examples), at
            least 8.
        embedding: embedding to use. ``None``: the embedding of the modality.
    """

    def __init__(
        self,
        run_dir: str | Path,
        log: MetricsLog | None = None,
        modality: Modality | None = None,
        train: Any = None,
        held_out: Any = None,
        every: int = 100,
        count: int = 64,
        embedding: Embedding | None = None,
    ) -> None:
        if every < 1 or count < MIN_COUNT:
            raise ValueError(f"every={every} must be at least 1, and count={count} at least {MIN_COUNT}")
        if embedding is not None and not callable(embedding):
            raise ValueError(f"embedding={embedding!r} must be an embedding, or null for the embedding of the modality")
        self.path, self.log = Path(run_dir) / "findings.jsonl", log
        self.modality, self.train, self.held_out, self.embedding = modality, train, held_out, embedding
        self.every, self.count = every, count
        self.findings: list[Finding] = []
        self.history, self.watch = History(), Watch()
        self.probe: Probe | None = None
        self._next, self._last_monitored = 1, -1
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._offset = 0
        self._known = self._stale = False

    @torch.no_grad()
    def on_move(self, trainer: Trainer, move: Move) -> None:
        real, fake = move.recorded_values.get("real_logits"), move.recorded_values.get("fake_logits")
        if real is None or fake is None or trainer.step % max(1, self.every // RECORDINGS) or not move.applied:
            return
        real, fake = real.reshape(-1)[:MAX_LOGITS].float(), fake.reshape(-1)[:MAX_LOGITS].float()
        figures = {"separation": auc_tensor(real, fake), "logit_spread": torch.cat([real, fake]).std()}
        for name, value in figures.items():
            name = f"{move.player.name}/{name}"
            total, count = self._sums.get(name, (torch.zeros_like(value), 0))
            self._sums[name] = total + value, count + 1

    def on_step(self, trainer: Trainer) -> None:
        if self._stale:
            self._write()
        if trainer.step >= self._next:
            self.monitor(trainer)

    def on_end(self, trainer: Trainer) -> None:
        # Measure nothing when a run is interrupted. A resumed run then has the same monitoring steps as an
        # uninterrupted run.
        if trainer.step != self._last_monitored and trainer.budget_used_up:
            self.monitor(trainer)
        if trainer.engine.is_main_process:
            self.report([self.watch.verdict(self.history)])

    def monitor(self, trainer: Trainer) -> None:
        """Measure the metrics of this step, append them to the log and apply the rules."""
        means = {name: float(total) / count for name, (total, count) in self._sums.items()}
        self._sums = {}
        self._last_monitored = trainer.step
        if trainer.engine.is_main_process:
            self._prepare(trainer)
            measured = self.probe.measure() if self.probe else {}
            row = {"step": trainer.step, **means, **{f"monitor/{k}": v for k, v in measured.items()}}
            self._log_and_check(trainer, row)
        self._next = self._next_step(trainer)

    def _next_step(self, trainer: Trainer) -> int:
        """Return the next monitoring step. It is computed from numbers of steps and examples, not from times, so a
        resumed run has the same monitoring steps."""
        examples = max(trainer.examples / max(trainer.step, 1), 1.0)
        affordable = self._forwards(trainer) / (MAX_SHARE * PASSES_PER_EXAMPLE * examples)
        interval = int(max(self.every, trainer.step / LONG_RUN_DIVISOR, affordable))
        return max((trainer.step + interval) // self.every * self.every, trainer.step + 1)

    def _forwards(self, trainer: Trainer) -> int:
        judged = 3 * min(self.count, MAX_SCORED) if self.held_out is not None and len(self.held_out) else 0
        return self.count + judged + count_generated_samples(trainer.game)

    def _prepare(self, trainer: Trainer) -> None:
        if self._known:
            return
        self._known = True
        rates = {f"lr.{name}": opt.param_groups[0]["lr"] for name, opt in trainer.optimizers.items()}
        roles = {f"players.{p.name}.role": p.role for p in trainer.players if p.role != "other"}
        budget = {"trainer.steps": trainer.steps, "trainer.minutes": trainer.minutes}
        self.history.settings = (read_settings(self.path.parent) or rates | roles) | budget
        can_generate = all(hasattr(trainer.game, name) for name in ("generate", "draw", "required_inputs"))
        if can_generate and self.train is not None and len(self.train) >= MIN_COUNT:
            if self.embedding is None and self.modality is not None:
                self.embedding = self.modality.embedding(tuple(self.train.signals(np.array([0])).shape[1:]))
            if self.embedding is not None:
                data = self.train, self.held_out
                self.probe = Probe(trainer.game, self.embedding, *data, self.count, seed=trainer.seed)

    def _log_and_check(self, trainer: Trainer, row: dict[str, float]) -> None:
        """Append a row to the log, apply the rules to all new rows, and report the findings of the last row."""
        rows: list[dict[str, Any]] = [row]
        if self.log is not None and self.log.append_row(trainer, row):
            rows, self._offset = read_rows(self.log.path, self._offset)
        new: list[Finding] = []
        for logged in rows:
            self.history.add(logged)
            if is_monitor_row(logged):
                new = self.watch.check(self.history)
        self.report(new)

    @property
    def settings(self) -> dict[str, Any]:
        """Flattened configuration of the run. Empty if the run folder has no configuration."""
        return self.history.settings or read_settings(self.path.parent)

    def report(self, findings: list[Finding]) -> None:
        """Print findings, add them to TensorBoard and write them to ``findings.jsonl``."""
        if not findings:
            return
        findings = [clear_invalid_override(finding, self.settings) for finding in findings]
        for finding in findings:
            self.watch.record(finding)
            notify("\n".join(finding.lines), sys.stdout)
            if self.log is not None:
                with ignore_write_errors(self.log.tensorboard_dir):
                    self.log.writer.add_text(f"findings/{finding.kind}", "\n\n".join(finding.lines), finding.step)
        self.findings += findings
        self._write()

    def _write(self) -> None:
        self._stale = False
        with ignore_write_errors(self.path):
            write_findings(self.path, self.findings)

    def on_resume(self, trainer: Trainer) -> None:
        """Drop findings of steps that will be repeated, and reset the rules.

        The rules are then applied to the log again. ``findings.jsonl`` is rewritten at the next step, not here: a
        complete run has no next step and so keeps its verdict.
        """
        kept = read_findings(self.path)
        self.findings = [f for f in kept if f.step <= trainer.step and f.kind != VERDICT]
        self._stale = trainer.engine.is_main_process and len(kept) != len(self.findings)
        settings = self.history.settings
        self.history, self.watch, self._offset = History(settings=settings), Watch(), 0
        for finding in self.findings:
            self.watch.record(finding)
        device = trainer.engine.device
        self._sums = {name: (total.to(device), count) for name, (total, count) in self._sums.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"next": self._next, "looked": self._last_monitored, "sums": self._sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._next = check_count(state["next"], "the next monitoring step")
        self._last_monitored = check_count(state["looked"], "the last monitoring step", -1)
        self._sums = check_running_sums(state["sums"], "the sums of the monitors")


def is_monitor_row(row: dict[str, Any]) -> bool:
    """Return whether a row of the log was written at a monitoring step. Rules are applied at these rows."""
    return any(name.startswith("monitor/") or name.endswith("/separation") for name in row)


def read_rows(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Read the rows of a JSON lines file.

    Args:
        path: the file. A missing or unreadable file gives no rows.
        offset: position of the first byte to read.

    Returns:
        The JSON objects, and the offset of the end of the last complete line. Lines that are not JSON objects are
        skipped.
    """
    try:
        if not is_regular_file(path):  # Opening a FIFO would block.
            return [], offset
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read()
    except OSError:
        return [], offset
    end = data.rfind(b"\n") + 1
    rows = map(parse_json_object, data[:end].splitlines())
    return [row for row in rows if row is not None], offset + end


def read_settings(run_dir: Path) -> dict[str, Any]:
    """Return the flattened configuration of a run, e.g. ``{"lr.critic": 0.0002}``.

    The result is empty if ``config.yaml`` is missing, is not valid YAML or was not written by audiogan. Files with
    aliases or with more than 50 nested levels are rejected: a few bytes of aliases can expand to billions of keys, and
    deep nesting takes minutes to parse.
    """
    import yaml

    path = run_dir / "config.yaml"
    if not is_regular_file(path):  # Opening a FIFO would block.
        return {}
    try:
        text = read_small_file(path, LARGEST_CONFIG, "configuration").decode()
        depth, loader = 0, getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        for event in yaml.parse(text, loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > MAX_NESTING:
                return {}
        config = yaml.load(text, loader)  # The loader is safe, in C if installed.
    except (UserError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return flatten_settings(config)


def flatten_settings(config: Any) -> dict[str, Any]:
    """Return nested dicts as one dict with keys such as ``lr.critic``."""
    flat: dict[str, Any] = {}

    def walk(node: Any, key: str) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                walk(value, f"{key}.{name}" if key else str(name))
        else:
            flat[key] = node

    walk(config, "")
    return flat
