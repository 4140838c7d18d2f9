"""Several processes that need the same teacher."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest
import torch

from prunebert.distill.teacher import teacher
from prunebert.masks import maskfile
from tests.distill.test_teacher import FIT, get_teacher, no_wait_is_endless, teachers_in  # noqa: F401  for every test here too


def test_a_process_waits_for_a_teacher_in_training_but_not_for_a_dead_process(net, task, impl, tmp_path):
    generator = teacher(net, task, fit=FIT, source=None, shared=str(tmp_path))
    next(generator)
    (lock,) = tmp_path.iterdir()
    with pytest.raises(filelock.Timeout):
        filelock.FileLock(lock).acquire(timeout=0)
    generator.close()  # as when its training breaks off
    filelock.FileLock(lock).acquire(timeout=0).lock.release()
    hold = "import sys, filelock; x = filelock.FileLock(sys.argv[1]); x.acquire(); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(lock).acquire(timeout=0)
        owner.send_signal(signal.SIGKILL)
    assert owner.returncode == -signal.SIGKILL and lock.exists()
    (tmp_path / f".{lock.stem}.{owner.pid}").write_bytes(b"half a file")  # that it may have left
    assert get_teacher(net, task, impl, shared=tmp_path)[1] == ["teacher"]
    assert get_teacher(net, task, impl, shared=tmp_path)[1] == []


TWO = """if True:
    import os, sys
    from functools import partial
    from pathlib import Path
    import torch
    from prunebert import distill
    from prunebert.network import models
    from prunebert.runs.artifacts import Artifacts
    from prunebert.fit import Fit
    from prunebert.system.impl import Impl
    from prunebert.methods.smp import smp
    from prunebert.run import Conditions, run
    from prunebert.schedules import Cubic
    from prunebert.tasks.text import text_task
    from tests.toys import TASK
    from tests.methods.test_phases import FIT, SMP

    folder, model, train, eval = sys.argv[1:]
    torch.set_num_threads(1)
    impl = Impl(device="cpu", precision="fp32", compile=False, threads=1)
    model = models.load(model)
    files = {"train": train, "eval": eval, "metric": "prunebert.metrics:Accuracy"}
    task = text_task(tokenizer=model.tokenizer, positions=64, **TASK, **files)
    long = Fit(epochs=1, steps=40, batch_size=8, lr=1e-3, head_lr=1e-3)
    kd = partial(distill.logits, fit=long, weight=0.5, temperature=2.0, teacher=None, shared=folder + "/teachers")
    method = partial(smp, **SMP | {"schedule": Cubic(0.7), "distill": kd})
    labels = {"method": "smp", "task": "toy", "model": "toy", "sparsity": 0.7}
    gate, start = os.pipe()
    children = []
    for name in "ab":
        if not (child := os.fork()):
            os.close(start)
            os.read(gate, 1)  # returns once the parent has closed the other end: both go at the same moment
            run(method, task, model, Artifacts(Path(folder) / name), Conditions(impl=impl, seed=0, labels=labels))
            os._exit(0)
        children.append(child)
    os.close(start)
    sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""


@pytest.mark.slow
def test_two_processes_at_once_make_one_teacher(model_folder, data_folder, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", TWO, tmp_path, model_folder, data_folder / "train.csv", data_folder / "eval.csv"],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads((tmp_path / n / "result.json").read_text()) for n in "ab"]
    assert sorted(list(row["phases"]) for row in rows) == [["prune"], ["teacher", "prune"]]
    assert len(teachers_in(tmp_path / "teachers")) == 1
    a, b = (maskfile.read(tmp_path / n / "masks.safetensors").masks for n in "ab")
    assert all(torch.equal(a[n], b[n]) for n in a)
    scores = [np.stack(pd.read_parquet(tmp_path / n / "predictions.parquet").scores) for n in "ab"]
    assert np.array_equal(*scores) and [row["score"] for row in rows] == [rows[0]["score"]] * 2
