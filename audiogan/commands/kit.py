"""``audiogan kit``"""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.commands.values import parse_number
from audiogan.errors import UserError
from audiogan.files import read_small_file

if TYPE_CHECKING:
    from audiogan.kits import Kit
    from audiogan.model.generator import Generator

PACKED = (".zip", ".h2drumkit", ".gz", ".dslibrary")
"""Suffixes of archives in which kits come."""


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("kit", help="make a drum kit for a sampler")
    parser.add_argument(
        "out", type=Path, help="folder for the kit and a contact sheet; files of the same kit are replaced"
    )
    parser.add_argument("--format", choices=["sfz", "hydrogen", "decent", "wav"], default="sfz", help="(default sfz)")
    parser.add_argument("--pads", type=int, help="how many sounds (default 16)")
    parser.add_argument("--layers", type=int, help="velocity layers of each, the softer the darker (default 1)")
    parser.add_argument("--seed", type=int, help="for the same kit again")
    parser.add_argument("--class", dest="labels", metavar="NAME,...", help="only these classes: kick,snare")
    parser.add_argument(
        "--knob", action="append", default=[], metavar="NAME=VALUE", help="0 to 1: decay=0.2 (any number of them)"
    )
    parser.add_argument(
        "--from", dest="kit", type=Path, metavar="KIT", help="this kit (its folder or kit.json), not a new one"
    )
    parser.add_argument("--run", help="as for sample (default: the newest run of sounds)")
    parser.add_argument("--rate", type=int, default=44100, help="Hz (default 44100)")
    parser.add_argument("--bits", type=int, default=24, choices=[16, 24], help="(default 24)")
    parser.add_argument("--name", help="of the kit (default: that of the folder)")


def run(args: argparse.Namespace, arguments: list[str]) -> None:
    chosen = {"--pads": args.pads, "--layers": args.layers, "--seed": args.seed, "--class": args.labels}
    chosen["--knob"] = args.knob or None
    if args.kit and (given := [flag for flag, value in chosen.items() if value is not None]):
        raise UserError(f"{', '.join(given)}: a kit that --from brings has all that; leave out one or the other")
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
    """The names in a list with commas; empty ones are skipped. A class may have a comma in its name."""
    names = [text] if text in known else [name for part in text.split(",") if (name := part.strip())]
    if not names:
        raise UserError(f"--class {text!r}: no class named; write --class kick,snare")
    return names


def create_kit(generator: Generator, seed: int | None, **wanted: Any) -> Kit:
    """A new kit, see `make_kit`; says its seed if nobody chose one."""
    from audiogan.kits import make_kit

    if seed is None:
        seed = secrets.randbelow(10_000)
        print(f"a new kit; the same again: --seed {seed}")
    return make_kit(generator, seed=seed, **{key: value for key, value in wanted.items() if value is not None})


def read_kit(path: Path, run: str | None) -> tuple[Kit, Generator]:
    """Read a kit and load its model: the one it names, or ``run``.

    Args:
        path: a ``kit.json``, or the folder of a kit. It may come from a stranger: see `find_kit_model`.
        run: as for `load`.
    """
    from audiogan.kits import Kit
    from audiogan.kits.saving import KIT, LARGEST_KIT, find_kit_model
    from audiogan.model.bundle import shipped_models
    from audiogan.model.loading import load

    if path.is_dir():
        path /= KIT
        if not path.is_file():
            raise UserError(f"{path.parent}: holds no {KIT}; name the folder of a kit, or its {KIT}")
    if path.suffix.lower() in PACKED:
        raise UserError(f"{path}: an archive; unpack it and name the {KIT} in it")
    content = read_small_file(path, LARGEST_KIT, "kit")
    try:
        kit = Kit.from_json(content)
    except UserError as error:
        hint = f"; name the {KIT} beside it" if path.name != KIT and (path.parent / KIT).is_file() else ""
        raise UserError(f"{path}: {error}{hint}") from error
    model: str | Path | None = run or (
        kit.model if kit.model in shipped_models() else find_kit_model(path, content, kit.model)
    )
    if model is None:
        raise UserError(f"{path}: its model {kit.model!r:.100} was not found; name it with --run")
    return kit, load(model)
