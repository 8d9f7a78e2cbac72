"""The ``audiogan apply`` command for models without a signal input, such as text to speech."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import soundfile

from audiogan.errors import UserError
from audiogan.files import atomic_write, create_folder, is_regular_file, unwritable_reason
from audiogan.inputs import Signal
from audiogan.model.translation.formats import SOUNDS
from audiogan.utils.text import printable


def generate_file(
    generator: Any,
    out: Path,
    *,
    route: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    echo: Callable[[str], None] = print,
) -> Path | None:
    """Generate one sound from given inputs, such as a text, and write it to a file.

    Args:
        generator: model without signal inputs. At least one of its inputs cannot be drawn at random.
        out: output file with the suffix of a sound format, a folder, or ``-`` for standard output.
        route: name of the generator network, for models with several.
        inputs: values of the inputs by name.
        seed: seed of inputs that are drawn at random.
        overwrite: replace an existing file.
        echo: function that prints a line.

    Returns:
        Path of the file, or None for standard output.

    Raises:
        UserError: the model translates signals or needs no input, an input is missing or invalid, or the file exists
            already or cannot be written.
    """
    modality, needed = generator.modality, generator.game.required_inputs
    if any(isinstance(each, Signal) for each in needed.values()):
        raise UserError(f"{generator.name}: it translates {modality.noun}s; name the input file before the output file")
    if not needed or modality.sample_rate is None:
        raise UserError(f"{generator.name}: it draws new {modality.noun}s; use `audiogan sample`")
    piped = str(out) == "-"
    path = out / f"output{modality.suffix}" if out.is_dir() else out
    if not piped:
        if path.suffix.lower() not in SOUNDS:
            raise UserError(f"{printable(path)}: the name of this file must end in one of {', '.join(SOUNDS)}")
        if reason := unwritable_reason(path):
            raise UserError(f"{printable(path)}: cannot be written ({reason})")
        if os.path.lexists(path) and not (overwrite and is_regular_file(path)):
            raise UserError(f"{printable(path)}: exists already; use --overwrite to replace files")
    elif sys.stdout.isatty():
        raise UserError("standard output must not be a terminal; name a file or a folder")
    signal = generator.sample(1, seed=seed, inputs=dict(inputs or {}), generator=route)[0]

    def write(target: Path, format: str) -> None:
        kind = "PCM_16" if soundfile.check_format(format, "PCM_16") else None
        soundfile.write(target, signal.T, modality.sample_rate, kind, format=format)

    if piped:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder, "result"), "WAV")
            content = Path(folder, "result").read_bytes()
        with contextlib.suppress(BrokenPipeError), open(sys.stdout.fileno(), "wb", closefd=False) as pipe:
            pipe.write(content)
        return None
    try:
        with create_folder(path.parent), atomic_write(path) as temporary:
            write(temporary, SOUNDS[path.suffix.lower()])
    except (OSError, soundfile.SoundFileError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{printable(path)}: cannot be written ({reason}); is the disk full?") from error
    seconds = signal.shape[-1] / modality.sample_rate
    name = f"{printable(generator.name)} (step {generator.step:,})"
    echo(f"{seconds:.1f} s of {modality.noun} by {name}: {printable(path)}")
    return path
