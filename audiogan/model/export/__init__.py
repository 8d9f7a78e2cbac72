"""Export of trained models to ONNX and PyTorch files that run without audiogan.

An exported file contains the whole path from latents, class weights and knobs to signals, including the inverse STFT
and the output level.
"""

from __future__ import annotations

from audiogan.model.export.graph import ExportedGenerator, example_recipes, export_program, input_arrays
from audiogan.model.export.metadata import model_metadata
from audiogan.model.export.to_onnx import save_onnx
from audiogan.model.export.to_pt2 import save_pt2

__all__ = [
    "ExportedGenerator",
    "example_recipes",
    "export_program",
    "input_arrays",
    "model_metadata",
    "save_onnx",
    "save_pt2",
]
