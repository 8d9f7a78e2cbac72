"""Command ``audiogan evaluate``: measure a model against real data."""

from __future__ import annotations

import argparse

OPTIONS = (
    *("count", "seed", "classifier", "extractor", "extractor_weights", "gain", "transfer", "sheet", "best_worst"),
    *("rank_by", "baseline", "speech"),
)
"""Options of the command that are passed to `evaluate_run` as keyword arguments."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("evaluate", help="measure a run against held-out real data")
    parser.add_argument("run", nargs="?", help="run folder, checkpoint or model (default: the newest run below runs/)")
    parser.add_argument("--data", help="folder of real sounds or images (default: the held-out data of the run)")
    parser.add_argument(
        "-n", dest="count", metavar="N", type=int, default=1000, help="largest number of samples to use (default 1000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    parser.add_argument(
        "--gain",
        action="store_true",
        help="measure whether adding samples to the training data improves a classifier (takes minutes)",
    )
    parser.add_argument(
        "--transfer", action="store_true", help="measure how well the features of the critic predict the classes"
    )
    parser.add_argument(
        "--no-classifier",
        dest="classifier",
        action="store_false",
        help="skip metrics that need a classifier",
    )
    parser.add_argument(
        "--baseline",
        metavar="RUN",
        help="another run to evaluate on the same data, such as the same network trained without a critic",
    )
    parser.add_argument(
        "--speech",
        action="store_true",
        help="measure PESQ, ESTOI, mel cepstra and pitch, for models of pairs of sounds (needs audiogan[speech])",
    )
    parser.add_argument("--sheet", metavar="FILE.png", help="write an image of samples beside real examples, by class")
    parser.add_argument(
        "--best-worst",
        metavar="FILE.png",
        help="write an image of the eight best and the eight worst outputs, for models of pairs",
    )
    parser.add_argument(
        "--rank-by",
        metavar="METRIC",
        help="metric that ranks the outputs: ssim | psnr | gmsd | l1 for images (default ssim), "
        "si_sdr | lsd | stft_distance | l1 for sounds (default si_sdr)",
    )
    parser.add_argument("--extractor", help="MODULE:CLASS of a torch module of your own to use as feature extractor")
    parser.add_argument(
        "--extractor-weights", help="weights of the extractor (.safetensors, or .pt without pickled code)"
    )


def run(args: argparse.Namespace, argv: list[str]) -> None:
    from audiogan.evaluation.evaluate import evaluate_run

    evaluate_run(args.run, args.data, **{name: getattr(args, name) for name in OPTIONS})
