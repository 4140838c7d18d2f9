"""Load a checkpoint's tokenizer, check that it is the model's own, and describe all that decides its tokens."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from prunebert.errors import BadInput
from prunebert.network.checkpoint import Place, one_line
from prunebert.network.configuration import require_no_code
from prunebert.network.words import space_id

log = logging.getLogger(__name__)
SETTINGS = "tokenizer_config.json"
JSON_FILES = ("tokenizer.json", "special_tokens_map.json", "added_tokens.json", "vocab.json")
TEXT_FILES = ("vocab.txt", "merges.txt")
SENTENCEPIECE = ("spm.model", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
REQUIRED_INPUTS = ("input_ids", "attention_mask")
SEGMENTS = "token_type_ids"  # 0 for the first text of a pair, 1 for the second
INPUTS = (*REQUIRED_INPUTS, SEGMENTS, "special_tokens_mask")
# DistilBERT's network takes segments and ignores them. The identities of earlier runs hash the column.
TAKES_ANY_SEGMENTS = ("distilbert",)
# Padding the embeddings to a multiple of 128 or less is usual. A vocabulary that lacks more rows than that, and fills
# less than half of them, is another model's.
USUAL_PADDING = 128
MOST_UNKNOWN = 0.5  # of the tokens; above it a warning is logged
# A text on which tokenizers differ: accents, case, digits, punctuation, spaces, another script, more than eight tokens.
PROBE = "Crème brûlée doesn't COST 12.50€?  A naïve—中文 film\tof 1,000 films"
# Where a tokenizer's files lie and what it says, which change no token.
WITHOUT_EFFECT = ("name_or_path", "chat_template", "response_template", "verbose", "backend")


def load(source: Place, config: Any) -> Any:
    """Return a checkpoint's tokenizer, whose `model_input_names` are the columns that the network reads.

    It has an attribute `embedding_rows`: the embeddings' rows by input column.

    Args:
        source: where the checkpoint lies.
        config: its configuration.

    Raises BadInput for a missing, damaged or foreign vocabulary, for a tokenizer that needs code of the checkpoint or
    has no fast version, and for one without the special tokens that the network reads.
    """
    require_no_code(source, SETTINGS, source.json(SETTINGS) or {})
    if not source.remote:
        for name in JSON_FILES:
            source.json(name)
        for name in TEXT_FILES:
            source.file(name)
    _require_sentencepiece(source)
    tokenizer = _from_files(source, config)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise source.bad(f"its tokenizer {type(tokenizer).__name__} has no fast version (tokenizer.json)")
    tokenizer.embedding_rows = {"input_ids": config.vocab_size}
    if getattr(config, "type_vocab_size", 0):
        tokenizer.embedding_rows[SEGMENTS] = config.type_vocab_size
    _require_inputs(source, tokenizer.model_input_names)
    _require_own_vocabulary(source, tokenizer, config.vocab_size)
    _require_special_tokens(source, tokenizer, config.vocab_size)
    _read_segments_as(source, tokenizer, config)
    return tokenizer


def _require_sentencepiece(source: Place) -> None:
    """Raise BadInput for a vocabulary of SentencePiece alone, unless the packages that convert it are installed."""
    from transformers import utils

    available = {"sentencepiece": utils.is_sentencepiece_available(), "protobuf": utils.is_protobuf_available()}
    absent = [package for package, is_available in available.items() if not is_available]
    if absent and (name := _sentencepiece_alone(source)):
        raise source.bad(
            f"its tokenizer is {name} without tokenizer.json, and {' and '.join(absent)} cannot be imported; "
            "pip install 'prunebert[sentencepiece]'"
        )


def _sentencepiece_alone(source: Place) -> str | None:
    """Return the file of SentencePiece that a checkpoint has in place of tokenizer.json, if it has one."""
    if source.file("tokenizer.json"):
        return None
    return next((name for name in SENTENCEPIECE if source.file(name)), None)


def _read_segments_as(source: Place, tokenizer: Any, config: Any) -> None:
    """Let the tokenizer make segments if the network reads them, and only then.

    In transformers ALBERT's tokenizer leaves them out, and DeBERTa-v3's makes them for a network without segments. A
    checkpoint's own list stays where it can. Segments that are always 0 are not added: they are a network's default.
    """
    names, rows = list(tokenizer.model_input_names), getattr(config, "type_vocab_size", 0)
    if not rows and config.model_type not in TAKES_ANY_SEGMENTS:
        names = [name for name in names if name != SEGMENTS]
    elif rows > 1 and SEGMENTS not in names and "model_input_names" not in (source.json(SETTINGS) or {}):
        segments = tokenizer("a", "a", return_token_type_ids=True)[SEGMENTS]
        names += [SEGMENTS] if any(segments) else []
    if names != tokenizer.model_input_names:
        tokenizer.model_input_names = names
        tokenizer.init_kwargs["model_input_names"] = names  # what save_pretrained writes, for an exported model


def _from_files(source: Place, config: Any) -> Any:
    import transformers

    try:
        return transformers.AutoTokenizer.from_pretrained(
            source.path, config=config, revision=source.revision, trust_remote_code=False
        )
    except Exception as error:  # tokenizers raises Exception itself, transformers what a mistyped value causes
        if isinstance(error, ValueError) and (name := _sentencepiece_alone(source)):  # it would name tiktoken
            raise source.bad(
                f"its tokenizer cannot be read: {name} is damaged, or no model of SentencePiece"
            ) from error
        if source.remote and isinstance(error, (OSError, ValueError)):
            raise  # an error of the hub, which the caller explains
        raise source.bad(f"its tokenizer cannot be read: {type(error).__name__}: {error}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of the Rust library; it has no importable name
            raise
        raise source.bad(f"its tokenizer cannot be read: {error}") from error


def _require_inputs(source: Place, columns: Any) -> None:
    """Raise BadInput unless the tokenizer makes what the network reads. Without the mask, pads would be attended to."""
    if not isinstance(columns, list) or not {*REQUIRED_INPUTS} <= {*map(str, columns)} <= {*INPUTS}:
        raise source.bad(
            f"{SETTINGS}: model_input_names={columns}: must be a list with {' and '.join(REQUIRED_INPUTS)}; "
            f"allowed are {', '.join(INPUTS)}"
        )


def _require_own_vocabulary(source: Place, tokenizer: Any, rows: int) -> None:
    """Raise BadInput for a vocabulary of special tokens only, or far smaller than the embeddings."""
    vocabulary = tokenizer.get_vocab()
    words = set(vocabulary) - set(tokenizer.all_special_tokens)
    if not words:
        raise source.bad(
            "it has no vocabulary but special tokens, so every word would be unknown; tokenizer.json, or vocab.txt "
            "(BERT), or vocab.json and merges.txt (RoBERTa) is missing"
        )
    if len(vocabulary) * 2 < rows and rows - len(vocabulary) > USUAL_PADDING:
        raise source.bad(
            f"its tokenizer has {len(vocabulary)} tokens and its embeddings have {rows} rows, so the vocabulary is "
            "another model's or incomplete"
        )


def _require_special_tokens(source: Place, tokenizer: Any, rows: int) -> None:
    """Raise BadInput unless texts begin with [CLS], end with [SEP], and can be padded.

    A tokenizer without cls and sep has bos in place of [CLS] (EuroBERT). What it puts at the end is its own matter.
    """
    needed = {"padding": "pad"}
    if tokenizer.bos_token_id is None or tokenizer.cls_token_id is not None or tokenizer.sep_token_id is not None:
        needed |= {"first": "cls", "separating": "sep"}
    for purpose, name in needed.items():
        value = getattr(tokenizer, f"{name}_token_id")
        if value is None:
            raise source.bad(f"its tokenizer has no {purpose} token; set {name}_token in {SETTINGS}")
    for name in ("pad", "unk", "mask", *(("cls", "sep") if "first" in needed else ("bos", "eos"))):
        value = getattr(tokenizer, f"{name}_token_id")
        if value is not None and not 0 <= value < rows:
            raise source.bad(
                f"its tokenizer has {len(tokenizer)} tokens, of which {getattr(tokenizer, name + '_token')} is number "
                f"{value}, and its embeddings have {rows} rows"
            )
    try:
        ids = tokenizer("a")["input_ids"]
    except Exception as error:  # tokenizers raises Exception itself
        raise source.bad(f"its tokenizer cannot be used: {one_line(error)}") from error
    if "first" not in needed and (len(ids) < 2 or ids[0] != tokenizer.bos_token_id):
        raise source.bad(f"its tokenizer does not put {tokenizer.bos_token} before a text")
    if "first" in needed and (len(ids) < 2 or ids[0] != tokenizer.cls_token_id or ids[-1] != tokenizer.sep_token_id):
        raise source.bad(
            f"its tokenizer does not put {tokenizer.cls_token} before a text and {tokenizer.sep_token} after it"
        )


def around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the special tokens that the tokenizer puts before and after a text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    words = np.flatnonzero(np.array(encoded["special_tokens_mask"]) == 0)
    return encoded["input_ids"][: words[0]], encoded["input_ids"][words[-1] + 1 :]


@contextmanager
def encoding(tokenizer: Any) -> Iterator[None]:
    """Turn the error of a tokenizer that cannot encode a text, as for an unknown word without [UNK], into BadInput."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:  # what the Rust library raises; all other errors have classes of their own
            raise
        raise BadInput(
            f"model.name={tokenizer.name_or_path}: its tokenizer cannot encode these texts: {one_line(error)}"
        ) from error


def definition(tokenizer: Any) -> dict[str, Any]:
    """Return all that decides a tokenizer's tokens, for the name of a cache.

    That is the Rust tokenizer's definition, the settings and special tokens of the Python object around it, its class,
    and the versions of both libraries. Where its files lie is left out.
    """
    import tokenizers
    import transformers

    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    settings = {
        key: value
        for key, value in vars(tokenizer).items()
        if (value is None or isinstance(value, (bool, int, float, str)))
        and key not in WITHOUT_EFFECT
        and not key.endswith("_file")
    }
    return {
        "backend": backend | {"truncation": None, "padding": None},  # earlier calls set these
        "settings": settings,
        "special": {key: str(value) for key, value in tokenizer.special_tokens_map.items()},
        "inputs": list(tokenizer.model_input_names),
        "class": f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}",
        "versions": [tokenizers.__version__, transformers.__version__],
    }


def hash_of(tokenizer: Any) -> str:
    """Return a hash of a tokenizer's vocabulary and of the tokens that it makes of PROBE, whole and cut.

    Unlike `definition` it is the same under every version of the libraries, so that a result can record it.
    """
    whole, cut = tokenizer(PROBE)["input_ids"], tokenizer(PROBE, truncation=True, max_length=8)["input_ids"]
    described = [sorted(tokenizer.get_vocab().items()), sorted(tokenizer.all_special_ids), whole, cut]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def require_same(tokenizer: Any, facts: Mapping[str, Any], source: str) -> None:
    """Raise BadInput, beginning with `source`, if a finished run had another tokenizer.

    facts: the run's result; results of older versions did not record the tokenizer.
    """
    recorded = facts.get("tokenizer_hash")
    if recorded and recorded != hash_of(tokenizer):
        raise BadInput(
            f"{source}: made on {facts['model']} with another tokenizer, or other settings of it, than are there now"
        )


def require_known_ids(tokenizer: Any, columns: Mapping[str, np.ndarray]) -> None:
    """Raise BadInput for an id that has no row in its embeddings.

    Args:
        tokenizer: as `load` returns it. Any other tokenizer is not checked.
        columns: ids by input column, each [tokens].
    """
    for column, rows in getattr(tokenizer, "embedding_rows", {}).items():
        ids = columns.get(column)
        if ids is None or not len(ids) or int(ids.max()) < rows:
            continue
        if column == "token_type_ids":
            raise BadInput(
                f"model.name={tokenizer.name_or_path}: type_vocab_size={rows} in config.json has no row for segment "
                f"{int(ids.max())}, which these texts have; the model cannot read pairs of texts"
            )
        raise BadInput(
            f"model.name={tokenizer.name_or_path}: its tokenizer has {len(tokenizer)} tokens and its embeddings have "
            f"{rows} rows, and these texts have token {int(ids.max())}"
        )


def require_words(tokenizer: Any, ids: np.ndarray) -> None:
    """Raise BadInput if all words of these texts are unknown. Warn if most are.

    Args:
        ids: [tokens], the tokens of all texts.
    """
    unknown_id = tokenizer.unk_token_id
    if unknown_id is None:
        return
    counts = np.bincount(ids, minlength=max(tokenizer.all_special_ids) + 1)
    special = [i for i in tokenizer.all_special_ids if i != unknown_id]
    special += [space] if (space := space_id(tokenizer)) is not None and space < len(counts) else []
    words, unknown = int(counts.sum() - counts[special].sum()), int(counts[unknown_id])
    if words and unknown == words:
        raise BadInput(
            f"model.name={tokenizer.name_or_path}: all {words:,} words of these texts are {tokenizer.unk_token}, so "
            "its vocabulary is not one for them"
        )
    if words and unknown / words > MOST_UNKNOWN:
        log.warning(
            "model.name=%s: %.0f %% of the tokens of these texts are %s",
            tokenizer.name_or_path,
            100 * unknown / words,
            tokenizer.unk_token,
        )
