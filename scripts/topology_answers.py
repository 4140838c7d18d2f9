"""The papers' statements about topology, and ours where no paper has one: each with its source and its null model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import topology_measures as measures
import topology_rules as rules
import topology_transfer as transfer
from topology_rules import Evidence
from topology_study import MIDDLE, Study

PAPERS = {"abp": "AbP", "smp": "SMP"}
NONE = "neither paper measures it"
RANDOM = (
    f"random masks that keep as many weights in total (multivariate hypergeometric, {rules.DRAWS:,} draws); "
    "the largest p of all runs"
)
SEEDS = "the mean over seeds is 1 (t-test of the logarithm over seeds; the largest p of the tasks)"
TOST = f"the ratio is {rules.RATIO:g} or more apart from 1 (two one-sided t-tests over seeds; the largest p)"
RANKS = "ranks in random order (permutations within each {}; the largest p)"
SCORES = "the mean difference over source seeds is 0 (t-test; the largest p of the targets)"
DEGREES = "random masks with the same number of weights in every row and column (10 draws of each, normal p of z)"

Measure = Callable[..., Evidence]  # of a study, a method and a sparsity


@dataclass(frozen=True)
class Question:
    """One statement, and how it is tested."""

    table: str  # the table of the page that shows it
    name: str  # of its column
    statement: str
    unit: str  # of the numbers
    interval: str  # what low and high are; "" if there are none
    null: str
    measure: Measure
    # By method whose paper is concerned: the end of the sparsities at which its row is a claim, and the source.
    sources: Mapping[str, tuple[str, str]] = field(default_factory=dict)


T = "95 % t interval over seeds"
RUNS, PAIRS = "range over the seeds", "range over the pairs of seeds"
BOTH = {method: ("middle", NONE) for method in PAPERS}
FIG_3 = "AbP, Fig. 3"
SHUFFLED = "AbP, Table 3 (fixed weights, sparsity 0.5: SST-2 0.808 with a shuffled mask, 0.856 with its own)"
QUESTIONS = [
    Question(
        *("layers", "uneven", "The layers keep different fractions of their weights."),
        *("moved", RUNS, RANDOM, partial(measures.uneven, group_of=measures.layers)),
        {
            "abp": ("high", f"{FIG_3} (MNLI, sparsity 0.99: 0.9 to 1.6 % of a layer remain)"),
            "smp": ("middle", "SMP, Fig. 2 (MNLI, 10 % remain)"),
        },
    ),
    Question(
        *("layers", "level", "At the lowest sparsity, every layer keeps nearly the same fraction."),
        *("fraction of the most different layer ÷ that of all layers", T, TOST),
        partial(measures.level, group_of=measures.layers),
        {"abp": ("low", f"{FIG_3} (MNLI, sparsity 0.2: 77 to 79 % of every layer remain)")},
    ),
    Question(
        *("layers", "lower ÷ upper", "The lower half of the layers keeps a larger fraction than the upper half."),
        *("ratio of the two fractions", T, SEEDS, partial(measures.more, group_of=None, names=("lower", "upper"))),
        {"smp": ("middle", "SMP, Fig. 2 (MNLI, 10 % remain: sparsity grows with depth)")},
    ),
    Question(
        *("layers", "order, seeds", "All seeds rank the layers in the same order."),
        *("Kendall's W", "", RANKS.format("seed"), partial(measures.order, group_of=measures.layers, over="seeds")),
        {"abp": ("high", f"{FIG_3} (bars over 5 seeds)"), "smp": ("middle", NONE)},
    ),
    Question(
        *("layers", "order, tasks", "All tasks rank the layers in the same order."),
        *("Kendall's W", "", RANKS.format("task"), partial(measures.order, group_of=measures.layers, over="tasks")),
        {"abp": ("high", f"{FIG_3} and supplement (MNLI, SST-2, STS-B)"), "smp": ("middle", NONE)},
    ),
    Question(
        *("kinds", "uneven", "The kinds of matrices keep different fractions of their weights."),
        *("moved", RUNS, RANDOM, partial(measures.uneven, group_of=measures.kinds)),
        {
            "abp": ("high", f"{FIG_3} (MNLI, sparsity 0.99: 0.1 % of the embeddings remain, 0.9 to 1.6 % of a layer)"),
            "smp": ("middle", "SMP, Fig. 2 (one global ranking: about 4 times as much of the feed-forward matrices)"),
        },
    ),
    Question(
        *("kinds", "level", "At the lowest sparsity, queries, keys and values keep nearly the same fraction."),
        *("fraction of the most different of the three ÷ that of all three", T, TOST),
        partial(measures.level, group_of=measures.inputs),
        {"abp": ("low", f"{FIG_3} (MNLI, sparsity 0.2: 76 to 77 % of each remain)")},
    ),
    Question(
        *("kinds", "feed-forward ÷ Q, V", "Feed-forward matrices keep a larger fraction than queries and values."),
        *("ratio of the two fractions", T, SEEDS),
        partial(measures.more, group_of=measures.feed_forward, names=("feed-forward", "query and value")),
        {"smp": ("middle", "SMP, Fig. 2 (one global ranking, MNLI, 10 % remain: 3.2 and 2.8 % of Q and V)")},
    ),
    Question(
        *("kinds", "order, seeds", "All seeds rank the kinds of matrices in the same order."),
        *("Kendall's W", "", RANKS.format("seed"), partial(measures.order, group_of=measures.kinds, over="seeds")),
        {"abp": ("high", f"{FIG_3} (bars over 5 seeds)"), "smp": ("middle", NONE)},
    ),
    Question(
        *("kinds", "order, tasks", "All tasks rank the kinds of matrices in the same order."),
        *("Kendall's W", "", RANKS.format("task"), partial(measures.order, group_of=measures.kinds, over="tasks")),
        {"abp": ("high", f"{FIG_3} and supplement (MNLI, SST-2, STS-B)"), "smp": ("middle", NONE)},
    ),
    Question(
        "embeddings",
        "reversal",
        "The embeddings keep more than the network at the lowest sparsity, and less at the highest.",
        *("embeddings' fraction ÷ that of all weights", T, SEEDS, measures.reversal),
        {"abp": ("ends", f"{FIG_3} and supplement (sparsities 0.2 and 0.99; said to hold for all tasks)")},
    ),
    *(
        Question(
            *("agreement", f"{scope}, {null}", f"The masks of two seeds share more of {words} than {chance}."),
            *("overlap beyond chance", PAIRS, model, partial(measures.agreement, scope=scope, null=null), BOTH),
        )
        for scope, words in (("all", "all prunable weights"), ("encoder", "the encoder"))
        for null, chance, model in (
            ("total", "two random masks", "random masks that keep as many weights in total (hypergeometric)"),
            (
                "matrices",
                "random masks with the same matrices' counts",
                f"random masks that keep as many weights of every matrix ({rules.DRAWS:,} draws)",
            ),
            ("degrees", "random masks with the same degrees", DEGREES),
        )
        if (scope, null) != ("all", "degrees")
    ),
    *(
        Question(
            *("tasks", scope, f"Two masks share more of {words} if they were found on one task than on two."),
            *("same task - other task, both at other seeds", PAIRS),
            "the tasks of each seed's masks are exchanged (all exchanges)",
            *(partial(measures.knows_task, scope=scope), BOTH),
        )
        for scope, words in (("all", "all prunable weights"), ("encoder", "the encoder"))
    ),
    *(
        Question(
            *("transfer", f"{first} - {second}", f"A network scores higher {words}."),
            *("difference of the scores", T, SCORES),
            partial(transfer.contrast, first=first, second=second),
            {"abp": ("middle", source), "smp": ("middle", NONE)},
        )
        for first, second, words, source in (
            ("own", "other", "under the target's own mask than under that of another task", NONE),
            ("own", "own shuffled", "under the target's own mask than under its shuffled copy", SHUFFLED),
            ("other", "other shuffled", "under another task's mask than under its shuffled copy", NONE),
            ("dense", "own", "without a mask than under the target's own mask", NONE),
        )
    ),
]


def answers(study: Study, degrees: str = "middle") -> Iterator[dict[str, Any]]:
    """Return a row for each question, method and sparsity.

    Args:
        degrees: at which sparsities random masks with the same degrees are drawn: "none", "middle" or "all".
    """
    tables: dict[tuple[str, str], list[tuple[dict[str, Any], Evidence]]] = {}
    sources = {row["masks_from"].get("method") for row in study.transferred}
    methods = sorted({*study.values(0), *PAPERS, *sources} - {None})
    for question, method in itertools.product(QUESTIONS, methods):
        for sparsity, role, source in _places(question, study, method):
            is_middle = sparsity == middle_of(study, method)
            if question.name.endswith("degrees") and degrees != "all" and not (is_middle and degrees == "middle"):
                continue
            evidence = question.measure(study, method, sparsity)
            row = _row(question, study, method, sparsity) | {"role": role, "source": source}
            family = (question.table, "" if role == "claim" else question.name)
            tables.setdefault(family, []).append((row, evidence))
    for rows in tables.values():
        for (row, evidence), decision in zip(rows, rules.decide([e for _, e in rows]), strict=True):
            facts = {k: v for k, v in asdict(evidence).items() if k not in ("certain", "why")}
            yield row | facts | decision


def middle_of(study: Study, method: str) -> float | None:
    """Return the method's sparsity that is nearest to MIDDLE; None if it has no runs."""
    own = {key[2] for key in study.runs if key[0] == method}
    return min(own, key=lambda s: abs(s - MIDDLE), default=None)


def _places(question: Question, study: Study, method: str) -> Iterator[tuple[float | None, str, str]]:
    """Yield the sparsity, the role ("claim" or "beside") and the source of each row of a method."""
    end, source = question.sources.get(method, ("", ""))
    if question.table == "embeddings":
        yield None, "claim" if end else "beside", source
        return
    is_transfer = question.table == "transfer"
    runs = transfer.runs_of(study, method) if is_transfer else [k[2:3] for k in study.runs if k[0] == method]
    own = sorted({run[0] for run in runs})
    ends = {"low": own[:1], "high": own[-1:], "middle": sorted(own, key=lambda s: abs(s - MIDDLE))[:1]}
    chosen = ends.get(end, [])
    if end and not own:
        yield None, "claim", source
    for sparsity in own:
        is_claim = sparsity in chosen
        yield sparsity, "claim" if is_claim else "beside", source if is_claim else ""


def _row(question: Question, study: Study, method: str, sparsity: float | None) -> dict[str, Any]:
    names = ("table", "name", "statement", "unit", "interval", "null")
    if question.table == "transfer":
        runs = transfer.runs_of(study, method)
    else:
        runs = [(key[2], key[1], key[3]) for key in study.runs if key[0] == method]
    shown = {min(runs)[0], max(runs)[0]} if sparsity is None and runs else {sparsity}  # a reversal has two ends
    runs = [run for run in runs if run[0] in shown]
    counts = {"runs": len(runs), "tasks": len({run[1] for run in runs}), "seeds": len({run[2] for run in runs})}
    return {name: getattr(question, name) for name in names} | {"method": method, "sparsity": sparsity, "n": counts}
