"""A paper that inputs tables.tex compiles without a box that is too wide, in a column and on a page."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from prunebert.report.collect import collect
from prunebert.report.export.document import document
from prunebert.report.export.fit import WIDTHS, Style
from prunebert.report.export.grid import Form
from prunebert.report.statistics import paired, ranking
from tests.report.conftest import finished

ROOT = Path(__file__).parents[3]
NASTY = "=1+1[/bold]&$\\input{x}%_#^~\u202egnp,\"'--``?`\x07 中文 שלום 😀 ñ λ ħ"
OPTIONS = {"page": "", "column": "twocolumn"}  # LaTeX's own article has the narrowest of all columns and pages


def gaps(runs):
    """Return differences of every cell to the first label, with intervals and p-values of every form."""
    rows = [
        {
            "baseline": "magnitude",
            "label": label,
            "sparsity": sparsity,
            "against": runs["label"].iloc[0],
            "other_denominator": k % 5 == 0,
            "seeds": 1 + k % 3,
            "difference": -0.1 + 0.01 * k,
            "examples": paired.Test(0.01, part="1 of 3 seeds"),
            "by_seed": paired.Test(0.5) if k % 2 else paired.Test(None, "too few seeds (1)"),
            "examples_holm": (0.0004, 0.03, 0.999)[k % 3],
            "by_seed_holm": 0.5 if k % 2 else None,
            **{
                f"{side}_{end}": value
                for side in ("seeds", "examples")
                for end, value in (("low", -1.0), ("high", 0.9))
            },
        }
        for k, (label, sparsity) in enumerate(runs.groupby(["label", "sparsity"], sort=False).groups)
    ]
    return pd.DataFrame(rows)


def tex(runs, style):
    tables = {str(name): gaps(table_runs) for name, table_runs in runs.groupby("table")}
    return document(runs, tables, [ranking.rank(runs, s) for s in ranking.sparsities(runs)], style)


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    """Return runs with long and hostile names, many rows, huge scores and other denominators."""
    root = tmp_path_factory.mktemp("nasty")
    for k in range(30):
        settings = {"fit": {"steps": 9, NASTY: k}, "path": f"/a{'very' * 30}/{k}", "head": "linear"}
        changes = {"task": (NASTY, "w" * 70)[k % 2], "settings": settings, "model": "m" * 90}
        changes |= {"metric": "perplexity", "score": 10.0**k, "metrics": {"perplexity": 10.0**k, NASTY: 0.5}}
        prunable = ("encoder", "encoder_pooler_embeddings")[k % 3 == 0]
        finished(root / str(k), (NASTY, "smp", "w" * 100)[k % 3], 0.5, prunable=prunable, **changes)
    return collect([root]).runs


@pytest.fixture(scope="module")
def studies(nasty):
    """Return the runs of the results and the nasty ones, by name."""
    real = {name: collect([ROOT / f"results/{name}"]).runs for name in ("tiny", "minilm")}
    return real | {"nasty": nasty}


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no pdflatex (Debian: texlive-latex-recommended)")
@pytest.mark.parametrize(
    "width", [*list(WIDTHS)[:1], *(pytest.param(w, marks=pytest.mark.slow) for w in list(WIDTHS)[1:])]
)
def test_every_table_compiles_and_fits(studies, tmp_path, width):
    for name, runs in studies.items():
        (tmp_path / f"{name}.tex").write_text(tex(runs, Style(Form(2), WIDTHS[width])))
    lines = [rf"\documentclass[{OPTIONS[width]}]{{article}}", r"\usepackage{booktabs}", r"\begin{document}"]
    lines += [*(rf"\input{{{name}}}\clearpage" for name in studies), r"\end{document}"]
    (tmp_path / "paper.tex").write_text("\n".join(lines))
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=60)
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    assert re.findall(r"^(?:! |Overfull|LaTeX Warning: (?!Label|There)).*", log, re.M) == []
    count = sum((tmp_path / f"{name}.tex").read_text().count(r"\label{") for name in studies)
    assert count > 50 and (tmp_path / "paper.aux").read_text().count(r"\newlabel{tab:") == count


@pytest.mark.skipif(
    not shutil.which("kpsewhich") or not subprocess.run(["kpsewhich", "siunitx.sty"], capture_output=True).stdout,
    reason="there is no siunitx (Debian: texlive-science)",
)
def test_with_siunitx_too(nasty, tmp_path):
    (tmp_path / "tables.tex").write_text(tex(nasty, Style(room=WIDTHS["column"], siunitx=True)))
    head = (
        r"\documentclass[twocolumn]{article}\usepackage{booktabs,siunitx}\begin{document}\input{tables}\end{document}"
    )
    (tmp_path / "paper.tex").write_text(head)
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=60, check=True)
    assert "Overfull" not in (tmp_path / "paper.log").read_text(errors="replace")
