"""Test that the tables of docs/results/ agree with results/, and the scripts that make them."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebert.runs import artifacts
from tests.toys import script

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs/results"


results_table, glue_10k = script("results_table"), script("glue_10k")
TABLES = {
    "scores": ["tiny scores", "tiny means"],
    "papers-claims": ["tiny claims"],
    "six-layers": [
        *("minilm scores", "minilm means", "minilm claims", "minilm_eight_tasks scores", "minilm_eight_tasks means"),
    ],
    "more-steps": ["budget steps", "minilm_budget steps"],
    "where-weights-stay": ["tiny kept", "tiny overlap", "minilm kept", "minilm overlap"],
    "setup": ["tiny_tuning tries", "minilm_tuning tries"],
    "speed": [
        "speed",
        "speed gpu",
        "speed summary",
        "speed alternatives",
        "speed check",
    ],  # tests/scripts/test_speed_table.py
}


@pytest.mark.parametrize(
    ("page", "name"),
    sorted({(page, t.split()[0]) for page, tables in TABLES.items() for t in tables if page != "speed"}),
)
def test_a_pages_tables_agree_with_the_results(page, name):
    text = (PAGES / f"{page}.md").read_text()
    assert results_table.fill(text, ROOT / f"results/{name}") == text


def test_the_scores_on_stsb_that_the_text_names_are_those_of_the_rows():
    text = (PAGES / "scores.md").read_text()
    for name in ("tiny", "budget"):
        runs = pd.read_csv(ROOT / f"results/{name}/stsb.csv")
        trained = runs[(runs["settings.keep_pretrained"].astype(str) != "True") & (runs["settings.fit.steps"] == 300)]
        means = trained[trained["sparsity"] == 0.5].groupby("method")["score"].mean()
        assert all(f"{means[method]:.3f}" in text for method in ("magnitude", "gmp"))


def test_the_readmes_table_agrees_with_the_results():
    text = (ROOT / "README.md").read_text()
    assert results_table.fill(text, ROOT / "results/tiny") == text


def test_every_table_of_the_results_is_on_its_page():
    """A table whose mark is lost, or is on a page that no test fills, would no longer be compared."""
    pattern = r"<!-- results/(?!\w+ (?:findings|limits|ranking|repeat) )(.+?) -->"  # these: test_results_pages.py
    marks = {page.stem: re.findall(pattern, page.read_text()) for page in PAGES.glob("*.md")}
    assert {page: sorted(found) for page, found in marks.items() if found} == {
        page: sorted(tables) for page, tables in TABLES.items()
    }


def test_every_figure_of_a_page_exists():
    images = [
        (page, name) for page in PAGES.glob("*.md") for name in re.findall(r"\]\((figures/.+?)\)", page.read_text())
    ]
    assert len(images) > 10
    assert [(page.name, name) for page, name in images if not (PAGES / name).is_file()] == []


def test_the_tables_of_scores_by_hand():
    rows = [("dense", "a", 0.0, s, 0.8 + 0.1 * s) for s in (0, 1)] + [("dense", "b", 0.0, 0, 0.5)]
    rows += [("dense", "c", 0.0, 0, -0.0003)]
    rows += [
        ("smp", t, p, s, x + s / 10) for t, p, x in (("a", 0.9, 0.6), ("b", 0.9, 0.2), ("a", 0.5, 0.7)) for s in (0, 1)
    ]
    runs = pd.DataFrame(rows, columns=["label", "task", "sparsity", "seed", "score"])
    runs["metric"] = runs["task"].map({"a": "accuracy", "b": "accuracy", "c": "pearson"})
    runs["method"] = runs["label"]
    runs["majority_score"] = runs["task"].map({"a": 0.5, "b": 0.2, "c": 0.0})
    assert results_table.task_table(runs).splitlines() == [
        "| at 0.9 | a, accuracy | b, accuracy | c, pearson |",
        "| --- | --- | --- | --- |",
        "| constant baseline | 0.500 | 0.200 | 0.000 |",
        "| dense | 0.850 ± 0.071 | 0.500 | 0.000 † |",
        "| smp | 0.650 ± 0.071 | 0.250 ± 0.071 † |  |",
    ]
    assert results_table.mean_table(runs).splitlines() == [
        "| mean accuracy | at 0.5 | at 0.9 |",
        "| --- | --- | --- |",
        "| constant baseline | 0.350 | 0.350 |",
        "| dense | 0.675 | 0.675 |",
        "| smp |  | 0.450 |",
    ]


def test_settings_are_dropped_from_labels_where_methods_alone_are_distinct():
    def first_cells(*labels):
        runs = pd.DataFrame({"label": labels, "task": "a", "sparsity": 0.9, "seed": 0, "score": 0.5, "metric": "f1"})
        runs["method"] = runs["label"].str.partition(" ")[0]
        lines = results_table.task_table(runs.assign(majority_score=0.4)).splitlines()
        return [line.split(" | ")[0] for line in lines[3:]]

    frozen = "random (fit.head_lr=0.003, keep_pretrained=true)"
    assert first_cells("random (fit.head_lr=0.001, keep_pretrained=false)", frozen, "smp (distill=logits)") == [
        "| random",
        "| random (keep_pretrained=true)",
        "| smp",
    ]
    assert first_cells("smp (fit.steps=1)", "smp (fit.steps=2)") == ["| smp (fit.steps=1)", "| smp (fit.steps=2)"]


def test_runs_of_a_method_with_other_settings_elsewhere_are_one_row():
    """A setting that only names the sparsity's own upstream run makes no rows of its own."""
    rows = [("sparse_transfer (upstream=0.5)", 0.5), ("sparse_transfer (upstream=0.9)", 0.9), ("smp (a=1)", 0.5)]
    runs = pd.DataFrame(rows, columns=["label", "sparsity"]).assign(task="a", seed=0)
    runs["method"] = runs["label"].str.partition(" ")[0]
    assert script("results_rows").row_names(runs).tolist() == ["sparse_transfer", "sparse_transfer", "smp"]
    assert script("results_rows").row_names(runs.assign(sparsity=0.5)).tolist()[:2] == [label for label, _ in rows[:2]]


def test_only_the_text_between_the_marks_changes():
    mark_a, mark_b, end = (
        results_table.begin_mark("results/a", "scores"),
        "<!-- results/b scores -->",
        results_table.END,
    )
    page = f"before\n{mark_a}\nold\n{end}\nbetween\n{mark_b}\nother\n{end}\nafter"
    assert results_table.replace_table(page, "new", mark_b) == page.replace("other", "new")
    assert results_table.replace_table(page, "new", mark_a) == page.replace("old", "new")
    for broken in ("no marks", f"{mark_a} no end", f"{end} before {mark_a}", page + page):
        with pytest.raises(ValueError, match="there must be one"):
            results_table.replace_table(broken, "new", mark_a)


def test_steps_by_hand():
    """IMP's three rounds of 30 count as 90. Runs of another seed are in no column of this one."""
    columns = ["method", "task", "sparsity", "seed", "score", "settings.fit.steps", "settings.keep_pretrained"]
    rows = [("dense", "a", 0.0, 1, 0.8, 300, None), ("smp", "a", 0.9, 1, 0.7, 300, None)]
    rows += [("smp", "a", 0.9, 1, 0.65, 90, None), ("imp", "a", 0.9, 1, 0.503, 30, False)]
    rows += [("magnitude", "a", 0.9, 1, 0.75, 9000, True), ("smp", "a", 0.9, 0, 0.6, 300, None)]
    runs = pd.DataFrame(rows, columns=columns).assign(majority_score=0.5)
    assert results_table.steps_table(runs[runs["seed"] == 1]).splitlines() == [
        "| method | a at 0.9, 90 steps | a at 0.9, 300 steps | a at 0.9, 9,000 steps |",
        "| --- | --- | --- | --- |",
        "| dense |  | 0.800 |  |",
        "| smp | 0.650 | 0.700 |  |",
        "| imp | 0.503 † |  |  |",
        "| magnitude (keep_pretrained=true) |  |  | 0.750 |",
    ]
    assert results_table.steps_table(runs).splitlines()[0].count("300 steps") == 2  # a column for each seed


def test_where_weights_stay_agrees_with_sets_of_positions(cli, toy, tmp_path, monkeypatch):
    """Pairs have different seeds."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    where_weights_stay = script("where_weights_stay")
    words = [*[w for w in toy if not w.startswith("hydra")], "hydra.sweep.dir=runs", "sparsity=0.75"]
    assert cli("-m", *words, "method=random,movement", "seed=0,1", "method.prunable=encoder_pooler_embeddings")[0] == 0
    rows, positions = [], {}
    for run in artifacts.finished_runs(tmp_path / "runs"):
        result = artifacts.result(run)
        columns = (result[key] for key in ("method", "task", "sparsity", "seed"))
        rows.append((*columns, str(run.relative_to(tmp_path))))
        masks = artifacts.masks(run).masks
        positions[result["method"], result["seed"]] = {
            (n, i) for n, m in masks.items() for i in m.flatten().nonzero().flatten().tolist()
        }
    size = {n: m.numel() for n, m in masks.items()}
    runs = pd.DataFrame(rows, columns=where_weights_stay.COLUMNS)
    remaining = where_weights_stay.allocations(runs, tmp_path).set_index(["label", "kind"])["remaining"]
    query = [n for n in size if "query" in n]
    counts = [sum(n in query for n, _ in positions["movement", seed]) for seed in (0, 1)]
    assert remaining["movement", "query"] == pytest.approx(np.mean(counts) / sum(size[n] for n in query))
    overlaps = where_weights_stay.overlaps(runs, tmp_path).set_index(["a", "b"])
    assert overlaps["pairs"].to_dict() == {
        ("movement", "movement"): 1,
        ("movement", "random"): 2,
        ("random", "random"): 1,
    }
    for part in ("all", "encoder"):
        names = [n for n in size if part == "all" or "encoder" in n]
        beyond_chance = []
        for pair in (0, 1), (1, 0):
            a, b = (
                {x for x in positions[m, s] if x[0] in names} for m, s in zip(("movement", "random"), pair, strict=True)
            )
            chance = len(a) * len(b) / sum(size[n] for n in names)
            beyond_chance.append((len(a & b) - chance) / (min(len(a), len(b)) - chance))
        assert overlaps[part]["movement", "random"] == pytest.approx(np.mean(beyond_chance))


def test_samples_become_files_in_glues_layout(tmp_path):
    source = tmp_path / "QQP/train.json"
    source.parent.mkdir()
    row = {"text_a": 'a "quoted"\ttext\nof two lines', "text_b": "b", "label": "1"}
    source.write_text(json.dumps({"0": row, "1": row | {"label": "0"}}))
    glue_10k.convert(source, tmp_path / "out/QQP/train.tsv")
    assert (tmp_path / "out/QQP/train.tsv").read_text().splitlines() == [
        "question1\tquestion2\tis_duplicate",
        'a "quoted" text of two lines\tb\t1',
        'a "quoted" text of two lines\tb\t0',
    ]


def test_allocations_of_earlier_runs_are_pooled_with_new_ones(monkeypatch):
    """Two earlier runs with 0.3 and a new one with 0.6 give three with 0.4. Without a new run, the mean stays."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    where_weights_stay = script("where_weights_stay")
    columns = [*where_weights_stay.ALLOCATION_KEY, "remaining", "runs"]
    new = pd.DataFrame([("a", "smp", 0.9, "key", 0.6, 1)], columns=columns)
    earlier = pd.DataFrame([("a", "smp", 0.9, "key", 0.3, 2), ("b", "smp", 0.9, "key", 0.2, 1)], columns=columns)
    earlier_runs = pd.DataFrame([("a", "smp", 0.9, 0), ("a", "smp", 0.9, 1), ("b", "smp", 0.9, 0)])
    earlier_runs.columns = ["task", "label", "sparsity", "seed"]
    pooled = where_weights_stay.pool(new, earlier, earlier_runs).set_index("task")
    assert pooled["remaining"].to_dict() == pytest.approx({"a": 0.4, "b": 0.2})
    assert pooled["runs"].to_dict() == {"a": 3, "b": 1}
    with pytest.raises(ValueError, match="other runs"):
        where_weights_stay.pool(new, earlier, earlier_runs[1:])


def test_earlier_allocations_are_not_read_if_all_runs_are_at_hand(tmp_path, monkeypatch):
    """Else a second publication would pool runs with themselves."""
    where_weights_stay = script("where_weights_stay")
    row = {"label": "smp", "method": "smp", "task": "a", "sparsity": 0.9, "seed": 0, "directory": "run"}
    for name in ("results", "earlier"):
        (tmp_path / name).mkdir()
        pd.DataFrame([row | {"identity": "x", "settings.keep_pretrained": None}]).to_csv(tmp_path / name / "a.csv")
    (tmp_path / "run").mkdir()
    topology = {"kinds": {"query": {"remaining": 0.25}}}
    monkeypatch.setattr(where_weights_stay.artifacts, "topology", lambda _: topology)
    folders = (tmp_path / "results", tmp_path, tmp_path / "earlier")  # the last one has no budget.csv
    with pytest.raises(FileNotFoundError):
        where_weights_stay.main(*folders)
    (tmp_path / "run/topology.json").touch()
    where_weights_stay.main(*folders)
    budget = pd.read_csv(tmp_path / "results/budget.csv")
    assert budget[["label", "remaining", "runs"]].to_numpy().tolist() == [["smp", 0.25, 1]]
