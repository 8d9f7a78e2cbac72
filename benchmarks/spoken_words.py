"""Prepare recordings of single words and measure models of them, for the tables in docs/systems/speech.md.

    python benchmarks/spoken_words.py split FOLDER OUT --speeds 0.92 1 1.08
"""

from __future__ import annotations

import argparse
import csv
import zlib
from pathlib import Path

import soundfile
import soxr


def read_rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of ``manifest.csv`` in a folder, with the absolute path of each recording."""
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["path"] = str(folder / row["label"] / Path(row["path"]).name)
        row["word"] = row.get("word") or row["label"]  # Labels of digits are 0 to 9.
    return rows


def is_held_out(row: dict[str, str]) -> bool:
    """Return whether a recording is held out: the test takes of FSDD, and a fifth of the speakers of other sources."""
    if row["source"] == "FSDD":
        return row["split"] == "test"
    return zlib.crc32(row["speaker"].encode()) % 5 == 0


def split(folder: Path, out: Path, speeds: list[float]) -> None:
    """Write the folders ``train`` and ``held-out`` with one sub-folder per word.

    Each training recording is written at each speed. A speed above 1 makes it shorter and higher.
    """
    for row in read_rows(folder):
        sound, rate = soundfile.read(row["path"], dtype="float32")
        held = is_held_out(row)
        target = out / ("held-out" if held else "train") / row["word"]
        target.mkdir(parents=True, exist_ok=True)
        for speed in [1.0] if held else speeds:
            changed = sound if speed == 1 else soxr.resample(sound, speed, 1.0, quality="HQ")
            soundfile.write(target / f"{Path(row['path']).stem}_{speed:g}.wav", changed, rate, subtype="PCM_16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("split", help="write training and held-out recordings to two folders")
    command.add_argument("folder", type=Path, help="folder with manifest.csv: path, label, speaker, source, split")
    command.add_argument("out", type=Path)
    command.add_argument("--speeds", type=float, nargs="+", default=[1.0], help="speeds of training recordings")
    command.set_defaults(run=lambda args: split(args.folder, args.out, args.speeds))
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
