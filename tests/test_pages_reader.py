"""The Python of every page resolves, and its links lead somewhere."""

import ast
import builtins
import importlib
import importlib.util
import re

import pytest

from tests import pages
from tests.pages import PAGE_NAMES, ROOT

GENERATED = re.compile(r"docs/(methods|reference)/[\w-]+\.md")  # written by the site's build, which is strict


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_python_resolves(name, tmp_path, monkeypatch):
    """Blocks compile, their imports exist, and every name is defined, by the block or by an earlier one."""
    files = pages.write_files(ROOT / name, tmp_path, monkeypatch)
    known = {*vars(builtins), "__name__"}
    for block in pages.blocks(ROOT / name):
        if block.language != "python":
            continue
        tree = ast.parse(block.text, str(block))
        bound = set(known)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
                resolve(node, block)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                bound.add(node.name)
            elif isinstance(node, ast.arg):
                bound.add(node.arg)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound.add(node.id)
        loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        assert not loaded - bound, f"{block}: {sorted(loaded - bound)} is defined nowhere"
        known = known if block.file in files else bound


def resolve(node, block):
    """Import what a statement of a page imports, and look up the attributes of prunebert that its block reads."""
    modules = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    for module in modules:
        found = importlib.import_module(module)
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if not hasattr(found, alias.name):
                found_below = importlib.util.find_spec(f"{module}.{alias.name}")
                assert found_below, f"{block}: {module} has no {alias.name}"
                setattr(found, alias.name, importlib.import_module(f"{module}.{alias.name}"))
        for alias in node.names:
            value = getattr(found, alias.name) if isinstance(node, ast.ImportFrom) else found
            if module.partition(".")[0] == "prunebert" and not isinstance(value, type):
                name = re.escape(alias.asname or alias.name)
                for attribute in re.findall(
                    rf"\b(?<!\.){name}\.(\w+)", re.sub(r"^(from|import) .*$", "", block.text, flags=re.M)
                ):
                    assert hasattr(value, attribute), f"{block}: {alias.name} has no {attribute}"


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_links_lead_somewhere(name):
    page = ROOT / name
    for target in pages.links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if file.is_relative_to(ROOT) and GENERATED.fullmatch(str(file.relative_to(ROOT))):
            continue
        assert file.exists(), f"{name}: {target} leads nowhere"
        if anchor and file.suffix == ".md":
            assert anchor in pages.anchors(file), f"{name}: {target}: there is no such heading"
