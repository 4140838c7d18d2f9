"""Test that the results of each task are in a file of their own."""

from pathlib import Path

import pytest

from tests.toys import script

ROOT = Path(__file__).parents[2]


def test_a_table_is_divided_by_task_and_read_again(tmp_path):
    """Only files of results are replaced; a column without a value in a task's rows is not in its file."""
    results_files = script("results_files")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old.csv").write_text("identity,task\nx,old\n")
    (folder / "budget.csv").write_text("kind,remaining\nquery,0.1\n")
    (tmp_path / "results.csv").write_text("identity,task,score,f1,directory\na,x,0.5,,/lab/a\nb,y,0.25,0.75,/lab/b\n")
    results_files.divide(tmp_path / "results.csv", folder, "/lab")
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "budget.csv": "kind,remaining\nquery,0.1\n",
        "x.csv": "identity,task,score,directory\na,x,0.5,a\n",
        "y.csv": "identity,task,score,f1,directory\nb,y,0.25,0.75,b\n",
    }
    read = results_files.read(folder, ["task", "f1", "absent"])
    assert read["task"].tolist() == ["x", "y"] and read["f1"].isna().tolist() == [True, False]
    assert read["absent"].isna().all()
    with pytest.raises(FileNotFoundError, match="no file with rows of results"):
        results_files.read(tmp_path / "none", ["task"])


def test_no_file_of_the_results_is_above_one_mebibyte():
    assert [f.name for f in (ROOT / "results").rglob("*") if f.is_file() and f.stat().st_size > 2**20] == []
