"""Fixtures: a small random BERT on disk with its own vocabulary, small tasks in files, and the command line."""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # for the tests of Triton kernels; read when Triton is imported

import datasets
import pytest

from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.system import loading
from prunebert.system.impl import Impl
from prunebert.tasks.squad import squad_task
from prunebert.tasks.text import text_task
from tests.toys import SQUAD, TASK, rows, save_model, toy_words

# Collect young garbage only: visiting the objects of all modules and tests took a sixth of the suite's time.
gc.set_threshold(700, 10, 1_000_000)

# Of tests whose cases take long and are alike: how many cases the fast suite runs. `pytest -m slow` runs the others.
FIRST_CASES = {
    "commands/test_refused_checkpoints.py::test_a_run_a_dry_run_and_every_command": 1,
    "masks/test_selection_cuda.py::test_the_kernels_are_a_stable_sort": 4,
    "methods/test_families.py::test_a_method_removes_exactly_what_is_asked_on_a_family": 4,
    "methods/test_matrix.py::test_the_requested_sparsity_is_that_of_the_files": 6,
    "methods/test_prunable.py::test_one_option_sets_what_every_method_prunes": 8,
    "report/figures/test_picture.py::test_both_pictures_equal_those_drawn_in_their_own_theme": 2,
    "report/published/test_agreement.py::test_changing_any_setting_removes_the_number_or_finds_that_of_the_change": 5,
    "report/test_rows.py::test_a_table_written_twice_is_read_as_the_same_runs": 1,
    "runs/test_claim.py::test_a_damaged_index_is_reported_and_made_again": 2,
    "runs/test_claim.py::test_two_processes_on_one_run_at_once": 0,
    "runs/test_disk.py::test_a_full_disk_at_each_file_of_the_result": 2,
    "runs/test_guard.py::test_a_place_that_cannot_be_a_directory_is_named": 2,
    "runs/test_guard.py::test_all_of_them_outlive_every_command": 2,
    "runs/test_guard.py::test_directories_are_removed_only_where_the_command_made_them": 1,
    "runs/test_guard.py::test_directories_that_hold_much_else_are_refused": 2,
    "settings/test_cells.py::test_a_subdir_that_two_cells_share_is_refused_before_any_runs": 2,
    "system/test_loading.py::test_a_run_and_a_sweep_speak_before_torch_is_imported": 1,
    "system/test_signals.py::test_a_second_ctrl_c_ends_with_75_too": 0,
    "system/test_threads.py::test_waiting_threads_yield_soon_unless_the_user_sets_otherwise": 1,
    "test_experiments.py::test_reviewers_see_methods_that_differ_in_the_method_alone": 1,
    "test_experiments.py::test_the_cost_is_that_of_its_runs": 1,
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases beyond FIRST_CASES as slow, before pytest selects by marks."""
    seen: dict[str, int] = {}
    for item in items:
        name = item.nodeid.partition("[")[0].removeprefix("tests/")
        if name not in FIRST_CASES or item.get_closest_marker("slow"):
            continue
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > FIRST_CASES[name]:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rows(96).to_csv(folder / "train.csv", index=False)
    rows(40, seed=1).to_csv(folder / "eval.csv", index=False)
    return folder


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Replace the user's caches by an empty folder."""
    folder = tmp_path_factory.mktemp("cache")
    datasets.config.HF_DATASETS_CACHE = folder
    os.environ["HF_DATASETS_CACHE"] = str(folder)


@pytest.fixture(scope="session", autouse=True)
def patient() -> None:
    """Let no report on loading come between the lines of a command that a test runs in this process."""
    loading.PATIENCE = 1e6


@pytest.fixture
def model(model_folder: Path) -> models.Model:
    return models.load(str(model_folder))


@pytest.fixture
def net(model: models.Model) -> SubNetwork:
    return SubNetwork(model, seed=0)


@pytest.fixture
def impl() -> Impl:
    return Impl(device="cpu", precision="fp32", compile=False, threads=1)


@pytest.fixture
def task(model: models.Model, data_folder: Path):
    files = {"train": str(data_folder / "train.csv"), "eval": str(data_folder / "eval.csv")}
    return text_task(tokenizer=model.tokenizer, positions=64, **TASK, **files, metric="prunebert.metrics:Accuracy")


@pytest.fixture
def spans(model: models.Model, tmp_path: Path):
    """A task of questions about contexts of several lengths."""
    context = "the dull film was great it was a bright scene not a bad plot"
    paragraphs = [
        {
            "context": f"{context} {'the film ' * i}",
            "qas": [{"id": f"q{i}", "question": "what was it", "answers": [gold]}],
        }
        for i in range(4)
        for gold in [{"text": "bright scene", "answer_start": context.index("bright scene")}]
    ]
    (tmp_path / "train.json").write_text(json.dumps({"data": [{"title": "x", "paragraphs": paragraphs}]}))
    file = str(tmp_path / "train.json")
    return squad_task(tokenizer=model.tokenizer, positions=64, train=file, eval=file, **SQUAD)


@pytest.fixture
def prunebert(tmp_path: Path):
    """Return a function that runs the command line in another process, in an empty directory."""

    def call(*words: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "prunebert", *words],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Return a function that runs the command line in this process, in an empty directory.

    It returns (exit status, printed text).
    """
    from prunebert.cli import main

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["prunebert", *words])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
        finally:
            logging.shutdown()
            logging.getLogger().handlers.clear()
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return call


@pytest.fixture(scope="session")
def questions(tmp_path_factory):
    """The words of a run on questions whose contexts have the toy model's words; each answer is a span."""
    context = "the dull film was great it was a bright scene not a bad plot"
    paragraphs = [
        {
            "context": f"{context} {i}",
            "qas": [{"id": f"q{i}", "question": "what was it", "answers": [{"text": gold, "answer_start": start}]}],
        }
        for i in range(6)
        for gold in ["bright scene", "bad plot"][i % 2 : i % 2 + 1]
        for start in [context.index(gold)]
    ]
    file = tmp_path_factory.mktemp("questions") / "train.json"
    file.write_text(json.dumps({"data": [{"title": "x", "paragraphs": paragraphs}]}))
    return ["task=squad", f"task.train={file}", "task.max_length=32", "task.stride=8", "task.label_words=[yes,no]"]


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    file = tmp_path_factory.mktemp("corpus") / "text.txt"
    file.write_text("the film was good\na dull plot and a bright scene it was not bad\n" * 40)
    return [f"corpus.file={file}"]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, data_folder: Path):
    """Return a function that gives the directory of a finished run on the toy files. It runs each command line once."""
    from prunebert.cli import main

    folder, directories = tmp_path_factory.mktemp("runs"), {}

    def call(*words: str) -> Path:
        if words not in directories:
            run = folder / str(len(directories))
            typed = {w.split("=")[0] for w in words}
            default_words = [
                word
                for word in toy_words(model_folder, data_folder, run)
                if word.split("=")[0] not in typed and not ("task" in typed and word.startswith("task"))
            ]
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)  # the index of finished runs is in the working directory
                patch.setattr(sys, "argv", ["prunebert", *default_words, *words])
                main()
            logging.shutdown()
            logging.getLogger().handlers.clear()
            directories[words] = run
        return directories[words]

    return call


@pytest.fixture
def toy(model_folder: Path, data_folder: Path) -> list[str]:
    return toy_words(model_folder, data_folder, "run")


@pytest.fixture(autouse=True)
def no_lab_of_another_test():
    """Many tests write a package `lab` of a user's own. Forget that of the test before."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
        del sys.modules[name]
    importlib.invalidate_caches()
