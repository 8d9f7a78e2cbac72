"""``audiogan morph``"""

from __future__ import annotations

import argparse
from pathlib import Path

from audiogan.commands.values import parse_integer


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("morph", help="the way from one sound to another")
    parser.add_argument("out", type=Path, help="folder for the steps, morph.wav and a contact sheet")
    parser.add_argument("--from", dest="start", required=True, metavar="CLASS-SEED", help="kick-3, or a sampled file")
    parser.add_argument("--to", dest="end", required=True, metavar="CLASS-SEED")
    parser.add_argument("--steps", default="9", help="sounds, both ends included: 2 to 1000 (default 9)")
    parser.add_argument("--run", help="as for sample (default: the newest run that fits)")


def run(args: argparse.Namespace, arguments: list[str]) -> None:
    steps = parse_integer(args.steps, "--steps")
    from audiogan.commands.newest import load_morph_model
    from audiogan.model.morphing import write_morph

    write_morph(load_morph_model(args.run, (args.start, args.end)), args.out, args.start, args.end, steps)
