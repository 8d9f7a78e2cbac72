"""Command ``audiogan data scan``: list the usable files of a folder."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiogan.errors import UserError
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from audiogan.data.verdicts import Scan

FLAGS = ("sample_rate", "length", "channels", "labels", "long", "trim", "links")
"""Settings of the configuration section ``data`` that have a command-line flag."""
SOUND_TARGETS = ("audiogan.data.open_sounds", "audiogan.data.sounds.sources.open_sounds")
"""The two dotted names of `open_sounds`: in the public package, and in the module that defines it."""
IMAGE_TARGETS = ("audiogan.data.open_images", "audiogan.data.images.sources.open_images")
"""The two dotted names of `open_images`: in the public package, and in the module that defines it."""
IMAGE_SETS = ("mnist", "fashion-mnist", "flowers", "pets", "digits")
"""Names of data sets that contain images."""
IGNORED_KEYS = ("_target_", "root", "sets", "holdout", "mirror", "columns", "groups")
"""Keys of the configuration section ``data`` that do not affect a scan."""


class IntermixedParser(argparse.ArgumentParser):
    """Argument parser that accepts positional arguments before, between and after options."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Move all options to the front, and parse the arguments."""
        options: list[str] = []
        rest: list[str] = []
        waiting = iter([] if args is None else args)
        for word in waiting:
            if word == "--":
                rest += waiting
            elif word.startswith("-") and word != "-":
                options.append(word)
                actions = [a for o, a in self._option_string_actions.items() if "=" not in word and o.startswith(word)]
                if actions and actions[0].nargs is None:
                    options += [value for value in [next(waiting, None)] if value is not None]
            else:
                rest.append(word)
        return super().parse_known_args([*options, *(["--"] if rest else []), *rest], namespace)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="folder of sounds or images, or the name of a downloaded data set")
    parser.add_argument(
        "settings", nargs="*", metavar="KEY=VALUE", help="setting as for `audiogan train`, such as data.long=slice"
    )
    parser.add_argument("--config", help="configuration to train with (default: drums for sounds, images for images)")
    parser.add_argument("--images", action="store_true", help="scan the images of a folder that also contains sounds")
    parser.add_argument(
        "--pairs", action="store_true", help="scan pairs of images in two sub-folders, as for `audiogan train pix2pix`"
    )
    parser.add_argument("--csv", type=Path, help="CSV file to write, with one row per file")
    parser.add_argument("--sample-rate", type=int, help="sample rate in Hz (default 16000)")
    parser.add_argument("--length", type=int, help="length in samples (default 16384)")
    parser.add_argument("--channels", type=int, help="number of channels (default 1)")
    parser.add_argument("--labels", help="source of class labels: auto, folders, none or a CSV file (default auto)")
    parser.add_argument("--long", help="part of a long file to use: onset, start or slice (default onset)")
    parser.add_argument(
        "--trim", action="store_true", default=None, help="remove silence at the start of short files too"
    )
    parser.add_argument("--links", help="follow: use symbolic links to files outside the folder")


def run(args: argparse.Namespace) -> None:
    """Print a summary of the usable files and of the training data, and write a CSV table if requested."""
    if args.csv:
        _check_csv(args.csv)
    flags = {name: getattr(args, name) for name in FLAGS if getattr(args, name) is not None}
    for setting in args.settings:
        key = re.match(r"\+*data\.(\w+)=", setting)
        if key and (key[1] in flags or key[1] == "root"):
            given = "the folder" if key[1] == "root" else f"--{key[1].replace('_', '-')}"
            raise UserError(f"{printable(setting)}: {given} sets it too; remove one of them")
        if "=" not in setting:
            raise UserError(f"{printable(setting)!r} is not a setting; write KEY=VALUE, such as data.long=slice")
    folder = _expand_home(args.folder)
    images = args.images or (args.config is None and _holds_images(folder))
    cfg = None
    if args.pairs and (args.config or args.images):
        raise UserError("--pairs is short for --config pix2pix; remove --config and --images, or --pairs")
    if args.pairs or args.config or args.settings:
        cfg = _compose(args.config or ("pix2pix" if args.pairs else "images" if images else "drums"), args.settings)
        images = cfg.data.get("_target_") not in SOUND_TARGETS
    settings = {**_scan_settings(cfg), **flags}
    if cfg is not None and cfg.data.get("_target_") not in (*SOUND_TARGETS, *IMAGE_TARGETS):
        scan: Scan | None = _scan_table(folder, cfg, flags)
    else:
        scan = _scan_images(folder, settings) if images else _scan_sounds(folder, settings)
    if scan is None:
        if args.csv:
            raise UserError(f"--csv: {folder} is not a folder; remove --csv")
        return
    print(scan.summary())
    if args.csv:
        scan.write_csv(args.csv)
    if not images:
        _print_image_hint(scan)
    elif cfg is None:
        _print_pair_hint(scan)
    if cfg is not None and scan.clips:
        _print_training_data(cfg, scan.root, flags)


def _check_csv(path: Path) -> None:
    """Raise `UserError` unless ``path`` can be written and is a new file or the table of an earlier scan."""
    from audiogan.files import check_writable_file

    check_writable_file(path)
    if path.exists():
        with open(path, "rb") as stream:
            start = stream.read(12)
        if start and start != b"path,reason,":
            raise UserError(
                f"--csv {printable(path)}: this file exists and was not written by data scan; choose another name"
            )


def _expand_home(folder: str) -> str:
    try:
        return str(Path(folder).expanduser()) if folder.startswith("~") else folder
    except RuntimeError as error:
        raise UserError(f"{printable(folder)}: {error}") from error


def _compose(config: str, overrides: Sequence[str]) -> DictConfig:
    from audiogan.run import config as configuration

    cfg = configuration.compose(config, overrides)
    if "root" not in cfg.data:
        raise UserError(f"{config}: its data is neither sounds nor images; choose another --config")
    return cfg


def _scan_settings(cfg: DictConfig | None) -> dict[str, Any]:
    """Return the settings of the section ``data`` that affect a scan."""
    from omegaconf import OmegaConf

    if cfg is None:
        return {}
    section: Any = OmegaConf.to_container(cfg.data, resolve=True)
    return {str(key): value for key, value in section.items() if key not in IGNORED_KEYS}


def _holds_images(folder: str) -> bool:
    """Return whether a folder contains images and no sounds."""
    from audiogan.data.kinds import is_image
    from audiogan.data.walk import walk

    path = Path(folder)
    if not path.is_dir():
        return path.suffix.lower() == ".npz" or (not path.exists() and folder in IMAGE_SETS)
    images = False
    for entry in walk(path):
        if entry.kind == "audio":
            return False
        images = images or is_image(entry.rel)
    return images or (path / "train.npz").is_file()


def _scan_sounds(folder: str, settings: dict[str, Any]) -> Scan:
    from audiogan.data.sounds.scan import scan_folder
    from audiogan.data.sounds.sources import resolve_sound_folder

    return scan_folder(folder if Path(folder).exists() else resolve_sound_folder(folder), **settings)


def _scan_images(folder: str, settings: dict[str, Any]) -> Scan | None:
    """Scan a folder of images. For an .npz file, print its description and return ``None``."""
    from audiogan.data.images.scan import scan_images
    from audiogan.data.images.sources import open_images
    from audiogan.data.verdicts import format_class_counts

    known = ("size", "channels", "labels", "links")
    for key in settings.keys() - {*known}:
        raise UserError(
            f"data.{key}: {folder} contains images, which have no such setting; choose one of {', '.join(known)}"
        )
    path = Path(folder)
    if path.is_dir() and not (path / "train.npz").is_file():
        return scan_images(path, **settings)
    data = open_images(folder, **settings)
    print(printable(data.source))
    if data.labels:
        print(printable(f"  {format_class_counts(data.labels, data.class_counts)}"))
    return None


def _scan_table(folder: str, cfg: DictConfig, flags: dict[str, Any]) -> Scan:
    """Open the data of a configuration, such as pairs of images, and return its scan."""
    from omegaconf import OmegaConf

    from audiogan.run.build import build

    for name in flags.keys() - {*cfg.data}:
        raise UserError(f"--{name.replace('_', '-')}: this data has no setting data.{name}; remove it")
    section: Any = OmegaConf.to_container(cfg.data, resolve=True)
    settings = {key: value for key, value in section.items() if key not in ("holdout", "columns", "groups")}
    scan = build({**settings, "root": folder, **flags}, "data").scan
    if scan is None:
        raise UserError(f"{printable(folder)}: this data is not a folder of files, so there is nothing to scan")
    return scan


def _print_pair_hint(scan: Scan) -> None:
    """Print a hint if the folder has two sub-folders that may hold the images of pairs."""
    from audiogan.data.images.pair_scan import DEFAULTS

    for names in DEFAULTS:
        if all((scan.root / name).is_dir() for name in names):
            command = shlex.join(["audiogan", "data", "scan", "--pairs", str(scan.root)])
            print(printable(f"  the folders {' and '.join(names)} may hold pairs; scan them with: {command}"))
            return


def _print_image_hint(scan: Scan) -> None:
    """Print a hint if the folder contains more images than usable sounds."""
    from audiogan.data.kinds import is_image

    images = sum(row["reason"] == "not audio" and is_image(row["path"]) for row in scan.rows())
    if images > scan.usable:
        command = shlex.join(["audiogan", "data", "scan", "--images", str(scan.root)])
        print(printable(f"  {images:,} files are images; scan them with: {command}"))


def _print_training_data(cfg: DictConfig, root: Path, flags: dict[str, Any]) -> None:
    from audiogan.data.sounds.sources import describe_held_out
    from audiogan.run.training import open_data

    cfg.data.update({"root": str(root), **flags})
    train, held_out = open_data(cfg)
    print(printable(f"  training: {train.source}{describe_held_out(train, held_out, cfg.data.get('holdout'))}"))
