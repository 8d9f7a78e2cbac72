"""Tests of the alignment of texts and spectrograms, and of the network for text to speech."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from audiogan.inputs import SpokenText
from audiogan.inputs.spoken import SYMBOLS
from audiogan.losses.alignment import binarisation, forward_sum
from audiogan.networks.alignment import beta_binomial, monotonic_durations
from audiogan.networks.fastspeech import FastSpeech, Joined
from audiogan.networks.mel_critic import MelPatchCritic


def paths(symbols: int, frames: int) -> list[list[int]]:
    """Return the durations of all monotonic paths."""
    cuts = ([0, *c, frames] for c in combinations(range(1, frames), symbols - 1))
    return [np.diff(c).tolist() for c in cuts]


def score(values: np.ndarray, durations: list[int]) -> float:
    """Return the sum of the scores ``[T, N]`` on a path."""
    steps = np.repeat(np.arange(len(durations)), durations)
    return float(values[np.arange(len(steps)), steps].sum())


@pytest.mark.parametrize("seed", range(5))
def test_alignment_search_finds_the_best_of_all_paths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    symbols, frames = np.array([3, 1, 4, 5]), np.array([8, 6, 4, 9])
    scores = rng.normal(size=(4, 9, 5)).astype(np.float32)
    found = monotonic_durations(scores, symbols, frames)
    for values, durations, n, t in zip(scores, found, symbols, frames, strict=True):
        assert durations[n:].sum() == 0 and durations.sum() == t and durations[:n].min() >= 1
        best = max(paths(n, t), key=lambda path: score(values, path))
        assert durations[:n].tolist() == best
    with pytest.raises(ValueError, match="more symbols than"):
        monotonic_durations(scores, np.array([5, 1, 1, 1]), np.array([4, 9, 9, 9]))


def test_forward_sum_counts_all_paths_without_blanks() -> None:
    logs = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    lengths = torch.tensor([3]), torch.tensor([5])
    # Without blanks, the likelihood is the sum over all monotonic paths.
    with_blank = torch.nn.functional.pad(logs, (1, 0), value=-1.0).log_softmax(-1)
    lower = -torch.tensor([score(with_blank[0, :, 1:].numpy(), path) for path in paths(3, 5)]).logsumexp(0) / 3
    assert float(forward_sum(logs, *lengths)) < float(lower)  # Blanks add paths.
    durations = torch.tensor([[2, 2, 1]])
    wanted = -score(logs[0].numpy(), [2, 2, 1]) / 5
    assert abs(float(binarisation(logs, durations, lengths[1])) - wanted) < 1e-5


def test_prior_is_a_distribution_along_the_diagonal() -> None:
    prior = beta_binomial(7, 20)
    np.testing.assert_allclose(np.exp(prior).sum(1), 1, rtol=1e-5)
    assert (np.diff(prior.argmax(1)) >= 0).all() and prior[0].argmax() == 0 and prior[-1].argmax() == 6


def network() -> FastSpeech:
    torch.manual_seed(0)
    net = FastSpeech((20, 64), len(SYMBOLS) + 1, ["en", "de"], classes=2, width=16, text_layers=2, layers=2)
    with torch.no_grad():
        net.duration.bias.fill_(1.6)  # about four frames for each symbol
    return net.eval()


def say(net: FastSpeech, text: str, speed: float = 1, pitch: float = 0, speaker: int = 0) -> torch.Tensor:
    x = SpokenText(languages=["en", "de"]).parse(text)[None]
    numbers = torch.tensor([[speed]]), torch.tensor([[pitch]])
    with torch.no_grad():
        return net(text=x, classes=torch.eye(2)[speaker : speaker + 1], speed=numbers[0], pitch=numbers[1])


def test_a_text_sounds_the_same_alone_and_in_a_batch() -> None:
    net, text = network(), SpokenText(languages=["en", "de"])
    short, long = text.parse("Yes."), text.parse("A much longer sentence.")
    batch = torch.zeros(2, 3, long.shape[1], dtype=torch.int64)
    batch[0, :, : short.shape[1]], batch[1] = short, long
    ones = torch.ones(2, 1)
    with torch.no_grad():
        both = net(text=batch, classes=torch.eye(2)[:1].expand(2, 2), speed=ones, pitch=0 * ones)
    for row, words in zip(both, ("Yes.", "A much longer sentence."), strict=True):
        alone = say(net, words)[0]
        torch.testing.assert_close(row[:, : alone.shape[1]], alone, atol=1e-4, rtol=0)
    assert float((both[0, :, -1] + 11.5129).abs().max()) < 1e-3  # Padding is silence.


def test_speed_pitch_speaker_and_language() -> None:
    net = network()
    plain = say(net, "Please try again.")
    assert abs(say(net, "Please try again.", speed=2).shape[2] / plain.shape[2] - 0.5) < 0.1
    assert say(net, "Please try again.", pitch=12).shape == plain.shape
    assert say(net, "Please try again.", speaker=1).shape != plain.shape  # The German pronunciation is longer.


def test_teaching_uses_all_frames_and_has_gradients() -> None:
    net, text = network().train(), SpokenText(languages=["en", "de"])
    frames, x = torch.tensor([30, 41]), torch.stack([text.parse("Yes."), text.parse("Not.")])
    mel, hertz = torch.randn(2, 20, 41) - 5, torch.full((2, 41), 200.0)
    result = net.forward_teacher_forced(x, torch.eye(2), mel, frames, hertz)
    assert result.mel.shape == result.target.shape == (71, 20) and result.durations.sum(1).tolist() == [30, 41]
    torch.testing.assert_close(result.target[30:], mel[1].T)
    loss = result.mel.mean() + result.log_durations[0].sum() + result.voicing[0].sum() + result.pitch[0].sum()
    (loss + forward_sum(result.alignment, result.symbols, result.frames)).backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())


def test_gaps_isolate_joined_sequences() -> None:
    joined = Joined(torch.tensor([2, 3]))
    x = torch.arange(1.0, 6)[:, None]
    assert joined.insert_gaps(x)[0, :, 0].tolist() == [1, 2, 0, 0, 0, 3, 4, 5, 0, 0, 0]
    assert torch.equal(joined.remove_gaps(joined.insert_gaps(x)), x) and joined.pad(x)[..., 0].tolist() == [
        [1, 2, 0],
        [3, 4, 5],
    ]


def test_critic_takes_sounds_and_windows() -> None:
    critic = MelPatchCritic({"sample_rate": 16000}, width=2)
    images = critic.view(torch.zeros(1, 1, 16384))
    assert images.shape == (1, 1, 80, 64) and critic.view(images) is images and critic(images).features
