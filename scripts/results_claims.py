"""The table of the papers' claims, and the rule that says which of them hold (results_table.py)."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from results_rows import markdown_row, no_better, row_names

from prunebert.report.statistics.format import LEVEL, p_text
from prunebert.report.statistics.paired import holm, over_seeds

FROZEN = "magnitude (keep_pretrained=true)"
NEAR = 0.03  # "close to dense" means: less than three points below


class Claim(NamedTuple):
    """A paper's claim: at `sparsity`, the score of `ours` plus `margin` is above that of `theirs`."""

    ours: str
    theirs: str
    sparsity: float
    paper: str
    margin: float = 0.0

    def __str__(self) -> str:
        margin = f"less than {100 * self.margin:g} points below" if self.margin else "above"
        return f"{self.ours} {margin} {self.theirs}"


CLAIMS = (
    Claim("smp", "soft_movement", 0.9, "SMP (Jiang et al. 2023)"),
    Claim("soft_movement", "movement", 0.9, "movement (Sanh et al. 2020)"),
    Claim("movement", "l0", 0.9, "movement (Sanh et al. 2020)"),
    Claim("movement", "gmp", 0.9, "movement (Sanh et al. 2020)"),
    Claim("platon", "soft_movement", 0.9, "PLATON (Zhang et al. 2022)"),
    Claim("gmp_star", "gmp", 0.9, "GMP★ (Kurtic & Alistarh 2022)"),
    Claim("gmp_star", "movement", 0.9, "GMP★ (Kurtic & Alistarh 2022)"),
    Claim("obert", "gmp_star", 0.9, "oBERT (Kurtic et al. 2022)"),
    Claim("obert", "movement", 0.9, "oBERT (Kurtic et al. 2022)"),
    Claim("abp", FROZEN, 0.5, "AbP (Gao et al. 2021)"),
    Claim("tamt", "magnitude", 0.8, "TAMT (Liu et al. 2022), at 0.7"),
    Claim("masking", "dense", 0.5, "masking (Zhao et al. 2020)", NEAR),
    Claim("sparsebert", "dense", 0.9, "SparseBERT (Xu et al. 2021)", NEAR),
)


def claims_table(runs: pd.DataFrame) -> str:
    """Return a table with a row per claim whose two methods ran.

    A row has the mean difference on each task, in points (hundredths of the score), over the seeds that both methods
    have. A † marks a difference in which at least one run is no better than the constant baseline. Then come the number
    of pairs of runs (same task and seed) in which the claim holds, and `judged`'s p and verdict. A claim is not judged
    if a method did not learn a task, see `not_learnt`.
    """
    runs = runs.assign(label=row_names(runs), no_better=no_better(runs))
    tasks = sorted(runs["task"].unique())
    indexed = runs.set_index(["label", "sparsity", "task", "seed"])[["score", "no_better"]]
    pairs = {claim: _pairs(indexed, claim) for claim in CLAIMS}
    pairs = {claim: frame for claim, frame in pairs.items() if len(frame)}
    failed = {claim: not_learnt(frame, claim) for claim, frame in pairs.items()}
    tested = {claim: frame["gap"] + claim.margin for claim, frame in pairs.items() if not failed[claim]}
    verdicts = judged(tested) | {claim: ("", f"cannot say: {text}") for claim, text in failed.items() if text}
    head = ["claim", "paper", "at", *tasks, "pairs of runs", "p", "verdict"]
    lines = [markdown_row(head), markdown_row(["---"] * len(head))]
    for claim, frame in pairs.items():
        gaps = frame["gap"].groupby("task").mean()
        marked = frame[["ours_failed", "theirs_failed"]].any(axis=1).groupby("task").any()
        cells = [f"{100 * gaps[t]:+.1f}{' †' if marked[t] else ''}" if t in gaps else "" for t in tasks]
        count = f"{(frame['gap'] + claim.margin > 0).sum()} of {len(frame)}"
        lines.append(markdown_row([str(claim), claim.paper, f"{claim.sparsity:g}", *cells, count, *verdicts[claim]]))
    return "\n".join(lines)


def not_learnt(frame: pd.DataFrame, claim: Claim) -> str:
    """Return which method did not learn a task: all its runs there are no better than the constant baseline; or ""."""
    for method, column in ((claim.ours, "ours_failed"), (claim.theirs, "theirs_failed")):
        tasks = frame[column].groupby("task").all()
        if tasks.any():
            return f"{method} did not learn {', '.join(tasks.index[tasks])}"
    return ""


def judged(gaps: dict[Claim, pd.Series]) -> dict[Claim, tuple[str, str]]:
    """Return each claim's p and verdict. Both p-values are of paired t-tests over seeds, two-sided, see `over_seeds`.

    yes: the mean is above 0 on every task, and the largest p of the tasks is below 0.05.
    no: on a task the mean is below 0, and its p, times the number of tasks, is below 0.05.
    cannot say: otherwise. Its p is that of "yes", which is 1 where a mean is not above 0.
    Both p-values are corrected over all claims by Holm's method.

    Args:
        gaps: by claim, what must be above 0: a Series over task and seed.
    """
    holds, fails = {}, {}
    for claim, values in gaps.items():
        tests = [(part.mean(), over_seeds(part, [0.0] * len(part)).p) for _, part in values.groupby("task")]
        if all(p is not None for _, p in tests):
            holds[claim] = max(p if mean > 0 else 1.0 for mean, p in tests)
            fails[claim] = min(1.0, len(tests) * min(p if mean < 0 else 1.0 for mean, p in tests))
    corrected_holds, corrected_fails = (dict(zip(p, holm(list(p.values())), strict=True)) for p in (holds, fails))
    verdicts = dict.fromkeys(gaps, ("", "cannot say"))
    for claim, p in corrected_holds.items():
        verdicts[claim] = (p_text(p), "**yes**" if p < LEVEL else "cannot say")
        if corrected_fails[claim] < LEVEL:
            verdicts[claim] = (p_text(corrected_fails[claim]), "**no**")
    return verdicts


def _pairs(indexed: pd.DataFrame, claim: Claim) -> pd.DataFrame:
    """Return `gap` (ours minus theirs), `ours_failed` and `theirs_failed` by task and seed, of runs with a counterpart.

    A run failed if it is no better than the constant baseline.
    """
    labels = {*indexed.index.get_level_values("label")}
    if not {claim.ours, claim.theirs} <= labels:
        return pd.DataFrame()
    sides = [_runs_of(indexed, label, claim.sparsity) for label in (claim.ours, claim.theirs)]
    both = pd.merge(*sides, left_index=True, right_index=True, suffixes=("", "_theirs"))
    gap = both["score"] - both["score_theirs"]
    return pd.DataFrame({"gap": gap, "ours_failed": both["no_better"], "theirs_failed": both["no_better_theirs"]})


def _runs_of(indexed: pd.DataFrame, label: str, sparsity: float) -> pd.DataFrame:
    """Return a method's runs at a sparsity, by task and seed. A method that removes nothing (dense) has only 0."""
    method_runs = indexed.xs(label, level="label")
    sparsities = method_runs.index.get_level_values("sparsity")
    wanted = 0.0 if (sparsities == 0).all() else sparsity
    return method_runs[sparsities == wanted].droplevel("sparsity")
