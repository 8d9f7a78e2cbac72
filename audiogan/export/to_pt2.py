"""Models as exported programs of torch: run by torch alone, or compiled by its AOTInductor."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from audiogan.errors import UserError
from audiogan.export.graph import arrays, first_line, probes, quiet, traced
from audiogan.export.metadata import facts
from audiogan.export.to_onnx import BROKEN, Checked
from audiogan.sounds import replacing

if TYPE_CHECKING:
    from audiogan.generator import Generator

SUFFIX = ".pt2"
ABOUT = "audiogan.json"
"""Extra file of the archive: what `facts` says."""


def save_pt2(path: str | os.PathLike[str], generator: Generator, card: str = "") -> Checked:
    """Write a model for ``torch.export.load(path).module()``, which takes `Playable`'s inputs by name and gives its
    output; a file of that name is replaced. What comes out is compared with `Generator.render` before the file appears.

    Raises:
        UserError: the model cannot be exported, or what comes out is not what the model makes.
    """
    path = Path(path)
    program = traced(generator)
    file = io.BytesIO()
    try:
        with quiet():
            torch.export.save(program, file, extra_files={ABOUT: json.dumps(facts(generator, card), indent=1)})
            file.seek(0)
            play = torch.export.load(file).module()
            recipes = probes(generator)
            inputs = {name: torch.from_numpy(x) for name, x in arrays(generator, recipes).items()}
            with torch.no_grad():
                parts = [play(**{n: x[rows] for n, x in inputs.items()}) for rows in (slice(0, 1), slice(1, None))]
    except Exception as error:  # whatever torch finds, in any of its own classes
        raise UserError(f"{path}: torch cannot run it ({first_line(error)}); nothing was written") from error
    largest = float(np.abs(torch.cat(parts).numpy() - generator.render(recipes)).max())
    if not largest <= BROKEN:
        raise UserError(f"{path}: torch makes something else of it (off by {largest:.2g}); nothing was written")
    with replacing(path) as temporary:
        temporary.write_bytes(file.getvalue())
    many = f"{len(recipes)} {generator.modality.noun}s"
    return Checked(largest, f"torch {torch.__version__}, {many}: largest difference {largest:.1e}")
