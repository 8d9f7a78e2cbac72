"""Generator networks of a model by name, for models that translate in several directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audiogan.errors import UserError
from audiogan.utils.names import match_name
from audiogan.utils.text import printable


class Routes(dict[str, Any]):
    """Dict from the name of each generator network of a model to its `audiogan.games.Route`.

    Args:
        routes: dict from network name to `audiogan.games.Route`, as defined by the game.
        labels: class names of the training data.
        model: name of the model, for error messages.
    """

    def __init__(self, routes: Mapping[str, Any], labels: Sequence[str], model: str) -> None:
        super().__init__(routes)
        self.labels, self.model = labels, model

    def find(self, generator: str | None = None) -> str:
        """Return the name of the network with a given name or a given target class.

        Args:
            generator: name of a network, or name of its target class. None selects the first network.

        Raises:
            UserError: no network matches.
        """
        if generator is None:
            return next(iter(self))
        classes = {name: target for name, route in self.items() if (target := self._class_name(route.target))}
        wanted = match_name(generator, list(classes.values()))
        by_class = [name for name, target in classes.items() if target == wanted]
        found = [generator] if generator in self else by_class
        if len(found) != 1:
            raise UserError(f"{self.model}: unknown generator {printable(generator)!r}; choose one of {self._listed()}")
        return found[0]

    def find_unambiguous(self, generator: str | None = None) -> str:
        """Return the name of a network like `find`, but require a name if the model has several networks.

        Raises:
            UserError: no network matches, or the model has several networks and ``generator`` is None.
        """
        if generator is None and len(self) > 1:
            count = len(self)
            raise UserError(f"{self.model}: it has {count} generators; choose one with --generator: {self._listed()}")
        return self.find(generator)

    @property
    def descriptions(self) -> dict[str, str]:
        """Dict from network name to the classes that the network translates, such as ``apples -> tomatoes``.

        The descriptions are empty for models that do not translate between classes.
        """
        ends = {name: (self._class_name(route.source), self._class_name(route.target)) for name, route in self.items()}
        return {name: " -> ".join(filter(None, pair)) if None not in pair else "" for name, pair in ends.items()}

    def _listed(self) -> str:
        return ", ".join(f"{name} ({text})" if text else name for name, text in self.descriptions.items())

    def _class_name(self, index: int | None) -> str | None:
        """Return the class name with an index, or None if there is no such class."""
        return None if index is None or index >= len(self.labels) else str(self.labels[index])
