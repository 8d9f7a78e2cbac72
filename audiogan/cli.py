"""The command line. Nothing heavy is imported before a command is known, so that help answers at once."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from audiogan.errors import UserError

EPILOG = """\
examples:
  audiogan train drums                                built-in drum machine, if there is no other data
  audiogan train drums data.root=my-drums trainer.minutes=15
  audiogan train drums -m network=wavegan,specgan     one run after the other
  audiogan sample -n 16 out/                          from the newest run, else from the shipped drums
  audiogan morph --from kick-3 --to snare-8 out/
  audiogan evaluate runs/drums
  audiogan doctor runs/drums                          what went wrong, and what to try
  audiogan train handwriting network=stylegan         the same for images

Set AUDIOGAN_DEBUG=1 to see where an error came from."""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="audiogan",
        description="Train generative adversarial networks and play them as instruments.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="store_true", help="print the version and leave")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    train = commands.add_parser("train", help="train from a configuration; the same command again goes on")
    train.add_argument("config", help="a YAML file, or the name of a shipped configuration")
    train.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="as in hydra: trainer.steps=2000 network=specgan"
    )
    train.add_argument(
        "-m", "--multirun", action="store_true", help="as in hydra: run all combinations of comma-separated values"
    )

    sample = commands.add_parser("sample", help="make new sounds or images")
    sample.add_argument("out", type=Path, help="folder for WAV or PNG files, a contact sheet and samples.csv")
    sample.add_argument("-n", type=int, default=16, help="how many (default 16)")
    sample.add_argument(
        "--run", help="run folder, checkpoint or model (default: the newest run below runs/, else the shipped drums)"
    )
    sample.add_argument("--seed", type=int, help="for the same samples again")
    sample.add_argument("--class", dest="label", help="only this class, or a mixture: kick:0.7,tom:0.3")
    sample.add_argument(
        "--knob", action="append", default=[], metavar="NAME=VALUE", help="0 to 1: brightness=0.9 (any number of them)"
    )
    sample.add_argument("--truncation", type=float, help="below 1: more typical samples; above 1: wilder ones")

    morph = commands.add_parser("morph", help="the way from one sound to another")
    morph.add_argument("out", type=Path, help="folder for the steps, morph.wav and a contact sheet")
    morph.add_argument("--from", dest="start", required=True, metavar="CLASS-SEED", help="kick-3, or a sampled file")
    morph.add_argument("--to", dest="end", required=True, metavar="CLASS-SEED")
    morph.add_argument("--steps", type=int, default=9, help="sounds, both ends among them (default 9)")
    morph.add_argument("--run", help="as for sample")

    measure = commands.add_parser("evaluate", help="measure a run against real data it has not seen")
    measure.add_argument("run", nargs="?", help="run folder, checkpoint or model (default: the newest run below runs/)")
    measure.add_argument("--data", help="folder of real sounds or images (default: what the run's own data held out)")
    measure.add_argument("-n", type=int, default=1000, help="most samples to use (default 1000)")
    measure.add_argument("--seed", type=int, default=0)
    measure.add_argument(
        "--gain", action="store_true", help="does training a classifier on samples too help it? (minutes)"
    )
    measure.add_argument("--transfer", action="store_true", help="what do the critic's features know of the classes?")
    measure.add_argument("--no-classifier", action="store_true", help="leave out what needs a classifier of the labels")
    measure.add_argument("--extractor", help="MODULE:CLASS, your own torch module as feature extractor")
    measure.add_argument("--extractor-weights", help="its weights (.safetensors, or .pt without pickled code)")

    explain = commands.add_parser("doctor", help="what went wrong in a run, and what to try")
    explain.add_argument(
        "path", type=Path, help="run folder, or anybody's log of a GAN training (JSON lines, JSON, CSV)"
    )

    export = commands.add_parser("export", help="make a model of a run: one file that moves between machines")
    export.add_argument("run", help="run folder or checkpoint")
    export.add_argument("file", type=Path, help="NAME.audiogan")
    export.add_argument("--card", type=Path, help="Markdown that says what it is, of which data, under which licence")

    data = commands.add_parser("data", help="look at a folder of sounds, or download free ones")
    verbs = data.add_subparsers(dest="verb", metavar="VERB", required=True)
    scan = verbs.add_parser("scan", help="what is usable in a folder, and why the rest is not")
    scan.add_argument("folder", type=Path)
    scan.add_argument("--csv", type=Path, help="write the verdict on every file here")
    scan.add_argument("--sample-rate", type=int, default=16000, help="Hz (default 16000)")
    scan.add_argument("--length", type=int, default=16384, help="samples (default 16384)")
    get = verbs.add_parser("get", help="download free drum kits, spoken digits, or images of handwriting or clothes")
    get.add_argument("what", choices=["drums", "sc09", "fsdd", "mnist", "fashion-mnist"])
    get.add_argument("out", type=Path, nargs="?", help="where to (default: where `audiogan train` looks)")
    get.add_argument("--kits", help="drums: only these, separated by commas")
    get.add_argument("--licences", help="drums: only these licences, separated by commas")
    get.add_argument("--list", action="store_true", help="list the kits and their licences, download nothing")
    get.add_argument("--base-url", help="another server with the same layout")

    listing = commands.add_parser("list", help="list configurations, runs and models")
    listing.add_argument("what", nargs="?", choices=["configs", "runs", "models"], help="default: all")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, 2 for bad input, 130 when interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()  # here rather than on the way out, in case nobody reads any more
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UserError, OSError, MemoryError) as error:
        if os.environ.get("AUDIOGAN_DEBUG"):
            raise
        print(f"audiogan: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 2


def _run(arguments: list[str]) -> int:
    top = parser()
    args = _parse(top, arguments)
    if args.version:
        from audiogan import __version__

        print(f"audiogan {__version__}")
        return 0
    if args.command is None:
        top.print_help()
        return 0
    return globals()[f"_{args.command}"](args, arguments)


def _parse(top: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Parse; overrides may stand on both sides of ``-m``."""
    if arguments[:1] == ["train"]:
        flags = [a for a in arguments[1:] if a.startswith("-")]
        arguments = ["train", *flags, *(a for a in arguments[1:] if not a.startswith("-"))]
    return top.parse_args(arguments)


def _train(args: argparse.Namespace, arguments: list[str]) -> int:
    from audiogan import config

    for override in args.overrides:
        if "=" not in override and not override.startswith("~"):
            raise UserError(f"{override!r} is not an override; write KEY=VALUE, such as trainer.steps=2000")
    command = shlex.join(["audiogan", *arguments])
    if args.multirun:
        from audiogan.multirun import multirun

        return multirun(args.config, args.overrides, command)
    cfg = config.compose(args.config, args.overrides)
    from audiogan.training import INTERRUPTED, train

    trainer = train(cfg, command=command)
    trainer.engine.close()
    if trainer.stop_reason in INTERRUPTED:
        return 130
    if trainer.stop_reason:
        raise UserError(f"{cfg.run_dir}: {trainer.stop_reason}")
    return 0


def _sample(args: argparse.Namespace, arguments: list[str]) -> int:
    if args.n < 1:
        raise UserError(f"-n {args.n}: ask for at least one")
    from audiogan.generator import load
    from audiogan.sampling import write_samples

    label, knobs = _mixture(args.label), dict(_pair(text, "=", "--knob") for text in args.knob)
    generator = load(args.run)
    if isinstance(args.label, str) and args.label in generator.labels:  # a name with a colon in it
        label = args.label
    write_samples(generator, args.out, args.n, seed=args.seed, label=label, knobs=knobs, truncation=args.truncation)
    return 0


def _morph(args: argparse.Namespace, arguments: list[str]) -> int:
    from audiogan.generator import load
    from audiogan.sampling import write_morph

    write_morph(load(args.run), args.out, args.start, args.end, args.steps)
    return 0


def _mixture(text: str | None) -> str | dict[str, float] | None:
    """``kick`` or ``kick:0.7,tom:0.3``."""
    if text is None or ":" not in text:
        return text
    return dict(_pair(part, ":", "--class") for part in text.split(","))


def _pair(text: str, separator: str, flag: str) -> tuple[str, float]:
    name, found, value = text.rpartition(separator)
    try:
        if not found:
            raise ValueError
        return name.strip(), float(value)
    except ValueError:
        raise UserError(f"{flag} {text!r}: write NAME{separator}NUMBER") from None


def _evaluate(args: argparse.Namespace, arguments: list[str]) -> int:
    from audiogan.evaluation import evaluate_run

    evaluate_run(
        args.run,
        args.data,
        count=args.n,
        seed=args.seed,
        classifier=not args.no_classifier,
        extractor=args.extractor,
        extractor_weights=args.extractor_weights,
        gain=args.gain,
        transfer=args.transfer,
    )
    return 0


def _doctor(args: argparse.Namespace, arguments: list[str]) -> int:
    from audiogan.monitors import doctor

    doctor(args.path)
    return 0


def _export(args: argparse.Namespace, arguments: list[str]) -> int:
    from audiogan.bundle import SUFFIX, save_bundle

    if args.file.suffix != SUFFIX:
        raise UserError(f"{args.file}: the name of a model ends in {SUFFIX}")
    try:
        card = args.card.read_text(encoding="utf-8") if args.card else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{args.card}: cannot be read ({error})") from error
    from audiogan.generator import load

    save_bundle(args.file, load(args.run), card)
    print(f"{args.file}: {args.file.stat().st_size / 1e6:.1f} MB; try it: audiogan sample --run {args.file} out/")
    return 0


def _data(args: argparse.Namespace, arguments: list[str]) -> int:
    if args.verb == "scan":
        from audiogan.data.scan import scan_folder

        scan = scan_folder(args.folder, sample_rate=args.sample_rate, length=args.length)
        print(scan.summary())
        if args.csv:
            scan.write(args.csv)
        return 0
    if args.what != "drums":
        if args.list or args.kits or args.licences:
            raise UserError(f"{args.what}: --list, --kits and --licences are for drums; leave them out")
        if args.what in ("sc09", "fsdd"):
            from audiogan.data.speech import get_speech

            out, config = get_speech(args.what, args.out, base_url=args.base_url), "speech"
        else:
            from audiogan.data.image_sources import get_images

            out, config = get_images(args.what, args.out, base_url=args.base_url), "handwriting"
        command = shlex.join(["audiogan", "train", config, f"data.root={args.out or args.what}"])
        print(f"{args.what} is in {out}; train on it with: {command}")
        return 0
    from audiogan.data.download import get_drums, list_kits

    if args.list:
        print(f"{'kit':32} {'files':>6} {'MB':>7}  licence")
        for kit, files, size, licence in list_kits():
            print(f"{kit:32} {files:6} {size / 1e6:7.1f}  {licence}")
        return 0
    from audiogan.data.sources import downloads

    chosen = {"kits": args.kits, "licences": args.licences}
    options = {key: value.split(",") for key, value in chosen.items() if value}
    if args.base_url:
        options["base_url"] = args.base_url
    out = get_drums(args.out or downloads() / args.what, **options)
    print(f"drums are in {out}; train on them with: audiogan train drums" + (f" data.root={out}" if args.out else ""))
    return 0


def _list(args: argparse.Namespace, arguments: list[str]) -> int:
    from audiogan.config import PACKAGED, shipped

    if args.what in (None, "configs"):
        print("configs (audiogan train NAME)")
        for name in shipped():
            first = (PACKAGED / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
            print(f"  {name:16} {first.lstrip('# ')}")
    if args.what in (None, "runs"):
        found = [
            (p, m) for p in Path("runs").glob("**/checkpoints/*") if (m := re.fullmatch(r"step-(\d+)\.ckpt", p.name))
        ]
        newest = {path.parent.parent: int(match[1]) for path, match in sorted(found, key=lambda pair: pair[0])}
        print("runs (audiogan sample --run RUN)" if newest else "runs: none below runs/")
        for run, step in newest.items():
            print(f"  {run}  step {step:,}")
    if args.what in (None, "models"):
        from audiogan.bundle import shipped as models

        print("models (audiogan sample --run NAME)" if models() else "models: none ship with this version")
        for name, path in models().items():
            print(f"  {name:16} {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
