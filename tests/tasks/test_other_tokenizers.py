"""Texts, pairs, questions, masked-LM blocks and augmentation with the tokenizers of every family."""

import json
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from prunebert.network import tokenizers
from prunebert.network.checkpoint import Place
from prunebert.tasks import augment
from prunebert.tasks.mlm import mlm_task
from prunebert.tasks.squad import squad_task
from prunebert.tasks.text import text_task
from tests.network.test_tokenizers_of_families import BYTES, CONFIGS, SEGMENTS, TOKENS, UNIGRAM
from tests.small_tokenizers import save
from tests.toys import SQUAD, TASK

OTHERS = ("mpnet", "roberta", *UNIGRAM, "modernbert", "eurobert")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Return a function that gives a family's tokenizer as `models.load` has it. Each is loaded once."""

    @cache
    def load(family):
        folder = str(tmp_path_factory.mktemp("tokenizer"))
        count = len(save(tmp_path_factory.getbasetemp() / folder, family))
        return tokenizers.load(Place(folder, folder, "main"), CONFIGS[family](vocab_size=count))

    return load


@pytest.mark.parametrize("family", OTHERS)
def test_a_task_of_pairs_has_the_tokens_written_by_hand(loaded, family, tmp_path):
    table = pd.DataFrame({"a": ["a great film", "bad"], "b": ["a film", "a film was bad"], "label": [1, 0]})
    table.to_csv(tmp_path / "pairs.csv", index=False)
    file = str(tmp_path / "pairs.csv")
    keys = TASK | {"train": file, "eval": file, "text": ["a", "b"], "metric": "prunebert.metrics:Accuracy"}
    task = text_task(tokenizer=loaded(family), positions=64, **keys)
    (batch,) = task.eval_batches("validation", 2)
    row = batch.rows.tolist().index(0)
    expected = TOKENS[family][1]
    assert batch.inputs["input_ids"][row][: len(expected)].tolist() == expected
    assert batch.inputs["attention_mask"][row].sum() == len(expected)  # eurobert's padding is its last token too
    assert ("token_type_ids" in batch.inputs) == (family in SEGMENTS)


CONTEXT = "it  was a bright\n scene, not \ta dull plot.\n\n the film"


@pytest.mark.parametrize("family", OTHERS)
@pytest.mark.parametrize("gold", ["bright\n scene", "it", "dull plot", "film"])
def test_an_answer_is_the_contexts_exact_text(loaded, family, gold, tmp_path):
    """Some tokenizers count the space before a word as the token's. The label's text has none around it."""
    answers = [{"text": gold, "answer_start": CONTEXT.index(gold)}]
    rows = [
        {"context": CONTEXT, "qas": [{"id": f"q{i}", "question": "what was it", "answers": answers}]} for i in (0, 1)
    ]
    (tmp_path / "train.json").write_text(json.dumps({"data": [{"title": "x", "paragraphs": rows}]}))
    file = str(tmp_path / "train.json")
    keys = SQUAD | {"max_length": 64, "train": file, "eval": file}
    task = squad_task(tokenizer=loaded(family), positions=64, **keys)
    windows = task.windows["validation"]
    start, end = windows.rows.labels[0].tolist()
    assert start > 0
    logits = np.full((len(windows.offsets(0)), 2), -9.0)
    logits[start, 0] = logits[end, 1] = 9.0
    predictions = task.predict("validation", {0: logits, 1: logits})
    assert predictions.prediction.tolist() == [gold, gold]
    texts = [CONTEXT[begin:stop] for begin, stop in windows.offsets(0)]
    assert all(text == text.strip() for text in texts)


@pytest.mark.parametrize("family", OTHERS)
def test_masked_lm_blocks_begin_and_end_as_a_text_does(loaded, family):
    corpus = {"train": ["a great film was bad"] * 9, "validation": ["the film"] * 9}
    task = mlm_task(tokenizer=loaded(family), positions=64, name="m", corpus=lambda: corpus, block=8, rate=0.15)
    first, last = TOKENS[family][0][0], TOKENS[family][0][-1]
    rows = task.rows["train"]
    blocks = rows.columns["input_ids"].reshape(-1, 8)
    assert len(blocks) >= 7 and set(blocks[:, 0]) == {first} and set(blocks[:, -1]) == {last}
    assert not np.isin(blocks[:, 1:-1], [first, last]).any()
    words = loaded(family)(corpus["train"], add_special_tokens=False)["input_ids"]
    assert blocks[:, 1:-1].reshape(-1).tolist() == np.concatenate(words)[: len(blocks) * 6].tolist()
    hidden = task.hide(next(task.batches(4, 0)), torch.Generator().manual_seed(0))
    assert not torch.isin(hidden.labels[:, [0, -1]], torch.tensor([first, last])).any()


@pytest.mark.parametrize("family", ["bert", "mpnet", *UNIGRAM, *BYTES])
def test_augmentation_replaces_words_and_keeps_spaces_and_punctuation(loaded, family, monkeypatch):
    """A word of a Unigram vocabulary keeps the full stop behind it; `filmy` has two pieces and stays."""
    tokenizer = loaded(family)
    text = "the  dull film, was filmy.\n not a good plot."
    words = augment.whole_words(tokenizer)
    new = next(i for i, word in words.items() if word == "terrible")
    monkeypatch.setattr(
        augment.CandidateFinder, "most_likely", lambda self, ids, targets: torch.full((len(targets), 1), new)
    )
    model = SimpleNamespace(tokenizer=tokenizer, positions=64)
    find = augment.CandidateFinder(model, torch.device("cpu"), words, 1, 1)
    places = json.loads(find({"text": [text]})["places"][0])
    (changed,) = augment.draw(text, places, copies=1, rate=1.0, seed=0)
    first = "the" if family in BYTES else "terrible"  # in byte-level BPE the first word has no space before it
    assert changed == f"{first}  terrible terrible, terrible filmy.\n terrible terrible terrible terrible."
