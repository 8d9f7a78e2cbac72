"""Augmentation gain: the change in a classifier's accuracy when generated samples are added to its training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiogan.metrics.convnet import (
    STANDARD_RECIPE,
    ClassifierRecipe,
    ToImages,
    accuracy,
    fit,
    load_pictures,
    stratified_sample,
)
from audiogan.metrics.report import Report

if TYPE_CHECKING:
    from audiogan.data.table import Table

__all__ = ["augmentation_gain"]

BETTER = {"accuracy_real": "baseline", "accuracy_augmented": "higher", "gain": "higher", "gain_spread": "spread"}


def augmentation_gain(
    train: Table,
    held_out: Table,
    fake: NDArray[np.float32],
    requested_classes: NDArray[np.int64],
    *,
    subset_size: int = 100,
    num_seeds: int = 3,
    recipe: ClassifierRecipe = STANDARD_RECIPE,
    progress: bool = True,
) -> Report:
    """Measure how much generated samples improve a classifier of real data.

    Two classifiers are trained. The first is trained on real examples alone, the second on batches that are half real
    and half generated. Both start from the same weights and take the same number of steps with the same batch size.
    Both are tested on ``held_out``. The gain is the difference in accuracy. It can be negative, as Ravuri & Vinyals
    (2019, section 4.3) found for most generators.

    This comparison is made twice: with all training examples and with a subset of them. Since the generator was trained
    on all examples, a gain with the subset shows that generated samples carry information about the remaining examples.

    Args:
        train: labelled real data for training.
        held_out: labelled real data that neither the generator nor the classifiers were trained on.
        fake: generated signals ``[N, *shape]``.
        requested_classes: class of each generated signal, int64 ``[N]``.
        subset_size: number of real examples in the subset. The second comparison is skipped unless ``train`` has more
            examples.
        num_seeds: number of repetitions. They differ in initial weights, order of examples and subset.
        recipe: architecture and training settings of the classifiers.
        progress: show a progress bar in a terminal.

    Returns:
        For each comparison: the mean accuracy of both classifiers, the mean gain, and the standard deviation of the
        gain over seeds (0 for one seed). The names of the values contain the numbers of real examples, generated
        examples and seeds.

    Raises:
        ValueError: there are no generated samples, no labels, or fewer than one seed.
    """
    labelled = len(train.targets) and len(held_out.targets) and len(requested_classes) == len(fake)
    if num_seeds < 1 or not len(fake) or not labelled:
        raise ValueError(
            f"need num_seeds >= 1 and labelled examples, got num_seeds={num_seeds}, {len(fake)} generated samples with "
            f"{len(requested_classes)} labels, {len(train.targets)} real, {len(held_out.targets)} held-out ones"
        )
    from tqdm import tqdm

    to_images: ToImages = train.modality.to_images
    x, y, classes = load_pictures(train, to_images), torch.from_numpy(np.asarray(train.targets)), len(train.labels)
    generated = load_pictures(fake, to_images), torch.from_numpy(requested_classes)
    test = load_pictures(held_out, to_images), torch.from_numpy(np.asarray(held_out.targets))
    values: dict[str, float] = {}
    sizes = [len(train)] + ([subset_size] if subset_size < len(train) else [])
    steps = [recipe.steps(size + len(fake)) for size in sizes]
    total, hidden = 2 * num_seeds * sum(steps), None if progress else True
    with tqdm(total=total, desc="training classifiers", leave=False, disable=hidden) as bar:
        for size, total in zip(sizes, steps, strict=True):
            scores = []
            for seed in range(num_seeds):
                rows = stratified_sample(np.asarray(train.targets), size, np.random.default_rng(seed))
                options: Any = {"recipe": recipe, "seed": seed, "steps": total, "on_step": bar.update}
                nets = (fit(x[rows], y[rows], classes, extra_examples=extra, **options) for extra in (None, generated))
                scores.append([accuracy(net, *test) for net in nets])
            suffix = f"cnn{recipe.features}r{recipe.key[:4]}@{len(rows)}+{len(fake)}x{num_seeds}"
            values |= _summary(np.array(scores), suffix)
    counts = {"train": len(train), "held_out": len(held_out), "generated": len(fake)}
    return Report(values, {}, {name: BETTER[name.split("/")[0]] for name in values}, counts)


def _summary(scores: NDArray[np.float64], suffix: str) -> dict[str, float]:
    """Summarise accuracies ``[seeds, 2]``, measured without and with generated samples."""
    alone, both = scores.mean(0)
    gains = scores[:, 1] - scores[:, 0]
    figures = {
        "accuracy_real": alone,
        "accuracy_augmented": both,
        "gain": gains.mean(),
        "gain_spread": gains.std(ddof=1) if len(gains) > 1 else 0.0,
    }
    return {f"{name}/{suffix}": float(value) for name, value in figures.items()}
