"""Measuring: extractors (`embedding`) and metrics on their features, kept apart; `evaluate` puts them together."""

from __future__ import annotations

from audiogan.metrics.distances import frechet_distance, kernel_distance
from audiogan.metrics.diversity import inception_score, vendi_score
from audiogan.metrics.embedding import Embedding, LogMel, embed
from audiogan.metrics.neighbours import Memorisation, Prdc, memorisation, nearest, prdc
from audiogan.metrics.report import Report, evaluate

__all__ = [
    "Embedding",
    "LogMel",
    "Memorisation",
    "Prdc",
    "Report",
    "embed",
    "evaluate",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "memorisation",
    "nearest",
    "prdc",
    "vendi_score",
]
