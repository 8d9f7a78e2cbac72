"""The model that a command takes where nobody names one with ``--run``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audiogan.model.generator import Generator


def load_sound_model(run: str | None, echo: Callable[[str], None] = print) -> Generator:
    """Load the model ``run``; without it, the newest run of sounds below ``runs/``, else the shipped drums.

    Where nobody chose the model, one line says which it is.
    """
    from audiogan.model.loading import load

    return load(newest_sound_model(echo) if run is None else run)


def load_morph_model(run: str | None, ends: Iterable[str], echo: Callable[[str], None] = print) -> Generator:
    """Load the model ``run``; without it, the newest run of sounds or images that knows the classes of both ends.

    Args:
        run: as for `load_sounds`.
        ends: as `write_morph` takes them: a seed, ``CLASS-SEED``, or a sampled file.
        echo: called with one line that says which model was taken.
    """
    from audiogan.model.loading import load

    if run is not None:
        return load(run)
    paths = [end for end in ends if Path(end).suffix.lower() in (".wav", ".png")]
    classes = {end.rpartition("-")[0] for end in ends if end not in paths} - {""}
    kinds = {"Sound" if Path(path).suffix.lower() == ".wav" else "Image" for path in paths} or {"Sound", "Image"}
    named = f" with the class{'es' if len(classes) > 1 else ''} {', '.join(sorted(classes))}" if classes else ""
    what = f"{' or '.join(sorted(f'{kind.lower()}s' for kind in kinds))}{named}"
    return load(_newest(lambda run: _kind(run) in kinds and classes <= _labels(run), what, echo))


def newest_sound_model(echo: Callable[[str], None] = print) -> Path:
    """Return the newest run of sounds below ``runs/``, else the shipped drums, and say which it is."""
    return _newest(lambda run: _kind(run) == "Sound", "sounds", echo)


def _newest(fits: Callable[[Path], bool], what: str, echo: Callable[[str], None]) -> Path:
    from audiogan.model.bundle import shipped_models
    from audiogan.model.loading import DEFAULT, find_model, list_runs

    found = list_runs()
    run = next((run for run in found if fits(run)), None)
    if run is not None:
        echo(f"model: {run}, the newest run of {what} (choose another one with --run)")
        return run
    model = shipped_models().get(DEFAULT) or find_model()
    why = f"no run of {what} below runs/" if found else "no run below runs/"
    echo(f"model: {DEFAULT}, shipped with audiogan: {why} (choose another one with --run)")
    return model


def _kind(run: Path) -> str:
    """The name of a run's modality: Sound, Image, Points."""
    from audiogan.monitors.callback import read_settings

    target = read_settings(run).get("facts.modality._target_")
    if isinstance(target, str):
        return target.rpartition(".")[2]
    from audiogan.errors import UserError
    from audiogan.model.loading import load

    try:
        return type(load(run).modality).__name__
    except UserError:
        return ""


def _labels(run: Path) -> set[str]:
    """The classes that a run's model knows."""
    from audiogan.monitors.callback import read_settings

    settings = read_settings(run)
    # Runs of version 0.1 have no facts of inputs.
    named = any(key.startswith("facts.inputs") for key in settings)
    labels = settings.get("facts.inputs.classes.labels" if named else "facts.labels")
    return set(map(str, labels)) if isinstance(labels, list) else set()
