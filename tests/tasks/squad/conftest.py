"""A small SQuAD: three contexts, a tokenizer with their words, and the task over them."""

import json
import re
from pathlib import Path

import evaluate
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from prunebert.tasks.squad import squad_task
from tests.toys import SQUAD

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
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", tmp_path / "metrics")


@pytest.fixture(scope="module")
def tokenizer():
    """Make a word-piece tokenizer with an entry for every word and sign of DATA, without any file."""
    texts = [t for context, questions in DATA + UNANSWERABLE for t in (context, *(q for _, q, _ in questions))]
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
    """Return `data` in SQuAD's nesting, with extra keys that a reader must ignore."""
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
                for name, question, golds in questions
            ],
        }
        for context, questions in data
    ]
    return {"version": "1.1", "canary": "c", "data": [{"title": "T", "paragraphs": paragraphs}]}


def write(path: Path, file_content) -> str:
    path.write_text(file_content if isinstance(file_content, str) else json.dumps(file_content), "utf-8")
    return str(path)


@pytest.fixture
def make(tokenizer, tmp_path):
    """Make a squad_task with small windows over DATA, for training and evaluation. Any setting can be changed."""

    def build(**changed):
        data = DATA + UNANSWERABLE if changed.get("no_answer") else DATA
        file = write(tmp_path / "data.json", content(data))
        small = {"train": file, "eval": file, "max_length": 20, "stride": 5, "label_words": ["Yes", "No"]}
        return squad_task(tokenizer=tokenizer, positions=64, **SQUAD | small | changed)

    return build
