"""The house's rules that a machine can check: the rooms in their order, who may import what, how long a file may be."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "prunebert"
FILES = sorted(ROOT.rglob("*.py"))
TESTS = sorted(Path(__file__).parent.rglob("*.py"))

# An import points only to the left: a room knows those before it, and none after it.
ORDER = (
    *(
        "errors",
        "choices",
        "ranges",
        "fit",
        "schedules",
        "measures",
        "metrics",
        "entities",
        "masks",
        "system",
        "drawing",
        "network",
        "settings",
        "tasks",
        "runs",
    ),
    *("training", "analysis", "distill", "commands", "report", "result", "methods", "run", "experiment", "cli"),
)
HYDRA = {
    "settings.bad_cells",
    "settings.hydra_part",
    "cli",
    "settings.cells",
    "settings.overrides",
    "settings.repeated_keys",
    "settings.explain",
    "settings.resolvers",
    "settings.tuned",
}
# A method also sees the protocol of a task, no task itself, and another run's masks (method.masks=RUN).
METHODS_SEE = {
    *("errors", "choices", "ranges", "fit", "schedules", "masks", "network", "distill"),
    *("training.phase", "tasks.task", "runs.reuse", "methods.magnitude", "methods.gradual"),
}
BEFORE_TORCH = (
    *("errors", "choices", "ranges", "settings.cells", "settings.checks", "settings.labels", "settings.overrides"),
    *(
        "settings.expansion",
        "settings.explain",
        "settings.options",
        "settings.quoting",
        "settings.signature",
        "settings.source",
        "settings.values",
        "settings.comments",
        "settings.keys",
        "settings.meanings",
    ),
    *(
        "runs.artifacts",
        "runs.claim",
        "runs.failures",
        "runs.guard",
        "runs.identity",
        "runs.index",
        "runs.inputs",
        "runs.made",
        "runs.record",
    ),
    *("network.checkpoint", "report.entry", "tasks.arguments", "tasks.layouts"),
    *(
        "commands.barrier",
        "commands.bench",
        "commands.evaluate",
        "commands.export",
        "commands.info",
        "commands.mask",
        "commands.status",
    ),
    *("system.distributed", "system.loading", "system.signals", "system.threads"),
)


def module(file: Path) -> str:
    """Dotted, without prunebert: `masks.top_v`; of a package's __init__ the package."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(f) for f in FILES}


def imported(file: Path) -> set[str]:
    """Dotted names imported at run time; those under TYPE_CHECKING are not."""
    tree = ast.parse(file.read_text())
    typing = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    skipped = {id(n) for block in typing for n in ast.walk(block)}
    names = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{a.name}" for a in node.names}
    return names


def ours(file: Path) -> set[str]:
    """The modules of prunebert that a file imports."""
    names = {n.removeprefix("prunebert.") for n in imported(file) if n.startswith("prunebert.")}
    return {n if n in MODULES else n.rpartition(".")[0] for n in names} - {""}


def room(name: str) -> str:
    return name.partition(".")[0]


def test_every_room_has_its_place():
    assert {room(m) for m in MODULES} - {"", "__init__", "__main__"} == set(ORDER)
    assert len(FILES) > 80
    assert not [
        str(f) for f in ROOT.rglob("__init__.py") if f.parent.name not in ("prunebert", "distill") and f.read_text()
    ]


@pytest.mark.parametrize("file", [f for f in FILES if f.parent != ROOT or f.stem in ORDER], ids=module)
def test_a_file_is_short_and_imports_only_downwards(file):
    name = module(file)
    assert len(file.read_text().splitlines()) <= 300
    up = [other for other in ours(file) if ORDER.index(room(other)) > ORDER.index(room(name))]
    assert not up, f"{name} imports {up}"
    uses_hydra = any(n.partition(".")[0] in ("hydra", "omegaconf") for n in imported(file))
    assert not uses_hydra or name in HYDRA
    if room(name) == "methods":
        unseen = {other for other in ours(file) if not {other, room(other)} & METHODS_SEE}
        assert not unseen, f"{name} sees {unseen}"


@pytest.mark.parametrize("file", sorted((ROOT / "methods").glob("*.py")), ids=module)
def test_a_method_knows_no_hardware(file):
    """Devices, kernels and what a ranking carries from step to step are the business of masks/."""
    words = {"near", "window", "device", "cuda", "cpu", "gpu", "gpus", "triton", "numpy", "np", "kernel", "kernels"}
    assert not words & set(re.findall(r"[a-z]+", file.read_text().lower()))


def test_no_circle():
    graph = {module(f): ours(f) for f in FILES}
    assert len(tuple(graphlib.TopologicalSorter(graph).static_order())) >= len(FILES) - 1


def test_what_answers_before_torch_is_free_of_it():
    code = f"import importlib, sys\nfor m in {BEFORE_TORCH}: importlib.import_module('prunebert.' + m)\n"
    code += "print(sorted({'torch', 'transformers', 'datasets', 'evaluate', 'pandas', 'matplotlib'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_no_function_takes_more_than_seven_arguments():
    """Except those that mirror a yaml, which names them or hands them its keys, and kernels."""
    conf = "".join(f.read_text() for f in (ROOT.parent / "conf").rglob("*.yaml"))
    mirrors = set(re.findall(r"_target_: prunebert\.[\w.]*\.(\w+)", conf)) | {"from_folder", "from_hub"}
    assert {"smp", "text_task", "tinybert"} <= mirrors
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                not isinstance(node, ast.FunctionDef)
                or node.name in mirrors
                or "triton" in ast.unparse(node).split("def")[0]
            ):
                continue
            arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            assert len([a for a in arguments if a not in ("self", "cls", "ctx")]) <= 7, f"{module(file)}.{node.name}"


def test_tests_are_short_too():
    assert len(TESTS) > 70
    assert not [f.name for f in TESTS if len(f.read_text().splitlines()) > 300]


def test_the_report_reads_files_and_is_read_by_no_room():
    allowed = {
        "errors",
        "choices",
        "measures",
        "metrics",
        "entities",
        "masks",
        "system",
        "drawing",
        "settings",
        "runs",
        "analysis",
        "report",
        "__version__",
    }
    assert {room(m) for f in (ROOT / "report").rglob("*.py") for m in ours(f)} <= allowed
    outside = {module(f) for f in FILES if room(module(f)) != "report" and any(room(m) == "report" for m in ours(f))}
    assert outside == {"cli"}


def test_no_method_is_named_in_the_loop():
    names = {p.stem for p in (ROOT / "methods").glob("*.py")} - {"__init__", "random"}
    files = [ROOT / f for f in ("run.py", "result.py", "experiment.py", "cli.py")]
    files += [*(ROOT / "training").glob("*.py"), *(ROOT / "network").glob("*.py")]
    assert len(files) > 10
    for file in files:
        constants = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Constant)]
        layers = {"dense"} if file.name == "families.py" else set()  # EuroBERT's head has a layer of this name
        assert not (names - layers) & {n.value for n in constants if isinstance(n.value, str)}, file
