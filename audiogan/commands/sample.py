"""Command ``audiogan sample``: generate samples."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from audiogan.commands.values import (
    add_sampling_arguments,
    parse_class,
    parse_integer,
    parse_numbers,
    parse_repeated_inputs,
)
from audiogan.errors import UserError


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("sample", help="generate sounds or images")
    parser.add_argument("out", type=Path, help="folder for WAV or PNG files, a contact sheet and samples.csv")
    parser.add_argument("-n", help="number of samples (default 16, or one per file of --input)")
    parser.add_argument(
        "--run", help="run folder, checkpoint or model (default: the newest run below runs/, else the shipped drums)"
    )
    parser.add_argument("--seed", help="random seed; the same seed makes the same samples (default: random)")
    add_sampling_arguments(
        parser,
        "value of another input, such as source=photo.png, or source=FOLDER for one sample per file; can be "
        "repeated (`audiogan inputs RUN` lists all inputs)",
    )


def run(args: argparse.Namespace, argv: list[str]) -> int:
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
    from audiogan.model.sample_inputs import inputs_from_arguments, match_sample_count
    from audiogan.model.sampling import write_samples

    generator = load(args.run)
    # A class name that contains a colon has been parsed as a mixture such as kick:0.7, so restore it.
    if isinstance(args.label, str) and args.label in generator.labels:
        label = args.label
    route = generator.routes.find_unambiguous(args.generator)
    n, values = match_sample_count(generator, inputs_from_arguments(generator, given, args.out), n)
    more: dict[str, Any] = {"inputs": values} if values else {}
    more |= {"route": route} if len(generator.routes) > 1 else {}
    write_samples(generator, args.out, n, seed=seed, label=label, knobs=knobs, truncation=args.truncation, **more)
    return 0
