"""Command ``audiogan encode``: find the latents of a recording."""

from __future__ import annotations

import argparse
import os
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.commands.values import parse_class
from audiogan.errors import UserError
from audiogan.utils.text import join_names, printable

if TYPE_CHECKING:
    from audiogan.latents import Encoding
    from audiogan.model.generator import Generator

MAX_NAMED_FILES = 5
"""Largest number of skipped files that are named in a message."""
RANDOM_SAMPLES = 100
"""Number of random samples to which an imitation is compared."""
BAR = "{desc}: {percentage:3.0f}% |{bar}| {elapsed}"


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("encode", help="imitate a recording: find the most similar sound of a model")
    parser.add_argument("recording", type=Path, help="sound file, or folder of sound files")
    parser.add_argument(
        "out",
        type=Path,
        help="folder for recordings and imitations (WAV) and a contact sheet; earlier results are replaced",
    )
    parser.add_argument(
        "--run", help="run folder, checkpoint or model (default: the newest run of sounds, else the shipped drums)"
    )
    parser.add_argument(
        "--class",
        dest="label",
        help="class of the imitation: kick, or a mixture such as kick:0.7,tom:0.3 (default: the most similar)",
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="CPU time per recording in seconds (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")


def run(args: argparse.Namespace, argv: list[str]) -> None:
    files, left = _files(args.recording, args.out)
    _check_out(args.out, [stem for _, stem in files])
    import numpy as np
    from tqdm import tqdm

    from audiogan.commands.newest import load_sound_model
    from audiogan.latents import encode, nearest_distance

    generator = load_sound_model(args.run)
    label = args.label if args.label in generator.labels else parse_class(args.label)
    random: Any = None
    waves, titles = [], []
    for path, stem in tqdm(files, unit="sound", disable=None if len(files) > 1 else True):
        try:
            with tqdm(total=1, bar_format=BAR, desc=stem, leave=False, disable=None) as bar:
                found = encode(
                    generator, path, label=label, seconds=args.seconds, seed=args.seed, progress=partial(_show, bar)
                )
        except UserError as error:
            if path == args.recording or not str(error).startswith(printable(path)):
                raise
            left.append(str(error))
            continue
        # The saved recording is scaled to a peak of 0.95, like the imitation, so that the two can be compared by ear.
        _save(generator, args.out, stem, found)
        random = generator.sample(RANDOM_SAMPLES, seed=args.seed) if random is None else random
        best = nearest_distance(random, found.recording, generator.sample_rate)
        line = f"{printable(path)}: {found.distance:.1f} dB from it ({found.recipe.label or 'a sound'})"
        tqdm.write(f"{line}; the nearest of {RANDOM_SAMPLES} random sounds: {best:.1f} dB")
        waves += [found.recording, found.wave]
        titles += [stem, f"{found.distance:.1f} dB from it"]
    for line in left:
        print(f"skipped: {line}")
    if not waves:
        raise UserError(f"{printable(args.recording)}: none of its {len(files)} sounds can be imitated")
    from audiogan.modalities.drawing.sheets import NAME as SHEET
    from audiogan.modalities.drawing.spectrograms import contact_sheet

    contact_sheet(args.out / SHEET, np.stack(waves[:64]), generator.sample_rate, titles[:64])
    done = len(waves) // 2
    print(f"{done} recording{'s'[: done > 1]}, imitated by {generator.name}, and {SHEET}: {args.out}")


def _save(generator: Generator, out: Path, stem: str, found: Encoding) -> None:
    """Write an imitation and its recording. If one of them fails, neither is kept."""
    from audiogan.files import create_folder

    imitation, recording = out / f"{stem}-imitation.wav", out / f"{stem}-recording.wav"
    new = [path for path in (imitation, recording) if not path.exists()]
    with create_folder(out):
        try:
            generator.modality.save(imitation, found.wave, found.recipe.to_json())
            generator.modality.save(recording, found.recording)
        except BaseException:
            for path in new:
                path.unlink(missing_ok=True)
            raise


def _show(bar: Any, share: float) -> None:
    bar.update(share - bar.n)


def _files(source: Path, out: Path) -> tuple[list[tuple[Path, str]], list[str]]:
    """Return sound files, each with a unique stem for the names of its results, and messages about skipped files."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{printable(out)}: this is a file; choose a folder for the imitations")
    if not source.is_dir():
        if not source.exists():
            raise UserError(f"{printable(source)}: no such file or folder")
        return [(source, source.stem)], []
    if source.resolve() == out.resolve():
        raise UserError(
            f"{printable(source)}: the recordings and the imitations are in the same folder; choose another OUT"
        )
    from audiogan.data.walk import walk

    paths, skipped, others, inside = [], [], [], 0
    for entry in walk(source):
        path = source / entry.rel
        if _inside(path, out) and not _inside(source, out):
            inside += entry.kind == "audio" and not path.stem.endswith(("-imitation", "-recording"))
            continue
        if entry.kind == "audio":
            paths.append(path)
        elif entry.kind == "not audio":
            others.append(printable(path.name))
        elif entry.kind != "folder link":
            skipped.append(f"{printable(path)}: {printable(entry.detail or entry.kind)}")
    if others:
        skipped.append(f"not sound files by their names: {join_names(others, MAX_NAMED_FILES)}")
    if inside:
        skipped.append(f"{inside} sound file{'s'[: inside > 1]} in {printable(out)}, the folder for the imitations")
    if not paths:
        reasons = f": {'; '.join(skipped[:MAX_NAMED_FILES])}" if skipped else ""
        raise UserError(f"{printable(source)}: this folder has no sound files{reasons}")
    named: dict[str, Path] = {}
    for path in paths:
        stem = "-".join(path.relative_to(source).with_suffix("").parts)
        free = (stem if i == 1 else f"{stem}-{i}" for i in count(1))
        named[next(name for name in free if name not in named)] = path
    return [(path, stem) for stem, path in named.items()], skipped


def _check_out(out: Path, stems: list[str]) -> None:
    """Raise `UserError` if ``out`` cannot be written, or if a file would be replaced that is not an earlier result.

    An imitation is recognized by the recipe inside the file, and a recording by the imitation next to it.
    """
    from audiogan.files import check_writable_folder
    from audiogan.modalities.drawing.sheets import NAME, check_sheet_overwritable
    from audiogan.model.sampling import read_recipe

    check_writable_folder(out)
    if not out.is_dir():
        return
    check_sheet_overwritable(out / NAME)
    for stem in stems:
        imitation, recording = out / f"{stem}-imitation.wav", out / f"{stem}-recording.wav"
        if os.path.lexists(imitation):
            try:
                read_recipe(imitation)
            except UserError as error:
                raise UserError(
                    f"{error}; this file is not an imitation: rename it, or choose another folder"
                ) from error
        elif os.path.lexists(recording):
            raise UserError(f"{recording}: this file was not written by encode; rename it, or choose another folder")


def _inside(path: Path, folder: Path) -> bool:
    return folder.resolve() in path.resolve().parents
