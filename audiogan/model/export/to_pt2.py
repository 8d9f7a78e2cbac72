"""Models as exported programs of torch: run by torch alone, or compiled by its AOTInductor."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from audiogan.files import write_file
from audiogan.model.export.checking import Checked, check
from audiogan.model.export.graph import Arrays, quiet, traced
from audiogan.model.export.metadata import facts

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

ABOUT = "audiogan.json"
"""Extra file of the archive: what `facts` says."""


def save_pt2(path: str | os.PathLike[str], generator: Generator, card: str = "", route: str | None = None) -> Checked:
    """Write a model for ``torch.export.load(path).module()``; a file of that name is replaced.

    The module takes the inputs of `Playable` by name. Its signals are compared with `Generator.render` before the file
    appears. Arguments are those of `save_onnx`.

    Raises:
        UserError: the model cannot be exported, or the file makes other signals than the model.
    """
    path = Path(path)
    program = traced(generator, route)
    file = io.BytesIO()
    with quiet():
        torch.export.save(program, file, extra_files={ABOUT: json.dumps(facts(generator, card, route), indent=1)})
        file.seek(0)
        module = torch.export.load(file).module()

    @torch.no_grad()
    def play(inputs: Arrays) -> np.ndarray:
        return module(**{name: torch.from_numpy(x) for name, x in inputs.items()}).numpy()

    checked = check(path, generator, play, f"torch {torch.__version__}", route)
    write_file(path, file.getbuffer())
    return checked
