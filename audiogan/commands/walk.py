"""Command ``audiogan walk``: write a closed path through the latent space."""

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


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("walk", help="write a closed path through the latent space as GIF, MP4 or sound")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write: .gif, .mp4, or .wav and .flac for sounds")
    parser.add_argument(
        "--run", help="run folder, checkpoint or model (default: the newest run below runs/, else the shipped drums)"
    )
    parser.add_argument("--points", default="5", help="number of seeds through which the path goes (default 5)")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="time in which the path is traversed once, in seconds (default 10)"
    )
    parser.add_argument("--fps", type=float, default=25.0, help="frames per second, at most 50 for GIF (default 25)")
    parser.add_argument(
        "--columns", help="number of pictures side by side; each column keeps one class (default 1, or one per --input)"
    )
    parser.add_argument("--rows", default="1", help="number of pictures one below the other (default 1)")
    parser.add_argument(
        "--spacing", type=float, help="seconds from the start of a sound to the next (default: duration of a sound)"
    )
    parser.add_argument("--seed", default="0", help="random seed (default 0)")
    add_sampling_arguments(
        parser, "value of another input, such as source=photo.png; repeat it for one column per file"
    )


def run(args: argparse.Namespace, argv: list[str]) -> None:
    points, rows, seed = (parse_integer(getattr(args, name), f"--{name}") for name in ("points", "rows", "seed"))
    columns = None if args.columns is None else parse_integer(args.columns, "--columns")
    label, knobs = parse_class(args.label), parse_numbers(args.knob, "=", "--knob")
    given = parse_repeated_inputs(args.input)
    from audiogan.files import check_output
    from audiogan.latents.walk_files import SUFFIXES
    from audiogan.latents.walking import write_walk
    from audiogan.model.loading import load
    from audiogan.model.sample_inputs import has_random_inputs, inputs_from_arguments

    check_output(args.out, "walk", SUFFIXES)  # Check before loading the model, to report errors quickly.
    generator = load(args.run)
    if isinstance(args.label, str) and args.label in generator.labels:
        label = args.label  # Names of classes may contain a colon, which otherwise separates a class from its weight.
    moves = has_random_inputs(generator)  # Without random inputs, `write_walk` raises an error.
    values: dict[str, Any] = inputs_from_arguments(generator, given, args.out) if moves else {}
    write_walk(
        generator,
        args.out,
        points=points,
        seconds=args.seconds,
        fps=args.fps,
        columns=columns,
        rows=rows,
        spacing=args.spacing,
        seed=seed,
        label=label,
        knobs=knobs,
        inputs=values,
        truncation=args.truncation,
        route=generator.routes.find_unambiguous(args.generator) if moves and len(generator.routes) > 1 else None,
    )
