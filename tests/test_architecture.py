"""The house's rules that a machine can check: who imports whom, and how long a file may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "prunebert"
FILES = sorted(ROOT.rglob("*.py"))
NEVER = {
    "methods": {"train", "evaluate", "run", "cli", "artifacts", "tasks.text", "tasks.squad", "info"},
    "tasks": {"methods", "masks", "phase", "train", "run", "cli", "artifacts", "subnetwork"},
    "masks": {"subnetwork", "phase", "train", "tasks", "methods", "models"},
    "schedules": {"subnetwork", "phase", "train", "tasks", "methods", "models", "masks"},
    "fit": {"subnetwork", "phase", "train", "tasks", "methods", "models", "masks"},
    "topology": {"subnetwork", "phase", "train", "tasks", "methods", "models", "artifacts"},
    "report": {"train", "methods", "tasks", "run", "evaluate", "cli", "subnetwork", "phase", "models", "info"},
    "train": {"methods", "artifacts", "cli", "tasks.text", "tasks.squad"},
    "subnetwork": {"train", "methods", "artifacts", "phase", "tasks.text", "tasks.squad"},
}


def imports(file: Path) -> set[str]:
    """Modules imported at run time (what stands under TYPE_CHECKING is not)."""
    tree = ast.parse(file.read_text())
    skipped = {
        id(n)
        for i in ast.walk(tree)
        if isinstance(i, ast.If) and "TYPE_CHECKING" in ast.unparse(i.test)
        for n in ast.walk(i)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
    return found


def test_the_number_of_files():
    assert len(FILES) >= 35


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_file_is_short_and_imports_only_downwards(file):
    assert len(file.read_text().splitlines()) <= 300
    part = file.relative_to(ROOT).with_suffix("").parts[0]
    ours = {m.removeprefix("prunebert.") for m in imports(file) if m.startswith("prunebert.")}
    for forbidden in NEVER.get(part, set()):
        assert not any(m == forbidden or m.startswith(forbidden + ".") for m in ours), (file.name, forbidden)
    if file.name not in ("cli.py", "words.py"):
        assert not any(m.split(".")[0] in ("hydra", "omegaconf") for m in imports(file))


TESTS = sorted(Path(__file__).parent.rglob("*.py"))


def test_tests_are_short_too():
    assert len(TESTS) > 70
    assert not [f.name for f in TESTS if len(f.read_text().splitlines()) > 300]


def test_schedules_and_fit_need_only_the_standard_library():
    for name in ("schedules", "fit", "checks", "signature", "errors"):
        tops = {m.split(".")[0] for m in imports(ROOT / f"{name}.py")}
        assert tops <= {
            "__future__",
            "prunebert",
            "math",
            "dataclasses",
            "typing",
            "collections",
            "difflib",
            "hashlib",
            "re",
            "ast",
            "importlib",
            "functools",
            "pathlib",
        }


def test_the_report_reads_runs_and_nothing_else():
    ours = {
        m.removeprefix("prunebert.").split(".")[0]
        for f in (ROOT / "report").glob("*.py")
        for m in imports(f)
        if m.startswith("prunebert.")
    }
    known = {
        "report",
        "artifacts",
        "choices",
        "command",
        "traces",
        "grid",
        "topology",
        "maskfile",
        "overlap",
        "metrics_squad",
        "signature",
        "errors",
        "__version__",
    }
    assert {"report", "artifacts", "errors"} <= ours <= known
    outside = {f.name for f in FILES if "report" not in f.parts and any("prunebert.report" in m for m in imports(f))}
    assert outside == {"cli.py"}


def test_no_method_is_named_in_the_loop():
    names = {p.stem for p in (ROOT / "methods").glob("*.py")} - {"__init__", "random"}
    for file in ("train.py", "run.py", "evaluate.py", "phase.py", "subnetwork.py", "cli.py"):
        words = {
            n.value
            for n in ast.walk(ast.parse((ROOT / file).read_text()))
            if isinstance(n, ast.Constant) and isinstance(n.value, str)
        }
        assert not names & words
