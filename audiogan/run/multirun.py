"""``audiogan train CONFIG -m``: hydra's multirun, with whatever sweeper and launcher the overrides name."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Iterator, Sequence

from audiogan.errors import UserError
from audiogan.run import config
from audiogan.run.overrides import parse_override, split_choices, to_hydra_overrides
from audiogan.run.packaged import CONFIG_FOLDER, find_config


def list_jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of every job: the product of all comma-separated values, as hydra's basic sweeper has it."""
    return [list(job) for job in itertools.product(*(spelled.values() for spelled in _spellings(overrides)))]


def _spellings(overrides: Sequence[str]) -> list[dict[str, str]]:
    """The choices of each override: hydra's spelling -> the one that a command for this job alone would have.

    Run folders are named by the second, so that such a command means the same run.
    """
    from hydra.errors import HydraException

    spellings = []
    for typed, override in zip(overrides, to_hydra_overrides(overrides, multirun=True), strict=True):
        parsed = parse_override(override)
        key = parsed.get_key_element()
        if not parsed.is_sweep_override():
            spellings.append({f"{key}={parsed.get_value_element_as_str()}": typed})
            continue
        try:
            values = list(parsed.sweep_string_iterator())
        except HydraException as error:
            raise UserError(f"{typed}: cannot be listed ({error}); write the values, separated by commas") from error
        plain = values if typed == override else split_choices(typed.partition("=")[2])
        spellings.append({f"{key}={value}": f"{key}={text}" for value, text in zip(values, plain, strict=True)})
    return spellings


def _check_jobs(name: str, overrides: Sequence[str]) -> None:
    """``UserError`` before the first job starts rather than at the last."""
    planned = list_jobs(overrides)
    folders = [config.compose(name, job).run_dir for job in planned]
    shared = next((f for f in folders if folders.count(f) > 1), None)
    if shared is not None:
        raise UserError(
            f"run_dir={shared}: several jobs would share this run folder; leave run_dir to audiogan, and vary a "
            "setting that its names show (not how long a run goes, nor what is logged)"
        )
    try:  # hydra itself composes what all jobs have in common, and acts upon its own section in it
        config.compose_unchecked(name, [o for o in overrides if all(o in job for job in planned)])
    except UserError as error:
        if "Could not override" not in str(error):
            raise
        hint = "with -m, write ++KEY=VALUE for a key that only some of the choices have"
        raise UserError(f"{error}; {hint}") from error


class JobFailed(UserError):
    """Carries the failure of a job from another process to this one."""


class JobInterrupted(UserError):
    """Carries the interruption of a job from another process to this one."""


def multirun(name: str, overrides: Sequence[str], command: str = "") -> int:
    """Run all jobs; each in a run folder of its own name. Returns 0, or 2 if any failed.

    Raises:
        UserError: a job's configuration is wrong, or two would share a run folder; no job was started.
        KeyboardInterrupt: a job was interrupted. A launcher that runs one job after the other did not start the rest.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from audiogan.run.config_files import restrict_hydra
    from audiogan.run.trust import with_current_trust

    _check_jobs(name, overrides)
    spelled = {hydras: typed for spelling in _spellings(overrides) for hydras, typed in spelling.items()}
    process = os.getpid()
    failed: list[str] = []

    def task(_: object) -> None:
        from audiogan.run.training import INTERRUPTED, train

        settings = HydraConfig.get()
        mine = [spelled.get(o, o) for o in settings.overrides.task]
        print(f"\n== {' '.join(mine)}", flush=True)
        GlobalHydra.instance().clear()  # or `compose` could not start its own
        try:
            with _current_folder(settings.runtime.cwd):
                cfg = config.compose(name, mine)
            trainer = train(cfg, command=command)
            if trainer.stop_reason in INTERRUPTED:
                raise KeyboardInterrupt
            if trainer.stop_reason:
                raise UserError(trainer.stop_reason)
        except (UserError, OSError, MemoryError) as error:
            print(f"audiogan: {' '.join(mine)}: {' '.join(str(error).split())}", file=sys.stderr)
            if os.getpid() != process:  # a launcher may run jobs in other processes, where `failed` is a copy
                raise JobFailed(str(error)) from None
            failed.append(str(error))
        except KeyboardInterrupt:
            if os.getpid() != process:  # hydra hands over exceptions of jobs, but not this one
                raise JobInterrupted(" ".join(mine)) from None
            raise

    path = find_config(name)
    quiet = ["hydra/job_logging=none", "hydra/hydra_logging=none", "hydra.output_subdir=null"]
    place = ["hydra.sweep.dir=runs", "hydra.sweep.subdir=."]
    given = {o.split("=")[0].lstrip("+") for o in overrides}
    defaults = [o for o in [*quiet, *place] if o.split("=")[0] not in given]
    arguments = [*to_hydra_overrides(overrides, multirun=True), *defaults, "hydra.mode=MULTIRUN"]
    try:
        with restrict_hydra(path.parent, CONFIG_FOLDER, name) as hydra:
            hydra.multirun(path.name.removesuffix(".yaml"), with_current_trust(task), arguments)
    except JobFailed:
        return 2
    except JobInterrupted as error:
        raise KeyboardInterrupt from error
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"{name}: {' '.join(str(error).split())[:300]}") from error
    return 2 if failed else 0


@contextlib.contextmanager
def _current_folder(folder: str) -> Iterator[None]:
    """Relative paths mean what they meant where the command was started, also with ``hydra.job.chdir=true``."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
