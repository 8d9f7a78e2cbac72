"""Tests of voice conversion: terms of the game, inputs, long sounds, references, and the weights of the vocoder."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiogan import UserError
from audiogan.core import Play
from audiogan.games import VoiceConversion
from audiogan.inputs import Classes, Seeded, SpeakerReference, VoiceSignal
from audiogan.losses import LeastSquares
from audiogan.modalities import Sound
from audiogan.model.translation.signals import Translation
from audiogan.networks.stargan_vc import StarGANVC, StarGANVCCritic
from audiogan.networks.vocos import Vocos
from audiogan.representations import VocodedMel
from audiogan.representations import parts as frame_parts

MEL: dict[str, Any] = {"n_fft": 1024, "hop_length": 256, "n_mels": 20}
LENGTH = 8192


def small(**options: Any) -> VoiceConversion:
    torch.manual_seed(0)
    full = {"sample_rate": 16000, **MEL}
    vocoder = Vocos((1, LENGTH), full, width=8, layers=1)
    generator = StarGANVC((20, 32), full, classes=2, width=8, layers=1, code=4, smoothness=6)
    inputs = {
        "source": VoiceSignal("source", (1, LENGTH), Sound(16000), **MEL),
        "classes": Classes(labels=["low", "high"]),
        "speaker": SpeakerReference("speaker", (1, LENGTH), Sound(16000), **MEL),
    }
    parts: dict[str, Any] = {"critic": StarGANVCCritic((20, 32), 2, width=4, layers=2), "loss": LeastSquares()}
    representation = VocodedMel((1, LENGTH), full)
    representation.set_vocoder(vocoder)
    return VoiceConversion(generator, representation=representation, inputs=inputs, **parts, **options)


def tone(hertz: float, length: int = LENGTH) -> Tensor:
    time = torch.arange(length) / 16000
    return sum(0.3 / n * torch.sin(2 * torch.pi * n * hertz * time) for n in range(1, 6))[None]  # type: ignore[index]


def batch() -> dict[str, Tensor]:
    x = torch.stack([tone(hertz) for hertz in (100.0, 200.0, 110.0, 220.0)])
    return {"x": x, "label": torch.tensor([0, 1, 0, 1])}


def model(game: VoiceConversion) -> Any:
    """Return an object with the attributes of a generator that `Translation` uses."""
    game.eval()
    routes = SimpleNamespace(find_unambiguous=lambda name: "generator")
    return SimpleNamespace(
        game=game, inputs=game.inputs, routes=routes, name="small", modality=Sound(16000), shape=(1, LENGTH)
    )


def test_the_terms_of_both_players_train_their_networks() -> None:
    game, context = small(), Play(0)
    context.begin_move("generator")
    losses = game.losses("generator", batch(), context)
    assert set(losses) == {"loss", "cycle", "identity", "speaker", "spectrum"}
    torch.stack(list(losses.values())).sum().backward()
    trained = {name for name, weight in game.nets["generator"].named_parameters() if weight.grad is not None}
    assert trained == {name for name, _ in game.nets["generator"].named_parameters()}
    assert all(weight.grad is None for weight in game.representation.parameters())
    context.begin_move("critic")
    critic = game.losses("critic", batch(), context)
    assert set(critic) == {"loss"} and torch.isfinite(critic["loss"])
    assert context.recorded_values["fake_logits"].shape == (4,)
    assert game.real_logits(batch()).shape == (4,) and len(game.features(batch())) == 4


def test_without_the_critic_there_is_no_adversarial_term() -> None:
    game, context = small(), Play(0, paused=frozenset({"critic"}))
    context.begin_move("generator")
    assert set(game.losses("generator", batch(), context)) == {"cycle", "identity", "speaker", "spectrum"}
    assert not context.has_stored("fake")


def test_median_pitch_of_speakers_is_learned() -> None:
    game, context = small(), Play(0)
    context.begin_move("generator")
    game.losses("generator", batch(), context)
    net: Any = game.nets["generator"]
    octaves = net.median_pitch(torch.eye(2))
    assert octaves.tolist() == pytest.approx([np.log2(1.1) / 2, 1 + np.log2(1.1) / 2], abs=0.08)
    assert net.mean_spectra(torch.eye(2)).mean(1).tolist() == pytest.approx([0, 0], abs=1e-5)


def test_the_harmonic_pattern_has_the_pitch_of_the_target() -> None:
    net: Any = StarGANVC((80, 32), {"sample_rate": 16000}, classes=2, width=8, layers=1, code=4)
    voiced = torch.ones(1, 32)
    for hertz in (150.0, 300.0):
        pattern = net.harmonics(torch.full((1, 32), np.log2(hertz / 100)), voiced)[0, :, 16]
        mel = net.mel(tone(hertz)[None])[0, :, 16]
        lowest = slice(0, 25)
        assert int(pattern[lowest].argmax()) in {int(mel[lowest].argmax()) + k for k in (-1, 0, 1)} or (
            float(np.corrcoef(pattern[lowest], (mel - net.smoother @ mel)[lowest])[0, 1]) > 0.7
        )
    assert not bool(net.harmonics(torch.zeros(1, 32), 0 * voiced).any())


def test_source_channels_are_spectrogram_contour_voicing_and_median() -> None:
    source: Any = small().inputs["source"]
    x = source.encode(torch.cat([tone(100, 4096), tone(200, 12288)], dim=1)[None])[0]
    assert x.shape == (23, 64)
    assert x[-1, 0] == pytest.approx(1, abs=0.02) and x[-3, 5] == pytest.approx(-1, abs=0.05)
    assert x[-2, 2:60].mean() > 0.9 and x[-3, 40] == pytest.approx(0, abs=0.05)


def test_any_length_equals_one_piece_and_keeps_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    game = small()
    sound = torch.cat([tone(100, 30000), tone(140, 31001)], dim=1).numpy()
    options = {"inputs": {"classes": "high"}}
    whole = np.concatenate(list(Translation(model(game), **options).run(sound, sound.shape[1:])), 1)
    assert whole.shape == sound.shape and np.isfinite(whole).all()
    monkeypatch.setattr(frame_parts, "FRAMES_PER_PART", 40)
    parts = np.concatenate(list(Translation(model(game), **options).run(iter(np.array_split(sound, 7, 1)))), 1)
    assert np.abs(whole - parts).max() < 1e-3  # Rounding of the phase of the pulse train.
    with pytest.raises(UserError, match="empty"):
        Translation(model(game), **options).run(np.zeros((1, 0), np.float32))


def test_a_reference_replaces_the_class() -> None:
    game = small()
    sound, reference = tone(120).numpy(), tone(240, 5000).numpy()

    def converted(**inputs: Any) -> np.ndarray:
        return next(iter(Translation(model(game), inputs=inputs).run(sound, sound.shape[1:])))

    by_class = [converted(classes=name) for name in ("low", "high")]
    by_reference = [converted(classes=name, speaker=reference) for name in ("low", "high")]
    assert np.array_equal(*by_reference) and not np.array_equal(*by_class)
    with pytest.raises(UserError, match="no voice was found"):
        converted(speaker=np.zeros((1, 4000), np.float32))
    speaker: Any = game.inputs["speaker"]
    silent = speaker.draw(1, Seeded(0))[0]
    assert speaker.to_json(silent) is None and torch.equal(speaker.from_json(None), silent)


def test_networks_with_different_spectrograms_are_refused() -> None:
    game = small()
    parts: Any = {name: getattr(game, name) for name in ("loss", "representation")}
    inputs: Any = dict(game.inputs.items())
    inputs["source"] = VoiceSignal("source", (1, LENGTH), Sound(16000), **{**MEL, "f_min": 50})
    generator: nn.Module = game.nets["generator"]
    with pytest.raises(ValueError, match="same mel spectrogram"):
        VoiceConversion(generator, game.nets["critic"], inputs=inputs, **parts)
