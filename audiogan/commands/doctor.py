"""``audiogan doctor``"""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("doctor", help="what went wrong in a run, and what to try")
    parser.add_argument(
        "path", type=Path, help="run folder, or anybody's log of a GAN training (CSV, JSON, printed lines, TensorBoard)"
    )


def run(args: argparse.Namespace, arguments: list[str]) -> None:
    from audiogan.monitors import doctor

    doctor(args.path)
