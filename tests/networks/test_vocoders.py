"""Tests of Vocos, HiFi-GAN and their critics: sizes of the papers, any length, tiles, and the game of vocoders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiogan.games import Vocoding
from audiogan.inputs import MelSignal
from audiogan.losses import Hinge, MelDistance
from audiogan.modalities import Sound
from audiogan.model.translation.tiling import apply_tiled
from audiogan.networks.dac import MRD, CriticSum
from audiogan.networks.hifigan import MPD, MSD, HiFiGAN
from audiogan.networks.vocos import Vocos, band_interpolation, cached_stft, griffin_lim_phases
from audiogan.representations import MelSpectrogram, SoundFormat, Waveform

MEL = {"sample_rate": 16000, "n_fft": 256, "hop_length": 64, "n_mels": 20}


def parameters(net: nn.Module) -> int:
    """Return the number of parameters without the gains of weight norm."""
    return sum(p.numel() for name, p in net.named_parameters() if not name.endswith("original0"))


def small(**options: Any) -> Vocos:
    return Vocos((1, 1024), MEL, width=8, layers=2, **options)


def hifigan(**options: Any) -> HiFiGAN:
    sizes: dict[str, Any] = {"rates": (8, 8), "kernels": (16, 16), "blocks": (3, 5), "dilations": ((1, 3), (1, 2))}
    return HiFiGAN((1, 1024), MEL, width=16, **{**sizes, **options})


def test_sizes_of_the_papers() -> None:
    lj = {"sample_rate": 22050, "f_max": 8000.0}
    assert parameters(HiFiGAN((1, 8192), lj, width=128)) == 925_985
    three = {"blocks": (3, 5, 7), "dilations": ((1, 2), (2, 6), (3, 12)), "paired": False}
    assert parameters(HiFiGAN((1, 8192), lj, (8, 8, 4), (16, 16, 8), 256, **three)) == 1_462_273
    assert parameters(MRD()) == 1_411_587


@pytest.mark.slow
def test_large_sizes_of_the_papers() -> None:
    assert parameters(HiFiGAN((1, 8192), {"sample_rate": 22050, "f_max": 8000.0})) == 13_926_017
    assert parameters(Vocos((1, 8192), {"sample_rate": 24000, "n_mels": 100})) == 13_531_650
    assert round(parameters(MPD()) / 1e6, 1) == 41.1
    assert round(parameters(MSD()) / 1e6, 1) == 29.6


@pytest.mark.parametrize("make", [small, lambda: small(prior=True, iterations=2), hifigan])
def test_a_frame_becomes_a_hop_and_far_frames_have_no_effect(make: Any) -> None:
    torch.manual_seed(0)
    net = make().eval()
    nn.init.normal_(net.head.weight if isinstance(net, Vocos) else net.last.parametrizations.weight.original1, std=0.3)
    reach = net.receptive_field // 64
    mel = torch.randn(1, 20, 2 * reach + 3)
    with torch.no_grad():
        first = net(mel=mel)
        changed = mel.clone()
        changed[..., 0] += 1
        second = net(mel=changed)
    assert first.shape == (1, 1, 64 * mel.shape[-1]) and torch.isfinite(first).all()
    assert bool((first != second).any())
    assert torch.equal(first[..., 64 * (reach + 1) :], second[..., 64 * (reach + 1) :])


def test_griffin_lim_makes_consistent_magnitudes() -> None:
    time = torch.arange(4096) / 16000
    sound = 0.3 * torch.sin(2 * torch.pi * 440 * time)[None, None]
    net, frames = small(), cached_stft(64, 256, 64, torch.device("cpu"))
    magnitude = net.magnitudes(sound)
    errors = []
    for iterations in (1, 16):
        unit = griffin_lim_phases(magnitude, frames, iterations)
        assert torch.allclose(unit.norm(dim=-1)[magnitude > 1e-3], torch.ones(()), atol=1e-4)
        made = frames.synthesise(torch.view_as_complex(magnitude[..., None] * unit))
        errors.append(float((net.magnitudes(made[:, None]) - magnitude).norm() / magnitude.norm()))
    assert errors[1] < 0.5 * errors[0]


def test_the_prior_restores_a_flat_spectrum() -> None:
    mel = MelSpectrogram(**MEL)  # type: ignore[arg-type]
    matrix = band_interpolation(mel)
    logs = (torch.full((1, 129), 3.0) @ mel.filters).log()
    assert torch.allclose(logs @ matrix[:-1] + matrix[-1], torch.tensor(3.0).log(), atol=1e-4)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Vocos((1, 1000), MEL), "multiple of 64"),
        (lambda: Vocos((2, 1024), MEL), "multiple of 64"),
        (lambda: small(iterations=-1), "iterations=-1"),
        (lambda: small()(mel=torch.zeros(1, 80, 4)), r"expected \[B, 20, frames\]"),
        (lambda: hifigan()(mel=torch.zeros(1, 80, 4)), r"expected \[B, 20, frames\]"),
        (lambda: hifigan(rates=(8, 4)), "must be the hop, 64"),
        (lambda: hifigan(kernels=(15, 16)), "even numbers"),
        (lambda: MSD(width=8), "multiple of 16"),
        (lambda: MRD((100, 62)), "multiples of 4"),
        (lambda: CriticSum({}), "at least one"),
    ],
)
def test_arguments_that_do_not_fit(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_critics_return_logits_and_features() -> None:
    critic = CriticSum({"periods": MPD((2, 3), 4, 16), "scales": MSD(2, 16), "spectrograms": MRD((64, 128), 4)})
    x = torch.randn(2, 1, 1000, requires_grad=True)
    out = critic(x)
    assert len(out.logits) == 6 and all(torch.isfinite(each).all() for each in out.logits)
    assert len(out.features) == 2 * 5 + 2 * 7 + 2 * 25
    assert critic.features(x).shape[0] == 2
    torch.autograd.grad(sum(each.sum() for each in out.logits), x)


class Context:
    """Stands for `audiogan.core.Play`."""

    step = 1

    def __init__(self, *paused: str) -> None:
        self.paused, self.stored = frozenset(paused), dict[str, Tensor]()

    def store(self, name: str, value: Tensor) -> None:
        self.stored[name] = value.detach()

    def record(self, **values: Tensor) -> None: ...


def test_the_game_compares_magnitudes() -> None:
    torch.manual_seed(0)
    given = MelSignal("mel", (1, 1024), Sound(16000), n_fft=256, hop_length=64, n_mels=20)
    options: dict[str, Any] = {
        "critic": CriticSum({"periods": MPD((2,), 4, 8), "scales": None}),
        "loss": Hinge(),
        "representation": Waveform(SoundFormat(1024)),
        "inputs": {"mel": given},
        "distances": {"mel": MelDistance(MEL)},
    }
    batch: Any = {"x": 0.1 * torch.randn(2, 1, 1024)}
    game = Vocoding(small(prior=True, iterations=2), **options)
    first: Any = Context("critic")
    assert set(game.losses("generator", batch, first)) == {"magnitude"}
    second: Any = Context()
    terms = game.losses("generator", batch, second)
    assert set(terms) == {"loss", "mel", "magnitude"}
    sum(terms.values(), torch.zeros(())).backward()
    assert all(p.grad is not None for p in game.nets["generator"].parameters())
    assert set(game.losses("critic", batch, second)) == {"loss"}
    with pytest.raises(ValueError, match="magnitude_weight=0"):
        Vocoding(hifigan(), **options)
    plain = Vocoding(hifigan(), magnitude_weight=0, **options)
    assert set(plain.losses("generator", batch, first)) == {"mel"}


@pytest.mark.parametrize("make", [lambda: small(prior=True, iterations=4), hifigan])
def test_tiles_have_no_seams(make: Any) -> None:
    torch.manual_seed(0)
    net = make().eval()
    given = MelSignal("mel", (1, 1024), Sound(16000), n_fft=256, hop_length=64, n_mels=20)
    x = (0.1 * torch.randn(1, 9000)).numpy()

    def process(tiles: Any) -> Any:
        with torch.no_grad():
            return [net(mel=given.encode(torch.from_numpy(tile)[None]))[0].numpy() for tile in tiles]

    made = [
        np.concatenate(list(apply_tiled(x, process, (1024,), net.receptive_field, net.multiple, size)), axis=1)
        for size in (640, 4096, 16384)
    ]
    assert made[0].shape == (1, 9000)
    assert max(np.abs(made[0] - other).max() for other in made[1:]) < 1e-4 * np.abs(made[0]).max()
