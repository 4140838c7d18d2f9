"""Explain how the numbers of the page were made, and how to read them."""

from __future__ import annotations

from prunebert.report.page.page import Part, Section
from prunebert.report.page.published import MATCHING
from prunebert.report.published import numbers as published
from prunebert.report.statistics.paired import EXPLANATION

TABLES = (
    "A cell shows the mean over seeds ± their standard deviation (n - 1), and the number of seeds in brackets. "
    "Sparsity is the fraction removed. “Sparsity of” names the matrices that it is a fraction of. Rows compete only if "
    "these matrices are the same.\n"
    "Runs share a row if they differ only in sparsity and seed. A row's name has the fewest settings that tell the "
    "rows of its method apart. A setting that is off is left out. “What the names stand for” lists all that differ.\n"
    "The constant baseline always answers the commonest training label, or the mean."
)
AGREEMENT = (
    "The settings of a number are those of fit=paper in prunebert's own conf/, changed as the source says. fit=paper "
    "also stands for a budget that a source does not give. Soft movement and L0 steer their penalty to the requested "
    "sparsity; the papers fix the penalty, and a number belongs to the sparsity that it gave."
)


def section() -> Section:
    """Return the section on tables, tests and published numbers."""
    sources = "\n".join(f"{name}: {source}." for name, source in published.CITED.items())
    numbers = f"{MATCHING} {AGREEMENT} None of the published numbers was measured here.\n{sources}"
    parts = [
        Part(folded="Tables", text=TABLES),
        Part(folded="Tests", text=EXPLANATION),
        Part(folded="Published numbers", text=numbers),
    ]
    return Section("How to read this", "reading", parts)
