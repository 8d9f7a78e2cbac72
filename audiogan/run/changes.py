"""Find settings and training data that changed since a checkpoint was written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogan.run.folder import OBSERVERS
from audiogan.run.settings import KEYS
from audiogan.run.targets import update_targets
from audiogan.utils.text import printable, shorten_text

if TYPE_CHECKING:
    from audiogan.data.table import Table

MAX_FILE_VALUES, MAX_GENERATED_VALUES = 1 << 26, 1 << 20
"""Largest number of audio samples or pixels in a data fingerprint, for data from files (``MAX_FILE_VALUES``) and for
generated data (``MAX_GENERATED_VALUES``)."""
CHANGEABLE_KEYS = ("trainer.", "engine.", "checkpoints.", *OBSERVERS, "run_dir", "name", "data.cache")
"""Prefixes of settings that may change when a run resumes. Changes of all other settings are reported."""


def data_fingerprint(data: Table) -> dict[str, Any]:
    """Return the source, length and digest of training data.

    The digest covers all labels but only some examples, so different data sets can have the same digest.
    """
    values = MAX_FILE_VALUES if getattr(data, "scan", None) is not None else MAX_GENERATED_VALUES
    count = min(len(data), max(64, values // max(1, int(np.prod(data.shape)))))
    chosen = np.unique(np.linspace(0, len(data) - 1, count).astype(np.int64))
    digest = hashlib.sha256(repr((len(data), list(data.labels), list(data.shape))).encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(data.targets, np.int64).tobytes())
    for name in [
        "x",
        *sorted(name for name, column in data.columns.items() if name != "x" and column.modality is not None),
    ]:
        for i in range(0, len(chosen), 64):
            digest.update(data.column(name, chosen[i : i + 64]).contiguous().numpy().tobytes())
    return {"source": data.source, "length": len(data), "digest": digest.hexdigest()}


def describe_data_changes(old_fingerprint: Any, new_fingerprint: dict[str, Any]) -> list[str]:
    """Return messages about changes of the training data.

    Args:
        old_fingerprint: result of `data_fingerprint` in a checkpoint. If it is missing, no change is reported.
        new_fingerprint: result of `data_fingerprint` for the current training data.
    """
    old, new = old_fingerprint, new_fingerprint
    if not isinstance(old, dict) or old.get("digest") in (None, new["digest"]):
        return []
    if old.get("source") == new["source"]:
        return [f"data: the examples of {printable(_short(new['source']))} have changed"]
    return [f"data: {printable(_short(old.get('source')))} -> {printable(_short(new['source']))}"]


def describe_setting_changes(old_config: Any, new_config: Any) -> list[str]:
    """Return changed settings as lines ``key: old -> new``, except the settings in `CHANGEABLE_KEYS`."""
    before, after = dict(_flat(update_targets(old_config))), dict(_flat(update_targets(new_config)))
    # Compare only the top-level keys that audiogan defines. Other keys have an effect only on values that refer to
    # them.
    keys = [k for k in sorted(before.keys() | after.keys()) if k.split(".")[0] in KEYS]
    keys = [k for k in keys if not k.startswith(CHANGEABLE_KEYS)]
    return [f"{k}: {_short(before.get(k))} -> {_short(after.get(k))}" for k in keys if before.get(k) != after.get(k)]


def _short(value: Any) -> str:
    return shorten_text(str(value), 80)


def _flat(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _flat(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, node
