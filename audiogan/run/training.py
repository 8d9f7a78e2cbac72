"""Train from a configuration: build the trainer, resume from a checkpoint if there is one, and write the run folder."""

from __future__ import annotations

import contextlib
import inspect
import random
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from audiogan.core import (
    Callback,
    Checkpoints,
    Engine,
    Game,
    Player,
    Stream,
    Trainer,
    load_newest_checkpoint,
)
from audiogan.core.checkpoint import list_checkpoints
from audiogan.data.sounds.sources import MIN_EXAMPLES, describe_held_out
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.files import atomic_write
from audiogan.games import Generative, MetricLearning
from audiogan.inputs import Input, Signal
from audiogan.modalities import Modality
from audiogan.representations import Representation
from audiogan.run.build import build, wrap_errors
from audiogan.run.changes import data_fingerprint
from audiogan.run.facts import resolve_facts
from audiogan.run.folder import (
    check_run_folder,
    check_symbolic_links,
    create_run_folder,
    lock_run_folder,
    read_status,
    remove_temporary_files,
    write_scan,
    write_status,
)
from audiogan.run.initial import Initial, adopt_facts, load_initial, prepare_fine_tuning_callbacks, read_initial
from audiogan.run.optional import ignore_write_errors
from audiogan.run.resuming import error_reason, resume
from audiogan.run.scoring import start_scoring
from audiogan.run.stopping import INTERRUPTED, stop_on_signals
from audiogan.run.targets import resolve_target
from audiogan.run.trust import trust_flag
from audiogan.run.vocoders import attach_vocoder

Echo = Callable[[str], None]
MAX_FIT_EXAMPLES = 4096
"""Largest number of examples to which a representation is fitted. More examples would hardly change its statistics."""


def open_data(cfg: DictConfig) -> tuple[Table, Table]:
    """Open the data of a configuration, and return training data and held-out data.

    Columns of ``data.columns`` are added before the data is split. If there are too few examples to split,
    the held-out data is empty.
    """
    settings = OmegaConf.to_container(cfg.data, resolve=True)
    assert isinstance(settings, dict)
    holdout, columns = settings.pop("holdout", 0.0), settings.pop("columns", None) or {}
    groups = settings.pop("groups", None)
    if not isinstance(holdout, int | float) or not 0 <= holdout < 1:
        raise UserError(f"data.holdout={holdout!r} must be a number from 0 to below 1")
    table = build(settings, "data")
    for name, node in columns.items():
        if node is not None:
            table = table.with_column(name, build(node, f"data.columns.{name}"))
    return table.split(holdout if len(table) >= MIN_EXAMPLES else 0.0, seed=0, groups=groups)


def build_inputs(sections: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> dict[str, Input]:
    """Build the inputs of the generator, by name. Inputs without data are skipped, such as the class if the data has no
    labels.

    Args:
        sections: section ``inputs`` of a configuration: name -> settings, as plain dicts.
        facts: section ``facts.inputs``: name -> facts of the input, as plain dicts.
    """
    inputs = {}
    for name, node in (sections or {}).items():
        known = dict(facts.get(name) or {})
        if node is None or known.get("size") == 0:
            continue
        if known.get("modality") is not None:
            known["modality"] = build(known["modality"], f"facts.inputs.{name}.modality")
        inputs[str(name)] = build(node, f"inputs.{name}", name=str(name), **known)
    return inputs


def build_representation(cfg: DictConfig) -> Representation:
    """Build the representation of a configuration whose facts (values derived from the data) are set. It is not fitted
    yet."""
    return attach_vocoder(build(cfg.representation, "representation"))


def build_game(cfg: DictConfig, representation: Representation, inputs: dict[str, Input] | None = None) -> Game:
    """Build the game of a configuration whose facts (values derived from the data) are set.

    Args:
        cfg: configuration with facts.
        representation: representation of the signals.
        inputs: inputs by name. By default, they are built from the configuration.
    """
    if inputs is None:
        sections, facts = (
            OmegaConf.to_container(node or OmegaConf.create(), resolve=True)
            for node in (cfg.get("inputs"), cfg.facts.get("inputs"))
        )
        inputs = build_inputs(sections, facts)  # type: ignore[arg-type]
    return build(cfg.game, "game", representation=representation, inputs=inputs)


def build_modality(cfg: DictConfig) -> Modality:
    """Build the modality of a configuration whose facts (values derived from the data) are set."""
    return build(cfg.facts.modality, "facts.modality")


def build_trainer(
    cfg: DictConfig,
    train: Table,
    held_out: Table | None = None,
    *,
    fit_to_data: bool = True,
    initial: Initial | None = None,
    progress: bool = True,
    engine: Engine | None = None,
    echo: Echo = print,
) -> Trainer:
    """Build the trainer of a configuration, with its game, players, streams and callbacks.

    Args:
        cfg: checked configuration, in which the facts (values derived from the training data) are set.
        train: training data.
        held_out: held-out data, for callbacks.
        fit_to_data: whether to fit the representation and the inputs to the training data. Use ``False`` if a
            checkpoint is loaded afterwards.
        initial: trained model from which the run starts. For a resumed run, its checkpoint.
        progress: whether to show a progress bar.
        engine: engine to use. By default, it is built from the configuration.
        echo: function that prints a line.
    """
    engine = engine or build_engine(cfg)
    representation = resolve_facts(cfg, train)
    if initial is not None:
        adopt_facts(cfg, initial)
    if fit_to_data:
        chosen = np.unique(np.linspace(0, len(train) - 1, min(len(train), MAX_FIT_EXAMPLES)).astype(np.int64))
        representation.fit(train.signals(chosen[i : i + 64]) for i in range(0, len(chosen), 64))
    torch.manual_seed(cfg.seed)
    random.seed(cfg.seed)
    np.random.seed(cfg.seed % 2**32)
    game: Any = build_game(cfg, representation)
    if isinstance(game, MetricLearning):
        start_scoring(game)
    loaded = None
    if initial is not None and fit_to_data:
        loaded = load_initial(game, cfg, initial, lambda other: build_game(other, build_representation(other)), echo)
    inputs: Any = game.inputs.values() if isinstance(game, Generative) else ()
    for given in inputs:
        train = given.prepare_table(train)
        held_out = given.prepare_table(held_out) if held_out else held_out
        if fit_to_data:
            given.fit(train)
    players: list[Player] = [build(node, f"players.{name}") for name, node in cfg.players.items() if node]
    streams = build_streams(cfg, train)
    callbacks = build_callbacks(cfg, train, held_out, progress=progress)
    plain = OmegaConf.to_container(cfg, resolve=True)
    try:
        extra_values = {"kind": "audiogan", "config": plain, "data": data_fingerprint(train)}
        folder = Path(cfg.run_dir) / "checkpoints"
        callbacks["checkpoints"] = Checkpoints(folder, extra_values=extra_values, echo=echo, **cfg.checkpoints)
        clock = _cpu_clock(game) if cfg.trainer.clock == "cpu" else time.monotonic
        budget: Any = {"steps": cfg.trainer.steps, "minutes": cfg.trainer.minutes, "clock": clock}
        trainer = Trainer(game, players, streams, callbacks, engine, seed=cfg.seed, **budget)
    except (TypeError, ValueError) as error:
        raise UserError(f"{cfg.name}: {error}") from error
    if initial is not None and loaded is not None:
        prepare_fine_tuning_callbacks(trainer, initial, loaded)
    return trainer


def _cpu_clock(game: Game) -> Callable[[], float]:
    """Return a function that returns the CPU time, in seconds, of this process and of the game's worker processes."""
    return lambda: time.process_time() + game.background_seconds


def build_engine(cfg: DictConfig) -> Engine:
    """Build the engine, which manages the device, the precision and the processes of a run."""
    return build(cfg.engine, "engine")


def build_streams(cfg: DictConfig, train: Table) -> dict[str, Stream]:
    """Build the streams of batches, by name. A stream draws from all training data or from a view of it."""
    streams = {}
    for i, (name, node) in enumerate((cfg.get("streams") or {"train": None}).items()):
        options: Any = OmegaConf.to_container(node, resolve=True) if node is not None else {}
        batch_size = options.pop("batch_size", cfg.batch_size)
        view = build(options, f"streams.{name}") if options else None
        data = train if view is None else view(train)
        if not len(data):
            raise UserError(f"streams.{name}: its view selects no examples; change the view")
        streams[str(name)] = Stream(data, batch_size, seed=cfg.seed + i)
    return streams


def build_callbacks(
    cfg: DictConfig, train: Table, held_out: Table | None = None, *, progress: bool = True
) -> dict[str, Callback]:
    """Build the callbacks of a configuration, by name and in order.

    A constructor with a parameter ``run_dir``, ``log``, ``modality``, ``train`` or ``held_out`` gets the object of that
    name.
    """
    from audiogan.run.callbacks import MetricsLog, Progress

    callbacks: dict[str, Callback] = {}
    log: MetricsLog | None = None
    for name, node in cfg.callbacks.items():
        if node is None:
            continue
        target = resolve_target(node.get("_target_"), f"callbacks.{name}._target_")
        try:
            wanted = inspect.signature(target).parameters
        except (TypeError, ValueError) as error:
            raise UserError(f"callbacks.{name}: {target.__qualname__} is not a callback") from error
        offered = {"run_dir": cfg.run_dir, "log": log, "modality": train.modality, "train": train, "held_out": held_out}
        extra = {key: value for key, value in offered.items() if key in wanted}
        callbacks[str(name)] = built = build(node, f"callbacks.{name}", **extra)
        log = built if isinstance(built, MetricsLog) else log
    if progress:
        callbacks["progress"] = Progress(log)
    return callbacks


def train(cfg: DictConfig, *, resume_command: str = "", echo: Echo = print, progress: bool = True) -> Trainer:
    """Train from a configuration, resuming from the newest checkpoint if there is one.

    Args:
        cfg: configuration returned by `audiogan.run.config.compose`.
        resume_command: command line that resumes the run, printed if the run is interrupted.
        echo: function that prints a line.
        progress: whether to show a progress bar.

    Returns:
        The trainer at the end of the run. Its ``stop_reason`` is ``None`` if the run finished.

    Raises:
        UserError: the run folder, the data or a checkpoint cannot be used.
    """
    run_dir = Path(cfg.run_dir)
    engine = build_engine(cfg)
    if not engine.is_main_process:
        echo = _silent
    check_symbolic_links(run_dir)
    check_run_folder(run_dir)
    with create_run_folder(run_dir), lock_run_folder(run_dir) if engine.is_main_process else contextlib.nullcontext():
        if engine.is_main_process:
            remove_temporary_files(run_dir)
        path, state, damaged = load_newest_checkpoint(run_dir / "checkpoints", rename_damaged=engine.is_main_process)
        for complaint in damaged:
            echo(f"skipped a damaged checkpoint: {complaint}")
        initial = None
        if cfg.get("init") is not None:  # A resumed run does not read the model again.
            initial = read_initial(cfg.init) if path is None else Initial(str(path), state.get("config") or {})
        with wrap_errors(cfg.name):
            data, held_out = open_data(cfg)
        echo(f"data: {data.source}{describe_held_out(data, held_out, cfg.data.get('holdout'))}")
        scan = getattr(data, "scan", None)
        if scan is not None and scan.usable < scan.total:
            echo(scan.summary())
        else:
            for hint in getattr(scan, "hints", list)():
                echo(f"data: {hint}")
        with wrap_errors(cfg.name):
            options: Any = {"initial": initial, "progress": progress, "engine": engine, "echo": echo}
            trainer = build_trainer(cfg, data, held_out, fit_to_data=path is None, **options)
        if path is not None:
            resume(trainer, cfg, path, state, echo)
        echo(f"run: {run_dir}  {describe_networks(trainer)}")
        # If a run was killed after its last step, its final status and report are still missing.
        if trainer.budget_used_up and path is not None and read_status(run_dir) != "running":
            advice = "increase trainer.steps or trainer.minutes to resume"
            echo(f"nothing to do: the run is at step {trainer.step:,}; {advice}")
            return trainer
        # New files are written only now, so that a run keeps its old files if resuming fails.
        if engine.is_main_process:
            write_scan(run_dir, data)
            with atomic_write(run_dir / "config.yaml") as temporary:
                temporary.write_text(OmegaConf.to_yaml(cfg, resolve=True), encoding="utf-8", errors="replace")
        with stop_on_signals(trainer, echo):
            run_trainer(trainer, cfg, data.source, resume_command, echo)
    return trainer


def run_trainer(trainer: Trainer, cfg: DictConfig, source: str, resume_command: str, echo: Echo) -> None:
    """Run a trainer, and write the status and the report of the run."""
    run_dir, chief = Path(cfg.run_dir), trainer.engine.is_main_process

    def update_status(text: str) -> None:
        if chief:
            write_status(run_dir, status=text, source=source)

    update_status("running")
    try:
        trainer.run()
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        update_status("stopped (interrupted)" if interrupted else f"failed ({error_reason(error)})")
        if _out_of_memory(error):
            advice = "use a smaller batch_size or a larger engine.accumulate"
            raise UserError(f"{run_dir}: out of memory at step {trainer.step:,}; {advice}") from error
        raise
    if trainer.budget_used_up and trainer.stop_reason in INTERRUPTED:
        trainer.stop_reason = None  # The signal arrived after the last step, so the run is complete.
    reason = trainer.stop_reason
    outcome = f"stopped ({reason})" if reason else "finished"
    update_status(outcome)
    if chief:
        summary = f"{outcome} at step {trainer.step:,} after {trainer.seconds / 60:.1f} minutes"
        write_report_and_summary(trainer, cfg, resume_command, summary, echo)
    trainer.stop_reason = reason  # Ignore signals that arrived during the report.


def _out_of_memory(error: BaseException) -> bool:
    words = ("out of memory", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def write_report_and_summary(trainer: Trainer, cfg: DictConfig, resume_command: str, summary: str, echo: Echo) -> None:
    """Write the report of a run, and print a summary with commands that use the run.

    Args:
        trainer: trainer of the run.
        cfg: configuration of the run.
        resume_command: command line that resumes the run, printed if the run was interrupted.
        summary: first line to print, such as ``finished at step 1,000 after 2.0 minutes``.
        echo: function that prints a line.
    """
    from audiogan.run.report import write_report

    echo(summary)
    with ignore_write_errors(Path(cfg.run_dir) / "report.html"):
        echo(f"report:  {write_report(Path(cfg.run_dir))}")
    if list_checkpoints(Path(cfg.run_dir) / "checkpoints"):
        run = f"--run {shlex.quote(str(cfg.run_dir))}{trust_flag()}"
        game: Any = trainer.game
        if isinstance(game, Generative) and game.required_inputs:
            several = f" --generator {game.default_generator}" if len(game.generators) > 1 else ""
            texts = [name for name, each in game.required_inputs.items() if not isinstance(each, Signal)]
            given = "".join(f" --input {name}=VALUE" for name in texts)
            file = "" if len(texts) == len(game.required_inputs) else "FILE "
            echo(f"apply:   audiogan apply {file}OUT {run}{several}{given}")
        else:
            echo(f"sample:  audiogan sample -n 16 out/ {run}")
    if trainer.stop_reason in INTERRUPTED and resume_command:
        echo(f"resume:  {resume_command}")


def describe_networks(trainer: Trainer) -> str:
    """Return one line with the number of parameters of each network, the device and the precision."""
    sizes = ", ".join(
        f"{n} {sum(p.numel() for p in net.parameters()) / 1e6:.2f} M" for n, net in trainer.game.nets.items()
    )
    engine = trainer.engine
    processes = f", {engine.world_size} processes" if engine.world_size > 1 else ""
    return f"[{sizes} parameters; {engine.device}, {engine.precision}{processes}]"


def _silent(line: str) -> None:
    """Print nothing. Only the first process of a distributed run prints messages."""
