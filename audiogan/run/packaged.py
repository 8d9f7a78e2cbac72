"""Find configuration files: shipped ones by name, and others by path."""

from __future__ import annotations

import os
from pathlib import Path

from audiogan.errors import UserError
from audiogan.run.settings import refuse_interpolation

PACKAGE = Path(__file__).resolve().parents[1]
CONFIG_FOLDER = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"


def shipped_configs() -> list[str]:
    """Return the names of the shipped configurations, sorted."""
    return sorted(path.stem for path in CONFIG_FOLDER.glob("*.yaml"))


def find_config(config: str) -> Path:
    """Return the path of a configuration file.

    Args:
        config: path of a YAML file, or name of a shipped configuration.

    Raises:
        UserError: there is no such file or shipped configuration.
    """
    path = Path(os.path.expanduser(config))
    if path.suffix.lower() not in (".yaml", ".yml"):
        if config in shipped_configs():
            return CONFIG_FOLDER / f"{config}.yaml"
        if (path / "config.yaml").is_file():
            raise UserError(f"{config}: this is a folder; use the configuration in it, {path / 'config.yaml'}")
        raise UserError(f"{config}: neither a YAML file nor a shipped configuration ({', '.join(shipped_configs())})")
    if path.is_file():
        path = path.parent.resolve() / path.name
        refuse_interpolation("this file or one of its folders", str(path))
        return path
    if path.stem in shipped_configs() and not path.exists():
        return CONFIG_FOLDER / f"{path.stem}.yaml"
    raise UserError(f"{config}: no such file; shipped configurations: {', '.join(shipped_configs())}")
