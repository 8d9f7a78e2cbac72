"""Tests of the game of text to speech."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from audiogan.core import Play
from audiogan.games import TextToSpeech
from audiogan.inputs import Classes, Number, SpokenText
from audiogan.inputs.spoken import SYMBOLS
from audiogan.losses import LeastSquares
from audiogan.networks.fastspeech import FastSpeech
from audiogan.networks.mel_critic import MelPatchCritic
from audiogan.representations import VocodedMel
from audiogan.run.vocoders import attach_vocoder

MEL = {"sample_rate": 16000}
TEXT = SpokenText(languages=["en"])


def game(**options: Any) -> TextToSpeech:
    torch.manual_seed(0)
    inputs = {"classes": Classes(labels=["me"]), "text": TEXT, "speed": Number("speed", 0.5, 2, 1)}
    inputs["pitch"] = Number("pitch", -12, 12, 0)
    generator = FastSpeech((80, 64), len(SYMBOLS) + 1, ["en"], classes=1, width=16, text_layers=1, layers=1)
    parts = {"critic": MelPatchCritic(MEL, width=2), "loss": LeastSquares(), "inputs": inputs}
    return TextToSpeech(generator, representation=VocodedMel((1, 16384), MEL), **{**parts, **options})


def batch() -> dict[str, torch.Tensor]:
    texts = torch.stack([TEXT.parse("Yes."), TEXT.parse("Not.")])
    x = 0.1 * torch.randn(2, 1, 16384, generator=torch.Generator().manual_seed(1))
    samples, pitch = torch.tensor([[8000.0], [12000.0]]), torch.full((2, 65), 220.0)
    return {"x": x, "samples": samples, "pitch": pitch, "text": texts, "label": torch.zeros(2, dtype=torch.int64)}


def test_training_reduces_the_distances() -> None:
    made, data = game(feature_matching_weight=1.0), batch()
    optimizer = torch.optim.Adam(made.nets["generator"].parameters(), 3e-3)
    history = []
    for step in range(12):
        play = Play(step, seed=0, paused=frozenset({"critic"}))
        play.begin_move("generator")
        losses = made.losses("generator", data, play)
        assert set(losses) == {"mel", "duration", "pitch", "alignment"}
        history.append((losses["mel"] + losses["alignment"]).item())
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert history[-1] < 0.9 * history[0]


def test_the_critic_receives_the_windows_of_the_generator() -> None:
    made, data = game(feature_matching_weight=1.0, binarisation_start=0), batch()
    play = Play(0, seed=0)
    play.begin_move("generator")
    losses = made.losses("generator", data, play)
    assert {"loss", "features", "binarisation"} <= set(losses)
    windows = play.get_stored("windows")
    play.begin_move("critic")
    assert set(made.losses("critic", data, play)) == {"loss"} and play.get_stored("windows") is windows
    assert windows.shape == (2, 1, 80, 64) == play.get_stored("recordings").shape
    alone = Play(0, seed=0)
    alone.begin_move("critic")
    assert torch.isfinite(made.losses("critic", data, alone)["loss"])
    assert made.used_columns() >= {"x", "text", "samples", "pitch"}


def test_the_vocoder_makes_the_sound() -> None:
    made = game()
    with pytest.raises(RuntimeError, match="the vocoder 'vocoder' has not been loaded"):
        made.representation.decode(torch.zeros(1, 80, 4))
    attach_vocoder(made.representation)
    values = made.draw(1, text=TEXT.parse("Yes."))
    sound = made.generate(values)
    assert sound.shape[1] == 1 and sound.shape[2] % 256 == 0 and bool(torch.isfinite(sound).all())
    assert not any("vocoder" in name for name in made.state_dict())
    other = VocodedMel((1, 16384), {**MEL, "f_min": 50})
    with pytest.raises(Exception, match=r"representation\.mel\.f_min=50: the vocoder 'vocoder' needs 0"):
        attach_vocoder(other)
    with pytest.raises(Exception, match="no shipped vocoder has this name"):
        attach_vocoder(VocodedMel((1, 16384), MEL, vocoder="drums"))


def test_settings() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        game(mel_weight=-1)
