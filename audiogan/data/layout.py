"""Hints about data folders whose first-level folders are probably not the classes."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from audiogan.utils.text import join_names

_REST = r"([ _.-]?(set|data|split|part|audio|images|\d+))?([ _.-].*)?"
_PARTS = r"test(ing)?|tst|val(id(ation|ating)?)?|eval(uation)?|dev(el|elopment)?|hold[ _-]?out"
_TRAIN = re.compile(rf"(x[ _-]?)?(train(ing)?|trn){_REST}", re.I)
_OTHER = re.compile(rf"(x[ _-]?)?({_PARTS}){_REST}", re.I)
_FOLD = re.compile(r"(fold|split|part|subset|chunk|shard)[ _.-]?\d+", re.I)
_LISTED = 8  # Maximum number of folder names in a hint.


def layout_hints(root: Path, label_mode: str, labels: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Return a one-line hint if the first-level folders are probably not the classes, else an empty list.

    Args:
        root: data folder.
        label_mode: source of the labels. Only ``auto`` and ``folders`` give hints.
        labels: names of the classes.
        paths: paths of the usable files relative to ``root``, with ``/`` as separator.
    """
    if label_mode not in ("auto", "folders"):
        return []
    folder, names = _descend(paths) if len(labels) < 2 else ("", list(labels))
    some = join_names([name[:60] for name in names], _LISTED)
    if parts := _parts(names):
        train, other = (shlex.quote(str(root / folder / name)) for name in parts)
        return [
            f"the folders {some} are parts of a data set, not classes: "
            f"to train on one of them give data.root={train}, and evaluate with --data {other}"
        ]
    if len(names) > 1 and all(_FOLD.fullmatch(name) for name in names):
        return [
            f"the folders {some} are parts of a data set, not classes: "
            "name the classes in a list, data.labels=FILE, or train without classes, data.labels=none"
        ]
    if folder:
        inner = shlex.quote(str(root / folder))
        return [f"the folders in {folder} ({some}) look like classes: to use them give data.root={inner}"]
    return []


def _descend(paths: Sequence[str]) -> tuple[str, list[str]]:
    """Return the outermost folder with at least two sub-folders that together contain most files, and their names."""
    prefix: list[str] = []
    inside = [path.split("/")[:-1] for path in paths]
    while True:
        level = len(prefix)
        counts = Counter(parts[level] for parts in inside if len(parts) > level)
        if 2 * sum(counts.values()) <= len(paths) or not counts:
            return "", []
        if len(counts) > 1:
            return "/".join(prefix), sorted(counts)
        prefix += counts
        inside = [parts for parts in inside if parts[: len(prefix)] == prefix]


def _parts(names: Sequence[str]) -> tuple[str, str] | None:
    """Return a training folder and a test or validation folder if most names are parts of a split, else ``None``."""
    train = [name for name in names if _TRAIN.fullmatch(name)]
    other = [name for name in names if _OTHER.fullmatch(name)]
    if not train or not other or 2 * (len(train) + len(other)) <= len(names):
        return None
    return train[0], other[0]
