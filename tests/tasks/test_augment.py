"""Augmentation: what the stock masked-LM head says one word at a time, what stays as it was, and what a task gets."""

import inspect
import json
import re
from pathlib import Path

import datasets
import pytest
import tokenizers
import torch
import transformers
import yaml

from prunebert.errors import BadInput
from prunebert.network import models
from prunebert.system.impl import Impl
from prunebert.tasks import augment
from prunebert.tasks.augment import masked_lm
from tests.toys import rows, save_model

CPU = torch.device("cpu")
SETTINGS = {"device": CPU, "copies": 20, "rate": 0.4, "candidates": 5, "seed": 0}
ODD = "  The  GOOD film,\twas not filmy ☃ 42 -- dull?\n"  # filmy is two pieces, ☃ unknown
TEXTS = [ODD, "good film", "?!", "", *rows(12).sentence]
METRIC = {"metric": "prunebert.metrics:Accuracy"}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def places(model, texts, count=5):
    """By text: [(begin, end, candidates)], as `masked_lm` finds them."""
    ask = augment.Asking(model, CPU, augment.whole_words(model.tokenizer), count, len(texts))
    return [json.loads(p) for p in ask({"text": texts})["places"]]


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "electra"])
@pytest.mark.parametrize("tokens", [augment.TOKENS, 40])
def test_candidates_are_the_stock_heads_one_mask_at_a_time(tmp_path, monkeypatch, kind, tokens):
    monkeypatch.setattr(augment, "TOKENS", tokens)
    folder = save_model(tmp_path / kind, kind)
    model = models.load(str(folder))
    stock = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    words = {i: token for token, i in model.tokenizer.get_vocab().items() if re.fullmatch("[a-z]+", token)}
    asked = 0
    for text, found in zip(TEXTS, places(model, TEXTS), strict=True):
        expected = [m for m in re.finditer("[A-Za-z]+", text) if m[0].lower() in words.values()]
        assert [(begin, end) for begin, end, _ in found] == [m.span() for m in expected]
        for begin, end, candidates in found:
            ids = model.tokenizer(f"{text[:begin]} [MASK] {text[end:]}", return_tensors="pt")["input_ids"]
            logits = stock(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[ids == 4][0]
            best = sorted(words, key=lambda i: -logits[i].item())[:5]
            assert [c.lower() for c in candidates] == [words[i] for i in sorted(best)]
            asked += 1
    assert asked > 60


def byte_level(folder: Path) -> models.Model:
    """A random RoBERTa with a byte-level BPE vocabulary of its own."""
    sentences = ["the good film was a good plot"] * 20 + ["the café was bad, and bad it was 42"] * 20
    trainer = tokenizers.ByteLevelBPETokenizer()
    trainer.train_from_iterator(
        sentences, vocab_size=330, min_frequency=1, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    )
    folder.mkdir()
    vocab, merges = trainer.save_model(str(folder))
    tokenizer = transformers.RobertaTokenizerFast(vocab=vocab, merges=merges)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = transformers.RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=66, **size)
    torch.manual_seed(0)
    transformers.RobertaForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return models.load(str(folder))


def test_byte_level_words_begin_with_a_space(tmp_path):
    """The first word and the one after a quotation mark do not; `zzz` is several pieces, `42` no letters."""
    model = byte_level(tmp_path / "bpe")
    text = 'the good  café was "bad, zzz 42 film.'
    (found,) = places(model, [text], 3)
    assert [text[begin:end] for begin, end, _ in found] == ["good", "café", "was", "film"]
    known = {model.tokenizer.decode([i]) for i in range(len(model.tokenizer))}
    stock = model.masked_lm()
    vocabulary = [i for i in range(len(model.tokenizer)) if re.fullmatch(r" [^\W\d_]+", model.tokenizer.decode([i]))]
    for begin, end, candidates in found:
        assert all(f" {c}" in known and c.isalpha() for c in candidates)
        ids = model.tokenizer(f"{text[: begin - 1]}<mask>{text[end:]}", return_tensors="pt")["input_ids"]
        logits = stock(input_ids=ids).logits[ids == model.tokenizer.mask_token_id][0]
        best = sorted(vocabulary, key=lambda i: -logits[i].item())[:3]
        assert set(candidates) == {model.tokenizer.decode([i]).strip() for i in best}
    new = masked_lm([text], model=model, device=CPU, copies=5, rate=1, candidates=3, seed=0)[0]
    assert new and all(re.fullmatch(r'the \w+  \w+ \w+ "bad, zzz 42 \w+\.', t) for t in new)


def test_at_rate_one_every_word_is_a_candidate_and_the_rest_is_as_it_was(model):
    (found,) = places(model, [ODD])
    (new,) = masked_lm([ODD], model=model, **SETTINGS | {"rate": 1})
    assert len(new) == len(set(new)) > 10 and ODD not in new
    allowed = ["|".join(words) for _, _, words in found]
    pattern = "  ({})  ({}) ({}),\t({}) ({}) filmy ☃ 42 -- ({})\\?\n".format(*allowed)
    assert all(re.fullmatch(pattern, text) for text in new)
    seen = zip(*(re.fullmatch(pattern, text).groups() for text in new), strict=True)
    assert all(len(set(words)) > 2 for words in seen)
    for begin, end, words in places(model, [ODD], 48)[0]:  # all there are; the word itself is spelt as it was
        assert len(set(words)) == 48 and ODD[begin:end] in words


def test_texts_of_one_shape_have_draws_of_their_own():
    where = [(2 * i, 2 * i + 1, ["x"]) for i in range(9)]
    one, other = (augment.draw(" ".join(c * 9), where, 9, 0.5, seed=0) for c in "ab")
    assert [t.replace("b", "a") for t in other] != one


def test_a_word_is_replaced_at_the_rate_by_each_candidate_alike():
    text = " ".join("w" * 40)  # none comes out as it was, and none twice
    where = [(2 * i, 2 * i + 1, list("abcd")) for i in range(40)]
    new = augment.draw(text, where, 500, 0.3, seed=1)
    assert len(new) == 500
    drawn = "".join(new).replace(" ", "")
    assert drawn.count("w") / len(drawn) == pytest.approx(0.7, abs=0.02)
    assert all(drawn.count(c) / len(drawn) == pytest.approx(0.075, abs=0.01) for c in "abcd")


def test_nothing_new_where_nothing_is_replaced(model):
    assert masked_lm(TEXTS, model=model, **SETTINGS | {"rate": 0}) == [[] for _ in TEXTS]
    new = masked_lm(["filmy 42", "?!", ""], model=model, **SETTINGS | {"rate": 1})
    assert new == [[], [], []]


def test_new_texts_are_distinct_and_at_most_as_many_as_asked(model):
    for text, new in zip(TEXTS, masked_lm(TEXTS, model=model, **SETTINGS), strict=True):
        assert len(set(new)) == len(new) <= 20 and text not in new
        assert not text.strip("?! ") or len(new) > (1 if text == "good film" else 10)


def test_a_text_gets_the_same_in_any_company_and_other_words_with_another_seed(model, tmp_path, monkeypatch):
    together = dict(zip(TEXTS, masked_lm(TEXTS, model=model, **SETTINGS), strict=True))
    monkeypatch.setattr(augment, "TOKENS", 30)
    for i, some in enumerate([TEXTS[::-1], TEXTS[:1], [TEXTS[5], ODD, TEXTS[5]]]):
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / str(i))
        assert masked_lm(some, model=model, **SETTINGS) == [together[text] for text in some]
    assert masked_lm([ODD], model=model, **SETTINGS | {"seed": 1}) != [together[ODD]]


def test_what_the_head_said_is_read_back_without_a_model(model, monkeypatch):
    first = masked_lm(TEXTS, model=model, **SETTINGS)

    def never(self):
        raise AssertionError("asked again")

    monkeypatch.setattr(models.Model, "masked_lm", never)
    assert masked_lm(TEXTS, model=model, **SETTINGS) == first
    assert masked_lm(TEXTS, model=model, **SETTINGS | {"seed": 1, "rate": 0.5}) != first
    for changed in ({"candidates": 4}, {"texts": TEXTS[1:]}):
        with pytest.raises(AssertionError, match="asked again"):
            masked_lm(**{"texts": TEXTS, "model": model, **SETTINGS, **changed})
    model.weights_hash = "other"
    with pytest.raises(AssertionError, match="asked again"):
        masked_lm(TEXTS, model=model, **SETTINGS)


def test_words_beyond_the_longest_sequence_stay(model, monkeypatch):
    text = "good " * 61 + "filmy film film"  # 62 tokens between [CLS] and [SEP]; the cut is inside filmy
    read = []
    likely = augment.Asking.likely
    monkeypatch.setattr(augment.Asking, "likely", lambda self, ids, asked: read.append(ids) or likely(self, ids, asked))
    (found,) = places(model, [text])
    assert [begin for begin, _, _ in found] == list(range(0, 305, 5))
    assert read == [[model.tokenizer.encode(text, truncation=True, max_length=64)]]


def test_a_model_without_the_head_and_a_foreign_vocabulary_are_told(model, tmp_path):
    headless = models.load(str(save_model(tmp_path / "headless", masked_lm=False)))
    with pytest.raises(BadInput, match="without a masked-LM head"):
        masked_lm(TEXTS, model=headless, **SETTINGS)
    model.tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.Unigram([("a", -1.0)]))
    )
    with pytest.raises(BadInput, match=r"this is Unigram; use augment=none"):
        masked_lm(TEXTS, model=model, **SETTINGS)


def test_the_head_is_asked_on_the_runs_own_device(cli, toy, monkeypatch):
    """impl=cpu, and of a sweep's cells or torchrun's ranks each its own GPU."""
    asked = []
    own = torch.device("cuda", 1)
    monkeypatch.setattr(Impl, "torch_device", own)
    monkeypatch.setattr(augment, "masked_lm", lambda texts, *, device, **_: asked.append(device) or [[] for _ in texts])
    status, printed = cli(*toy, "method=magnitude", "augment=mlm", "dry=true")
    assert status == 0 and asked == [own], printed


def test_both_options_bind(model):
    folder = Path(__file__).parents[2] / "conf/augment"
    options = {p.stem: yaml.safe_load(p.read_text()) for p in folder.glob("*.yaml")}
    assert options.keys() == {"none", "mlm"} and options["none"] == {"_target_": "prunebert.tasks.augment.none"}
    assert augment.none() is None
    assert options["mlm"].pop("_target_") == "prunebert.tasks.augment.masked_lm" and options["mlm"].pop("_partial_")
    inspect.signature(masked_lm).bind(TEXTS, model=model, device=CPU, **options["mlm"])
    assert options["mlm"] == {"copies": 20, "rate": 0.4, "candidates": 15, "seed": "${seed}"}
