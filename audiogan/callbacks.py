"""Callbacks of a run folder: the log, the progress bar and the previews one looks at and listens to."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audiogan.core import EMA, Callback, Move, Trainer


class MetricsLog(Callback):
    """Means of losses, scores and gradient norms over the last ``every`` steps, to ``metrics.jsonl`` and TensorBoard.

    Sums stay on the device between two lines, so that the loop never waits for it. A loss that is not finite stops the
    run.
    """

    def __init__(self, run_dir: str | Path, every: int = 50) -> None:
        self.path, self.every = Path(run_dir) / "metrics.jsonl", every
        self.last: dict[str, float] = {}
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._since = (0.0, 0)
        self._writer: Any = None

    def on_start(self, trainer: Trainer) -> None:
        self._open(trainer)

    def on_resume(self, trainer: Trainer) -> None:
        """Forget lines that were written after the checkpoint: those steps are taken again."""
        self._open(trainer)

    def _open(self, trainer: Trainer) -> None:
        self._sums, self._since = {}, (trainer.seconds, trainer.examples)
        if not trainer.engine.chief:
            return
        from audiogan.sounds import replacing

        if self.path.exists():
            kept = [line for line in self.path.read_text().splitlines() if _step(line) <= trainer.step]
            with replacing(self.path) as temporary:
                temporary.write_text("".join(line + "\n" for line in kept))
        self._purge = trainer.step

    @property
    def writer(self) -> Any:
        """TensorBoard's writer; steps that a resumed run takes again replace those of before."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.path.parent / "tensorboard"), purge_step=self._purge)
        return self._writer

    def on_move(self, trainer: Trainer, move: Move) -> None:
        player = move.player.name
        figures = {f"{player}/{name}": value for name, value in move.losses.items()}
        figures[f"{player}/grad_norm"] = move.grad_norm
        figures |= {f"{player}/{name}": value.float().mean() for name, value in move.notes.items()}
        for name, value in figures.items():
            total, count = self._sums.get(name, (torch.zeros_like(value), 0))
            self._sums[name] = (total + value, count + 1)

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step % self.every == 0:
            self.write(trainer)

    def on_end(self, trainer: Trainer) -> None:
        if self._sums:
            self.write(trainer)
        if self._writer is not None:
            self._writer.flush()

    def write(self, trainer: Trainer) -> None:
        """Write a line now."""
        means = {name: float(total) / count for name, (total, count) in self._sums.items()}
        seconds, examples = self._since
        rate = (trainer.examples - examples) / max(trainer.seconds - seconds, 1e-9)
        self._sums, self._since = {}, (trainer.seconds, trainer.examples)
        row = {"step": trainer.step, "seconds": round(trainer.seconds, 3), "examples_per_second": rate, **means}
        self.last = means
        self.add(trainer, row)
        broken = next(
            (name for name, value in means.items() if not math.isfinite(value) and "grad_norm" not in name), None
        )
        if broken:
            trainer.stop(f"{broken} is no longer finite at step {trainer.step}")

    def add(self, trainer: Trainer, row: dict[str, float]) -> None:
        """Append one row, which must have a ``step``."""
        if not trainer.engine.chief:
            return
        clean = {k: (v if math.isfinite(v) else str(v)) for k, v in row.items()}
        with open(self.path, "a") as file:
            file.write(json.dumps(clean) + "\n")
        for name, value in row.items():
            if name != "step" and math.isfinite(value):
                self.writer.add_scalar(name, value, row["step"])


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # the last line of a killed run may be cut


class Progress(Callback):
    """A bar with losses, examples a second and the time left."""

    def __init__(self, log: MetricsLog | None = None) -> None:
        self.log, self._shown = log, 0.0
        self._bar: Any = None
        self._rate = (0.0, 0)

    @staticmethod
    def fraction(trainer: Trainer) -> float:
        """Spent share of the budget."""
        shares = []
        if trainer.steps is not None:
            shares.append(trainer.step / max(trainer.steps, 1))
        if trainer.minutes is not None:
            shares.append(trainer.seconds / max(60 * trainer.minutes, 1e-9))
        return min(1.0, max(shares))

    def on_step(self, trainer: Trainer) -> None:
        now = time.monotonic()
        if not trainer.engine.chief or (self._bar is not None and now - self._shown < 0.5):
            return
        from tqdm import tqdm

        if self._bar is None:
            layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
            self._bar = tqdm(total=1.0, initial=self.fraction(trainer), bar_format=layout, dynamic_ncols=True)
        elapsed = max(now - self._shown, 1e-9)
        rate = (trainer.examples - self._rate[1]) / elapsed if self._shown else math.nan
        losses = {
            k.removesuffix("/loss"): f"{v:.3f}"
            for k, v in (self.log.last if self.log else {}).items()
            if k.endswith("/loss")
        }
        self._shown, self._rate = now, (now, trainer.examples)
        self._bar.set_description_str(f"step {trainer.step:,}")
        self._bar.set_postfix({**losses, "examples/s": "…" if math.isnan(rate) else f"{rate:.0f}"}, refresh=False)
        self._bar.n = self.fraction(trainer)
        self._bar.refresh()

    def on_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.n = self.fraction(trainer)
            self._bar.refresh()
            self._bar.close()


class Previews(Callback):
    """The same latents again and again, as WAV, as a contact sheet, in TensorBoard and in the report.

    Args:
        run_dir: the run folder.
        sample_rate: of the sounds, in Hz.
        log: for TensorBoard.
        every: steps between previews; one more is made at the end.
        count: sounds.
        titles: names of the classes.
    """

    def __init__(
        self,
        run_dir: str | Path,
        sample_rate: int,
        log: MetricsLog,
        every: int = 500,
        count: int = 16,
        labels: list[str] | None = None,
    ) -> None:
        self.run_dir, self.sample_rate, self.log = Path(run_dir), sample_rate, log
        self.every, self.count, self.labels = every, count, labels or []
        self._fixed: tuple[Tensor, Tensor | None] | None = None
        self._last = -1

    def on_start(self, trainer: Trainer) -> None:
        rng = torch.Generator().manual_seed(trainer.seed)
        game: Any = trainer.game
        condition = None
        if game.classes:
            condition = game.condition(torch.arange(self.count, device=trainer.engine.device) % game.classes)
        self._fixed = game.latents(self.count, rng), condition

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step % self.every == 0:
            self.make(trainer)

    def on_end(self, trainer: Trainer) -> None:
        if trainer.step != self._last:
            self.make(trainer)

    def make(self, trainer: Trainer) -> None:
        """Make a preview now."""
        self._last = trainer.step
        if not trainer.engine.chief or self._fixed is None:
            return
        from audiogan.pictures import spectrogram_image
        from audiogan.report import write_preview, write_report

        averages: dict[str, nn.Module] = {}
        for callback in trainer.callbacks.values():
            if isinstance(callback, EMA):
                averages |= dict(callback.nets.items())
        z, condition = self._fixed
        waves = trainer.game.generate(z, condition, nets=averages).cpu()  # type: ignore[operator]
        if not torch.isfinite(waves).all():
            trainer.stop(f"the generator's sounds are no longer finite at step {trainer.step}")
            return
        titles = [self.labels[i % len(self.labels)] for i in range(self.count)] if condition is not None else None
        write_preview(self.run_dir, trainer.step, waves.numpy(), self.sample_rate, titles)
        writer = self.log.writer
        joined = nn.functional.pad(waves, (0, self.sample_rate // 8)).transpose(0, 1).flatten(1)
        writer.add_audio("previews", joined[:1].clamp(-1, 1), trainer.step, self.sample_rate)
        writer.add_image(
            "previews", spectrogram_image(waves.numpy(), self.sample_rate), trainer.step, dataformats="HWC"
        )
        write_report(self.run_dir)
