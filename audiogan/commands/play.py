"""``audiogan play``"""

from __future__ import annotations

import argparse
from pathlib import Path

from audiogan.errors import UserError

LAYERS = 3
"""Of a kit that is made for the pattern."""


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("play", help="play a MIDI drum pattern on a kit")
    parser.add_argument("pattern", type=Path, help="a MIDI file of any format, drums on channel 10")
    parser.add_argument("out", type=Path, help="WAV file; one that is there is replaced")
    parser.add_argument(
        "--kit", type=Path, metavar="KIT", help="folder or kit.json of `audiogan kit` (default: a new kit)"
    )
    parser.add_argument("--seed", type=int, help="of a new kit")
    parser.add_argument("--run", help="as for sample (default: the newest run of sounds)")
    parser.add_argument("--tail", type=float, default=1.0, help="seconds that ring on at the end (default 1; loops: 0)")
    parser.add_argument("--rate", type=int, default=44100, help="Hz (default 44100)")
    parser.add_argument("--bits", type=int, default=16, choices=[16, 24], help="(default 16)")


def run(args: argparse.Namespace, arguments: list[str]) -> None:
    if args.kit and args.seed is not None:
        raise UserError("--kit and --seed: a kit or a new one; leave out one of them")
    if args.out.suffix.lower() != ".wav":
        raise UserError(f"{args.out}: the name of a sound ends in .wav")
    from audiogan.commands.kit import create_kit, read_kit
    from audiogan.commands.newest import load_sound_model
    from audiogan.kits import play_pattern
    from audiogan.kits.playing import read_pattern
    from audiogan.modalities.wav import save_wav

    pattern = read_pattern(args.pattern)  # before a model is loaded: what is wrong here is said at once
    if args.kit:
        kit, generator = read_kit(args.kit, args.run)
    else:
        generator = load_sound_model(args.run)
        kit = create_kit(generator, args.seed, layers=LAYERS)
    wave = play_pattern(generator, kit, args.pattern, sample_rate=args.rate, tail=args.tail, echo=print)
    save_wav(args.out, wave, args.rate, subtype=f"PCM_{args.bits}")
    print(f"{args.out}: {len(pattern.strokes)} strokes, {wave.shape[1] / args.rate:.1f} s")
