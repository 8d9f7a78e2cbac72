"""Command ``audiogan encode``: find the latents of a recording or picture."""

from __future__ import annotations

import argparse
import os
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from audiogan.commands.values import parse_class, parse_integer
from audiogan.errors import UserError
from audiogan.utils.text import join_names, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audiogan.latents import Encoding
    from audiogan.model.generator import Generator

MAX_NAMED_FILES = 5
"""Largest number of skipped files that are named in a message."""
RANDOM_SAMPLES = 100
"""Default number of random samples with which an imitation is compared."""
MAX_RANDOM_SAMPLES = 100_000
"""Largest number of random samples."""
RANDOM_BLOCK = 64
"""Number of random samples that are generated and compared at a time."""
BAR_FORMAT = "{desc}: {percentage:3.0f}% |{bar}| {elapsed}"


class SignalKind(NamedTuple):
    """Names of one kind of signal.

    Attributes:
        noun: name of a generated signal.
        source: name of the signal to imitate, used for the columns of the contact sheet and in messages.
        entry: `audiogan.data.walk.Entry.kind` of files of this kind.
        suffix: suffix of the written files.
        results: endings of the names of the files that the command writes. The first file contains the recipe.
    """

    noun: str
    source: str
    entry: str
    suffix: str
    results: tuple[str, ...]

    def paths(self, out: Path, stem: str) -> list[Path]:
        """Return the paths of the results for a source file."""
        return [out / f"{stem}{ending}" for ending in self.results]


SOUND = SignalKind("sound", "recording", "audio", ".wav", ("-imitation.wav", "-recording.wav"))
PICTURE = SignalKind("picture", "picture", "image", ".png", ("-imitation.png", "-picture.png", "-recipe.json"))


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "encode", help="imitate a recording or picture: find the most similar sound or image of a model"
    )
    parser.add_argument("source", type=Path, metavar="IN", help="sound file, image file, or folder of such files")
    parser.add_argument(
        "out",
        type=Path,
        metavar="OUT",
        help="folder for sources and imitations (WAV or PNG) and a contact sheet; earlier results are replaced",
    )
    parser.add_argument(
        "--run",
        help="run folder, checkpoint or model (default: the newest run below runs/ that generates signals like "
        "IN; without such a run, the shipped drums for sounds)",
    )
    parser.add_argument(
        "--class",
        dest="label",
        help="class of the imitation: kick, or a mixture such as kick:0.7,tom:0.3 (default: the most similar)",
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="CPU time per file in seconds (default 10)")
    parser.add_argument(
        "--random",
        default=str(RANDOM_SAMPLES),
        help=f"number of random samples with which the imitation is compared (default {RANDOM_SAMPLES})",
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")


def run(args: argparse.Namespace, argv: list[str]) -> None:
    compared = parse_integer(args.random, "--random")
    if not 1 <= compared <= MAX_RANDOM_SAMPLES:
        raise UserError(f"--random {compared}: choose 1 to {MAX_RANDOM_SAMPLES:,}")
    kind = _guess_kind(args.source, args.out)
    files, left = _files(args.source, args.out, kind) if args.run is None else ([], [])
    from audiogan.commands.newest import load_image_model, load_sound_model

    generator = (load_image_model if kind is PICTURE else load_sound_model)(args.run)
    if args.run is not None:
        kind = PICTURE if generator.modality.sample_rate is None else SOUND
        files, left = _files(args.source, args.out, kind)
    _check_out(args.out, [stem for _, stem in files], kind)
    label = args.label if args.label in generator.labels else parse_class(args.label)
    done = _encode_files(generator, files, left, args, label, compared, kind)
    for line in left:
        print(f"skipped: {line}")
    if not done:
        raise UserError(f"{printable(args.source)}: none of its {len(files)} {kind.noun}s can be imitated")
    from audiogan.modalities.drawing.sheets import SHEET_NAME as SHEET

    shown = done[:32]
    columns = {kind.source: [found.target for _, found in shown], "imitation": [found.signal for _, found in shown]}
    titles = [f"{stem}: {_distance(found.distance, kind)}" for stem, found in shown]
    _draw_sheet(generator, args.out / SHEET, columns, titles)
    plural = "s"[: len(done) > 1]
    print(f"{len(done)} {kind.source}{plural}, imitated by {generator.name}, and {SHEET}: {args.out}")


def _encode_files(
    generator: Generator,
    files: list[tuple[Path, str]],
    left: list[str],
    args: argparse.Namespace,
    label: Any,
    compared: int,
    kind: SignalKind,
) -> list[tuple[str, Encoding]]:
    """Imitate and save each file. Return stem and result of each. Append messages about skipped files to ``left``."""
    from tqdm import tqdm

    from audiogan.latents import encode

    done = []
    for path, stem in tqdm(files, unit=kind.noun, disable=None if len(files) > 1 else True):
        try:
            with tqdm(total=1, bar_format=BAR_FORMAT, desc=stem, leave=False, disable=None) as bar:
                found = encode(
                    generator,
                    path,
                    label=label,
                    seconds=args.seconds,
                    seed=args.seed,
                    progress=partial(_show_progress, bar),
                )
        except UserError as error:
            if path == args.source or not str(error).startswith(printable(path)):
                raise
            left.append(str(error))
            continue
        # A saved recording is scaled to a peak of 0.95, like the imitation, so that the two can be compared by ear.
        _save(generator, kind.paths(args.out, stem), found)
        best = min(_random_distances(generator, found, compared, args.seed))
        line = (
            f"{printable(path)}: {_distance(found.distance, kind)} from it ({found.recipe.label or f'a {kind.noun}'})"
        )
        tqdm.write(f"{line}; the nearest of {compared:,} random {kind.noun}s: {_distance(best, kind)}")
        done.append((stem, found))
    return done


def _random_distances(generator: Generator, found: Encoding, compared: int, seed: int) -> Iterable[float]:
    """Yield the smallest distance from the target for each block of random samples."""
    from audiogan.latents import nearest_distance

    rate = generator.modality.sample_rate
    for start in range(0, compared, RANDOM_BLOCK):
        random = generator.sample(min(RANDOM_BLOCK, compared - start), seed=seed + start)
        yield nearest_distance(random, found.target, rate)


def _distance(value: float, kind: SignalKind) -> str:
    return f"{value:.1f} dB" if kind is SOUND else f"{value:.3f} rms"


def _draw_sheet(generator: Generator, path: Path, columns: dict[str, Any], titles: list[str]) -> None:
    """Draw the contact sheet: each source beside its imitation."""
    import numpy as np

    generator.modality.draw_columns(path, {name: np.stack(x) for name, x in columns.items()}, titles=titles)


def _save(generator: Generator, paths: list[Path], found: Encoding) -> None:
    """Write an imitation, its source and, if there is a third path, the recipe. If one cannot be written, keep none."""
    from audiogan.files import create_folder, write_file

    new = [path for path in paths if not path.exists()]
    with create_folder(paths[0].parent):
        try:
            generator.modality.save(paths[0], found.signal, found.recipe.to_json())
            generator.modality.save(paths[1], found.target)
            for path in paths[2:]:
                write_file(path, f"{found.recipe.to_json()}\n".encode())
        except BaseException:
            for path in new:
                path.unlink(missing_ok=True)
            raise


def _show_progress(bar: Any, share: float) -> None:
    bar.update(share - bar.n)


def _guess_kind(source: Path, out: Path) -> SignalKind:
    """Return the kind of signal in a file or folder. A folder with pictures and without sounds has the kind picture."""
    from audiogan.data.images.scan import SUFFIXES
    from audiogan.model.translation.folders import list_signals

    if out.exists() and not out.is_dir():
        raise UserError(f"{printable(out)}: this is a file; choose a folder for the imitations")
    if not source.exists():
        raise UserError(f"{printable(source)}: no such file or folder")
    if not source.is_dir():
        return PICTURE if source.suffix.lower() in SUFFIXES else SOUND
    has_sounds, has_pictures = (bool(list_signals(source, sound, out).names) for sound in (True, False))
    return PICTURE if has_pictures and not has_sounds else SOUND


def _files(source: Path, out: Path, kind: SignalKind) -> tuple[list[tuple[Path, str]], list[str]]:
    """Return files, each with a unique stem for the names of its results, and messages about skipped files."""
    if not source.is_dir():
        return [(source, source.stem)], []
    noun = kind.noun
    if source.resolve() == out.resolve():
        raise UserError(
            f"{printable(source)}: the {kind.source}s and the imitations are in the same folder; choose another OUT"
        )
    from audiogan.data.images.scan import classify_image_entries
    from audiogan.data.walk import walk

    endings = tuple(Path(ending).stem for ending in kind.results)
    paths, skipped, others, inside = [], [], [], 0
    for entry in classify_image_entries(source) if kind is PICTURE else walk(source):
        path = source / entry.rel
        if _inside(path, out) and not _inside(source, out):
            inside += entry.kind == kind.entry and not path.stem.endswith(endings)
            continue
        if entry.kind == kind.entry:
            paths.append(path)
        elif entry.kind in ("not audio", "not an image"):
            others.append(printable(path.name))
        elif entry.kind != "folder link":
            skipped.append(f"{printable(path)}: {printable(entry.detail or entry.kind)}")
    if others:
        skipped.append(f"not {noun} files by their names: {join_names(others, MAX_NAMED_FILES)}")
    if inside:
        skipped.append(f"{inside} {noun} file{'s'[: inside > 1]} in {printable(out)}, the folder for the imitations")
    if not paths:
        reasons = f": {'; '.join(skipped[:MAX_NAMED_FILES])}" if skipped else ""
        raise UserError(f"{printable(source)}: this folder has no {noun} files{reasons}")
    named: dict[str, Path] = {}
    for path in paths:
        stem = "-".join(path.relative_to(source).with_suffix("").parts)
        free = (stem if i == 1 else f"{stem}-{i}" for i in count(1))
        named[next(name for name in free if name not in named)] = path
    return [(path, stem) for stem, path in named.items()], skipped


def _check_out(out: Path, stems: list[str], kind: SignalKind) -> None:
    """Raise `UserError` if ``out`` cannot be written, or if a file would be replaced that is not an earlier result.

    An imitation is recognized by the recipe inside the file, and the other results by the imitation next to them.
    """
    from audiogan.files import check_writable_folder
    from audiogan.modalities.drawing.sheets import SHEET_NAME, check_sheet_overwritable
    from audiogan.model.sampling import read_recipe

    check_writable_folder(out)
    if not out.is_dir():
        return
    check_sheet_overwritable(out / SHEET_NAME)
    for stem in stems:
        imitation, *others = kind.paths(out, stem)
        if os.path.lexists(imitation):
            try:
                read_recipe(imitation)
            except UserError as error:
                raise UserError(
                    f"{error}; this file is not an imitation: rename it, or choose another folder"
                ) from error
            continue
        for path in others:
            if os.path.lexists(path):
                raise UserError(f"{path}: this file was not written by encode; rename it, or choose another folder")


def _inside(path: Path, folder: Path) -> bool:
    return folder.resolve() in path.resolve().parents
