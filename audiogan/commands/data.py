"""``audiogan data``"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from audiogan.commands import data_scan
from audiogan.errors import UserError


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("data", help="look at a folder of sounds or images, or download free ones")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=data_scan.Intermixed)
    scan = verbs.add_parser("scan", help="what is usable in a folder, and why the rest is not")
    data_scan.add(scan)
    get = verbs.add_parser("get", help="download free drum kits, spoken digits, or images of handwriting or clothes")
    get.add_argument("what", choices=["drums", "sc09", "fsdd", "mnist", "fashion-mnist"])
    get.add_argument("out", type=Path, nargs="?", help="where to (default: where `audiogan train` looks)")
    get.add_argument("--kits", help="drums: only these, separated by commas")
    get.add_argument("--licences", help="drums: only these licences, separated by commas")
    get.add_argument("--list", action="store_true", help="list the kits and their licences, download nothing")
    get.add_argument("--base-url", help="another server with the same layout")


def run(args: argparse.Namespace, arguments: list[str]) -> int:
    if args.verb == "scan":
        return data_scan.run(args)
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
    command = shlex.join(["audiogan", "train", "drums", *([f"data.root={out}"] if args.out else [])])
    print(f"drums are in {out}; train on them with: {command}")
    return 0
