"""Build objects from sections of a checked configuration."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from audiogan.errors import UserError
from audiogan.run.targets import check_places, present, resolve_target
from audiogan.utils.text import printable


def build(node: Any, where: str, **extra: Any) -> Any:
    """``hydra.utils.instantiate`` of a checked section; what goes wrong comes out as one line that names the key."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        check_places(plain, where)
        if "${" in repr(plain):  # escaped once, it would be resolved by hydra after the check
            raise UserError(f"{where}: '${{' may not remain after interpolation; remove the backslash before it")
        plain = present(plain)
        if not extra:
            return instantiate(plain, _convert_="all")
        make = instantiate(plain, _partial_=True, _convert_="all")  # handed over here, hydra would turn them into dicts
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from error
        _check_arguments(cause, plain, where)
        raise UserError(f"{where}: {first_line(cause or error)}{_key(error)}") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{where}: {first_line(error)}") from error
    return _made(make, where, extra, plain)


def _made(make: Callable[..., Any], where: str, extra: Mapping[str, Any], plain: Any) -> Any:
    """Call a constructor; an error becomes one line that names the key."""
    try:
        return make(**extra)
    except UserError:
        raise
    except Exception as error:  # as Hydra does for the objects that it builds
        _check_arguments(error, plain, where)
        raise UserError(f"{where}: {first_line(error)}") from error


def _check_arguments(error: BaseException | None, node: Any, key: str) -> None:
    """Raise `UserError` with the known keys if a constructor in ``node`` has failed because of an unknown key."""
    found = re.search(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'", str(error))
    if not found or not isinstance(node, dict | list):
        return
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        _check_arguments(error, value, f"{key}.{name}")
    if not isinstance(node, dict) or found[2] not in node or "_target_" not in node:
        return
    target, known = resolve_target(node["_target_"], f"{key}._target_"), dict[str, None]()
    for kind in getattr(target, "__mro__", (target,)):
        parameters = inspect.signature(kind).parameters.values()
        known |= dict.fromkeys(p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL))
        if kind.__name__ == found[1]:
            raise UserError(f"{key}.{found[2]}: {target.__name__} has no such key; known are {', '.join(known)}")


def _key(error: BaseException) -> str:
    found = re.search(r"full_key: (\S+)", str(error))
    return f" (in {found[1]})" if found else ""


def first_line(error: BaseException) -> str:
    """The error in one line: its first two, for hydra tells what to do in the second."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(error).__name__


@contextlib.contextmanager
def fitting(name: str) -> Iterator[None]:
    """Turn what goes wrong because settings do not fit each other into one line."""
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        raise UserError(f"{name}: these settings do not fit each other: {printable(first_line(error))}") from error
