"""A training from its configuration: build the parts, take up what was there, run, and leave a run folder behind."""

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
    CheckpointError,
    Checkpoints,
    Engine,
    Game,
    Player,
    Stream,
    Trainer,
    load_newest_checkpoint,
)
from audiogan.core.checkpoint import list_checkpoints
from audiogan.data.sounds.sources import FEWEST, describe_held_out
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.files import atomic_write
from audiogan.games import Generative
from audiogan.inputs import Input
from audiogan.modalities import Modality
from audiogan.representations import Representation
from audiogan.run.build import build, wrap_errors
from audiogan.run.changes import data_fingerprint, describe_data_changes, describe_setting_changes
from audiogan.run.facts import resolve_facts
from audiogan.run.folder import (
    check_links,
    check_run_folder,
    create_run_folder,
    lock_run_folder,
    read_status,
    remove_temporary_files,
    write_status,
)
from audiogan.run.optional import ignore_write_errors
from audiogan.run.stopping import INTERRUPTED, stop_on_signals
from audiogan.run.targets import resolve_target
from audiogan.run.trust import trust_flag

Echo = Callable[[str], None]
# Statistics of more examples than these would not be other ones.
MAX_FIT_EXAMPLES = 4096


def open_data(cfg: DictConfig) -> tuple[Table, Table]:
    """Return the training data and the held-out data of a configuration.

    Columns of ``data.columns`` are added before the split. The held-out data is empty if there are too few examples.
    """
    settings = OmegaConf.to_container(cfg.data, resolve=True)
    assert isinstance(settings, dict)
    holdout, columns = settings.pop("holdout", 0.0), settings.pop("columns", None) or {}
    groups = settings.pop("groups", None)
    if not isinstance(holdout, int | float) or not 0 <= holdout < 1:
        raise UserError(f"data.holdout={holdout!r} must be from 0 to below 1")
    table = build(settings, "data")
    for name, node in columns.items():
        if node is not None:
            table = table.with_column(name, build(node, f"data.columns.{name}"))
    return table.split(holdout if len(table) >= FEWEST else 0.0, seed=0, groups=groups)


def build_inputs(sections: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> dict[str, Input]:
    """Return inputs by name. Those for which there is no data are left out.

    Args:
        sections: settings of each input, ``inputs`` of a configuration, as plain dicts.
        facts: facts of each input, ``facts.inputs``, as plain dicts.
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
    """Return the representation of a configuration with known facts, not fitted yet."""
    return build(cfg.representation, "representation")


def build_game(cfg: DictConfig, representation: Representation, inputs: dict[str, Input] | None = None) -> Game:
    """Return the game of a configuration with known facts; ``inputs`` replaces those of the configuration."""
    if inputs is None:
        sections, facts = (
            OmegaConf.to_container(node or OmegaConf.create(), resolve=True)
            for node in (cfg.get("inputs"), cfg.facts.get("inputs"))
        )
        inputs = build_inputs(sections, facts)  # type: ignore[arg-type]
    return build(cfg.game, "game", representation=representation, inputs=inputs)


def build_modality(cfg: DictConfig) -> Modality:
    """The kind of signal that a configuration with known facts is about."""
    return build(cfg.facts.modality, "facts.modality")


def build_trainer(
    cfg: DictConfig,
    train: Table,
    held_out: Table | None = None,
    *,
    fit: bool = True,
    progress: bool = True,
    engine: Engine | None = None,
    echo: Echo = print,
) -> Trainer:
    """All parts of a training. ``fit=False`` leaves the representation's statistics to a checkpoint."""
    engine = engine or build_engine(cfg)
    representation = resolve_facts(cfg, train)
    if fit:
        chosen = np.unique(np.linspace(0, len(train) - 1, min(len(train), MAX_FIT_EXAMPLES)).astype(np.int64))
        representation.fit(train.signals(chosen[i : i + 64]) for i in range(0, len(chosen), 64))
    torch.manual_seed(cfg.seed)
    random.seed(cfg.seed)
    np.random.seed(cfg.seed % 2**32)
    game: Any = build_game(cfg, representation)
    inputs: Any = game.inputs.values() if isinstance(game, Generative) else ()
    for given in inputs:
        train = given.prepare_table(train)
        held_out = given.prepare_table(held_out) if held_out else held_out
        if fit:
            given.fit(train)
    players: list[Player] = [build(node, f"players.{name}") for name, node in cfg.players.items() if node]
    streams = build_streams(cfg, train)
    callbacks = build_callbacks(cfg, train, held_out, progress=progress)
    plain = OmegaConf.to_container(cfg, resolve=True)
    try:
        extra = {"kind": "audiogan", "config": plain, "data": data_fingerprint(train)}
        folder = Path(cfg.run_dir) / "checkpoints"
        callbacks["checkpoints"] = Checkpoints(folder, extra=extra, echo=echo, **cfg.checkpoints)
        clock = time.process_time if cfg.trainer.clock == "cpu" else time.monotonic
        budget: Any = {"steps": cfg.trainer.steps, "minutes": cfg.trainer.minutes, "clock": clock}
        return Trainer(game, players, streams, callbacks, engine, seed=cfg.seed, **budget)
    except (TypeError, ValueError) as error:
        raise UserError(f"{cfg.name}: {error}") from error


def build_engine(cfg: DictConfig) -> Engine:
    return build(cfg.engine, "engine")


def build_streams(cfg: DictConfig, train: Table) -> dict[str, Stream]:
    """Every stream is a view of the training data; ``null`` is all of it."""
    streams = {}
    for i, (name, node) in enumerate((cfg.get("streams") or {"train": None}).items()):
        options: Any = OmegaConf.to_container(node, resolve=True) if node is not None else {}
        batch_size = options.pop("batch_size", cfg.batch_size)
        view = build(options, f"streams.{name}") if options else None
        data = train if view is None else view(train)
        if not len(data):
            raise UserError(f"streams.{name}: its view of the data is empty")
        streams[str(name)] = Stream(data, batch_size, seed=cfg.seed + i)
    return streams


def build_callbacks(
    cfg: DictConfig, train: Table, held_out: Table | None = None, *, progress: bool = True
) -> dict[str, Callback]:
    """The configured callbacks by name, in order. The log, the run folder, the labels and the data are handed to those
    who want them.
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
            raise UserError(f"callbacks.{name}: {target.__qualname__} is not a class of this kind") from error
        offered = {"run_dir": cfg.run_dir, "log": log, "modality": train.modality, "train": train, "held_out": held_out}
        extra = {key: value for key, value in offered.items() if key in wanted}
        callbacks[str(name)] = built = build(node, f"callbacks.{name}", **extra)
        log = built if isinstance(built, MetricsLog) else log
    if progress:
        callbacks["progress"] = Progress(log)
    return callbacks


def train(cfg: DictConfig, *, command: str = "", echo: Echo = print, progress: bool = True) -> Trainer:
    """Run a training, from its last checkpoint if there is one. Returns the trainer when the run has ended."""
    run_dir = Path(cfg.run_dir)
    engine = build_engine(cfg)
    if not engine.is_main_process:
        echo = _silent
    check_links(run_dir)
    check_run_folder(run_dir)
    with create_run_folder(run_dir), lock_run_folder(run_dir) if engine.is_main_process else contextlib.nullcontext():
        if engine.is_main_process:
            remove_temporary_files(run_dir)
        path, state, damaged = load_newest_checkpoint(run_dir / "checkpoints", rename_damaged=engine.is_main_process)
        for complaint in damaged:
            echo(f"damaged checkpoint skipped: {complaint}")
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
            trainer = build_trainer(cfg, data, held_out, fit=path is None, progress=progress, engine=engine, echo=echo)
        if path is not None:
            resume(trainer, cfg, path, state, echo)
        echo(f"run: {run_dir}  {describe_networks(trainer)}")
        # A run that was killed after its last step still gets its verdict and report.
        if trainer.budget_spent and path is not None and read_status(run_dir) != "running":
            echo(f"nothing to do: the run is at step {trainer.step:,}; raise trainer.steps or trainer.minutes to go on")
            return trainer
        if engine.is_main_process:  # only now: a run that cannot be resumed, or has nothing to do, stays as it is
            write_scan(run_dir, data)
            with atomic_write(run_dir / "config.yaml") as temporary:
                temporary.write_text(OmegaConf.to_yaml(cfg, resolve=True), encoding="utf-8", errors="replace")
        with stop_on_signals(trainer, echo):
            run_trainer(trainer, cfg, data.source, command, echo)
    return trainer


def run_trainer(trainer: Trainer, cfg: DictConfig, source: str, command: str, echo: Echo) -> None:
    """Run a training that is ready, and write its status and its report."""
    run_dir, chief = Path(cfg.run_dir), trainer.engine.is_main_process

    def tell(how: str) -> None:
        if chief:
            write_status(run_dir, status=how, source=source)

    tell("running")
    try:
        trainer.run()
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        tell("stopped (interrupted)" if interrupted else f"failed ({_reason(error)})")
        if _out_of_memory(error):
            advice = "use a smaller batch_size or a larger engine.accumulate"
            raise UserError(f"{run_dir}: out of memory at step {trainer.step:,}; {advice}") from error
        raise
    if trainer.budget_spent and trainer.stop_reason in INTERRUPTED:
        trainer.stop_reason = None  # the signal came after the last step
    reason = trainer.stop_reason
    how = f"stopped ({reason})" if reason else "finished"
    tell(how)
    if chief:
        report_end(
            trainer, cfg, command, f"{how} at step {trainer.step:,} after {trainer.seconds / 60:.1f} minutes", echo
        )
    trainer.stop_reason = reason  # whatever signals came meanwhile


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return " ".join(str(error).split())[:300] or type(error).__name__


def _out_of_memory(error: BaseException) -> bool:
    words = ("out of memory", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def report_end(trainer: Trainer, cfg: DictConfig, command: str, how: str, echo: Echo) -> None:
    """Write the report and say what came of it."""
    from audiogan.run.report import write_report

    echo(how)
    with ignore_write_errors(Path(cfg.run_dir) / "report.html"):
        echo(f"report:  {write_report(Path(cfg.run_dir))}")
    if list_checkpoints(Path(cfg.run_dir) / "checkpoints"):
        run = f"--run {shlex.quote(str(cfg.run_dir))}{trust_flag()}"
        game: Any = trainer.game
        if isinstance(game, Generative) and game.required_inputs:
            several = f" --generator {game.default_generator}" if len(game.generators) > 1 else ""
            echo(f"apply:   audiogan apply FILE OUT {run}{several}")
        else:
            echo(f"sample:  audiogan sample -n 16 out/ {run}")
    if trainer.stop_reason in INTERRUPTED and command:
        echo(f"go on:   {command}")


def resume(trainer: Trainer, cfg: DictConfig, path: Path, state: dict[str, Any], echo: Echo) -> None:
    """Continue from a checkpoint. Settings and data that changed since are reported.

    Raises:
        UserError: the networks, players or optimizers are not the same, or the checkpoint holds nonsense.
    """
    changed: list[str] = []
    try:
        changed = describe_setting_changes(state.get("config", {}), OmegaConf.to_container(cfg, resolve=True))
        if any("optimizer._target_" in change for change in changed):
            raise CheckpointError("its optimizer is another one now")
        missing = trainer.load_state_dict(state["trainer"])
        saving = trainer.callbacks["checkpoints"]
        assert isinstance(saving, Checkpoints)
        changed += describe_data_changes(state.get("data"), saving.extra["data"])
    except Exception as error:  # a checkpoint may come from a stranger: anything can be wrong with its values
        what = f"; changed settings: {'; '.join(changed[:4])}" if changed else ""
        advice = "choose another run_dir, or change it back"
        if (own := Path(cfg.run_dir) / "config.yaml").is_file():
            advice += f", or go on with the settings of the run: audiogan train {shlex.quote(str(own))}{trust_flag()}"
        raise UserError(f"{path}: cannot be resumed: {_reason(error)}{what}; {advice}") from error
    echo(f"resuming from {path} at step {trainer.step:,}")
    if changed:
        echo(f"changed since that checkpoint: {'; '.join(changed)}")
    for line in missing:
        echo(f"warning: {line}")


def describe_networks(trainer: Trainer) -> str:
    """One line about the networks and the hardware."""
    sizes = ", ".join(
        f"{n} {sum(p.numel() for p in net.parameters()) / 1e6:.2f} M" for n, net in trainer.game.nets.items()
    )
    engine = trainer.engine
    processes = f", {engine.world} processes" if engine.world > 1 else ""
    return f"[{sizes} parameters; {engine.device}, {engine.precision}{processes}]"


def write_scan(run_dir: Path, data: Table) -> None:
    """What the scan of the folder found: a summary and the verdict on each file."""
    scan = getattr(data, "scan", None)
    if scan is not None:
        scan.write(run_dir / "scan.csv")
    with atomic_write(run_dir / "scan.txt") as temporary:
        text = f"{data.source}\n{scan.summary() if scan is not None else ''}\n"
        temporary.write_text(text, encoding="utf-8", errors="replace")


def _silent(line: str) -> None:
    """What all processes but the first say."""
