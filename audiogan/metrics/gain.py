"""Augmentation gain: do generated samples help a classifier of real ones?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiogan.metrics.convnet import STANDARD, ClassifierRecipe, Picture, accuracy, fit, look, some_of_each
from audiogan.metrics.report import Report

if TYPE_CHECKING:
    from audiogan.data.table import Table

__all__ = ["augmentation_gain"]

BETTER = {"accuracy_real": "baseline", "accuracy_augmented": "higher", "gain": "higher", "gain_spread": "spread"}


def augmentation_gain(
    train: Table,
    held_out: Table,
    fake: NDArray[np.float32],
    asked: NDArray[np.int64],
    *,
    few: int = 100,
    seeds: int = 3,
    recipe: ClassifierRecipe = STANDARD,
    progress: bool = True,
) -> Report:
    """Accuracy on ``held_out`` of a classifier trained on real and generated examples, against real ones alone.

    Twice: with all real training examples, and with ``few`` of them, each class in its share. Both classifiers start
    from the same weights and make the same number of steps with batches of the same size; of the second, half of each
    batch is generated. So generated samples must be worth more than another look at the real ones, and the gain may
    well be negative (as Ravuri & Vinyals 2019, sec. 4.3, found for most generators).

    The generator has seen all of ``train``: a gain with few examples says that its samples carry what it learned from
    the others, not that labels come from nothing.

    Args:
        train: labelled real data; held_out: labelled real data that neither generator nor classifier trained on.
        fake: generated signals `[N, *shape]`; asked: class of each, int64 `[N]`.
        few: real examples of the second comparison; left out if there are no more in ``train``.
        seeds: classifiers a comparison and kind; they differ in initial weights, order, and in which few are taken.
        recipe: of the classifiers.
        progress: show a bar in a terminal.

    Returns:
        By comparison, under names that say how many real and generated examples and how many seeds: the mean accuracy
        of both kinds, the mean gain, and its standard deviation over seeds (0 for a single seed).

    Raises:
        ValueError: nothing generated, data without labels, or fewer than one seed.
    """
    if seeds < 1 or not len(fake) or len(asked) != len(fake) or not len(train.targets) or not len(held_out.targets):
        raise ValueError(
            f"need seeds >= 1 and labelled examples, got seeds={seeds}, {len(fake)} generated ({len(asked)} labelled), "
            f"{len(train.targets)} real, {len(held_out.targets)} held out"
        )
    from tqdm import tqdm

    picture: Picture = train.modality.to_images
    x, y = look(train, picture), torch.from_numpy(np.asarray(train.targets))
    more = look(fake, picture), torch.from_numpy(asked)
    unseen = look(held_out, picture), torch.from_numpy(np.asarray(held_out.targets))
    values: dict[str, float] = {}
    sizes = [len(train)] + ([few] if few < len(train) else [])
    steps = [recipe.steps(size + len(fake)) for size in sizes]
    total, hidden = 2 * seeds * sum(steps), None if progress else True
    with tqdm(total=total, desc="training classifiers", leave=False, disable=hidden) as bar:
        for size, total in zip(sizes, steps, strict=True):
            scores = []
            for seed in range(seeds):
                rows = some_of_each(np.asarray(train.targets), size, np.random.default_rng(seed))
                options: Any = {"recipe": recipe, "seed": seed, "steps": total, "tell": bar.update}
                nets = (fit(x[rows], y[rows], len(train.labels), more=also, **options) for also in (None, more))
                scores.append([accuracy(net, *unseen) for net in nets])
            suffix = f"cnn{recipe.features}r{recipe.key[:4]}@{len(rows)}+{len(fake)}x{seeds}"
            values |= _summary(np.array(scores), suffix)
    counts = {"train": len(train), "held_out": len(held_out), "generated": len(fake)}
    return Report(values, {}, {name: BETTER[name.split("/")[0]] for name in values}, counts)


def _summary(scores: NDArray[np.float64], suffix: str) -> dict[str, float]:
    """Of accuracies [seeds, (real alone, with generated)]."""
    alone, both = scores.mean(0)
    gains = scores[:, 1] - scores[:, 0]
    figures = {
        "accuracy_real": alone,
        "accuracy_augmented": both,
        "gain": gains.mean(),
        "gain_spread": gains.std(ddof=1) if len(gains) > 1 else 0.0,
    }
    return {f"{name}/{suffix}": float(value) for name, value in figures.items()}
