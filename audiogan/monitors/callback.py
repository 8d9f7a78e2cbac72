"""The callback that watches a training: measures, runs the rules, and says what it finds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from audiogan.core import Callback, Move, Trainer
from audiogan.core.checking import check_count, check_sums
from audiogan.errors import UserError
from audiogan.files import is_regular_file, read_small_file
from audiogan.monitors.advice import pasteable
from audiogan.monitors.finding import VERDICT, Finding, read_findings, write_findings
from audiogan.monitors.history import History
from audiogan.monitors.probe import JUDGED, LEAST, Probe, auc_tensor
from audiogan.monitors.watch import Watch
from audiogan.run.optional import notify, optional
from audiogan.utils.text import parse_json_object

if TYPE_CHECKING:
    from audiogan.metrics import Embedding
    from audiogan.modalities import Modality
    from audiogan.run.callbacks import MetricsLog

SHARE = 0.02
FORWARDS = 6  # through networks that an example of a move costs at least, backward counted
GROWTH = 40  # looks grow rarer: at most this many while a run grows e times as long
SAMPLES = 5  # moves a look at which logits are compared
ROWS = 64  # of a batch, of which logits are compared
LARGEST_CONFIG, MOST_NESTED = 1 << 20, 50  # bytes of a config.yaml, and levels in it


class Monitors(Callback):
    """Looks at a run every so often and says whether it fails, and how: see `audiogan.monitors`.

    A look measures the figures of `Probe` and appends them to the log, then gives the log to the rules. When to look
    depends on step counts only: at step 1, then every ``every`` steps, less often where measuring would cost more than
    2 % of the forwards of training, and ever more rarely as the run grows long. Training itself is not touched: no
    random number of it is drawn, no weight changed.

    What is new goes to the terminal, to ``findings.jsonl`` in the run folder, and to TensorBoard; at the end comes one
    verdict on the run.

    Args:
        run_dir: the run folder.
        log: where figures are appended, and read from; it must stand before this callback.
        modality: gives the embedding in which outputs are compared with data.
        train, held_out: data sets; without ``train`` nothing is measured, without ``held_out`` the critic is not.
        every: steps between looks, at least.
        count: outputs, and real examples of each kind, that are compared.
        embedding: instead of the modality's own.
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
        if every < 1 or count < LEAST:
            raise ValueError(f"every={every} must be at least 1 and count={count} at least {LEAST}")
        if embedding is not None and not callable(embedding):
            raise ValueError(f"embedding={embedding!r} must be an embedding, or null for that of the modality")
        self.path, self.log = Path(run_dir) / "findings.jsonl", log
        self.modality, self.train, self.held_out, self.embedding = modality, train, held_out, embedding
        self.every, self.count = every, count
        self.findings: list[Finding] = []
        self.history, self.watch = History(), Watch()
        self.probe: Probe | None = None
        self._next, self._looked = 1, -1
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._offset = 0
        self._known = self._stale = False

    # What the players do.

    @torch.no_grad()
    def on_move(self, trainer: Trainer, move: Move) -> None:
        real, fake = move.notes.get("real_logits"), move.notes.get("fake_logits")
        if real is None or fake is None or trainer.step % max(1, self.every // SAMPLES) or not move.applied:
            return
        real, fake = real.reshape(-1)[:ROWS].float(), fake.reshape(-1)[:ROWS].float()
        figures = {"separation": auc_tensor(real, fake), "logit_spread": torch.cat([real, fake]).std()}
        for name, value in figures.items():
            name = f"{move.player.name}/{name}"
            total, count = self._sums.get(name, (torch.zeros_like(value), 0))
            self._sums[name] = total + value, count + 1

    def on_step(self, trainer: Trainer) -> None:
        if self._stale:
            self._write()
        if trainer.step >= self._next:
            self.look(trainer)

    def on_end(self, trainer: Trainer) -> None:
        if trainer.step != self._looked and trainer.budget_spent:  # a run that is interrupted looks when it would have
            self.look(trainer)
        if trainer.engine.is_main_process:
            self.report([self.watch.verdict(self.history)])

    # Looking.

    def look(self, trainer: Trainer) -> None:
        """Measure now, and run the rules."""
        means = {name: float(total) / count for name, (total, count) in self._sums.items()}
        self._sums = {}
        self._looked = trainer.step
        if trainer.engine.is_main_process:
            self._prepare(trainer)
            measured = self.probe.measure() if self.probe else {}
            row = {"step": trainer.step, **means, **{f"monitor/{k}": v for k, v in measured.items()}}
            self._take(trainer, row)
        self._next = self._after(trainer)

    def _after(self, trainer: Trainer) -> int:
        """The step of the next look, from counts alone: a resumed run looks when one that was never stopped does."""
        examples = max(trainer.examples / max(trainer.step, 1), 1.0)
        dear = self._forwards() / (SHARE * FORWARDS * examples)
        interval = int(max(self.every, trainer.step / GROWTH, dear))
        return max((trainer.step + interval) // self.every * self.every, trainer.step + 1)

    def _forwards(self) -> int:
        judged = 3 * min(self.count, JUDGED) if self.held_out is not None and len(self.held_out) else 0
        return self.count + judged

    def _prepare(self, trainer: Trainer) -> None:
        if self._known:
            return
        self._known = True
        rates = {f"lr.{name}": opt.param_groups[0]["lr"] for name, opt in trainer.optimizers.items()}
        roles = {f"players.{p.name}.role": p.role for p in trainer.players if p.role != "other"}
        budget = {"trainer.steps": trainer.steps, "trainer.minutes": trainer.minutes}
        self.history.settings = (read_settings(self.path.parent) or rates | roles) | budget
        able = all(hasattr(trainer.game, name) for name in ("generate", "draw", "required_inputs"))
        if able and self.train is not None and len(self.train) >= LEAST:
            if self.embedding is None and self.modality is not None:
                self.embedding = self.modality.embedding(tuple(self.train.signals(np.array([0])).shape[1:]))
            if self.embedding is not None:
                data = self.train, self.held_out
                self.probe = Probe(trainer.game, self.embedding, *data, self.count, seed=trainer.seed)

    def _take(self, trainer: Trainer, row: dict[str, float]) -> None:
        """Append a row to the log, and let the rules see all that is new in it; they say only what is new now."""
        rows: list[dict[str, Any]] = [row]
        if self.log is not None and self.log.add(trainer, row):
            rows, self._offset = read_rows(self.log.path, self._offset)
        new: list[Finding] = []
        for each in rows:
            self.history.add(each)
            if is_look(each):
                new = self.watch.look(self.history)
        self.report(new)

    # Saying.

    @property
    def settings(self) -> dict[str, Any]:
        """The run's flattened configuration; empty where there is none."""
        return self.history.settings or read_settings(self.path.parent)

    def report(self, findings: list[Finding]) -> None:
        """Say findings, and keep them."""
        if not findings:
            return
        findings = [pasteable(finding, self.settings) for finding in findings]
        for finding in findings:
            self.watch.tell(finding)
            notify("\n".join(finding.lines), sys.stdout)
            if self.log is not None:
                with optional(self.log.board):
                    self.log.writer.add_text(f"findings/{finding.kind}", "\n\n".join(finding.lines), finding.step)
        self.findings += findings
        self._write()

    def _write(self) -> None:
        self._stale = False
        with optional(self.path):
            write_findings(self.path, self.findings)

    # Being resumed.

    def on_resume(self, trainer: Trainer) -> None:
        """Drop findings of steps that are taken again; the rules' memory is the log. The file is written with the next
        step, so that a run with nothing to do keeps its verdict.
        """
        kept = read_findings(self.path)
        self.findings = [f for f in kept if f.step <= trainer.step and f.kind != VERDICT]
        self._stale = trainer.engine.is_main_process and len(kept) != len(self.findings)
        settings = self.history.settings
        self.history, self.watch, self._offset = History(settings=settings), Watch(), 0
        for finding in self.findings:
            self.watch.tell(finding)
        device = trainer.engine.device
        self._sums = {name: (total.to(device), count) for name, (total, count) in self._sums.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"next": self._next, "looked": self._looked, "sums": self._sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._next = check_count(state["next"], "the step of the next look")
        self._looked = check_count(state["looked"], "the step of the last look", -1)
        self._sums = check_sums(state["sums"], "the sums of the monitors")


def is_look(row: dict[str, Any]) -> bool:
    """Whether a row of the log was written by a look: that is when the rules ran."""
    return any(name.startswith("monitor/") or name.endswith("/separation") for name in row)


def read_rows(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Objects of a file of JSON lines from byte ``offset`` on, and where the last whole line ends."""
    try:
        if not is_regular_file(path):  # a FIFO would block
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
    """Return the configuration of a run, flattened: ``{"lr.critic": 0.0002}``.

    The result is empty where there is none, or where it is none that a training wrote. A training writes no
    aliases, with which a few bytes stand for billions of keys, and no deep nesting, which takes minutes to read.
    """
    import yaml

    path = run_dir / "config.yaml"
    if not is_regular_file(path):  # a FIFO would block
        return {}
    try:
        text = read_small_file(path, LARGEST_CONFIG, "configuration").decode()
        depth, loader = 0, getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        for event in yaml.parse(text, loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > MOST_NESTED:
                return {}
        config = yaml.load(text, loader)  # a safe loader, in C where there is one
    except (UserError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    flat: dict[str, Any] = {}

    def walk(node: Any, key: str) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                walk(value, f"{key}.{name}" if key else str(name))
        else:
            flat[key] = node

    walk(config, "")
    return flat
