"""The table of `prunebert status` at every width, and the commands of --failed as a shell reads them."""

import json
import os
import shlex

import pytest
from rich.cells import cell_len

from prunebert.commands.status import RunState, run_states, show


@pytest.fixture
def lines(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(states, width=None, **options):
        monkeypatch.setenv("COLUMNS", str(width or ""))
        show(states, **options)
        return capsys.readouterr().out.splitlines()

    return call


@pytest.mark.parametrize(
    "name", ["seed-{}", "method-soft_movement_sparsity-0.9_task.max_length-128_seed-{}", "电影评论情感分析{}"]
)
@pytest.mark.parametrize("rows", [2, 40])
@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_every_run_is_one_line_below_the_directory_of_all(lines, name, rows, width):
    long_error = "the loss is not finite at step 2 of 9 of phase finetune; lower fit.lr, fit.head_lr or method.score_lr"
    details = ["accuracy 0.7516", "phase prune, step 1,200 of 3,400", long_error]
    kinds = ["done", "running", "failed"]
    states = [RunState(f"multirun/a/{name.format(100 + i)}", kinds[i % 3], details[i % 3], "") for i in range(rows)]
    printed = lines(states, width)
    assert printed[0] == "in multirun/a:" and max(map(cell_len, printed)) <= width
    table = printed[3 : 3 + rows]
    assert [line.split()[1] for line in table] == [kinds[i % 3] for i in range(rows)]
    assert all("accuracy 0.7516" in line for line in table[::3])  # numbers are never cut where they have room
    shown_names = [line.split()[0] for line in table]
    assert len(set(shown_names)) == rows
    assert ("shortened: " in "\n".join(printed)) == any("…" in line for line in table)
    whole = lines(states, width, wide=True)
    assert all(
        state.directory.rpartition("/")[2] in line and state.detail in line
        for state, line in zip(states, whole[3:], strict=False)
    )


def test_one_run_and_missing_cells(lines):
    assert lines([RunState("outputs/x", "done", "f1 0.5", "")])[0:4:3] == ["in outputs:", "x    done   f1 0.5"]
    states = [RunState("sweep/a", "done", "f1 0.5", ""), RunState("sweep", "missing", "seed=1", "")]
    assert lines(states)[0] == "in sweep:" and lines(states)[4].split() == ["–", "missing", "seed=1"]


@pytest.mark.parametrize("name", ["seed-1", "with space", "it's", "a,b=c"])
def test_failed_commands_are_read_back_by_a_shell(tmp_path, name, cli):
    run = tmp_path / "sweep" / name
    (run / ".hydra").mkdir(parents=True)
    words = ["method=smp", "task=file", "task.train='/a b/c.csv'", "task.labels=[no,yes]"]
    (run / ".hydra/overrides.yaml").write_text(json.dumps(words))
    (run / ".hydra/config.yaml").write_text(json.dumps(dict.fromkeys(["method", "task", "model", "sparsity", "seed"])))
    (state,) = run_states([tmp_path])
    read = shlex.split(state.command_line)
    assert read[:5] == ["prunebert", *words] and read[5].startswith("hydra.run.dir=") and len(read) == 6
    status, printed = cli("status", os.fspath(tmp_path), "--failed")
    assert status == 0 and printed == state.command_line + "\n" and "'\"'\"'" not in printed
