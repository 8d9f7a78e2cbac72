"""Command ``audiogan data``: scan or download training data."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from audiogan.commands import data_scan
from audiogan.errors import UserError

CONFIGS = {
    "drums": "drums",
    "sc09": "speech",
    "fsdd": "speech",
    "mnist": "handwriting",
    "fashion-mnist": "handwriting",
    "flowers": "images",
    "pets": "super-resolution",
}
"""Configuration for training on each data set that can be downloaded: data set -> name of the configuration."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("data", help="check a folder of sounds or images, or download free data sets")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=data_scan.IntermixedParser)
    scan = verbs.add_parser("scan", help="list the usable files of a folder, and why other files are not usable")
    data_scan.add_arguments(scan)
    get = verbs.add_parser("get", help="download free drum kits, spoken digits, images or photographs")
    get.add_argument("what", choices=list(CONFIGS), help="data set")
    get.add_argument(
        "out", type=Path, nargs="?", help="destination folder (default: the folder that `audiogan train` searches)"
    )
    get.add_argument("--kits", help="drums: download only these kits, separated by commas")
    get.add_argument("--licences", help="drums: download only kits with these licences, separated by commas")
    get.add_argument("--list", action="store_true", help="drums: list the kits and their licences without downloading")
    get.add_argument("--base-url", help="URL of another server with the same files")


def run(args: argparse.Namespace, argv: list[str]) -> None:
    if args.verb == "scan":
        data_scan.run(args)
        return
    from audiogan.data.downloads.download import download, get_data_set
    from audiogan.data.downloads.drum_kits import DrumKits, list_kits

    drums = args.what == "drums"
    if not drums and (args.list or args.kits or args.licences):
        raise UserError(f"{args.what}: --list, --kits and --licences are only for drums; remove them")
    if args.list:
        print(f"{'kit':32} {'files':>6} {'MB':>7}  licence")
        for kit, files, size, licence in list_kits():
            print(f"{kit:32} {files:6} {size / 1e6:7.1f}  {licence}")
        return
    chosen = {"kits": args.kits, "licences": args.licences}
    options = {key: value.split(",") for key, value in chosen.items() if value}
    out = download(DrumKits(**options) if drums else get_data_set(args.what), args.out, args.base_url)
    root = [] if drums and not args.out else [f"data.root={args.out or args.what}"]
    verb, them = ("are", "them") if drums else ("is", "it")
    command = shlex.join(["audiogan", "train", CONFIGS[args.what], *root])
    print(f"{args.what} {verb} in {out}; train on {them} with: {command}")
