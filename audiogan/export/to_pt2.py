"""Models as exported programs of torch: run by torch alone, or compiled by its AOTInductor."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from audiogan.export.checking import Checked, check
from audiogan.export.graph import Arrays, quiet, traced
from audiogan.export.metadata import facts
from audiogan.writing import write_file

if TYPE_CHECKING:
    from audiogan.generator import Generator

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
    with quiet():
        torch.export.save(program, file, extra_files={ABOUT: json.dumps(facts(generator, card), indent=1)})
        file.seek(0)
        module = torch.export.load(file).module()

    @torch.no_grad()
    def play(inputs: Arrays) -> np.ndarray:
        return module(**{name: torch.from_numpy(x) for name, x in inputs.items()}).numpy()

    checked = check(path, generator, play, f"torch {torch.__version__}")
    write_file(path, file.getbuffer())
    return checked
