"""``audiogan export``"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from audiogan.errors import UserError
from audiogan.files import check_file, read_small_file

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

KINDS = {
    ".audiogan": "for audiogan on any machine",
    ".onnx": "for onnxruntime in any language; needs audiogan[onnx]",
    ".pt2": "for torch.export.load, without audiogan",
}
LARGEST_CARD = 1 << 24
"""Bytes of a card."""
CLOSE = 1e-4
"""Differences up to here are what rounding makes of any model; more of them is explained."""


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "export",
        help="make a model of a run: one file that moves between machines",
        description="Make a model of a run: one file. Its name says which kind; a file of that name is replaced.",
        epilog="\n".join(f"NAME{suffix:10} {what}" for suffix, what in KINDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", help="run folder, checkpoint or model")
    parser.add_argument("file", type=Path, help="NAME.audiogan, NAME.onnx or NAME.pt2")
    parser.add_argument("--generator", metavar="NAME", help="one of several generators, for .onnx and .pt2")
    parser.add_argument("--card", type=Path, help="Markdown that says what it is, of which data, under which licence")


def run(args: argparse.Namespace, arguments: list[str]) -> int:
    suffix = args.file.suffix.lower()
    if suffix not in KINDS:
        raise UserError(f"{args.file}: the name of a model ends in {', '.join(list(KINDS)[:-1])} or {list(KINDS)[-1]}")
    card = _card(args.card) if args.card else ""
    from audiogan.files import check_writable_file
    from audiogan.model.loading import load

    check_writable_file(args.file)  # tracing takes half a minute

    generator = load(args.run)
    route = generator.find_route(args.generator)
    card = card or generator.card
    if suffix == ".audiogan":
        if args.generator is not None:
            raise UserError(f"--generator {args.generator}: {args.file} holds all generators; leave it out")
        from audiogan.model.bundle import save_bundle

        save_bundle(args.file, generator, card)
        words = ["apply", "FILE", "OUT", "--run"] if generator.game.required_inputs else ["sample", "--run"]
        command = shlex.join(
            ["audiogan", *words, str(args.file), *([] if generator.game.required_inputs else ["out/"])]
        )
        print(f"{args.file}: {_size(args.file)}; try it: {command}")
    else:
        _export(args.file, generator, card, route)
    return 0


def _export(path: Path, generator: Generator, card: str, route: str) -> None:
    """Write a graph, and print how it was checked, its inputs and its output."""
    which = f", {route}" if len(generator.routes) > 1 else ""
    print(f"{generator.name}{which} (step {generator.step:,}): tracing and checking, some 10 to 30 seconds", flush=True)
    from audiogan.model.export import ExportedGenerator, save_onnx, save_pt2

    checked = (save_onnx if path.suffix.lower() == ".onnx" else save_pt2)(path, generator, card, route)
    playable = ExportedGenerator(generator, route)
    shapes = ", ".join(
        f"{name} [B, {', '.join(map(str, x.shape[1:]))}]" for name, x in playable.example_inputs(1).items()
    )
    output = f"{playable.output} [B, {', '.join(map(str, generator.shape))}]"
    print(f"{path}: {_size(path)}; {shapes} -> {output}")
    print(
        f"checked: {checked.summary} to audiogan"
        if checked.max_difference is not None
        else f"checked: {checked.summary}"
    )
    if checked.max_difference is not None and checked.max_difference > CLOSE:
        print(f"that is more than {CLOSE:g}: this network magnifies rounding errors, as other batch sizes also show")


def _card(path: Path) -> str:
    check_file(path)
    try:
        return read_small_file(path, LARGEST_CARD, "card").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start:,})") from error


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
