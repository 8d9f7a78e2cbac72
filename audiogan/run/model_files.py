"""Find and read the files of trained models: run folders, checkpoints and bundles. No object is built here.

A bundle, ``NAME.audiogan``, is an uncompressed ZIP archive with three files:

- ``model.safetensors``: weights in half precision.
- ``model.json``: format version, SHA-256 of the weights, number of training steps, and the part of the configuration
  that rebuilds the networks. ``requires`` lists modules outside the package that the model needs.
- ``card.md``: description of the model.

A bundle contains no executable code. Reading it takes memory in proportion to the file size, because compressed files
are refused and all sizes are checked before reading.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.errors import UserError
from audiogan.files import is_regular_file
from audiogan.utils.archives import open_zip
from audiogan.utils.text import printable

if TYPE_CHECKING:
    import torch

BUNDLE_FORMAT = 1
"""Version of the bundle format."""
SUFFIX = ".audiogan"
SHIPPED = Path(__file__).resolve().parents[1] / "model" / "shipped"
WEIGHTS, ABOUT, CARD = "model.safetensors", "model.json", "card.md"
FIRST_STAGE = "first_stage."
"""Prefix for the names of weights from the end of the first stage, see `audiogan.core.FirstStage`."""
MAX_FILE_BYTES = {WEIGHTS: 1 << 30, ABOUT: 4 << 20, CARD: 1 << 20}
"""Maximum size of each file in a bundle, in bytes."""
MAX_BUNDLE_HEADER_BYTES = 4 << 20
"""Maximum size of the header of the weights, in bytes. The header contains the names and shapes of the tensors."""
DEFAULT_MODEL = "drums"
"""Name of the shipped model that is loaded if no run exists."""
MAX_CHECKPOINT_HEADER_BYTES = 16 << 20
"""Maximum size of the header of a checkpoint, in bytes. The header contains the configuration and tensor names."""


def shipped_models() -> dict[str, Path]:
    """Return a dict from model name to the path of the bundle installed with the package.

    Examples:
        >>> from audiogan.run.model_files import shipped_models
        >>> sorted(shipped_models())
        ['digits', 'drums', 'enhance', 'tts', 'vocoder', 'words']
    """
    return {path.stem: path for path in sorted(SHIPPED.glob(f"*{SUFFIX}"))}


def find_model(run: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of a model.

    Args:
        run: path of a run folder, checkpoint or bundle, or the name of a shipped model. An existing path has precedence
            over a name. None selects the newest run below ``runs/``, or the shipped drums if there is none.

    Raises:
        UserError: there is no such model.

    Examples:
        >>> from audiogan.run.model_files import find_model
        >>> find_model("drums").name
        'drums.audiogan'
    """
    models = shipped_models()
    if run is not None:
        path = Path(run)
        if path.is_file() or (path.is_dir() and (str(run) not in models or _checkpoints(path))):
            return path
        if str(run) in models:
            return models[str(run)]
        near = ", ".join(str(p) for p in list_runs()[:5]) or "none; train one with: audiogan train drums"
        have = ", ".join(models) or "none"
        raise UserError(f"{run}: no such run, checkpoint or model; runs here: {near}; shipped models: {have}")
    found = list_runs()
    if not found and DEFAULT_MODEL not in models:
        raise UserError("no run found in runs/: train one with `audiogan train drums`, or name one with --run")
    return found[0] if found else models[DEFAULT_MODEL]


def _checkpoints(folder: Path) -> bool:
    from audiogan.core.checkpoint import list_checkpoints

    return bool(list_checkpoints(folder / "checkpoints") or list_checkpoints(folder))


def list_runs(folder: str | os.PathLike[str] = "runs") -> list[Path]:
    """Return all run folders below `folder` that contain a checkpoint, the most recently trained first.

    Examples:
        >>> import tempfile
        >>> from audiogan.run.model_files import list_runs
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     list_runs(folder)  # no run yet
        []
    """

    from audiogan.core.checkpoint import list_checkpoints

    def newest(run: Path) -> float:
        return max((p.stat().st_mtime for p in list_checkpoints(run / "checkpoints")), default=0.0)

    found = {p.parent.parent for p in Path(folder).glob("**/checkpoints/step-*.ckpt") if is_regular_file(p)}
    return sorted(found, key=newest, reverse=True)


def newest_checkpoint(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the path and the state of the newest intact checkpoint in a run folder or a folder of checkpoints.

    Raises:
        UserError: the folder contains no intact checkpoint.
    """
    from audiogan.core import CheckpointError
    from audiogan.core.checkpoint import list_checkpoints

    inside = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
    damaged = []
    for path in list_checkpoints(inside):
        try:
            state = read_checkpoint(path)
        except CheckpointError as error:
            damaged.append(str(error))
            continue
        for complaint in damaged:
            warnings.warn(f"damaged checkpoint skipped: {complaint}", stacklevel=3)
        return path, state
    raise UserError(damaged[0] if damaged else f"{folder}: no checkpoint in it yet")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state stored in a checkpoint. The length of the header is checked before the header is read.

    Raises:
        CheckpointError: the file cannot be read, is damaged or is not a checkpoint.
    """
    from audiogan.core import CheckpointError, load_state

    try:
        if not path.is_file():  # opening a named pipe can block forever
            raise CheckpointError(f"{path}: not a regular file")
        with open(path, "rb") as file:
            header = int.from_bytes(file.read(8), "little")
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not 0 < header <= min(MAX_CHECKPOINT_HEADER_BYTES, size - 8):
        raise CheckpointError(f"{path}: not a checkpoint, or damaged (the length of its header is wrong)")
    return load_state(path)


def read_bundle(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, torch.Tensor], str]:
    """Read and check a bundle.

    Returns:
        Content of ``model.json``, weights in single precision by name, and the model card.

    Raises:
        UserError: the file cannot be read, is damaged or has an unknown format, or a file in it is compressed or too
            large.
    """
    from safetensors.torch import load

    path = Path(path)
    if path.exists() and not path.is_file():  # opening a named pipe can block forever
        raise UserError(f"{path}: not a regular file")
    try:
        with open(path, "rb") as file, open_zip(file) as archive:
            parts = _bundle_entries(archive, os.fstat(file.fileno()).st_size)
            raw, about, card = (archive.read(parts[name]) for name in (WEIGHTS, ABOUT, CARD))
        described = json.loads(about)
        found = described["format"]
        if found != BUNDLE_FORMAT or isinstance(found, bool | float):
            raise UserError(f"a bundle of format {printable(found)[:40]}; this version reads format {BUNDLE_FORMAT}")
        if not {"sha256", "step", "config"} <= described.keys():
            raise UserError(f"not a bundle of audiogan, or damaged ({ABOUT} lacks sha256, step or config)")
        if hashlib.sha256(raw).hexdigest() != described["sha256"]:
            raise UserError("damaged, its checksum does not match; get it again")
        if int.from_bytes(raw[:8], "little") > MAX_BUNDLE_HEADER_BYTES:
            most = f"{MAX_BUNDLE_HEADER_BYTES:,} bytes"
            raise UserError(f"the header of its weights is larger than {most}; not a bundle of audiogan")
        weights = {name: w.float() if w.is_floating_point() else w for name, w in load(raw).items()}
        return described, weights, card.decode()
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # zipfile, json and safetensors raise errors of many classes.
        raise UserError(f"{path}: not a bundle of audiogan, or damaged ({printable(error)[:120]})") from error


def read_bundle_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the configuration stored in a bundle. Its weights are not read.

    Raises:
        UserError: the file cannot be read or is not a bundle.

    Examples:
        >>> from audiogan.run.model_files import read_bundle_config, shipped_models
        >>> list(read_bundle_config(shipped_models()["vocoder"])["facts"]["inputs"])
        ['classes', 'knobs', 'mel']
    """
    try:
        with open(path, "rb") as file, open_zip(file) as archive:
            about = _bundle_entries(archive, os.fstat(file.fileno()).st_size)[ABOUT]
            config = json.loads(archive.read(about))["config"]
            if not isinstance(config, dict):
                raise UserError(f"not a bundle of audiogan, or damaged ({ABOUT} has no configuration)")
            return config
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # zipfile and json raise errors of many classes.
        raise UserError(f"{path}: not a bundle of audiogan, or damaged ({printable(error)[:120]})") from error


def _bundle_entries(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the three files of a bundle by name. Raise `UserError` if a size is impossible for a bundle of ``size``
    bytes."""
    parts = {info.filename: info for info in archive.infolist()}
    if parts.keys() != MAX_FILE_BYTES.keys() or len(archive.infolist()) != len(MAX_FILE_BYTES):
        raise UserError(f"not a bundle of audiogan; expected the parts {', '.join(MAX_FILE_BYTES)}, each once")
    for name, info in parts.items():
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
            raise UserError(f"{name} in it is compressed or encrypted; the parts of a bundle are not")
        if info.file_size > min(MAX_FILE_BYTES[name], size):
            raise UserError(f"{name} in it has {info.file_size:,} bytes, more than a bundle can hold")
    return parts
