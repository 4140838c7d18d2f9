"""What a configuration names and is missing: refused in one line, before torch is imported, by runs and by commands."""

import json
import subprocess
import sys

import pytest

from prunebert.errors import BadInput
from prunebert.runs import inputs
from prunebert.settings import bad_cells

# Runs each command line of a list in one process in which torch cannot be imported. Prints status and standard error.
WITHOUT_TORCH = """
import contextlib, io, json, sys, time
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "transformers", "pandas", "datasets"):
            raise AssertionError(f"{name} was imported")
sys.meta_path.insert(0, Forbidden())
from prunebert import cli
for words in json.loads(sys.argv[1]):
    sys.argv[1:], errors, started = words, io.StringIO(), time.perf_counter()
    with contextlib.redirect_stderr(errors):
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code
    print(json.dumps([status, errors.getvalue(), time.perf_counter() - started]))
"""
FILE = ["method=magnitude", "task=file", "task.text=t", "model=tiny"]
RUN = ["method=magnitude", "task=rotten_tomatoes", "model=tiny"]
GONE = {  # what is refused -> the words of the command line
    "task.train=gone.csv: there is no such file": [*FILE, "task.train=gone.csv"],
    "task.eval=gone.csv: there is no such file": [*FILE, "task.train=a.csv", "task.eval=gone.csv"],
    "task.train=.: there is no such file, this is a folder": [*FILE, "task.train=."],
    "task.train=s3://a/b.csv: this is a URL": [*FILE, "task.train=s3://a/b.csv"],
    "task.text is needed to read your file": ["task=file", "task.train=a.csv"],
    "task=file needs task.train=FILE": ["task=file"],
    "task=hub needs task.path=NAME": ["task=hub"],
    "task.path=/data/x: must be the name of a data set": ["task=hub", "task.path=/data/x"],
    "task.eval={'train': 'train'}: a split": ["task=hub", "task.path=a/b", "task.eval={train: train}"],
    "task.data_dir=gone: there is no such folder": ["task=mnli", "task.data_dir=gone"],
    "task.data_dir=. is not GLUE's layout for mnli: MNLI/train.tsv is missing": ["task=mnli", "task.data_dir=."],
    "task.data_dir=.: train-v1.1.json is missing": ["task=squad", "task.data_dir=."],
    "task.train=gone.json: there is no such file": ["task=squad", "task.train=gone.json"],
    "corpus.file=gone: there is no such text file": [*RUN, "corpus.file=gone"],
    "corpus.file=empty: there is no .txt file in this folder": ["task=mlm", "corpus.file=empty"],
    "model.name=./gone: there is no such folder": ["model.name=./gone"],
    "model.name=a.csv: is a file": ["model.name=a.csv"],
    "model.name=empty cannot be loaded (config.json is missing)": ["model.name=empty"],
    "method.masks=gone: there is no such directory": [*RUN, "method.masks=gone"],
    "method.masks=empty is not a run's directory": ["method=tamt", "method.masks=empty"],
    "method.allocation=gone: allowed are uniform, global": ["method=random", *RUN[1:], "method.allocation=gone"],
    "method.allocation=empty is not a run's directory; allowed are uniform, global, erk, score, a": [
        *("method=random", *RUN[1:]),
        "method.allocation=empty",
    ],
    "method.allocation=run/result.json: is a file of a finished run; name the run's directory": [
        *("method=random", *RUN[1:]),
        "method.allocation=run/result.json",
    ],
    "method.allocation=list.json: the file must be a table of names and sparsities": [
        *("method=random", *RUN[1:]),
        "method.allocation=list.json",
    ],
    "distill.teacher=gone: there is no such directory": ["method=smp", "distill=logits", "distill.teacher=gone"],
    "the package gone is not installed": [*RUN, "task.package.name=gone"],
    "the package missing is not installed": [*RUN, "model.package.name=missing"],
    "fit=gone.yaml: allowed are": ["fit=gone.yaml"],
    "sparsity=2: the fraction removed": ["sparsity=2"],
}
SWEEPS = {
    "task.train=gone.csv: there is no such file": ["-m", "seed=0,1", *FILE, "task.train=gone.csv"],
    "method.masks=gone: there is no such directory": ["-m", "seed=0,1", *RUN, "method.masks=gone"],
}
COMMANDS = {
    "gone: there is no such directory": [
        ["info", "gone"],
        ["status", "gone"],
        ["compare", "gone", "gone"],
        ["report", "gone"],
        ["export", "gone", "out"],
        ["bench", "gone"],
        ["evaluate", "gone"],
        ["barrier", "gone", "gone"],
        ["mask", "info", "gone"],
        ["mask", "and", "gone", "gone"],
    ],
    "gone.csv: there is no such file": [["report", "gone.csv"]],
    "gone: there is no such file": [["mask", "import", "smp", "gone", "out"]],
}
CASES = [
    *GONE.items(),
    *SWEEPS.items(),
    *((message, words) for message, commands in COMMANDS.items() for words in commands),
]


@pytest.fixture(scope="module")
def refusals(tmp_path_factory):
    """(status, standard error, seconds) of each case, by its words, and what is in the working directory afterwards."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "a.csv").write_text("t,label\na,0\nb,1\n")
    (folder / "empty").mkdir()
    (folder / "run").mkdir()
    (folder / "run/result.json").write_text('{"identity": "a"}')
    (folder / "list.json").write_text("[0.5]")
    command = [sys.executable, "-c", WITHOUT_TORCH, json.dumps([words for _, words in CASES])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    found = {" ".join(words): end for (_, words), end in zip(CASES, ends, strict=True)}
    return found, sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("message", "words"), CASES)
def test_what_is_missing_is_refused_without_torch(refusals, message, words):
    status, printed, _ = refusals[0][" ".join(words)]
    assert status == 2 and printed.startswith(f"prunebert: {message}"), printed
    assert len(printed.splitlines()) == 1


def test_a_refusal_leaves_nothing(refusals):
    assert refusals[1] == ["a.csv", "empty", "list.json", "run"]


def test_a_cluster_may_have_files_that_this_machine_lacks():
    fields = {"task": {"_target_": "prunebert.tasks.corpus.corpus", "file": "gone"}}
    with pytest.raises(BadInput):
        inputs.require(fields)
    assert inputs.check_for(["hydra/launcher=slurm"]) is inputs.checks.config
    assert inputs.check_for(["hydra/launcher=laptop"]) is inputs.check_for([]) is inputs.check
    assert inputs.check_for(["hydra/launcher=joblib"]) is inputs.check_for(["hydra/launcher=basic"]) is inputs.check
    assert inputs.check_for(["hydra/launcher=basic", "hydra/launcher=slurm"]) is inputs.checks.config


def test_a_teacher_before_fine_tuning_is_no_run():
    inputs.require({"method": {"distill": {"_target_": "prunebert.distill.logits", "teacher": "pretrained"}}})
    with pytest.raises(BadInput, match=r"distill\.teacher=gone: there is no such directory"):
        inputs.require({"method": {"distill": {"_target_": "prunebert.distill.logits", "teacher": "gone"}}})


def test_a_sweep_over_the_users_own_file_is_not_refused_for_a_key_that_another_word_gives(tmp_path):
    """task.train needs task.text, which stands in another word."""
    (tmp_path / "a.csv").write_text("t,label\na,0\nb,1\n")
    words = ["seed=0,1", "task=file", "task.text=t", f"task.train={tmp_path / 'a.csv'}"]
    bad_cells.refuse_bad_cells(words, inputs.check)
    with pytest.raises(BadInput, match=r"gone\.csv: there is no such file"):
        bad_cells.refuse_bad_cells([*words[:3], "task.train=gone.csv"], inputs.check)


def test_code_of_the_users_checks_its_own_files():
    inputs.require({"task": {"_target_": "lab.films.films", "train": "gone.csv", "file": "gone"}})
