"""Export of models to PyTorch programs (PT2 files), run by PyTorch alone or compiled by AOTInductor."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from audiogan.files import write_file
from audiogan.model.export.checking import CheckResult, compare_with_generator
from audiogan.model.export.graph import Arrays, export_program, silence_torch
from audiogan.model.export.metadata import model_metadata

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

METADATA_FILE = "audiogan.json"
"""Name of the file in a PT2 archive that contains the metadata from `model_metadata`, as JSON."""


def save_pt2(
    path: str | os.PathLike[str], generator: Generator, card: str = "", route: str | None = None
) -> CheckResult:
    """Write a model as a PT2 file for ``torch.export.load(path).module()``. An existing file is replaced.

    The module takes the inputs of `ExportedGenerator` by keyword. The file is compared with `Generator.render` before
    it is written.

    Args:
        path: output file.
        generator: the model.
        card: model card in Markdown. By default, the card of the model.
        route: name of the generator network, for models with several. None selects the first.

    Returns:
        Result of the comparison.

    Raises:
        UserError: the model cannot be exported, or the signals of the file differ from those of the model.
    """
    path = Path(path)
    program = export_program(generator, route)
    file = io.BytesIO()
    with silence_torch():
        torch.export.save(
            program, file, extra_files={METADATA_FILE: json.dumps(model_metadata(generator, card, route), indent=1)}
        )
        file.seek(0)
        module = torch.export.load(file).module()

    @torch.no_grad()
    def play(inputs: Arrays) -> np.ndarray:
        return module(**{name: torch.from_numpy(x) for name, x in inputs.items()}).numpy()

    checked = compare_with_generator(path, generator, play, f"torch {torch.__version__}", route)
    write_file(path, file.getbuffer())
    return checked
