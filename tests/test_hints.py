"""What a newcomer types wrong, and the line that says what to type."""

import logging

import pytest

from prunebert.commands.catalogue import COMMANDS
from prunebert.errors import BadInput
from prunebert.report import collect
from prunebert.runs import artifacts
from prunebert.settings import quoting
from prunebert.system import trackers
from tests.toys import RESULT, write_result


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["sparsity", "=", "0.9"], "sparsity=0.9"),
        (["sparsity", "=0.9"], "sparsity=0.9"),
        (["sparsity=", "0.9"], "sparsity=0.9"),
        (["method=smp", "sparsity", "=", "0.9"], "sparsity=0.9"),
        (["method=smp", "sparsity", "=0.9"], "sparsity=0.9"),
        (["task=file", "task.text=[text,", "label]"], '"task.text=[text, label]"'),
        (["task.eval={a:", "x.csv,", "b:", "y.csv}", "seed=1"], '"task.eval={a: x.csv, b: y.csv}"'),
        (["task.label=my", "label"], "\"task.label='my label'\""),
    ],
)
def test_words_that_spaces_tore_apart_are_shown_whole(cli, words, meant):
    status, printed = cli(*words)
    assert status == 2 and len(printed.splitlines()) == 1 and printed.endswith(f"write {meant}\n")


@pytest.mark.parametrize("words", [["infos", "run"], ["method=smp", "-m"], ["task.text=[a,b]"], ["task.text=[a,", "b"]])
def test_other_words_are_left_alone(words):
    assert quoting.without_spaces(words) is None


FILES = {
    "semicolons.csv": "text;label\na b;1\nc d;0\n",
    "tabs.csv": "text\tlabel\na b\t1\nc d\t0\n",
    "commas.tsv": "text,label\na b,1\nc d,0\n",
    "two.csv": "text,label\na b,1\nc d,0\n",
    "four.csv": "text,label\na b,1\nc d,0\ne f,0\ng h,1\n",
    "number.csv": "text,label\na b,0.5\n",
    "empty.csv": "",
    "empty.jsonl": "",
    "head.csv": "text,label\n",
}
TABLE = [
    (["task.train=semicolons.csv"], "it seems to be separated by semicolons: save it with commas"),
    (["task.train=tabs.csv"], "it seems to be separated by tabs: name it .tsv"),
    (["task.train=commas.tsv"], "it seems to be separated by commas: name it .csv"),
    (["task.train=two.csv"], "task.holdout=0.1: every class needs 2 rows, and there is 1 of 0, 1; give task.eval=FILE"),
    (["task.train=four.csv"], "of 4 rows 1 would be held out, and each part needs a row of each of the 2 classes"),
    (["task.train=number.csv", "task.kind=regression"], "the file has 1 row, and 2 are needed"),
    (["task.train=empty.csv"], "task.train=empty.csv: the file is empty"),
    (["task.train=empty.jsonl"], "task.train=empty.jsonl: the file is empty"),
    (["task.train=head.csv"], "head.csv has no rows"),
    (["task.train=four.csv", "task.metric=accuracy"], "as task.metric=prunebert.metrics:Accuracy"),
    (["task.train=four.csv", "task.metric=my.F1"], "as task.metric=prunebert.metrics:AccuracyF1"),
    (["task.train=four.csv", "task.eval=four.csv", "method.masks=two.csv"], "method.masks=two.csv: "),
    (["task.train=four.csv", "task.text=null"], "task.text is needed to read your file"),
]


@pytest.mark.parametrize(("words", "expected"), TABLE, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_files_that_cannot_be_used_are_explained(cli, model_folder, tmp_path, words, expected):
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    base = ["task=file", "task.text=text", f"model.name={model_folder}", "task.max_length=32", "method=magnitude"]
    given = {w.split("=")[0] for w in words}
    status, printed = cli(*(w for w in base if w.split("=")[0] not in given), *words, "fit=smoke", "hydra.run.dir=run")
    notes = ("once for this data", "are not held-out scores")
    lines = [line for line in printed.splitlines() if not any(note in line for note in notes)]
    assert status == 2 and len(lines) == 1 and expected in lines[0], printed
    assert lines[0].startswith("prunebert: ")


@pytest.mark.parametrize("command", ["info", "status", "compare", "export", "bench", "evaluate", "barrier"])
def test_a_file_in_place_of_a_directory_is_called_a_file(cli, tmp_path, command):
    (tmp_path / "run").mkdir()
    write_result(tmp_path / "run", RESULT)
    (tmp_path / "x.csv").touch()
    more = ["out"] if command == "export" else []
    for file, hint in (("x.csv", ""), ("run/result.json", ", run")):
        expected = f"prunebert: {file}: this is a file; name the run's directory{hint}\n"
        assert cli(command, file, *more) == (2, expected)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"version", "help", "list"}))
def test_a_command_without_arguments_names_the_required_ones_alone(cli, command):
    status, printed = cli(command)
    required = printed.partition("required: ")[2].partition(";")[0]
    assert status == 2 and required and "KEY=VALUE" not in required


@pytest.mark.parametrize("name", trackers.EXTRAS)
def test_a_missing_tracker_says_how_to_install_it(name, tmp_path, caplog):
    def make(root, labels):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    with caplog.at_level(logging.WARNING):
        trackers.Guarded(make, tmp_path, {})
    assert f"the package {name} is not installed; pip install 'prunebert[{name}]'" in caplog.text


def test_evaluate_on_a_file_asks_for_its_column(finished, cli, data_folder):
    run = finished("method=magnitude", "sparsity=0.5")
    status, printed = cli("evaluate", str(run), "task=file", f"task.eval={data_folder / 'eval.csv'}")
    assert status == 2 and "prunebert: task.text is needed to read your file" in printed and "task.train" not in printed


def test_a_report_without_a_finished_run_names_five_reasons_and_the_number_of_others(tmp_path):
    for i in range(collect.NAMED + 2):
        (tmp_path / f"run{i}").mkdir()
        (tmp_path / f"run{i}/result.json").write_text("{}")
    with pytest.raises(BadInput) as caught:
        collect.collect([tmp_path])
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: there is no finished run that can be read; ")
    assert message.count(" not used, ") == message.count("it has no checksum") == 5 and message.endswith("; and 2 more")


@pytest.mark.parametrize(
    ("word", "listed"),
    [
        ("method.alocation=x", "did you mean method.allocation?; method has fit, schedule, allocation, "),
        ("fit.step=3", "did you mean fit.steps?; fit has epochs, steps, batch_size, lr, "),
        ("task.txt=a", "did you mean task.text?; task has "),
    ],
)
def test_a_mistyped_key_lists_those_beside_it(cli, word, listed):
    status, printed = cli(word)
    key = word.partition("=")[0]
    assert status == 2 and printed.startswith(f"prunebert: {key}: there is no such key; {listed}")
    assert printed.endswith("(`prunebert --cfg job` shows all)\n") and "_target_" not in printed


def test_a_task_delta_is_left_out_of_a_report(finished, cli, tmp_path):
    run = finished("method=magnitude", "sparsity=0.5")
    assert cli("export", str(run), "runs/delta", "--sparse")[0] == 0
    (tmp_path / "runs/run").symlink_to(run)
    collected = collect.collect([tmp_path / "runs/delta", run])
    assert collected.finished == 1 and list(collected.runs["directory"]) == [run]
    (trouble,) = [t for t in collected.troubles if t.kind == "not used"]
    assert trouble.location.endswith("runs/delta")
    assert trouble.reason == "it is a task delta, which `prunebert export --sparse` made of a run"
    assert artifacts.is_finished(tmp_path / "runs/delta")
