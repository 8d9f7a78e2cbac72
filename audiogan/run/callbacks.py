"""Callbacks that write into the run folder: the metrics log and the preview samples."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from audiogan.core import EMA, Callback, Move, Trainer
from audiogan.core.checking import check_running_sums
from audiogan.files import append_bytes, atomic_write, is_regular_file
from audiogan.inputs import Signal
from audiogan.modalities import Modality
from audiogan.modalities.animation import MAX_FRAME_PIXELS
from audiogan.modalities.base import preview_path
from audiogan.modalities.drawing.png import open_png
from audiogan.run.optional import ignore_write_errors
from audiogan.run.progress_bar import Progress

__all__ = ["MetricsLog", "Previews", "Progress", "averaged_networks"]
MAX_PREVIEWS = 100_000
"""Largest number of samples in a preview. All of them are in memory at once."""


class MetricsLog(Callback):
    """Log of losses, critic scores and gradient norms, averaged over ``every`` steps.

    Each line of ``metrics.jsonl`` holds the means of one interval. They are also written for TensorBoard. The sums stay
    on the device, so that logging does not block the training loop. A loss that is not finite stops the run. If a line
    cannot be written, for example because the disk is full, it is skipped and one warning is printed.

    ``examples_per_second`` counts real examples, as is usual for GANs (see `Trainer.real_examples`). If the critic and
    the generator are each updated once per step, it is the batch size times the number of steps per second.

    Args:
        run_dir: run folder.
        every: number of steps between two lines of the log, at least 1.

    Attributes:
        last: values of the newest line, by name.

    Examples:
        >>> import tempfile
        >>> from audiogan.run.callbacks import MetricsLog
        >>> MetricsLog(tempfile.gettempdir(), every=100).every
        100
    """

    def __init__(self, run_dir: str | Path, every: int = 50) -> None:
        if every < 1:
            raise ValueError(f"every={every} must be at least 1")
        self.path, self.every = Path(run_dir) / "metrics.jsonl", every
        self.last: dict[str, float] = {}
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._since = (0.0, 0)
        self._first = 0
        self._trimmed = False
        self._writer: Any = None

    def on_start(self, trainer: Trainer) -> None:
        self._since, self._first = (trainer.seconds, trainer.real_examples), trainer.step

    def on_resume(self, trainer: Trainer) -> None:
        self.on_start(trainer)
        device = trainer.engine.device
        self._sums = {name: (total.to(device), count) for name, (total, count) in self._sums.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self._sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sums = check_running_sums(state.get("sums", {}), "the sums of the log")

    def _trim(self) -> None:
        """Remove lines that are unreadable or newer than the checkpoint from which this run resumes.

        The run repeats the steps of these lines. The file is always replaced, because the old one may be a symbolic
        link or a FIFO.
        """
        if os.path.lexists(self.path):
            lines = self.path.read_bytes().split(b"\n") if is_regular_file(self.path) else []
            kept = [line for line in lines if _step(line) <= self._first]
            with atomic_write(self.path) as temporary:
                temporary.write_bytes(b"".join(line + b"\n" for line in kept))
        self._trimmed = True

    @property
    def tensorboard_dir(self) -> Path:
        """Folder of the TensorBoard event files."""
        return self.path.parent / "tensorboard"

    @property
    def writer(self) -> Any:
        """TensorBoard writer. Events of a resumed run replace earlier events of the same steps.

        Use it inside ``with ignore_write_errors(log.tensorboard_dir)``.
        """
        if self._writer is None:
            from audiogan.run.tensorboard import Board

            self._writer = Board(self.tensorboard_dir, purge_step=self._first + 1)
        return self._writer

    def on_move(self, trainer: Trainer, move: Move) -> None:
        if not move.applied:  # A callback refused this optimizer step and has printed a message.
            return
        player = move.player.name
        figures = {f"{player}/{name}": value.float() for name, value in move.losses.items()}
        figures[f"{player}/grad_norm"] = move.grad_norm
        figures |= {f"{player}/{name}": value.float().mean() for name, value in move.recorded_values.items()}
        for name, value in figures.items():
            total, count = self._sums.get(name, (torch.zeros_like(value), 0))
            self._sums[name] = (total + value, count + 1)

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step % self.every == 0:
            self.write_means(trainer)

    def on_end(self, trainer: Trainer) -> None:
        if self._sums:
            self.write_means(trainer)

    def write_means(self, trainer: Trainer) -> None:
        """Write the means since the last line to the log. Stop the run if a loss is not finite."""
        means = {name: float(total) / count for name, (total, count) in self._sums.items()}
        seconds, examples = self._since
        rate = (trainer.real_examples - examples) / max(trainer.seconds - seconds, 1e-9)
        self._sums, self._since = {}, (trainer.seconds, trainer.real_examples)
        row = {"step": trainer.step, "seconds": round(trainer.seconds, 3), "examples_per_second": rate, **means}
        self.last = means
        self.append_row(trainer, row)
        broken = [name for name, value in means.items() if not math.isfinite(value) and "grad_norm" not in name]
        if broken:
            trainer.stop(f"{broken[0]} is no longer finite at step {trainer.step}")

    def append_row(self, trainer: Trainer, row: dict[str, float]) -> bool:
        """Append a row of values to the log and return whether it was written.

        Args:
            trainer: the trainer of the run.
            row: values by name; ``step`` is required.
        """
        if not trainer.engine.is_main_process:
            return False
        written = False
        with ignore_write_errors(self.path):
            # The lines of steps after the checkpoint are removed only when the first new line is written. If resuming
            # fails, the log is therefore unchanged.
            if not self._trimmed:
                self._trim()
            clean = {k: (v if math.isfinite(v) else str(v)) for k, v in row.items()}
            append_bytes(self.path, (json.dumps(clean) + "\n").encode())
            written = True
        with ignore_write_errors(self.tensorboard_dir):
            for name, value in row.items():
                if name != "step" and math.isfinite(value):
                    self.writer.add_scalar(name, value, row["step"])
        return written


def _step(line: bytes) -> float:
    """Return the step of a line of the log, or infinity if the line cannot be read.

    The last line may be cut because the run was killed.
    """
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return math.inf


class Previews(Callback):
    """Preview samples from the same inputs, generated at regular intervals of a run.

    Each preview is saved as audio or image files with a contact sheet, and shown in TensorBoard and in the report.
    Inputs that cannot be drawn at random, such as a source image, come from held-out examples. The contact sheet then
    shows source, output and target; TensorBoard shows it as ``comparison``.

    Args:
        run_dir: run folder.
        modality: kind of signal of the samples.
        log: log with the TensorBoard writer. Without a log, previews are only written to files.
        every: number of steps between two previews, at least 1. Another preview is made at the end of the run.
        count: number of samples in a preview, 1 to 100,000.
        train: training data, used if ``held_out`` is empty.
        held_out: held-out data. It provides the inputs that cannot be drawn at random.
    """

    def __init__(
        self,
        run_dir: str | Path,
        modality: Modality,
        log: MetricsLog | None,
        every: int = 500,
        count: int = 16,
        train: Any = None,
        held_out: Any = None,
    ) -> None:
        if every < 1 or not 1 <= count <= MAX_PREVIEWS:
            raise ValueError(f"every={every} must be at least 1, and count={count} from 1 to {MAX_PREVIEWS:,}")
        self.run_dir, self.modality, self.log = Path(run_dir), modality, log
        self.every, self.count = every, count
        self.data = held_out if held_out is not None and len(held_out) else train
        self._shown: dict[str, PreviewBatch] = {}
        self._last = -1

    def on_start(self, trainer: Trainer) -> None:
        game: Any = trainer.game
        for name in game.generators:
            rng = torch.Generator().manual_seed(trainer.seed)
            if not game.required_inputs:
                self._shown[name] = PreviewBatch(game.draw(self.count, rng, **game.balanced_inputs(self.count)), {}, {})
                continue
            sources, _ = game.source_and_target_rows(self.data, name)
            each = max(1, self.count // len(game.generators))
            chosen = sources[np.unique(np.linspace(0, len(sources) - 1, min(each, len(sources))).astype(np.int64))]
            batch = self.data.examples(chosen)
            values = game.draw_for_batch(batch, rng)
            before = {
                key: given.to_display(values[key])
                for key, given in game.required_inputs.items()
                if isinstance(given, Signal) and self.modality.same_kind(given.modality)
            }
            paired = game.generators[name].target is None and all(
                each.column != "x" for each in game.required_inputs.values()
            )
            self._shown[name] = PreviewBatch(values, before, {"target": batch["x"]} if paired else {})

    def on_step(self, trainer: Trainer) -> None:
        if trainer.step % self.every == 0:
            self.write_preview(trainer)

    def on_end(self, trainer: Trainer) -> None:
        if trainer.step != self._last:
            self.write_preview(trainer)
        pictures = trainer.engine.is_main_process and any((self.run_dir / "previews").glob("step-*.png"))
        if pictures and self.modality.animated:
            with ignore_write_errors(self.run_dir / "previews"):
                self.modality.write_animation(self.run_dir)

    def write_preview(self, trainer: Trainer) -> None:
        """Generate and save a preview. Stop the run if a sample is not finite."""
        self._last = trainer.step
        if not trainer.engine.is_main_process or not self._shown:
            return
        from audiogan.run.report import write_report

        game: Any = trainer.game
        nets, made = averaged_networks(trainer), []
        for name, shown in self._shown.items():
            out = game.generate(shown.inputs, generator=name, nets=nets).cpu()
            if not torch.isfinite(out).all():
                trainer.stop(f"the generator's {self.modality.noun}s are no longer finite at step {trainer.step}")
                return
            made.append(self.modality.postprocess(out.numpy()))
        samples = np.concatenate(made)
        first = next(iter(self._shown.values()))
        titles = game.captions(first.inputs) if len(self._shown) == 1 else self._directions(game, made)
        columns = self._columns(samples)
        with ignore_write_errors(self.run_dir / "previews"):
            self.modality.write_preview(self.run_dir, trainer.step, samples, titles, extra_columns=columns)
        if self.log is not None:
            with ignore_write_errors(self.log.tensorboard_dir):
                self.modality.log_tensorboard(self.log.writer, "previews", samples, trainer.step)
                picture = preview_path(self.run_dir, trainer.step)
                if columns and is_regular_file(picture):
                    with open_png(picture, MAX_FRAME_PIXELS) as sheet:
                        pixels = np.asarray(sheet.convert("RGB"))
                    self.log.writer.add_image("comparison", pixels, trainer.step, dataformats="HWC")
        with ignore_write_errors(self.run_dir / "report.html"):
            write_report(self.run_dir)

    def _directions(self, game: Any, made: list[np.ndarray]) -> list[str]:
        """Return one title per sample: the direction of its generator, such as ``apples -> tomatoes``."""
        titles = []
        for name, part in zip(self._shown, made, strict=True):
            ends = game.generators[name].source, game.generators[name].target
            labels = [self.data.labels[end] for end in ends if end is not None] if self.data is not None else []
            titles += [" -> ".join(labels) if len(labels) == 2 else name] * len(part)
        return titles

    def _columns(self, samples: np.ndarray) -> dict[str, np.ndarray] | None:
        """Return the columns of the contact sheet: sources, outputs and targets. ``None`` if there are only outputs."""
        parts = list(self._shown.values())
        if not parts[0].before and not parts[0].after:
            return None
        before = {key: np.concatenate([part.before[key].numpy() for part in parts]) for key in parts[0].before}
        after = {key: np.concatenate([part.after[key].numpy() for part in parts]) for key in parts[0].after}
        return {**before, "output": samples, **after}


class PreviewBatch(NamedTuple):
    """Inputs of a preview, with the signals to show to the left (``before``) and right (``after``) of each sample.

    Each of ``before`` and ``after`` maps a title to a batch of signals.
    """

    inputs: dict[str, Tensor]
    before: dict[str, Tensor]
    after: dict[str, Tensor]


def averaged_networks(trainer: Trainer) -> dict[str, nn.Module]:
    """Return copies of the networks with averaged weights (see `EMA`), by network name."""
    nets: dict[str, nn.Module] = {}
    for callback in trainer.callbacks.values():
        if isinstance(callback, EMA):
            nets |= dict(callback.nets.items())
    return nets
