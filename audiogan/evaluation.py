"""``audiogan evaluate``: how near a run's sounds are to real ones it never saw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from audiogan.errors import UserError
from audiogan.generator import Generator, load
from audiogan.metrics import Report, evaluate
from audiogan.sounds import replacing
from audiogan.training import open_data


def evaluate_run(
    run: str | None, data: str | None = None, *, count: int = 1000, seed: int = 0, say: Callable[[str], None] = print
) -> Report:
    """Measure a run against its held-out data, or against the sounds in the folder ``data``.

    ``count`` is the most sounds to use; with fewer real ones, as many as there are. The report is also written to
    ``evaluation.json`` in the run folder.
    """
    generator = load(run)
    if count < 1:
        raise UserError(f"-n {count}: ask for at least one sound")
    try:
        train, real = real_sounds(generator, data)
    except UserError:
        raise
    except (OmegaConfBaseException, TypeError, ValueError) as error:
        raise UserError(f"{generator.checkpoint}: its data cannot be opened ({str(error)[:200]})") from error
    reals = real[:count]
    n = min(count, len(reals))
    say(f"{generator.checkpoint} (step {generator.step:,}): {n} generated against {len(reals)} real sounds")
    fakes = generator.sample(n, seed=seed)
    try:
        report = evaluate(fakes, reals, sample_rate=generator.sample_rate, train=train, seed=seed)
    except ValueError as error:
        raise UserError(f"{generator.checkpoint}: {error}") from error
    run_dir = generator.checkpoint.parent.parent
    if (run_dir / "config.yaml").is_file():
        from audiogan.report import write_report

        with replacing(run_dir / "evaluation.json") as temporary:
            temporary.write_text(report.to_json())
        write_report(run_dir)
    say(report.table())
    return report


def real_sounds(generator: Generator, data: str | None) -> tuple[np.ndarray | None, np.ndarray]:
    """(training sounds, or None where they are gone; real sounds to measure against) ``[N, C, T]``."""
    cfg = OmegaConf.create(generator.config)
    train, real = None, None
    try:
        kept, held_out = open_data(cfg)
        train, real = kept, held_out
    except UserError:
        if data is None:
            raise
    if data is not None:
        cfg.data.update({"root": data, "holdout": 0.0, "labels": "none"})  # what they are called does not matter here
        real, _ = open_data(cfg)
    assert real is not None
    if not len(real):
        raise UserError(
            f"{generator.checkpoint}: its data was too small to hold any back; give real sounds with --data FOLDER"
        )
    rng = np.random.default_rng(0)
    sounds = None if train is None else train.waves(np.sort(rng.permutation(len(train))[:4000])).numpy()
    return sounds, real.waves(rng.permutation(len(real))[:4000]).numpy()
