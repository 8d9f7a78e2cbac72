"""Command ``audiogan play``: render a MIDI drum pattern."""

from __future__ import annotations

import argparse
from pathlib import Path

from audiogan.errors import UserError

VELOCITY_LAYERS = 3
"""Number of velocity layers (samples of one drum, from soft to loud) in a kit that is generated for a pattern."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("play", help="render a MIDI drum pattern with a kit to a WAV file")
    parser.add_argument("pattern", type=Path, help="MIDI file of any format, with drums on channel 10")
    parser.add_argument("out", type=Path, help="WAV file to write; an existing file is replaced")
    parser.add_argument(
        "--kit", type=Path, metavar="KIT", help="folder or kit.json written by `audiogan kit` (default: a new kit)"
    )
    parser.add_argument("--seed", type=int, help="random seed of a new kit (default: random)")
    parser.add_argument(
        "--run", help="run folder, checkpoint or model (default: the newest run of sounds, else the shipped drums)"
    )
    parser.add_argument(
        "--tail", type=float, default=1.0, help="seconds after the end of the pattern (default 1; use 0 for loops)"
    )
    parser.add_argument("--rate", type=int, default=44100, help="sample rate in Hz (default 44100)")
    parser.add_argument("--bits", type=int, default=16, choices=[16, 24], help="bits per sample (default 16)")


def run(args: argparse.Namespace, argv: list[str]) -> None:
    if args.kit and args.seed is not None:
        raise UserError("--kit and --seed: the seed is for a new kit; remove one of them")
    if args.out.suffix.lower() != ".wav":
        raise UserError(f"{args.out}: the output must be a .wav file; change its suffix")
    from audiogan.commands.kit import create_kit, read_kit
    from audiogan.commands.newest import load_sound_model
    from audiogan.kits import play_pattern
    from audiogan.kits.playing import read_pattern
    from audiogan.modalities.wav import save_wav

    pattern = read_pattern(args.pattern)  # The pattern is read before the model, to report errors quickly.
    if args.kit:
        kit, generator = read_kit(args.kit, args.run)
    else:
        generator = load_sound_model(args.run)
        kit = create_kit(generator, args.seed, layers=VELOCITY_LAYERS)
    wave = play_pattern(generator, kit, args.pattern, sample_rate=args.rate, tail=args.tail, echo=print)
    save_wav(args.out, wave, args.rate, subtype=f"PCM_{args.bits}")
    print(f"{args.out}: {len(pattern.strokes)} strokes, {wave.shape[1] / args.rate:.1f} s")
