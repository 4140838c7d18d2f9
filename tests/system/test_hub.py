"""Models and data sets from the hub (a local one, see hub_server), from its cache, and without both."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
from pathlib import Path

import pytest

from prunebert.errors import BadInput
from prunebert.network import models
from prunebert.system import hub
from tests.hub_server import Dying, make_bert, make_glue, serving
from tests.toys import after_loading

NO_HUB = "http://127.0.0.1:1"  # nothing listens there
OTHER_SOURCES = ("task.data_dir", "task=file", "task.train", "task=rotten_tomatoes")
LIMIT = 10  # seconds until a refusal without network, on an idle machine


class Run:
    """`prunebert method=smp task=TASK fit=smoke …` in its own process, because the libraries read HF_* at import."""

    def __init__(self, folder: Path, endpoint: str, home: Path, task: str, *words: str) -> None:
        folder.mkdir(exist_ok=True)
        self.out = folder / "outputs" / task
        env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
        env = {k: v for k, v in env.items() if not k.lower().endswith("_proxy")}
        command = [sys.executable, "-m", "prunebert", "method=smp", f"task={task}", "fit=smoke", "impl=cpu"]
        start = time.monotonic()
        process = subprocess.run(
            [*command, f"hydra.run.dir={self.out}", *words],
            env=env | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home)},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.seconds = time.monotonic() - start
        self.status, self.printed = process.returncode, process.stdout + process.stderr

    def result(self) -> dict:
        assert self.status == 0, self.printed
        return json.loads((self.out / "result.json").read_text())

    def refusal(self) -> str:
        """Return the one line that the run printed. A refused run leaves nothing on the disk."""
        assert self.status == 2, self.printed
        (line,) = after_loading(self.printed)
        assert not self.out.exists()
        return line


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    make_glue(root)
    make_bert(root)
    return root


@pytest.fixture(scope="module")
def live(content):
    with serving(content) as url:
        yield url


@pytest.fixture(scope="module")
def rte(live, tmp_path_factory):
    """A run that loaded everything from the hub."""
    folder = tmp_path_factory.mktemp("rte")
    return Run(folder, live, folder / "home", "rte")


@pytest.fixture
def in_time(rte):
    """A function that returns whether a run ended in time.

    The limit is LIMIT. On a busy machine it is the time of a run that trained, because imports are most of either.
    """
    return lambda run: run.seconds < max(LIMIT, rte.seconds + hub.PATIENCE)


@pytest.fixture
def silent():
    """The address of a hub that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_rte_and_bert_come_from_the_hub(rte):
    row = rte.result()
    assert row["data"].pop("fingerprint").keys() == {"train", "validation"}
    assert row["data"] == {
        "source": "nyu-mll/glue",
        "labels": ["entailment", "not_entailment"],
        "rows": {"train": 40, "validation": 16},
    }
    assert row["model"] == "bert-base-uncased" and row["settings"]["head"] == "label_words"
    assert row["metrics"].keys() == {"accuracy"} and row["majority"] == {"accuracy": 0.5}
    assert not (rte.out / "head.safetensors").exists()  # label words are frozen weights of the model


@pytest.mark.slow
def test_mnli_has_both_accuracies_and_runs_again_from_the_cache(content, tmp_path):
    home = tmp_path / "home"
    with serving(content) as url:
        first = Run(tmp_path / "on", url, home, "mnli").result()
    second = Run(tmp_path / "off", url, home, "mnli").result()
    assert first["data"]["rows"] == {"train": 45, "matched": 18, "mismatched": 15}
    assert first["metrics"].keys() == {"accuracy_matched", "accuracy_mismatched"}
    assert first["model"] == "bert-base-uncased" and first["settings"]["head"] == "label_words"
    for key in ("data", "metrics", "majority", "weights_hash"):
        assert first[key] == second[key]


def test_no_network_and_no_cached_model(in_time, tmp_path):
    run = Run(tmp_path, NO_HUB, tmp_path / "home", "rte")
    assert "model.name=bert-base-uncased" in run.refusal() and NO_HUB in run.printed and "model=tiny" in run.printed
    assert in_time(run), run.seconds


@pytest.mark.slow
def test_no_network_and_no_cached_data(in_time, content, tmp_path):
    model = content / "models" / "bert-base-uncased"
    run = Run(tmp_path, NO_HUB, tmp_path / "home", "rte", f"model.name={model}")
    assert "task=rte" in run.refusal() and NO_HUB in run.printed
    assert [source for source in OTHER_SOURCES if source not in run.printed] == []
    assert in_time(run), run.seconds


def test_a_hub_that_never_answers(silent, in_time, tmp_path):
    run = Run(tmp_path, silent, tmp_path / "home", "rte")
    assert "does not answer" in run.refusal()
    assert in_time(run), run.seconds


@pytest.mark.slow
def test_a_hub_that_dies_halfway_is_reported_in_one_line_and_the_next_try_succeeds(content, tmp_path):
    with serving(content, Dying) as url:
        run = Run(tmp_path / "first", url, tmp_path / "home", "rte")
    assert run.status == 2 and "Traceback" not in run.printed
    assert run.printed.splitlines()[-1].startswith("prunebert: model.name=bert-base-uncased cannot be loaded")
    assert not run.out.exists()
    with serving(content) as url:
        assert Run(tmp_path / "second", url, tmp_path / "home", "rte").result()["model"] == "bert-base-uncased"


def test_the_hub_does_not_know_the_model(live, tmp_path):
    run = Run(tmp_path, live, tmp_path / "home", "rte", "model.name=bert-base-uncase")
    assert "model.name=bert-base-uncase cannot be loaded" in run.refusal()


@pytest.fixture
def fresh_hub(monkeypatch):
    """hub.prepare with an empty cache. Yields a function that returns the settings which `prepare` changes."""
    import datasets
    import huggingface_hub

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    hub.prepare.cache_clear()
    yield lambda: (datasets.config.HF_HUB_OFFLINE, huggingface_hub.is_offline_mode(), os.environ["HF_HUB_OFFLINE"])
    hub.prepare.cache_clear()


@pytest.mark.parametrize(("code", "answered"), [(404, True), (501, True), (502, False), (503, False), (504, False)])
def test_an_error_is_an_answer_unless_a_gateway_gives_it(code, answered, fresh_hub, monkeypatch):
    def refuse(request, timeout):
        raise urllib.error.HTTPError(request.full_url, code, "", {}, None)

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    assert hub.prepare() is answered
    assert fresh_hub() == ((False, False, "0") if answered else (True, True, "1"))


def test_a_name_server_that_never_answers(fresh_hub, monkeypatch):
    finished = threading.Event()
    monkeypatch.setattr(hub, "PATIENCE", 0.05)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: finished.wait(LIMIT) and [])
    start = time.monotonic()
    assert hub.prepare() is False
    assert time.monotonic() - start < LIMIT / 2
    finished.set()
    assert fresh_hub() == (True, True, "1")


def test_a_folder_without_a_model_is_not_searched_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "prepare", lambda: pytest.fail("the hub was contacted"))
    with pytest.raises(BadInput, match="cannot be loaded") as error:
        models.load(str(tmp_path))
    assert "\n" not in str(error.value) and "not cached" not in str(error.value)
