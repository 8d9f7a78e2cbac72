"""``audiogan data``"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from audiogan.commands import data_scan
from audiogan.errors import UserError


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("data", help="look at a folder of sounds or images, or download free ones")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=data_scan.IntermixedParser)
    scan = verbs.add_parser("scan", help="what is usable in a folder, and why the rest is not")
    data_scan.add(scan)
    get = verbs.add_parser("get", help="download free drum kits, spoken digits, or images of handwriting or clothes")
    get.add_argument("what", choices=["drums", "sc09", "fsdd", "mnist", "fashion-mnist"])
    get.add_argument("out", type=Path, nargs="?", help="where to (default: where `audiogan train` looks)")
    get.add_argument("--kits", help="drums: only these, separated by commas")
    get.add_argument("--licences", help="drums: only these licences, separated by commas")
    get.add_argument("--list", action="store_true", help="list the kits and their licences, download nothing")
    get.add_argument("--base-url", help="another server with the same layout")


def run(args: argparse.Namespace, arguments: list[str]) -> None:
    if args.verb == "scan":
        data_scan.run(args)
        return
    from audiogan.data.downloads.download import download, get_data_set
    from audiogan.data.downloads.drum_kits import DrumKits, list_kits

    drums = args.what == "drums"
    if not drums and (args.list or args.kits or args.licences):
        raise UserError(f"{args.what}: --list, --kits and --licences are for drums; leave them out")
    if args.list:
        print(f"{'kit':32} {'files':>6} {'MB':>7}  licence")
        for kit, files, size, licence in list_kits():
            print(f"{kit:32} {files:6} {size / 1e6:7.1f}  {licence}")
        return
    chosen = {"kits": args.kits, "licences": args.licences}
    options = {key: value.split(",") for key, value in chosen.items() if value}
    out = download(DrumKits(**options) if drums else get_data_set(args.what), args.out, args.base_url)
    config = "drums" if drums else "speech" if args.what in ("sc09", "fsdd") else "handwriting"
    root = [] if drums and not args.out else [f"data.root={args.out or args.what}"]
    verb, them = ("are", "them") if drums else ("is", "it")
    print(f"{args.what} {verb} in {out}; train on {them} with: {shlex.join(['audiogan', 'train', config, *root])}")
