"""``audiogan data scan``"""

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
"""Settings of the data that have a flag."""
SOUNDS = ("audiogan.data.open_sounds", "audiogan.data.sounds.sources.open_sounds")
IMAGES = ("audiogan.data.open_images", "audiogan.data.images.sources.open_images")
"""Both names of the functions that open sounds and images."""
IMAGE_SETS = ("mnist", "fashion-mnist", "digits")
OTHER = ("_target_", "root", "sets", "holdout", "mirror", "columns", "groups")
"""Keys of the data that do not concern a scan."""


class IntermixedParser(argparse.ArgumentParser):
    """A parser that takes positional arguments before, between and after options."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse with all options first."""
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


def add(scan: argparse.ArgumentParser) -> None:
    scan.add_argument("folder", help="a folder of sounds or images, or the name of a data set that was downloaded")
    scan.add_argument(
        "settings", nargs="*", metavar="KEY=VALUE", help="as for `audiogan train`: data.long=slice data.labels=FILE"
    )
    scan.add_argument("--config", help="the configuration that will train on it (default: drums, or images)")
    scan.add_argument("--images", action="store_true", help="look at the images, although there are sounds")
    scan.add_argument("--csv", type=Path, help="write the verdict on every file here")
    scan.add_argument("--sample-rate", type=int, help="Hz (default 16000)")
    scan.add_argument("--length", type=int, help="samples (default 16384)")
    scan.add_argument("--channels", type=int, help="of the clips (default 1)")
    scan.add_argument("--labels", help="auto, folders, none or a CSV file (default auto)")
    scan.add_argument("--long", help="long files: onset, start or slice (default onset)")
    scan.add_argument("--trim", action="store_true", default=None, help="start short files at their onset, too")
    scan.add_argument("--links", help="follow: use links that lead out of the folder")


def run(args: argparse.Namespace) -> None:
    """Print what is usable, write the table if asked to, and say what a training with these settings would use."""
    if args.csv:
        _check_csv(args.csv)
    flags = {name: getattr(args, name) for name in FLAGS if getattr(args, name) is not None}
    for setting in args.settings:
        key = re.match(r"\+*data\.(\w+)=", setting)
        if key and (key[1] in flags or key[1] == "root"):
            given = "the folder" if key[1] == "root" else f"--{key[1].replace('_', '-')}"
            raise UserError(f"{printable(setting)}: {given} says it already; leave one of them out")
        if "=" not in setting:
            raise UserError(f"{printable(setting)!r} is not a setting; write KEY=VALUE, such as data.long=slice")
    folder = _expanded(args.folder)
    images = args.images or (args.config is None and _holds_images(folder))
    cfg = None
    if args.config or args.settings:
        cfg = _composed(args.config or ("images" if images else "drums"), args.settings)
        images = cfg.data.get("_target_") in IMAGES
    settings = {**_section(cfg), **flags}
    scan = _scan_images(folder, settings) if images else _scan_sounds(folder, settings)
    if scan is None:
        if args.csv:
            raise UserError(f"--csv: {folder} is no folder; only files of a folder have verdicts")
        return
    print(scan.summary())
    if args.csv:
        scan.write(args.csv)
    if not images:
        _say_images(scan)
    if cfg is not None and scan.clips:
        _say_training(cfg, scan.root, flags)


def _check_csv(path: Path) -> None:
    """Raise UserError unless the table can be written at ``path``: a new file, or one in place of an older table."""
    from audiogan.files import check_writable_file

    check_writable_file(path)
    if path.exists():
        with open(path, "rb") as stream:
            start = stream.read(12)
        if start and start != b"path,reason,":
            raise UserError(f"--csv {printable(path)}: this file is no table of verdicts; choose another name")


def _expanded(folder: str) -> str:
    try:
        return str(Path(folder).expanduser()) if folder.startswith("~") else folder
    except RuntimeError as error:
        raise UserError(f"{printable(folder)}: {error}") from error


def _composed(config: str, overrides: Sequence[str]) -> DictConfig:
    from audiogan.run import config as configuration

    cfg = configuration.compose(config, overrides)
    if cfg.data.get("_target_") not in (*SOUNDS, *IMAGES):
        raise UserError(f"{config}: its data are neither sounds nor images; choose another --config")
    return cfg


def _section(cfg: DictConfig | None) -> dict[str, Any]:
    """The settings of the data of a configuration."""
    from omegaconf import OmegaConf

    if cfg is None:
        return {}
    section: Any = OmegaConf.to_container(cfg.data, resolve=True)
    return {str(key): value for key, value in section.items() if key not in OTHER}


def _holds_images(folder: str) -> bool:
    """Return whether there are images and no sounds."""
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
    """The scan of a folder of images; None for an .npz file, which is described here."""
    from audiogan.data.images.scan import scan_images
    from audiogan.data.images.sources import open_images
    from audiogan.data.verdicts import format_class_counts

    known = ("size", "channels", "labels", "links")
    for key in settings.keys() - {*known}:
        raise UserError(f"data.{key}: {folder} holds images, which have no such setting; there are {', '.join(known)}")
    path = Path(folder)
    if path.is_dir() and not (path / "train.npz").is_file():
        return scan_images(path, **settings)
    data = open_images(folder, **settings)
    print(printable(data.source))
    if data.labels:
        print(printable(f"  {format_class_counts(data.labels, data.class_counts)}"))
    return None


def _say_images(scan: Scan) -> None:
    """Say that there are images, too, where they are more than the sounds."""
    from audiogan.data.kinds import is_image

    images = sum(row["reason"] == "not audio" and is_image(row["path"]) for row in scan.rows())
    if images > scan.usable:
        command = shlex.join(["audiogan", "data", "scan", "--images", str(scan.root)])
        print(printable(f"  {images:,} files are images; to look at them: {command}"))


def _say_training(cfg: DictConfig, root: Path, flags: dict[str, Any]) -> None:
    from audiogan.data.sounds.sources import describe_held_out
    from audiogan.run.training import open_data

    cfg.data.update({"root": str(root), **flags})
    train, held_out = open_data(cfg)
    print(printable(f"  training: {train.source}{describe_held_out(train, held_out, cfg.data.get('holdout'))}"))
