"""The command line. Nothing heavy is imported before a command is known, so that help answers at once."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from audiogan.errors import UserError

COMMANDS = (
    *("train", "evaluate", "doctor", "sample", "morph", "encode", "kit", "play", "studio"),
    *("export", "data", "list"),
)
"""Each in a file of its own, `audiogan/commands/NAME.py`, which has `add` (its parser) and `run`."""

EPILOG = """\
examples:
  audiogan train drums                                built-in drum machine, if there is no other data
  audiogan train drums data.root=my-drums trainer.minutes=15
  audiogan train drums -m network=wavegan,specgan     one run after the other
  audiogan sample -n 16 out/                          from the newest run, else from the shipped drums
  audiogan morph --from kick-3 --to snare-8 out/
  audiogan encode recording.wav out/                  the model's nearest sound to it
  audiogan kit --format sfz out/                      16 pads for a sampler
  audiogan play beat.mid beat.wav                     a MIDI pattern on such a kit
  audiogan studio                                     pads and a sequencer in the browser
  audiogan evaluate runs/drums
  audiogan doctor runs/drums                          what went wrong, and what to try
  audiogan train handwriting network=stylegan         the same for images

Set AUDIOGAN_DEBUG=1 to see where an error came from."""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="audiogan",
        description="Train generative adversarial networks and play them as instruments.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="store_true", help="print the version and leave")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        _command(name).add(commands)
    return top


def _command(name: str) -> Any:
    return importlib.import_module(f"audiogan.commands.{name}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, 2 for bad input, 130 when interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()  # here rather than on the way out, in case nobody reads any more
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UserError, OSError, MemoryError) as error:
        if os.environ.get("AUDIOGAN_DEBUG"):
            raise
        print(f"audiogan: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 2


def _run(arguments: list[str]) -> int:
    top = parser()
    args = _parse(top, arguments)
    if args.version:
        from audiogan import __version__

        print(f"audiogan {__version__}")
        return 0
    if args.command is None:
        top.print_help()
        return 0
    return _command(args.command).run(args, arguments)


def _parse(top: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Parse; overrides may stand on both sides of ``-m``."""
    if arguments[:1] == ["train"]:
        flags = [a for a in arguments[1:] if a.startswith("-")]
        arguments = ["train", *flags, *(a for a in arguments[1:] if not a.startswith("-"))]
    return top.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
