"""Tests of the accuracy of representations on real drums, and of their inversion."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import scipy.signal
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audiogan.representations import ComplexSTFT, LogMagnitude, Mel, Representation, SoundFormat, Waveform
from audiogan.representations.stft import Frames

LENGTH = 16384


@pytest.fixture(scope="module")
def drums(real_drums: Path) -> Tensor:
    """Return 48 real drums of all classes, `[48, 1, 16384]`."""
    files = sorted(real_drums.rglob("*.wav"))
    waves = torch.zeros(48, 1, LENGTH)
    for wave, file in zip(waves, files[:: len(files) // 48], strict=False):
        samples = torch.from_numpy(soundfile.read(file, dtype="float32")[0][:LENGTH])
        wave[0, : len(samples)] = samples
    return waves


def snr(wave: Tensor, other: Tensor) -> Tensor:
    """Return the signal-to-noise ratio in dB, `[B]`."""
    return 10 * torch.log10(
        wave.square().flatten(1).sum(1) / (other - wave).square().flatten(1).sum(1).clamp_min(1e-30)
    )


def convergence(representation: LogMagnitude, wave: Tensor, other: Tensor) -> Tensor:
    """Return the spectral convergence in dB, `[B]`, on the frames of the representation."""
    a, b = (representation.frames.analyse(w).abs().flatten(1) for w in (wave, other))
    return 20 * torch.log10((a - b).norm(dim=1) / a.norm(dim=1))


@pytest.mark.parametrize("kind", [Waveform, ComplexSTFT, LogMagnitude, Mel])
def test_keeps_its_stated_accuracy_on_real_drums(kind: type, drums: Tensor) -> None:
    representation: Representation = kind(SoundFormat(LENGTH))
    representation.fit(drums.split(16))
    decoded = representation.decode(representation.encode(drums))
    figure = float(re.search(r"-?\d+", representation.accuracy)[0])  # type: ignore[index]
    if representation.exact:
        assert representation.accuracy == f">= {figure:g} dB SNR"
        assert snr(drums, decoded).min() >= figure
    else:
        assert isinstance(representation, LogMagnitude)
        assert representation.accuracy == f"<= {figure:g} dB mean spectral convergence"
        assert convergence(representation, drums, decoded).mean() <= figure


@pytest.mark.parametrize("kind", [Waveform, ComplexSTFT, LogMagnitude, Mel])
def test_shape_channels_batches_and_determinism(kind: type) -> None:
    representation: Representation = kind(SoundFormat(5000, channels=2))
    waves = torch.randn(3, 2, 5000, generator=torch.Generator().manual_seed(1)) * 0.1
    representation.fit([waves])
    x = representation.encode(waves)
    assert tuple(x.shape) == (3, *representation.shape)
    decoded = representation.decode(x)
    assert decoded.shape == waves.shape and torch.equal(decoded, representation.decode(x))
    # A decoded clip does not depend on the rest of the batch.
    assert torch.allclose(decoded[1:2], representation.decode(x[1:2]), atol=1e-4)
    short = x[:, :1] if kind is Waveform else x[..., 1:]  # Waveforms may have any length.
    for method, wrong in ((representation.encode, waves[:, :1]), (representation.decode, short)):
        with pytest.raises(ValueError, match=re.escape(str(list(wrong.shape)))):
            method(wrong)


@settings(max_examples=40, deadline=None)
@given(
    half=st.integers(2, 150),
    overlap=st.floats(0.05, 1),
    more=st.integers(0, 1500),
    channels=st.integers(1, 3),
    power=st.sampled_from([1.0, 0.5, 0.3]),
    seed=st.integers(0, 999),
)
def test_complex_stft_is_exact_for_any_size(
    half: int, overlap: float, more: int, channels: int, power: float, seed: int
) -> None:
    hop = max(1, int(half * overlap))
    representation = ComplexSTFT(SoundFormat(hop + more, channels), n_fft=2 * half, hop_length=hop, power=power)
    waves = torch.rand(2, channels, hop + more, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    representation.fit([waves])
    assert snr(waves, representation.decode(representation.encode(waves))).min() > 100


@settings(max_examples=20, deadline=None)
@given(half=st.integers(2, 100), overlap=st.floats(0.05, 1), more=st.integers(0, 900), seed=st.integers(0, 999))
def test_dual_window_inverts_specgans_frames(half: int, overlap: float, more: int, seed: int) -> None:
    hop = max(1, int(half * overlap))
    frames = Frames(hop + more, 2 * half, hop, pad=(2 * half - hop) // 2)
    wave = torch.rand(2, hop + more, generator=torch.Generator().manual_seed(seed)) - 0.5
    assert snr(wave, frames.synthesise(frames.analyse(wave))).min() > 90


def test_frames_are_scipys() -> None:
    wave = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    window = scipy.signal.get_window("hann", 256)  # periodic
    transform = scipy.signal.ShortTimeFFT(window, 128, fs=1, fft_mode="onesided", phase_shift=None)
    expected = torch.from_numpy(transform.stft(wave.double().numpy(), p0=0, p1=25)).to(torch.complex64)
    got = Frames(3000, 256, 128, pad=128).analyse(wave).transpose(-1, -2)
    assert got.shape == (2, 129, 25) and torch.allclose(got, expected, atol=1e-4)
    reference = torch.stft(wave, 256, 128, window=torch.hann_window(256), return_complex=True, pad_mode="constant")
    assert torch.allclose(got[..., : reference.shape[-1]], reference, atol=1e-4)


@pytest.mark.parametrize(("length", "n_fft", "hop", "pad"), [(40, 8, 4, 4), (37, 12, 5, 0), (30, 8, 2, 3)])
def test_the_gradient_of_frames_is_right(length: int, n_fft: int, hop: int, pad: int) -> None:
    frames = Frames(length, n_fft, hop, pad).double()
    wave = torch.randn(2, 1, length, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(frames.analyse, wave)
    assert torch.autograd.gradgradcheck(frames.analyse, wave)


def test_complex_stft_layout_and_scale(drums: Tensor) -> None:
    representation = ComplexSTFT(SoundFormat(LENGTH))
    assert representation.shape == (2, 129, 129)
    representation.fit(drums.split(7))
    encoded = representation.encode(drums)
    assert encoded.square().mean().sqrt() == pytest.approx(1, abs=1e-4)
    assert encoded.abs().amax((1, 2, 3)).min() > 1  # Every drum exceeds 1.
    # A sine of full scale in the middle of bin 32 has magnitude 1. Its phase is encoded in two channels.
    sine = torch.cos(2 * torch.pi * (torch.arange(LENGTH) % 8) / 8).expand(1, 1, -1)
    plain = ComplexSTFT(SoundFormat(LENGTH), power=0.5).encode(sine)[0, :, 32, 64]
    assert torch.allclose(plain, torch.tensor([1.0, 0.0]), atol=1e-4)
    assert torch.allclose(
        ComplexSTFT(SoundFormat(LENGTH), power=0.5).encode(sine / 4)[0, 0, 32, 64], torch.tensor(0.5), atol=1e-4
    )


def test_complex_stft_gradients() -> None:
    representation = ComplexSTFT(SoundFormat(40), n_fft=8, hop_length=4, power=0.5).double()
    wave = (torch.randn(1, 1, 40, generator=torch.Generator().manual_seed(0)) * 0.3).double().requires_grad_()
    x = representation.encode(wave).detach().requires_grad_()
    for function, point in ((representation.encode, wave), (representation.decode, x)):
        assert torch.autograd.gradcheck(function, point)
        assert torch.autograd.gradgradcheck(function, point)


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("level", [0.0, 1e-30, 1e-8, 1e-3])
def test_complex_stft_gradient_is_finite_and_bounded_near_silence(power: float, level: float) -> None:
    representation = ComplexSTFT(SoundFormat(2048), power=power)
    wave = (level * torch.randn(1, 1, 2048)).requires_grad_()
    x = representation.encode(wave)
    (gradient,) = torch.autograd.grad(x.sum(), wave)
    # A sample is in two frames, whose weights sum to 1, and in 129 bins as re + im, |.| <= sqrt(2), over 64.
    bound = representation.floor ** (power - 1) * 129 * 2**0.5 / 64
    assert torch.isfinite(gradient).all() and gradient.abs().max() <= bound
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(representation.decode(x).sum(), x)
    assert torch.isfinite(gradient).all()


def test_log_magnitude_is_specgans(drums: Tensor) -> None:
    representation = LogMagnitude(SoundFormat(LENGTH))
    assert representation.shape == (1, 128, 128)
    representation.fit(drums.split(5))
    magnitude = torch.stft(
        torch.nn.functional.pad(drums[:, 0], (64, 64)), 256, 128, window=torch.hann_window(256), center=False,
        return_complex=True,
    ).abs()  # fmt: skip
    logs = torch.log(magnitude[:, :128] + 1e-6).double()  # [B, F, N]
    mean, deviation = logs.mean((0, 2), keepdim=True), logs.std((0, 2), correction=0, keepdim=True)
    expected = ((logs - mean) / (3 * deviation)).clamp(-1, 1).float()
    assert torch.allclose(representation.encode(drums)[:, 0], expected, atol=2e-3)
    assert expected.std() == pytest.approx(1 / 3, abs=0.02)


def test_no_ripple_from_hop_to_hop() -> None:
    """With the true phase, the inverse is flat. A synthesis window other than the dual window would ripple by 6 dB."""
    frames = Frames(4096, 256, 128, pad=64)
    ones = torch.ones(4096)
    assert torch.allclose(frames.synthesise(frames.analyse(ones)), ones, atol=1e-5)


def test_constant_bands_and_extreme_inputs_stay_finite() -> None:
    representation = LogMagnitude(SoundFormat(4096))
    representation.fit([torch.zeros(2, 1, 4096)])  # The standard deviation is 0 everywhere.
    assert not representation.encode(torch.zeros(1, 1, 4096)).any()
    loud = representation.encode(torch.randn(2, 1, 4096))
    assert torch.isfinite(loud).all() and loud.abs().max() <= 1
    assert representation.decode(torch.full((1, *representation.shape), -1.0)).abs().max() < 1e-4
    assert torch.isfinite(representation.decode(torch.full((1, *representation.shape), 50.0))).all()


def test_statistics_do_not_depend_on_batching_and_live_in_the_checkpoint(drums: Tensor) -> None:
    for kind in (ComplexSTFT, LogMagnitude, Mel):
        whole, parts, loaded = (kind(SoundFormat(LENGTH)) for _ in range(3))
        whole.fit([drums])
        parts.fit(drums[i : i + 1 + i % 5] for i in _starts(48))
        for key, value in whole.state_dict().items():
            assert torch.allclose(value, parts.state_dict()[key], atol=1e-5), key
        loaded.load_state_dict(whole.state_dict())
        assert torch.equal(loaded.encode(drums[:2]), whole.encode(drums[:2]))


def _starts(n: int) -> list[int]:
    starts = [0]
    while starts[-1] + 1 + starts[-1] % 5 < n:
        starts.append(starts[-1] + 1 + starts[-1] % 5)
    return starts


def test_mel_orders_tones_by_pitch() -> None:
    representation = Mel(SoundFormat(LENGTH, sample_rate=16000))
    representation.fit([torch.randn(4, 1, LENGTH)])
    t = torch.arange(LENGTH) / 16000
    tones = torch.stack([torch.sin(2 * torch.pi * f * t) for f in (200, 800, 3000)])[:, None]
    bands = representation._logs(tones).mean(2).argmax(-1).flatten().tolist()
    assert bands == sorted(set(bands))
    decoded = representation.decode(representation.encode(tones))
    peaks = torch.fft.rfft(decoded[:, 0]).abs().argmax(-1) * 16000 / LENGTH
    assert torch.allclose(peaks, torch.tensor([200.0, 800.0, 3000.0]), rtol=0.02, atol=16)  # 16 Hz: a bin


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: ComplexSTFT(SoundFormat(0)), "length=0"),
        (lambda: ComplexSTFT(SoundFormat(100, channels=0)), "channels=0"),
        (lambda: ComplexSTFT(SoundFormat(1000), n_fft=255), "n_fft=255"),
        (lambda: ComplexSTFT(SoundFormat(1000), n_fft=256, hop_length=129), "hop_length=129.*n_fft/2=128"),
        (lambda: ComplexSTFT(SoundFormat(1000), hop_length=0), "hop_length=0"),
        (lambda: ComplexSTFT(SoundFormat(100), hop_length=128), "length=100.*hop_length=128"),
        (lambda: ComplexSTFT(SoundFormat(1000), power=0), "power=0"),
        (lambda: ComplexSTFT(SoundFormat(1000), floor=0), "floor=0"),
        (lambda: LogMagnitude(SoundFormat(1000), n_fft=256, hop_length=512), "hop_length=512"),
        (lambda: LogMagnitude(SoundFormat(1000), iterations=-1), "iterations=-1"),
        (lambda: Mel(SoundFormat(4096), n_mels=200, n_fft=256, hop_length=64), "n_mels=200.*n_fft=256"),
        (lambda: Mel(SoundFormat(4096), f_min=9000.0), "f_min=9000"),
        (lambda: LogMagnitude(SoundFormat(1000)).fit([]), "no signals"),
        (lambda: ComplexSTFT(SoundFormat(1000)).fit([torch.zeros(2, 1, 1000)]), "silent"),
        (lambda: ComplexSTFT(SoundFormat(1000)).fit([torch.full((2, 1, 1000), float("nan"))]), "NaN"),
    ],
)
def test_senseless_settings_are_named(make: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make()  # type: ignore[operator]


def test_stft_and_its_inverse_agree_with_torchaudio() -> None:
    from torchaudio.transforms import InverseSpectrogram, Spectrogram

    wave = torch.randn(2, 1, 4096, generator=torch.Generator().manual_seed(0))
    representation = ComplexSTFT(SoundFormat(4096), power=1.0)
    real, imaginary = representation.encode(wave).unbind(1)
    theirs = Spectrogram(n_fft=256, hop_length=128, power=None, pad_mode="constant")(wave)[:, 0]
    mine = torch.complex(real, imaginary)
    ratio = (theirs.abs().sum() / mine.abs().sum()).item()
    torch.testing.assert_close(mine * ratio, theirs, atol=1e-3, rtol=1e-3)
    back = InverseSpectrogram(n_fft=256, hop_length=128)(theirs[:, None], length=4096)
    torch.testing.assert_close(representation.decode(representation.encode(wave)), back, atol=1e-4, rtol=1e-3)
