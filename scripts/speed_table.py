"""results/speed/*.json of scripts/bench_step.py → the table of a page, between its marks. A test holds both together.

python scripts/speed_table.py README.md results/README.md

`<!-- results/speed -->` begins the table of all methods, `<!-- results/speed short -->` that of a few, both on the CPU;
`<!-- results/speed gpu -->` that of all on a GPU; `<!-- end -->` ends each.
"""

import json
import sys
from pathlib import Path

from results_table import between

SPEED = Path(__file__).resolve().parents[1] / "results" / "speed"
METHODS = (
    *("smp local", "smp local, λ_R = 400", "smp score", "smp global", "abp", "tamt, phase 1"),
    *("movement", "soft_movement", "gmp"),
)
SHORT = ("smp local", "smp local, λ_R = 400", "movement", "gmp")
MODELS = ("tiny", "minilm", "bert-base", "bert-large")
COLUMNS = {
    "step ÷ full fine-tuning": "by_dense",
    "÷ with torch's default AdamW": "by_unfused",
    "÷ embeddings frozen": "by_frozen",
    "÷ floor": "by_floor",
    "masks ÷ one comparison": "choice_by_compare",
    "memory ÷ full fine-tuning": "memory",
}


def table(methods: tuple[str, ...] = (), device: str = "cpu") -> str:
    """A row a model and method, of these or of all, on this device: ratios, a blank where it was not measured."""
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for file in sorted(SPEED.glob("*.json")):
        found = json.loads(file.read_text("utf-8"))
        about = found["about"]
        if about["compile"] or about["threads"] or about["device"] != device:
            continue
        for row in found["rows"]:
            told = {"memory": row["by_dense"]} if "mebibytes" in row else row
            rows.setdefault((row["model"], row["method"]), {}).update(told)
    order = sorted(rows, key=lambda at: (MODELS.index(at[0]), METHODS.index(at[1])))
    columns = {title: key for title, key in COLUMNS.items() if any(key in own for own in rows.values())}
    lines = [["model", "method", *columns], ["---"] * (len(columns) + 2)]
    for model, method in order:
        if methods and method not in methods:
            continue
        own = rows[model, method]
        lines.append([model, method, *(f"{own[key]:.2f}" if key in own else "" for key in columns.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def filled(page: str) -> str:
    """`page` with each table anew that it has marks for. Raises ValueError without any."""
    tables: dict[str, tuple] = {
        "<!-- results/speed -->": (),
        "<!-- results/speed short -->": (SHORT,),
        "<!-- results/speed gpu -->": ((), "cuda"),
    }
    there = [begin for begin in tables if begin in page]
    for begin in there or tables:
        page = between(page, table(*tables[begin]), begin)
    return page


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/speed_table.py PAGE.MD…")
    for page in map(Path, sys.argv[1:]):
        page.write_text(filled(page.read_text("utf-8")), "utf-8")
