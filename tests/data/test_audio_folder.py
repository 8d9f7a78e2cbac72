"""Tests of tables made from a folder of sounds: clips, cache, memory use."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import audiogan
from audiogan.data.sounds.decode import PEAK, DecodeSettings, decode
from audiogan.data.sounds.folder import open_audio_folder
from audiogan.data.sounds.scan import scan_folder
from audiogan.errors import UserError

RNG = np.random.default_rng


def make(root: Path, names: list[str], samples: int = 1600, rate: int = 16_000) -> Path:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        sf.write(root / name, RNG(i).uniform(-0.5, 0.5, samples), rate)
    return root


def clip_of(path: Path, **how: Any) -> np.ndarray:
    """Return the only clip `[C, T]` of a usable file."""
    found = decode(path, DecodeSettings(**how))
    assert found.reason == "usable", found
    (clip,) = found.clips
    return clip


def test_the_contract_with_the_stream(tmp_path: Path) -> None:
    data = open_audio_folder(make(tmp_path, ["b/1.wav", "a/2.wav", "b/3.wav"]), length=2048, progress=False)
    assert (len(data), data.labels, data.class_counts) == (3, ["a", "b"], [1, 2])
    assert (data.modality.sample_rate, data.shape) == (16_000, (1, 2048))
    assert data.source == f"3 clips from {tmp_path} (2 classes)"
    rng = RNG(0)
    before = rng.bit_generator.state
    batch = data.batch(np.array([2, 0, 2, 1]), rng)
    assert rng.bit_generator.state == before
    assert batch["x"].dtype == torch.float32 and batch["x"].shape == (4, 1, 2048)
    assert batch["label"].dtype == torch.int64 and batch["label"].tolist() == [1, 0, 1, 1]
    assert torch.equal(batch["x"], data.signals([2, 0, 2, 1])) and torch.equal(batch["x"][0], batch["x"][2])
    batch["x"].zero_()  # A batch is a copy, so changing it does not change the cache.
    assert data.signals(slice(None)).abs().amax(-1).min() > 0.9
    unlabelled = open_audio_folder(tmp_path, length=2048, labels="none", progress=False)
    assert "label" not in unlabelled.batch(np.array([0]), rng)
    assert (unlabelled.labels, unlabelled.class_counts) == ([], [])


def test_batches_from_threads(tmp_path: Path) -> None:
    data = open_audio_folder(make(tmp_path, [f"{i}.wav" for i in range(40)]), length=1600, progress=False)
    want = data.signals(slice(None))
    wrong: list[int] = []

    def read(seed: int) -> None:
        for indices in RNG(seed).integers(0, 40, (50, 16)):
            if not torch.equal(data.batch(indices)["x"], want[torch.from_numpy(indices)]):
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_nothing_usable_is_an_error_that_says_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the folder is empty"):
        open_audio_folder(tmp_path, progress=False)
    (tmp_path / "a.wav").write_text("text")
    (tmp_path / "b.txt").write_text("text")
    with pytest.raises(UserError, match=r"1 unreadable, 1 not audio; for example a\.wav: Format not recognised"):
        open_audio_folder(tmp_path, progress=False)
    make(tmp_path, ["loose.wav"])
    with pytest.raises(UserError, match=r"1 no label.*labels=folders needs"):
        open_audio_folder(tmp_path, labels="folders", progress=False)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    frames=st.integers(400, 9000),
    rate=st.sampled_from([8_000, 11_025, 16_000, 44_100, 96_000]),
    file_channels=st.integers(1, 3),
    channels=st.integers(1, 2),
    length=st.integers(64, 5000),
    long=st.sampled_from(["onset", "start", "slice"]),
    channel_mode=st.sampled_from(["mix", "keep"]),
    trim=st.booleans(),
    lead=st.sampled_from([0.0, 0.005, 0.06]),
    normalize=st.sampled_from(["peak", "none"]),
    gain=st.floats(0.01, 30),
    silence=st.integers(0, 300),
)
def test_clips_have_their_shape_and_are_finite(
    tmp_path_factory: pytest.TempPathFactory,
    frames: int,
    rate: int,
    file_channels: int,
    gain: float,
    silence: int,
    **how: Any,
) -> None:
    x = RNG(frames).standard_normal((frames, file_channels)) * gain
    x[:silence] = 0
    path = tmp_path_factory.getbasetemp() / "property.wav"
    sf.write(path, x, rate, subtype="FLOAT")
    found = decode(path, DecodeSettings(min_seconds=0, **how))
    assert found.reason == "usable" or (found.reason == "silent" and (silence or how["length"] < 50))
    clips = list(found.clips)
    assert 0 < len(clips) <= max(1, found.windows) or found.reason == "silent"
    for clip in clips:
        assert clip.shape == (how["channels"], how["length"]) and clip.dtype == np.float32
        assert np.isfinite(clip).all() and clip.any()
        if how["normalize"] == "peak":
            assert abs(np.abs(clip).max() - PEAK) < 1e-5


def test_short_clips_are_padded_at_the_end(tmp_path: Path) -> None:
    x = RNG(0).uniform(-0.5, 0.5, 1000).astype(np.float32)
    x[:400] = 0
    sf.write(tmp_path / "a.wav", x, 16_000, subtype="FLOAT")
    clip = clip_of(tmp_path / "a.wav", length=1500, normalize="none")[0]
    assert np.array_equal(clip[:1000], x) and not clip[1000:].any()
    trimmed = clip_of(tmp_path / "a.wav", length=1500, normalize="none", trim=True)[0]
    onset = int(np.argmax(np.abs(x) > 0.05 * np.abs(x).max()))
    assert np.array_equal(trimmed[: 1000 - onset + 80], x[onset - 80 :])  # 80 samples: 5 ms
    soft = clip_of(tmp_path / "a.wav", length=1500, normalize="none", trim=True, lead=0.02)[0]
    assert np.array_equal(soft[: 1000 - onset + 320], x[onset - 320 :])
    assert np.array_equal(clip_of(tmp_path / "a.wav", length=1500, normalize="none", trim=True, lead=1.0)[0], clip)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_long_files_are_cropped_at_the_onset(tmp_path: Path, suffix: str) -> None:
    rate, at = 44_100, 12.3  # The onset is many blocks after the beginning of the file.
    x = RNG(0).standard_normal(rate * 20) * 1e-3
    start = round(at * rate)
    x[start : start + 9000] += 0.8 * np.sin(2 * np.pi * 440 * np.arange(9000) / rate)
    sf.write(tmp_path / f"a.{suffix}", x, rate)
    clip = clip_of(tmp_path / f"a.{suffix}")[0]
    first = int(np.argmax(np.abs(clip) > 0.1))
    assert abs(first - 0.005 * 16_000) < (160 if suffix == "mp3" else 6)  # Lossy codecs blur the attack.
    assert decode(tmp_path / f"a.{suffix}", DecodeSettings(long="start")).seconds < 1.1


def test_slices_are_the_file_cut_up(tmp_path: Path) -> None:
    x = RNG(0).uniform(-0.5, 0.5, 200_000).astype(np.float32)
    x[20_000:40_000] = 0
    sf.write(tmp_path / "a.wav", x, 16_000, subtype="FLOAT")
    data = open_audio_folder(tmp_path, length=10_000, long="slice", normalize="none", progress=False)
    kept = [i for i in range(20) if i not in (2, 3)]
    assert torch.equal(data.signals(slice(None))[:, 0], torch.from_numpy(x.reshape(20, -1)[kept]))
    assert next(data.scan.rows())["detail"] == "18 slices, 2 more are silent"
    # Slices that are resampled block by block equal slices of the resampled file. A last slice that is half full is
    # padded.
    whole = soxr.resample(x, 16_000, 11_025, quality="HQ")
    settings = DecodeSettings(sample_rate=11_025, length=9_000, long="slice", normalize="none")
    clips = np.concatenate([c[0] for c in decode(tmp_path / "a.wav", settings).clips])
    kept_whole = np.delete(np.pad(whole, (0, 9_000)), np.s_[18_000:27_000])[: len(clips)]
    assert len(clips) == 14 * 9_000
    np.testing.assert_allclose(clips[:18_000], whole[:18_000], atol=1e-4)
    np.testing.assert_allclose(clips[-len(kept_whole) :], kept_whole, atol=1e-4)


def test_resampling_does_not_alias(tmp_path: Path) -> None:
    t = np.arange(96_000 * 2) / 96_000
    fade = np.hanning(len(t))
    sf.write(tmp_path / "a.wav", fade * (0.4 * np.sin(2e3 * np.pi * t) + 0.4 * np.sin(2 * np.pi * 19_000 * t)), 96_000)
    clip = clip_of(tmp_path / "a.wav", length=32_000)[0]
    spectrum = np.abs(np.fft.rfft(clip * np.hanning(32_000)))
    peak = int(spectrum.argmax())
    assert peak == 2_000  # Bins are 0.5 Hz apart.
    assert np.delete(spectrum, np.s_[peak - 20 : peak + 21]).max() < 1e-4 * spectrum[peak]  # -80 dB


def test_channels(tmp_path: Path) -> None:
    x = RNG(0).uniform(-0.4, 0.4, (1600, 4)).astype(np.float32)
    sf.write(tmp_path / "quad.wav", x, 16_000, subtype="FLOAT")
    sf.write(tmp_path / "mono.wav", x[:, 0], 16_000, subtype="FLOAT")
    how = {"length": 1600, "normalize": "none"}
    np.testing.assert_allclose(clip_of(tmp_path / "quad.wav", **how)[0], x.mean(1), atol=1e-7)
    np.testing.assert_allclose(clip_of(tmp_path / "quad.wav", channels=2, **how)[1], x[:, [1, 3]].mean(1), atol=1e-7)
    assert np.array_equal(clip_of(tmp_path / "quad.wav", channels=2, channel_mode="keep", **how), x[:, :2].T)
    assert np.array_equal(clip_of(tmp_path / "mono.wav", channels=2, **how), x[:, [0, 0]].T)


def test_split(tmp_path: Path) -> None:
    root = make(tmp_path, [f"{c}/{i}.wav" for c, n in (("a", 40), ("b", 20)) for i in range(n)], samples=3200)
    data = open_audio_folder(root, length=800, long="slice", progress=False)
    train, held = data.split(0.25, seed=1)
    assert (len(train), len(held)) == (180, 60)
    assert (train.class_counts, held.class_counts) == ([120, 60], [40, 20])
    assert held.labels == data.labels and held.source.startswith("60 of 240 clips from")
    assert not set(train.rows // 4) & set(held.rows // 4)  # The four slices of a file stay together.
    again = data.split(0.25, seed=1)[1]
    assert torch.equal(held.signals(slice(None)), again.signals(slice(None)))
    assert not torch.equal(held.signals(slice(None)), data.split(0.25, seed=2)[1].signals(slice(None)))
    assert held.columns["x"] is data.columns["x"]
    with pytest.raises(ValueError, match=r"fraction=1\.5"):
        data.split(1.5)


def cached(home: Path) -> list[str]:
    return sorted(p.name for p in home.iterdir())


def test_the_cache_is_used_and_follows_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, home = make(tmp_path / "s", ["a.wav", "b.wav"]), tmp_path / "cache"
    first = scan_folder(root, cache=home, length=800, progress=False)
    with monkeypatch.context() as m:
        m.setattr("audiogan.data.sounds.scan.decode", lambda *_: pytest.fail("decoded again"))
        assert scan_folder(root, cache=home, length=800, progress=False) == first
    assert len(cached(home)) == 1
    scan_folder(root, cache=home, length=900, progress=False)
    assert len(cached(home)) == 2
    make(root, ["c.wav", "d.wav", "e.wav"])
    more = scan_folder(root, cache=home, length=800, progress=False)
    # The files c and d are duplicates of a and b. The outdated cache folder is removed.
    assert more.clips == 3 and len(cached(home)) == 2
    sf.write(root / "a.wav", RNG(9).uniform(-1, 1, 1600), 16_000)
    os.utime(root / "a.wav", ns=(1, 1))
    assert scan_folder(root, cache=home, length=800, progress=False).clips == 4


@pytest.mark.parametrize("damage", ["clips.f32", "index.npy", "about.json", "files.csv", "sealed.json"])
def test_a_damaged_cache_is_built_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    root, home = make(tmp_path / "s", ["a.wav", "b.wav"]), tmp_path / "cache"
    data = open_audio_folder(root, cache=home, length=800, progress=False)
    want = data.signals(slice(None))
    path = data.scan.folder / damage
    content = path.read_bytes()
    path.write_bytes(content[:-4] if damage == "clips.f32" else b"\0" * len(content))
    with caplog.at_level(logging.WARNING):
        again = open_audio_folder(root, cache=home, length=800, progress=False)
    assert "damaged" in caplog.text
    assert torch.equal(again.signals(slice(None)), want)
    assert cached(home) == [data.scan.folder.name]


def build_elsewhere(code: str, *args: object) -> subprocess.Popen[str]:
    """Run `code` in a new Python process that can import this package."""
    env = os.environ | {"PYTHONPATH": str(Path(audiogan.__file__).parents[1])}
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


KILLED = """
import os, signal, sys
from audiogan.data.sounds import scan
store, left = scan._store, [20]
def store_some(*args):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return store(*args)
scan._store = store_some
scan.scan_folder(sys.argv[1], cache=sys.argv[2], length=1600, progress=False)
"""


def test_a_killed_build_leaves_nothing_that_is_believed(tmp_path: Path) -> None:
    root, home = make(tmp_path / "s", [f"{i}.wav" for i in range(40)]), tmp_path / "cache"
    killed = build_elsewhere(KILLED, root, home)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert [name[:5] for name in cached(home)] == [".tmp-"]
    scan = scan_folder(root, cache=home, length=1600, progress=False)
    # The unfinished folder of the killed process is removed.
    assert scan.clips == 40 and cached(home) == [scan.folder.name]


TOGETHER = """
import sys, time
from audiogan.data.sounds import scan
time.sleep(max(0, float(sys.argv[3]) - time.time()))
s = scan.scan_folder(sys.argv[1], cache=sys.argv[2], length=1600, progress=False)
print(s.clips, s.folder.name, (s.folder / scan.CLIPS).stat().st_size)
"""


def test_processes_that_build_at_once(tmp_path: Path) -> None:
    root, home = make(tmp_path / "s", [f"{i}.wav" for i in range(60)]), tmp_path / "cache"
    together = [build_elsewhere(TOGETHER, root, home, time.time() + 1.5) for _ in range(3)]
    outputs = [p.communicate(timeout=60) for p in together]
    assert [p.returncode for p in together] == [0, 0, 0], outputs
    assert {out for out, _ in outputs} == {f"60 {cached(home)[0]} {60 * 1600 * 4}\n"}
    assert len(cached(home)) == 1


FULL = """
import resource, sys
from audiogan.data.sounds.scan import scan_folder
from audiogan.errors import UserError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    scan_folder(sys.argv[1], cache=sys.argv[2], length=1600, progress=False)
except UserError as e:
    print(e)
"""


def test_no_room_or_no_permission_is_one_clear_line(tmp_path: Path) -> None:
    root, home = make(tmp_path / "s", [f"{i}.wav" for i in range(40)]), tmp_path / "cache"
    out, err = build_elsewhere(FULL, root, home).communicate(timeout=60)
    advice = "free disk space there or set AUDIOGAN_CACHE"
    assert out == f"cannot write the cache in {home} (File too large): {advice}\n", err
    assert cached(home) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write the cache in .*Not a directory"):
        scan_folder(root, cache=tmp_path / "file" / "cache", progress=False)


def memory_of_a_folder(root: Path) -> tuple[int, int]:
    """Return the peak of memory while a cache is built and read, and the memory held afterwards, in bytes.

    Each is the smaller of two measurements.
    """
    measured = []
    for i in range(2):
        tracemalloc.start()
        try:
            data = open_audio_folder(root, length=4096, progress=False, cache=root.parent / f"{root.name}-{i}")
            peak = tracemalloc.get_traced_memory()[1]
            data.batch(np.arange(16))
            gc.collect()  # Readers of sounds are in reference cycles.
            measured.append((peak, tracemalloc.get_traced_memory()[0]))
        finally:
            tracemalloc.stop()
    return min(peak for peak, _ in measured), min(held for _, held in measured)


def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    """Memory for 400 more clips of 16 kB: less than 1 kB per clip while building, and 8 bytes per clip afterwards."""
    roots = [make(tmp_path / str(n), [f"{i}.wav" for i in range(n)], samples=500) for n in (100, 500)]
    (small_peak, small_held), (large_peak, large_held) = (memory_of_a_folder(root) for root in roots)
    assert (large_peak - small_peak) / 400 < 1000
    assert (large_held - small_held) / 400 < 100


def test_a_long_file_does_not_have_to_fit_in_memory(tmp_path: Path) -> None:
    second = RNG(0).uniform(-0.5, 0.5, (24_000, 2)).astype(np.float32)
    with sf.SoundFile(tmp_path / "long.wav", "w", 24_000, 2) as f:
        for i in range(600):  # Ten minutes, 115 MB as float32. The first half is silent.
            f.write(second * (i >= 300))
    for long in ("onset", "slice"):
        tracemalloc.start()
        try:
            scan = scan_folder(tmp_path, long=long, progress=False)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 8e6, (long, peak)
        assert scan.clips == (1 if long == "onset" else 294)


def test_real_drums_as_a_data_set(real_drums: Path) -> None:
    data = open_audio_folder(real_drums, progress=False)
    assert len(data) == 1964 and len(data.labels) == 10
    x = data.signals(np.arange(0, 1964, 50))
    assert torch.isfinite(x).all() and torch.allclose(x.abs().amax((1, 2)), torch.tensor(PEAK))
    path = next(row["path"] for row in data.scan.rows() if row["reason"] == "usable")
    wave = sf.read(real_drums / path, dtype="float32")[0]
    np.testing.assert_allclose(x[0, 0, : len(wave)], wave[:16_384] * (PEAK / np.abs(wave).max()), atol=1e-6)
