"""Write model bundles: files that contain a trained generator and can be copied to other machines. `read_bundle` in
`audiogan.run.model_files` describes the format."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.errors import UserError, wrap_os_errors
from audiogan.files import atomic_write
from audiogan.run.model_files import ABOUT, BUNDLE_FORMAT, CARD, FIRST_STAGE, MAX_FILE_BYTES, WEIGHTS
from audiogan.run.targets import external_modules

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

PRIVATE_KEYS = ("root", "cache", "named", "noises", "rooms")
"""Keys of the data configuration that contain paths of the training machine. Bundles do not contain these keys."""
FILE_DATE = (2020, 1, 1, 0, 0, 0)
"""Date of every file in a bundle. It is constant so that the same model gives identical bytes."""


def save_bundle(
    path: str | os.PathLike[str],
    generator: Generator,
    card: str = "",
    *,
    training: bool = False,
    first_stage: bool = True,
) -> Path:
    """Write a generator as a bundle, atomically.

    By default, only the generator is written. Critics are included if the whole game is needed to rebuild the
    generator, see `generative_config`. Weights are rounded to half precision, which adds noise at about -70 dB to a
    sound.

    Args:
        path: output file.
        generator: the model.
        card: description of the model in Markdown.
        training: write all networks of the game, such as critics. A run can start from such a bundle (``init=FILE``)
            without training new critics.
        first_stage: write the weights at the end of the first stage too, if the model has them. Without them, the
            file has about half the size, and `load` accepts no ``strength``.

    Returns:
        Path of the bundle.

    Raises:
        UserError: the file cannot be written, a weight is not finite in half precision, or ``training`` is set and
            the model contains only generators.

    Examples:
        >>> import audiogan, tempfile
        >>> from audiogan.model.bundle import save_bundle
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_bundle(f"{folder}/my-drums.audiogan", audiogan.load("drums"), card="Drums at 16 kHz.")
        ...     path.name
        'my-drums.audiogan'
    """
    import torch
    from safetensors.torch import save

    path = Path(path)
    weights = {}
    sections = None if training else generative_config(generator)
    if training and set(generator.game.nets) == set(generator.routes):
        raise UserError(
            f"{generator.name}: it has no critics, so it cannot be exported for training; give a run or a checkpoint"
        )
    kept_parts = (*(f"nets.{net}." for net in generator.routes), "representation.", "inputs.")
    early = {f"{FIRST_STAGE}{name}": value for name, value in generator.first_stage.items()} if first_stage else {}
    for name, value in {**generator.game.state_dict(), **early}.items():
        if sections is not None and not name.startswith((*kept_parts, FIRST_STAGE)):
            continue
        small = value.half() if value.is_floating_point() else value
        if not torch.isfinite(small).all():
            raise UserError(f"{path}: {name} is not finite in half precision, so the model cannot be saved as a bundle")
        weights[name] = small.cpu().contiguous()
    config = generator.config
    wanted = ("name", "inputs", "representation", "facts")
    kept: dict[str, Any] = {key: config[key] for key in wanted if key in config}
    data = config.get("data")
    kept["data"] = _without_private_keys(data) if isinstance(data, dict) else {}
    labels = Path(str(kept["data"].get("labels")))
    if labels.suffix or len(labels.parts) > 1:  # The path of a label file exists only on the training machine.
        kept["data"]["labels"] = "auto"
    game = config["game"] if sections is None else {"_target_": "audiogan.games.Generative", **sections}
    config = kept | {"game": game}
    raw = save(weights)
    about = {
        "format": BUNDLE_FORMAT,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "step": generator.step,
        "config": config,
    }
    if needed := external_modules(config):  # Modules outside the package are not stored in the bundle.
        about["requires"] = needed
    parts = [(WEIGHTS, raw), (ABOUT, json.dumps(about, indent=1).encode()), (CARD, card.encode())]
    for name, content in parts:
        if len(content) > MAX_FILE_BYTES[name]:
            most = f"{MAX_FILE_BYTES[name]:,}"
            raise UserError(f"{path}: {name} has {len(content):,} bytes; a bundle holds at most {most}")
    with wrap_os_errors(f"{path}: cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, content in parts:
                archive.writestr(zipfile.ZipInfo(name, FILE_DATE), content)
    return path


def generative_config(generator: Generator) -> dict[str, Any] | None:
    """Return the `audiogan.games.Generative` configuration that rebuilds the generator networks of a model.

    Returns:
        Configuration sections. None if only the whole game can rebuild the networks: its class overrides
        `Generative.generate` or `Generative.draw`, or a network has no configuration section of its own.
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


def _without_private_keys(node: Any) -> Any:
    """Return a copy of a nested configuration without the keys in `PRIVATE_KEYS`."""
    if isinstance(node, dict):
        return {key: _without_private_keys(value) for key, value in node.items() if key not in PRIVATE_KEYS}
    return [_without_private_keys(value) for value in node] if isinstance(node, list) else node
