"""Export of models to ONNX files (https://onnx.ai), which onnxruntime runs in many programming languages."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiogan.errors import UserError
from audiogan.files import write_file
from audiogan.model.export.checking import CheckResult, compare_with_generator, first_line
from audiogan.model.export.graph import example_recipes, export_program, input_arrays, output_name, silence_torch
from audiogan.model.export.metadata import model_metadata

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

BATCH_DIMENSION = "batch"
"""Name of the batch dimension of inputs and outputs."""
SMALLEST_HALF = 256
"""Tensors with fewer values than this are stored in single precision."""


def save_onnx(
    path: str | os.PathLike[str],
    generator: Generator,
    card: str = "",
    route: str | None = None,
    *,
    half: bool = False,
) -> CheckResult:
    """Write a model as one ONNX file with weights and metadata. An existing file is replaced.

    Inputs and output are those of `ExportedGenerator`. The output is called ``wave`` or ``image``. The batch
    dimension of all inputs and outputs is called ``batch``. Before the file is written, its output in
    onnxruntime is compared with that of `Generator.render`. Without onnxruntime, only the ONNX checker is run.

    Args:
        path: output file.
        generator: the model.
        card: model card in Markdown. By default, the card of the model.
        route: name of the generator network, for models with several. None selects the first.
        half: store weights in half precision, so that the file is about half as large. Inputs, outputs and computation
            remain float32.

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
    content = _model(generator, model_metadata(generator, card, route), route, half).SerializeToString()
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
        checked = compare_with_generator(
            path, generator, lambda inputs: session.run(None, inputs)[0], runtime, route, half=half
        )
    write_file(path, content)
    return checked


def _inverse_real_fft(x: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Compute `torch.fft.irfft` by the complex inverse FFT of a spectrum of full length.

    The values of the half spectrum are doubled, except at frequency 0 and at the Nyquist frequency, and the other half
    is filled with zeros. The result is the real part of the inverse FFT. The ONNX standard has no inverse FFT of a half
    spectrum, and only recent versions of onnxruntime compute one.
    """
    bins = x.shape[dim]
    n = 2 * (bins - 1) if n is None else n
    if dim % x.dim() != x.dim() - 1 or bins != n // 2 + 1:
        return NotImplemented  # PyTorch then exports the operation unchanged.
    doubled = torch.ones(bins, 1, dtype=x.real.dtype, device=x.device)
    doubled[1 : (n + 1) // 2] = 2
    full = F.pad(torch.view_as_real(x) * doubled, (0, 0, 0, n - bins))
    return torch.view_as_real(torch.fft.ifft(torch.view_as_complex(full), norm=norm))[..., 0]


def _model(generator: Generator, metadata: dict[str, str], route: str | None, half: bool) -> Any:
    """Return the `onnx.ModelProto` of a model."""
    program = export_program(generator, route, half=half)
    names = list(input_arrays(generator, example_recipes(generator, 1), route))
    try:
        with silence_torch(), torch.no_grad():
            program = program.run_decompositions({torch.ops.aten.fft_irfft.default: _inverse_real_fft})
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
        why = first_line(error.__cause__ or error)  # the cause names the operation
        raise UserError(f"{generator.name}: ONNX does not support one of its operations ({why})") from error
    assert made is not None
    model = made.model_proto
    for node in model.graph.node:  # remove source locations
        del node.metadata_props[:]
        node.doc_string = ""
    _name_batch(model.graph)
    if half:
        _store_half(model.graph)
    model.doc_string, model.producer_name = f"{metadata['model']}, a generator of audiogan", "audiogan"
    model.producer_version = metadata["audiogan"]
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return model


def _name_batch(graph: Any) -> None:
    """Rename the batch dimension of an `onnx.GraphProto` from PyTorch's symbol, such as ``s49``, to ``batch``."""
    symbol = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(rf"\b{re.escape(symbol)}\b", BATCH_DIMENSION, dim.dim_param)


def _store_half(graph: Any) -> None:
    """Store tensors of an `onnx.GraphProto` in half precision if this does not change their values.

    These tensors are the weights, because `round_to_half` has rounded them. Constants such as windows stay in float32.
    A node converts each stored tensor to float32. Runtimes execute these nodes only once, when they load the file.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or math.prod(tensor.dims) < SMALLEST_HALF:
            continue
        value = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            small = value.astype(np.float16)
        if np.array_equal(small.astype(np.float32), value):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(small, f"{name}_half"))
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
