"""Evaluation of a run or model: sample quality, diversity, memorisation and usefulness for classifiers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf.errors import OmegaConfBaseException

from audiogan.data.images.stacked import CHANNEL_LABELS
from audiogan.data.table import Table
from audiogan.errors import UserError, wrap_os_errors
from audiogan.evaluation.comparable import check_comparable
from audiogan.evaluation.critic import check_transfer, measure_critic_accuracy
from audiogan.evaluation.data_sets import (
    MAX_EXAMPLES,
    DataSets,
    class_indices,
    data_change_warning,
    load_examples,
    open_evaluation_data,
    require_labelled_data,
)
from audiogan.evaluation.side_by_side import check_ranking, check_speech, draw_best_and_worst, side_by_side
from audiogan.evaluation.translations import (
    Translated,
    measure_distribution,
    measure_reference_metrics,
    measure_samples,
    measure_source_preservation,
    translate,
)
from audiogan.files import atomic_write, check_output, unwritable_reason
from audiogan.inputs import Seeded
from audiogan.metrics import Report, embed, evaluate
from audiogan.metrics.report import MIN_SAMPLES
from audiogan.model.generator import Generator
from audiogan.model.loading import load
from audiogan.run.trust import trust_modules
from audiogan.utils.text import printable

MAX_GAIN_EXAMPLES = 10_000
"""Largest number of real examples, and of generated examples, on which `augmentation_gain` trains classifiers."""

REPORT_FILE = "evaluation.json"
"""File name of the report in the run folder."""

Echo = Callable[[str], None]


def evaluate_run(
    run: str | None,
    data: str | None = None,
    *,
    count: int = 1000,
    seed: int = 0,
    classifier: bool = True,
    extractor: str | None = None,
    extractor_weights: str | None = None,
    gain: bool = False,
    transfer: bool = False,
    sheet: str | None = None,
    best_worst: str | None = None,
    rank_by: str | None = None,
    baseline: str | None = None,
    speech: bool = False,
    trust: str | Sequence[str] = (),
    echo: Echo = print,
) -> Report:
    """Measure a run or model against real data and print a report.

    The report is also written to ``evaluation.json`` in the run folder.

    Args:
        run: run folder, checkpoint or model. ``None``: the newest run.
        data: folder or file with real data; labels are not required. Default: the held-out data of the run. A model
            file contains no data, so it requires ``data``, which is split into training and held-out data.
        count: largest number of samples. There are never more samples than real examples.
        seed: seed for the samples and for the choice of examples.
        classifier: if the training data has labels, also compute metrics on features of a classifier, see
            `train_classifier`. It is trained once, in about a minute, and cached.
        extractor: network as ``package.module:NAME``, see `load_extractor`. Metrics are also computed on its features.
            The module is imported.
        extractor_weights: file with the weights of ``extractor``.
        gain: train classifiers on real and generated examples, see `augmentation_gain`. Takes minutes.
        transfer: train linear classifiers on the critic's features, see `evaluate_transfer`. Takes minutes.
        sheet: PNG file to write, with samples next to real examples, see `side_by_side`.
        best_worst: PNG file to write, with the eight best and the eight worst outputs, see `draw_best_and_worst`. It
            requires a model that was trained on pairs.
        rank_by: name of the full-reference metric that ranks the outputs for ``best_worst``, such as ``ssim``.
            ``None``: the first one of `DEFAULT_METRICS` that exists for the kind of signal.
        baseline: run folder, checkpoint or model to evaluate on the same data, such as the same network trained without
            a critic. Its values are in the report under ``baseline``.
        speech: also measure the quality and intelligibility of speech, for models that were trained on pairs of sounds.
            It needs the packages of ``audiogan[speech]``.
        trust: names of modules outside the package that the run may use, see `audiogan.load`.
        echo: function that prints a line.

    Returns:
        The report.

    Raises:
        UserError: the run or data does not exist, there are too few examples, a metric needs labels that are missing,
            or a file cannot be written. Options are checked before anything is measured.
    """
    if sheet is not None:
        check_output(sheet, "--sheet", [".png"])
    if best_worst is not None:
        check_output(best_worst, "--best-worst", [".png"])
    elif rank_by is not None:
        raise UserError(f"--rank-by {printable(rank_by)}: also give --best-worst FILE.png, the picture to write")
    if extractor_weights is not None and extractor is None:
        raise UserError(f"--extractor-weights {extractor_weights}: also give --extractor, the network of these weights")
    generator = load(run, trust=trust)
    other = None if baseline is None else load(baseline, trust=trust)
    if other is not None:
        check_comparable(generator, other, data)
    if speech:
        check_speech(generator)
    metric = "" if best_worst is None else check_ranking(generator, rank_by)
    noun = generator.modality.noun
    if count < 1:
        raise UserError(f"-n {count}: expected at least one {noun}")
    folder = generator.checkpoint.parent.parent
    stored = (folder / "config.yaml").is_file()
    closed = unwritable_reason(folder / REPORT_FILE) if stored else ""
    if closed:
        echo(f"{folder / REPORT_FILE}: cannot be written: {closed}")
    try:
        with trust_modules(generator.trust):
            sets = open_evaluation_data(generator, data)
        if gain:
            _check_gain(generator, sets)
        if transfer:
            check_transfer(generator, sets)
        if extractor is not None:
            from audiogan.metrics.extractor import load_extractor

            own = load_extractor(extractor, generator.modality.to_images, extractor_weights)
        if warning := data_change_warning(generator, sets):
            echo(warning)
        embeddings = [*generator.modality.embeddings(generator.shape), *([own] if extractor is not None else [])]
        options: dict[str, Any] = {
            "count": count,
            "seed": seed,
            "classifier": classifier,
            "speech": speech,
            "echo": echo,
        }
        report, made = _measure(generator, sets, embeddings, **options)
        if other is not None:
            values = _measure(other, sets, embeddings, **options)[0].values
            report = replace(report, baseline=values, baseline_name=other.name)
        if best_worst is not None:
            with wrap_os_errors(f"--best-worst {best_worst}: cannot be written"):
                draw_best_and_worst(best_worst, generator, next(iter(made.values())), metric)
        if sheet is not None:
            _draw(sheet, generator, sets.real, seed)
        if gain:
            report = report.merged(_measure_gain(generator, sets, seed, echo))
        if transfer or hasattr(generator.game, "classify"):
            report = report.merged(measure_critic_accuracy(generator, sets, seed, transfer, echo))
    except UserError:
        raise
    except (OmegaConfBaseException, TypeError, ValueError) as error:
        raise UserError(f"{generator.name}: {' '.join(str(error).split())[:300]}") from error
    echo(report.table())
    if stored and not closed:
        _write(report, folder)
    return report


def _measure(
    generator: Generator,
    sets: DataSets,
    embeddings: list[Any],
    *,
    count: int,
    seed: int,
    classifier: bool,
    speech: bool,
    echo: Echo,
) -> tuple[Report, dict[str, Translated]]:
    """Return the report of a model and, if the model translates sources, its outputs by the name of the generator."""
    if not generator.game.required_inputs:
        return _measure_samples(generator, sets, embeddings, count, seed, classifier, echo), {}
    report, several, outputs = Report({}, {}, {}, {}), len(generator.routes) > 1, {}
    _check_enough(generator, sets.real, count)
    for route, words in generator.routes.descriptions.items():
        made = outputs[route] = translate(generator, sets.real, route, min(count, MAX_EXAMPLES), seed)
        noun = generator.modality.noun
        echo(f"{generator.name} (step {generator.step:,}){f', {words}' * bool(words)}: {len(made.outputs)} {noun}s")
        part = _measure_translations(generator, sets, embeddings, route, made, seed, classifier, echo, speech)
        report = report.merged(part.with_prefix(route) if several else part)
    return report, outputs


def _measure_samples(
    generator: Generator, sets: DataSets, embeddings: list[Any], count: int, seed: int, classifier: bool, echo: Echo
) -> Report:
    """Measure samples from random inputs against real examples."""
    reals, truth = load_examples(sets.real, count)
    n, noun = len(reals), generator.modality.noun
    echo(f"{generator.name} (step {generator.step:,}): {n} generated against {n} real {noun}s")
    fakes, names = _samples(generator, n, seed)
    seen = None if sets.train is None else load_examples(sets.train, MAX_EXAMPLES, keep_order=True)[0]
    report = Report({}, {}, {}, {})
    for embedding in embeddings:
        report = report.merged(evaluate(fakes, reals, train=seen, embedding=embedding, seed=seed))
    report = report.merged(measure_samples(fakes, reals, generator)).merged(
        _measure_spacing(generator, fakes, reals, seen)
    )
    if classifier and sets.train is not None and CHANNEL_LABELS in sets.train.columns:
        report = report.merged(_measure_stacked_modes(generator, sets.train, count, seed, echo))
    if classifier and sets.train is not None and len(np.unique(sets.train.targets)) > 1:
        report = report.merged(_measure_with_classifier(sets.train, fakes, names, reals, truth, seed, echo))
    return report


def _measure_translations(
    generator: Generator,
    sets: DataSets,
    embeddings: list[Any],
    route: str,
    made: Translated,
    seed: int,
    classifier: bool,
    echo: Echo,
    speech: bool,
) -> Report:
    """Measure outputs of one generator for held-out sources, and the unchanged sources as a baseline."""
    train, seen = sets.train, None
    if train is not None:
        _, targets = generator.game.source_and_target_rows(train, route)
        seen = train.signals(targets[:MAX_EXAMPLES]).numpy()
    report = Report({}, {}, {}, {})
    for embedding in embeddings:
        report = report.merged(measure_distribution(made, generator, embedding, seen, seed))
    report = report.merged(measure_reference_metrics(made, generator, speech=speech))
    report = report.merged(measure_source_preservation(made, generator, route, seed)).merged(
        _measure_appearance(made, generator)
    )
    if classifier and train is not None and generator.routes[route].target is not None:
        report = report.merged(_measure_target_share(generator, train, route, made, echo))
    return report


def _measure_appearance(made: Translated, generator: Generator) -> Report:
    """Measure the appearance of outputs, of targets (the floor) and of unchanged sources."""
    report = measure_samples(made.outputs, made.targets, generator)
    nothing = {} if made.sources is None else measure_samples(made.sources, made.targets, generator).values
    return replace(report, nothing=nothing)


def _check_enough(generator: Generator, real: Table, count: int) -> None:
    """Raise `UserError` unless there are enough sources and targets for each direction."""
    if count < MIN_SAMPLES:
        raise UserError(f"-n {count}: the metrics need at least {MIN_SAMPLES} examples")
    for route, words in generator.routes.descriptions.items():
        for role, places in zip(
            ("sources", "targets"), generator.game.source_and_target_rows(real, route), strict=True
        ):
            if len(places) < MIN_SAMPLES:
                direction = f" for {words}" if words else ""
                need = f"the metrics need at least {MIN_SAMPLES}"
                raise UserError(
                    f"{generator.name}: {len(places)} held-out {role}{direction}; {need}: "
                    "give real data with --data FOLDER, or train with more data or a larger data.holdout"
                )


def _measure_target_share(generator: Generator, train: Table, route: str, made: Translated, echo: Echo) -> Report:
    """Measure the fraction of outputs that a classifier of the domains assigns to the target domain."""
    from audiogan.metrics.classifier import train_classifier

    echo(f"classifier of {len(train.labels)} domains (trained once, then cached)")
    judge, target = train_classifier(train), generator.routes[route].target
    name = f"target_share/{judge.name}@{len(made.outputs)}"

    def share(x: np.ndarray) -> dict[str, float]:
        return {name: float((judge.probabilities(embed(x, judge)).argmax(1) == target).mean())}

    nothing = {} if made.sources is None else share(made.sources)
    return Report(share(made.outputs), share(made.targets), {name: "higher"}, {}, {}, nothing)


def _samples(generator: Generator, n: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Return samples and their labels. The class proportions are exactly those of the training data.

    With randomly drawn classes, distances would vary by a third more from seed to seed.
    """
    shares = {name: each.proportional_values(n) for name, each in generator.inputs.items()}
    recipes = []
    for i in range(n):
        mine = {name: share[i] for name, share in shares.items() if share is not None}
        recipes.append(generator.recipe_from_values(generator.game.draw(1, Seeded(seed + i), **mine), seed + i))
    return generator.render(recipes), [recipe.label for recipe in recipes]


def _measure_stacked_modes(generator: Generator, train: Table, count: int, seed: int, echo: Echo) -> Report:
    """Count the modes of stacked digits.

    Counting needs more samples than other metrics: 25,600, if ``count`` is 1000 or more.
    """
    from audiogan.metrics.modes import MODE_SAMPLES, channel_classifier, count_stacked_modes

    total = min(MODE_SAMPLES, MODE_SAMPLES * count // 1000)
    echo(f"classifier of channels (trained once, then cached), then the modes of {total:,} samples")
    judge, starts = channel_classifier(train), range(0, total, 500)
    rows = np.random.default_rng(seed).integers(len(train), size=total)
    made = (generator.sample(min(500, total - i), seed=seed + i) for i in starts)
    real = (train.signals(rows[i : i + 500]).numpy() for i in starts)
    name = f"{judge.name}@{total}"
    values, floor = (
        {f"{key}/{name}": float(value) for key, value in count_stacked_modes(batches, judge)._asdict().items()}
        for batches in (made, real)
    )
    return Report(values, floor, {f"modes/{name}": "higher", f"kl/{name}": "lower"}, {})


def _measure_spacing(generator: Generator, fakes: np.ndarray, reals: np.ndarray, seen: np.ndarray | None) -> Report:
    """Measure distances to nearest neighbours, for sounds."""
    if generator.modality.image_settings_name(generator.shape) is None:
        return Report({}, {}, {}, {})
    from audiogan.metrics.spacing import PictureEmbedding, evaluate_spacing

    embedding = PictureEmbedding(generator.modality, generator.shape)
    return evaluate_spacing(fakes, reals, seen, embedding)


def _measure_with_classifier(
    train: Table,
    fakes: np.ndarray,
    names: list[str],
    reals: np.ndarray,
    truth: np.ndarray | None,
    seed: int,
    echo: Echo,
) -> Report:
    from audiogan.metrics.classifier import train_classifier
    from audiogan.metrics.labelled import evaluate_labelled

    echo(f"classifier of {len(train.labels)} classes (trained once, then cached)")
    judge = train_classifier(train)
    requested = class_indices(train, names) if all(names) else None
    seen, _ = load_examples(train, MAX_EXAMPLES)
    return evaluate_labelled(
        fakes, reals, classifier=judge, train=seen, requested_classes=requested, real_classes=truth, seed=seed
    )


def _check_gain(generator: Generator, sets: DataSets) -> None:
    if needed := list(generator.game.required_inputs):
        raise UserError(f"--gain: {generator.name} needs the input {needed[0]!r}; omit --gain")
    train, _ = require_labelled_data(sets, "--gain")
    if not generator.labels:
        raise UserError(f"--gain needs samples of known class, but {generator.name} is unconditional")
    class_indices(train, generator.labels)


def _measure_gain(generator: Generator, sets: DataSets, seed: int, echo: Echo) -> Report:
    from audiogan.metrics.convnet import stratified_sample
    from audiogan.metrics.gain import augmentation_gain

    train, held_out = require_labelled_data(sets, "--gain")
    train = train.take(stratified_sample(np.asarray(train.targets), MAX_GAIN_EXAMPLES, np.random.default_rng(seed)))
    n, noun = len(train), generator.modality.noun
    echo(f"augmentation gain: training classifiers on {n:,} real and {n:,} generated {noun}s")
    fakes, names = generator.sample_with_labels(n, seed=seed)
    return augmentation_gain(train, held_out, fakes, class_indices(train, names))


def _draw(sheet: str, generator: Generator, real: Table, seed: int) -> None:
    with wrap_os_errors(f"--sheet {sheet}: cannot be written"):
        side_by_side(sheet, generator, real, seed=seed)


def _write(report: Report, run_dir: Path) -> None:
    from audiogan.run.report import write_report

    with wrap_os_errors(f"{run_dir / REPORT_FILE}: cannot be written"):
        with atomic_write(run_dir / REPORT_FILE) as temporary:
            temporary.write_text(report.to_json())
        write_report(run_dir)
