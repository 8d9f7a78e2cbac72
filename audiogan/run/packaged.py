"""Shipped configurations, and the file of a configuration that a person names."""

from __future__ import annotations

import os
from pathlib import Path

from audiogan.errors import UserError
from audiogan.run.settings import refuse_interpolation

PACKAGE = Path(__file__).resolve().parents[1]
CONFIG_FOLDER = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"


def shipped_configs() -> list[str]:
    """Names of the configurations that ship with the package."""
    return sorted(path.stem for path in CONFIG_FOLDER.glob("*.yaml"))


def find_config(config: str) -> Path:
    """Return the file of a configuration given as a path or as the name of a shipped one."""
    path = Path(os.path.expanduser(config))
    if path.suffix.lower() not in (".yaml", ".yml"):
        if config in shipped_configs():
            return CONFIG_FOLDER / f"{config}.yaml"
        if (path / "config.yaml").is_file():
            raise UserError(f"{config}: a folder; name the configuration in it, {path / 'config.yaml'}")
        raise UserError(f"{config}: neither a YAML file nor a shipped configuration ({', '.join(shipped_configs())})")
    if path.is_file():
        path = path.parent.resolve() / path.name
        refuse_interpolation("this file or one of its folders", str(path))
        return path
    if path.stem in shipped_configs() and not path.exists():
        return CONFIG_FOLDER / f"{path.stem}.yaml"
    raise UserError(f"{config}: no such file; shipped configurations: {', '.join(shipped_configs())}")
