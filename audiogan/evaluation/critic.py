"""Evaluation of a critic: accuracy of linear classifiers on its features, and accuracy of its class predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from omegaconf import OmegaConf

from audiogan.errors import UserError
from audiogan.evaluation.data_sets import MAX_EXAMPLES, DataSets, load_examples, require_labelled_data
from audiogan.games.calling import input_names
from audiogan.metrics import Report
from audiogan.model.generator import Generator
from audiogan.run.training import build_game, build_representation
from audiogan.run.trust import trust_modules


def check_transfer(generator: Generator, data_sets: DataSets) -> None:
    """Raise `UserError` if linear classifiers cannot be trained on the features of the run's critic."""
    if not hasattr(generator.game, "critic"):
        raise UserError(f"--transfer: {generator.name} has no critic")
    inputs = [name for name in input_names(generator.game.critic) if name in generator.game.required_inputs]
    if inputs:
        reason = f"the critic of {generator.name} also receives {inputs[0]!r}"
        raise UserError(f"--transfer: {reason}, so its features do not describe one signal; omit --transfer")
    require_labelled_data(data_sets, "--transfer")


def measure_critic_accuracy(
    generator: Generator, data_sets: DataSets, seed: int, transfer: bool, echo: Callable[[str], None]
) -> Report:
    """Measure the accuracy of linear classifiers on the critic's features, and the accuracy of the critic's class
    predictions, if any."""
    game, report = generator.game, Report({}, {}, {}, {})
    if transfer:
        from audiogan.metrics.transfer import SmallPictures, evaluate_transfer

        train, held_out = require_labelled_data(data_sets, "--transfer")
        echo("transfer: training linear classifiers on the critic's features")
        name = next(name for name, net in game.nets.items() if net is game.critic)
        embeddings: dict[str, Any] = {
            name: _features(name, game),
            f"untrained-{name}": _features(name, _untrained(generator)),
            "picture": SmallPictures(generator.modality.to_images),
        }
        report = report.merged(evaluate_transfer(embeddings, train, held_out, seed=seed))
    if hasattr(game, "classify") and data_sets.held_out is not None and len(data_sets.held_out.targets):
        x, y = load_examples(data_sets.held_out, MAX_EXAMPLES)
        logits = torch.cat([game.classify(part) for part in torch.from_numpy(x).split(64)]).cpu().numpy()
        name = f"accuracy/critic@{len(x)}"
        report = report.merged(Report({name: float((logits.argmax(1) == y).mean())}, {}, {name: "higher"}, {}))
    return report


def _features(name: str, game: Any) -> Any:
    from audiogan.metrics.transfer import FunctionEmbedding

    return FunctionEmbedding(name, lambda x: game.features({"x": x}))


def _untrained(generator: Generator) -> Any:
    """Return the run's game with untrained weights. Only the representation keeps its state."""
    cfg = OmegaConf.create(generator.config)
    with torch.random.fork_rng(devices=[]), trust_modules(generator.trust):
        torch.manual_seed(0)
        game: Any = build_game(cfg, build_representation(cfg))
    game.representation.load_state_dict(generator.game.representation.state_dict())
    return game.eval().requires_grad_(False)
