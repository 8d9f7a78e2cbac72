"""Games: the networks and losses of GANs. Each module contains one kind of game."""

from __future__ import annotations

from audiogan.games.adversarial import Adversarial
from audiogan.games.calling import call_network
from audiogan.games.cycle import Cycle
from audiogan.games.generative import Generative, Route
from audiogan.games.metric import MetricLearning
from audiogan.games.multi import MultiCritic
from audiogan.games.semi import Accuracy, SemiSupervised
from audiogan.games.text_to_speech import TextToSpeech
from audiogan.games.vae import VAEGAN
from audiogan.games.vocoding import Vocoding
from audiogan.games.voice_conversion import VoiceConversion

__all__ = [
    "VAEGAN",
    "Accuracy",
    "Adversarial",
    "Cycle",
    "Generative",
    "MetricLearning",
    "MultiCritic",
    "Route",
    "SemiSupervised",
    "TextToSpeech",
    "Vocoding",
    "VoiceConversion",
    "call_network",
]
