"""Build the objects of a run from sections of its configuration."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from audiogan.errors import UserError
from audiogan.run.targets import check_targets, resolve_target, update_targets
from audiogan.run.trust import describe_user_error
from audiogan.utils.text import printable


def build(section: Any, key: str, /, **extra_arguments: Any) -> Any:
    """Check a section of a configuration and build its object with ``hydra.utils.instantiate``.

    Args:
        section: settings with ``_target_``, the dotted name of a class or function.
        key: dotted key of the section, such as ``players.critic``. The key decides which classes are allowed.
        extra_arguments: more arguments of the constructor, passed without conversion.

    Raises:
        UserError: the class is not allowed or rejects its arguments. The message is one line with the key.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        plain = OmegaConf.to_container(section, resolve=True) if OmegaConf.is_config(section) else section
        check_targets(plain, key)
        # Hydra would resolve an interpolation after `check_targets`, so the result could be an unchecked class.
        if "${" in repr(plain):
            raise UserError(f"{key}: '${{' is left after interpolation; remove the backslash before it")
        plain = update_targets(plain)
        if not extra_arguments:
            return instantiate(plain, _convert_="all")
        # Extra arguments are not passed to Hydra, because Hydra would convert them to dicts.
        constructor = instantiate(plain, _partial_=True, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from error
        _check_arguments(cause, plain, key)
        raise UserError(f"{key}: {summarize_error(cause or error)}{_full_key(error)}") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{key}: {summarize_error(error)}") from error
    return _construct(constructor, key, extra_arguments, plain)


def _construct(constructor: Callable[..., Any], key: str, extra_arguments: Mapping[str, Any], plain: Any) -> Any:
    """Call a constructor. Convert any exception to a `UserError` of one line that names the key."""
    try:
        return constructor(**extra_arguments)
    except UserError:
        raise
    except Exception as error:  # A constructor may raise any exception.
        _check_arguments(error, plain, key)
        raise UserError(f"{key}: {summarize_error(error)}") from error


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


def _full_key(error: BaseException) -> str:
    found = re.search(r"full_key: (\S+)", str(error))
    return f" (in {found[1]})" if found else ""


def summarize_error(error: BaseException) -> str:
    """Return the first two lines of an error message as one line. Hydra puts its advice into the second line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 2 and lines[1].startswith("Available options"):
        options = [line for line in lines[2:] if re.fullmatch(r"[\w-]+", line)]
        return f"{lines[0]}; choose one of {', '.join(options)}"
    if lines and lines[0].startswith("Could not override"):
        lines[0] = f"{lines[0].rstrip('.')}: no such key; check the spelling."
    return " ".join(lines[:2]) or type(error).__name__


@contextlib.contextmanager
def wrap_errors(prefix: str) -> Iterator[None]:
    """Convert errors in a ``with`` block to a `UserError` about conflicting settings. Its message starts with
    ``prefix``."""
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        conflict = f"the settings of this run conflict: {printable(summarize_error(error))}"
        raise UserError(f"{prefix}: {describe_user_error(error) or conflict}") from error
