"""Signatures of functions and classes, read out of the source. Nothing is imported: importing torch takes seconds."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from prunebert.errors import BadInput, did_you_mean

LATER = ast.Constant(...)  # the default of a function's parameter that a caller may give by position
ALIASES = ("Literal[", "Annotated[", "Callable[")  # `Name = Literal[…]` gives an annotation a name


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function, or one field of a dataclass."""

    annotation: ast.expr | None
    default: ast.expr | None  # None: it must be given
    positional: bool  # whether a caller may give it by position


@cache
def parameters(target: str) -> dict[str, Parameter] | None:
    """Return the parameters of a function or class by name; None where the source does not list them.

    Names of prunebert's classes in annotations are dotted, and aliases are replaced by what they stand for.

    Raises:
        BadInput: there is no such module, or it defines no such name.
    """
    module, _, name = target.rpartition(".")
    tree = module_tree(module)
    if tree is None:
        raise BadInput(f"_target_={target}: there is no Python module {module}".rstrip())
    definitions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    if name in definitions:
        definition = definitions[name]
        if isinstance(definition, ast.FunctionDef):
            return _of_function(definition, module)
        return _of_class(definition, module)
    if (origin := _imports(tree, module).get(name)) and origin != target:
        return parameters(origin)
    if name in _assigned(tree):
        return None
    raise BadInput(f"_target_={target}: {module} defines no {name}{did_you_mean(name, definitions)}")


@cache
def keywords(function: str) -> dict[str, Parameter]:
    """Return the parameters of a function of prunebert that are given by name alone."""
    module, _, name = function.rpartition(".")
    tree = module_tree(module)
    definitions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name] if tree else []
    return {
        a.arg: Parameter(_resolved(a.annotation, module), default, False)
        for definition in definitions
        for a, default in zip(definition.args.kwonlyargs, definition.args.kw_defaults, strict=True)
    }


@cache
def is_a(target: str, kind: str) -> bool:
    """Return whether a target is the class `kind` or, as far as prunebert's sources tell, a subclass of it.

    Args:
        target: dotted, and found by `parameters`.
        kind: a class of prunebert, dotted.
    """
    if target == kind:
        return True
    module, _, name = target.rpartition(".")
    tree = module_tree(module)
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)} if tree else {}
    if name not in classes or tree is None:
        return False
    return any(is_a(base, kind) for base in _bases(classes[name], tree, module))


def _of_function(definition: ast.FunctionDef, module: str, skip: int = 0) -> dict[str, Parameter] | None:
    """Return a function's parameters without the first `skip`; None if it takes any."""
    arguments = definition.args
    if arguments.kwarg or arguments.vararg:
        return None
    positional = [*arguments.posonlyargs, *arguments.args][skip:]
    defaults: list[ast.expr | None] = [LATER] * len(positional) + list(arguments.defaults)
    defaults_of_positional = defaults[-len(positional) :] if positional else []
    found: list[tuple[ast.arg, ast.expr | None, bool]] = [
        (a, default, True) for a, default in zip(positional, defaults_of_positional, strict=True)
    ]
    found += [(a, d, False) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return {a.arg: Parameter(_resolved(a.annotation, module), default, by_place) for a, default, by_place in found}


def _of_class(definition: ast.ClassDef, module: str) -> dict[str, Parameter] | None:
    """Return the parameters of a class: a dataclass's fields with those of its bases, or those of `__init__`."""
    functions = {n.name: n for n in definition.body if isinstance(n, ast.FunctionDef)}
    if "__init__" in functions:
        return _of_function(functions["__init__"], module, skip=1)
    if not any("dataclass" in ast.unparse(d) for d in definition.decorator_list):
        return None
    tree = module_tree(module)
    inherited: dict[str, Parameter] = {}
    for base in reversed(_bases(definition, tree, module) if tree else []):
        of_base = parameters(base)
        if of_base is None:
            return None
        inherited |= of_base
    fields = {
        n.target.id: Parameter(_resolved(n.annotation, module), n.value, True)
        for n in definition.body
        if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }
    return inherited | fields


def _bases(definition: ast.ClassDef, tree: ast.Module, module: str) -> list[str]:
    """Return the dotted names of a class's bases that can be found in sources."""
    local = {n.name: f"{module}.{n.name}" for n in tree.body if isinstance(n, ast.ClassDef)}
    known = _imports(tree, module) | local
    return [known[name] for base in definition.bases if (name := ast.unparse(base)) in known]


def _imports(tree: ast.Module, module: str) -> dict[str, str]:
    """Return the names that a module imports from others, dotted."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            file = source(module)
            package = module if file and file.name == "__init__.py" else module.rpartition(".")[0]
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            found |= {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names}
    return found


def _assigned(tree: ast.Module) -> set[str]:
    """Return the names that a module may bind in another way than by a plain definition or import."""
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    nested = [n for block in tree.body if isinstance(block, ast.If | ast.Try | ast.With) for n in ast.walk(block)]
    names |= {n.name for n in nested if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)}
    return names | {a.asname or a.name for n in nested if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names}


def _resolved(annotation: ast.expr | None, module: str) -> ast.expr | None:
    """Return an annotation with aliases replaced and prunebert's classes dotted."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):  # written in quotes
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return None
    return None if annotation is None else _Meanings(_meanings(module)).visit(annotation)


class _Meanings(ast.NodeTransformer):
    """Replaces names by what they mean."""

    def __init__(self, known: dict[str, ast.expr]) -> None:
        self.known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.known.get(node.id, node)


@cache
def _meanings(module: str) -> dict[str, ast.expr]:
    """Return the aliases and classes of prunebert that a module knows: name -> annotation, or a dotted name."""
    tree = module_tree(module)
    known: dict[str, ast.expr] = {}
    for node in tree.body if tree else ():
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prunebert."):
            theirs = _meanings(str(node.module))
            known |= {alias.asname or alias.name: theirs[alias.name] for alias in node.names if alias.name in theirs}
        if isinstance(node, ast.ClassDef) and module.startswith("prunebert."):
            known[node.name] = ast.Name(f"{module}.{node.name}", ast.Load())
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith(ALIASES):
            value = _Meanings(known).visit(node.value)
            known |= {target.id: value for target in node.targets if isinstance(target, ast.Name)}
    return known


@cache
def module_tree(module: str) -> ast.Module | None:
    """Return the parsed source of a module; None if there is none. Raises BadInput if it is no valid Python."""
    file = source(module)
    if file is None:
        return None
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise BadInput(f"_target_: {file} cannot be read as Python: {error}") from error


@cache
def source(module: str) -> Path | None:
    """Return the file of a Python module; None if there is none.

    Only the top package is looked up by Python: `find_spec` on prunebert.distill.teacher would import
    prunebert.distill, and torch with it.
    """
    top, *below = module.split(".")
    if not all(part.isidentifier() for part in (top, *below)):
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not below:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *below)
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
    return None
