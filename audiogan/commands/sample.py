"""``audiogan sample``"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from audiogan.commands.values import parse_class, parse_integer, parse_numbers, parse_repeated_inputs
from audiogan.errors import UserError


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("sample", help="make new sounds or images")
    parser.add_argument("out", type=Path, help="folder for WAV or PNG files, a contact sheet and samples.csv")
    parser.add_argument("-n", help="how many (default 16, or one for each file of --input)")
    parser.add_argument(
        "--run", help="run folder, checkpoint or model (default: the newest run below runs/, else the shipped drums)"
    )
    parser.add_argument("--seed", help="for the same samples again")
    parser.add_argument("--class", dest="label", help="only this class, or a mixture: kick:0.7,tom:0.3")
    parser.add_argument(
        "--knob", action="append", default=[], metavar="NAME=VALUE", help="0 to 1: brightness=0.9 (any number of them)"
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a value for another input: source=photo.png, or source=FOLDER for all files in it; several files make "
        "one sample each (`audiogan inputs RUN` lists the inputs)",
    )
    parser.add_argument(
        "--generator", metavar="NAME", help="for models of two directions: the name or the target class of a generator"
    )
    parser.add_argument("--truncation", type=float, help="below 1: more typical samples; above 1: wilder ones")


def run(args: argparse.Namespace, arguments: list[str]) -> int:
    n, seed = (
        None if text is None else parse_integer(text, flag) for text, flag in ((args.n, "-n"), (args.seed, "--seed"))
    )
    if n is not None and n < 1:
        raise UserError(f"-n {n}: must be at least 1")
    label, knobs, given = (
        parse_class(args.label),
        parse_numbers(args.knob, "=", "--knob"),
        parse_repeated_inputs(args.input),
    )
    from audiogan.model.loading import load
    from audiogan.model.sample_inputs import expand_inputs, match_sample_count
    from audiogan.model.sampling import write_samples

    generator = load(args.run)
    if isinstance(args.label, str) and args.label in generator.labels:  # a name with a colon in it
        label = args.label
    route = generator.require_route(args.generator)
    n, values = match_sample_count(generator, expand_inputs(generator, given, args.out), n)
    more: dict[str, Any] = {"inputs": values} if values else {}
    more |= {"route": route} if len(generator.routes) > 1 else {}
    write_samples(generator, args.out, n, seed=seed, label=label, knobs=knobs, truncation=args.truncation, **more)
    return 0
