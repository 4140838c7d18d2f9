"""SQuAD as a task: windows and their labels, predictions, sources, bad input. Its arithmetic is in test_spans.py."""

import inspect
import json
import re
from itertools import islice
from pathlib import Path

import datasets
import evaluate
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from prunebert import hub
from prunebert.errors import BadInput
from prunebert.subnetwork import Outputs
from prunebert.tasks import questions
from prunebert.tasks.squad import squad_task

from .conftest import SQUAD

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT.parent / "shared/data/squad-v1.1"

OUSE = "The Ouse flows through York, past Selby and Goole, and on to the sea near Hull."
MILL = "A mill stood by the old bridge. It burned down in the dry summer of 1826."
BELL = "The great bell was cast by John Taylor; twelve horses drew it up the hill."
DATA = [  # (context, [(id, question, gold answers)])
    (OUSE, [("q1", "  Which city does it pass first?", ["York", "York, past Selby"]), ("q2", "Where?", ["near Hull"])]),
    (MILL, [("q3", "When did it burn?", ["the dry summer of 1826", "1826"])]),
    (BELL, [("q4", "Who cast the bell?", ["John Taylor"]), ("q5", "What drew it?", ["twelve horses"])]),
]
UNANSWERABLE = [(MILL, [("q6", "Who built the mill?", [])])]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", tmp_path / "metrics")


@pytest.fixture(scope="module")
def tokenizer():
    """Word pieces with an entry for every word and sign of DATA, built without any file."""
    texts = [t for context, asked in DATA + UNANSWERABLE for t in (context, *(q for _, q, _ in asked))]
    words = sorted({w for t in texts for w in re.findall(r"\w+|[^\w\s]", t.lower())})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {w: i for i, w in enumerate([*special, *words])}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=inputs, **names)


def content(data) -> dict:
    """`data` in SQuAD's nesting, with keys beside it that a reader must not mind."""
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": name,
                    "question": question,
                    "is_impossible": not golds,
                    "answers": [{"text": g, "answer_start": context.index(g)} for g in golds],
                }
                for name, question, golds in asked
            ],
        }
        for context, asked in data
    ]
    return {"version": "1.1", "canary": "c", "data": [{"title": "T", "paragraphs": paragraphs}]}


def write(path: Path, what) -> str:
    path.write_text(what if isinstance(what, str) else json.dumps(what), "utf-8")
    return str(path)


@pytest.fixture
def make(tokenizer, tmp_path):
    """squad_task with small windows over DATA, as training and as evaluation file; any setting can be changed."""

    def build(**changed):
        data = DATA + UNANSWERABLE if changed.get("no_answer") else DATA
        file = write(tmp_path / "data.json", content(data))
        small = {"train": file, "eval": file, "max_length": 20, "stride": 5, "label_words": ["Yes", "No"]}
        return squad_task(tokenizer=tokenizer, positions=64, **SQUAD | small | changed)

    return build


# --- windows and labels -----------------------------------------------------------------------------------------------


def test_windows_share_the_stride_and_labels_map_back_to_the_answer(make, tokenizer):
    task = make()
    windows, table = task.windows["train"], task.tables["train"]
    assert len(windows.rows) == task.train_rows > len(table)
    assert (np.diff(windows.question) >= 0).all()
    found = {name: [] for name in table.id}
    for window, row in enumerate(windows.question):
        one, offsets = table.iloc[row], windows.offsets(window)
        start, end = windows.rows.labels[window].tolist()
        if (start, end) != (0, 0):
            found[one.id].append(one.context[offsets[start, 0] : offsets[end, 1]])
        assert len(offsets) <= 20
    assert all(texts and set(texts) == {gold[0]} for texts, gold in zip(found.values(), table.golds, strict=True))
    batch = windows.rows.batch(np.array([0, 1]), task.padding)
    ids = tokenizer.convert_ids_to_tokens(batch.inputs["input_ids"][0].tolist())
    assert ids[:9] == ["[CLS]", "which", "city", "does", "it", "pass", "first", "?", "[SEP]"]
    assert batch.inputs["token_type_ids"][0].tolist() == [0] * 9 + [1] * 11
    shared = [set(map(tuple, windows.offsets(w)[windows.offsets(w)[:, 1] > 0])) for w in (0, 1)]
    assert len(shared[0] & shared[1]) == 5


def test_an_answer_across_windows_is_labelled_only_where_it_is_whole(make):
    windows = make(stride=8).windows["train"]
    labels = windows.rows.labels[torch.from_numpy(windows.question == 2)]
    # 7 tokens before the context, which windows enter at 0, 4 and 8; the answer is its tokens 12 to 16
    assert labels.tolist() == [[0, 0], [0, 0], [11, 15]]


def test_question_spaces_and_near_misses_of_answer_start(tmp_path):
    data = content([(OUSE, [("q1", "  Which?", [" Selby ", "York"])])])
    for answer in data["data"][0]["paragraphs"][0]["qas"][0]["answers"]:
        answer["answer_start"] -= 1
    file = write(tmp_path / "f.json", data)
    (row,) = questions.from_files(file, file, 0.5, False)["train"].itertuples()
    assert row.question == "Which?"
    assert OUSE[row.first : row.last] == "Selby"
    assert row.golds == [" Selby ", "York"]


def logits(length: int, start: int, end: int) -> np.ndarray:
    """[length, 2], 5 at the start and at the end of a span."""
    values = np.zeros((length, 2), dtype=np.float32)
    values[[start, end], [0, 1]] = 5.0
    return values


@pytest.mark.parametrize("no_answer", [False, True])
@pytest.mark.parametrize("padded", [0, 3])
def test_perfect_logits_score_1(make, no_answer, padded):
    task = make(no_answer=no_answer)
    perfect = {}
    for batch in task.eval_batches("validation", 2):
        for row, (start, end) in zip(batch.rows.tolist(), batch.labels.tolist(), strict=True):
            length = len(task.windows["validation"].offsets(row))
            perfect[row] = np.concatenate([logits(length, start, end), np.full((padded, 2), 99.0)])
    found = task.predict("validation", perfect)
    assert list(found) == ["split", "id", "label", "prediction", "scores"]
    assert found.id.tolist() == ["q1", "q2", "q3", "q4", "q5", "q6"][: len(found)]
    assert found.prediction.tolist() == [json.loads(g)[0] if g != "[]" else "" for g in found.label]
    assert found.scores[0] == [10.0, 0.0]
    metrics = task.metrics({"validation": found})
    assert set(metrics.values()) == {1.0}
    assert {"exact", "f1"} <= set(metrics)


# --- the task ---------------------------------------------------------------------------------------------------------


def test_loss_is_the_mean_of_start_and_end_without_pads(make):
    task = make()
    batch = task.windows["train"].rows.batch(np.array([0, len(task.windows["train"].rows) - 1]), task.padding)
    lengths = batch.inputs["attention_mask"].sum(1).tolist()
    assert lengths[0] != lengths[1]
    out = torch.randn(2, max(lengths), 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    by_hand = [
        -out[i, :length, side].log_softmax(0)[batch.labels[i, side]]
        for i, length in enumerate(lengths)
        for side in (0, 1)
    ]
    loss = task.loss(Outputs(out), batch)
    assert set(loss) == {"task"}
    torch.testing.assert_close(loss["task"], torch.stack(by_hand).mean())
    loss["task"].backward()
    assert out.grad.isfinite().all()


def test_batches_depend_on_the_seed_alone(make):
    def drawn(seed):
        return [batch.rows.tolist() for batch in islice(make().batches(2, seed), 12)]

    assert drawn(1) == drawn(1) != drawn(2)
    batch = next(make().batches(2, 0))
    assert set(batch.inputs) == {"input_ids", "token_type_ids", "attention_mask"}
    assert batch.labels.shape == (2, 2)


def test_evaluation_sees_every_window_once(make):
    task = make()
    seen = [row for batch in task.eval_batches("validation", 3) for row in batch.rows.tolist()]
    assert sorted(seen) == list(range(len(task.windows["validation"].rows)))


def test_what_a_task_tells_of_itself(make):
    task = make()
    assert (task.span, task.regression, task.outputs, task.eval_splits) == (True, False, 2, ("validation",))
    facts = task.facts()
    assert facts["rows"] == {"train": 5, "validation": 5}
    assert facts["windows"]["train"] == task.train_rows
    assert facts["source"].endswith("data.json")
    assert task.majority() == {"exact": 0.0, "f1": 0.0}
    second = make(no_answer=True).majority()
    assert second["exact"] == second["f1"] == pytest.approx(1 / 6)


def test_held_out_contexts_are_not_trained_on(make):
    one, two = make(eval=None), make(eval=None)
    train, held = one.tables["train"], one.tables["validation"]
    assert not set(train.context) & set(held.context)
    assert sorted([*train.id, *held.id]) == ["q1", "q2", "q3", "q4", "q5"]
    assert two.tables["validation"].equals(held)


# --- sources ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("no_answer", "version"), [(False, "v1.1"), (True, "v2.0")])
def test_folder(make, tmp_path, no_answer, version):
    write(tmp_path / f"train-{version}.json", content(DATA))
    write(tmp_path / f"dev-{version}.json", content(DATA[:1]))
    task = make(train=None, eval=None, data_dir=str(tmp_path), no_answer=no_answer)
    assert task.facts()["rows"] == {"train": 5, "validation": 2}
    with pytest.raises(BadInput, match=r"task\.data_dir=.*train-v"):
        make(train=None, eval=None, data_dir=str(tmp_path), no_answer=not no_answer)


def on_hub(path, split):
    """What the hub's copy of SQuAD looks like."""
    rows = [
        {
            "id": name,
            "title": "T",
            "context": context,
            "question": question,
            "answers": {"text": golds, "answer_start": [context.index(g) for g in golds]},
        }
        for context, asked in DATA + (UNANSWERABLE if path.endswith("v2") else [])
        for name, question, golds in asked
    ]
    return datasets.Dataset.from_list(rows)


def test_hub(make, monkeypatch):
    monkeypatch.setattr(hub, "prepare", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", on_hub)
    task = make(train=None, eval=None)
    assert task.facts()["source"] == "rajpurkar/squad"
    assert task.tables["train"].equals(make().tables["train"])
    task = make(train=None, eval=None, no_answer=True, hub={"path": "rajpurkar/squad_v2"})
    assert task.tables["train"].golds.tolist()[-1] == []
    monkeypatch.setattr(datasets, "load_dataset", lambda path, split: datasets.Dataset.from_list([{"text": "a"}]))
    with pytest.raises(BadInput, match="train has no answers, context, id, question"):
        make(train=None, eval=None)


def test_without_hub_the_other_sources_are_named(make, monkeypatch):
    def fails(path, split):
        raise ConnectionError("no network. Many more words.")

    monkeypatch.setattr(hub, "prepare", lambda: False)
    monkeypatch.setattr(datasets, "load_dataset", fails)
    with pytest.raises(BadInput) as caught:
        make(train=None, eval=None)
    for word in ("task.data_dir=", "task.train=", "task.eval=", "task=rotten_tomatoes", "rajpurkar/squad"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


# --- bad input --------------------------------------------------------------------------------------------------------


def without(*path):
    """DATA's content without the key at the end of `path`."""
    whole = inner = content(DATA)
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return whole


def with_start(start):
    whole = content(DATA)
    whole["data"][0]["paragraphs"][0]["qas"][1]["answers"][0]["answer_start"] = start
    return whole


QAS = ("data", 0, "paragraphs", 0, "qas")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train": "nowhere.json"}, r"task\.train=nowhere\.json: there is no such file"),
        ({"eval": "nowhere.json"}, r"task\.eval=nowhere\.json: there is no such file"),
        ({"train": None}, r"task\.eval=.* but task\.train is not"),
        (
            {"train": None, "eval": None, "data_dir": "nowhere"},
            r"task\.data_dir=nowhere: train-v1\.1\.json is not there",
        ),
        ({"max_length": 65}, r"task\.max_length=65: .* 64"),
        ({"max_length": 7}, r"task\.max_length=7: .* at least 8"),
        ({"stride": 20}, r"task\.stride=20: .* task\.max_length=20"),
        ({"stride": -1}, r"task\.stride=-1"),
        ({"stride": 10}, r"task\.stride=10 a question may have at most 6 tokens, and q1 has 7"),
        ({"n_best": 0}, r"task\.n_best=0"),
        ({"max_answer": 0}, r"task\.max_answer=0"),
        ({"score": "f2"}, r"task\.score=f2: allowed are exact, f1"),
        ({"eval": None, "holdout": 1.0}, r"task\.holdout=1\.0"),
        ({"eval": None, "file": content(DATA[:1])}, r"task\.holdout=0\.4: .*task\.eval=FILE"),
        ({"file": "{"}, r"task\.train=.* cannot be read as JSON"),
        ({"file": "[]"}, r"SQuAD's layout: the file has no 'data' \(list\)"),
        ({"file": {"data": {}}}, r"the file has no 'data' \(list\)"),
        ({"file": without("data", 0, "paragraphs")}, r"data\[0\] has no 'paragraphs'"),
        ({"file": without(*QAS[:-1], "context")}, r"data\[0\]\.paragraphs\[0\] has no 'context' \(text\)"),
        ({"file": without(*QAS)}, r"paragraphs\[0\] has no 'qas'"),
        ({"file": without(*QAS, 0, "id")}, r"qas\[0\] has no 'id'"),
        ({"file": without(*QAS, 0, "question")}, r"qas\[0\] has no 'question'"),
        ({"file": without(*QAS, 0, "answers")}, r"qas\[0\] has no 'answers'"),
        ({"file": without(*QAS, 1, "answers", 0, "text")}, r"qas\[1\]\.answers\[0\] has no 'text'"),
        ({"file": with_start("12")}, r"answers\[0\] has no 'answer_start' \(whole number\)"),
        ({"file": with_start(3)}, r"question q2, answer_start=3: 'near Hull' does not stand there"),
        ({"file": {"data": []}}, r"has no questions"),
        ({"file": content(DATA + DATA)}, r"two questions have the id q1"),
        ({"file": content(DATA + UNANSWERABLE)}, r"question q6 has no answer, which task\.no_answer=false"),
    ],
)
def test_bad_input_is_told_in_one_line(make, tmp_path, changed, message):
    if "file" in changed:
        changed = {k: v for k, v in changed.items() if k != "file"} | {"train": write(tmp_path / "f", changed["file"])}
    with pytest.raises(BadInput, match=message) as caught:
        make(**changed)
    assert "\n" not in str(caught.value)


# --- what ships, and what lies beside the project ---------------------------------------------------------------------


def test_conf_has_the_keys_of_the_signature():
    conf = OmegaConf.to_container(OmegaConf.load(ROOT / "conf/task/squad.yaml"))
    keys = set(inspect.signature(squad_task).parameters)
    assert {k for k in conf if not k.startswith("_")} == keys - {"tokenizer", "positions", "augment"}
    assert conf["label_words"] == ["Yes", "No"]  # not YAML's true and false
    other = OmegaConf.to_container(OmegaConf.load(ROOT / "conf/task/squad_v2.yaml"))
    assert other.pop("defaults") == ["squad", "_self_"]
    assert set(other) < keys


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="SQuAD's sample files are not beside this checkout")
@pytest.mark.parametrize(
    ("file", "asked", "contexts"), [("squaddev_v1.1.json", 10565, 2067), ("new_wiki_v1.0.json", 7936, 1581)]
)
def test_published_files(file, asked, contexts):
    path = str(SAMPLES / file)
    table = questions.from_files(path, path, 0.1, False)["validation"]
    assert (len(table), table.context.nunique()) == (asked, contexts)
    found = [c[a:b] for c, a, b in zip(table.context, table["first"], table["last"], strict=True)]
    assert found == [golds[0].strip() for golds in table.golds]
