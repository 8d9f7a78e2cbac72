"""Input files of the ``audiogan sample`` command: find them and match them to the number of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audiogan.errors import UserError
from audiogan.files import check_readable_file
from audiogan.inputs import Signal
from audiogan.model.generator import Generator

DEFAULT_COUNT = 16
"""Number of samples if neither the option ``-n`` nor the number of input files determines it."""


def inputs_from_arguments(generator: Generator, arguments: Mapping[str, Sequence[str]], out: Path) -> dict[str, Any]:
    """Return a dict from input name to the values given on the command line.

    An input that can be drawn at random gets a single value. Any other input gets a list of values.

    Args:
        generator: the model.
        arguments: command-line arguments by input name. For a signal, each argument is a file or a folder.
        out: folder of the samples. Files in it are not used as inputs.

    Raises:
        UserError: an input is unknown, missing or given twice, or a file does not exist.
    """
    values: dict[str, Any] = {}
    for name, given in arguments.items():
        known = generator.game.get_input(name)
        if isinstance(known, Signal):
            values[name] = [path for text in given for path in _signal_files(text, known, out)]
        elif known.drawable and len(given) > 1:
            raise UserError(f"--input: {name} is given twice; leave out one of them")
        else:
            values[name] = given[0] if known.drawable else list(given)
    for name, known in generator.game.required_inputs.items():
        if name not in values:
            what = f"{generator.name}: it needs the input {name!r} ({known.describe()})"
            if not isinstance(known, Signal):
                raise UserError(f"{what}: give --input {name}=VALUE")
            raise UserError(f"{what}: give --input {name}=FILE, or use: audiogan apply FILE OUT --run RUN")
    return values


def _signal_files(text: str, known: Signal, out: Path) -> list[str]:
    """Return a file, or the signals below a folder."""
    from audiogan.model.translation.folders import list_signals

    path = Path(text)
    if not path.is_dir():
        check_readable_file(path)
        return [text]
    noun, sound = known.modality.noun, known.modality.sample_rate is not None
    names, failed, _ = list_signals(path, sound, out)
    if failed:
        raise UserError(f"{failed[0]}; move it out of the folder, or name files")
    if not names:
        raise UserError(f"{text}: no {noun}s in it")
    return [str(path / name) for name in names]


def match_sample_count(generator: Generator, values: Mapping[str, Any], n: int | None) -> tuple[int, dict[str, Any]]:
    """Return the number of samples, and the values with every list repeated to this length.

    The default is one sample for each file. A smaller ``n`` uses the first files. A larger ``n`` uses the files
    repeatedly, with new random values for the inputs that are drawn.

    Args:
        generator: the model.
        values: input values from `inputs_from_arguments`. A list with one value applies to all samples.
        n: number of samples requested by the user, or None.

    Raises:
        UserError: lists differ in length, or ``n`` exceeds the number of files and the model has no random inputs.
    """
    lists = {name: value for name, value in values.items() if isinstance(value, list)}
    longest = max((len(value) for value in lists.values()), default=0)
    if odd := next((name for name, value in lists.items() if len(value) not in (1, longest)), None):
        raise UserError(f"{odd}: {len(lists[odd])} values, another input has {longest}; give one, or one for each")
    signals = any(isinstance(generator.inputs[name], Signal) for name in lists)
    if n is None:
        n = longest if signals or longest > 1 or (lists and not has_random_inputs(generator)) else DEFAULT_COUNT
    if lists and n > longest and not has_random_inputs(generator):
        noun = "file" if signals else "value"
        given = f"{longest} {noun}{'s' * (longest != 1)}"
        raise UserError(
            f"-n {n}: {generator.name} draws nothing at random, and {given} give only {longest}; leave out -n"
        )
    cycled = {name: [value[i % len(value)] for i in range(n)] for name, value in lists.items()}
    return n, {**values, **cycled}


def has_random_inputs(generator: Generator) -> bool:
    """Return whether the model has an input that can be drawn at random, such as a latent."""
    return any(known.drawable for known in generator.inputs.values())
