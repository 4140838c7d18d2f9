"""The tables method × sparsity and the differences for a paper: LaTeX, with booktabs."""

from __future__ import annotations

import pandas as pd

from prunebert.report import cells
from prunebert.report.statistics import Test

HEAD = r"""% Written by `prunebert report`. Needs \usepackage{booktabs}.
% mean ± standard deviation over seeds (number of seeds); sparsity is the fraction removed.
"""
SIGNS = str.maketrans(
    {
        **{sign: rf"\{sign}" for sign in "&%$#_{}"},
        **{sign: rf"${sign}$" for sign in "<>|"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "–": "--",
        "−": "$-$",
    }
)


def scores(found: pd.DataFrame, *, table: str, metric: str, lower_is_better: bool) -> str:
    """method × sparsity, the best of each column (among the same denominator) in bold."""
    texts, best = cells.grid(found, lower_is_better)
    texts.columns = [f"{s:g}" for s in texts]
    texts.insert(0, "of", cells.denominator(found)[texts.index])
    texts.index.name = texts.columns.name = None
    bold = best.set_axis(texts.columns[1:], axis=1).reindex(columns=texts.columns, fill_value=False)
    style = texts.style.apply(lambda _: bold.replace({True: "textbf:--rwrap;", False: ""}), axis=None)
    return _written(style, f"{table}: {metric} by sparsity", "ll" + "r" * (texts.shape[1] - 1))


def differences(found: pd.DataFrame, *, table: str, metric: str, method: str) -> str:
    """Differences to the baseline with both tests' corrected p-values."""
    rows = pd.DataFrame(
        {
            "sparsity": found["sparsity"].map("{:g}".format),
            "seeds": found["seeds"].map(str),
            "difference": found["difference"].map("{:+.4f}".format),
            "p, examples": [_p(t, p) for t, p in zip(found["examples"], found["examples_holm"], strict=True)],
            "p, seeds": [_p(t, p) for t, p in zip(found["by_seed"], found["by_seed_holm"], strict=True)],
        }
    ).set_axis(found["label"])
    rows.index.name = None
    caption = f"{table}: {metric} minus that of {method}; p-values after Holm's correction"
    return _written(rows.style, caption, "l" + "r" * rows.shape[1])


def _p(test: Test, corrected: float | None) -> str:
    told = test.why if test.p is None else f"{corrected:.4f}" if corrected and corrected >= 0.0001 else "< 0.0001"
    return f"{told} ({test.part})" if test.part else told


def _written(style: pd.io.formats.style.Styler, caption: str, columns: str) -> str:
    style.format(escaped).format_index(escaped, axis=0).format_index(escaped, axis=1)
    return style.to_latex(hrules=True, column_format=columns, position_float="centering", caption=escaped(caption))


def escaped(text: object) -> str:
    """Any text as LaTeX prints it."""
    return " ".join(str(text).split()).translate(SIGNS)
