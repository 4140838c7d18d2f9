"""Measure one statement about a method's masks at one sparsity. Functions return the evidence of `topology_rules`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np
import topology_rules as rules
from scipy import stats
from topology_rules import Evidence, Part
from topology_study import Run, Study, beyond_chance, one_urn

from prunebert.analysis import overlap, topology
from prunebert.report.statistics.friedman import PERMUTATIONS

GroupOf = Callable[[str, str], str | None]  # layer and kind of a matrix -> its group; None: left out
SET = "the setting of the method fixes these fractions"
INPUTS = ("query", "key", "value")
FEED_FORWARD = ("intermediate", "multiplier", "output")


def layers(layer: str, _: str) -> str | None:
    """Return the number of a layer. Embeddings and pooler are no layers."""
    return layer if layer.isdigit() else None


def kinds(_: str, kind: str) -> str | None:
    """Return the kind, of embeddings and pooler too."""
    return kind


def inputs(_: str, kind: str) -> str | None:
    """Return query, key or value."""
    return kind if kind in INPUTS else None


def feed_forward(_: str, kind: str) -> str | None:
    """Return whether a matrix is of the feed-forward network, or a query or value."""
    return "feed-forward" if kind in FEED_FORWARD else "query and value" if kind in ("query", "value") else None


def embeddings(_: str, kind: str) -> str | None:
    """Return whether a matrix has the word embeddings."""
    return "embeddings" if kind == "embeddings" else "others"


def halves(cell: Mapping[str, Mapping[int, Run]]) -> GroupOf:
    """Return the grouping into the lower and the upper half of the layers. A middle layer belongs to neither."""
    numbers = sorted({int(g) for seeds in cell.values() for run in seeds.values() for g in run.groups(layers)})
    half = len(numbers) // 2
    names = {str(n): "lower" for n in numbers[:half]} | {str(n): "upper" for n in numbers[len(numbers) - half :]}
    return lambda layer, _: names.get(layer)


def uneven(study: Study, method: str, sparsity: float, group_of: GroupOf) -> Evidence:
    """Test whether the groups keep different fractions, beyond random masks with the same total."""
    cell = study.cell(method, sparsity)
    if why := _nothing(cell, group_of):
        return Evidence(why=why)
    parts = []
    for task, seeds in cell.items():
        groups = [run.groups(group_of) for run in seeds.values()]
        shares = [topology.allocation({n: {"kept": k, "size": s} for n, (k, s, _) in g.items()}) for g in groups]
        moved = [topology.distance_from_uniform(x) or 0.0 for x in shares]
        p = max(rules.uneven([k for k, _, _ in g.values()], [s for _, s, _ in g.values()]) for g in groups)
        parts.append(Part(task, float(np.mean(moved)), min(moved), max(moved), p))
    if why := rules.fewest(cell):
        return Evidence(rules.without_tests(parts), why=why)
    if all(part.high < rules.MOVED for part in parts):
        return Evidence(parts, certain="no", why=f"less than {rules.MOVED:g} in every run")
    if any(part.low < rules.MOVED for part in parts):
        return Evidence(parts, why=f"less than {rules.MOVED:g} in some runs only")
    return Evidence(parts, p=max(part.p for part in parts))


def level(study: Study, method: str, sparsity: float, group_of: GroupOf) -> Evidence:
    """Test whether every group keeps nearly the fraction of all groups together."""
    cell = study.cell(method, sparsity)
    if why := _nothing(cell, group_of):
        return Evidence(why=why)
    values: dict[str, dict[str, list[float]]] = {}
    for task, seeds in cell.items():
        for run in seeds.values():
            groups = run.groups(group_of)
            kept, size = (sum(group[i] for group in groups.values()) for i in (0, 1))
            for name, (k, s, _) in groups.items():
                if not k:
                    return Evidence(why=f"{name} keeps no weight in a run on {task}, so it has no ratio")
                values.setdefault(task, {}).setdefault(name, []).append(math.log(k * size / (s * kept)))
    return rules.level(values)


def more(study: Study, method: str, sparsity: float, group_of: GroupOf | None, names: tuple[str, str]) -> Evidence:
    """Test whether the first group keeps a larger fraction than the second. group_of: None for the halves of depth."""
    cell = study.cell(method, sparsity)
    group_of = group_of or halves(cell)
    if why := _nothing(cell, group_of):
        return Evidence(why=why)
    values: dict[str, list[float]] = {}
    for task, seeds in cell.items():
        for run in seeds.values():
            groups = run.groups(group_of)
            if not all(name in groups and groups[name][0] for name in names):
                return Evidence(why=f"{' or '.join(names)} keeps no weight in a run on {task}, so there is no ratio")
            (a, size_a, _), (b, size_b, _) = (groups[name] for name in names)
            values.setdefault(task, []).append(math.log(a * size_b / (b * size_a)))
    return rules.direction(values, dict.fromkeys(values, 1), bound=math.log(rules.RATIO))


def reversal(study: Study, method: str, _: float | None) -> Evidence:
    """Test whether the embeddings keep more than all weights at the lowest sparsity, and less at the highest."""
    sparsities = sorted({key[2] for key in study.runs if key[0] == method})
    if len(sparsities) < 2:
        return Evidence(why="runs at one sparsity only" if sparsities else "no runs")
    ends = {sparsities[0]: 1, sparsities[-1]: -1}
    cells = {s: study.cell(method, s) for s in sparsities}
    tasks = cells[sparsities[0]].keys() & cells[sparsities[-1]].keys()
    cells = {s: {task: cell[task] for task in cell if task in tasks} for s, cell in cells.items()}
    if not tasks:
        return Evidence(why="no task has runs at both ends")
    if not all(
        "embeddings" in run.groups(embeddings) for c in cells.values() for x in c.values() for run in x.values()
    ):
        return Evidence(why="the embeddings are not pruned in these runs")
    if all(_is_set(cells[s], embeddings) for s in ends):
        return Evidence(why=SET)
    values: dict[str, list[float]] = {}
    signs: dict[str, int] = {}
    between: dict[str, float | None] = {}
    for s, cell in cells.items():
        for task, seeds in cell.items():
            name = f"{task} at {s:g}"
            ratios = [_share(run) for run in seeds.values()]
            if s not in ends:
                between[name] = float(np.mean(ratios))
            elif not all(ratios):
                return Evidence(why=f"the embeddings keep no weight in a run on {name}, so there is no logarithm")
            else:
                values[name], signs[name] = [math.log(x) for x in ratios], ends[s]
    evidence = rules.direction(values, signs)
    largest = {f"at {s:g}": _largest_share(cells[s]) for s in ends}
    evidence.facts = {"between": between, "largest possible": largest}
    return evidence


def order(study: Study, method: str, sparsity: float, group_of: GroupOf, over: str) -> Evidence:
    """Test whether seeds, or tasks, rank the groups' remaining fractions alike. over: "seeds" or "tasks"."""
    cell = study.cell(method, sparsity)
    if why := _nothing(cell, group_of):
        return Evidence(why=why)
    fractions = {
        task: np.array([[k / s for _, (k, s, _) in sorted(run.groups(group_of).items())] for run in seeds.values()])
        for task, seeds in cell.items()
    }
    if over == "tasks":
        fractions = {"between tasks": np.array([x.mean(0) for x in fractions.values()])}
        if len(cell) < 2:
            return Evidence(why="runs on one task only")
    found = {name: rules.concordance(x) for name, x in fractions.items() if len(x) > 1}
    parts = [Part(name, w, p=p) for name, (w, p) in found.items()]
    if why := rules.fewest(cell):
        return Evidence(rules.without_tests(parts), why=why)
    if all(np.ptp(x, axis=0).max() < 1e-12 for x in fractions.values()):
        why = f"all {over} have the same fractions, so there is no test"
        return Evidence(rules.without_tests(parts), certain="yes", why=why)
    rows, groups = next(iter(fractions.values())).shape
    smallest = max(1 / (1 + PERMUTATIONS), math.factorial(groups) ** -(rows - 1))
    if smallest > rules.LEVEL:
        return Evidence(parts, why=f"{rows} {over} and {groups} groups: the smallest possible p is {smallest:.2g}")
    return Evidence(parts, max(p for _, p in found.values()), facts={"smallest_p": smallest})


def agreement(study: Study, method: str, sparsity: float, scope: str, null: str) -> Evidence:
    """Test whether the masks of two seeds share more than a null model gives.

    Args:
        scope: "all" matrices or those of the "encoder".
        null: "total", "matrices" or "degrees".
    """
    cell = study.cell(method, sparsity)
    if why := _nothing(cell, None):
        return Evidence(why=why)
    parts, pairs, fractions = [], 0, []
    for task, seeds in cell.items():
        numbers, p = [], []
        for a, b in itertools.combinations(seeds, 2):
            first, second = ((method, task, sparsity, seed) for seed in (a, b))
            urns = list(study.urns(first, second, scope).values())
            whole = one_urn(urns)
            if not 0 < whole.a < whole.n or not 0 < whole.b < whole.n:
                return Evidence(why=f"a mask on {task} keeps all or nothing of the {scope} matrices")
            if null == "total":
                expected = whole.a * whole.b / whole.n
                numbers.append(beyond_chance([whole]))
                p.append(float(stats.hypergeom.sf(whole.s - 1, whole.n, whole.a, whole.b)))
            elif null == "matrices":
                expected = sum(u.a * u.b / u.n for u in urns)
                numbers.append(beyond_chance(urns))
                p.append(rules.within_matrices([(u.n, u.a, u.b) for u in urns], whole.s))
            else:
                given = study.given_degrees(first, second)
                expected = given["expected_shared"]
                numbers.append(given["beyond_chance"])
                p.append(1.0 if given["z"] is None else float(stats.norm.sf(given["z"])))
            fractions.append((whole.s / min(whole.a, whole.b), expected / min(whole.a, whole.b)))
        if any(x is None for x in numbers):
            return Evidence(why=f"two masks on {task} share all that the null model allows")
        if numbers:
            pairs += len(numbers)
            parts.append(Part(task, float(np.mean(numbers)), min(numbers), max(numbers), max(p)))
    facts: dict[str, float] = {"pairs": pairs}
    if fractions:
        facts |= dict(zip(("shared", "expected"), np.mean(fractions, axis=0).tolist(), strict=True))
    if why := rules.fewest(cell):
        return Evidence(rules.without_tests(parts), why=why, facts=facts)
    if all(part.number < rules.SHARED for part in parts):
        return Evidence(parts, certain="no", why=f"less than {rules.SHARED:g} in every task", facts=facts)
    if any(part.number < rules.SHARED for part in parts):
        return Evidence(parts, why=f"less than {rules.SHARED:g} in some tasks only", facts=facts)
    return Evidence(parts, p=max(part.p for part in parts), facts=facts)


def knows_task(study: Study, method: str, sparsity: float, scope: str) -> Evidence:
    """Test whether masks of one task share more than masks of two tasks, at different seeds."""
    cell = study.cell(method, sparsity)
    seeds = sorted(set.intersection(*(set(x) for x in cell.values()))) if cell else []
    if len(cell) < 2:
        return Evidence(why="runs on one task only" if cell else "no runs")
    keys = [[(method, task, sparsity, seed) for task in cell] for seed in seeds]
    square = np.ones((len(seeds), len(cell), len(seeds), len(cell)))
    for (s, t), (s2, t2) in itertools.combinations(np.ndindex(len(seeds), len(cell)), 2):
        value = beyond_chance([one_urn(study.urns(keys[s][t], keys[s2][t2], scope).values())])
        if value is None:
            return Evidence(why=f"a mask keeps all or nothing of the {scope} matrices")
        square[s, t, s2, t2] = square[s2, t2, s, t] = value
    if len(seeds) < 2:
        return Evidence(why=f"fewer than {rules.MIN_SEEDS} seeds on all tasks")
    number, p, smallest, of_pairs = rules.exchange(square)
    same_task = np.mean(
        [square[a, t, b, t] for a, b in itertools.combinations(range(len(seeds)), 2) for t in range(len(cell))]
    )
    same_seed = np.mean(
        [square[s, t, s, u] for s in range(len(seeds)) for t, u in itertools.combinations(range(len(cell)), 2)]
    )
    facts = {
        "pairs": len(of_pairs) * len(cell) ** 2,
        "smallest_p": smallest,
        "same task, other seed": float(same_task),
        "other task, same seed": float(same_seed),
        "other task, other seed": float(same_task) - number,
    }
    parts = [Part("all tasks", number, min(of_pairs), max(of_pairs), p)]
    if len(seeds) < rules.MIN_SEEDS:
        return Evidence(rules.without_tests(parts), why=f"fewer than {rules.MIN_SEEDS} seeds", facts=facts)
    if max(map(abs, of_pairs)) < rules.KNOWN:
        return Evidence(parts, certain="no", why=f"less than {rules.KNOWN:g} for every two seeds", facts=facts)
    if number < rules.KNOWN:
        return Evidence(parts, why=f"less than {rules.KNOWN:g} in the mean, but not for every two seeds", facts=facts)
    return Evidence(parts, p=p, facts=facts)


def _nothing(cell: Mapping[str, Mapping[int, Run]], group_of: GroupOf | None) -> str:
    """Return why the runs say nothing about these groups; "" if they may."""
    if not cell:
        return "no runs"
    if group_of is None:
        return ""
    if any(len(run.groups(group_of)) < 2 for seeds in cell.values() for run in seeds.values()):
        return "the runs do not have two such groups"
    return SET if _is_set(cell, group_of) else ""


def _is_set(cell: Mapping[str, Mapping[int, Run]], group_of: GroupOf) -> bool:
    """Return whether all groups keep the same fraction in every run, except for rounding in every matrix."""
    runs = [run for seeds in cell.values() for run in seeds.values()]
    return all(overlap.uniform(list(run.groups(group_of).values())) for run in runs)


def _share(run: Run) -> float:
    """Return the embeddings' remaining fraction ÷ that of all weights."""
    groups = run.groups(embeddings)
    kept, size = (sum(group[i] for group in groups.values()) for i in (0, 1))
    return groups["embeddings"][0] * size / (groups["embeddings"][1] * kept)


def _largest_share(cell: Mapping[str, Mapping[int, Run]]) -> float:
    """Return the largest value that `_share` can have in these runs."""
    found = []
    for run in (run for seeds in cell.values() for run in seeds.values()):
        groups = run.groups(embeddings)
        kept, size = (sum(group[i] for group in groups.values()) for i in (0, 1))
        found.append(min(1.0, kept / groups["embeddings"][1]) * size / kept)
    return max(found)
