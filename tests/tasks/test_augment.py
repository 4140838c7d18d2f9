"""Augmentation: candidates against the stock masked-LM head, what stays unchanged, and the draws."""

import inspect
import json
import re
from pathlib import Path

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
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


def places(model, texts, count=5):
    """Return [(begin, end, candidates)] of each text, as `masked_lm` finds them."""
    find = augment.CandidateFinder(model, CPU, augment.whole_words(model.tokenizer), count, len(texts))
    return [json.loads(p) for p in find({"text": texts})["places"]]


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "electra"])
@pytest.mark.parametrize("tokens", [augment.TOKENS, 40])
def test_candidates_are_the_stock_heads_one_mask_at_a_time(tmp_path, monkeypatch, kind, tokens):
    monkeypatch.setattr(augment, "TOKENS", tokens)
    folder = save_model(tmp_path / kind, kind)
    model = models.load(str(folder))
    stock = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    words = {i: token for token, i in model.tokenizer.get_vocab().items() if re.fullmatch("[a-z]+", token)}
    word_count = 0
    for text, replaceable in zip(TEXTS, places(model, TEXTS), strict=True):
        expected = [m for m in re.finditer("[A-Za-z]+", text) if m[0].lower() in words.values()]
        assert [(begin, end) for begin, end, _ in replaceable] == [m.span() for m in expected]
        for begin, end, candidates in replaceable:
            ids = model.tokenizer(f"{text[:begin]} [MASK] {text[end:]}", return_tensors="pt")["input_ids"]
            logits = stock(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[ids == 4][0]
            best = sorted(words, key=lambda i: -logits[i].item())[:5]
            assert [c.lower() for c in candidates] == [words[i] for i in sorted(best)]
            word_count += 1
    assert word_count > 60


def byte_level(folder: Path) -> models.Model:
    """Make a random RoBERTa with its own byte-level BPE vocabulary."""
    sentences = ["the good film was a good plot"] * 20 + ["the café was bad, and bad it was 42"] * 20
    trainer = tokenizers.ByteLevelBPETokenizer()
    trainer.train_from_iterator(
        sentences, vocab_size=330, min_frequency=1, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    )
    folder.mkdir()
    vocab, merges = trainer.save_model(str(folder))
    pairs = [tuple(line.split()) for line in Path(merges).read_text("utf-8").splitlines()[1:]]
    tokenizer = transformers.RobertaTokenizerFast(vocab=json.loads(Path(vocab).read_text("utf-8")), merges=pairs)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = transformers.RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=66, **size)
    torch.manual_seed(0)
    transformers.RobertaForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return models.load(str(folder))


def test_byte_level_words_begin_with_a_space(tmp_path):
    """The first word and the word after a quotation mark do not. `zzz` has several pieces; `42` has no letters."""
    model = byte_level(tmp_path / "bpe")
    text = 'the good  café was "bad, zzz 42 film.'
    (replaceable,) = places(model, [text], 3)
    assert [text[begin:end] for begin, end, _ in replaceable] == ["good", "café", "was", "film"]
    decoded_tokens = {model.tokenizer.decode([i]) for i in range(len(model.tokenizer))}
    stock = model.masked_lm()
    vocabulary = [i for i in range(len(model.tokenizer)) if re.fullmatch(r" [^\W\d_]+", model.tokenizer.decode([i]))]
    for begin, _, candidates in replaceable:
        assert all(f" {c}" in decoded_tokens and c.isalpha() for c in candidates)
        encoded = model.tokenizer(text, return_tensors="pt")
        position = encoded.char_to_token(begin)
        ids = encoded["input_ids"]
        ids[0, position] = model.tokenizer.mask_token_id
        logits = stock(input_ids=ids).logits[0, position]
        best = sorted(vocabulary, key=lambda i: -logits[i].item())[:3]
        assert set(candidates) == {model.tokenizer.decode([i]).strip() for i in best}
    new_texts = masked_lm([text], model=model, device=CPU, copies=5, rate=1, candidates=3, seed=0)[0]
    assert new_texts and all(re.fullmatch(r'the \w+  \w+ \w+ "bad, zzz 42 \w+\.', t) for t in new_texts)


def test_at_rate_one_every_word_is_a_candidate_and_the_rest_is_unchanged(model):
    (replaceable,) = places(model, [ODD])
    (new_texts,) = masked_lm([ODD], model=model, **SETTINGS | {"rate": 1})
    assert len(new_texts) == len(set(new_texts)) > 10 and ODD not in new_texts
    allowed = ["|".join(words) for _, _, words in replaceable]
    pattern = "  ({})  ({}) ({}),\t({}) ({}) filmy ☃ 42 -- ({})\\?\n".format(*allowed)
    assert all(re.fullmatch(pattern, text) for text in new_texts)
    words_by_position = zip(*(re.fullmatch(pattern, text).groups() for text in new_texts), strict=True)
    assert all(len(set(words)) > 2 for words in words_by_position)
    for begin, end, words in places(model, [ODD], 48)[0]:  # all words; the word itself is spelt as in the text
        assert len(set(words)) == 48 and ODD[begin:end] in words


def test_texts_of_equal_length_have_different_draws():
    replaceable = [(2 * i, 2 * i + 1, ["x"]) for i in range(9)]
    draws_a, draws_b = (augment.draw(" ".join(c * 9), replaceable, 9, 0.5, seed=0) for c in "ab")
    assert [t.replace("b", "a") for t in draws_b] != draws_a


def test_a_word_is_replaced_at_the_rate_with_equal_odds_for_each_candidate():
    text = " ".join("w" * 40)  # long enough for no unchanged text and no duplicate
    replaceable = [(2 * i, 2 * i + 1, list("abcd")) for i in range(40)]
    new_texts = augment.draw(text, replaceable, 500, 0.3, seed=1)
    assert len(new_texts) == 500
    drawn = "".join(new_texts).replace(" ", "")
    assert drawn.count("w") / len(drawn) == pytest.approx(0.7, abs=0.02)
    assert all(drawn.count(c) / len(drawn) == pytest.approx(0.075, abs=0.01) for c in "abcd")


def test_nothing_new_where_nothing_is_replaced(model):
    assert masked_lm(TEXTS, model=model, **SETTINGS | {"rate": 0}) == [[] for _ in TEXTS]
    new_texts = masked_lm(["filmy 42", "?!", ""], model=model, **SETTINGS | {"rate": 1})
    assert new_texts == [[], [], []]


def test_new_texts_are_distinct_and_at_most_copies(model):
    for text, new_texts in zip(TEXTS, masked_lm(TEXTS, model=model, **SETTINGS), strict=True):
        assert len(set(new_texts)) == len(new_texts) <= 20 and text not in new_texts
        assert not text.strip("?! ") or len(new_texts) > (1 if text == "good film" else 10)


def test_draws_depend_on_the_text_and_the_seed_but_not_on_other_texts(model, tmp_path, monkeypatch):
    together = dict(zip(TEXTS, masked_lm(TEXTS, model=model, **SETTINGS), strict=True))
    monkeypatch.setattr(augment, "TOKENS", 30)
    for i, some in enumerate([TEXTS[::-1], TEXTS[:1], [TEXTS[5], ODD, TEXTS[5]]]):
        monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / str(i)))
        assert masked_lm(some, model=model, **SETTINGS) == [together[text] for text in some]
    assert masked_lm([ODD], model=model, **SETTINGS | {"seed": 1}) != [together[ODD]]


def test_candidates_are_read_from_the_cache_without_a_model(model, monkeypatch):
    computed = masked_lm(TEXTS, model=model, **SETTINGS)

    def never(self):
        raise AssertionError("the model ran again")

    monkeypatch.setattr(models.Model, "masked_lm", never)
    assert masked_lm(TEXTS, model=model, **SETTINGS) == computed
    assert masked_lm(TEXTS, model=model, **SETTINGS | {"seed": 1, "rate": 0.5}) != computed
    for changed in ({"candidates": 4}, {"texts": TEXTS[1:]}):
        with pytest.raises(AssertionError, match="the model ran again"):
            masked_lm(**{"texts": TEXTS, "model": model, **SETTINGS, **changed})
    model.heads_hash()  # what else decides the candidates: other weights, another head, its shape, its longest text
    for value in ({"weights_hash": "other"}, {"positions": 63}, {"architecture": lambda: {"hidden_act": "relu"}}):
        with monkeypatch.context() as patch, pytest.raises(AssertionError, match="the model ran again"):
            for name, changed in value.items():
                patch.setattr(model, name, changed)
            masked_lm(TEXTS, model=model, **SETTINGS)
    model.heads_read = "other"
    with pytest.raises(AssertionError, match="the model ran again"):
        masked_lm(TEXTS, model=model, **SETTINGS)


def test_words_beyond_the_longest_sequence_stay(model, monkeypatch):
    text = "good " * 61 + "filmy film film"  # 62 tokens between [CLS] and [SEP]; the cut is inside filmy
    token_ids = []
    most_likely = augment.CandidateFinder.most_likely
    monkeypatch.setattr(
        augment.CandidateFinder,
        "most_likely",
        lambda self, ids, targets: token_ids.append(ids) or most_likely(self, ids, targets),
    )
    (replaceable,) = places(model, [text])
    assert [begin for begin, _, _ in replaceable] == list(range(0, 305, 5))
    assert token_ids == [[model.tokenizer.encode(text, truncation=True, max_length=64)]]


def test_a_model_without_the_head_and_an_unsupported_vocabulary_are_refused(model, tmp_path):
    headless = models.load(str(save_model(tmp_path / "headless", masked_lm=False)))
    with pytest.raises(BadInput, match="without a masked-LM head"):
        masked_lm(TEXTS, model=headless, **SETTINGS)
    model.tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
    )
    with pytest.raises(BadInput, match=r"this is WordLevel; use augment=none"):
        masked_lm(TEXTS, model=model, **SETTINGS)


def test_the_head_runs_on_the_runs_device(cli, toy, monkeypatch):
    """The CPU with impl=cpu; its own GPU for each cell of a sweep and each rank of torchrun."""
    devices = []
    gpu = torch.device("cuda", 1)
    monkeypatch.setattr(Impl, "torch_device", gpu)

    def end_here(texts, *, device, **_):
        devices.append(device)
        raise BadInput("this machine has no such device")

    monkeypatch.setattr(augment, "masked_lm", end_here)
    status, printed = cli(*toy, "method=magnitude", "augment=mlm", "dry=true")
    assert status == 2 and devices == [gpu], printed


def test_both_options_bind(model):
    folder = Path(__file__).parents[2] / "conf/augment"
    options = {p.stem: yaml.safe_load(p.read_text()) for p in folder.glob("*.yaml")}
    assert options.keys() == {"none", "mlm"} and options["none"] == {"_target_": "prunebert.tasks.augment.none"}
    assert augment.none() is None
    assert options["mlm"].pop("_target_") == "prunebert.tasks.augment.masked_lm" and options["mlm"].pop("_partial_")
    inspect.signature(masked_lm).bind(TEXTS, model=model, device=CPU, **options["mlm"])
    assert options["mlm"] == {"copies": 20, "rate": 0.4, "candidates": 15, "seed": "${seed}"}
