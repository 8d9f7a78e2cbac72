"""Trusted modules: the user's own code for networks, games, losses, inputs and data.

A configuration, checkpoint or exported model may use classes of a module that the user trusts with ``--trust NAME`` or
``load(run, trust=[NAME])``. A file cannot make a module trusted. Modules that are not trusted are never imported.
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
"""Limits of the modules that a model may need: number of modules (``MAX_MODULES``), and characters of a module
name (``MAX_NAME``)."""
FRAMEWORKS = {
    *("audiogan", "torch", "torchaudio", "torchvision", "torchgen", "functorch", "numpy", "hydra", "omegaconf"),
    *("pip", "setuptools", "pkg_resources", "test"),
}
REFUSED = {name.lower() for name in {*sys.stdlib_module_names, *sys.builtin_module_names, *FRAMEWORKS}}
"""Names, in lower case, of modules that cannot be trusted because some of their classes run programs or write files."""


@dataclass(frozen=True)
class Trust:
    """Modules that the current thread trusts.

    Attributes:
        names: names of top-level modules.
        folders: folders appended to ``sys.path``. They were the working folders when modules were trusted.
        from_command_line: whether messages suggest the flag ``--trust`` (True) or the argument ``trust=`` (False).

    Examples:
        >>> from audiogan.run.trust import Trust
        >>> Trust(names=("my_networks",)).from_command_line
        False
    """

    names: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    from_command_line: bool = False


NO_TRUST = Trust()
_CURRENT: ContextVar[Trust] = ContextVar("trust")
_LOCK = threading.Lock()
_APPENDED: Counter[str] = Counter()
"""Number of active `trust_modules` blocks per folder in ``sys.path``. The last block to end removes the folder."""


def trusted_modules() -> tuple[str, ...]:
    """Return the names of the modules that the current thread trusts.

    Examples:
        >>> from audiogan.run.trust import trust_modules, trusted_modules
        >>> with trust_modules("my_networks"):
        ...     trusted_modules()
        ('my_networks',)
    """
    return _CURRENT.get(NO_TRUST).names


def parse_module_names(names: str | Iterable[str]) -> list[str]:
    """Parse and check the names of modules to trust. Return each name once.

    Args:
        names: names of top-level modules. A string may contain several names, separated by commas.

    Raises:
        UserError: a name is invalid, or the module cannot be trusted.

    Examples:
        >>> from audiogan.run.trust import parse_module_names
        >>> parse_module_names("my_networks,my_losses,my_networks")
        ['my_networks', 'my_losses']
    """
    found: list[str] = []
    for given in [names] if isinstance(names, str) else names:
        for name in given.split(",") if isinstance(given, str) else [given]:
            name = name.strip() if isinstance(name, str) else name
            if (reason := _refusal_reason(name)) is not None:
                raise UserError(f"--trust {printable(name)[:MAX_NAME]}: {reason}")
            found.append(name)
    return list(dict.fromkeys(found))


def may_be_trusted(name: Any) -> bool:
    """Return whether ``name`` is a valid module name that belongs neither to Python nor to a library of audiogan.

    Examples:
        >>> from audiogan.run.trust import may_be_trusted
        >>> may_be_trusted("my_networks"), may_be_trusted("os")
        (True, False)
    """
    return _refusal_reason(name) is None


def _refusal_reason(name: Any) -> str | None:
    """Return the reason why a module cannot be trusted, or ``None`` if it can."""
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
        return "this module belongs to Python or to a library that audiogan needs; trust only modules of your own"
    return None


@contextlib.contextmanager
def trust_modules(names: str | Iterable[str], *, from_command_line: bool | None = None) -> Iterator[None]:
    """Trust modules within a ``with`` block, in addition to modules that are already trusted.

    The working folder is appended to ``sys.path`` until the block ends, unless ``names`` is empty. Other threads do not
    trust the modules; see `with_current_trust`.

    Args:
        names: names of top-level modules. A string may contain several names, separated by commas.
        from_command_line: whether messages suggest the flag ``--trust`` instead of the argument ``trust=``. By
            default, the current setting is kept.

    Examples:
        >>> from audiogan.run.trust import trust_modules, trusted_modules
        >>> with trust_modules(["my_networks", "my_losses"]):
        ...     trusted_modules()
        ('my_networks', 'my_losses')
        >>> trusted_modules()
        ()
    """
    before, added = _CURRENT.get(NO_TRUST), parse_module_names(names)
    trust = Trust(
        tuple(dict.fromkeys([*before.names, *added])),
        tuple(dict.fromkeys([*before.folders, *([os.getcwd()] if added else [])])),
        before.from_command_line if from_command_line is None else from_command_line,
    )
    with _activate(trust):
        yield


@contextlib.contextmanager
def _activate(trust: Trust) -> Iterator[None]:
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
    """Wrap a function so that it trusts the modules of the current thread when another thread or process calls it.

    Examples:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> from audiogan.run.trust import trust_modules, trusted_modules, with_current_trust
        >>> with trust_modules("my_networks"), ThreadPoolExecutor() as pool:
        ...     pool.submit(with_current_trust(trusted_modules)).result()
        ('my_networks',)
    """
    return partial(_run_with, _CURRENT.get(NO_TRUST), function)


def _run_with(trust: Trust, function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    with _activate(trust):
        return function(*args, **kwargs)


def find_object(target: str) -> Any:
    """Import a trusted module and return one of its objects, or ``None`` if the module has no such object.

    Args:
        target: dotted name of a module-level object, such as ``my_networks.Generator``.

    Raises:
        UserError: the module is not trusted, does not exist, or raises an exception during import.
    """
    path, _, name = target.rpartition(".")
    if path.partition(".")[0] not in trusted_modules():
        raise UserError(f"{printable(target)[:MAX_NAME]}: its module is not trusted; trust it first")
    top = path.partition(".")[0]
    try:
        if path not in sys.modules:
            importlib.invalidate_caches()  # The file may have been created after Python listed the folder.
        return vars(importlib.import_module(path)).get(name)
    except (Exception, SystemExit) as error:  # The code of a module may raise any exception.
        if isinstance(error, ModuleNotFoundError) and error.name == top:
            folders = ", ".join(_CURRENT.get(NO_TRUST).folders)
            raise UserError(f"{top}: no such module in {printable(folders)} or among the installed ones") from error
        if isinstance(error, ModuleNotFoundError) and f"{path}.".startswith(f"{error.name}."):
            return None
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
        line = f" (line {lines[-1].lineno} of {printable(lines[-1].filename)})" if len(lines) > 1 else ""
        text = printable(" ".join(str(error).split()))[:200]
        raise UserError(f"{top} cannot be imported: {type(error).__name__}: {text}{line}") from error


def is_defined_in(obj: Any, target: str) -> bool:
    """Return whether a class or function is defined, not only imported, in the top-level package of ``target``.

    Examples:
        >>> from audiogan.run.trust import is_defined_in
        >>> from audiogan.networks.mlp import MLPGenerator
        >>> [is_defined_in(MLPGenerator, target) for target in ("audiogan.networks", "torch.nn.Linear")]
        [True, False]
    """
    home, name = getattr(obj, "__module__", None), getattr(obj, "__name__", None)
    own = isinstance(home, str) and home.partition(".")[0] == target.partition(".")[0]
    return own and isinstance(name, str) and getattr(obj, "__qualname__", None) == name


def check_required_modules(names: Any) -> None:
    """Raise `UserError` if a stored model needs modules that are not trusted. No module is imported.

    Args:
        names: top-level modules that the model needs, as read from an untrusted file. Any type is accepted.

    Examples:
        >>> from audiogan.run.trust import check_required_modules, trust_modules
        >>> with trust_modules("my_networks"):
        ...     check_required_modules(["my_networks"])  # no error: the module is trusted
    """
    if not isinstance(names, list | tuple) or len(names) > MAX_MODULES:
        raise UserError(f"requires: expected a list of at most {MAX_MODULES} names of modules")
    for name in names:
        if not may_be_trusted(name):
            shown = printable(repr(name))[:MAX_NAME]
            raise UserError(f"requires: {shown} is not the name of a module that a model can need")
    missing = [name for name in dict.fromkeys(names) if name not in trusted_modules()]
    if missing:
        what, code = ("modules", "their code") if len(missing) > 1 else ("module", "its code")
        listed = ", ".join(f'"{name}"' for name in missing)
        flag = f"--trust {','.join(missing)}" if _CURRENT.get(NO_TRUST).from_command_line else f"trust=[{listed}]"
        raise UserError(f"it needs the {what} {', '.join(missing)}; if you trust {code}, add {flag}")


def trust_hint(name: str, folder: Path | None = None) -> str | None:
    """Return advice to trust a module, or ``None`` if its file is neither in the working folder nor in ``folder``.

    Args:
        name: name of a top-level module that is not trusted.
        folder: folder of the configuration.

    Examples:
        >>> from audiogan.run.trust import trust_hint
        >>> trust_hint("no_such_module") is None
        True
    """
    for near in (Path(), folder) if may_be_trusted(name) else ():
        for file in (near / f"{name}.py", near / name / "__init__.py") if near is not None else ():
            if file.is_file():
                where = "" if near == Path() else f"start the command in {printable(near)} and "
                return f"if you trust {printable(file)}, {where}add --trust {name}"
    return None


def trust_flag() -> str:
    """Return the flag ``--trust`` for a suggested command, with a leading space. An empty string if no module is
    trusted.

    Examples:
        >>> from audiogan.run.trust import trust_flag, trust_modules
        >>> with trust_modules(["my_networks", "my_losses"]):
        ...     "audiogan train my.yaml" + trust_flag()
        'audiogan train my.yaml --trust my_networks,my_losses'
    """
    return f" --trust {','.join(trusted_modules())}" if trusted_modules() else ""


def describe_user_error(error: BaseException) -> str | None:
    """Return file, line and message of an exception raised in a trusted module, or None for other exceptions.

    Examples:
        >>> from audiogan.run.trust import describe_user_error
        >>> describe_user_error(ValueError("not from a trusted module")) is None
        True
    """
    place, step = None, error.__traceback__
    while step is not None:
        if str(step.tb_frame.f_globals.get("__name__")).partition(".")[0] in trusted_modules():
            place = f"{Path(step.tb_frame.f_code.co_filename).name}, line {step.tb_lineno}"
        step = step.tb_next
    message = " ".join(str(error).split())[:300]
    return place and printable(f"{place}: {type(error).__name__}: {message} (AUDIOGAN_DEBUG=1 prints the traceback)")
