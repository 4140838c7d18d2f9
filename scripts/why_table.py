"""Fill the tables of docs/results/collapse.md: why_table.py RESULTS PAGE.MD. A test compares them.

RESULTS is results/. collapse/results.csv in it is of `prunebert report`, and collapse/first_cut.log of the run
`first_cut` of scripts/why_movement_collapses.sh. These marks begin a table, and `<!-- end -->` ends it:

    <!-- collapse: runs -->         a row begins with the run's name in backticks; the third cell gets its score
    <!-- collapse: first cut -->    the whole table: the loss by ranking and fraction removed
    <!-- collapse: order -->        the whole table: methods with frozen and with trained embeddings
"""

import re
import sys
from pathlib import Path

import pandas as pd
from scipy.stats import ttest_rel

END = "<!-- end -->"
RUNS = "<!-- collapse: runs -->"
FIRST_CUT = "<!-- collapse: first cut -->"
ORDER = "<!-- collapse: order -->"
ORDER_SPARSITIES = (0.9, 0.97)
FREEZE = ("movement", "soft_movement")  # methods whose default is to freeze the embeddings
LOSSES = re.compile(r"(\w+): (0:[\d.]+(?: [\d.]+:[\d.]+)+)$")


def fill(page: str, results: pd.DataFrame, log: str) -> str:
    """Return the page with the scores of its runs and with the table of the first cut.

    Raises:
        ValueError: a mark is missing, a row names no run, or a run has no row.
    """
    scores = {
        Path(directory).name: score for directory, score in zip(results["directory"], results["score"], strict=True)
    }
    before, rows, after = section(page, RUNS)
    head, filled, named = rows[:2], [], []
    for row in rows[2:]:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        name = cells[0].strip("` ")
        if name not in scores:
            raise ValueError(f"no run is called {name}; there are {', '.join(sorted(scores))}")
        named.append(name)
        cells[2] = f"{scores[name]:.3f}"
        filled.append(f"| {' | '.join(cells)} |")
    if missing := scores.keys() - set(named):
        raise ValueError(f"the table has no row of {', '.join(sorted(missing))}")
    page = before + "\n".join([*head, *filled]) + after
    before, _, after = section(page, FIRST_CUT)
    return before + first_cut_table(log) + after


def fill_page(page: str, results: Path) -> str:
    """Return the page with all its tables of a folder results/."""
    here, minilm = pd.read_csv(results / "collapse/results.csv"), pd.read_csv(results / "minilm_eight_tasks/sst2.csv")
    before, _, after = section(page, ORDER)
    page = before + order_table(here, minilm) + after
    return fill(page, here, (results / "collapse/first_cut.log").read_text("utf-8"))


def section(page: str, mark: str) -> tuple[str, list[str], str]:
    """Return the text up to and with the mark, the lines between it and the next end, and the rest from that end on."""
    before, found, rest = page.partition(f"{mark}\n")
    lines, ended, after = rest.partition(f"\n{END}")
    if not (found and ended):
        raise ValueError(f"there must be one {mark} and after it one {END}")
    return before + found, lines.splitlines(), ended + after


def first_cut_table(log: str) -> str:
    """Return a row per ranking and a column per fraction removed, of the losses in a run.log."""
    table = losses(log)
    fractions = list(next(iter(table.values())))
    rows = [["removed first", *(f"{100 * float(s):g} %" for s in fractions)], ["---"] * (len(fractions) + 1)]
    rows += [[name, *(values[s] for s in fractions)] for name, values in table.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def losses(log: str) -> dict[str, dict[str, str]]:
    """Return the losses in a run.log by ranking and fraction removed, as they are written there.

    Raises:
        ValueError: there are none.
    """
    matches = [match for line in log.splitlines() if (match := LOSSES.search(line))]
    if not matches:
        raise ValueError("the log has no losses of a first cut")
    return {match[1]: dict(pair.split(":") for pair in match[2].split()) for match in matches}


def order_table(here: pd.DataFrame, minilm: pd.DataFrame) -> str:
    """Return a row per method and kind of embeddings, the best at the highest sparsity first.

    A cell has mean ± standard deviation (seeds). Beside it is the p of the difference to GMP with the same embeddings.

    Args:
        here: the runs of this page. Those with 300 steps that differ from a method's usual settings in the embeddings
            or in the first scores only are shown.
        minilm: the runs of SST-2 in results/minilm_eight_tasks, which have the rates of `here`. Those with trained
            weights are shown.
    """
    magnitude, frozen = (_text(here, f"settings.{key}") for key in ("score_init", "train_embeddings"))
    usual = (here["steps"] == 300) & (_text(here, "settings.fit.batch_size") == "32") & (here["distill"] == "none")
    usual &= (here["head"] == "linear") & (here["model"] == "minilm")
    is_movement = usual & (here["method"] == "movement") & (magnitude == "magnitude")
    is_gmp = usual & (here["method"] == "gmp") & (frozen == "False")
    names = pd.Series("movement, scores from \\|W\\|", here.index).where(is_movement, "gmp")
    embeddings = pd.Series("trained", here.index).where(is_movement & (frozen == "True"), "frozen")
    shown = here.copy().assign(name=names, embeddings=embeddings)[is_movement | is_gmp]
    others = minilm[minilm["method"].isin([*FREEZE, "gmp", "magnitude", "random"])]
    others = others[_text(others, "settings.keep_pretrained") != "True"].copy()
    are_frozen = others["method"].isin(FREEZE)
    others = others.assign(name=others["method"], embeddings=are_frozen.map({True: "frozen", False: "trained"}))
    runs = pd.concat([shown, others])
    columns = [text for s in ORDER_SPARSITIES for text in (f"at {s:g}", "p against gmp")]
    rows = [["embeddings", "method", *columns], ["---"] * (2 + len(columns))]
    last = runs[runs["sparsity"] == ORDER_SPARSITIES[-1]].groupby(["embeddings", "name"])["score"].mean()
    for kind in ("frozen", "trained"):
        for name in last[kind].sort_values(ascending=False).index:
            of_kind = runs[runs["embeddings"] == kind].set_index(["name", "sparsity", "seed"])["score"].sort_index()
            cells = [_cell(of_kind.loc[name, s], of_kind.loc["gmp", s], name == "gmp") for s in ORDER_SPARSITIES]
            rows.append([kind, name, *(text for cell in cells for text in cell)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(scores: pd.Series, gmp: pd.Series, is_gmp: bool) -> tuple[str, str]:
    """Return mean ± deviation (seeds), and the p of the paired t test over common seeds, not corrected."""
    mean = f"{scores.mean():.3f}" + (f" ± {scores.std():.3f}" if len(scores) > 1 else "") + f" ({len(scores)})"
    pairs = pd.concat([scores, gmp], axis=1, join="inner")
    if is_gmp or len(pairs) < 3:
        return mean, ""
    p = ttest_rel(*pairs.T.to_numpy()).pvalue
    return mean, "<0.01" if p < 0.01 else f"{p:.2f}"


def _text(runs: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as text; empty where the runs have none."""
    values = runs[column] if column in runs else pd.Series("", runs.index)
    return values.map(lambda value: "" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/why_table.py RESULTS PAGE.MD")
    results_folder, page_file = map(Path, sys.argv[1:])
    page_file.write_text(fill_page(page_file.read_text("utf-8"), results_folder), "utf-8")
