"""Command ``audiogan morph``: interpolate between two samples."""

from __future__ import annotations

import argparse
from pathlib import Path

from audiogan.commands.values import parse_integer


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("morph", help="interpolate between two samples")
    parser.add_argument("out", type=Path, help="folder for the samples, morph.wav and a contact sheet")
    parser.add_argument(
        "--from",
        dest="start",
        required=True,
        metavar="CLASS-SEED",
        help="first sample: CLASS-SEED such as kick-3, or a file written by sample",
    )
    parser.add_argument("--to", dest="end", required=True, metavar="CLASS-SEED", help="last sample, as for --from")
    parser.add_argument("--steps", default="9", help="number of samples including both ends, 2 to 1000 (default 9)")
    parser.add_argument(
        "--run",
        help="run folder, checkpoint or model (default: the newest run with these classes, else the shipped drums)",
    )


def run(args: argparse.Namespace, argv: list[str]) -> None:
    steps = parse_integer(args.steps, "--steps")
    from audiogan.commands.newest import load_morph_model
    from audiogan.model.morphing import write_morph

    write_morph(load_morph_model(args.run, (args.start, args.end)), args.out, args.start, args.end, steps)
