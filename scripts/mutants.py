"""Change the code in one place at a time, run the tests that reach the place, and count the changes that they notice.

`scripts/mutants.sh` starts it; docs/mutants.md explains it. mutmut makes the changes (mutants) and runs the tests. This
file copies the checkout, chooses the mutants, shows the progress and reports. It uses functions of mutmut 3.8.1 that
later versions may rename, so pyproject.toml has this version.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import mutants_table as results
from results_table import replace_table

ROOT = Path(__file__).parents[1]
EQUIVALENT = ROOT / "scripts/mutants_equivalent.txt"
PAGE = ROOT / "docs/mutants.md"
PATIENCE = 30  # seconds between two lines of progress
MARK = "<!-- scripts/mutants.sh -->"  # begins what the script writes into the page
CODE = ("prunebert/", "tests/", "conf/", "scripts/mutants_plugin.py", "pyproject.toml")  # what an outcome depends on


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutants.sh", description=__doc__.split("\n")[0])
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="a file or folder of prunebert/; default: the six folders"
    )
    parser.add_argument(
        "--sample", type=int, metavar="N", help="run N mutants, equally many of each folder; default: all"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="mutants at a time")
    parser.add_argument(
        "--work", type=Path, metavar="FOLDER", help="where the copy is; default: in the temporary folder"
    )
    parser.add_argument(
        "--tests", nargs="+", default=[], metavar="PATH", help="run these tests alone, a file or folder of tests/"
    )
    parser.add_argument(
        "--again", action="store_true", help="run those again that timed out: a busy machine can be why"
    )
    parser.add_argument("--page", action="store_true", help="write the table into docs/mutants.md")
    parsed = parser.parse_args()
    if parsed.sample is not None and parsed.sample < 1:
        parser.error(f"--sample {parsed.sample}: must be at least 1")
    for path in [*parsed.paths, *parsed.tests]:
        if not (ROOT / path).exists():
            parser.error(f"{path}: no such file or folder in {ROOT}")
    return parsed


def main() -> None:
    options = arguments()
    files = tracked_files()
    work = options.work or Path(tempfile.gettempdir()) / f"prunebert-mutants-{os.getuid()}"
    folder = work.resolve() / digest(files, options.tests)
    copy(files, folder)
    if options.tests:
        select_tests(folder / "pyproject.toml", options.tests)
    os.chdir(folder)
    os.environ |= {"PYTHONPATH": str(folder / "mutants"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    print(f"the copy: {folder}\nmaking the mutants …", flush=True)
    files_of_names = generate(options.jobs)
    scope = [name for name, file in files_of_names.items() if within(file, options.paths)]
    if not scope:
        raise SystemExit(f"{' '.join(options.paths)}: has no mutants; [tool.mutmut] of pyproject.toml says what has")
    chosen = results.draw(scope, options.sample, options.seed) if options.sample else sorted(scope)
    seconds = run(chosen, files_of_names, options.jobs, options.again)
    report(chosen, files_of_names, options, f"{len(chosen)} of {len(scope)} mutants", seconds)


def tracked_files() -> list[str]:
    """Return the files of the checkout that git knows or could add, by their path."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        raise SystemExit(f"{ROOT}: must be a git checkout; git says: {listed.stderr.strip()}")
    return sorted(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def select_tests(project: Path, tests: list[str]) -> None:
    """Write into the copy's pyproject.toml which tests run."""
    text, key = project.read_text(), "pytest_add_cli_args_test_selection"
    project.write_text(re.sub(rf"{key} = \[.*?\]\n", f"{key} = {json.dumps(tests)}\n", text, count=1, flags=re.S))


def digest(files: list[str], tests: list[str]) -> str:
    """Return a name for the code and the tests as they are. An interrupted run of the same ones continues."""
    total = hashlib.sha256(" ".join(tests).encode())
    for name in files:
        if name.startswith(CODE):
            total.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    return total.hexdigest()[:12]


def copy(files: list[str], folder: Path) -> None:
    """Copy the checkout. prunebert/conf is where an installed prunebert has its configuration."""
    if (folder / "copied").exists():
        return
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    shutil.copytree(folder / "conf", folder / "prunebert/conf", dirs_exist_ok=True)
    (folder / "mutants").mkdir(exist_ok=True)
    (folder / "copied").touch()


def generate(jobs: int) -> dict[str, str]:
    """Make all mutants of the six folders. Return {mutant: its file}."""
    from mutmut.__main__ import copy_also_copy_files, create_mutants
    from mutmut.utils.file_utils import copy_src_dir, walk_mutatable_files

    log = os.open("mutants.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    screen = os.dup(1)
    os.dup2(log, 1)  # its processes print the name of each file
    try:
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(jobs)
    finally:
        sys.stdout.flush()
        os.dup2(screen, 1)
    return {name: str(file) for file in walk_mutatable_files() for name in results.recorded(meta(str(file)))}


def meta(file: str) -> Path:
    """Return where mutmut keeps the exit codes of a file's mutants."""
    return Path(f"mutants/{file}.meta")


def within(file: str, paths: list[str]) -> bool:
    """Return whether a file is one of the paths, or inside one."""
    names = [os.path.relpath(ROOT / path, ROOT) for path in paths]
    return not names or any(file == name or file.startswith(f"{name}/") for name in names)


def exit_codes(chosen: list[str], files_of_names: dict[str, str]) -> dict[str, int | None]:
    by_file = {file: results.recorded(meta(file)) for file in {files_of_names[name] for name in chosen}}
    return {name: by_file[files_of_names[name]][name] for name in chosen}


def run(chosen: list[str], files_of_names: dict[str, str], jobs: int, again: bool) -> float:
    """Let mutmut run the chosen mutants that have no outcome, or `again` timed out.

    Returns the seconds that it took; 0 if some had an outcome before, because then they are not the time of all.
    """
    outcomes = {name: results.outcome(code) for name, code in exit_codes(chosen, files_of_names).items()}
    missing = [name for name, outcome in outcomes.items() if not outcome or (again and outcome == "timeout")]
    if not missing:
        return 0.0
    if not Path("mutants/mutmut-stats.json").exists():
        print("running the tests once without a mutant, to record which function each test reaches …", flush=True)
    started = time.monotonic()
    with open("mutants.log", "a") as log:
        names = missing if len(missing) < len(files_of_names) else []  # without names mutmut runs all of them
        command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(jobs), *names]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE)
                show_progress(chosen, files_of_names, len(chosen) - len(missing), started)
        except KeyboardInterrupt:
            process.wait()
            raise SystemExit("stopped; the same command continues") from None
    if process.returncode:
        lines = Path("mutants.log").read_text().replace("\r", "\n").splitlines()
        raise SystemExit("\n".join([*lines[-40:], f"mutmut ended with status {process.returncode}"]))
    return time.monotonic() - started if len(missing) == len(chosen) else 0.0


def show_progress(chosen: list[str], files_of_names: dict[str, str], done_before: int, started: float) -> None:
    """Print how far it is, once at least one mutant of this run is done."""
    try:
        codes = exit_codes(chosen, files_of_names)
    except ValueError:  # mutmut is just writing the file
        return
    count = Counter("waiting" if code is None else results.outcome(code) or "not run" for code in codes.values())
    done = len(chosen) - count["waiting"]
    if not Path("mutants/mutmut-stats.json").exists():
        tests = Path("mutants", results.TESTS_DONE)
        number = len(tests.read_text().splitlines()) if tests.exists() else 0
        print(f"{number} tests have run without a mutant", flush=True)
    if done > done_before:
        words = ", ".join(f"{count[key]} {key}" for key in ("noticed", "survived", "timeout", "not run") if count[key])
        print(f"{done} of {len(chosen)}: {words}; elapsed {(time.monotonic() - started) / 60:.1f} min", flush=True)


def report(
    chosen: list[str], files_of_names: dict[str, str], options: argparse.Namespace, extent: str, seconds: float
) -> None:
    """Print the table, write the survivors, and write the page if asked to."""
    codes = exit_codes(chosen, files_of_names)
    mutants = [described(name, files_of_names[name], results.outcome(codes[name])) for name in chosen]
    judged = results.equivalents(EQUIVALENT.read_text())
    table = results.table(results.rows(mutants, judged))
    survivors = results.survivors(mutants, judged)
    file = Path.cwd() / "survivors.txt"
    file.write_text("\n\n".join(mutant.shown() for mutant in survivors) + "\n")
    timeouts = [mutant.shown() for mutant in mutants if mutant.outcome == "timeout"]
    file.with_name("timeouts.txt").write_text("\n\n".join(timeouts) + "\n")
    print(f"\n{table}\n\n{len(survivors)} survivors that are not judged equivalent: {file}")
    failing = json.loads(Path("mutants", results.FAILING).read_text())
    print(f"tests that fail without a mutant, and were left out: {', '.join(failing) or 'none'}")
    for equivalent in stale_judgements(judged, mutants, files_of_names, options.paths):
        change = " / ".join([*(f"- {x}" for x in equivalent.removed), *(f"+ {x}" for x in equivalent.added)])
        print(f"stale in {EQUIVALENT.name}: {equivalent.file} {equivalent.function}: {change}")
    if options.page:
        words = ["scripts/mutants.sh", *options.paths, *(["--sample", str(options.sample)] if options.sample else [])]
        words += ["--seed", str(options.seed)] if options.sample else []
        facts = f"`{' '.join(words)}` ran {extent} of {revision()} with mutmut {importlib.metadata.version('mutmut')}"
        minutes = f" in {seconds / 60:.0f} minutes with {options.jobs} at a time" if seconds else ""
        lines = "\n".join(mutant.in_one_line() for mutant in survivors)
        shown = f"The survivors that are not judged equivalent:\n\n```text\n{lines}\n```" if lines else ""
        part = f"{facts}{minutes}.\n\n{table}\n\n{shown}"
        PAGE.write_text(replace_table(PAGE.read_text(), f"\n{part.strip()}\n", MARK))
        print(f"written into {PAGE}")


def stale_judgements(
    judged: list[results.Equivalent], mutants: list[results.Mutant], files_of_names: dict[str, str], paths: list[str]
) -> list[results.Equivalent]:
    """Return the stale ones in the scope. Every mutant of a function that has a judgement is looked at."""
    in_scope = [e for e in judged if within(e.file, paths)]
    functions = {(e.file, e.function) for e in in_scope}
    known = {mutant.name for mutant in mutants}
    others = [
        described(name, file, "")
        for name, file in files_of_names.items()
        if name not in known and (file, function_of(name)) in functions
    ]
    return results.stale(in_scope, [*others, *mutants])


def revision() -> str:
    """Return the commit of the checkout, and whether files differ from it."""
    commit = ["git", "rev-parse", "--short=10", "HEAD"]
    name = subprocess.run(commit, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    status = ["git", "status", "--porcelain", "--", "prunebert", "tests", "conf"]
    changed = subprocess.run(status, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    return f"commit `{name}`{' with changes' if changed else ''}"


def function_of(name: str) -> str:
    """Return `function` or `Class.method` of a mutant's name."""
    from mutmut.utils.format_utils import orig_function_and_class_names_from_key

    function, class_name = orig_function_and_class_names_from_key(name)
    return f"{class_name}.{function}" if class_name else function


def described(name: str, file: str, outcome: str) -> results.Mutant:
    """Read out of mutmut's files what a mutant changes, and where."""
    import libcst
    from mutmut.mutation.diff_apply import read_functions_from_index

    found = read_functions_from_index(name, file)
    if found is None:
        raise SystemExit(f"mutants/{file}.spans: does not have {name}; remove {Path.cwd()} and start again")
    old, new = (libcst.Module([function]).code.strip().split("\n") for function in found)
    changes = [c for c in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if c[0] != "equal"]
    removed = tuple(line.strip() for _, start, end, _, _ in changes for line in old[start:end])
    added = tuple(line.strip() for _, _, _, start, end in changes for line in new[start:end])
    start_of_def = next(i for i, line in enumerate(old) if line.lstrip().startswith(("def ", "async def ")))
    line = line_of_function(file, function_of(name)) - start_of_def + changes[0][1]
    return results.Mutant(name, file, line, function_of(name), removed, added, outcome)


def line_of_function(file: str, function: str) -> int:
    """Return the line of `def` in the original file."""
    class_name, _, method = function.rpartition(".")
    body = ast.parse(Path(file).read_text()).body
    if class_name:
        body = next(n.body for n in body if isinstance(n, ast.ClassDef) and n.name == class_name)
    return next(n.lineno for n in body if isinstance(n, ast.FunctionDef) and n.name == method)


if __name__ == "__main__":
    main()
