"""Prepare the score that a critic learns, see `audiogan.games.MetricLearning`."""

from __future__ import annotations

from audiogan.errors import UserError
from audiogan.games import MetricLearning
from audiogan.run import trust


def start_scoring(game: MetricLearning) -> None:
    """Find the function that computes the score of a game, and prepare the worker processes.

    Raises:
        UserError: the package of the score is not installed, the module of a function is not trusted, or the function
            does not exist.
    """
    if ":" not in game.score:
        game.start_scoring()
        return
    module, _, name = game.score.partition(":")
    where, top = f"game.score={game.score}", module.partition(".")[0]
    if top not in trust.trusted_modules():
        raise UserError(f"{where}: the module {top} is not trusted; {trust.trust_hint(top) or f'add --trust {top}'}")
    try:
        function = trust.find_object(f"{module}.{name}")
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if not callable(function) or not trust.is_defined_in(function, f"{module}.{name}"):
        raise UserError(f"{where}: {module} defines no function {name}")
    game.start_scoring(function)
