"""What a parameter means, read out of the source: the comment beside a field, or an entry of the docstring.

Nothing is imported, as in source.py.
"""

from __future__ import annotations

import ast
import re
from functools import cache

from prunebert.settings import source

SECTION = re.compile(r"(Args|Attributes):")
ENTRY = re.compile(r"(\w+(?:, \w+)*): (.+)")


UNDERLINED = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.M)


def sections(module: str) -> dict[str, str]:
    """Return a module's docstring by sections: "" is what comes before the first title underlined with ---."""
    file = source.source(module)
    docstring = (ast.get_docstring(ast.parse(file.read_text())) if file else None) or ""
    parts = UNDERLINED.split(docstring)
    return {"": parts[0].strip()} | {title: text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def of(target: str) -> dict[str, str]:
    """Return the meaning of each documented parameter of a function or class. The target is dotted.

    The meaning of a dataclass's field is the comment on its line. Any other parameter has its entry under `Args:` or
    `Attributes:` in the docstring.
    """
    module, _, name = target.rpartition(".")
    file = source.source(module)
    if file is None:
        return {}
    text = file.read_text()
    lines, tree = text.splitlines(), ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            found = _inherited(node, tree, module) | _documented(ast.get_docstring(node) or "")
            return found | _beside_fields(node, lines)
    return {}


def _inherited(node: ast.stmt, tree: ast.Module, module: str) -> dict[str, str]:
    """Return what the bases of a class in the same module document."""
    local = {n.name for n in tree.body if isinstance(n, ast.ClassDef)}
    bases = [ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
    return {name: meaning for base in bases if base in local for name, meaning in of(f"{module}.{base}").items()}


def _beside_fields(node: ast.stmt, lines: list[str]) -> dict[str, str]:
    """Return the comments on the lines of a class's fields."""
    found = {}
    for field in node.body if isinstance(node, ast.ClassDef) else ():
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.end_lineno:
            rest = lines[field.end_lineno - 1].encode()[field.end_col_offset :].decode().strip()
            if rest.startswith("#"):
                found[field.target.id] = rest[1:].strip()
    return found


def _documented(docstring: str) -> dict[str, str]:
    """Return the entries of `Args:` and `Attributes:`; a longer entry goes on in lines that are indented further."""
    found: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in docstring.splitlines():
        if SECTION.fullmatch(line.strip()):
            inside, names = True, []
        elif (
            inside and line.startswith("    ") and not line.startswith("     ") and (entry := ENTRY.match(line.strip()))
        ):
            names = entry[1].split(", ")
            found |= dict.fromkeys(names, entry[2])
        elif inside and line.startswith("     ") and names:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        elif line.strip():
            inside = False
    return found
