"""Checks of untrusted models: limits on the stored configuration and on the memory of its networks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from audiogan.errors import UserError
from audiogan.run.settings import is_integer, is_number
from audiogan.run.targets import check_targets, external_modules
from audiogan.run.trust import check_required_modules
from audiogan.utils.text import printable

MAX_DEPTH, MAX_ENTRIES, MAX_VALUES = 32, 10_000, 100_000
"""Limits of a stored configuration: nesting depth (``MAX_DEPTH``), entries of one list or mapping (``MAX_ENTRIES``),
and values in total (``MAX_VALUES``)."""
MAX_BUILT_VALUES = 5_000
"""Maximum number of values in a section from which objects are built. More would be slow, because omegaconf takes 0.1
ms for each value."""
MAX_TEXT, MAX_LABEL = 10_000, 1_000
"""Limits in characters: of a string in the configuration (``MAX_TEXT``), and of a class name (``MAX_LABEL``)."""
INTEGER_LIMIT = 2**63
"""Upper limit of the absolute value of integers in the configuration. They must fit in 64 bits."""
MAX_INPUTS, MAX_DIMENSIONS = 64, 8
"""Limits of the inputs of a generator: number of inputs (``MAX_INPUTS``), and dimensions of one input
(``MAX_DIMENSIONS``)."""
INPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
MAX_SIGNAL_VALUES = 1 << 24
"""Maximum number of values of one signal, such as 17 minutes of sound at 16 kHz, or an image of 4096 x 4096 pixels."""
SURROGATE = re.compile("[\ud800-\udfff]")
"""Regular expression for lone surrogates, which JSON allows but UTF-8 cannot encode."""
SQUARE_RESULTS = {"eye", "diag", "diag_embed"}
"""Operations that return n x n elements for an argument with n elements."""
VIEWS = {"__get__", "__set__", "__setitem__", "split", "unfold", "expand", "view", "flatten", "unflatten", "detach"}
"""Operations that allocate no memory."""
SAME_SIZE = {"mv", "batch_norm", "group_norm", "layer_norm", "reshape", "view_as", "float", "double", "to", "clone"}
SAME_SIZE |= {"contiguous"}
"""Operations with a result as large as their first argument."""
ELEMENTWISE = {"add", "radd", "sub", "rsub", "mul", "rmul", "div", "truediv", "rtruediv", "rdiv", "pow", "rpow"}
ELEMENTWISE |= {"and", "or", "min", "max"}
ELEMENTWISE |= {"where", "addcmul", "polar", "complex", "maximum", "minimum", "lerp", "linalg_vecdot"}
"""Operations whose result has the common broadcast shape of their tensor arguments."""
TOO_LARGE = "its networks are larger than its weights"


def check_config(config: Any) -> None:
    """Check the stored configuration of an untrusted model before objects are built from it.

    A training run stores a resolved configuration of a few hundred values. Much larger configurations are refused.
    Interpolations are refused too, because they could read environment variables.

    Raises:
        UserError: a key has an invalid value. The message names the first one.
    """
    if not isinstance(config, dict):
        raise UserError(f"config: expected a mapping, got {type(config).__name__}")
    _ValueLimits(MAX_VALUES).check(config, "", 0)
    sections: dict[str, Any] = {key: config.get(key) for key in ("facts", "game", "inputs", "representation")}
    for key, node in sections.items():
        if not isinstance(node, dict):
            raise UserError(f"{key}: expected a mapping, got {type(node).__name__}")
    check_required_modules(external_modules(sections))
    for key, node in sections.items():
        _check_numbers(node, key)
        check_targets(node, key)
    facts: Any = sections.pop("facts")
    if not isinstance(facts.get("modality"), dict):
        raise UserError(f"facts.modality: expected a mapping, got {type(facts.get('modality')).__name__}")
    for key, node in {**sections, "facts.modality": facts.get("modality")}.items():
        _ValueLimits(MAX_BUILT_VALUES).check(node, key, 0)
    _check_input_names(sections["inputs"], "inputs")
    _check_inputs(facts.get("inputs"))
    if facts.get("labels") is not None:
        _check_names(facts["labels"], "facts.labels")


def _check_inputs(inputs: Any) -> None:
    """Check ``facts.inputs``, which stores the properties of each input derived from the training data."""
    if inputs is None:
        return
    if not isinstance(inputs, dict):
        raise UserError(f"facts.inputs: expected a mapping, got {type(inputs).__name__}")
    _check_input_names(inputs, "facts.inputs")
    built = {}
    for name, facts in inputs.items():
        key = f"facts.inputs.{name}"
        if not isinstance(facts, dict):
            if facts is not None:
                raise UserError(f"{key}: expected a mapping, got {type(facts).__name__}")
            continue
        # Labels, counts and quantiles are omitted, because omegaconf is slow and is not needed for such long lists.
        built[name] = {k: value for k, value in facts.items() if k not in ("labels", "counts", "scale")}
        labels, counts, scale, shape = (facts.get(k) for k in ("labels", "counts", "scale", "shape"))
        if labels is not None:
            _check_names(labels, f"{key}.labels")
        if counts is not None and not (
            _is_list(counts) and len(counts) in (0, len(labels or ())) and _are_counts(counts)
        ):
            raise UserError(f"{key}.counts: expected a count of at least 0 for each label, not all of them 0")
        if scale is not None:
            _check_names(scale.get("names") if isinstance(scale, dict) else scale, f"{key}.scale.names")
        if shape is not None and not _is_shape(shape):
            raise UserError(f"{key}.shape: expected at most {MAX_DIMENSIONS} sizes and {MAX_SIGNAL_VALUES:,} values")
        for k in ("size", "length"):
            if k in facts and not (is_integer(facts[k]) and 0 <= facts[k] <= MAX_ENTRIES):
                raise UserError(f"{key}.{k}={printable(facts[k])[:40]}: must be from 0 to {MAX_ENTRIES:,}")
    _ValueLimits(MAX_BUILT_VALUES).check(built, "facts.inputs", 0)


def _check_input_names(inputs: dict[Any, Any], key: str) -> None:
    if len(inputs) > MAX_INPUTS:
        raise UserError(f"{key}: {len(inputs):,} inputs; a generator has at most {MAX_INPUTS}")
    for name in inputs:
        if not isinstance(name, str) or not INPUT_NAME.fullmatch(name):
            raise UserError(f"{key}: {printable(repr(name))[:80]} is not the name of an input (letters, digits and _)")


def _are_counts(counts: Sequence[Any]) -> bool:
    real = all(is_number(x) and 0 <= x < INTEGER_LIMIT for x in counts)
    return real and (not counts or sum(counts) > 0)


def _is_shape(shape: Any) -> bool:
    if (
        not _is_list(shape)
        or len(shape) > MAX_DIMENSIONS
        or not all(x is None or (is_integer(x) and x > 0) for x in shape)
    ):
        return False
    return math.prod(x or 1 for x in shape) <= MAX_SIGNAL_VALUES


def _check_names(names: Any, key: str) -> None:
    if not isinstance(names, list | tuple):
        raise UserError(f"{key}: expected a list of names, got {type(names).__name__}")
    for i, name in enumerate(names):
        if not isinstance(name, str) or len(name) > MAX_LABEL or (not name.isascii() and SURROGATE.search(name)):
            raise UserError(f"{key}.{i}: expected text of at most {MAX_LABEL:,} characters, got {printable(name)[:40]}")


class _ValueLimits:
    """Limits of all values in a nested configuration.

    Args:
        left: maximum number of values.
    """

    def __init__(self, left: int) -> None:
        self.most = self.left = left

    def check(self, node: Any, key: str, depth: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise UserError(f"{key}: more than {self.most:,} values")
        if isinstance(node, str):
            if len(node) > MAX_TEXT:
                raise UserError(f"{key}: {len(node):,} characters; a string has at most {MAX_TEXT:,}")
            if "${" in node:
                shown = printable(node[:80])
                raise UserError(f"{key}='{shown}': interpolations are not allowed in a stored model")
        elif isinstance(node, dict | list | tuple):
            if len(node) > MAX_ENTRIES:
                raise UserError(f"{key or 'config'}: {len(node):,} entries; at most {MAX_ENTRIES:,} are read")
            if depth >= MAX_DEPTH:
                raise UserError(f"{key}: more than {MAX_DEPTH} levels deep")
            for name, value in node.items() if isinstance(node, dict) else enumerate(node):
                if not isinstance(name, str | int) or len(str(name)) > MAX_LABEL or "${" in str(name):
                    raise UserError(f"{key or 'config'}: a key is not a short name: {printable(name)[:80]}")
                self.check(value, f"{key}.{printable(name)[:80]}" if key else printable(name)[:80], depth + 1)
        elif isinstance(node, int):
            if not -INTEGER_LIMIT < node < INTEGER_LIMIT:
                raise UserError(f"{key}: the number is out of range (64 bits)")
        elif node is not None and not isinstance(node, float):
            raise UserError(f"{key}: a configuration cannot hold a {type(node).__name__}")


def _check_numbers(node: Any, key: str) -> None:
    """Check that numbers are finite, and that numbers of classes and knobs are bounded."""
    if isinstance(node, float) and not math.isfinite(node):
        raise UserError(f"{key}={node}: must be a finite number")
    for name, value in node.items() if isinstance(node, dict) else enumerate(node) if _is_list(node) else ():
        if name in ("classes", "knobs") and isinstance(value, int) and not 0 <= value <= MAX_ENTRIES:
            raise UserError(f"{key}.{name}={value}: must be from 0 to {MAX_ENTRIES:,}")
        _check_numbers(value, f"{key}.{name}")


def _is_list(node: Any) -> bool:
    return isinstance(node, list | tuple)


class Budget(TorchFunctionMode):
    """Context manager that limits the memory and the number of PyTorch operations inside a block.

    A few numbers in a configuration can request terabytes of memory. Sizes are checked before memory is allocated. The
    limits on totals are attributes that decrease while the block runs.

    Args:
        max_tensor_size: maximum number of elements of one tensor.
        max_created_size: maximum number of elements of all tensors created from sizes, such as weights.
        max_computed_size: maximum number of elements of all tensors computed from other tensors.
        max_calls: maximum number of operations.

    Raises:
        UserError: an operation inside the block exceeds a limit.
    """

    def __init__(self, max_tensor_size: int, max_created_size: int, max_computed_size: int, max_calls: int) -> None:
        super().__init__()
        self.max_tensor_size, self.max_created_size = max_tensor_size, max_created_size
        self.max_computed_size, self.max_calls = max_computed_size, max_calls

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if name == "_set_grad_enabled":  # always allowed, because `torch.no_grad` calls it to switch gradients on again
            return func(*args, **kwargs)
        self.max_calls -= 1
        if self.max_calls < 0:
            raise UserError(f"{TOO_LARGE}: too many operations")
        if name in VIEWS or (name.endswith("_") and not name.endswith("__")):  # no new memory
            return func(*args, **kwargs)
        if (
            _size_bound(name, args, kwargs) > self.max_tensor_size
            and _result_size(func, args, kwargs) > self.max_tensor_size
        ):
            raise UserError(f"{TOO_LARGE}: a tensor has too many elements")
        out = func(*args, **kwargs)
        if isinstance(out, Tensor):
            if any(_are_tensors((*args, *kwargs.values()))):
                self.max_computed_size -= out.numel()
            else:
                self.max_created_size -= out.numel()
            if min(self.max_computed_size, self.max_created_size) < 0:
                raise UserError(f"{TOO_LARGE}: too much memory")
        return out


def _size_bound(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Return an upper bound for the number of elements in a result, computed from the arguments alone.

    The bound is close for common operations, because the exact `_result_size` imports a compiler, which takes a second.
    """
    first = args[0] if args else None
    if isinstance(first, Tensor):
        if name in SAME_SIZE:
            return first.numel()
        if name == "linear":
            return first.numel() // max(1, first.shape[-1]) * len(args[1])
        if name in ("matmul", "__matmul__") and min(first.dim(), args[1].dim()) > 1:
            return _broadcast_size([first[..., :1], args[1][..., :1, :]])
    values = (*args, *kwargs.values())
    if name.strip("_") in ELEMENTWISE:
        return _broadcast_size([value for value in values if isinstance(value, Tensor)])
    if name in ("tensor", "as_tensor"):
        return MAX_ENTRIES  # Maximum length of a list in a checked configuration.
    bound = _size_product(values)
    return bound * bound if name in SQUARE_RESULTS else bound


def _broadcast_size(tensors: Sequence[Tensor]) -> int:
    """Return the number of elements of the common broadcast shape of tensors."""
    return math.prod(map(max, zip_longest(*(tuple(x.shape)[::-1] for x in tensors), fillvalue=1)))


def _size_product(values: Sequence[Any]) -> int:
    """Return the product of all sizes and integers in the arguments. A list of tensors counts as the sum of their
    sizes."""
    bound = 1
    for value in values:
        if isinstance(value, Tensor):
            bound *= max(1, value.numel())
        elif isinstance(value, int):
            bound *= max(1, abs(value))
        elif isinstance(value, tuple | list):
            joined = bool(value) and isinstance(value[0], Tensor)
            bound *= sum(part.numel() for part in value) if joined else _size_product(value)
    return bound


def _are_tensors(values: Sequence[Any]) -> Iterator[bool]:
    """Yield whether each argument is a tensor or a list of tensors."""
    for value in values:
        yield isinstance(value[0] if isinstance(value, tuple | list) and value else value, Tensor)


def _result_size(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Return the number of elements of a result by running the operation on the meta device, or 0 if that fails."""
    options = {name: _without_memory(value) for name, value in kwargs.items() if name != "generator"}
    if not any(_are_tensors((*args, *kwargs.values()))):
        options["device"] = "meta"
    try:
        out = func(*map(_without_memory, args), **options)
    except Exception:  # The real call of the operation raises a clearer error.
        return 0
    return out.numel() if isinstance(out, Tensor) else 0


def _without_memory(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to("meta")
    if isinstance(value, list | tuple) and any(isinstance(part, Tensor) for part in value):
        return type(value)(map(_without_memory, value))
    return value
