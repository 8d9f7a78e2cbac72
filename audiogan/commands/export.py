"""Command ``audiogan export``: write a model to a single file."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from audiogan.errors import UserError
from audiogan.files import check_readable_file, read_small_file

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

KINDS = {
    ".audiogan": "for audiogan on any machine",
    ".onnx": "for onnxruntime in any language; requires audiogan[onnx]",
    ".pt2": "for torch.export.load, without audiogan",
}
MAX_CARD_BYTES = 1 << 24
"""Largest size of a model card, in bytes."""
MAX_ERROR = 1e-4
"""Largest difference that rounding usually causes between the outputs of the exported model and of the PyTorch model.
If the difference is larger, the command prints an explanation."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "export",
        help="export a run to a single model file",
        description="Export a run to a single model file. Its suffix chooses the format. An existing file is replaced.",
        epilog="\n".join(f"NAME{suffix:10} {what}" for suffix, what in KINDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", help="run folder, checkpoint or model")
    parser.add_argument("file", type=Path, help="file to write: NAME.audiogan, NAME.onnx or NAME.pt2")
    parser.add_argument(
        "--generator",
        metavar="NAME",
        help="name of the generator, for models with several generators (.onnx and .pt2 only)",
    )
    parser.add_argument(
        "--half", action="store_true", help="store weights of .onnx files in half precision, as in .audiogan files"
    )
    parser.add_argument(
        "--card", type=Path, help="model card: a Markdown file that describes the model, its data and its licence"
    )
    parser.add_argument(
        "--training",
        action="store_true",
        help="also write critics and other networks, so that training can start from the file (init=NAME.audiogan)",
    )
    parser.add_argument(
        "--final",
        action="store_true",
        help="write only the final weights, not those at the end of the first stage: about half the size, but "
        "--strength cannot be used",
    )


def run(args: argparse.Namespace, argv: list[str]) -> int:
    suffix = args.file.suffix.lower()
    if suffix not in KINDS:
        raise UserError(
            f"{args.file}: the name of a model file must end in {', '.join(list(KINDS)[:-1])} or {list(KINDS)[-1]}"
        )
    if args.training and suffix != ".audiogan":
        raise UserError(f"--training: {args.file} can contain the generator only; choose a name that ends in .audiogan")
    if args.final and suffix != ".audiogan":
        raise UserError(f"--final: {args.file} always contains the final weights only; remove --final")
    if args.half and suffix == ".pt2":
        raise UserError(
            f"--half: {args.file} cannot have weights in half precision; write a .onnx file or remove --half"
        )
    card = _card(args.card) if args.card else ""
    from audiogan.files import check_writable_file
    from audiogan.model.loading import load

    check_writable_file(args.file)  # The path is checked before tracing, which takes half a minute.

    generator = load(args.run)
    route = generator.routes.find(args.generator)
    card = card or generator.card
    if suffix == ".audiogan":
        if args.generator is not None:
            raise UserError(f"--generator {args.generator}: {args.file} contains all generators; remove --generator")
        from audiogan.model.bundle import save_bundle

        save_bundle(args.file, generator, card, training=args.training, first_stage=not args.final)
        print(f"{args.file}: {_size(args.file)}; try: {_example(generator, args.file)}")
    else:
        _export(args.file, generator, card, route, args.half)
    return 0


def _example(generator: Generator, path: Path) -> str:
    """Return a command that uses a model file."""
    from audiogan.inputs import Signal

    required = generator.game.required_inputs
    if not required:
        return shlex.join(["audiogan", "sample", "--run", str(path), "out/"])
    signals = ["FILE"] if any(isinstance(each, Signal) for each in required.values()) else []
    others = [f"--input={name}=VALUE" for name, each in required.items() if not isinstance(each, Signal)]
    return shlex.join(["audiogan", "apply", *signals, "OUT", "--run", str(path), *others])


def _export(path: Path, generator: Generator, card: str, route: str, half: bool) -> None:
    """Export a generator, and print its inputs, its output and the result of the check."""
    which = f", {route}" if len(generator.routes) > 1 else ""
    print(
        f"{generator.name}{which} (step {generator.step:,}): tracing and checking, takes 10 to 30 seconds", flush=True
    )
    from audiogan.model.export import ExportedGenerator, save_onnx, save_pt2

    if path.suffix.lower() == ".onnx":
        checked = save_onnx(path, generator, card, route, half=half)
    else:
        checked = save_pt2(path, generator, card, route)
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
    if checked.rounding is not None:
        print(f"half precision changes the {generator.modality.noun}s by at most {checked.rounding:.1e} of full scale")
    if checked.max_difference is not None and checked.max_difference > MAX_ERROR:
        reason = "this network amplifies rounding errors, so its output also varies with the batch size"
        print(f"the difference is above {MAX_ERROR:g}: {reason}")


def _card(path: Path) -> str:
    check_readable_file(path)
    try:
        return read_small_file(path, MAX_CARD_BYTES, "card").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start:,})") from error


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
