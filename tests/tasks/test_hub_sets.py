"""Any data set of the hub as a task (task=hub), from the local hub of hub_server."""

import json
import shutil

import datasets
import huggingface_hub
import numpy as np
import pytest
import transformers
from datasets import ClassLabel, Features, Sequence, Value

from prunebert.errors import BadInput
from prunebert.system import hub
from prunebert.tasks.text import text_task
from tests.hub_server import make_glue, make_set, serving
from tests.toys import TASK

NEWS = ["world", "sports", "business"]
TOPICS = ["plot", "music", "actor"]
TEXTS = ["the good film", "a dull plot", "a bright scene", "bad", "it was great", "not the actor"]
KEYS = {"train": "train", "eval": None, "text": "text", "label": "label", "revision": "main", "metric": None}
KEYS |= {"label_words": None, "score": None, "holdout": 0.5}


def news(labels, texts=TEXTS):
    return {"text": texts[: len(labels)], "label": labels}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Data sets: NEWS of classes, TOPICS of several labels, stars without names, one with code, GLUE, and a tag v1."""
    root = tmp_path_factory.mktemp("hub")
    sets, of_text = root / "datasets", {"text": Value("string")}
    named = Features(of_text | {"label": ClassLabel(names=NEWS)})
    splits = {"train": news([0, 1, 2, 0, 1, 2]), "test": news([2, 1]), "unlabelled": news([-1, -1])}
    make_set(sets / "us" / "news", named, splits)
    make_set(root / "tags/v1/datasets/us/news", named, {"train": news([2, 1, 0]), "test": news([0])})
    several = Features(of_text | {"topics": Sequence(ClassLabel(names=TOPICS))})
    topics = {"text": TEXTS, "topics": [[0], [], [2, 0], [1], [0, 1], [2]]}
    make_set(sets / "us" / "topics", several, {"train": topics, "validation": {k: v[:2] for k, v in topics.items()}})
    numbers = Features(of_text | {"label": Value("int64")})
    make_set(sets / "us" / "stars", numbers, {"train": news([5, 1, 3, 5, 1, 3])})
    words = Features({"words": Sequence(Value("string")), "tags": Sequence(ClassLabel(names=["O", "B-WORK"]))})
    sentences = {"words": [text.split() for text in TEXTS], "tags": [[0] * len(text.split()) for text in TEXTS]}
    sentences["tags"][0][-1] = sentences["tags"][2][-1] = 1
    make_set(sets / "us" / "tags", words, {"train": sentences, "validation": sentences})
    quiz = {"text": TEXTS, "a": ["good"] * 6, "b": ["bad"] * 6, "label": [0, 1] * 3}
    choices = Features(of_text | dict.fromkeys("ab", Value("string")) | {"label": Value("int64")})
    make_set(sets / "us" / "quiz", choices, {"train": quiz, "validation": quiz})
    make_set(sets / "us" / "coded", numbers, {"train": news([0, 1])})
    (sets / "us" / "coded" / "coded.py").write_text("print('run me')\n")
    make_glue(root)
    return root


@pytest.fixture
def online(root, tmp_path_factory, monkeypatch):
    """The hub's address in this process, whose libraries have read the environment already."""
    with serving(root) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        constants, cache = huggingface_hub.constants, tmp_path_factory.mktemp("cache")
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        for name, value in {
            "ENDPOINT": url,
            "HUGGINGFACE_CO_URL_TEMPLATE": template,
            "HF_HUB_CACHE": str(cache),
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        for name, value in {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": False, "HF_DATASETS_CACHE": cache}.items():
            monkeypatch.setattr(datasets.config, name, value)
        hub.prepare.cache_clear()
        yield url
        hub.prepare.cache_clear()


@pytest.fixture
def offline(online, monkeypatch):
    """Return a function that takes the hub away."""

    def call():
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        hub.prepare.cache_clear()

    return call


@pytest.fixture
def make(online, model_folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder)
    settings = TASK | KEYS | {"name": None, "seed_name": "hub"}
    return lambda **keys: text_task(tokenizer=tokenizer, positions=64, **settings | keys)


def test_classes_have_the_hubs_names_and_test_is_warned_of(make, caplog):
    task = make(path="us/news")
    assert task.labels == NEWS and task.eval_splits == ("test",) and task.score == "accuracy"
    assert task.rows["train"].labels.tolist() == [0, 1, 2, 0, 1, 2] and task.rows["test"].labels.tolist() == [2, 1]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "us/news has no split validation, so task.eval=test" in warning and "not held-out scores" in warning
    facts = task.facts()
    assert (facts["source"], facts["config"]) == ("us/news", "default")
    assert facts["revision"] == huggingface_hub.HfApi(hub.endpoint()).dataset_info("us/news").sha
    caplog.clear()
    make(path="us/news", eval="test")
    make(path="us/news", tuning_holdout=3)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_several_labels_have_the_hubs_names(make):
    task = make(path="us/topics", label="topics", kind="multilabel")
    assert task.labels == TOPICS and task.eval_splits == ("validation",) and task.score == "micro_f1"
    expected = np.zeros((6, 3), int)
    expected[[0, 2, 2, 3, 4, 4, 5], [0, 2, 0, 1, 0, 1, 2]] = 1
    assert task.rows["train"].labels.tolist() == expected.tolist() and task.facts()["config"] == "default"


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({"path": "us/news"}, NEWS),
        ({"path": "us/topics", "label": "topics", "kind": "multilabel"}, TOPICS),
        ({"path": "us/tags", "text": "words", "label": "tags", "kind": "tokens"}, ["O", "B-WORK"]),
        ({"path": "us/quiz", "choices": ["a", "b"], "kind": "choices"}, []),
    ],
)
def test_every_kind_of_labels_records_what_was_read(make, online, settings, labels):
    """The commit is the hub's own, as huggingface_hub gives it."""
    facts = make(**settings).facts()
    commit = huggingface_hub.HfApi(endpoint=online).dataset_info(settings["path"]).sha
    assert (facts["source"], facts["config"], facts["revision"]) == (settings["path"], "default", commit)
    assert facts["labels"] == labels and facts["rows"]["train"] == 6
    assert facts.get("scheme") == ("iob2" if settings.get("kind") == "tokens" else None)


def test_the_order_of_the_labels_may_be_another(make):
    task = make(path="us/news", labels=NEWS[::-1], eval="test")
    assert task.labels == NEWS[::-1] and task.rows["test"].labels.tolist() == [0, 1]


def test_numbers_without_names_are_classes_by_value_or_numbers(make):
    classes, numbers = make(path="us/stars"), make(path="us/stars", kind="regression")
    assert classes.labels == ["1", "3", "5"] and len(classes.rows["validation"]) == 3  # holdout: half of train
    assert sorted(numbers.rows["train"].labels.tolist() + numbers.rows["validation"].labels.tolist()) == [
        1,
        1,
        3,
        3,
        5,
        5,
    ]


def test_splits_have_names_of_the_users(make):
    task = make(path="nyu-mll/glue", config="mnli", text=["premise", "hypothesis"], eval={"a": "validation_matched"})
    assert task.eval_splits == ("a",) and task.facts()["rows"] == {"train": 45, "a": 18}
    assert task.facts()["config"] == "mnli" and task.form().pair


def test_a_tag_is_read_and_its_commit_recorded(make):
    main, old = make(path="us/news"), make(path="us/news", revision="v1")
    assert old.rows["train"].labels.tolist() == [2, 1, 0] and len(main.rows["train"]) == 6
    assert old.facts()["revision"] != main.facts()["revision"]
    again = make(path="us/news", revision=old.facts()["revision"])
    assert again.facts() == old.facts()


REFUSED = {
    r"task.config=null: nyu-mll/glue has several configurations; choose one of them: rte, mnli": {
        "path": "nyu-mll/glue"
    },
    r"task.config=mnly: nyu-mll/glue has no such configuration; it has: rte, mnli; did you mean mnli\?": {
        "path": "nyu-mll/glue",
        "config": "mnly",
    },
    r"task.revision=v2: us/news has no such revision; it has main, v1, and commits": {
        "path": "us/news",
        "revision": "v2",
    },
    "task.eval=dev: us/news has no split dev; it has train, test, unlabelled": {"path": "us/news", "eval": "dev"},
    "task.train=all: us/news has no split all": {"path": "us/news", "train": "all"},
    "task.label=y: us/news train has no such column; it has text, label": {"path": "us/news", "label": "y"},
    "task.text=body: us/news train has no such column; it has text, label": {"path": "us/news", "text": "body"},
    "is labelled -1, with which the hub marks rows without a label": {"path": "us/news", "eval": "unlabelled"},
    r"task.path=us/coded: is read by code of its own": {"path": "us/coded"},
    r"task=hub \(us/nothing\) cannot be loaded": {"path": "us/nothing"},
    "task=hub needs task.path=NAME": {"path": None},
    "task.path=./data.csv: must be the name of a data set": {"path": "./data.csv"},
    "task.eval=.*train.*: a split for evaluation cannot be named train": {"path": "us/news", "eval": "train"},
    r"task.eval=\{\}: must be a split": {"path": "us/news", "eval": {}},
    r"row 1 of us/news train .* is 'world', not a finite number": {"path": "us/news", "kind": "regression"},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_there_is_refused_in_one_line_that_lists_what_is(make, message):
    with pytest.raises(BadInput, match=message) as error:
        make(**REFUSED[message])
    assert "\n" not in str(error.value)


def test_a_folder_of_the_same_name_is_not_read_in_its_place(make, tmp_path, monkeypatch):
    (tmp_path / "us" / "news").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"task\.path=us/news: a file or folder has this name here"):
        make(path="us/news")


def test_the_cache_serves_the_same_rows_without_the_hub_and_no_others(make, offline):
    """datasets itself would serve what it has for any revision, and the latest of several configurations."""
    first, old = make(path="us/news"), make(path="us/news", revision="v1")
    rte = make(path="nyu-mll/glue", config="rte", text="sentence1")
    assert rte.eval_splits == ("validation",)  # and not test, whose rows have no labels
    offline()
    commit = old.facts()["revision"]
    assert make(path="us/news", revision=commit).facts() == old.facts()
    with pytest.raises(BadInput, match=f"task.revision=v1: .* the cache has us/news of the commit {commit}"):
        make(path="us/news", revision="v1")
    with pytest.raises(BadInput, match="task.revision=" + first.facts()["revision"]):
        make(path="us/news", revision=first.facts()["revision"])
    shutil.rmtree(datasets.config.HF_DATASETS_CACHE / "us___news" / "default" / "0.0.0" / commit)
    assert make(path="us/news").facts() == first.facts()
    mnli = datasets.config.HF_DATASETS_CACHE / "nyu-mll___glue"
    shutil.copytree(mnli / "rte", mnli / "mnli")
    with pytest.raises(
        BadInput, match=r"task\.config=null: the cache has several configurations of nyu-mll/glue; .*mnli, rte"
    ):
        make(path="nyu-mll/glue")


@pytest.mark.slow
def test_a_run_names_its_data_and_is_scored_on_another_set_of_its_labels(make, cli, model_folder, tmp_path):
    words = ["method=magnitude", "sparsity=0.5", "task=hub", "task.path=us/news", "task.max_length=32"]
    words += [f"model.name={model_folder}", "fit=smoke", "impl.threads=1", "hydra.run.dir=run"]
    status, printed = cli(*words, "dry=true")
    assert status == 0 and "task=news" in printed and not (tmp_path / "run").exists(), printed
    status, printed = cli(*words)
    assert status == 0, printed
    facts = json.loads((tmp_path / "run/result.json").read_text())
    assert facts["task"] == "news" and facts["data"].items() >= make(path="us/news").facts().items()
    status, printed = cli(
        *("evaluate", "run", "task=hub", "task.path=us/news", "task.revision=v1"),
        *("impl.threads=1", "--out", "found.json"),
    )
    assert status == 0, printed
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["data"]["rows"] == {"train": 3, "test": 1} and found["form"]["labels"] == NEWS
    assert found["data"]["revision"] != facts["data"]["revision"]
    status, printed = cli("evaluate", "run", "task=hub", "task.path=us/stars")
    assert status == 2 and "labels are world, sports, business" in printed, printed
