"""Metrics that compare generated samples with real data.

Metrics operate on features, which an embedding extracts from signals. `evaluate` computes all metrics for one
embedding. Embeddings include training-free ones (`LogMel`), classifiers of labelled data (`train_classifier`) and
arbitrary networks (`load_extractor`).
"""

from __future__ import annotations

from audiogan.features.embedding import Embedding, LogMel, embed
from audiogan.features.patches import Patches
from audiogan.metrics.classifier import Classifier, train_classifier
from audiogan.metrics.convnet import ClassifierRecipe
from audiogan.metrics.distances import frechet_distance, frechet_infinity, kernel_distance
from audiogan.metrics.diversity import inception_score, vendi_score
from audiogan.metrics.extractor import Extractor, load_extractor
from audiogan.metrics.gain import augmentation_gain
from audiogan.metrics.labelled import agreement, evaluate_labelled
from audiogan.metrics.neighbours import Memorisation, Prdc, memorisation, nearest, prdc
from audiogan.metrics.report import Report, evaluate

__all__ = ["Classifier", "ClassifierRecipe", "Embedding", "Extractor", "LogMel", "Memorisation", "Patches", "Prdc"]
__all__ += ["agreement", "augmentation_gain", "embed", "evaluate", "evaluate_labelled", "frechet_distance"]
__all__ += ["frechet_infinity"]
__all__ += ["inception_score", "kernel_distance", "load_extractor", "memorisation", "nearest", "prdc"]
__all__ += ["Report", "train_classifier", "vendi_score"]
