"""Tests of GIFs and MP4 films that are written frame by frame."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from room import room

from audiogan.errors import UserError
from audiogan.modalities.drawing.movies import Soundtrack, gif_durations, write_gif, write_mp4


def ball(count: int, colour: bool = True) -> Iterator[np.ndarray]:
    """Yield frames with a square that moves."""
    for i in range(count):
        frame = np.zeros((40, 61, 3), np.uint8)
        frame[5:15, 2 * i : 2 * i + 10] = (250, 120, 10) if colour else 200
        yield frame


def read(path: Path) -> tuple[np.ndarray, list[int]]:
    with Image.open(path) as moving:
        found, durations = [], []
        for i in range(moving.n_frames):  # type: ignore[attr-defined]
            moving.seek(i)
            found.append(np.asarray(moving.convert("RGB")))
            durations.append(moving.info["duration"])
    return np.stack(found), durations


@pytest.mark.parametrize("colour", [False, True])
def test_a_gif_has_the_pixels_of_its_frames(colour: bool, tmp_path: Path) -> None:
    frames = list(ball(12, colour))
    write_gif(tmp_path / "a.gif", iter(frames), gif_durations(30), frames[:1])
    found, durations = read(tmp_path / "a.gif")
    assert np.array_equal(found, np.stack(frames)) and sum(durations) == 400 and set(durations) == {30, 40}


def test_equal_frames_are_one_and_noise_uses_the_palette(tmp_path: Path) -> None:
    write_gif(
        tmp_path / "a.gif", [np.zeros((4, 4, 3), np.uint8)] * 5, itertools.repeat(7), [np.zeros((4, 4, 3), np.uint8)]
    )
    assert read(tmp_path / "a.gif")[1] == [350]
    noise = [np.random.default_rng(i).integers(0, 256, (50, 50, 3)).astype(np.uint8) for i in range(3)]
    write_gif(tmp_path / "b.gif", noise, itertools.repeat(4), noise)
    assert np.abs(read(tmp_path / "b.gif")[0].astype(int) - np.stack(noise)).mean() < 25


def test_frame_rates_are_kept_on_average() -> None:
    for fps in (1, 7, 15, 24, 29.97, 30, 50):
        durations = list(itertools.islice(gif_durations(fps), 1000))
        assert abs(sum(durations) - 100_000 / fps) < 1 and min(durations) >= 2


def test_a_gif_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    frames = list(ball(12))
    with room(200), pytest.raises(UserError, match=r"a\.gif: cannot be written \(File too large\)"):
        write_gif(tmp_path / "a.gif", frames, gif_durations(10), frames)
    for bad in ([], [np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)]):
        with pytest.raises(ValueError, match="frame"):
            write_gif(tmp_path / "a.gif", bad, gif_durations(10), frames)
    assert not list(tmp_path.iterdir())


class FFmpegError(Exception):
    strerror = "broken"


class Stream(SimpleNamespace):
    """Stub of a PyAV stream."""

    def encode(self, frame: Any) -> list[Any]:
        return [(self.name, frame)]


def stand_in(missing: tuple[str, ...] = ()) -> Any:
    """Return a stub of the module `av` that stores its arguments."""
    container = SimpleNamespace(streams=[], packets=[], opened=None)

    def add_stream(name: str, rate: Any, **options: Any) -> Stream:
        if name in missing:
            raise ValueError(name)
        container.streams.append(Stream(name=name, rate=rate, codec_context=SimpleNamespace(), **options))
        return container.streams[-1]

    def open_(path: str, mode: str, **options: Any) -> Any:
        container.opened = (mode, options)
        Path(path).write_bytes(b"film")
        return container_manager

    class Manager:
        def __enter__(self) -> Any:
            return container

        def __exit__(self, *error: object) -> None:
            pass

    container.add_stream, container.mux = add_stream, lambda packets: container.packets.extend(packets)
    container_manager = Manager()
    video = SimpleNamespace(from_ndarray=lambda x, format: SimpleNamespace(pixels=x, format=format))
    audio = SimpleNamespace(from_ndarray=lambda x, format, layout: SimpleNamespace(x=x, format=format, layout=layout))
    error = SimpleNamespace(FFmpegError=FFmpegError)
    return SimpleNamespace(open=open_, VideoFrame=video, AudioFrame=audio, error=error, container=container)


def test_what_a_film_hands_to_the_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = stand_in(missing=("libx264",))
    monkeypatch.setitem(sys.modules, "av", av)
    blocks = [np.full((3, 1100), 0.1 * i, np.float32) for i in range(10)]
    write_mp4(tmp_path / "a.mp4", ball(25), 25, Soundtrack(blocks, 11000, 3))
    container = av.container
    assert (tmp_path / "a.mp4").read_bytes() == b"film"
    assert container.opened == ("w", {"format": "mp4", "options": {"movflags": "faststart"}})
    video, audio = container.streams
    assert (video.name, video.rate, video.width, video.height, video.pix_fmt) == ("h264", 25, 62, 40, "yuv420p")
    # AAC does not support 11,000 Hz.
    assert (audio.name, audio.rate, audio.codec_context.layout) == ("aac", 48000, "stereo")
    pictures = [frame for name, frame in container.packets if name == "h264"]
    assert pictures[-1] is None and [frame.pts for frame in pictures[:-1]] == list(range(25))
    assert pictures[0].pixels.shape == (40, 62, 3) and pictures[0].time_base == Fraction(1, 25)
    sounds = [frame for name, frame in container.packets if name == "aac"]
    assert sounds[-1] is None and sum(frame.x.shape[1] for frame in sounds[:-1]) == 48000
    ends = np.cumsum([frame.x.shape[1] for frame in sounds[:-1]])
    assert [frame.pts for frame in sounds[:-1]] == [0, *ends[:-1]] and sounds[0].x.flags.c_contiguous
    order = [name for name, frame in container.packets]
    assert order[: order.index("aac") + 4].count("h264") < 8  # Sound and frames are written alternately.


def test_a_film_without_pyav_or_with_a_broken_encoder_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install 'audiogan\[video\]'"):
        write_mp4(tmp_path / "a.mp4", ball(3), 25)
    av = stand_in()

    def broken(packets: Any) -> None:
        raise FFmpegError

    av.container.mux = broken
    monkeypatch.setitem(sys.modules, "av", av)
    with pytest.raises(UserError, match=r"a\.mp4: cannot be written \(broken\)"):
        write_mp4(tmp_path / "a.mp4", ball(3), 25)
    monkeypatch.setitem(sys.modules, "av", stand_in(missing=("libx264", "h264", "mpeg4")))
    with pytest.raises(UserError, match="none of the video encoders"):
        write_mp4(tmp_path / "a.mp4", ball(3), 25)
    assert not list(tmp_path.iterdir())


def test_a_film_can_be_read_again(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="pip install 'audiogan[video]'")
    t = np.arange(16000, dtype=np.float32)[None] / 16000
    blocks = [0.5 * np.sin(2 * np.pi * 440 * part) for part in np.split(t, 10, axis=1)]
    write_mp4(tmp_path / "a.mp4", ball(25), 25, Soundtrack(blocks, 16000, 1))
    with av.open(str(tmp_path / "a.mp4")) as film:
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(pictures) == 25 and pictures[0].shape == (40, 62, 3)
    assert np.abs(pictures[10][:, :61].astype(int) - list(ball(25))[10]).mean() < 8
    with av.open(str(tmp_path / "a.mp4")) as film:
        sound = np.concatenate([frame.to_ndarray() for frame in film.decode(audio=0)], axis=1)
    assert abs(sound.shape[1] - 16000) < 3000 and 0.3 < np.abs(sound).max() < 0.7
