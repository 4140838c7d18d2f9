"""What the runs of a report predict, compared: loyalty, agreement and exemplars, with numbers counted by hand."""

import numpy as np
import pandas as pd
import pytest

from prunebert.report import collect, command, folder
from prunebert.report.page import function as page
from tests.report.conftest import LABELS, finished
from tests.report.page.conftest import flat

GOLD = np.array(LABELS)


def flipped(*places):
    """Return 100 right predictions, wrong in these ranges of places."""
    wrong = np.isin(np.arange(100), [i for place in places for i in place])
    return np.where(wrong, 1 - GOLD, GOLD)


def write(root, method, sparsity, seed, *places, **changes):
    return finished(
        root / f"{method}-{sparsity}-{seed}", method, sparsity, seed, prediction=flipped(*places), **changes
    )


@pytest.fixture
def root(tmp_path):
    """Dense is wrong on rows 0-9; magnitude on 5-24 (seed 2: on none); smp has one seed that dense lacks."""
    for seed in range(3):
        write(tmp_path / "lab", "dense", 0.0, seed, range(10 + seed))
        write(tmp_path / "lab", "magnitude", 0.5, seed, range(5, 25) if seed < 2 else ())
    write(tmp_path / "lab", "smp", 0.5, 7, range(0))
    return tmp_path / "lab"


def measured(root):
    unreadable = {}
    runs = collect.collect([root]).runs
    tables = [(str(name), part) for name, part in runs.groupby("table", sort=False)]
    return runs, page.measured(tables, unreadable)["toy, bert-base-uncased"], unreadable


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_loyalty_is_to_the_dense_run_of_the_same_seed_or_to_all(root):
    _, found, unreadable = measured(root)
    assert unreadable == {} and found.dense == ["dense"]
    by_run = found.loyalty.set_index(["label", "seed"])
    # Seed 0 of dense is wrong on 0-9, of magnitude on 5-24: they differ on 0-4 and 10-24.
    assert by_run.loc[("magnitude", 0), "labels"] == 0.8 and by_run.loc[("magnitude", 2), "labels"] == 0.88
    assert by_run.loc[("magnitude", 0), "others_labels"] == pytest.approx((0.81 + 0.82) / 2)
    assert by_run.loc[("smp", 7), "labels"] == by_run.loc[("smp", 7), "others_labels"] == pytest.approx(0.89)
    table = page.loyalty(found)
    assert table.columns == ["method", "sparsity", "label loyalty", "label loyalty, other seeds"]
    assert texts(table)[-1] == ["dense, 3 pairs of seeds", "0", "–", "0.9867"]  # 1, 1 and 2 of 100 rows differ
    assert texts(table)[1] == ["smp", "0.5", "0.8900 (1)", "0.8900 (1)"]
    assert "3 of 4 runs are compared with the dense run of the same seed" in table.note


def test_agreement_is_a_mean_over_all_pairs_of_runs(root, study_of, draw, drawings):
    runs, found, _ = measured(root)
    asked = study_of(runs)
    asked = type(asked)(**{**vars(asked), "functions": {"toy, bert-base-uncased": found}})
    section = page.section(asked, draw)
    assert [drawing.name for drawing in drawings] == ["agreement-toy-bert-base-uncased-0.5"]
    table = next(part.table for part in flat(section.parts) if part.folded == "Every two methods")
    lines = {(row[0].text, row[1].text): row[2].text for row in table.rows}
    assert lines[("dense", "smp")] == "0.8900" and lines[("dense", "other seeds")] == "0.9867"
    assert lines[("magnitude", "smp")] == "0.8667"  # 20, 20 and 0 of 100 rows differ
    assert lines[("magnitude", "other seeds")] == "0.8667" and ("smp", "other seeds") not in lines
    assert [float(row[2].text) for row in table.rows] == sorted(map(float, lines.values()), reverse=True)


def test_exemplars_are_listed_in_a_file_that_a_report_without_them_removes(root, tmp_path, undrawn):
    command.write([root], tmp_path / "out")
    lines = pd.read_csv(tmp_path / "out/exemplars.csv", dtype=str, keep_default_na=False)
    # Votes of dense are wrong on 0-10, of magnitude on 5-24.
    assert lines["id"].tolist() == [str(i) for i in (*range(5), *range(11, 25))]
    first = lines.iloc[0].to_dict()
    assert list(first) == list(folder.EXEMPLAR_COLUMNS)
    assert (
        first | {"method": "magnitude", "sparsity": "0.5", "dense": "dense", "split": "validation", "id": "0"} == first
    )
    assert first | {"true_label": "no", "dense_prediction": "yes", "dense_votes": "3"} == first
    assert first | {"pruned_prediction": "no", "pruned_votes": "3", "text": ""} == first
    html = (tmp_path / "out/report.html").read_text()
    assert 'href="exemplars.csv"' in html and "What the networks predict" in html
    command.write([root / "smp-0.5-7"], tmp_path / "out")
    assert not (tmp_path / "out/exemplars.csv").exists()
    assert "there is no loyalty" not in (tmp_path / "out/report.html").read_text()  # one run has nothing to compare


def test_without_enough_seeds_or_without_a_dense_run_the_page_says_so(tmp_path, draw, study_of):
    for name, methods in (("few", ("dense", "smp")), ("none", ("magnitude", "smp"))):
        for method in methods:
            write(tmp_path / name, method, 0.5 if method != "dense" else 0.0, 0, range(9))
    said = {}
    for name in ("few", "none"):
        runs, found, _ = measured(tmp_path / name)
        asked = study_of(runs)
        asked = type(asked)(**{**vars(asked), "functions": {"toy, bert-base-uncased": found}})
        said[name] = " ".join(part.text for part in flat(page.section(asked, draw).parts))
        assert found.exemplars.empty and found.rows.empty
    assert "Exemplars need 3 seeds" in said["few"] and "there is no loyalty" not in said["few"]
    assert "None of these runs is dense" in said["none"] and "Exemplars" not in said["none"]


def test_the_dense_run_has_the_options_of_the_pruned_one_where_there_is_such_a_run(tmp_path):
    for distill, places in (("none", range(10)), ("logits", range(20))):
        for method in ("dense", "smp"):
            sparsity = 0.0 if method == "dense" else 0.5
            of_method = places if method == "dense" else range(0)
            write(tmp_path / distill, method, sparsity, 0, of_method, distill=distill)
    write(tmp_path / "augmented", "gmp", 0.5, 0, range(0), augment="mlm")
    _, found, _ = measured(tmp_path)
    loyalty = sorted(zip(found.loyalty["method"], found.loyalty["labels"].round(6), strict=True))
    assert loyalty == [("gmp", 0.9), ("smp", 0.8), ("smp", 0.9)]


def test_a_run_without_predictions_is_a_trouble_and_the_others_are_compared(root, tmp_path, undrawn):
    (root / "magnitude-0.5-2/predictions.parquet").unlink()
    _, found, unreadable = measured(root)
    assert list(unreadable) == [root / "magnitude-0.5-2"] and found.runs == 6
    assert found.exemplars.empty  # two seeds are left


def test_a_file_of_the_users_named_exemplars_is_kept(tmp_path, root):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/exemplars.csv").write_text("mine\n")
    with pytest.raises(command.BadInput, match=r"exemplars\.csv was not written by this command"):
        command.write([root], tmp_path / "out")
