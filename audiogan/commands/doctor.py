"""Command ``audiogan doctor``: diagnose a training run."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("doctor", help="diagnose a run: what went wrong, and what to try")
    parser.add_argument(
        "path", type=Path, help="run folder, or the log of any GAN training (CSV, JSON, printed lines, TensorBoard)"
    )


def run(args: argparse.Namespace, argv: list[str]) -> None:
    from audiogan.monitors import print_diagnosis

    print_diagnosis(args.path)
