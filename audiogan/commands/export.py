"""``audiogan export``"""

from __future__ import annotations

import argparse
from pathlib import Path

from audiogan.errors import UserError


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("export", help="make a model of a run: one file that moves between machines")
    parser.add_argument("run", help="run folder or checkpoint")
    parser.add_argument("file", type=Path, help="NAME.audiogan")
    parser.add_argument("--card", type=Path, help="Markdown that says what it is, of which data, under which licence")


def run(args: argparse.Namespace, arguments: list[str]) -> int:
    from audiogan.bundle import SUFFIX, save_bundle

    if args.file.suffix != SUFFIX:
        raise UserError(f"{args.file}: the name of a model ends in {SUFFIX}")
    try:
        card = args.card.read_text(encoding="utf-8") if args.card else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{args.card}: cannot be read ({error})") from error
    from audiogan.loading import load

    save_bundle(args.file, load(args.run), card)
    print(f"{args.file}: {args.file.stat().st_size / 1e6:.1f} MB; try it: audiogan sample --run {args.file} out/")
    return 0
