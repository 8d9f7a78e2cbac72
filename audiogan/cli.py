"""Command line of audiogan.

Large packages such as PyTorch are imported only when a command runs, so that ``--help`` is fast.
"""

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
    *("train", "evaluate", "doctor", "sample", "apply", "inputs", "morph", "walk", "encode", "kit", "play", "studio"),
    *("export", "data", "list"),
)
"""Names of the commands. The module `audiogan/commands/NAME.py` has two functions: `add_parser` defines the arguments,
and `run` executes the command and returns its exit code (``None`` means 0)."""

EPILOG = """\
examples:
  audiogan train drums                                train on downloaded drums, else on synthetic ones
  audiogan train drums data.root=DIR run_dir=runs/my  train on the sounds in DIR
  audiogan train drums -m network=wavegan,specgan     train two networks, one after the other
  audiogan list runs                                  list all runs
  audiogan sample -n 16 out/                          sample from the newest run, else from the shipped drums
  audiogan apply photos/ out/ --run runs/pix2pix      translate image files with an image-to-image model
  audiogan morph --from kick-3 --to snare-8 out/      interpolate between two sounds
  audiogan walk walk.gif --run runs/handwriting       animate a closed path through the latent space
  audiogan encode recording.wav out/                  find the most similar sound of the model
  audiogan kit --format sfz out/                      generate a drum kit with 16 pads for a sampler
  audiogan play beat.mid beat.wav                     render a MIDI pattern with a generated kit
  audiogan studio                                     open pads and a sequencer in the browser
  audiogan evaluate runs/drums                        compare samples of a run to held-out data
  audiogan doctor runs/drums                          diagnose a run
  audiogan train handwriting network=stylegan         train on images
  audiogan train my.yaml --trust my_networks          use your own networks in my_networks.py

The run folder of `audiogan train drums` is runs/drums. Settings that change the model become part of its name, as in
runs/drums,network=wavegan. run_dir=FOLDER chooses another folder.

Set AUDIOGAN_DEBUG=1 to print the traceback of an error."""


def parser() -> argparse.ArgumentParser:
    """Return the argument parser with all commands."""
    top = argparse.ArgumentParser(
        prog="audiogan",
        description="Train generative adversarial networks (GANs) on sounds and images, and use them as instruments.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        _command(name).add_parser(commands)
    for command in commands.choices.values():
        command.add_argument(
            "--trust",
            action="append",
            metavar="NAME",
            help="allow a configuration or model to run code of the Python module NAME, usually NAME.py in this folder",
        )
    return top


def _command(name: str) -> Any:
    return importlib.import_module(f"audiogan.commands.{name}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    If the reader of a pipe closes standard output early, the command continues.

    Args:
        argv: arguments without the name of the program. Default: the arguments of the process.

    Returns:
        0: success. 1: bug in audiogan. 2: invalid input, or a file that cannot be read or written. 130: interrupted.
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
    """Run a command. Print any exception as one line, and return the exit code."""
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
    """Return a message of one line for an exception, and the exit code of the command."""
    text = printable(" ".join(str(error).split()))
    if isinstance(error, OSError):
        return _reason(error), 2
    if isinstance(error, UserError):
        return text or "bad input", 2
    if isinstance(error, MemoryError) or "can't allocate memory" in text or type(error).__name__ == "OutOfMemoryError":
        what = text[:160] or "MemoryError"
        return f"not enough memory ({what}); use a smaller batch, network or number of samples", 2
    kind = type(error).__name__
    return (
        f"{kind}: {text[:300]} (a bug in audiogan; please report it with the traceback that AUDIOGAN_DEBUG=1 prints)",
        1,
    )


def _reason(error: OSError) -> str:
    """Return the message of the operating system, preceded by the names of the files."""
    files = [printable(os.fsdecode(f)) for f in (error.filename, error.filename2) if isinstance(f, str | bytes)]
    reason = printable(" ".join(str(error.strerror or error).split())) or type(error).__name__
    return f"{' -> '.join(files)}: {reason}" if files else reason


def _run(arguments: list[str], out: Output) -> int:
    out.plain = False  # argparse may colour the help.
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
    from audiogan.run.trust import describe_user_error, trust_modules

    with trust_modules(names, from_command_line=True):
        try:
            return _command(args.command).run(args, arguments) or 0
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:
            message = None if type(error).__name__ == "OutOfMemoryError" else describe_user_error(error)
            raise error if message is None else UserError(message) from error


def _parse(top: argparse.ArgumentParser, arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the parsed arguments and the names given with ``--trust``, which may be anywhere on the command line.

    argparse stops at the first flag, so overrides of ``train`` after a flag are added here.
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
