"""Named terms of a loss: each counts, and each has a name in the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

RESERVED = ("loss", "grad_norm", "real_logits", "fake_logits")
"""Names that every log uses for other figures."""


def class_name(term: Any) -> str:
    """Return the name of a term's class in lower case: ``r1`` for `audiogan.losses.R1`."""
    return type(term).__name__.lower()


def name_terms(
    terms: Sequence[Any] | Mapping[str, Any] | None, argument: str, name_of: Callable[[Any], str] = class_name
) -> dict[str, Any]:
    """Return optional terms by the name that they get in the log, without those that are ``None``.

    A mapping, as YAML gives it, keeps its keys. Terms of a sequence are named by ``name_of``; the second term of the
    same name gets the number 2.

    Args:
        terms: the terms.
        argument: the argument that holds them, for the error.
        name_of: names a term of a sequence; by default after its class.

    Raises:
        ValueError: a name that the log uses for another figure.
    """
    if isinstance(terms, Mapping):
        found = {str(name): term for name, term in terms.items() if term is not None}
    else:
        found, count = {}, Counter[str]()
        for term in terms or ():
            if term is not None:
                name = name_of(term)
                count[name] += 1
                found[name if count[name] == 1 else f"{name}_{count[name]}"] = term
    for name in found:
        if name in RESERVED:
            raise ValueError(f"{argument}: the name {name!r} is taken by another figure of the log; choose another key")
    return found


def add_terms(*parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the terms of several mappings in one. Terms of the same name add up."""
    terms: dict[str, Tensor] = {}
    for part in parts:
        for name, value in part.items():
            terms[name] = terms[name] + value if name in terms else value
    return terms


def due_penalties(penalties: Mapping[str, Any], step: int, evaluate: Callable[[Any], Tensor]) -> dict[str, Tensor]:
    """Return the values of the penalties that are due at ``step``, by name; ``call`` evaluates one."""
    return {name: evaluate(penalty) for name, penalty in penalties.items() if step % penalty.every == 0}
