"""Fill the speed tables of pages from results/speed/*.json of scripts/bench_step.py. A test compares them.

python scripts/speed_table.py docs/results/speed.md

These marks begin a table, and `<!-- end -->` ends it:
    <!-- results/speed -->        all methods on the CPU
    <!-- results/speed gpu -->    all methods on a GPU
"""

import json
import sys
from pathlib import Path

from results_table import replace_table

SPEED = Path(__file__).resolve().parents[1] / "results" / "speed"
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


def speed_table(device: str) -> str:
    """Return a table of the ratios on a device, "cpu" or "cuda": a row per model and method.

    A cell that was not measured is blank.
    """
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for file in sorted(SPEED.glob("*.json")):
        measurement = json.loads(file.read_text("utf-8"))
        about = measurement["about"]
        if about["compile"] or about["threads"] or about["device"] != device:
            continue
        for row in measurement["rows"]:
            ratios = {"memory": row["by_dense"]} if "mebibytes" in row else row
            rows.setdefault((row["model"], row["method"]), {}).update(ratios)
    order = sorted(rows, key=lambda key: (MODELS.index(key[0]), METHODS.index(key[1])))
    columns = {title: key for title, key in COLUMNS.items() if any(key in ratios for ratios in rows.values())}
    lines = [["model", "method", *columns], ["---"] * (len(columns) + 2)]
    for model, method in order:
        ratios = rows[model, method]
        lines.append([model, method, *(f"{ratios[key]:.2f}" if key in ratios else "" for key in columns.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fill(page: str) -> str:
    """Return the page with each of its speed tables replaced.

    Raises:
        ValueError: the page has no mark of a speed table.
    """
    devices = {"<!-- results/speed -->": "cpu", "<!-- results/speed gpu -->": "cuda"}
    marks = [begin for begin in devices if begin in page]
    for begin in marks or devices:
        page = replace_table(page, speed_table(devices[begin]), begin)
    return page


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/speed_table.py PAGE.MD…")
    for page_file in map(Path, sys.argv[1:]):
        page_file.write_text(fill(page_file.read_text("utf-8")), "utf-8")
