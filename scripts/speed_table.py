"""results/speed/*.json of scripts/bench_step.py → the table of steps in a page, between its marks; a test holds both
together.

python scripts/speed_table.py README.md [LOG.md …]
"""

import json
import sys
from pathlib import Path

SPEED = Path(__file__).resolve().parents[1] / "results" / "speed"
BEGIN, END = "<!-- results/speed -->", "<!-- end -->"
MODELS = ("tiny", "minilm", "bert-base", "bert-large")
COLUMNS = {
    "step ÷ full fine-tuning": "by_dense",
    "÷ with torch's default AdamW": "by_unfused",
    "÷ embeddings frozen": "by_frozen",
    "÷ floor": "by_floor",
    "masks ÷ one comparison": "choice_by_compare",
    "memory ÷ full fine-tuning": "memory",
}


def table() -> str:
    """A row a model and method: ratios, a blank where it was not measured."""
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for file in sorted(SPEED.glob("*.json")):
        found = json.loads(file.read_text("utf-8"))
        if found["about"]["compile"] or found["about"]["threads"]:
            continue
        for row in found["rows"]:
            told = {"memory": row["by_dense"]} if "mebibytes" in row else row
            rows.setdefault((row["model"], row["method"]), {}).update(told)
    order = sorted(rows, key=lambda at: MODELS.index(at[0]))
    lines = [["model", "method", *COLUMNS], ["---"] * (len(COLUMNS) + 2)]
    for model, method in order:
        own = rows[model, method]
        lines.append([model, method, *(f"{own[key]:.2f}" if key in own else "" for key in COLUMNS.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def filled(page: str) -> str:
    """`page` with the table anew. Raises ValueError without marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there must be {BEGIN} and after it {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/speed_table.py PAGE.MD…")
    for page in map(Path, sys.argv[1:]):
        page.write_text(filled(page.read_text("utf-8")), "utf-8")
