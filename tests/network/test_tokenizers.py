"""A tokenizer is the model's own, its tokens have embeddings, and whatever changes tokens names the cache."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from prunebert.errors import BadInput
from prunebert.network import heads, models, tokenizers
from prunebert.network.checkpoint import Place
from prunebert.network.interface import Form
from prunebert.tasks.cache import tokenised
from prunebert.tasks.mlm import mlm_task
from prunebert.tasks.text import text_task
from tests.toys import TASK, rows, save_model

LONG = pd.DataFrame({"text_a": ["good film " + "dull " * 20 + "bad plot"] * 2})


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("tokenizers") / "bert")


@pytest.fixture
def folder(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "bert"))


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


def settings(folder: Path, **values) -> None:
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def embeddings(folder: Path, count: int, kind: str = "word_embeddings") -> None:
    """Give the embeddings and the masked-LM head another number of rows."""
    tensors = load_file(folder / "model.safetensors")
    for name, x in tensors.items():
        is_vocabulary = kind == "word_embeddings" and name.startswith("cls.predictions.") and x.shape[0] == 81
        if name == f"bert.embeddings.{kind}.weight" or is_vocabulary:
            tensors[name] = torch.cat([x, torch.zeros(max(0, count - len(x)), *x.shape[1:])])[:count].contiguous()
    save_file(tensors, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    key = "vocab_size" if kind == "word_embeddings" else "type_vocab_size"
    (folder / "config.json").write_text(json.dumps(config | {key: count}))


def task_on(model: models.Model, table: pd.DataFrame, folder: Path, **changes):
    table.to_csv(folder / "rows.csv", index=False)
    file = str(folder / "rows.csv")
    keys = TASK | {"train": file, "eval": file, "metric": "prunebert.metrics:Accuracy"} | changes
    return text_task(tokenizer=model.tokenizer, positions=64, **keys)


def tokens(folder: Path) -> list[list[int]]:
    """Return the tokens of LONG, at most 8 for each, through the cache."""
    tokenizer = models.load(str(folder)).tokenizer

    def cut(batch):
        return {"input_ids": tokenizer(batch["text_a"], truncation=True, max_length=8)["input_ids"]}

    return tokenised(LONG, cut, tokenizer, {"max_length": 8})["input_ids"]


@pytest.mark.parametrize("files", [["tokenizer.json", "tokenizer_config.json"], ["tokenizer.json"]])
def test_a_folder_without_a_vocabulary_is_refused(folder, files):
    (folder / "vocab.txt").unlink(missing_ok=True)
    for name in files:
        (folder / name).unlink()
    with pytest.raises(BadInput, match="no vocabulary but special tokens"):
        models.load(str(folder))


def test_a_vocabulary_that_is_a_small_share_of_the_embeddings_is_refused_and_padding_is_not(folder):
    embeddings(folder, 128)  # padded to a multiple of 128
    assert models.load(str(folder)).config.vocab_size == 128
    embeddings(folder, 1000)
    with pytest.raises(BadInput, match="has 81 tokens and its embeddings have 1000 rows"):
        models.load(str(folder))


def test_ids_beyond_the_embeddings_are_refused_before_training_and_only_if_the_texts_have_them(
    folder, original, tmp_path
):
    embeddings(folder, 60)  # the vocabulary ends with single letters and their continuations
    model = models.load(str(folder))
    table = rows(20).assign(second="yes")
    assert len(task_on(model, table, tmp_path).rows["train"]) == 20
    with pytest.raises(BadInput, match="81 tokens and its embeddings have 60 rows, and these texts have token"):
        task_on(model, table.assign(sentence="good xyz"), tmp_path)
    masked = mlm_task(
        tokenizer=model.tokenizer,
        positions=64,
        name="toy",
        corpus=lambda: {split: ["the film was good"] * 9 for split in ("train", "validation")},
        block=8,
        rate=0.5,
    )
    assert masked.vocabulary == 60  # random tokens have rows too
    fewer = Path(shutil.copytree(original, tmp_path / "fewer"))
    embeddings(fewer, 50)
    words = Form("toy", False, False, False, False, 2, 32, label_words=["good", "z"])
    with pytest.raises(BadInput, match=r"^task\.label_words: 'z' is token 52, and .* has 50 words; choose"):
        heads.build("label_words", models.load(str(fewer)), words)


def test_special_tokens_beyond_the_embeddings_are_refused(folder):
    settings(folder, mask_token="[NEWMASK]")
    with pytest.raises(BadInput, match=r"82 tokens, of which \[NEWMASK\] is number 81, and its embeddings have 81"):
        models.load(str(folder))


def test_segments_beyond_the_embeddings_are_refused_for_pairs_only(folder, tmp_path):
    embeddings(folder, 1, "token_type_embeddings")
    model = models.load(str(folder))
    assert len(task_on(model, rows(20), tmp_path).rows["train"]) == 20
    with pytest.raises(BadInput, match=r"type_vocab_size=1 .*no row for segment 1"):
        task_on(model, rows(20), tmp_path, text=["sentence", "second"])


@pytest.mark.parametrize("token", ["pad_token", "cls_token", "sep_token"])
def test_a_tokenizer_without_a_token_that_the_network_reads_is_refused(folder, token):
    settings(folder, **{token: None})
    with pytest.raises(BadInput, match=f"has no [a-z]+ token; set {token}"):
        models.load(str(folder))


def test_a_tokenizer_that_adds_no_cls_is_refused(folder):
    """A plain Rust tokenizer without a template puts nothing around a text."""
    definition = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(definition | {"post_processor": None}))
    settings(folder, tokenizer_class="PreTrainedTokenizerFast")
    with pytest.raises(BadInput, match=r"does not put \[CLS\] before a text and \[SEP\] after it"):
        models.load(str(folder))


@pytest.mark.parametrize(("pad", "message"), [(None, "pad_token_id is null"), (63, "leaves no position")])
def test_robertas_positions_start_after_its_padding(tmp_path, pad, message):
    folder = save_model(tmp_path / "roberta", "roberta")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pad_token_id": pad}))
    with pytest.raises(BadInput, match=message):
        models.load(str(folder))


def test_texts_of_unknown_words_are_refused_and_a_large_share_is_a_warning(folder, tmp_path, caplog):
    model = models.load(str(folder))
    task_on(model, rows(20), tmp_path)
    assert "[UNK]" not in caplog.text
    with pytest.raises(BadInput, match=r"all 20 words of these texts are \[UNK\]"):
        task_on(model, rows(20).assign(sentence="фильм"), tmp_path)
    task_on(model, rows(20).assign(sentence="фильм фильм good"), tmp_path)
    assert "67 % of the tokens of these texts are [UNK]" in caplog.text


@pytest.mark.parametrize(
    "values",
    [
        {"truncation_side": "left"},
        {"padding_side": "left"},
        {"split_special_tokens": True},
        {"model_max_length": 7},
        {"do_lower_case": False},
        {"strip_accents": True},
        {"clean_up_tokenization_spaces": True},
        {"model_input_names": ["input_ids", "attention_mask"]},
        {"additional_special_tokens": ["film"]},
        {"tokenizer_class": "PreTrainedTokenizerFast"},
    ],
    ids=str,
)
def test_the_definition_has_every_setting_of_the_tokenizer(folder, original, values):
    plain = models.load(str(original)).tokenizer
    assert tokenizers.definition(models.load(str(folder)).tokenizer) == tokenizers.definition(plain)  # a copy elsewhere
    settings(folder, **values)
    changed = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizers.definition(changed) != tokenizers.definition(plain)


def test_the_definition_does_not_depend_on_earlier_calls_and_names_the_libraries(folder):
    tokenizer = models.load(str(folder)).tokenizer
    before = tokenizers.definition(tokenizer)
    tokenizer(["good"], truncation=True, max_length=8, padding="max_length")
    assert tokenizers.definition(tokenizer) == before
    assert before["versions"] == [version("tokenizers"), version("transformers")]


def test_two_checkpoints_that_cut_at_different_sides_share_no_tokens(folder, original, tmp_path):
    right = tokens(original)
    settings(folder, truncation_side="left")
    left = tokens(folder)
    tokenizer = models.load(str(folder)).tokenizer
    assert right[0][1].as_py() == tokenizer.convert_tokens_to_ids("good")
    assert left[0][-2].as_py() == tokenizer.convert_tokens_to_ids("plot") != right[0][-2].as_py()
    table = rows(20).assign(sentence=LONG.text_a[0] + LONG.text_a[0])
    prints = [task_on(models.load(str(f)), table, tmp_path).rows["train"].fingerprint() for f in (original, folder)]
    assert prints[0] != prints[1]


def test_tokens_beyond_the_embeddings_are_refused_in_predictions_too(folder):
    tokenizer = models.load(str(folder)).tokenizer
    ids = {"input_ids": np.array([2, 81, 3])}
    with pytest.raises(BadInput, match="have token 81"):
        tokenizers.require_known_ids(tokenizer, ids)
    tokenizers.require_known_ids(tokenizer, {"input_ids": np.array([2, 80, 3])})


@pytest.mark.parametrize(
    "columns",
    [["input_ids"], ["attention_mask"], ["input_ids", "attention_mask", "bbox"], "input_ids", [["input_ids"]], []],
    ids=str,
)
def test_inputs_that_the_network_does_not_read_or_lacks_are_refused(folder, columns):
    settings(folder, model_input_names=columns)
    with pytest.raises(BadInput, match=r"tokenizer_config\.json: model_input_names=.*allowed are input_ids, attention"):
        models.load(str(folder))


def test_a_word_that_the_tokenizer_cannot_encode_is_told_in_one_line(folder):
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    del content["model"]["vocab"]["[UNK]"]
    file.write_text(json.dumps(content))
    tokenizer = models.load(str(folder)).tokenizer
    texts = pd.DataFrame({"text_a": ["good film", "ξ film"]})

    def tokenize(batch):
        return {"input_ids": tokenizer(batch["text_a"])["input_ids"]}

    with pytest.raises(BadInput, match=r"model\.name=.*: its tokenizer cannot encode these texts: WordPiece error"):
        tokenised(texts, tokenize, tokenizer, {})
    assert len(tokenised(texts[:1], tokenize, tokenizer, {})) == 1


def test_the_hash_of_a_tokenizer_sees_what_changes_tokens(folder):
    tokenizer = models.load(str(folder)).tokenizer
    found = tokenizers.hash_of(tokenizer)
    assert tokenizers.hash_of(transformers.AutoTokenizer.from_pretrained(folder)) == found
    for changes in ({"do_lower_case": False}, {"truncation_side": "left"}, {"strip_accents": False}):
        other = transformers.AutoTokenizer.from_pretrained(folder, **changes)
        assert tokenizers.hash_of(other) != found, changes
        with pytest.raises(BadInput, match=r"^here: made on m with another tokenizer"):
            tokenizers.require_same(other, {"model": "m", "tokenizer_hash": found}, "here")
    tokenizers.require_same(other, {"model": "m"}, "here")  # an older result


@pytest.mark.parametrize(("words", "rows"), [(1000, 2000), (100, 228), (1000, 2001), (100, 229)])
def test_a_vocabulary_under_half_of_the_embeddings_is_another_models_unless_a_few_rows_pad(words, rows):
    tokenizer = SimpleNamespace(get_vocab=lambda: dict.fromkeys(map(str, range(words))), all_special_tokens=[])
    place = Place("x", "x", "main")
    if rows % 2 == 0:
        tokenizers._require_own_vocabulary(place, tokenizer, rows)
    else:
        with pytest.raises(BadInput, match=f"its tokenizer has {words} tokens and its embeddings have {rows} rows"):
            tokenizers._require_own_vocabulary(place, tokenizer, rows)
