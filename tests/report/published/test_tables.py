"""The papers' tables as they are printed, row by row, against published.csv: no number may stand in another's cell."""

import pandas as pd
import pytest

from prunebert.report.published import numbers as published

TABLE = published.read_table()
SIX = [
    (t, m) for t, ms in (("mnli", ("accuracy_matched", "accuracy_mismatched")), ("qqp", ("accuracy", "f1"))) for m in ms
]
SIX += [("squad", "exact"), ("squad", "f1")]
# SMP's Table 1: method, % that remain, teacher; MNLI m and mm, QQP accuracy and F1, SQuAD EM and F1.
SMP_1 = """
movement 10 no 79.3 79.5 89.1 85.5 71.9 81.7
soft_movement 10 no 80.7 81.1 90.5 87.1 71.3 81.5
smp-uniform 10 no 82.0 82.3 90.8 87.7 75.0 84.3
smp-score 10 no 82.5 82.3 90.8 87.6 75.1 84.6
movement 3 no 76.1 76.7 85.6 81.0 65.2 76.3
soft_movement 3 no 79.0 79.6 89.3 85.6 69.5 79.9
smp-uniform 3 no 80.6 81.0 90.2 87.0 70.7 81.0
smp-score 3 no 80.9 81.1 90.3 87.1 70.9 81.4
movement 50 logits 82.5 82.9 91.0 87.8 79.8 87.6
cap 50 logits 83.8 84.2 91.6 88.6 80.9 88.2
smp-uniform 50 logits 85.3 85.6 91.6 88.7 82.2 89.4
smp-score 50 logits 85.7 85.5 91.7 88.8 82.8 89.8
gmp 10 logits 78.3 79.3 79.8 75.9 70.2 80.1
l0 10 logits 78.7 79.7 88.1 82.8 72.4 81.9
movement 10 logits 80.1 80.4 89.7 86.2 75.6 84.3
soft_movement 10 logits 81.2 81.8 90.2 86.8 76.6 84.9
cap 10 logits 82.0 82.9 90.7 87.4 77.1 85.6
smp-uniform 10 logits 83.1 83.1 91.0 87.9 78.9 86.9
smp-score 10 logits 83.7 83.6 91.0 87.9 79.3 87.2
movement 3 logits 76.5 77.4 86.1 81.5 67.5 78.0
soft_movement 3 logits 79.5 80.1 89.1 85.5 72.7 82.3
cap 3 logits 80.1 81.3 90.2 86.7 73.8 83.0
smp-uniform 3 logits 80.8 81.2 90.1 87.0 74.0 83.4
smp-score 3 logits 81.8 82.0 90.5 87.4 75.0 84.1
"""
# The movement README's rows at 3 %; its rows at 10 % are those of SMP's Table 1, but for magnitude's F1 of QQP.
README_3 = """
gmp 3 logits 69.4 70.6 72.4 57.8 45.5 59.6
l0 3 logits 76.0 76.2 87.0 81.9 64.3 75.8
movement 3 logits 76.5 77.4 86.1 81.5 67.5 78.0
soft_movement 3 logits 79.5 80.1 89.1 85.5 72.7 82.3
"""
# AbP's Supplementary Table 2: sparsity; random, IMP, magnitude and AbP on STS-B, then SST-2, then MNLI.
ABP_2 = """
.2 .193 .743 .739 .794 .645 .862 .863 .908 .372 .674 .675 .769
.5 .126 .707 .706 .837 .558 .825 .819 .856 .341 .641 .648 .709
.7 .016 .383 .607 .720 .509 .806 .793 .843 .331 .551 .564 .696
.9 .009 .203 .147 .624 .509 .717 .722 .836 .322 .458 .436 .679
.95 .002 .077 .095 .600 .509 .691 .509 .831 .333 .357 .343 .671
.99 .006 .067 -.022 .547 .506 .509 .509 .810 .337 .348 .341 .628
.999 - .028 .023 .301 - .509 .509 .772 - .341 .341 .446
"""
# SMP's Table 2 and its standard deviations over five seeds.
GLUE = ("mnli", "sst2", "mrpc", "cola", "qnli", "qqp", "rte", "stsb")
SMP_2 = {
    ("bert-base-uncased", "dense"): (84.5, 92.9, 87.7, 58.1, 92.0, 91.4, 71.1, 91.2),
    ("bert-base-uncased", "supertickets"): (84.5, 93.4, 86.2, 58.8, 91.3, 91.3, 72.5, 89.8),
    ("bert-base-uncased", "smp"): (85.0, 92.9, 87.0, 61.5, 91.5, 91.4, 72.3, 89.6),
    ("roberta-base", "dense"): (87.6, 94.8, 90.2, 63.6, 92.8, 91.9, 78.7, 91.2),
    ("roberta-base", "smp"): (87.6, 94.9, 89.9, 65.4, 92.8, 91.9, 81.5, 91.1),
}
SMP_2_STD = {
    "bert-base-uncased": (0.15, 0.36, 1.21, 0.69, 0.15, 0.03, 1.59, 0.14),
    "roberta-base": (0.12, 0.28, 0.44, 0.65, 0.11, 0.14, 0.74, 0.16),
}
# The movement sheet by method, allocation and teacher: rows, Σ score and Σ score × % that remain.
SHEET = {
    ("gmp", "global", "no"): (16, 11.9417400, 422.4949),
    ("gmp", "uniform", "logits"): (68, 53.2902400, 1767.1352),
    ("gmp", "uniform", "no"): (52, 40.2708600, 1310.4455),
    ("l0", "uniform", "logits"): (74, 59.8607500, 1338.8488),
    ("l0", "uniform", "no"): (50, 39.8227100, 1114.6459),
    ("movement", "global", "logits"): (32, 26.0398400, 893.0669),
    ("movement", "global", "no"): (16, 12.4221900, 426.4750),
    ("movement", "uniform", "logits"): (56, 46.1500200, 1380.7872),
    ("movement", "uniform", "no"): (52, 42.1226300, 1345.1309),
    ("soft_movement", "uniform", "logits"): (64, 53.5315900, 1154.7967),
    ("soft_movement", "uniform", "no"): (52, 42.7665300, 1234.7747),
}


def scores(source, method, sparsity, kd, tasks):
    """Return the scores of a row of a table, in the order of its (task, metric)."""
    name, _, allocation = method.partition("-")
    rows = TABLE[(TABLE["source"] == source) & (TABLE["method"] == name) & (TABLE["kd"] == kd)]
    rows = rows[(rows["sparsity"] - sparsity).abs() < 1e-9]
    if allocation:
        rows = rows[rows["variant"].str.split(";").str[0] == f"allocation={allocation}"]
    found = {key: cell["score"].tolist() for key, cell in rows.groupby(["task", "metric"])}
    return [found.get(key, []) for key in tasks]


@pytest.mark.parametrize(("source", "text"), [("SMP Table 1", SMP_1), ("movement README", README_3)])
def test_every_cell_of_the_tables_of_movement_and_smp(source, text):
    lines = [line.split() for line in text.split("\n") if line]
    for method, remaining, kd, *printed in lines:
        found = scores(source, method, 1 - int(remaining) / 100, kd, SIX)
        assert found == [[pytest.approx(float(x) / 100)] for x in printed], (method, remaining, kd)
    assert len(lines) in (24, 4)


def test_the_readme_and_smp_print_the_same_at_10_percent_but_for_one_cell():
    for method in ("gmp", "l0", "movement", "soft_movement"):
        ours, theirs = (scores(source, method, 0.9, "logits", SIX) for source in ("movement README", "SMP Table 1"))
        assert [ours[i] == theirs[i] for i in range(6)] == [not (method == "gmp" and i == 3) for i in range(6)]


def test_every_cell_of_the_supplementary_table_of_abp():
    methods = ("random", "imp", "magnitude", "abp")
    tasks = [("stsb", "not told"), ("sst2", "accuracy"), ("mnli", "accuracy_pooled")]
    for line in filter(None, ABP_2.split("\n")):
        sparsity, *printed = line.split()
        for i, method in enumerate(methods):
            expected = [[] if x == "-" else [pytest.approx(float(x))] for x in printed[i::4]]
            assert scores("AbP Supp. Table 2", method, float(sparsity), "no", tasks) == expected, (sparsity, method)


def test_every_cell_of_smps_table_2_and_its_deviations():
    rows = TABLE[TABLE["source"] == "SMP Table 2"]
    found = {
        key: dict(zip(cells["task"], cells["score"], strict=True)) for key, cells in rows.groupby(["model", "method"])
    }
    assert found == {
        key: {task: pytest.approx(x / 100) for task, x in zip(GLUE, printed, strict=True)}
        for key, printed in SMP_2.items()
    }
    for model, printed in SMP_2_STD.items():
        cells = rows[(rows["model"] == model) & (rows["method"] == "smp")].set_index("task")
        assert cells["std"].to_dict() == {t: pytest.approx(x / 100) for t, x in zip(GLUE, printed, strict=True)}
        assert set(cells["seeds"]) == {5}


def test_every_score_of_the_sheet_stands_at_its_own_sparsity():
    sheet = TABLE[TABLE["source"] == "movement sheet"]
    percent = sheet["where"].str.extract(r"row ([\d.]+) %;")[0].astype(float)
    scope = sheet["variant"].where(
        sheet["variant"] == "allocation=global", "allocation=uniform"
    )  # "second series" is local too
    sums = pd.DataFrame({"n": 1, "score": sheet["score"], "weighted": sheet["score"] * percent})
    found = sums.groupby([sheet["method"], scope, sheet["kd"]]).sum()
    assert {key: (row["n"], row["score"], row["weighted"]) for key, row in found.iterrows()} == {
        (method, f"allocation={scope}", kd): (n, pytest.approx(total, abs=1e-6), pytest.approx(weighted, abs=1e-3))
        for (method, scope, kd), (n, total, weighted) in SHEET.items()
    }
