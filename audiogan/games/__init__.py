"""Games: a kind of game a file."""

from audiogan.games.adversarial import Adversarial
from audiogan.games.multi import MultiCritic
from audiogan.games.sampling import Sampling
from audiogan.games.semi import Accuracy, SemiSupervised
from audiogan.games.vae import VAEGAN

__all__ = ["VAEGAN", "Accuracy", "Adversarial", "MultiCritic", "Sampling", "SemiSupervised"]
