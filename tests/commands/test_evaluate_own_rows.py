"""`prunebert evaluate RUN` scores the rows that the run was scored on, or says that they are others now."""

from tests.toys import rows


def test_a_run_whose_files_are_others_now_is_not_scored_without_a_word(cli, toy, tmp_path, data_folder):
    """Recorded relative paths mean other files in another folder."""
    for name in ("train.csv", "eval.csv"):
        (tmp_path / name).write_bytes((data_folder / name).read_bytes())
    words = [w for w in toy if not w.startswith(("task.train", "task.eval"))]
    status, printed = cli(*words, "task.train=train.csv", "task.eval=eval.csv", "method=magnitude", "sparsity=0.6")
    assert status == 0, printed
    assert cli("evaluate", "run", "impl.threads=1")[0] == 0
    rows(30, seed=9).to_csv(tmp_path / "eval.csv", index=False)
    status, printed = cli("evaluate", "run", "impl.threads=1", "--out", "out.json")
    assert status == 2 and printed.splitlines()[-1].startswith("prunebert: run: the rows of its own task are not those")
    assert not (tmp_path / "out.json").exists()
    assert cli("evaluate", "run", "impl.threads=1", "task.eval=eval.csv")[0] == 0
