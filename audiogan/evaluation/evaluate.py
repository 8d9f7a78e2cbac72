"""``audiogan evaluate``: how near a run's samples are to real data it never saw, and what they are good for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from audiogan.data.table import Table
from audiogan.errors import UserError, wrap_os_errors
from audiogan.evaluation.side_by_side import side_by_side
from audiogan.evaluation.translations import Translated, measure, references, translate
from audiogan.files import atomic_write, check_output, why_unwritable
from audiogan.games.calling import input_names
from audiogan.inputs import Classes, Seeded
from audiogan.metrics import Report, embed, evaluate
from audiogan.metrics.report import LEAST
from audiogan.model.bundle import SUFFIX
from audiogan.model.generator import Generator
from audiogan.model.loading import load
from audiogan.run.settings import settle_paths
from audiogan.run.training import build_game, build_representation, open_data
from audiogan.run.trust import trusting

MOST = 4000
"""Real examples that are loaded, of each kind."""
TAUGHT = 10_000
"""Real examples, and generated ones, that the classifiers of `gain` are trained on, at most."""

STORED = "evaluation.json"
"""The report in the run folder."""

Echo = Callable[[str], None]


class Sets(NamedTuple):
    """The data a run is measured with; what is gone or not there is None."""

    train: Table | None
    held_out: Table | None
    real: Table


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
    trust: str | Sequence[str] = (),
    echo: Echo = print,
) -> Report:
    """Measure a run against its held-out data, or against the real data in the folder (or file) ``data``.

    The report is also written to ``evaluation.json`` in the run folder.

    Args:
        run: run folder, checkpoint or model; None: the newest run. A model brings no data: it is measured on those in
            ``data``, split as those it was trained on were.
        data: see above; its labels do not matter.
        count: the most samples to use; with fewer real ones, as many as there are.
        seed: of the samples, and of every choice.
        classifier: where the training data has labels, measure by a classifier of them too (`train_classifier`). It is
            trained once, within a minute or so, and kept in the cache.
        extractor: measure with this network's features too: see `load_extractor`. Its module is imported.
        extractor_weights: for it.
        gain: train classifiers on real and generated examples (`augmentation_gain`; minutes).
        transfer: linear probes on the critic's features (`audiogan.metrics.transfer`; minutes).
        sheet: a PNG file (``.png``) to draw samples beside real examples into; see `side_by_side`.
        trust: names of modules from outside the package that the run may use; see `audiogan.load`.

    Raises:
        UserError: no such run or data, too few examples, a measure that needs labels without any, or a file that
            cannot be written. What can be checked is checked before anything is measured.
    """
    if sheet is not None:
        check_output(sheet, "--sheet", [".png"])
    if extractor_weights is not None and extractor is None:
        raise UserError(f"--extractor-weights {extractor_weights}: give --extractor too, the network they belong to")
    generator = load(run, trust=trust)
    noun = generator.modality.noun
    if count < 1:
        raise UserError(f"-n {count}: ask for at least one {noun}")
    folder = generator.checkpoint.parent.parent
    stored = (folder / "config.yaml").is_file()
    closed = why_unwritable(folder / STORED) if stored else ""
    if closed:
        echo(f"{folder / STORED} cannot be written: {closed}")
    try:
        with trusting(generator.trust):
            sets = open_sets(generator, data)
        if gain:
            _check_gain(generator, sets)
        if transfer:
            _check_transfer(generator, sets)
        if extractor is not None:
            from audiogan.metrics.extractor import load_extractor

            named = load_extractor(extractor, generator.modality.picture, extractor_weights)
        if changed := _changed(generator, sets):
            echo(changed)
        embeddings = [*generator.modality.embeddings(generator.shape), *([named] if extractor is not None else [])]
        measured = _translated if generator.game.required_inputs else _sampled
        report = measured(generator, sets, embeddings, count, seed, classifier, echo)
        if sheet is not None:
            _draw(sheet, generator, sets.real, seed)
        if gain:
            report = report.joined(_gain(generator, sets, seed, echo))
        if transfer or hasattr(generator.game, "classify"):
            report = report.joined(_of_critic(generator, sets, seed, transfer, echo))
    except UserError:
        raise
    except (OmegaConfBaseException, TypeError, ValueError) as error:
        raise UserError(f"{generator.name}: {' '.join(str(error).split())[:300]}") from error
    echo(report.table())
    if stored and not closed:
        _write(report, folder)
    return report


def _sampled(
    generator: Generator, sets: Sets, embeddings: list[Any], count: int, seed: int, classifier: bool, echo: Echo
) -> Report:
    """Measure samples of random inputs against real examples."""
    reals, truth = _some(sets.real, count)
    n, noun = len(reals), generator.modality.noun
    echo(f"{generator.name} (step {generator.step:,}): {n} generated against {n} real {noun}s")
    fakes, names = _samples(generator, n, seed)
    seen = None if sets.train is None else _some(sets.train, MOST, ordered=True)[0]
    report = Report({}, {}, {}, {})
    for embedding in embeddings:
        report = report.joined(evaluate(fakes, reals, train=seen, embedding=embedding, seed=seed))
    report = report.joined(_modes(generator, fakes, reals)).joined(_spacing(generator, fakes, reals, seen))
    if classifier and sets.train is not None and len(np.unique(sets.train.targets)) > 1:
        report = report.joined(_by_classifier(sets.train, fakes, names, reals, truth, seed, echo))
    return report


def _translated(
    generator: Generator, sets: Sets, embeddings: list[Any], count: int, seed: int, classifier: bool, echo: Echo
) -> Report:
    """Measure outputs for sources of the held-out data, and the sources themselves: what doing nothing scores."""
    report, several = Report({}, {}, {}, {}), len(generator.routes) > 1
    _check_enough(generator, sets.real, count)
    for route, words in generator.route_descriptions.items():
        made = translate(generator, sets.real, route, min(count, MOST), seed)
        noun = generator.modality.noun
        echo(f"{generator.name} (step {generator.step:,}){f', {words}' * bool(words)}: {len(made.outputs)} {noun}s")
        targets = None if sets.train is None else generator.game.source_and_target_rows(sets.train, route)[1][:MOST]
        seen = None if sets.train is None or targets is None else sets.train.signals(targets).numpy()
        part = Report({}, {}, {}, {})
        for embedding in embeddings:
            part = part.joined(measure(made, generator, embedding, seen, seed))
        part = part.joined(references(made, generator))
        if classifier and sets.train is not None and generator.routes[route].target is not None:
            part = part.joined(_as_target(generator, sets.train, route, made, echo))
        report = report.joined(part.prefixed(route) if several else part)
    return report


def _check_enough(generator: Generator, real: Table, count: int) -> None:
    """Raise UserError unless there are enough sources and targets for each direction."""
    if count < LEAST:
        raise UserError(f"-n {count}: the measures need at least {LEAST} examples")
    for route, words in generator.route_descriptions.items():
        for what, places in zip(
            ("sources", "targets"), generator.game.source_and_target_rows(real, route), strict=True
        ):
            if len(places) < LEAST:
                direction = f" for {words}" if words else ""
                raise UserError(
                    f"{generator.name}: {len(places)} held-out {what}{direction}; the measures need at least {LEAST}: "
                    "give real data with --data FOLDER, or train with more data or a larger data.holdout"
                )


def _as_target(generator: Generator, train: Table, route: str, made: Translated, echo: Echo) -> Report:
    """Measure the share of outputs that a classifier of the domains assigns to the target domain."""
    from audiogan.metrics.classifier import train_classifier

    echo(f"classifier of {len(train.labels)} domains (trained once, then kept)")
    judge, target = train_classifier(train), generator.routes[route].target
    name = f"target_share/{judge.name}@{len(made.outputs)}"

    def share(x: np.ndarray) -> dict[str, float]:
        return {name: float((judge.probabilities(embed(x, judge)).argmax(1) == target).mean())}

    nothing = {} if made.sources is None else share(made.sources)
    return Report(share(made.outputs), share(made.targets), {name: "higher"}, {}, {}, nothing)


def open_sets(generator: Generator, data: str | None) -> Sets:
    """What the run was trained on, what it held out, and what to measure against."""
    cfg = OmegaConf.create(generator.config)
    if generator.checkpoint.suffix.lower() == SUFFIX:
        if data is None:
            advice = "give real data, in folders by class, with --data"
            raise UserError(f"{generator.name}: a model brings no data; {advice}")
        cfg.data.root, data = data, None
        settle_paths(cfg)
    train, held_out = None, None
    try:
        train, held_out = open_data(cfg)
    except UserError:
        if data is None:
            raise
    real = held_out
    if data is not None:
        cfg.data.update({"root": data, "holdout": 0.0})
        if "labels" in cfg.data and all(route.target is None for route in generator.routes.values()):
            cfg.data.labels = "none"
        settle_paths(cfg)
        real, _ = open_data(cfg)
    if real is None or not len(real):
        raise UserError(f"{generator.name}: no data was held out (few examples, or data.holdout=0); use --data FOLDER")
    return Sets(train, held_out if held_out is not None and len(held_out) else None, real)


def _changed(generator: Generator, sets: Sets) -> str:
    """Return one line if the examples of each class are not as many as in the training; else an empty text."""
    classes = generator.inputs.get("classes")
    if generator.checkpoint.suffix.lower() == SUFFIX or sets.train is None or not isinstance(classes, Classes):
        return ""
    then = dict(zip(classes.labels, map(int, classes.counts.tolist()), strict=True))
    now = dict(zip(sets.train.labels, sets.train.class_counts, strict=False))
    if then == now:
        return ""
    noun = generator.modality.noun
    return (
        f"the data changed after the training, from {sum(then.values()):,} to {sum(now.values()):,} {noun}s in "
        f"training; what is held out now may have been trained on ({sets.train.source})"
    )


def _some(data: Table, most: int, *, ordered: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """At most ``most`` signals ``[N, *shape]`` and their classes, or None without labels."""
    rows = np.random.default_rng(0).permutation(len(data))[:MOST][:most]
    rows = np.sort(rows) if ordered else rows
    targets = np.asarray(data.targets)
    return data.signals(rows).numpy(), targets[rows] if len(targets) else None


def _samples(generator: Generator, n: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Return samples with exactly the class proportions of the training data, and their labels.

    With classes drawn by chance, distances would scatter by a third more.
    """
    shares = {name: each.proportional_values(n) for name, each in generator.inputs.items()}
    recipes = []
    for i in range(n):
        mine = {name: share[i] for name, share in shares.items() if share is not None}
        recipes.append(generator.recipe_from_values(generator.game.draw(1, Seeded(seed + i), **mine), seed + i))
    return generator.render(recipes), [recipe.label for recipe in recipes]


def _modes(generator: Generator, fakes: np.ndarray, reals: np.ndarray) -> Report:
    """Modes held, where they are known."""
    measures = generator.modality.measures
    values, floor = ({f"{name}@{len(x)}": value for name, value in measures(x).items()} for x in (fakes, reals))
    return Report(values, floor, dict.fromkeys(values, "higher"), {})


def _spacing(generator: Generator, fakes: np.ndarray, reals: np.ndarray, seen: np.ndarray | None) -> Report:
    """Distances to the nearest neighbours, of sounds."""
    if generator.modality.picture_name(generator.shape) is None:
        return Report({}, {}, {}, {})
    from audiogan.metrics.spacing import SeenByClassifier, evaluate_spacing

    embedding = SeenByClassifier(generator.modality, generator.shape)
    return evaluate_spacing(fakes, reals, seen, embedding)


def _by_classifier(
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

    echo(f"classifier of {len(train.labels)} classes (trained once, then kept)")
    judge = train_classifier(train)
    asked = _classes(train, names) if all(names) else None
    seen, _ = _some(train, MOST)
    return evaluate_labelled(fakes, reals, classifier=judge, train=seen, asked=asked, truth=truth, seed=seed)


def _classes(data: Table, names: list[str]) -> np.ndarray:
    unknown = sorted(set(names) - set(data.labels))
    if unknown:
        raise UserError(f"the run knows the class {unknown[0]!r}, but its data no longer does: {data.source}")
    return np.array([data.labels.index(name) for name in names], np.int64)


def _labelled(sets: Sets, what: str) -> tuple[Table, Table]:
    train, held_out = sets.train, sets.held_out
    if train is None or held_out is None or not len(train.targets):
        raise UserError(f"{what} needs the run's own training data, with labels and a held-out part")
    if len(np.unique(train.targets)) < 2:
        raise UserError(f"{what} needs training data of at least two classes: {train.source}")
    return train, held_out


def _check_gain(generator: Generator, sets: Sets) -> None:
    if needed := list(generator.game.required_inputs):
        raise UserError(f"--gain: {generator.name} needs the input {needed[0]!r}; leave out --gain")
    train, _ = _labelled(sets, "--gain")
    if not generator.labels:
        raise UserError(f"--gain needs samples of known class, but {generator.name} knows no classes")
    _classes(train, generator.labels)


def _check_transfer(generator: Generator, sets: Sets) -> None:
    if not hasattr(generator.game, "critic"):
        raise UserError(f"--transfer: {generator.name} has no critic")
    inputs = [name for name in input_names(generator.game.critic) if name in generator.game.required_inputs]
    if inputs:
        also = f"the critic of {generator.name} also receives {inputs[0]!r}"
        raise UserError(f"--transfer: {also}, so that its features are not those of one signal; leave out --transfer")
    _labelled(sets, "--transfer")


def _gain(generator: Generator, sets: Sets, seed: int, echo: Echo) -> Report:
    from audiogan.metrics.convnet import some_of_each
    from audiogan.metrics.gain import augmentation_gain

    train, held_out = _labelled(sets, "--gain")
    train = train.take(some_of_each(np.asarray(train.targets), TAUGHT, np.random.default_rng(seed)))
    echo(f"augmentation gain: classifiers of {len(train):,} real and as many generated {generator.modality.noun}s")
    fakes, names = generator.sample_with_labels(len(train), seed=seed)
    return augmentation_gain(train, held_out, fakes, _classes(train, names))


def _of_critic(generator: Generator, sets: Sets, seed: int, transfer: bool, echo: Echo) -> Report:
    """What the critic knows: linear probes, and its own accuracy if it classifies."""
    game, report = generator.game, Report({}, {}, {}, {})
    if transfer:
        from audiogan.metrics import transfer as probes

        train, held_out = _labelled(sets, "--transfer")
        echo("transfer: linear probes on the critic's features")
        name = next(name for name, net in game.nets.items() if net is game.critic)
        embeddings: dict[str, Any] = {
            name: _features(name, game),
            f"untrained-{name}": _features(name, _untrained(generator)),
            "picture": probes.Pictures(generator.modality.picture),
        }
        report = report.joined(probes.transfer(embeddings, train, held_out, seed=seed))
    if hasattr(game, "classify") and sets.held_out is not None and len(sets.held_out.targets):
        x, y = _some(sets.held_out, MOST)
        logits = torch.cat([game.classify(part) for part in torch.from_numpy(x).split(64)]).cpu().numpy()
        name = f"accuracy/critic@{len(x)}"
        report = report.joined(Report({name: float((logits.argmax(1) == y).mean())}, {}, {name: "higher"}, {}))
    return report


def _features(name: str, game: Any) -> Any:
    from audiogan.metrics.transfer import Function

    return Function(name, lambda x: game.features({"x": x}))


def _untrained(generator: Generator) -> Any:
    """The run's game with new weights, but for the representation."""
    cfg = OmegaConf.create(generator.config)
    with torch.random.fork_rng(devices=[]), trusting(generator.trust):
        torch.manual_seed(0)
        game: Any = build_game(cfg, build_representation(cfg))
    game.representation.load_state_dict(generator.game.representation.state_dict())
    return game.eval().requires_grad_(False)


def _draw(sheet: str, generator: Generator, real: Table, seed: int) -> None:
    with wrap_os_errors(f"--sheet {sheet}: cannot be written"):
        side_by_side(sheet, generator, real, seed=seed)


def _write(report: Report, run_dir: Path) -> None:
    from audiogan.run.report import write_report

    with wrap_os_errors(f"{run_dir / STORED}: cannot be written"):
        with atomic_write(run_dir / STORED) as temporary:
            temporary.write_text(report.to_json())
        write_report(run_dir)
