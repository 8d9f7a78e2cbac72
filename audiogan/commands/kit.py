"""Command ``audiogan kit``: generate a drum kit."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.commands.values import parse_number
from audiogan.errors import UserError, wrap_os_errors

if TYPE_CHECKING:
    from audiogan.kits import Kit
    from audiogan.model.generator import Generator

ARCHIVE_SUFFIXES = (".h2drumkit", ".gz")
"""Suffixes of archives that are not ZIP archives. The command asks the user to unpack them."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("kit", help="generate a drum kit for a sampler")
    parser.add_argument(
        "out", type=Path, help="folder for the kit and a contact sheet; files of an earlier kit are replaced"
    )
    parser.add_argument(
        "--format", choices=["sfz", "hydrogen", "decent", "wav"], default="sfz", help="file format (default sfz)"
    )
    parser.add_argument("--pads", type=int, help="number of pads, one sound each (default 16)")
    parser.add_argument(
        "--layers", type=int, help="number of velocity layers per pad; softer layers sound darker (default 1)"
    )
    parser.add_argument("--seed", type=int, help="random seed; the same seed makes the same kit (default: random)")
    parser.add_argument("--class", dest="labels", metavar="NAME,...", help="use only these classes, such as kick,snare")
    parser.add_argument(
        "--knob",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a knob, 0 to 1, such as decay=0.2; can be repeated",
    )
    parser.add_argument(
        "--from",
        dest="kit",
        type=Path,
        metavar="KIT",
        help="export this existing kit (folder, kit.json or ZIP archive) instead of a new one",
    )
    parser.add_argument(
        "--run", help="run folder, checkpoint or model (default: the newest run of sounds, else the shipped drums)"
    )
    parser.add_argument("--rate", type=int, default=44100, help="sample rate in Hz (default 44100)")
    parser.add_argument("--bits", type=int, default=24, choices=[16, 24], help="bits per sample (default 24)")
    parser.add_argument("--name", help="name of the kit (default: name of the folder)")


def run(args: argparse.Namespace, argv: list[str]) -> None:
    chosen = {"--pads": args.pads, "--layers": args.layers, "--seed": args.seed, "--class": args.labels}
    chosen["--knob"] = args.knob or None
    if args.kit and (given := [flag for flag, value in chosen.items() if value is not None]):
        raise UserError(
            f"{', '.join(given)}: --from loads a kit that has these settings already; remove --from or the others"
        )
    from audiogan.kits import save_kit

    if args.kit:
        kit, generator = read_kit(args.kit, args.run)
    else:
        from audiogan.commands.newest import load_sound_model

        generator = load_sound_model(args.run)
        labels = None if args.labels is None else _classes(args.labels, generator.labels)
        knobs = dict(parse_number(text, "=", "--knob") for text in args.knob)
        kit = create_kit(generator, args.seed, pads=args.pads, labels=labels, layers=args.layers, knobs=knobs)
    audio: dict[str, Any] = {"sample_rate": args.rate, "bits": args.bits}
    files = save_kit(
        generator,
        kit,
        args.out,
        args.format,
        name=args.name,
        contact_sheet=True,
        store_model_path=True,
        echo=print,
        **audio,
    )
    print(f"{files[-1]}: {', '.join(pad.name for pad in kit.pads)}")


def _classes(text: str, known: list[str]) -> list[str]:
    """Parse a comma-separated list of classes. A single class may have a comma in its name."""
    names = [text] if text in known else [name for part in text.split(",") if (name := part.strip())]
    if not names:
        raise UserError(f"--class {text!r}: no class named; write class names, such as --class kick,snare")
    return names


def create_kit(generator: Generator, seed: int | None, **options: Any) -> Kit:
    """Generate a kit with `make_kit`. Without a seed, choose one at random and print it.

    Args:
        generator: model of sounds.
        seed: random seed.
        options: arguments of `make_kit`. Options that are ``None`` keep their defaults.
    """
    from audiogan.kits import make_kit

    if seed is None:
        seed = secrets.randbelow(10_000)
        print(f"new kit; for the same kit again: --seed {seed}")
    return make_kit(generator, seed=seed, **{key: value for key, value in options.items() if value is not None})


def read_kit(path: Path, run: str | None) -> tuple[Kit, Generator]:
    """Read a kit and load its model.

    Args:
        path: ``kit.json``, the folder of a kit, or a ZIP archive of it. It may be untrusted: see `find_kit_model`.
        run: run folder, checkpoint or model. By default, the model that the kit names.
    """
    from audiogan.kits import Kit
    from audiogan.kits.opening import KIT
    from audiogan.kits.saving import find_kit_model
    from audiogan.model.loading import load
    from audiogan.run.model_files import shipped_models

    path, content = read_kit_content(path)
    try:
        kit = Kit.from_json(content)
    except UserError as error:
        hint = f"; give the {KIT} next to it" if path.name != KIT and (path.parent / KIT).is_file() else ""
        raise UserError(f"{path}: {error}{hint}") from error
    model: str | Path | None = run or (
        kit.model if kit.model in shipped_models() else find_kit_model(path, content, kit.model)
    )
    if model is None:
        raise UserError(f"{path}: its model {kit.model!r:.100} was not found; give it with --run")
    return kit, load(model)


def read_kit_content(path: Path) -> tuple[Path, bytes]:
    """Return the path of a kit's file (``kit.json`` or a ZIP archive), and the content of ``kit.json``. If ``path`` is
    a folder, the file is the ``kit.json`` in it."""
    from audiogan.kits.opening import KIT, read_kit_file

    if path.is_dir():
        path /= KIT
        if not path.is_file():
            raise UserError(f"{path.parent}: this folder has no {KIT}; give the folder of a kit, or its {KIT}")
    if path.suffix.lower() in ARCHIVE_SUFFIXES:
        raise UserError(f"{path}: this is an archive; unpack it and give the {KIT} in it")
    with wrap_os_errors(f"{path}: cannot be read"), open(path, "rb") as stream:
        try:
            return path, read_kit_file(stream)
        except UserError as error:
            raise UserError(f"{path}: cannot be read ({error})") from error
