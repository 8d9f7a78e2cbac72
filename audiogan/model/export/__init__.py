"""A model as one file that plays without this package: ONNX, or an exported program of torch.

Both hold the whole path from latents, class weights and knobs to sounds, inverse STFT and level included.
"""

from __future__ import annotations

from audiogan.model.export.graph import Playable, arrays, examples, traced
from audiogan.model.export.metadata import facts
from audiogan.model.export.to_onnx import save_onnx
from audiogan.model.export.to_pt2 import save_pt2

__all__ = ["Playable", "arrays", "examples", "facts", "save_onnx", "save_pt2", "traced"]
