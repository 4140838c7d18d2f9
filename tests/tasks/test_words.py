"""Which token is the first of a word: WordPiece, byte-level BPE and Unigram, long words, emoji, truncation."""

import pytest
import tokenizers
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from prunebert.tasks import words
from tests.tasks.test_augment import byte_level

INPUTS = ["input_ids", "attention_mask"]
SENTENCE = ["the", "goodbad", "☃", "", "\u200b", "film"]


def encoded(tokenizer, sentence, length=32):
    columns = words.encode(words.for_words(tokenizer), [sentence], length, INPUTS)
    assert columns["attention_mask"] == [[1] * len(columns["input_ids"][0])]
    return tokenizer.convert_ids_to_tokens(columns["input_ids"][0]), columns["word"][0], columns["cut"][0]


def test_a_word_of_wordpieces_counts_at_its_first_piece(model):
    """An unknown character is [UNK]. An empty word has no token, and neither has a zero-width one: BERT removes it."""
    tokens, word, cut = encoded(model.tokenizer, SENTENCE)
    assert tokens == ["[CLS]", "the", "good", "##b", "##a", "##d", "[UNK]", "film", "[SEP]"]
    assert word == [-1, 0, 1, -1, -1, -1, 2, 5, -1] and cut == 0


def test_punctuation_inside_a_word_is_no_word_of_its_own(model):
    tokens, word, _ = encoded(model.tokenizer, ["good.bad", "?"])
    assert tokens == ["[CLS]", "good", ".", "bad", "?", "[SEP]"] and word == [-1, 0, -1, -1, 1, -1]


@pytest.mark.parametrize(("length", "word", "cut"), [(8, [-1, 0, 1, -1, -1, -1, 2, -1], 1), (5, [-1, 0, 1, -1, -1], 2)])
def test_words_beyond_the_length_are_counted_and_a_word_cut_in_its_middle_is_not(model, length, word, cut):
    assert encoded(model.tokenizer, SENTENCE, length)[1:] == (word, cut)


def test_byte_level_words_have_a_space_before_them(tmp_path):
    """As in a running text, where `the` and `film` are read behind a space. The tokenizer itself is not changed."""
    tokenizer = byte_level(tmp_path / "bpe").tokenizer
    tokens, word, _ = encoded(tokenizer, ["good", "film", "", "x"])
    assert tokens[1:3] == tokenizer.tokenize(" good film") == ["Ġgood", "Ġfilm"]
    assert (
        word[:3] == [-1, 0, 1] and word[-3:] in ([3, -1, -1], [-1, 3, -1]) and tokenizer.tokenize("good")[0] != "Ġgood"
    )
    assert "".join(tokens[3:-1]) == "Ġx"


def test_a_sequence_of_steps_with_a_byte_level_one_gets_the_space_too(tmp_path):
    tokenizer = byte_level(tmp_path / "bpe").tokenizer
    steps = [pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    assert encoded(tokenizer, ["film", "good"])[0][1:-1] == ["Ġfilm", "Ġgood"]
    assert tokenizer.tokenize("film good")[0] != "Ġfilm"


def test_unigram_words_begin_with_the_mark_of_a_space():
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁the", "▁go", "od", "▁", "film"]
    backend = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], unk_id=3))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, cls_token="<s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    assert words.for_words(tokenizer) is tokenizer and isinstance(backend, tokenizers.Tokenizer)
    tokens, word, _ = encoded(tokenizer, ["the", "good", "", "film"])
    assert tokens == ["<s>", "▁the", "▁go", "od", "▁", "film", "</s>"]
    assert word == [-1, 0, 1, -1, 3, -1, -1]
