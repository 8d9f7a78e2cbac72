"""``audiogan apply``"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

from audiogan.commands.values import parse_class, parse_inputs, parse_integer
from audiogan.errors import UserError


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "apply",
        help="translate pictures or sounds of any size with a model",
        description="Translate pictures or sounds of any size with a model that has such a signal as an input.",
    )
    parser.add_argument("source", type=Path, metavar="IN", help="a file, a folder, or - for standard input")
    parser.add_argument("out", type=Path, metavar="OUT", help="a file, a folder, or - for standard output")
    parser.add_argument("--run", required=True, help="run folder, checkpoint or model")
    parser.add_argument(
        "--generator", metavar="NAME", help="for models of two directions: the name or the target class of a generator"
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a value for another input (any number of them; `audiogan inputs RUN` lists them)",
    )
    parser.add_argument("--class", dest="label", help="a class, or a mixture: kick:0.7,tom:0.3")
    parser.add_argument("--seed", default="0", help="of what is drawn at random (default 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace files")


def run(args: argparse.Namespace, arguments: list[str]) -> int:
    values: dict[str, Any] = {**parse_inputs(args.input)}
    seed = parse_integer(args.seed, "--seed")
    from audiogan.model.loading import load
    from audiogan.model.translation.files import apply_files

    generator = load(args.run)
    if args.label is not None:
        if "classes" in values or "classes" not in generator.inputs:
            why = "--input classes is given too" if "classes" in values else "the model was trained without classes"
            raise UserError(f"--class {args.label}: {why}; leave it out")
        values["classes"] = args.label if args.label in generator.labels else parse_class(args.label)
    done = apply_files(
        generator,
        args.source,
        args.out,
        route=args.generator,
        inputs=values,
        seed=seed,
        overwrite=args.overwrite,
        echo=partial(print, file=sys.stderr) if str(args.out) == "-" else print,
    )
    return 2 if done.failed else 0
