"""Tokenizers of every family: their tokens, the columns that the network reads, and words as they are inside a text."""

import io
import json
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import transformers

from prunebert.errors import BadInput
from prunebert.network import heads, tokenizers, words
from prunebert.network.checkpoint import Place
from tests.small_tokenizers import LETTERS, merges, save
from tests.toys import WORDS

CONFIGS = {
    "bert": transformers.BertConfig,
    "nomic_bert": transformers.NomicBertConfig,
    "distilbert": transformers.DistilBertConfig,
    "mpnet": transformers.MPNetConfig,
    "roberta": transformers.RobertaConfig,
    "xlm-roberta": transformers.XLMRobertaConfig,
    "camembert": transformers.CamembertConfig,
    "albert": transformers.AlbertConfig,
    "deberta-v2": transformers.DebertaV2Config,
    "modernbert": transformers.ModernBertConfig,
    "eurobert": transformers.EuroBertConfig,
}
# The tokens of "a great film" and of the pair with "a film". Special tokens come first in most vocabularies, then the
# words of toys.WORDS: good, bad, film, great, terrible, the, a. Byte-level ones have 256 bytes, of which a is number
# 64, and " good", " bad", " film" and " great" letter by letter.
TOKENS = {
    "bert": ([2, 11, 8, 7, 3], [2, 11, 8, 7, 3, 11, 7, 3]),
    "nomic_bert": ([2, 11, 8, 7, 3], [2, 11, 8, 7, 3, 11, 7, 3]),
    "distilbert": ([2, 11, 8, 7, 3], [2, 11, 8, 7, 3, 11, 7, 3]),
    "mpnet": ([0, 11, 8, 7, 2], [0, 11, 8, 7, 2, 2, 11, 7, 2]),
    "roberta": ([0, 69, 275, 271, 2], [0, 69, 275, 271, 2, 2, 69, 271, 2]),
    "xlm-roberta": ([0, 10, 7, 6, 2], [0, 10, 7, 6, 2, 2, 10, 6, 2]),
    "camembert": ([5, 13, 10, 9, 6], [5, 13, 10, 9, 6, 6, 13, 9, 6]),
    "albert": ([2, 11, 8, 7, 3], [2, 11, 8, 7, 3, 11, 7, 3]),
    "deberta-v2": ([1, 10, 7, 6, 2], [1, 10, 7, 6, 2, 10, 6, 2]),
    "modernbert": ([330, 64, 270, 266, 331], [330, 64, 270, 266, 331, 64, 266, 331]),
    "eurobert": ([329, 64, 270, 266, 330], [329, 64, 270, 266, 330, 329, 64, 266, 330]),
}
SEGMENTS = ("bert", "nomic_bert", "albert")
UNIGRAM, BYTES = ("xlm-roberta", "camembert", "albert", "deberta-v2"), ("roberta", "modernbert", "eurobert")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Return a function that gives a family's tokenizer as `models.load` has it. Each is loaded once."""

    @cache
    def load(family, **changes):
        folder = tmp_path_factory.mktemp("tokenizer")
        count = len(save(folder, family))
        return tokenizers.load(place(folder), CONFIGS[family](vocab_size=count, **changes))

    return load


def place(folder) -> Place:
    return Place(str(folder), str(folder), "main")


def model_with(tokenizer) -> SimpleNamespace:
    return SimpleNamespace(tokenizer=tokenizer, name="m")


@pytest.mark.parametrize("family", TOKENS)
def test_the_tokens_are_those_written_by_hand_and_the_columns_those_that_the_network_reads(loaded, family):
    tokenizer = loaded(family)
    single, pair = TOKENS[family]
    assert tokenizer("a great film")["input_ids"] == single
    encoded = tokenizer("a great film", "a film")
    assert encoded["input_ids"] == pair
    assert set(encoded) == {"input_ids", "attention_mask"} | ({"token_type_ids"} if family in SEGMENTS else set())
    if family in SEGMENTS:
        assert encoded["token_type_ids"] == [0] * 5 + [1] * 3
    tokenizers.require_known_ids(tokenizer, {c: np.array(x) for c, x in encoded.items()})
    assert tokenizers.around(tokenizer) == ([single[0]], [single[-1]])
    assert tokenizers.hash_of(tokenizer) == tokenizers.hash_of(tokenizer)


def test_an_exported_albert_still_makes_segments(loaded, tmp_path):
    loaded("albert").save_pretrained(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert again("a", "a")["token_type_ids"] == [0, 0, 0, 1, 1]


def test_segments_follow_the_network_and_the_checkpoints_own_list(loaded, tmp_path):
    assert "token_type_ids" in loaded("deberta-v2", type_vocab_size=2).model_input_names
    assert "token_type_ids" not in loaded("roberta", type_vocab_size=2).model_input_names  # its segments are always 0
    count = len(save(tmp_path, "albert"))
    file = tmp_path / "tokenizer_config.json"
    own = {"model_input_names": ["input_ids", "attention_mask"]}
    file.write_text(json.dumps(json.loads(file.read_text()) | own))
    tokenizer = tokenizers.load(place(tmp_path), transformers.AlbertConfig(vocab_size=count))
    assert tokenizer.model_input_names == own["model_input_names"]


def test_eurobert_needs_its_first_token_and_padding_but_no_cls(tmp_path):
    count = len(save(tmp_path, "eurobert"))
    config = transformers.EuroBertConfig(vocab_size=count)
    file = tmp_path / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps(settings | {"pad_token": None}))
    with pytest.raises(BadInput, match="has no padding token; set pad_token"):
        tokenizers.load(place(tmp_path), config)
    file.write_text(json.dumps(settings | {"bos_token": "[NEW]"}))
    with pytest.raises(BadInput, match=r"of which \[NEW\] is number 332, and its embeddings have 332 rows"):
        tokenizers.load(place(tmp_path), config)
    file.write_text(json.dumps(settings))
    with pytest.raises(BadInput, match=r"<\|end_of_text\|> is number 330, and its embeddings have 330 rows"):
        tokenizers.load(place(tmp_path), transformers.EuroBertConfig(vocab_size=330))
    backend = tmp_path / "tokenizer.json"
    backend.write_text(json.dumps(json.loads(backend.read_text()) | {"post_processor": None}))
    with pytest.raises(BadInput, match=r"does not put <\|begin_of_text\|> before a text$"):
        tokenizers.load(place(tmp_path), config)


@pytest.mark.parametrize("family", TOKENS)
def test_a_label_word_is_the_token_that_it_is_inside_a_text(loaded, family):
    tokenizer = loaded(family)
    inside = tokenizer("a great film")["input_ids"][2]
    assert heads.word_id(model_with(tokenizer), "great") == inside == TOKENS[family][0][2]
    assert heads.word_ids(model_with(tokenizer), WORDS) == [
        tokenizer(f"a {word}", add_special_tokens=False)["input_ids"][-1] for word in WORDS
    ]
    with pytest.raises(BadInput, match=r"'greatfilm' is not one token of m's vocabulary \(it has \d+ tokens"):
        heads.word_id(model_with(tokenizer), "greatfilm")
    mask = tokenizer.mask_token
    with pytest.raises(BadInput, match="is the special token"):
        heads.word_id(model_with(tokenizer), mask)


def test_a_word_in_another_case_is_suggested_if_it_is_one_token(loaded):
    for family in ("modernbert", "xlm-roberta"):
        with pytest.raises(BadInput, match=r"'Great' is .*; choose another word, such as 'great'$"):
            heads.word_id(model_with(loaded(family)), "Great")
        with pytest.raises(BadInput, match=r"choose another word$"):
            heads.word_id(model_with(loaded(family)), "GreatFilm")


@pytest.mark.parametrize("scheme", ["always", "first", "never"])
def test_a_unigram_word_follows_the_tokenizers_own_rule_for_spaces(tmp_path, scheme):
    """Whatever comes before the first word of a text, inside it `great` is ▁great (number 7)."""
    count = len(save(tmp_path, "deberta-v2"))
    file = tmp_path / "tokenizer.json"
    settings = json.loads(file.read_text())
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": True}
    file.write_text(json.dumps(settings | {"pre_tokenizer": metaspace}))
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": "TokenizersBackend"}))
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert len(tokenizer) == count
    assert (tokenizer("great", add_special_tokens=False)["input_ids"] == [7]) == (scheme != "never")
    assert words.ids_inside(tokenizer, "great") == [7]


def test_a_word_of_a_script_without_spaces_is_its_token_without_the_space():
    tokenizer = transformers.XLMRobertaTokenizer(
        vocab=[*((t, 0.0) for t in ("<s>", "<pad>", "</s>", "<unk>")), ("▁", -5.0), ("好", -2.0), ("<mask>", 0.0)]
    )
    assert tokenizer("好", add_special_tokens=False)["input_ids"] == [4, 5]
    assert words.ids_inside(tokenizer, "好") == [5]


@pytest.mark.parametrize("family", ["bert", *UNIGRAM, *BYTES])
def test_whole_words_are_those_that_a_space_comes_before(loaded, family):
    tokenizer = loaded(family)
    found = words.whole_words(tokenizer)
    vocabulary = tokenizer.get_vocab()
    if family in BYTES:
        assert found == {vocabulary[a + b]: (a + b)[1:] for a, b in merges()}
    elif family in UNIGRAM:
        assert found == {vocabulary[f"▁{word}"]: word for word in WORDS}
    else:
        assert found == {vocabulary[word]: word for word in {*WORDS, *LETTERS}}


@pytest.mark.parametrize("family", ["mpnet", *UNIGRAM])
def test_a_space_that_is_a_token_is_no_known_word(loaded, family, caplog):
    """In a Unigram vocabulary an unknown word is ▁ and an unknown token."""
    tokenizer = loaded(family)
    texts = tokenizer(["фильм план", "план"])["input_ids"]
    with pytest.raises(BadInput, match="all 3 words of these texts are"):
        tokenizers.require_words(tokenizer, np.concatenate(texts))
    texts = tokenizer(["фильм план", "good"])["input_ids"]
    tokenizers.require_words(tokenizer, np.concatenate(texts))
    assert "67 % of the tokens of these texts are" in caplog.text


SPECIAL_PIECES = {
    "deberta-v2": {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]", "bos_piece": "[CLS]"}
    | {"eos_piece": "[SEP]", "unk_piece": "[UNK]"},
    "xlm-roberta": {"unk_id": 0, "bos_id": 1, "eos_id": 2},
    "albert": {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3, "pad_piece": "<pad>", "bos_piece": "[CLS]"}
    | {"eos_piece": "[SEP]", "control_symbols": ["[MASK]"]},
}
FILES = {"deberta-v2": "spm.model", "xlm-roberta": "sentencepiece.bpe.model", "albert": "spiece.model"}


def sentencepiece_only(folder, family):
    """Save a small model of SentencePiece under the family's name for it, without tokenizer.json. Returns it."""
    library = pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    stream = io.BytesIO()
    sentences = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(len(WORDS))] * 3
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=stream,
        vocab_size=90,
        hard_vocab_limit=False,
        minloglevel=2,
        **SPECIAL_PIECES[family],
    )
    (folder / FILES[family]).write_bytes(stream.getvalue())
    return library.SentencePieceProcessor(model_proto=stream.getvalue())


@pytest.mark.parametrize("family", FILES)
def test_a_vocabulary_of_sentencepiece_alone_is_converted(tmp_path, family):
    """The pieces are those of SentencePiece itself."""
    original = sentencepiece_only(tmp_path, family)
    tokenizer = tokenizers.load(place(tmp_path), CONFIGS[family](vocab_size=len(original) + 8))
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("a great film was dull")["input_ids"])
    assert pieces[1:-1] == original.encode("a great film was dull", out_type=str)
    assert heads.word_id(model_with(tokenizer), "great") == tokenizer.convert_tokens_to_ids("▁great")


def test_a_damaged_vocabulary_of_sentencepiece_is_told_in_one_line(tmp_path):
    sentencepiece_only(tmp_path, "deberta-v2")
    (tmp_path / "spm.model").write_bytes(b"\xff\x00 no model" * 9)
    with pytest.raises(BadInput, match=r"its tokenizer cannot be read: spm\.model is damaged, or no model of Sentence"):
        tokenizers.load(place(tmp_path), transformers.DebertaV2Config(vocab_size=99))


def test_without_the_packages_that_convert_it_the_command_that_installs_them_is_told(tmp_path, monkeypatch):
    (tmp_path / "spm.model").write_bytes(b"x")
    config = transformers.DebertaV2Config(vocab_size=58)
    monkeypatch.setattr(transformers.utils, "is_sentencepiece_available", lambda: False)
    monkeypatch.setattr(transformers.utils, "is_protobuf_available", lambda: True)
    with pytest.raises(BadInput, match=r"spm\.model without tokenizer\.json, and sentencepiece cannot .*\[sentencep"):
        tokenizers.load(place(tmp_path), config)
    save(tmp_path, "deberta-v2")  # with tokenizer.json they are not needed
    assert tokenizers.load(place(tmp_path), config)("a")["input_ids"] == [1, 10, 2]
