"""Model bundles: a trained generator in one file that moves between machines.

A bundle, ``NAME.audiogan``, is an uncompressed ZIP archive of three files: ``model.safetensors`` (weights, in half
precision), ``model.json`` (format, SHA-256 of the weights, training steps, and the part of the configuration that
rebuilds the generator) and ``card.md`` (what it is, for people). Nothing in it can run code.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.errors import UserError
from audiogan.sounds import replacing

if TYPE_CHECKING:
    import torch

    from audiogan.generator import Generator

FORMAT = 1
SUFFIX = ".audiogan"
SHIPPED = Path(__file__).resolve().parent / "models"
WEIGHTS, ABOUT, CARD = "model.safetensors", "model.json", "card.md"
LARGEST = 1 << 30
"""Bytes of a part that are read at most."""
STAMP = (2020, 1, 1, 0, 0, 0)
"""Date of every part, so that the same model makes the same bytes."""


def shipped() -> dict[str, Path]:
    """Bundles that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob(f"*{SUFFIX}"))}


def save_bundle(path: str | os.PathLike[str], generator: Generator, card: str = "") -> Path:
    """Write a generator as a bundle; the file appears under its name only when whole.

    Weights are rounded to half precision, which changes a sound by some -70 dB.

    Raises:
        UserError: the file cannot be written, or weights are not finite in half precision.
    """
    import torch
    from safetensors.torch import save

    path = Path(path)
    weights = {}
    for name, value in generator.game.state_dict().items():
        if not name.startswith(("nets.generator.", "representation.", "conditions.")):
            continue
        small = value.half() if value.is_floating_point() else value
        if not torch.isfinite(small).all():
            raise UserError(f"{path}: {name} does not fit half precision; this model cannot become a bundle")
        weights[name] = small.cpu().contiguous()
    config = generator.config
    kept: dict[str, Any] = {key: config[key] for key in ("name", "representation", "facts", "knobs") if key in config}
    kept["data"] = {key: value for key, value in config["data"].items() if key not in ("root", "cache")}
    game = {"_target_": "audiogan.games.Sampling", "generator": config["game"]["generator"]}
    raw = save(weights)
    about = {
        "format": FORMAT,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "step": generator.step,
        "config": kept | {"game": game},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            parts = [(WEIGHTS, raw), (ABOUT, json.dumps(about, indent=1).encode()), (CARD, card.encode())]
            for name, content in parts:
                archive.writestr(zipfile.ZipInfo(name, STAMP), content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    return path


def read_bundle(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, torch.Tensor], str]:
    """(what ``model.json`` says, weights in single precision, the card) of a bundle.

    Raises:
        UserError: it cannot be read, is damaged or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for name in (WEIGHTS, ABOUT, CARD):
                if archive.getinfo(name).file_size > LARGEST:
                    raise UserError(f"{path}: {name} in it is larger than a gigabyte; not a bundle of audiogan")
            raw, about, card = archive.read(WEIGHTS), json.loads(archive.read(ABOUT)), archive.read(CARD).decode()
        if about["format"] != FORMAT:
            raise UserError(f"{path}: a bundle of format {about['format']!r}; this version reads format {FORMAT}")
        if hashlib.sha256(raw).hexdigest() != about["sha256"]:
            raise UserError(f"{path}: damaged, its checksum does not match; get it again")
        weights = load(raw)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path}: not a bundle of audiogan, or damaged ({str(error)[:120]})") from error
    except SafetensorError as error:
        raise UserError(f"{path}: its weights are damaged ({str(error)[:120]})") from error
    return about, {n: w.float() if w.is_floating_point() else w for n, w in weights.items()}, card
