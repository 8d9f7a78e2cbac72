"""Run several training jobs with Hydra's multirun, for ``audiogan train CONFIG -m``.

Overrides may choose any sweeper and launcher of Hydra.
"""

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
    """Return the overrides of each job: all combinations of comma-separated values, as in Hydra's basic sweeper."""
    return [list(job) for job in itertools.product(*(spelled.values() for spelled in _spellings(overrides)))]


def _spellings(overrides: Sequence[str]) -> list[dict[str, str]]:
    """Return the values of each override: override in Hydra's syntax -> override as a user types it for one job.

    The name of a run folder is derived from the typed overrides, so that a job and a single run with the same settings
    use the same folder.
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
            raise UserError(f"{typed}: cannot be expanded ({error}); write the values, separated by commas") from error
        plain = values if typed == override else split_choices(typed.partition("=")[2])
        spellings.append({f"{key}={value}": f"{key}={text}" for value, text in zip(values, plain, strict=True)})
    return spellings


def _check_jobs(name: str, overrides: Sequence[str]) -> None:
    """Raise `UserError` before the first job starts if the configuration of any job is invalid."""
    planned = list_jobs(overrides)
    folders = [config.compose(name, job).run_dir for job in planned]
    shared = next((f for f in folders if folders.count(f) > 1), None)
    if shared is not None:
        raise UserError(
            f"run_dir={shared}: several jobs would use this run folder; do not set run_dir, and vary a setting "
            "that is part of the folder name (not trainer.steps, trainer.minutes or a callback that only logs)"
        )
    # Hydra first composes a configuration with the overrides that all jobs share. Check it as well.
    try:
        config.compose_unchecked(name, [o for o in overrides if all(o in job for job in planned)])
    except UserError as error:
        if "Could not override" not in str(error):
            raise
        hint = "with -m, write ++KEY=VALUE for a key that only some of the choices have"
        raise UserError(f"{error}; {hint}") from error


class JobFailed(UserError):
    """Exception for a failed job that a launcher runs in another process."""


class JobInterrupted(UserError):
    """Exception for an interrupted job that a launcher runs in another process."""


def multirun(name: str, overrides: Sequence[str], resume_command: str = "") -> int:
    """Run all jobs, each in its own run folder, and return the exit code: 0, or 2 if a job failed.

    Args:
        name: path of a YAML file, or name of a shipped configuration.
        overrides: overrides as typed. Comma-separated values make several jobs.
        resume_command: command line that resumes an interrupted run, printed as a hint.

    Raises:
        UserError: the configuration of a job is invalid, or two jobs have the same run folder. No job is started
            then.
        KeyboardInterrupt: a job was interrupted. The remaining jobs do not start.
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
        GlobalHydra.instance().clear()  # `compose` initializes Hydra again.
        try:
            with _current_folder(settings.runtime.cwd):
                cfg = config.compose(name, mine)
            trainer = train(cfg, resume_command=resume_command)
            if trainer.stop_reason in INTERRUPTED:
                raise KeyboardInterrupt
            if trainer.stop_reason:
                raise UserError(trainer.stop_reason)
        except (UserError, OSError, MemoryError) as error:
            print(f"audiogan: {' '.join(mine)}: {' '.join(str(error).split())}", file=sys.stderr)
            # A launcher may run jobs in other processes, which cannot change `failed` here. They raise an exception
            # instead.
            if os.getpid() != process:
                raise JobFailed(str(error)) from None
            failed.append(str(error))
        except KeyboardInterrupt:
            # Launchers do not pass on KeyboardInterrupt from another process, so raise a different exception.
            if os.getpid() != process:
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
    """Change to ``folder`` within a ``with`` block, so that relative paths stay valid with ``hydra.job.chdir=true``."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
