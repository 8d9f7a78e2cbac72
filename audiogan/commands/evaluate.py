"""``audiogan evaluate``"""

from __future__ import annotations

import argparse

OPTIONS = ("count", "seed", "classifier", "extractor", "extractor_weights", "gain", "transfer", "sheet")
"""Arguments of `evaluate_run` beside the run and the data."""


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("evaluate", help="measure a run against real data it has not seen")
    parser.add_argument("run", nargs="?", help="run folder, checkpoint or model (default: the newest run below runs/)")
    parser.add_argument("--data", help="folder of real sounds or images (default: what the run's own data held out)")
    parser.add_argument(
        "-n", dest="count", metavar="N", type=int, default=1000, help="most samples to use (default 1000)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--gain", action="store_true", help="does training a classifier on samples too help it? (minutes)"
    )
    parser.add_argument("--transfer", action="store_true", help="what do the critic's features know of the classes?")
    parser.add_argument(
        "--no-classifier",
        dest="classifier",
        action="store_false",
        help="leave out what needs a classifier of the labels",
    )
    parser.add_argument("--sheet", metavar="FILE.png", help="draw samples beside real ones, class by class")
    parser.add_argument("--extractor", help="MODULE:CLASS, your own torch module as feature extractor")
    parser.add_argument("--extractor-weights", help="its weights (.safetensors, or .pt without pickled code)")


def run(args: argparse.Namespace, arguments: list[str]) -> None:
    from audiogan.evaluation.evaluate import evaluate_run

    evaluate_run(args.run, args.data, **{name: getattr(args, name) for name in OPTIONS})
