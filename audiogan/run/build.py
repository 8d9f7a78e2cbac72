"""Build objects from sections of a checked configuration."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from audiogan.errors import UserError
from audiogan.run.targets import check_targets, update_targets
from audiogan.utils.text import printable


def build(node: Any, where: str, **extra: Any) -> Any:
    """``hydra.utils.instantiate`` of a checked section; what goes wrong comes out as one line that names the key."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        check_targets(plain, where)
        if "${" in repr(plain):  # escaped once, it would be resolved by hydra after the check
            raise UserError(f"{where}: '${{' may not remain after interpolation; remove the backslash before it")
        plain = update_targets(plain)
        if not extra:
            return instantiate(plain, _convert_="all")
        make = instantiate(plain, _partial_=True, _convert_="all")  # handed over here, hydra would turn them into dicts
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from error
        raise UserError(f"{where}: {summarize_error(cause or error)}{_key(error)}") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{where}: {summarize_error(error)}") from error
    return _made(make, where, extra)


def _made(make: Callable[..., Any], where: str, extra: Mapping[str, Any]) -> Any:
    """Call a constructor; an error becomes one line that names the key."""
    try:
        return make(**extra)
    except UserError:
        raise
    except Exception as error:  # as Hydra does for the objects that it builds
        raise UserError(f"{where}: {summarize_error(error)}") from error


def _key(error: BaseException) -> str:
    found = re.search(r"full_key: (\S+)", str(error))
    return f" (in {found[1]})" if found else ""


def summarize_error(error: BaseException) -> str:
    """The error in one line: its first two, for hydra tells what to do in the second."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(error).__name__


@contextlib.contextmanager
def wrap_errors(name: str) -> Iterator[None]:
    """Turn what goes wrong because settings do not fit each other into one line."""
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        raise UserError(f"{name}: these settings do not fit each other: {printable(summarize_error(error))}") from error
