"""Choose the model of a command that has no ``--run``: the newest suitable run or, without one, the shipped drum
model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from audiogan.errors import UserError

if TYPE_CHECKING:
    from audiogan.model.generator import Generator


def load_sound_model(run: str | None, echo: Callable[[str], None] = print) -> Generator:
    """Load a model of sounds.

    Args:
        run: run folder, checkpoint or model. By default, the newest run below ``runs/`` that generates sounds, or the
            shipped drum model if there is no such run.
        echo: function that prints which default was chosen.
    """
    from audiogan.model.loading import load

    return load(find_newest_sound_model(echo) if run is None else run)


def load_image_model(run: str | None, echo: Callable[[str], None] = print) -> Generator:
    """Load a model of images.

    Args:
        run: run folder, checkpoint or model. By default, the newest run below ``runs/`` that generates images.
        echo: function that prints which default was chosen.

    Raises:
        UserError: there is no such run.
    """
    from audiogan.model.loading import load

    return load(_newest(lambda run: _kind(run) == "Image", "images", echo, shipped=False) if run is None else run)


def load_morph_model(run: str | None, ends: Iterable[str], echo: Callable[[str], None] = print) -> Generator:
    """Load a model that can generate both ends of a morph.

    Args:
        run: run folder, checkpoint or model. By default, the newest run that generates sounds or images and has the
            classes of both ends, or the shipped drum model if there is no such run.
        ends: first and last sample: a seed, ``CLASS-SEED``, or a file written by ``audiogan sample``.
        echo: function that prints which default was chosen.
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


def find_newest_sound_model(echo: Callable[[str], None] = print) -> Path:
    """Return the path of the newest run below ``runs/`` that generates sounds, or of the shipped drum model, and print
    which one was chosen."""
    return _newest(lambda run: _kind(run) == "Sound", "sounds", echo)


def _newest(fits: Callable[[Path], bool], what: str, echo: Callable[[str], None], shipped: bool = True) -> Path:
    """Return the newest run that fits. Without one, return the shipped drum model, or raise `UserError` if ``shipped``
    is False."""
    from audiogan.run.model_files import DEFAULT_MODEL, find_model, list_runs, shipped_models

    found = list_runs()
    run = next((run for run in found if fits(run)), None)
    if run is not None:
        echo(f"model: {run}, the newest run of {what} (choose another one with --run)")
        return run
    if not shipped:
        raise UserError(f"--run: there is no run of {what} below runs/; name a run, such as --run runs/handwriting")
    model = shipped_models().get(DEFAULT_MODEL) or find_model()
    why = f"no run of {what} below runs/" if found else "no run below runs/"
    echo(f"model: {DEFAULT_MODEL}, shipped with audiogan: {why} (choose another one with --run)")
    return model


def _kind(run: Path) -> str:
    """Return the class name of the modality of a run, such as Sound, Image or Points. Empty if it is unknown."""
    from audiogan.monitors.callback import read_settings

    target = read_settings(run).get("facts.modality._target_")
    if isinstance(target, str):
        return target.rpartition(".")[2]
    from audiogan.model.loading import load

    try:
        return type(load(run).modality).__name__
    except UserError:
        return ""


def _labels(run: Path) -> set[str]:
    """Return the names of the classes of a run."""
    from audiogan.monitors.callback import read_settings

    settings = read_settings(run)
    # The runs of version 0.1 store the classes in facts.labels.
    named = any(key.startswith("facts.inputs") for key in settings)
    labels = settings.get("facts.inputs.classes.labels" if named else "facts.labels")
    return set(map(str, labels)) if isinstance(labels, list) else set()
