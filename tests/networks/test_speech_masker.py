"""Tests of the speech enhancement network, of its critic, and of translation in blocks."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from audiogan.errors import UserError
from audiogan.model.translation.pipes import PipeFormat, parse_raw, read_wav_header
from audiogan.model.translation.streaming import StreamingNetwork, run_stream
from audiogan.networks.speech_masker import SpeechMasker
from audiogan.networks.univnet import SpectrogramPatchCritic
from audiogan.representations import SoundFormat


def masker(**settings: int) -> SpeechMasker:
    torch.manual_seed(0)
    sizes = {"n_fft": 64, "hop_length": 32, "widths": (4, 6), "hidden": 8, **settings}
    net = SpeechMasker((1, 512), (1, 512), **sizes).eval()
    torch.nn.init.normal_(net.mask.weight, std=0.5)
    return net


def sound(channels: int, length: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((channels, length)).astype(np.float32)


@pytest.mark.parametrize("hop_length", [32, 16])
@pytest.mark.parametrize("length", [1, 31, 700])
def test_blocks_give_the_result_of_the_whole_sound(length: int, hop_length: int) -> None:
    net, x = masker(hop_length=hop_length), sound(2, length)
    assert isinstance(net, StreamingNetwork)
    whole = net(torch.tensor(x)[:, None])[:, 0].detach().numpy()
    for block in (1, 50, length):
        blocks = np.split(x, range(block, length, block), axis=1)
        parts = list(run_stream(net, blocks, torch.device("cpu"), "model", block_size=96))
        np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)


def test_delay_and_look_ahead() -> None:
    net, x = masker(), torch.tensor(sound(1, 1024))[None]
    changed = x.clone()
    changed[..., 600:] = 0.5
    same = (net(x) == net(changed))[0, 0]
    assert bool(same[: 600 - net.delay - net.multiple].all()) and not bool(same[600 - 32 :].any())
    assert net.delay == 64 - 32 + 3 * 32


def test_an_open_mask_returns_the_sound_and_silence_stays_silent() -> None:
    net, x = masker(), torch.tensor(sound(1, 640))[None]
    torch.nn.init.zeros_(net.mask.weight)
    net.mask.bias.data = torch.tensor([2 * float(np.arctanh(0.5)), 0.0])
    torch.testing.assert_close(net(x), x, atol=1e-6, rtol=0)
    assert not bool(net(torch.zeros(1, 1, 640)).any())


def test_errors() -> None:
    with pytest.raises(ValueError, match="mono"):
        SpeechMasker((2, 512), (2, 512))
    with pytest.raises(ValueError, match="power of two"):
        masker(n_fft=100)
    with pytest.raises(UserError, match="empty"):
        list(run_stream(masker(), [], torch.device("cpu"), "model"))
    with pytest.raises(UserError, match="not finite"):
        list(run_stream(masker(), [np.full((1, 64), np.nan, np.float32)], torch.device("cpu"), "model"))


def test_critic_judges_each_resolution() -> None:
    critic = SpectrogramPatchCritic(SoundFormat(2048), n_ffts=(64, 128), width=4, layers=2)
    out = critic(torch.zeros(3, 1, 2048))
    assert len(out.logits) == 2 and len(out.features) == 4 and critic.features(torch.zeros(3, 1, 2048)).shape == (3, 16)


@pytest.mark.parametrize("kind", ["u1", "i2", "i3", "i4", "f4", "f8"])
def test_formats_of_pipes_keep_samples(kind: str) -> None:
    format = PipeFormat(48_000, 2, kind, size=None, header=True)
    x = np.array([[0.5, -0.25], [0.0, -1.0]], np.float32)
    content = format.wav_header() + format.encode(x)
    found, head = read_wav_header(io.BytesIO(content))
    assert found == format and content.startswith(head)
    np.testing.assert_array_equal(found.decode(content[len(head) :]), x)


def test_other_streams_are_left_to_the_reader_of_files() -> None:
    assert read_wav_header(io.BytesIO(b"fLaC" + bytes(20)))[0] is None
    assert read_wav_header(io.BytesIO(b""))[0] is None
    assert parse_raw("8000") == PipeFormat(8000, 1)
    for text in ("", "fast", "16000,0", "1", "16000,2,3"):
        with pytest.raises(UserError):
            parse_raw(text)
