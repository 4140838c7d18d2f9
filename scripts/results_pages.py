"""Fill the findings of a page from the tables in results/, as `prunebert report` writes them.

python scripts/results_pages.py docs/results/index.md README.md

These marks begin a text, and `<!-- end -->` ends it. NAME is a folder of results/ with rows of runs:
    <!-- results/NAME findings -->   at most five sentences on what the runs show
    <!-- results/NAME limits -->     what they cannot show
    <!-- results/NAME ranking -->    the table of scores: methods × tasks at the main sparsity
    <!-- results/NAME repeat -->     the commands that repeat the runs, the commits, the devices and the versions

The rows have no predictions, so nothing is tested over examples. tests/scripts/test_results_pages.py compares the
pages with the results.
"""

import re
import sys
from functools import cache
from pathlib import Path

from prunebert.errors import BadInput
from prunebert.report.collect import collect
from prunebert.report.findings import repeat, results, summary
from prunebert.report.findings.results import Results

RESULTS = Path(__file__).resolve().parents[1] / "results"
END = "<!-- end -->"
TEXTS = {
    "findings": summary.findings,
    "limits": summary.limitations,
    "ranking": summary.table,
    "repeat": repeat.repeat,
}
MARK = re.compile(rf"<!-- results/(?P<name>[\w-]+) (?P<text>{'|'.join(TEXTS)}) -->")


def fill(page: str) -> str:
    """Return the page with the text between each mark and the next end replaced.

    Raises:
        ValueError: a mark has no end before the next mark, its folder has no results, or its text holds an end.
    """
    parts, begin = [], 0
    marks = list(MARK.finditer(page))
    for mark, following in zip(marks, [*marks[1:], None], strict=False):
        end = page.find(END, mark.end(), following.start() if following else len(page))
        if end < 0:
            raise ValueError(f"after {mark[0]} there must be one {END} before the next mark")
        text = TEXTS[mark["text"]](read(mark["name"]))
        if END in text:
            raise ValueError(f"{mark[0]}: a name in these results holds {END}")
        parts += [page[begin : mark.end()], "\n", text.strip("\n"), "\n"]
        begin = end
    return "".join([*parts, page[begin:]])


@cache
def read(name: str) -> Results:
    """Return the runs of results/NAME with their rankings and tests, and those that chose the rates (NAME_tuning).

    Raises:
        ValueError: there are no rows of runs.
    """
    tuning = RESULTS / f"{name}_tuning"
    try:
        return results.of(collect([RESULTS / name, *([tuning] if tuning.is_dir() else [])]))
    except BadInput as error:
        raise ValueError(f"results/{name}: there are no rows of runs") from error


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/results_pages.py PAGE.MD…")
    for page_file in map(Path, sys.argv[1:]):
        before = page_file.read_text("utf-8")
        if not MARK.search(before):
            sys.exit(f"{page_file}: there is no mark such as <!-- results/tiny findings -->")
        page_file.write_text(fill(before), "utf-8")
