"""Refuse a dictionary on the command line that has a key twice. Hydra keeps the last value without a warning."""

from __future__ import annotations

from typing import Any

from antlr4 import CommonTokenStream, InputStream
from hydra.core.override_parser.overrides_parser import create_functions
from hydra.core.override_parser.overrides_visitor import HydraOverrideVisitor
from hydra.core.override_parser.types import Override
from hydra.grammar.gen.OverrideLexer import OverrideLexer
from hydra.grammar.gen.OverrideParser import OverrideParser

from prunebert.errors import BadInput, cut, shown


class Visitor(HydraOverrideVisitor):
    """Hydra's reader of an override, which notes the keys that a dictionary repeats."""

    def __init__(self) -> None:
        super().__init__(create_functions())
        self.repeated: list[Any] = []

    def visitDictContainer(self, ctx: Any) -> dict[Any, Any]:  # noqa: N802 - Hydra's name
        """Read a dictionary. Keys are equal if they are equal in Python, as Hydra has them."""
        found: dict[Any, Any] = {}
        for i in range(1, ctx.getChildCount() - 1, 2):
            key, value = self.visitDictKeyValuePair(ctx.getChild(i))
            if key in found:
                self.repeated.append(key)
            found[key] = value
        return found


def checked(override: Override, word: str) -> Override:
    """Return what Hydra has read of a word. Raise BadInput if a dictionary in it, at any depth, has a key twice."""
    if "{" not in word:  # most words; parsing takes a millisecond
        return override
    visitor = Visitor()
    visitor.visit(OverrideParser(CommonTokenStream(OverrideLexer(InputStream(word)))).override())
    if visitor.repeated:
        raise BadInput(f"{cut(word)}: the key {shown(visitor.repeated[0])} has two values; give each key one value")
    return override
