"""Format the tables method × sparsity and the differences as LaTeX with booktabs."""

from __future__ import annotations

import pandas as pd

from prunebert.errors import visible
from prunebert.report import cells
from prunebert.report.statistics.format import p_text
from prunebert.report.statistics.paired import Test

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
        "[": "{[}",  # after a row's end, [ begins a length
        "]": "{]}",
        "*": "{*}",
    }
)


def scores(cell_means: pd.DataFrame, *, table: str, metric: str, lower_is_better: bool) -> str:
    """Return the table method × sparsity. Bold: see `cells.grid`."""
    texts, best = cells.grid(cell_means, lower_is_better)
    texts.columns = [f"{s:g}" for s in texts]
    texts.insert(0, "sparsity of", cells.denominator(cell_means)[texts.index])
    texts.index.name = texts.columns.name = None
    bold = best.set_axis(texts.columns[1:], axis=1).reindex(columns=texts.columns, fill_value=False)
    style = texts.style.apply(lambda _: bold.replace({True: "textbf:--rwrap;", False: ""}), axis=None)
    return _to_latex(style, f"{table}: {metric} by sparsity", "ll" + "r" * (texts.shape[1] - 1))


def differences(gaps: pd.DataFrame, *, table: str, metric: str, method: str) -> str:
    """Return the differences to the baseline `method`, with the corrected p-values of both tests."""
    rows = pd.DataFrame(
        {
            "sparsity": gaps["sparsity"].map("{:g}".format),
            "seeds": gaps["seeds"].map(str),
            "difference": gaps["difference"].map("{:+.4f}".format),
            "p, examples": [_format_p(t, p) for t, p in zip(gaps["examples"], gaps["examples_holm"], strict=True)],
            "p, seeds": [_format_p(t, p) for t, p in zip(gaps["by_seed"], gaps["by_seed_holm"], strict=True)],
        }
    ).set_axis(gaps["label"])
    rows.index.name = None
    caption = f"{table}: {metric} minus that of {method}; p-values after Holm's correction"
    return _to_latex(rows.style, caption, "l" + "r" * rows.shape[1])


def _format_p(test: Test, corrected: float | None) -> str:
    """Format the corrected p-value, or the reason why there is none."""
    text = test.reason if test.p is None or corrected is None else p_text(corrected)
    return f"{text} ({test.part})" if test.part else text


def _to_latex(style: pd.io.formats.style.Styler, caption: str, columns: str) -> str:
    style.format(escape).format_index(escape, axis=0).format_index(escape, axis=1)
    return style.to_latex(hrules=True, column_format=columns, position_float="centering", caption=escape(caption))


def escape(text: object) -> str:
    """Escape LaTeX's special characters, and show unsafe characters as text."""
    return visible(" ".join(str(text).split())).translate(SIGNS)
