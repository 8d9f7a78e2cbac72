"""``--input`` of ``audiogan sample``: the files of signals, and how many samples they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audiogan.errors import UserError
from audiogan.files import check_file
from audiogan.inputs import Signal
from audiogan.model.generator import Generator

DEFAULT = 16
"""Samples where no files decide it."""


def expanded(generator: Generator, given: Mapping[str, Sequence[str]], out: Path) -> dict[str, Any]:
    """Return the values of inputs from the command line: a list for inputs that cannot be drawn, else one value.

    Args:
        generator: the model.
        given: texts by the name of the input. Of a signal each is a file or a folder.
        out: the folder of the samples; files in it are no sources.

    Raises:
        UserError: an unknown input, a missing one, two values for one that is drawn, or a file that is not there.
    """
    values: dict[str, Any] = {}
    for name, texts in given.items():
        known = generator.game.input(name)
        if isinstance(known, Signal):
            values[name] = [path for text in texts for path in _files(text, known, out)]
        elif known.drawable and len(texts) > 1:
            raise UserError(f"--input: {name} is given twice; leave out one of them")
        else:
            values[name] = texts[0] if known.drawable else list(texts)
    for name, known in generator.game.needed.items():
        if name not in values:
            what = f"{generator.name}: it needs the input {name!r} ({known.describe()})"
            if not isinstance(known, Signal):
                raise UserError(f"{what}: give --input {name}=VALUE")
            raise UserError(f"{what}: give --input {name}=FILE, or use: audiogan apply FILE OUT --run RUN")
    return values


def _files(text: str, known: Signal, out: Path) -> list[str]:
    """Return the files that a text names: itself, or the signals below a folder."""
    from audiogan.model.translation.folders import listed

    path = Path(text)
    if not path.is_dir():
        check_file(path)
        return [text]
    noun, sound = known.modality.noun, known.modality.sample_rate is not None
    names, failed, _ = listed(path, sound, out)
    if failed:
        raise UserError(f"{failed[0]}; move it out of the folder, or name files")
    if not names:
        raise UserError(f"{text}: no {noun}s in it")
    return [str(path / name) for name in names]


def matched(generator: Generator, values: Mapping[str, Any], n: int | None) -> tuple[int, dict[str, Any]]:
    """Return the number of samples, and the values with as many in each list.

    Without ``n``, each file makes one sample. With a smaller ``n``, the first files do. With a larger one, files are
    used again, with other values of the inputs that are drawn.

    Args:
        generator: the model.
        values: see `expanded`; lists of one value hold for all samples.
        n: number of samples, if a person chose it.

    Raises:
        UserError: lists of different lengths, or more samples than files for a model that draws nothing.
    """
    lists = {name: value for name, value in values.items() if isinstance(value, list)}
    longest = max((len(value) for value in lists.values()), default=0)
    if odd := next((name for name, value in lists.items() if len(value) not in (1, longest)), None):
        raise UserError(f"{odd}: {len(lists[odd])} values, another input has {longest}; give one, or one for each")
    signals = any(isinstance(generator.inputs[name], Signal) for name in lists)
    if n is None:
        n = longest if signals or longest > 1 or (lists and not draws(generator)) else DEFAULT
    if lists and n > longest and not draws(generator):
        noun = "file" if signals else "value"
        given = f"{longest} {noun}{'s' * (longest != 1)}"
        raise UserError(f"-n {n}: {generator.name} draws nothing at random, and {given} give {longest}; leave out -n")
    cycled = {name: [value[i % len(value)] for i in range(n)] for name, value in lists.items()}
    return n, {**values, **cycled}


def draws(generator: Generator) -> bool:
    """Return whether the model has an input that is drawn, such as a latent."""
    return any(known.drawable for known in generator.inputs.values())
