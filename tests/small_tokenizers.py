"""Small tokenizers of every family, saved as the hub has them. Each word of toys.WORDS is one token inside a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

from tests.toys import SPECIAL, WORDS

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MARKS = "?.,"
# How Llama 3 and EuroBERT split a text: a word takes the space before it, digits come in threes.
LLAMA_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def save(folder: Path, family: str) -> Any:
    """Save a family's tokenizer into a folder, and return it as it was made (AutoTokenizer reads it again).

    family: a model_type of families.FAMILIES.
    """
    make = {
        "bert": _bert,
        "electra": _bert,
        "nomic_bert": _bert,
        "distilbert": _distilbert,
        "mpnet": _mpnet,
        "roberta": _roberta,
        "xlm-roberta": _xlm_roberta,
        "camembert": _camembert,
        "albert": _albert,
        "deberta-v2": _deberta,
        "modernbert": _modernbert,
        "eurobert": _eurobert,
    }
    tokenizer = make[family]()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _numbered(tokens: list[str]) -> dict[str, int]:
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}


def _pieces() -> list[str]:
    """Return words, letters and continuing letters of WordPiece."""
    return [*WORDS, *LETTERS, *MARKS, *("##" + c for c in LETTERS)]


def _bert() -> Any:
    return transformers.BertTokenizer(vocab=_numbered([*SPECIAL, *_pieces()]), do_lower_case=True)


def _distilbert() -> Any:
    return transformers.DistilBertTokenizer(vocab=_numbered([*SPECIAL, *_pieces()]), do_lower_case=True)


def _mpnet() -> Any:
    vocabulary = _numbered(["<s>", "<pad>", "</s>", "<unk>", "[UNK]", *_pieces(), "<mask>"])
    return transformers.MPNetTokenizer(vocab=vocabulary, do_lower_case=True)


def unigram(special: list[str], last: list[str] = ()) -> list[tuple[str, float]]:
    """Return a Unigram vocabulary with scores: special tokens, words after a space, single letters, more special ones.

    A word's score is above that of its letters, so it is one token after a space, and letters elsewhere.
    """
    return [
        *((token, 0.0) for token in special),
        *((f"▁{word}", -2.0) for word in WORDS),
        ("▁", -5.0),
        *((c, -8.0) for c in LETTERS + MARKS),
        *((token, 0.0) for token in last),
    ]


def _xlm_roberta() -> Any:
    return transformers.XLMRobertaTokenizer(vocab=unigram(["<s>", "<pad>", "</s>", "<unk>"], ["<mask>"]))


def _camembert() -> Any:
    """As CamemBERT: the names of XLM-R's special tokens, at other numbers."""
    special = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]
    return transformers.CamembertTokenizer(vocab=unigram(special, ["<mask>"]))


def _albert() -> Any:
    return transformers.AlbertTokenizer(vocab=unigram(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]))


def _deberta() -> Any:
    """As DeBERTa-v3: [MASK] is added after the vocabulary, and [UNK] is number 3."""
    return transformers.DebertaV2Tokenizer(vocab=unigram(["[PAD]", "[CLS]", "[SEP]", "[UNK]"]), unk_id=3)


def merges() -> list[tuple[str, str]]:
    """Return byte-level BPE merges that join a space and a word of WORDS, letter by letter.

    A word without a space in front stays in letters.
    """
    return list(dict.fromkeys((f"Ġ{word[:i]}", word[i]) for word in WORDS for i in range(len(word))))


def _byte_pairs(special: list[str] = ()) -> dict[str, int]:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return _numbered([*special, *alphabet, *map("".join, merges())])


def _roberta() -> Any:
    vocabulary = _byte_pairs(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return transformers.RobertaTokenizer(vocab=vocabulary, merges=merges())


def _modernbert() -> Any:
    """As ModernBERT: no segments, and offsets that include the space before a word."""
    backend = Tokenizer(BPE(vocab=_byte_pairs(), merges=merges()))
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, backend.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{token[1:-1].lower()}_token": token for token in ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")},
    )


def _eurobert() -> Any:
    """As EuroBERT: the first and last token are bos and eos, there is no cls, sep or unk, and eos is padding too."""
    first, last, mask = "<|begin_of_text|>", "<|end_of_text|>", "<|mask|>"
    backend = Tokenizer(BPE(vocab=_byte_pairs(), merges=merges()))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([first, last, mask])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {last}:0 {first}:1 $B:1 {last}:1",
        special_tokens=[(token, backend.token_to_id(token)) for token in (first, last)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", "attention_mask"],
        bos_token=first,
        eos_token=last,
        pad_token=last,
        mask_token=mask,
    )
