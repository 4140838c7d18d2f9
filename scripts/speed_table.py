"""Fill the measured parts of pages from results/speed/*.json. A test compares them.

python scripts/speed_table.py docs/results/speed.md

scripts/bench_step.py and scripts/bench_alternatives.py write the files. These marks begin a part, and `<!-- end -->`
ends it:
    <!-- results/speed summary -->         sentences: steps and memory on the CPU, ours and the alternatives'
    <!-- results/speed alternatives -->    what users would otherwise run, on the CPU
    <!-- results/speed -->                 all methods on the CPU
    <!-- results/speed check -->           how far the rows of a model contradict each other on the CPU
    <!-- results/speed gpu -->             all methods on a GPU
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from results_table import replace_table

from prunebert.system.console import counted

SPEED = Path(__file__).resolve().parents[1] / "results" / "speed"
ALTERNATIVES = "alternatives-"  # begins the names of bench_alternatives.py's files
METHODS = (
    *("smp local", "smp local, λ_R = 400", "smp score", "smp global", "abp", "tamt, phase 1"),
    *("movement", "soft_movement", "gmp"),
)
MODELS = ("tiny", "minilm", "bert-base", "bert-large")
COLUMNS = {
    "step ÷ full fine-tuning": "by_dense",
    "÷ with torch's default AdamW": "by_unfused",
    "÷ embeddings frozen": "by_frozen",
    "÷ floor": "by_floor",
    "masks ÷ one comparison": "choice_by_compare",
    "memory ÷ full fine-tuning": "memory",
}
TRAINED = {"smp": "scores (SMP-L)", "movement": "scores and weights (movement)", "gmp": "weights (GMP)"}
TWICE = {"smp": "smp local", "movement": "movement", "gmp": "gmp"}  # names in alternatives-*.json and the other files
NOT_MEASURED = "These steps have not been measured yet."
Ratios = dict[tuple[str, str], dict[str, float]]  # by model and method


def measurements(device: str, alternatives: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the content of each file of a device, "cpu" or "cuda", without compiling or fewer threads."""
    for file in sorted(SPEED.glob("*.json")):
        measurement = json.loads(file.read_text("utf-8"))
        about = measurement["about"]
        if file.name.startswith(ALTERNATIVES) != alternatives or about.get("compile") or about["threads"]:
            continue
        if about["device"] == device:
            yield file.name, measurement


def ratios_of(device: str) -> Ratios:
    """Return what was measured of each model and method.

    Raises:
        ValueError: two files have the same ratio.
    """
    ratios: Ratios = {}
    for name, measurement in measurements(device):
        for row in measurement["rows"]:
            key = row["model"], row["method"]
            new = {"memory": row["by_dense"]} if "mebibytes" in row else row
            new = {column: new[column] for column in COLUMNS.values() if column in new}
            if both := new.keys() & ratios.setdefault(key, {}).keys():
                raise ValueError(
                    f"{name}: {', '.join(key)}: another file has {', '.join(sorted(both))} too; remove one"
                )
            ratios[key].update(new)
    return ratios


def speed_table(device: str) -> str:
    """Return a table of the ratios on a device, "cpu" or "cuda": a row per model and method.

    A cell that was not measured is blank.
    """
    rows = ratios_of(device)
    order = sorted(rows, key=lambda key: (MODELS.index(key[0]), METHODS.index(key[1])))
    columns = {title: key for title, key in COLUMNS.items() if any(key in ratios for ratios in rows.values())}
    lines = [["model", "method", *columns]]
    lines += [[*key, *(_number(rows[key], column) for column in columns.values())] for key in order]
    return _table(lines)


def alternative_rows() -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """Return the rows of bench_alternatives.py on the CPU: by method and way, then by model."""
    rows: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for _, measurement in measurements("cpu", alternatives=True):
        for row in measurement["rows"]:
            rows.setdefault((row["method"], row["way"]), {})[row["model"]] = row
    return rows


def alternatives_table() -> str:
    """Return a table of steps and memory: a row per way to make the masks. A cell that was not measured is blank."""
    rows = alternative_rows()
    if not rows:
        return NOT_MEASURED
    models = [model for model in MODELS if any(model in by_model for by_model in rows.values())]
    titles = {"step": "by_dense", "memory": "memory_by_dense"}
    columns = [(model, title) for title in titles for model in models]
    lines = [["trained", "masks by", *(f"{title}, {model}" for model, title in columns)]]
    for (method, way), by_model in rows.items():
        numbers = (_number(by_model.get(model, {}), titles[title]) for model, title in columns)
        lines.append([TRAINED[method], way, *numbers])
    return _table(lines)


def sources(device: str, alternatives: bool = False) -> str:
    """Return a list of how each file was measured."""
    lines = []

    def place(measurement: dict[str, Any]) -> tuple[int, bool]:
        about = measurement["about"]
        return MODELS.index(about["models"][0]), bool(about.get("memory"))

    for measurement in sorted((content for _, content in measurements(device, alternatives)), key=place):
        about, rows = measurement["about"], measurement["rows"]
        counted = sorted({row["rounds"] for row in rows if "rounds" in row})
        rounds = about.get("rounds") or " or ".join(map(str, counted))
        what = "memory" if about.get("memory") else f"{rounds} rounds"
        facts = [f"{', '.join(about['models'])}, {what}: {about['hardware']}"]
        facts += [f"{name} {about[name]}" for name in ("transformers",) if name in about]
        facts += [f"GOMP_SPINCOUNT={about['spin']}"] if about.get("spin") else []
        changes = " with uncommitted changes" if about.get("git_dirty") else ""
        facts += [f"commit {about['git_commit'][:7]}{changes}"] if about.get("git_commit") else ["commit not recorded"]
        facts += [f"{about['minutes']:g} minutes"] if "minutes" in about else []
        lines.append(f"- {'; '.join(facts)}.")
        if spreads := [row["by_dense_highest"] - row["by_dense_lowest"] for row in rows if "by_dense_highest" in row]:
            lines[-1] += f" Between rounds, a ratio varied by at most {max(spreads):.2f}."
        lines += [f"- Left out: {sentence}." for sentence in about.get("left_out", [])]
    return "\n".join(lines)


def summary() -> str:
    """Return sentences on steps and memory on the CPU."""
    ratios = ratios_of("cpu")

    def of(method: str, column: str) -> str:
        return _each({model: ratios.get((model, method), {}).get(column) for model in MODELS})

    lines = [
        f"- **A step of SMP-L takes {of('smp local', 'by_dense')} of the time of full fine-tuning.**",
        f"- A step of movement pruning takes {of('movement', 'by_dense')}.",
        f"- SMP-L's peak memory, divided by that of full fine-tuning, is {of('smp local', 'memory')}.",
        f"- Movement's is {of('movement', 'memory')}. It trains a score beside each weight.",
    ]
    rows = alternative_rows()
    for method, name in (("smp", "SMP-L"), ("movement", "movement")):
        steps = {
            way: _each({model: by_model.get(model, {}).get("by_dense") for model in MODELS})
            for (row_method, way), by_model in rows.items()
            if row_method == method
        }
        if steps:
            lines.append(f"- The same step of {name}, measured in turns with other ways to make the masks:")
            lines += [f"    - {way}: {step}" for way, step in steps.items()]
    return "\n".join(lines)


def check() -> str:
    """Return how far the measurements agree: a line for each model, and one on the steps that were measured twice.

    A model's line has the ratio of two steps without masks that each of its rows implies:
    "÷ full fine-tuning" divided by "÷ embeddings frozen" is the step with frozen embeddings ÷ that of full fine-tuning.
    TAMT's row is left out, because it is compared with fine-tuning on other text.
    """
    implied: dict[str, list[float]] = {}
    measured = ratios_of("cpu")
    for (model, method), ratios in sorted(measured.items(), key=lambda item: MODELS.index(item[0][0])):
        if {"by_dense", "by_frozen"} <= ratios.keys() and not method.startswith("tamt"):
            implied.setdefault(model, []).append(ratios["by_dense"] / ratios["by_frozen"])
    lines = [f"- {model}: {min(x):.2f} to {max(x):.2f} ({counted(len(x), 'row')})." for model, x in implied.items()]
    again = {
        (model, TWICE[method]): row["by_dense"]
        for (method, way), by_model in alternative_rows().items()
        for model, row in by_model.items()
        if way == "prunebert"
    }
    gaps = [abs(measured[key]["by_dense"] - ratio) for key, ratio in again.items() if key in measured]
    if gaps:
        lines.append(f"- The {counted(len(gaps), 'step')} that both tables have differ by at most {max(gaps):.2f}.")
    return "\n".join(lines)


def fill(page: str) -> str:
    """Return the page with each of its measured parts replaced.

    Raises:
        ValueError: the page has no mark of one, or two files have the same ratio.
    """
    parts = {
        "<!-- results/speed summary -->": summary,
        "<!-- results/speed alternatives -->": lambda: _with_sources(alternatives_table(), "cpu", alternatives=True),
        "<!-- results/speed -->": lambda: _with_sources(speed_table("cpu"), "cpu"),
        "<!-- results/speed check -->": check,
        "<!-- results/speed gpu -->": lambda: _with_sources(speed_table("cuda"), "cuda"),
    }
    marks = [begin for begin in parts if begin in page]
    for begin in marks or parts:
        page = replace_table(page, parts[begin](), begin)
    return page


def _with_sources(table: str, device: str, alternatives: bool = False) -> str:
    return "\n\n".join(filter(None, (table, sources(device, alternatives))))


def _each(values: dict[str, float | None]) -> str:
    """Return ratios with their models: 0.84 (tiny), 0.99 (minilm) and 0.90 (bert-base)."""
    measured = [f"{value:.2f} ({model})" for model, value in values.items() if value is not None]
    *first, last = measured or ["not measured"]
    return f"{', '.join(first)} and {last}" if first else last


def _number(ratios: dict[str, float], key: str) -> str:
    return f"{ratios[key]:.2f}" if key in ratios else ""


def _table(lines: list[list[str]]) -> str:
    head, *rows = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/speed_table.py PAGE.MD…")
    for page_file in map(Path, sys.argv[1:]):
        page_file.write_text(fill(page_file.read_text("utf-8")), "utf-8")
