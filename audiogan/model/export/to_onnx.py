"""Export of models to ONNX files (https://onnx.ai), which onnxruntime runs in many programming languages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from audiogan.errors import UserError
from audiogan.files import write_file
from audiogan.model.export.checking import CheckResult, compare_with_generator, first_line
from audiogan.model.export.graph import example_recipes, export_program, input_arrays, output_name, silence_torch
from audiogan.model.export.metadata import model_metadata

if TYPE_CHECKING:
    from audiogan.model.generator import Generator


def save_onnx(
    path: str | os.PathLike[str], generator: Generator, card: str = "", route: str | None = None
) -> CheckResult:
    """Write a model as one ONNX file with weights and metadata. An existing file is replaced.

    Inputs and output are those of `ExportedGenerator`. The output is called ``wave`` or ``image``. The file is compared
    with `Generator.render` in onnxruntime before it is written. Without onnxruntime, only the ONNX checker is run.

    Args:
        path: output file.
        generator: the model.
        card: model card in Markdown. The default is that of the model.
        route: name of the generator network, for models with several. None selects the first.

    Returns:
        Result of the comparison.

    Raises:
        UserError: onnx or onnxscript is not installed, the model cannot be exported, or the signals of the file differ
            from those of the model.
    """
    path = Path(path)
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"{path}: ONNX needs the package {error.name}: pip install 'audiogan[onnx]'") from error
    content = _model(generator, model_metadata(generator, card, route), route).SerializeToString()
    try:
        import onnxruntime
    except ImportError:
        onnx.checker.check_model(content, full_check=True)
        checked = CheckResult(None, "valid ONNX; onnxruntime is not installed, so nothing was compared")
    else:
        runtime = f"onnxruntime {onnxruntime.__version__}"
        try:
            session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime errors have no other common base class
            raise UserError(f"{path}: {runtime} cannot load it ({first_line(error)}); nothing was written") from error
        checked = compare_with_generator(path, generator, lambda inputs: session.run(None, inputs)[0], runtime, route)
    write_file(path, content)
    return checked


def _model(generator: Generator, metadata: dict[str, str], route: str | None) -> Any:
    """Return the `onnx.ModelProto` of a model."""
    program = export_program(generator, route)
    names = list(input_arrays(generator, example_recipes(generator, 1), route))
    try:
        with silence_torch(), torch.no_grad():
            made = torch.onnx.export(
                program,
                (),
                input_names=names,
                output_names=[output_name(generator.name, generator.modality)],
                external_data=False,
                verbose=False,
                dynamo=True,
            )
    except Exception as error:  # PyTorch raises errors of many classes
        why = first_line(error)
        raise UserError(f"{generator.name}: ONNX does not support one of its operations ({why})") from error
    assert made is not None
    model = made.model_proto
    for node in model.graph.node:  # remove source locations
        del node.metadata_props[:]
        node.doc_string = ""
    model.doc_string, model.producer_name = f"{metadata['model']}, a generator of audiogan", "audiogan"
    model.producer_version = metadata["audiogan"]
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return model
