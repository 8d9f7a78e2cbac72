"""An extension of Griffe: attributes without an annotation have no type in the API reference.

Griffe's parser of Google style docstrings shows the type of the attribute before instead.
"""

from __future__ import annotations

from typing import Any

import griffe


class AttributeTypes(griffe.Extension):
    """Removes types that Griffe takes from another attribute."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Correct the docstrings of all classes of a package."""
        waiting: list[Any] = [pkg]
        while waiting:
            node = waiting.pop()
            waiting += [member for member in node.members.values() if not member.is_alias]
            if node.is_class and node.docstring is not None:
                for section in node.docstring.parsed:
                    if section.kind is griffe.DocstringSectionKind.attributes:
                        for attribute in section.value:
                            member = node.members.get(attribute.name)
                            attribute.annotation = getattr(member, "annotation", None)
