"""Command ``audiogan play``: render a MIDI drum pattern."""

from __future__ import annotations

import argparse
from pathlib import Path

from audiogan.errors import UserError

VELOCITY_LAYERS = 3
"""Number of velocity layers (samples of one drum, from soft to loud) in a kit that is generated for a pattern."""
TAIL = 1.0
"""Default of ``--tail``, in seconds."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("play", help="render a MIDI drum pattern with a kit to a WAV file")
    parser.add_argument("pattern", type=Path, help="MIDI file of any format, with drums on channel 10")
    parser.add_argument("out", type=Path, help="WAV file to write; an existing file is replaced")
    parser.add_argument(
        "--kit", type=Path, metavar="KIT", help="folder, kit.json or ZIP archive of a kit (default: a new kit)"
    )
    parser.add_argument("--seed", type=int, help="random seed of a new kit (default: random)")
    parser.add_argument(
        "--run", help="run folder, checkpoint or model (default: the newest run of sounds, else the shipped drums)"
    )
    parser.add_argument(
        "--map",
        type=Path,
        metavar="FILE",
        help="YAML or JSON file that assigns MIDI notes to pads, one line for each note, such as 24: kick; none leaves "
        "a note out",
    )
    parser.add_argument(
        "--loop",
        action="store_true",
        help="write a loop of whole bars; sounds that ring beyond its end continue at its beginning",
    )
    parser.add_argument(
        "--tail", type=float, help=f"seconds in which sounds ring out after the end of the pattern (default {TAIL:g})"
    )
    parser.add_argument("--rate", type=int, default=44100, help="sample rate in Hz (default 44100)")
    parser.add_argument("--bits", type=int, default=16, choices=[16, 24], help="bits per sample (default 16)")


def run(args: argparse.Namespace, argv: list[str]) -> None:
    if args.kit and args.seed is not None:
        raise UserError("--kit and --seed: the seed is for a new kit; remove one of them")
    if args.loop and args.tail is not None:
        raise UserError("--loop and --tail: a loop has no tail; remove one of them")
    if args.out.suffix.lower() != ".wav":
        raise UserError(f"{args.out}: the output must be a .wav file; change its suffix")
    from audiogan.commands.kit import create_kit, read_kit
    from audiogan.commands.newest import load_sound_model
    from audiogan.kits import play_pattern, read_note_map
    from audiogan.kits.playing import read_pattern
    from audiogan.modalities.wav import save_wav

    # Read the pattern and the map before the model, to report errors quickly.
    pattern = read_pattern(args.pattern, loop=args.loop)
    note_map = None if args.map is None else read_note_map(args.map)
    if args.kit:
        kit, generator = read_kit(args.kit, args.run)
    else:
        generator = load_sound_model(args.run)
        kit = create_kit(generator, args.seed, layers=VELOCITY_LAYERS)
    tail = TAIL if args.tail is None else args.tail
    wave = play_pattern(
        generator,
        kit,
        args.pattern,
        sample_rate=args.rate,
        tail=tail,
        loop=args.loop,
        note_map=note_map,
        echo=print,
    )
    save_wav(args.out, wave, args.rate, subtype=f"PCM_{args.bits}")
    seconds = wave.shape[1] / args.rate
    if pattern.bars is None:
        print(f"{args.out}: {len(pattern.strokes)} strokes, {seconds:.1f} s")
    else:
        bars = "1 bar" if pattern.bars == 1 else f"{pattern.bars:,} bars"
        print(f"{args.out}: {len(pattern.strokes)} strokes, loop of {bars}, {seconds:.3f} s")
