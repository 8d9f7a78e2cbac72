"""Resume a run from a checkpoint."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from audiogan.core import CheckpointError, Checkpoints, Trainer
from audiogan.errors import UserError
from audiogan.run.changes import describe_data_changes, describe_setting_changes
from audiogan.run.trust import trust_flag


def resume(trainer: Trainer, cfg: DictConfig, path: Path, state: dict[str, Any], echo: Callable[[str], None]) -> None:
    """Load a checkpoint into a trainer, and print settings and data that changed since it was written.

    Args:
        trainer: trainer of the run.
        cfg: configuration of the run.
        path: path of the checkpoint, for messages.
        state: content of the checkpoint.
        echo: function that prints a line.

    Raises:
        UserError: the checkpoint is invalid, or networks, players or optimizers do not match it.
    """
    changed: list[str] = []
    try:
        changed = describe_setting_changes(state.get("config", {}), OmegaConf.to_container(cfg, resolve=True))
        if any("optimizer._target_" in change for change in changed):
            raise CheckpointError("the optimizer was changed")
        missing = trainer.load_state_dict(state["trainer"])
        saving = trainer.callbacks["checkpoints"]
        assert isinstance(saving, Checkpoints)
        changed += describe_data_changes(state.get("data"), saving.extra_values["data"])
    except Exception as error:  # Invalid values in an untrusted checkpoint may cause any exception.
        what = f"; changed settings: {'; '.join(changed[:4])}" if changed else ""
        advice = "choose another run_dir, or restore the old settings"
        if (own := Path(cfg.run_dir) / "config.yaml").is_file():
            advice += f", or resume with the settings of the run: audiogan train {shlex.quote(str(own))}{trust_flag()}"
        raise UserError(f"{path}: cannot be resumed: {error_reason(error)}{what}; {advice}") from error
    echo(f"resuming from {path} at step {trainer.step:,}")
    if changed:
        echo(f"changed since that checkpoint: {'; '.join(changed)}")
    for line in missing:
        echo(f"warning: {line}")


def error_reason(error: BaseException) -> str:
    """Return the message of an error as one line of at most 300 characters."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return " ".join(str(error).split())[:300] or type(error).__name__
