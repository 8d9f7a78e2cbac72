"""``audiogan train CONFIG -m``: hydra's multirun, with whatever sweeper and launcher the overrides name."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

from audiogan import config
from audiogan.errors import UserError


def jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of every job: the product of all comma-separated values, as hydra's basic sweeper has it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise UserError(f"{str(error).splitlines()[0]} (overrides: {' '.join(overrides)})") from error
    choices = []
    for override in parsed:
        if override.is_sweep_override():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([override.input_line or ""])
    return [list(job) for job in itertools.product(*choices)]


def _check_jobs(name: str, overrides: Sequence[str]) -> None:
    """``UserError`` before the first job starts rather than at the last."""
    planned = jobs(overrides)
    folders = [config.compose(name, job).run_dir for job in planned]
    shared = next((f for f in folders if folders.count(f) > 1), None)
    if shared is not None:
        raise UserError(f"run_dir={shared}: several jobs would share this run folder; leave run_dir to audiogan")
    try:  # hydra itself composes what all jobs have in common, and acts upon its own section in it
        config.composed(name, [o for o in overrides if all(o in job for job in planned)])
    except UserError as error:
        if "Could not override" not in str(error):
            raise
        hint = "with -m, write ++KEY=VALUE for a key that only some of the choices have"
        raise UserError(f"{error}; {hint}") from error


def multirun(name: str, overrides: Sequence[str], command: str = "") -> int:
    """Run all jobs; each in a run folder of its own name. Returns 0, or 2 if any failed.

    Raises:
        UserError: a job's configuration is wrong, or two would share a run folder; no job was started.
        KeyboardInterrupt: a job was interrupted; the rest were not started.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    _check_jobs(name, overrides)
    failed: list[str] = []

    def task(_: object) -> None:
        from audiogan.training import INTERRUPTED, train

        mine = [o for o in HydraConfig.get().overrides.task if not o.startswith("hydra")]
        print(f"\n== {' '.join(mine)}")
        GlobalHydra.instance().clear()  # or `compose` could not start its own
        try:
            trainer = train(config.compose(name, mine), command=command)
            if trainer.stop_reason in INTERRUPTED:
                raise KeyboardInterrupt
            if trainer.stop_reason:
                raise UserError(trainer.stop_reason)
        except (UserError, OSError, MemoryError) as error:
            failed.append(str(error))
            print(f"audiogan: {' '.join(mine)}: {' '.join(str(error).split())}", file=sys.stderr)

    folder, stem = config.locate(name)
    quiet = ["hydra/job_logging=none", "hydra/hydra_logging=none", "hydra.output_subdir=null"]
    place = ["hydra.sweep.dir=runs", "hydra.sweep.subdir=."]
    given = {o.split("=")[0].lstrip("+") for o in overrides}
    defaults = [o for o in [*quiet, *place] if o.split("=")[0] not in given]
    search = [] if folder == config.PACKAGED else [f"hydra.searchpath=[file://{config.PACKAGED}]"]
    before, sys.argv = sys.argv, ["audiogan", "--config-dir", str(folder), "--config-name", stem, "--multirun"]
    sys.argv += [*overrides, *defaults, *search]
    try:
        hydra.main(version_base="1.3", config_path=None)(task)()
    finally:
        sys.argv = before
    return 2 if failed else 0
