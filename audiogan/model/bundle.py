"""Model bundles: a trained generator in one file that moves between machines.

A bundle, ``NAME.audiogan``, is an uncompressed ZIP archive of three files: ``model.safetensors`` (weights, in half
precision), ``model.json`` (format, SHA-256 of the weights, training steps, the part of the configuration that rebuilds
the generator, and as ``requires`` the names of modules from outside the package that it needs) and ``card.md`` (a
description for people). Nothing in it can run code. Reading it takes memory in proportion to the size of the file:
compressed parts are refused, and all sizes are judged before a part is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.errors import UserError, reporting
from audiogan.files import replacing
from audiogan.run.targets import outside
from audiogan.utils.archives import open_zip
from audiogan.utils.text import printable

if TYPE_CHECKING:
    import torch

    from audiogan.model.generator import Generator

FORMAT = 1
SUFFIX = ".audiogan"
SHIPPED = Path(__file__).resolve().parent / "shipped"
WEIGHTS, ABOUT, CARD = "model.safetensors", "model.json", "card.md"
LARGEST = {WEIGHTS: 1 << 30, ABOUT: 4 << 20, CARD: 1 << 20}
"""Largest size of each part, in bytes."""
HEADER = 4 << 20
"""Largest header of the weights, in bytes: their names and shapes."""
PRIVATE = ("root", "cache", "named")
"""Settings of the training data that name folders of the machine."""
STAMP = (2020, 1, 1, 0, 0, 0)
"""Date of every part, so that the same model makes the same bytes."""


def shipped() -> dict[str, Path]:
    """Bundles that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob(f"*{SUFFIX}"))}


def save_bundle(path: str | os.PathLike[str], generator: Generator, card: str = "") -> Path:
    """Write a generator as a bundle; the file appears under its name only when whole.

    Critics are left out, unless the game that made the model is needed to rebuild it; see `generator_sections`.
    Weights are rounded to half precision, which changes a sound by some -70 dB.

    Raises:
        UserError: the file cannot be written, or weights are not finite in half precision.
    """
    import torch
    from safetensors.torch import save

    path = Path(path)
    weights = {}
    sections = generator_sections(generator)
    kept_parts = (*(f"nets.{net}." for net in generator.routes), "representation.", "inputs.")
    for name, value in generator.game.state_dict().items():
        if sections is not None and not name.startswith(kept_parts):
            continue
        small = value.half() if value.is_floating_point() else value
        if not torch.isfinite(small).all():
            raise UserError(f"{path}: {name} does not fit half precision; this model cannot become a bundle")
        weights[name] = small.cpu().contiguous()
    config = generator.config
    wanted = ("name", "inputs", "representation", "facts")
    kept: dict[str, Any] = {key: config[key] for key in wanted if key in config}
    data = config.get("data")
    kept["data"] = _public(data) if isinstance(data, dict) else {}
    labels = Path(str(kept["data"].get("labels")))
    if labels.suffix or len(labels.parts) > 1:  # a list of labels on this machine
        kept["data"]["labels"] = "auto"
    game = config["game"] if sections is None else {"_target_": "audiogan.games.Generative", **sections}
    config = kept | {"game": game}
    raw = save(weights)
    about = {"format": FORMAT, "sha256": hashlib.sha256(raw).hexdigest(), "step": generator.step, "config": config}
    if needed := outside(config):  # modules of one's own, which a bundle does not hold
        about["requires"] = needed
    parts = [(WEIGHTS, raw), (ABOUT, json.dumps(about, indent=1).encode()), (CARD, card.encode())]
    for name, content in parts:
        if len(content) > LARGEST[name]:
            raise UserError(f"{path}: {name} has {len(content):,} bytes; a bundle holds at most {LARGEST[name]:,}")
    with reporting(f"{path}: cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, content in parts:
                archive.writestr(zipfile.ZipInfo(name, STAMP), content)
    return path


def generator_sections(generator: Generator) -> dict[str, Any] | None:
    """Return the settings of `audiogan.games.Generative` that rebuild the generators of a model.

    ``None``: only the whole game can rebuild them, because it makes signals in its own way, or has generators without
    a section of their own.
    """
    from audiogan.games import Generative

    kind, game = type(generator.game), generator.config["game"]
    if any(getattr(kind, name, None) is not getattr(Generative, name) for name in ("generate", "draw")):
        return None
    if "generator" in game and list(generator.routes) == ["generator"]:
        return {"generator": game["generator"]}
    networks = game.get("generators") or game.get("generator") or {}
    if not all(name in networks for name in generator.routes):
        return None
    routes = {
        name: {"_target_": "audiogan.games.Route", "source": route.source, "target": route.target}
        for name, route in generator.routes.items()
    }
    return {"generator": {name: networks[name] for name in generator.routes}, "routes": routes}


def _public(node: Any) -> Any:
    """A plain container without the settings that name folders of this machine."""
    if isinstance(node, dict):
        return {key: _public(value) for key, value in node.items() if key not in PRIVATE}
    return [_public(value) for value in node] if isinstance(node, list) else node


def read_bundle(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, torch.Tensor], str]:
    """Read a bundle: the content of ``model.json``, the weights in single precision, and the card.

    Raises:
        UserError: it cannot be read, is damaged, is of another format, or a part is compressed or too large.
    """
    from safetensors.torch import load

    path = Path(path)
    if path.exists() and not path.is_file():  # opening a named pipe would wait forever
        raise UserError(f"{path}: not a regular file")
    try:
        with open(path, "rb") as file, open_zip(file) as archive:
            parts = _parts(archive, os.fstat(file.fileno()).st_size)
            raw, about, card = (archive.read(parts[name]) for name in (WEIGHTS, ABOUT, CARD))
        described = json.loads(about)
        found = described["format"]
        if found != FORMAT or isinstance(found, bool | float):
            raise UserError(f"a bundle of format {printable(found)[:40]}; this version reads format {FORMAT}")
        if not {"sha256", "step", "config"} <= described.keys():
            raise UserError(f"not a bundle of audiogan, or damaged ({ABOUT} lacks sha256, step or config)")
        if hashlib.sha256(raw).hexdigest() != described["sha256"]:
            raise UserError("damaged, its checksum does not match; get it again")
        if int.from_bytes(raw[:8], "little") > HEADER:
            raise UserError(f"the header of its weights is larger than {HEADER:,} bytes; not a bundle of audiogan")
        weights = {name: w.float() if w.is_floating_point() else w for name, w in load(raw).items()}
        return described, weights, card.decode()
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # zipfile, json and safetensors raise errors of many classes
        raise UserError(f"{path}: not a bundle of audiogan, or damaged ({printable(error)[:120]})") from error


def _parts(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The three parts of a bundle, by name, with sizes that a file of ``size`` bytes can hold."""
    parts = {info.filename: info for info in archive.infolist()}
    if parts.keys() != LARGEST.keys() or len(archive.infolist()) != len(LARGEST):
        raise UserError(f"not a bundle of audiogan; expected the parts {', '.join(LARGEST)}, each once")
    for name, info in parts.items():
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
            raise UserError(f"{name} in it is compressed or encrypted; the parts of a bundle are not")
        if info.file_size > min(LARGEST[name], size):
            raise UserError(f"{name} in it has {info.file_size:,} bytes, more than a bundle can hold")
    return parts
