"""Tests of critics of several resolutions: each critic receives its own spectrogram. The excerpt of the spectrogram
with short windows is random during training only."""

from __future__ import annotations

import pytest
import torch

from audiogan.networks.multiresolution import CropSTFTView, MultiResolutionCritic
from audiogan.representations import SoundFormat

SMALL = dict.fromkeys(("mel_widths", "stft_widths", "onset_widths", "line_widths"), (4, 4))


@pytest.mark.parametrize("channels", [1, 2])
def test_four_critics_and_their_gradients(channels: int) -> None:
    critic = MultiResolutionCritic(SoundFormat(8192, channels, 44100), classes=2, n_mels=32, part=4096, **SMALL)
    sounds = torch.randn(2, channels, 8192, requires_grad=True)
    logits = critic(critic.view(sounds), torch.eye(2))
    assert [tuple(each.shape) for each in logits] == [(2,)] * 4
    for each in logits:
        (gradient,) = torch.autograd.grad(each.sum(), sounds, retain_graph=True)
        assert gradient.isfinite().all() and gradient.abs().sum() > 0


def test_critics_can_be_left_out() -> None:
    critic = MultiResolutionCritic(SoundFormat(8192), n_mels=32, **{**SMALL, "stft_widths": (), "line_widths": ()})
    assert len(critic(critic.view(torch.randn(2, 1, 8192)))) == 2
    with pytest.raises(ValueError, match="at least one critic"):
        MultiResolutionCritic(SoundFormat(8192), **dict.fromkeys(SMALL, ()))


def test_parts_are_random_in_training_only() -> None:
    view = CropSTFTView(SoundFormat(16384), 256, 128, 4096, 4)
    sounds = torch.randn(1, 1, 16384).expand(16, -1, -1)
    torch.manual_seed(0)
    parts = view(sounds)
    assert parts.shape == (16, *view.shape)
    starts = parts[:, 3, 0, 0] * 16384
    assert (starts == 0).sum() >= 4 and (starts > 0).any() and (starts <= 16384 - 4096).all()
    place = int(starts.argmax())
    start = int(starts[place])
    view.eval()
    assert torch.equal(view(sounds)[place], view(sounds)[0])
    expected = view(sounds[:1, :, start : start + 4096].repeat(1, 1, 4))[0, :3]
    assert torch.allclose(parts[place, :3], expected, atol=1e-5)
