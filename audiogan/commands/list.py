"""Command ``audiogan list``: list configurations, runs and models."""

from __future__ import annotations

import argparse
import re
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("list", help="list configurations, runs and models")
    parser.add_argument("what", nargs="?", choices=["configs", "runs", "models"], help="what to list (default: all)")


def run(args: argparse.Namespace, argv: list[str]) -> None:
    from audiogan.run.packaged import CONFIG_FOLDER, shipped_configs
    from audiogan.utils.text import printable

    if args.what in (None, "configs"):
        print("configs (audiogan train NAME)")
        for name in shipped_configs():
            first = (CONFIG_FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
            print(f"  {name:16} {first.lstrip('# ')}")
    if args.what in (None, "runs"):
        found = [
            (p, m) for p in Path("runs").glob("**/checkpoints/*") if (m := re.fullmatch(r"step-(\d+)\.ckpt", p.name))
        ]
        newest = {path.parent.parent: int(match[1]) for path, match in sorted(found, key=lambda pair: int(pair[1][1]))}
        print(
            "runs (audiogan inputs RUN, audiogan sample OUT --run RUN, audiogan apply IN OUT --run RUN)"
            if newest
            else "runs: none below runs/"
        )
        for run, step in sorted(newest.items()):
            print(f"  {printable(run)}  step {step:,}")
    if args.what in (None, "models"):
        from audiogan.run.model_files import shipped_models as models

        print("models (audiogan sample --run NAME)" if models() else "models: none ship with this version")
        for name, path in models().items():
            print(f"  {name:16} {path.stat().st_size / 1e6:.1f} MB")
