"""Checks of every command on one small run. Every trained model must pass them, for all games, inputs and networks."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from states import assert_same, state_at

import audiogan
from audiogan.cli import main
from audiogan.core import load_newest_checkpoint
from audiogan.inputs import Signal, SpokenText, Text
from audiogan.modalities.wav import save_wav
from audiogan.model.generator import Generator
from audiogan.model.sample_inputs import has_random_inputs

STEPS, KILLED = 5, 3
OFTEN = (
    "engine.threads=1",
    f"trainer.steps={STEPS}",
    "checkpoints.every_steps=1",
    f"checkpoints.keep={STEPS}",
    f"callbacks.previews.every={KILLED}",
    "callbacks.previews.count=4",
    "callbacks.monitors.every=2",
    "++callbacks.monitors.count=8",
    "callbacks.log.every=1",
)
"""Overrides of a training of five steps that can be taken up at each step."""


class Run:
    """Run of five training steps.

    Args:
        folder: folder of the run and of all files that the commands write.
        config: name or file of the configuration.
        overrides: settings that make the run small.
        trust: names of modules that every command gets as ``--trust``.
    """

    def __init__(self, folder: Path, config: str, overrides: Sequence[str] = (), trust: Sequence[str] = ()) -> None:
        self.path, self.folder, self.config = folder / "run", folder, config
        self.overrides, self.trust = [*OFTEN, *overrides], list(trust)
        self._generator: Generator | None = None
        self.printed = self.train(self.path)

    def train(self, run_dir: Path) -> str:
        return self.command("train", self.config, *self.overrides, f"run_dir={run_dir}")

    def command(self, *arguments: object, code: int = 0) -> str:
        """Run a command of the command line and return what it printed."""
        out = io.StringIO()
        flags = [f"--trust={name}" for name in self.trust]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            got = main([*map(str, arguments), *flags])
        assert got == code, out.getvalue()
        return out.getvalue()

    @property
    def generator(self) -> Generator:
        if self._generator is None:
            self._generator = audiogan.load(self.path, trust=self.trust)
        return self._generator

    def given(self, *, odd: bool = False) -> dict[str, str]:
        """Return a value for each required input. Signals are files, of an odd size or of the trained size."""
        values = {}
        for name, each in self.generator.game.required_inputs.items():
            if isinstance(each, Text):
                values[name] = each.alphabet[:1]
            if isinstance(each, SpokenText):
                values[name] = "Yes, 2!"
            if isinstance(each, Signal):
                values[name] = str(_signal(self.folder / f"{name}{'-odd' * odd}", each, odd))
        return values


def trained_once(runs: dict[str, Run | None], name: str, make: Callable[[], Run]) -> Run:
    """Return a run from ``runs``, or train it. If training failed in an earlier test, fail at once."""
    if name not in runs:
        runs[name] = None
        runs[name] = make()
    run = runs[name]
    if run is None:
        pytest.fail(f"{name}: its training failed in an earlier test", pytrace=False)
    return run


def _signal(path: Path, given: Signal, odd: bool) -> Path:
    shape = [size or 48 for size in given.shape]
    sizes = [size + 5 + 8 * i for i, size in enumerate(shape[1:])] if odd else shape[1:]
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (shape[0], *sizes)).astype(np.float32)
    rate = getattr(given.modality, "sample_rate", None)
    path = path.with_suffix(".wav" if rate else ".png")
    save_wav(path, x, rate) if rate else given.modality.save(path, x)
    return path


def trained(run: Run) -> None:
    """The run folder contains previews, metrics of the monitors, findings and a report."""
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert max(row["step"] for row in rows) == STEPS
    named = {name for row in rows for name in row}
    assert any("/" in name and not name.endswith("/grad_norm") and "monitor" not in name for name in named), named
    assert any(name.startswith("monitor/kernel/") for name in named), named
    assert all(np.isfinite(float(value)) for row in rows for value in row.values()), rows
    previews = {path.stem for path in (run.path / "previews").iterdir()}
    assert {f"step-{KILLED:08d}", f"step-{STEPS:08d}"} <= previews
    assert (run.path / "report.html").stat().st_size and "verdict" in (run.path / "findings.jsonl").read_text()
    assert "warning" not in run.printed.lower(), run.printed


def resumed(run: Run) -> None:
    """A run that is killed after its third step ends with the same bits as an uninterrupted run."""
    again = run.folder / "again"
    shutil.copytree(run.path, again)
    for step in range(KILLED + 1, STEPS + 1):
        (again / f"checkpoints/step-{step:08d}.ckpt").unlink()
    printed = run.train(again)
    assert f"at step {KILLED}\n" in printed and f"finished at step {STEPS}" in printed, printed
    assert_same(state_at(again, STEPS), state_at(run.path, STEPS))


def sampled(run: Run) -> None:
    """``sample`` writes the files of two samples. If the model requires signals, they are given as files."""
    out, values = run.folder / "samples", run.given()
    flags = [f"--input={name}={value}" for name, value in values.items() for _ in range(2)]
    if len(run.generator.routes) > 1:
        flags += ["--generator", list(run.generator.routes)[-1]]
    run.command("sample", "-n", 2, "--seed", 1, out, "--run", run.path, *flags)
    modality = run.generator.modality
    assert len([path for path in out.iterdir() if path.suffix == modality.suffix]) >= (2 if modality.single else 1)
    assert (out / "samples.csv").is_file()


def applied(run: Run) -> None:
    """``apply`` translates a file of an odd size with each generator. For a model without a source, it prints an
    error."""
    values = run.given(odd=True)
    signals = {name: value for name, value in values.items() if isinstance(run.generator.inputs[name], Signal)}
    if not signals:
        flags = [f"--input={key}={value}" for key, value in values.items()]
        out = run.command("apply", "picture.png", run.folder / "out.png", "--run", run.path, *flags, code=2)
        assert "no signal as an input" in out
        if values and run.generator.modality.sample_rate:
            run.command("apply", run.folder / "spoken.wav", "--run", run.path, *flags)
            assert (run.folder / "spoken.wav").is_file()
        return
    name = "source" if "source" in signals else next(iter(signals))
    source, modality = run.generator.inputs[name], run.generator.modality
    flags = [f"--input={key}={value}" for key, value in values.items() if key != name]
    free = [None] * (len(source.shape) - 1)
    before = source.modality.load(signals[name], (source.shape[0], *free)).shape[1:]
    if not modality.same_kind(source.modality):
        out = run.command("apply", signals[name], run.folder / "out.png", "--run", run.path, *flags, code=2)
        assert "cannot be applied" in out
        return
    for route in run.generator.routes:
        out = (run.folder / f"applied-{route}").with_suffix(modality.suffix)
        run.command("apply", signals[name], out, "--run", run.path, "--generator", route, *flags)
        after = modality.load(out, (run.generator.shape[0], *free)).shape[1:]
        sizes = zip(run.generator.shape[1:], source.shape[1:], strict=True)
        assert after == tuple(size * n // (m or n) for size, (n, m) in zip(before, sizes, strict=True))


def walked(run: Run) -> None:
    """``walk`` writes an animation. If the model requires signals, they are given as files. For a model without random
    inputs, it prints an error."""
    out = run.folder / "walk.gif"
    flags = [f"--input={name}={value}" for name, value in run.given().items()]
    if not has_random_inputs(run.generator):
        assert "draws no input at random" in run.command("walk", out, "--run", run.path, *flags, code=2)
        return
    printed = run.command("walk", out, "--run", run.path, "--seconds", 0.2, "--fps", 10, "--points", 2, *flags)
    assert out.is_file() and "2 frames" in printed


def inputs_listed(run: Run) -> None:
    """``inputs`` lists each input, each of several generators, and the output."""
    lines = run.command("inputs", run.path).splitlines()
    named = [line.split()[0] for line in lines]
    routes = list(run.generator.routes) if len(run.generator.routes) > 1 else []
    assert named == [*run.generator.inputs, *routes, "output:"]


def evaluated(run: Run) -> None:
    """``evaluate`` prints finite values and draws a sheet."""
    sheet = run.folder / "sheet.png"
    run.command("evaluate", run.path, "-n", 20, "--no-classifier", "--sheet", sheet)
    values = json.loads((run.path / "evaluation.json").read_text())["values"]
    assert values and all(np.isfinite(value) for value in values.values()) and sheet.is_file()


def exported_audiogan(run: Run) -> None:
    """A bundle gives the same bits as the run with weights in half precision."""
    file = run.folder / "model.audiogan"
    run.command("export", run.path, file)
    loaded, rounded = audiogan.load(file, trust=run.trust), audiogan.load(run.path, trust=run.trust)
    for value in rounded.game.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.half())
    for name in run.generator.routes:
        wanted, got = (g.sample(2, seed=3, inputs=run.given(), generator=name) for g in (rounded, loaded))
        assert np.array_equal(wanted, got)


def exported_onnx(run: Run) -> None:
    """The command compares the exported model with the run. Models of points and of speech cannot be exported."""
    file = run.folder / "model.onnx"
    spoken = any(isinstance(each, SpokenText) for each in run.generator.inputs.values())
    if run.generator.modality.output_name is None or spoken:
        assert "cannot be exported" in run.command("export", run.path, file, code=2)
        return
    printed = run.command("export", run.path, file)
    assert file.is_file() and "largest difference" in printed, printed


def doctored(run: Run) -> None:
    """``doctor`` prints a verdict."""
    assert "verdict" in run.command("doctor", run.path).lower()


def fine_tuned(run: Run) -> None:
    """A run that starts from a trained model has all its weights and continues training."""
    folder = run.folder / "fine-tuned"
    start = ["trainer.steps=0", f"run_dir={folder}", "callbacks.previews=null"]
    printed = run.command("train", run.config, *run.overrides, f"init={run.path}", *start)
    assert f"init: {run.path}; trained: " in printed and "with new weights" not in printed, printed
    state = load_newest_checkpoint(folder / "checkpoints")[1]["trainer"]
    for name, value in run.generator.game.nets.state_dict().items():
        assert name.endswith(".level") or torch.equal(state["game"][f"nets.{name}"], value), name
    run.command("train", run.config, *run.overrides, f"init={run.path}", *start[1:])
    assert audiogan.load(folder, trust=run.trust).step == STEPS
    shutil.rmtree(folder)


COMMANDS: dict[str, Callable[[Run], None]] = {
    "train": trained,
    "resume": resumed,
    "fine-tune": fine_tuned,
    "sample": sampled,
    "apply": applied,
    "walk": walked,
    "inputs": inputs_listed,
    "evaluate": evaluated,
    "export-audiogan": exported_audiogan,
    "export-onnx": exported_onnx,
    "doctor": doctored,
}
"""Checks by the name of the command."""
