"""Functions that name, add and evaluate the terms of a player's loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

RESERVED = ("loss", "grad_norm", "real_logits", "fake_logits")
"""Names that a loss term cannot have, because other values in the log use them."""


def lowercase_class_name(term: Any) -> str:
    """Return the name of a term's class in lower case, such as ``r1`` for `audiogan.losses.R1`."""
    return type(term).__name__.lower()


def name_terms(
    terms: Sequence[Any] | Mapping[str, Any] | None,
    argument_name: str,
    get_name: Callable[[Any], str] = lowercase_class_name,
) -> dict[str, Any]:
    """Return loss terms in a dictionary, with their names in the log as keys. Terms that are ``None`` are left out.

    Args:
        terms: a mapping from names to terms, which keeps its keys, or a sequence of terms, which ``get_name`` names. If
            two terms of a sequence have the same name, ``_2`` is appended to the second name.
        argument_name: name of the argument with the terms, for the error message.
        get_name: function from a term to its name. By default, the name of its class in lower case.

    Raises:
        ValueError: a name is reserved for other values in the log.
    """
    if isinstance(terms, Mapping):
        found = {str(name): term for name, term in terms.items() if term is not None}
    else:
        found, count = {}, Counter[str]()
        for term in terms or ():
            if term is not None:
                name = get_name(term)
                count[name] += 1
                found[name if count[name] == 1 else f"{name}_{count[name]}"] = term
    for name in found:
        if name in RESERVED:
            raise ValueError(
                f"{argument_name}: the name {name!r} is reserved for another value in the log; choose another"
            )
    return found


def add_terms(*mappings: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return one dictionary with the loss terms of several mappings. Terms with the same name are added."""
    terms: dict[str, Tensor] = {}
    for part in mappings:
        for name, value in part.items():
            terms[name] = terms[name] + value if name in terms else value
    return terms


def due_penalties(penalties: Mapping[str, Any], step: int, evaluate: Callable[[Any], Tensor]) -> dict[str, Tensor]:
    """Return the values of all penalties that are due at a step, by name.

    Args:
        penalties: penalties by name. A penalty is due on steps that are multiples of its ``every``.
        step: number of the step.
        evaluate: function from a penalty to its value.
    """
    return {name: evaluate(penalty) for name, penalty in penalties.items() if step % penalty.every == 0}
