"""The command line. Nothing heavy is imported before a command is known, so that help answers at once."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from audiogan.errors import UserError
from audiogan.utils.terminal import Output, safe_output
from audiogan.utils.text import printable

COMMANDS = (
    *("train", "evaluate", "doctor", "sample", "apply", "inputs", "morph", "encode", "kit", "play", "studio"),
    *("export", "data", "list"),
)
"""Each in a file of its own, `audiogan/commands/NAME.py`, which has `add` (its parser) and `run` (returns an exit code,
None for 0)."""

EPILOG = """\
examples:
  audiogan train drums                                built-in drum machine, if there is no other data
  audiogan train drums data.root=my-drums trainer.minutes=15
  audiogan train drums -m network=wavegan,specgan     one run after the other
  audiogan sample -n 16 out/                          from the newest run, else from the shipped drums
  audiogan apply photos/ out/ --run runs/pix2pix      translate files of any size with a model of pairs
  audiogan morph --from kick-3 --to snare-8 out/
  audiogan encode recording.wav out/                  the model's nearest sound to it
  audiogan kit --format sfz out/                      16 pads for a sampler
  audiogan play beat.mid beat.wav                     a MIDI pattern on such a kit
  audiogan studio                                     pads and a sequencer in the browser
  audiogan evaluate runs/drums
  audiogan doctor runs/drums                          what went wrong, and what to try
  audiogan train handwriting network=stylegan         the same for images
  audiogan train my.yaml --trust my_networks          networks of your own, in my_networks.py

Set AUDIOGAN_DEBUG=1 to see where an error came from."""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="audiogan",
        description="Train generative adversarial networks and play them as instruments.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        _command(name).add(commands)
    for command in commands.choices.values():
        command.add_argument(
            "--trust",
            action="append",
            metavar="NAME",
            help="run the code of the module NAME in this folder, which a configuration or a model needs",
        )
    return top


def _command(name: str) -> Any:
    return importlib.import_module(f"audiogan.commands.{name}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0: done. 2: bad input, or a file that cannot be read or written. 130: interrupted. 1: a fault of audiogan's own.
    A reader of the output that leaves early does not stop a command.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    with safe_output() as (out, _):
        code = _guarded(arguments, out)
        out.flush()
        if out.error is not None and code == 0:
            print(f"audiogan: standard output cannot be written ({_reason(out.error)})", file=sys.stderr)
            code = 2
    return code


def _guarded(arguments: list[str], out: Output) -> int:
    """Run a command; every error becomes one line and an exit code."""
    try:
        return _run(arguments, out)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if os.environ.get("AUDIOGAN_DEBUG"):
            raise
        line, code = describe_error(error)
        print(f"audiogan: {line}", file=sys.stderr)
        return code


def describe_error(error: BaseException) -> tuple[str, int]:
    """One line about an error, and the exit code of a command that it ends."""
    text = printable(" ".join(str(error).split()))
    if isinstance(error, OSError):
        return _reason(error), 2
    if isinstance(error, UserError):
        return text or "bad input", 2
    if isinstance(error, MemoryError) or "can't allocate memory" in text or type(error).__name__ == "OutOfMemoryError":
        what = text[:160] or "MemoryError"
        return f"not enough memory ({what}); use a smaller batch, network or number of samples", 2
    kind = type(error).__name__
    return f"{kind}: {text[:300]} (a fault of audiogan; AUDIOGAN_DEBUG=1 shows where, please report it)", 1


def _reason(error: OSError) -> str:
    """What the system says, with the names of the files."""
    files = [printable(os.fsdecode(f)) for f in (error.filename, error.filename2) if isinstance(f, str | bytes)]
    reason = printable(" ".join(str(error.strerror or error).split())) or type(error).__name__
    return f"{' -> '.join(files)}: {reason}" if files else reason


def _run(arguments: list[str], out: Output) -> int:
    out.plain = False  # help may be coloured
    top = parser()
    args, names = _parse(top, arguments)
    if args.version:
        from audiogan import __version__

        print(f"audiogan {__version__}")
        return 0
    if args.command is None:
        top.print_help()
        return 0
    out.plain = True
    from audiogan.run.trust import trust_modules

    with trust_modules(names, command_line=True):
        return _command(args.command).run(args, arguments) or 0


def _parse(top: argparse.ArgumentParser, arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the arguments, and the names of ``--trust``, which may stand anywhere.

    argparse takes positional arguments up to the first flag only. Those behind it are overrides of ``train``.
    """
    first = argparse.ArgumentParser(prog=top.prog, usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False)
    first.add_argument("--trust", action="append", default=[])
    given, others = first.parse_known_args(arguments)
    args, rest = top.parse_known_args(others)
    overrides = [text for text in rest if not text.startswith("-")] if args.command == "train" else []
    if len(overrides) < len(rest):
        top.error(f"unrecognized arguments: {' '.join(text for text in rest if text not in overrides)}")
    if overrides:
        args.overrides = [*args.overrides, *overrides]
    return args, [*given.trust, *(getattr(args, "trust", None) or [])]


if __name__ == "__main__":
    sys.exit(main())
