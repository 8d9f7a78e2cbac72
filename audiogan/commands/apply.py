"""Command ``audiogan apply``: translate files with a trained model."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

from audiogan.commands.values import parse_class, parse_inputs, parse_integer
from audiogan.errors import UserError


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "apply",
        help="translate images or sounds of any size with a model, or make speech from a text",
        description="Translate images or sounds of any size with a model that takes an image or sound as input. Models "
        "that take no signal, such as text to speech, need no IN: audiogan apply --run tts --input text='Hello.' OUT",
    )
    parser.add_argument(
        "source", type=Path, nargs="?", metavar="IN", help="input file or folder, or - for standard input"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="output file or folder, or - for standard output")
    parser.add_argument("--run", required=True, help="run folder, checkpoint or model")
    parser.add_argument(
        "--generator", metavar="NAME", help="name or target class of the generator, for models with several generators"
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="value of another input; can be repeated (`audiogan inputs RUN` lists all inputs)",
    )
    parser.add_argument(
        "--mask",
        type=Path,
        metavar="FILE",
        help="mask for inpainting: an image of the size of IN, white where pixels are missing; or a folder with one "
        "mask for each image in IN, with the same names; default: the transparent pixels of IN are missing",
    )
    parser.add_argument("--class", dest="label", help="class, or a mixture of classes such as kick:0.7,tom:0.3")
    parser.add_argument("--seed", default="0", help="random seed (default 0)")
    parser.add_argument(
        "--strength",
        type=float,
        metavar="S",
        help="strength of adversarial training, from 0 (first stage) to 1 (default), for models with two stages",
    )
    parser.add_argument(
        "--raw",
        metavar="RATE[,CHANNELS]",
        help="with - for IN and OUT: 16-bit samples (little-endian) without a header, with this sample rate in Hz "
        "(default: a file with a header, such as WAV)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def run(args: argparse.Namespace, argv: list[str]) -> int:
    values: dict[str, Any] = {**parse_inputs(args.input)}
    seed = parse_integer(args.seed, "--seed")
    from audiogan.model.loading import load
    from audiogan.model.translation.files import apply_files
    from audiogan.model.translation.pipes import parse_raw
    from audiogan.model.translation.spoken import generate_file

    raw = None if args.raw is None else parse_raw(args.raw)
    generator = load(args.run, strength=args.strength)
    if args.label is not None:
        if "classes" in values or "classes" not in generator.inputs:
            why = "--input classes sets it too" if "classes" in values else "the model was trained without classes"
            raise UserError(f"--class {args.label}: {why}; remove --class")
        values["classes"] = args.label if args.label in generator.labels else parse_class(args.label)
    options: dict[str, Any] = {"route": args.generator, "inputs": values, "seed": seed, "overwrite": args.overwrite}
    options["echo"] = partial(print, file=sys.stderr) if str(args.out) == "-" else print
    if args.source is None:
        if args.mask is not None or raw is not None:
            raise UserError("--mask and --raw: they need an input file; name it before the output file")
        generate_file(generator, args.out, **options)
        return 0
    done = apply_files(generator, args.source, args.out, mask=args.mask, raw=raw, **options)
    return 2 if done.failed else 0
