"""What a lone run imports before its first step: the time until then is nearly all imports."""

import os
import subprocess
import sys

import pytest

# pandas reads tables, and transformers imports scipy.optimize; so a run cannot do without these two.
LATE = {"datasets", "evaluate", "fsspec", "joblib", "matplotlib", "nervaluate", "pyarrow.dataset", "requests"}
LATE |= {"scipy.stats", "seqeval", "sklearn", "tensorboard", "torchvision"}
CODE = f"""
import logging, os, sys
make = logging.getLogRecordFactory()
def until_training(*arguments, **more):
    record = make(*arguments, **more)
    if record.name == "prunebert.run" and record.getMessage().startswith("phase finetune: "):
        open("imported", "w").write(repr(sorted({LATE!r} & {{*sys.modules}})))
        os._exit(7)
    return record
logging.setLogRecordFactory(until_training)
from prunebert.__main__ import main
main()
"""


def test_a_lone_run_on_cached_data_imports_only_what_it_needs(toy, cli, tmp_path):
    words = [*toy, "method=magnitude", "sparsity=0.5", "task.eval=null", "task.holdout=0.25"]
    assert cli(*words, "dry=true")[0] == 0  # fills the cache of tokenised data
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CODE, *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 7, done.stdout + done.stderr
    assert (tmp_path / "imported").read_text() == "[]"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["compare", "--help"], 0),
        pytest.param(["compare", "nowhere", "nowhere"], 2, marks=pytest.mark.slow),
        pytest.param(["info", "nowhere"], 2, marks=pytest.mark.slow),
        pytest.param(["status", "nowhere"], 2, marks=pytest.mark.slow),
        pytest.param(["bench", "nowhere", "--device", "tpu"], 2, marks=pytest.mark.slow),
        pytest.param(["bench", "nowhere", "--threads", "5000"], 2, marks=pytest.mark.slow),
    ],
)
def test_a_command_imports_nothing_slow_before_it_answers(tmp_path, words, status):
    code = (
        "import atexit, sys; atexit.register(lambda: print('imported', {'torch', 'pandas', 'scipy'} & {*sys.modules}))"
    )
    command = [sys.executable, "-c", f"{code}; from prunebert.__main__ import main; main()", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (status, "imported set()"), done.stderr
