"""Extension of Griffe that removes wrong types of attributes from the API reference.

For an attribute without an annotation, Griffe's parser of Google-style docstrings shows the type of the previous
attribute.
"""

from __future__ import annotations

from typing import Any

import griffe


class AttributeTypes(griffe.Extension):
    """Remove the types that Griffe takes from another attribute."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Set the types in the docstrings of all classes of a package to the annotations in the code."""
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
