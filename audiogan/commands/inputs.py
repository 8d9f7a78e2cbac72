"""Command ``audiogan inputs``: list the inputs of a model."""

from __future__ import annotations

import argparse
from typing import Any

from audiogan.utils.text import printable


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("inputs", help="list the inputs of a model and how to set them")
    parser.add_argument("run", metavar="RUN", help="run folder, checkpoint or model")


def run(args: argparse.Namespace, argv: list[str]) -> int:
    from audiogan.model.loading import load

    for line in describe_inputs(load(args.run)):
        print(line)
    return 0


def describe_inputs(generator: Any) -> list[str]:
    """Return lines that describe the inputs, the generators (if there are several) and the output of a model.

    Args:
        generator: loaded model.
    """
    rows = [(name, input.describe(), _flag(input)) for name, input in generator.inputs.items()]
    several = generator.routes.descriptions.items() if len(generator.routes) > 1 else ()
    rows += [(name, f"generator {what}".strip(), f"--generator {name}") for name, what in several]
    width = max((len(name) for name, _, _ in rows), default=0)
    found = [f"{printable(name):{width}}  {printable(text)} ({printable(flag)})" for name, text, flag in rows]
    sizes = ", ".join("any" if size is None else str(size) for size in generator.shape)
    return [*found, f"output: {generator.modality.noun} [{sizes}]"]


def _flag(input: Any) -> str:
    """Return the flag or command that sets an input on the command line."""
    from audiogan.inputs import Classes, Knobs, Latent, Signal

    if isinstance(input, Classes):
        return "--class NAME"
    if isinstance(input, Knobs):
        return "--knob NAME=0...1"
    if isinstance(input, Latent):
        return "--seed N"
    if isinstance(input, Signal):
        return f"audiogan apply FILE OUT, or --input {input.name}=FILE"
    return f"--input {input.name}=VALUE"
