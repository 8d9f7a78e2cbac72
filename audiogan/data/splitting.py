"""Stratified selection of held-out examples. Groups are never divided, and recordings only if unavoidable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def choose_held_out(
    rows: Ints, strata: Ints, recordings: Ints | None, groups: Ints | None, fraction: float, seed: int
) -> tuple[NDArray[np.bool_], str]:
    """Choose the examples to hold out.

    Args:
        rows: row of each example in the data set, ``[N]``. Rows of a recording are in temporal order.
        strata: class of each example, ``[N]``.
        recordings: recording of each example, ``[N]``. ``None``: every example is a recording of its own.
        groups: group of each example, ``[N]``. Groups are never divided. ``None``: no groups.
        fraction: share of the examples to hold out, 0 to 1.
        seed: seed of the random selection.

    Returns:
        A mask of the held-out examples, bool ``[N]``, and a remark about the split, which may be empty.
    """
    rng = np.random.default_rng(seed)
    if groups is not None:
        units = groups if recordings is None else _connected_components(groups, recordings)
        return _by_groups(units, strata, fraction, rng)
    units = np.arange(len(rows)) if recordings is None else recordings
    _, first, unit, counts = np.unique(units, return_index=True, return_inverse=True, return_counts=True)
    unit, stratum_of = unit.reshape(-1), strata[first]
    orders = [rng.permutation(np.flatnonzero(stratum_of == stratum)) for stratum in np.unique(stratum_of)]
    held = np.zeros(len(counts), np.int64)  # Number of held-out examples of each recording.
    for order in orders:
        chosen = order[: round(fraction * len(order))]
        held[chosen] = counts[chosen]
    distinct = len(np.unique(rows)) == len(rows)
    if distinct and counts.max(initial=0) > 1 and not _is_close(int(held.sum()), fraction * len(rows), len(rows)):
        for order in orders:
            held[order] = _held_out_counts(counts[order], fraction)
    order = np.lexsort((rows, unit))
    # Position of each example, counted from the end of its recording. The last example has position 1.
    left = np.repeat(np.cumsum(counts), counts) - np.arange(len(rows))
    out = np.zeros(len(rows), bool)
    out[order] = left <= held[unit[order]]
    return out, "" if recordings is None else _describe_split(held, counts, fraction)


def _connected_components(groups: Ints, recordings: Ints) -> Ints:
    """Return a component ID for each example. Examples that share a group or a recording have the same ID."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    group = np.unique(groups, return_inverse=True)[1].reshape(-1)
    recording = np.unique(recordings, return_inverse=True)[1].reshape(-1) + group.max(initial=-1) + 1
    size = int(recording.max(initial=-1)) + 1
    links = coo_matrix((np.ones(len(group), bool), (group, recording)), shape=(size, size))
    return connected_components(links, directed=False)[1][group].astype(np.int64)


def _by_groups(groups: Ints, strata: Ints, fraction: float, rng: np.random.Generator) -> tuple[NDArray[np.bool_], str]:
    """Choose whole groups, stratified by class if every group has a single class."""
    _, first, group, counts = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    group, stratum_of = group.reshape(-1), strata[first]
    if (strata != stratum_of[group]).any():
        stratum_of = np.zeros(len(counts), np.int64)
    held = np.zeros(len(counts), bool)
    for stratum in np.unique(stratum_of):
        order = rng.permutation(np.flatnonzero(stratum_of == stratum))
        missing = fraction * int(counts[order].sum())
        for i in order:
            if abs(missing - counts[i]) < missing:  # Adding the group brings the held-out share closer to `fraction`.
                held[i] = True
                missing -= counts[i]
    none = not held.any() and round(fraction * len(groups)) >= 1
    return held[group], f"no group is small enough to hold out {fraction:g} of the examples" if none else ""


def _is_close(held: int, wanted: float, total: int) -> bool:
    """Return ``True`` if the number of held-out examples is close to the requested number."""
    return abs(held - wanted) <= max(0.5, min(wanted, total - wanted) / 2)


def _held_out_counts(counts: np.ndarray, fraction: float) -> np.ndarray:
    """Return the number of examples to hold out from each recording of a class.

    Args:
        counts: number of examples of each recording, in random order.
        fraction: share of the examples to hold out, 0 to 1.
    """
    held = np.zeros_like(counts)
    # A recording must be divided if it does not fit into the smaller of the two parts (training and held-out).
    long = counts > max(1.0, min(fraction, 1 - fraction) * counts.sum())
    whole = np.flatnonzero(~long)
    whole = whole[: round(fraction * len(whole))]
    held[whole] = counts[whole]
    cut = np.flatnonzero(long)
    exact = fraction * counts[cut]
    held[cut] = exact.astype(np.int64)
    missing = round(float(exact.sum())) - int(held[cut].sum())
    held[cut[np.argsort(held[cut] - exact, kind="stable")[:missing]]] += 1
    return held


def _describe_split(held: np.ndarray, counts: np.ndarray, fraction: float) -> str:
    """Return a remark if recordings were cut or if no clips are held out, otherwise an empty string."""
    cut = (held > 0) & (held < counts)
    if cut.any():
        clips, long = int(held[cut].sum()), int(cut.sum())
        return f"held out: the last clips of {long:,} long recording{'s' * (long > 1)}, {clips:,} in total"
    if not held.any() and round(fraction * counts.sum()) >= 1:
        return f"no class has enough files to hold out {fraction:g} of them"
    return ""
