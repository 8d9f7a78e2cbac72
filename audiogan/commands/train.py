"""Command ``audiogan train``: train a model."""

from __future__ import annotations

import argparse
import shlex

from audiogan.errors import UserError


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "train", help="train from a configuration; the same command resumes an interrupted run"
    )
    parser.add_argument("config", help="YAML file, or name of a shipped configuration")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="override in Hydra's syntax, such as trainer.steps=2000 or network=specgan",
    )
    parser.add_argument(
        "-m",
        "--multirun",
        action="store_true",
        help="train all combinations of comma-separated values, one after the other",
    )


def run(args: argparse.Namespace, argv: list[str]) -> int:
    from audiogan.run import config
    from audiogan.run.overrides import settings_from_run_name

    for override in args.overrides:
        if "=" not in override and not override.startswith("~"):
            raise UserError(f"{override!r} is not an override; write KEY=VALUE, such as trainer.steps=2000")
    command = shlex.join(["audiogan", *argv])
    if args.multirun:
        from audiogan.run.multirun import multirun

        return multirun(args.config, args.overrides, command)
    kept = settings_from_run_name(args.config, args.overrides)
    if kept:
        print(f"settings of the run: {' '.join(kept)}")
    cfg = config.compose(args.config, [*kept, *args.overrides])
    from audiogan.run.training import INTERRUPTED, train

    trainer = train(cfg, resume_command=command)
    trainer.engine.close()
    if trainer.stop_reason in INTERRUPTED:
        return 130
    if trainer.stop_reason:
        raise UserError(f"{cfg.run_dir}: {trainer.stop_reason}")
    return 0
