"""Modules of the person's own: networks, games, losses, inputs and data from outside the package.

A configuration, checkpoint or bundle may use classes of a module that the person names with ``--trust NAME`` or
``load(run, trust=[NAME])``. No file can add a name. A module is imported only after its name was found among them.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from audiogan.errors import UserError
from audiogan.utils.text import printable

P = ParamSpec("P")
R = TypeVar("R")
MAX_MODULES, MAX_NAME = 16, 100
"""Largest number of modules that a model needs, and characters of a name."""
FRAMEWORKS = {
    *("audiogan", "torch", "torchaudio", "torchvision", "torchgen", "functorch", "numpy", "hydra", "omegaconf"),
    *("pip", "setuptools", "pkg_resources", "test"),
}
REFUSED = {name.lower() for name in {*sys.stdlib_module_names, *sys.builtin_module_names, *FRAMEWORKS}}
"""Names, in lower case, that nobody can trust: some of their classes start programs or write files."""


@dataclass(frozen=True)
class Trust:
    """The modules that are trusted in a thread.

    Attributes:
        names: top-level names.
        folders: folders that are appended to ``sys.path``: the working folder in which each name was given.
        command_line: whether messages name the flag ``--trust`` or the argument ``trust=``.
    """

    names: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    command_line: bool = False


NOTHING = Trust()
_CURRENT: ContextVar[Trust] = ContextVar("trust")
_LOCK = threading.Lock()
_APPENDED: Counter[str] = Counter()
"""How many blocks that run now need each folder that was appended to ``sys.path``."""


def trusted_modules() -> tuple[str, ...]:
    """Return the names of the modules that are trusted here."""
    return _CURRENT.get(NOTHING).names


def parse_module_names(names: str | Iterable[str]) -> list[str]:
    """Return names from a person, each once.

    Args:
        names: names of modules; a text may hold several, separated by commas.

    Raises:
        UserError: a name that cannot be trusted.
    """
    found: list[str] = []
    for given in [names] if isinstance(names, str) else names:
        for name in given.split(",") if isinstance(given, str) else [given]:
            name = name.strip() if isinstance(name, str) else name
            if (reason := _reason(name)) is not None:
                raise UserError(f"--trust {printable(name)[:MAX_NAME]}: {reason}")
            found.append(name)
    return list(dict.fromkeys(found))


def may_be_trusted(name: Any) -> bool:
    """Whether a person could trust a module of this name."""
    return _reason(name) is None


def _reason(name: Any) -> str | None:
    """Why a name cannot be trusted; ``None`` if it can."""
    if not isinstance(name, str) or not name or len(name) > MAX_NAME or re.search(r"[^A-Za-z0-9_.]", name):
        return "write the name of a module, such as my_networks, without folders"
    if name.endswith(".py") and name.count(".") == 1:
        return f"write the name of the module, {name.removesuffix('.py')}"
    if "." in name:
        top = name.partition(".")[0]
        return f"write the name of the whole package, {top}" if top else "write the name of a module, without dots"
    if not re.match("[A-Za-z_]", name) or "__" in name:
        return "write the name of a module: it begins with a letter and has no __"
    if name.lower() in REFUSED:
        return "part of Python or of a library that audiogan needs; only modules of your own can be trusted"
    return None


@contextlib.contextmanager
def trust_modules(names: str | Iterable[str], *, command_line: bool | None = None) -> Iterator[None]:
    """Trust modules within a ``with`` block, beside those that are trusted already.

    If there are any, the working folder is appended to ``sys.path`` until the block ends. A new thread starts without
    trust: see `carried`.

    Args:
        names: see `check_names`.
        command_line: see `Trust`; ``None``: as before.
    """
    before, added = _CURRENT.get(NOTHING), parse_module_names(names)
    trust = Trust(
        tuple(dict.fromkeys([*before.names, *added])),
        tuple(dict.fromkeys([*before.folders, *([os.getcwd()] if added else [])])),
        before.command_line if command_line is None else command_line,
    )
    with _entered(trust):
        yield


@contextlib.contextmanager
def _entered(trust: Trust) -> Iterator[None]:
    token = _CURRENT.set(trust)
    with _LOCK:
        appended = [folder for folder in trust.folders if folder in _APPENDED or folder not in sys.path]
        for folder in appended:
            if folder not in _APPENDED:
                sys.path.append(folder)
            _APPENDED[folder] += 1
    try:
        yield
    finally:
        _CURRENT.reset(token)
        with _LOCK:
            for folder in appended:
                _APPENDED[folder] -= 1
                if not _APPENDED[folder]:
                    del _APPENDED[folder]
                    if folder in sys.path:
                        sys.path.remove(folder)


def with_current_trust(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that calls ``function`` with the trust of this thread, in another thread or process."""
    return partial(_run, _CURRENT.get(NOTHING), function)


def _run(trust: Trust, function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    with _entered(trust):
        return function(*args, **kwargs)


def find_object(target: str) -> Any:
    """Return the object that a dotted name of a trusted module means; ``None`` if there is none.

    Nothing but modules may stand before the last name, and a ``__getattr__`` of the module is not called.

    Args:
        target: such as ``my_networks.Generator``.

    Raises:
        UserError: the module is not trusted, does not exist, or fails when it is imported.
    """
    path, _, name = target.rpartition(".")
    if path.partition(".")[0] not in trusted_modules():
        raise UserError(f"{printable(target)[:MAX_NAME]}: its module is not trusted")
    top = path.partition(".")[0]
    try:
        if path not in sys.modules:
            importlib.invalidate_caches()  # the file may be new
        return vars(importlib.import_module(path)).get(name)
    except (Exception, SystemExit) as error:  # a module can raise anything
        if isinstance(error, ModuleNotFoundError) and error.name == top:
            folders = ", ".join(_CURRENT.get(NOTHING).folders)
            raise UserError(f"{top}: no such module in {printable(folders)} or among the installed ones") from error
        if isinstance(error, ModuleNotFoundError) and f"{path}.".startswith(f"{error.name}."):
            return None
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
        line = f" (line {lines[-1].lineno} of {printable(lines[-1].filename)})" if len(lines) > 1 else ""
        text = printable(" ".join(str(error).split()))[:200]
        raise UserError(f"{top} cannot be imported: {type(error).__name__}: {text}{line}") from error


def is_defined_in(found: Any, target: str) -> bool:
    """Whether a class or function is defined, under its own name, in the package of ``target``."""
    home, name = getattr(found, "__module__", None), getattr(found, "__name__", None)
    own = isinstance(home, str) and home.partition(".")[0] == target.partition(".")[0]
    return own and isinstance(name, str) and getattr(found, "__qualname__", None) == name


def check_required_modules(names: Any) -> None:
    """Refuse a stored model that needs modules that are not trusted. Nothing is imported.

    Args:
        names: from the file: top-level names of the modules, or anything.

    Raises:
        UserError: names the modules, and the flag or argument that trusts them.
    """
    if not isinstance(names, list | tuple) or len(names) > MAX_MODULES:
        raise UserError(f"requires: expected a list of at most {MAX_MODULES} names of modules")
    for name in names:
        if not may_be_trusted(name):
            shown = printable(repr(name))[:MAX_NAME]
            raise UserError(f"requires: {shown} is not the name of a module that a model can need")
    missing = [name for name in dict.fromkeys(names) if name not in trusted_modules()]
    if missing:
        what, file = ("modules", "these files") if len(missing) > 1 else ("module", "that file")
        listed = ", ".join(f'"{name}"' for name in missing)
        flag = f"--trust {','.join(missing)}" if _CURRENT.get(NOTHING).command_line else f"trust=[{listed}]"
        raise UserError(f"it needs the {what} {', '.join(missing)}; if you trust {file}, add {flag}")


def trust_hint(name: str, folder: Path | None = None) -> str | None:
    """Return what to add so that a configuration may use the module ``name``; ``None`` if no such file is near.

    Args:
        name: top-level name of a module that is not trusted.
        folder: folder of the configuration. The working folder is looked at first.
    """
    for near in (Path(), folder) if may_be_trusted(name) else ():
        for file in (near / f"{name}.py", near / name / "__init__.py") if near is not None else ():
            if file.is_file():
                where = "" if near == Path() else f"start the command in {printable(near)} and "
                return f"if you trust {printable(file)}, {where}add --trust {name}"
    return None


def trust_flag() -> str:
    """Return the flag for a suggested command, with a space in front; empty where nothing is trusted."""
    return f" --trust {','.join(trusted_modules())}" if trusted_modules() else ""
