"""Games: a kind of game a file."""

from audiogan.games.adversarial import Adversarial

__all__ = ["Adversarial"]
