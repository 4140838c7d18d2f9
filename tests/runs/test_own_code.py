"""A run whose own code has changed since is another run."""

import importlib
import re
import sys

import pytest

from prunebert.runs import own_code

METRIC = """import datasets, evaluate

class Mine(evaluate.Metric):
    def _info(self):
        features = {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
        return evaluate.MetricInfo(description="", citation="", features=datasets.Features(features))

    def _compute(self, predictions, references):
        return {"mine": 0.11}
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """The folder of a package `lab` of the user's, which can be imported."""
    folder = tmp_path / "code/lab"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    return folder


def test_files_of_the_user_are_hashed_and_no_others(lab):
    (lab / "mine.py").write_text(METRIC)
    (lab / "part.py").write_text("def method(): ...\n")
    config = {
        "method": {"_target_": "lab.part.method", "fit": {"_target_": "prunebert.fit.Fit"}, "head": "torch.nn.Linear"},
        "task": {"metric": "lab.mine:Mine", "others": [{"_target_": "torch.nn.Linear"}, {"_target_": "json.loads"}]},
        "augment": {"_target_": "lab.part.Class.method"},
        "distill": {"_target_": "nowhere.at.all", "metric": "no module"},
    }
    before = own_code.hashes(config)
    assert before.keys() == {"lab.mine", "lab.part"}
    (lab / "part.py").write_text("def method(): return 1\n")
    after = own_code.hashes(config)
    assert after["lab.part"] != before["lab.part"] and after["lab.mine"] == before["lab.mine"]
    assert own_code.hashes({"method": {"_target_": "prunebert.methods.smp.smp"}, "task": {"metric": None}}) == {}


def test_a_metric_that_was_edited_scores_anew(lab, toy, cli):
    (lab / "mine.py").write_text(METRIC)
    words = [*(word for word in toy if not word.startswith("hydra.run.dir")), "method=magnitude"]
    assert "mine 0.1100" in cli(*words, "task.metric=lab.mine:Mine")[1]
    assert re.search("finished before.*mine 0.1100", " ".join(cli(*words, "task.metric=lab.mine:Mine")[1].split()))
    (lab / "mine.py").write_text(METRIC.replace("0.11", "0.9900"))
    for name in [name for name in sys.modules if name.startswith("lab")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    status, printed = cli(*words, "task.metric=lab.mine:Mine")
    assert status == 0 and "mine 0.9900" in printed and "finished before" not in printed
