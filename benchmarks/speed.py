"""Measure the time to generate one sound on one CPU core with each interface, and the time of each command.

    OMP_NUM_THREADS=1 python benchmarks/speed.py
    python benchmarks/speed.py --run runs/drums --sounds 1000 --skip-commands

By default, the shipped drums generate 300 sounds with each interface:

* `Generator.sample`.
* The same model as ONNX in onnxruntime.
* The HTTP API of `audiogan studio` in another process, over one persistent connection, until the last byte of the WAV.
* For comparison, an untrained WaveGAN of the paper's size (model_size=64) with `Generator.sample`.

In each round, every interface generates ten different sounds, so that other programs slow down all interfaces equally.
Ten are needed because the first sound after a large model is slow (its weights fill the caches). All interfaces use one
thread. The script prints wall time, and CPU time for code in this process, which depends less on other programs.
Commands run in processes of their own in an empty folder. Their CPU time includes child processes.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

import audiogan
from audiogan.games import Generative
from audiogan.modalities import Sound
from audiogan.networks.wavegan import WaveGANGenerator
from audiogan.representations import SoundFormat, Waveform

WARM_UP = 12.0
"""Seconds before the measurement. Three seconds after its start, the studio imports modules for imitations."""
IN_A_ROW = 10
Way = Callable[[int], object]  # Generates a sound from a seed.
WAVEGAN = "WaveGAN, model_size=64, Generator.sample"
AUDIOGAN = [sys.executable, "-m", "audiogan"]


def wavegan() -> audiogan.Generator:
    """Return an untrained WaveGAN for sounds of 1 s at 16 kHz."""
    game = Generative(
        WaveGANGenerator(SoundFormat(16384), model_size=64).eval().requires_grad_(False), Waveform(SoundFormat(16384))
    )
    return audiogan.Generator(game, Sound(16000, "peak"), {"facts": {"labels": []}}, Path("wavegan"), 0)


def onnx_way(model: audiogan.Generator, folder: Path) -> Way:
    """Return a function that samples with NumPy and onnxruntime, like a program without PyTorch."""
    import onnxruntime

    from audiogan.model.export import input_arrays, save_onnx

    print(f"ONNX: {save_onnx(folder / 'model.onnx', model).summary}", file=sys.stderr)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options)
    inputs = input_arrays(model, model.recipes(1, seed=0))

    def way(seed: int) -> object:
        latent = np.random.default_rng(seed).standard_normal(inputs["latent"].shape, np.float32)
        return session.run(None, {**inputs, "latent": latent})

    return way


@contextlib.contextmanager
def studio_way(model: audiogan.Generator, run: str) -> Iterator[Way]:
    """Start the studio in another process. Times include drawing the recipe, as in `Generator.sample`."""
    command = [*AUDIOGAN, "studio", run, "--no-browser", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"http://([^/:]+):(\d+)/", line)
        if found is None:
            raise SystemExit(f"{' '.join(command)}: no address in {line!r}")
        connection = http.client.HTTPConnection(found[1], int(found[2]), timeout=30)

        def way(seed: int) -> object:
            recipe = json.loads(model.recipes(1, seed=seed)[0].to_json())
            body = json.dumps({"recipe": recipe})
            connection.request("POST", "/api/render", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise SystemExit(f"/api/render: {answer.status} {content[:200]!r}")
            return content

        yield way
    finally:
        server.terminate()
        server.wait(10)


def measured(ways: dict[str, Way], sounds: int) -> dict[str, np.ndarray]:
    """Return wall and CPU times per sound in milliseconds, `[2, sounds]`, of each interface."""
    times: dict[str, np.ndarray] = {name: np.zeros((2, sounds)) for name in ways}
    end = time.perf_counter() + WARM_UP
    while time.perf_counter() < end:
        for way in ways.values():
            way(0)
    for start in range(0, sounds, IN_A_ROW):
        for name, way in ways.items():
            for i in range(start, min(start + IN_A_ROW, sounds)):
                cpu, wall = time.process_time(), time.perf_counter()
                way(1000 + i)
                times[name][:, i] = time.perf_counter() - wall, time.process_time() - cpu
    return {name: 1000 * both for name, both in times.items()}


def report(times: dict[str, np.ndarray]) -> None:
    base = np.median(times[WAVEGAN], axis=1)
    print("| one sound, one core | p50 ms | p90 | p99 | CPU p50 | WaveGAN / it (wall) |")
    print("|---|---|---|---|---|---|")
    for name, (wall, cpu) in times.items():
        own = "–" if name.startswith("studio") else f"{np.median(cpu):.1f}"
        p50, p90, p99 = np.percentile(wall, [50, 90, 99])
        print(f"| {name} | {p50:.1f} | {p90:.1f} | {p99:.1f} | {own} | {base[0] / p50:.1f} |")


def commands(repeats: int) -> None:
    """Print the median and the largest wall time, and the median CPU time, of each command over several runs."""
    tries = [["--version"], ["--help"], ["list"], ["sample", "-n", "16", "out/", "--run", "drums"]]
    tries += [
        ["morph", "--from", "kick-3", "--to", "snare-8", "out/", "--run", "drums"],
        ["kit", "--seed", "1", "kit/"],
    ]
    tries += [["play", "beat.mid", "beat.wav"], ["data", "scan", "out/"], ["export", "drums", "drums.audiogan"]]
    print("\n| command | wall s | largest | CPU s |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        beat(Path(folder) / "beat.mid")
        for arguments in tries:
            runs = [timed([*AUDIOGAN, *arguments], folder) for _ in range(repeats)]
            wall, cpu = np.array(runs).T
            told = f"{np.median(wall):.2f} | {wall.max():.2f} | {np.median(cpu):.2f}"
            print(f"| `audiogan {' '.join(arguments)}` | {'fails' if np.isnan(wall).any() else told} |", flush=True)


def timed(command: list[str], folder: str) -> tuple[float, float]:
    """Return wall and CPU seconds of a process. NaN if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)  # Otherwise Popen waits for the process again.
    return (wall, usage.ru_utime + usage.ru_stime) if process.returncode == 0 else (np.nan, np.nan)


def beat(path: Path) -> None:
    """Write a MIDI pattern: two bars of kick, snare and closed hi-hat."""
    import mido

    track = mido.MidiTrack()
    for i in range(16):
        note = (36, 42, 38, 42)[i % 4]
        track.append(mido.Message("note_on", channel=9, note=note, velocity=100, time=0))
        track.append(mido.Message("note_off", channel=9, note=note, time=240))
    mido.MidiFile(tracks=[track]).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="drums", help="model of sounds (default: the shipped drums)")
    parser.add_argument("--sounds", type=int, default=300, help="number of sounds per interface (default 300)")
    parser.add_argument("--repeats", type=int, default=3, help="number of runs per command (default 3)")
    parser.add_argument("--skip-commands", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, paper = audiogan.load(args.run), wavegan()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ways: dict[str, Way] = {"Generator.sample": lambda seed: model.sample(1, seed=seed)}
        try:
            ways["ONNX, onnxruntime"] = onnx_way(model, Path(folder))
        except (ImportError, audiogan.UserError) as error:
            print(f"no row for ONNX: {error}", file=sys.stderr)
        ways["studio, POST /api/render"] = stack.enter_context(studio_way(model, args.run))
        ways[WAVEGAN] = lambda seed: paper.sample(1, seed=seed)
        report(measured(ways, args.sounds))
    if not args.skip_commands:
        commands(args.repeats)


if __name__ == "__main__":
    main()
