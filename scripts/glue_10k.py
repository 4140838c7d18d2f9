"""Convert samples of QQP, QNLI and MNLI from JSON to GLUE's own layout: python scripts/glue_10k.py FROM TO

FROM/QQP/{train,dev}.json becomes TO/QQP/{train,dev}.tsv, and likewise QNLI. MNLI is converted if FROM has it;
its dev.json becomes dev_matched.tsv (task=mnli_matched). A JSON file reads {"0": {"text_a", "text_b", "label"}, …}.
"""

import csv
import json
import sys
from pathlib import Path

COLUMNS = {
    "QQP": ("question1", "question2", "is_duplicate"),
    "QNLI": ("question", "sentence", "label"),
    "MNLI": ("sentence1", "sentence2", "gold_label"),
}


def convert(source: Path, target: Path) -> None:
    """Convert one file. The target has tabs and no quotes, so white space within a text becomes one space."""
    rows = json.loads(source.read_text("utf-8")).values()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        writer.writerow(COLUMNS[source.parent.name])
        writer.writerows([*(" ".join(row[k].split()) for k in ("text_a", "text_b")), row["label"]] for row in rows)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/glue_10k.py FROM TO")
    for task in COLUMNS:
        if task == "MNLI" and not Path(sys.argv[1], task).exists():
            continue
        for split, name in (("train", "train"), ("dev", "dev_matched" if task == "MNLI" else "dev")):
            convert(Path(sys.argv[1], task, f"{split}.json"), Path(sys.argv[2], task, f"{name}.tsv"))
