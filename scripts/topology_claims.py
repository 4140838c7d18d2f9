"""Answer the papers' statements about topology from finished runs: yes, no or cannot say.

    python scripts/topology_claims.py RUNS… --out FILE.json [--page PAGE.md]

RUNS are folders with runs of one model and one prunable set. Runs of one method, task and sparsity may differ in their
seeds only. `scripts/topology_rules.py` has the rules, `scripts/topology_answers.py` the statements.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import topology_answers
import topology_rules
import topology_study
import topology_table

from prunebert.errors import BadInput, describe_os_error


def content(folders: Sequence[Path], degrees: str) -> dict[str, Any]:
    """Return the content of the JSON file. Raises BadInput as `topology_study.read` does."""
    study = topology_study.read(folders)
    axes = dict(zip(("methods", "tasks", "sparsities", "seeds"), map(study.values, range(4)), strict=True))
    return {
        "model": study.model,
        "prunable": study.prunable,
        "runs": len(study.runs),
        "transferred": len(study.transferred),
        "dense": len(study.dense),
        **axes,
        "left_out": study.left_out,
        "commits": dict(study.commits.most_common()),
        "rules": topology_rules.RULES,
        "answers": list(topology_answers.answers(study, degrees)),
    }


def main() -> None:
    """Write the JSON file, and fill the page if one is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUNS", help="folders with finished runs")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.json", help="the file to write")
    parser.add_argument("--page", type=Path, metavar="PAGE.md", help="the page whose generated parts are filled")
    parser.add_argument(
        "--degrees",
        choices=("none", "middle", "all"),
        default="middle",
        help="at which sparsities random masks keep all degrees (default: the one nearest to 0.9)",
    )
    words = parser.parse_args()
    try:
        page = _page(words.page) if words.page else ""
        if not words.out.parent.is_dir():
            raise BadInput(f"--out={words.out}: the folder {words.out.parent} does not exist")
        found = content(words.runs, words.degrees)
        words.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
        if words.page:
            words.page.write_text(topology_table.fill(page, found), "utf-8")
    except BadInput as error:
        sys.exit(_report(str(error)))
    except OSError as error:
        sys.exit(_report(describe_os_error(error)))


def _page(file: Path) -> str:
    """Return the text of the page. Raises BadInput if its marks are wrong."""
    text = file.read_text("utf-8")
    try:
        topology_table.marks_of(text)
    except ValueError as error:
        raise BadInput(f"--page={file}: {error}") from error
    return text


def _report(line: str) -> int:
    print(line, file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    main()
