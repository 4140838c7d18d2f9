"""Corpora for masked language modelling: documents of plain text from the hub, from files or from a package."""

from __future__ import annotations

from prunebert.errors import BadInput, bad_choice
from prunebert.ranges import Fraction, Text
from prunebert.system import hub as hugging_face
from prunebert.tasks import files, layouts, partition, sources
from prunebert.tasks.arguments import CorpusHub, CorpusPackage
from prunebert.tasks.files import kind_of, row_of

Texts = dict[str, list[str]]  # documents by split, "train" and "validation"


def corpus(
    *,
    name: str,
    hub: CorpusHub | None,
    package: CorpusPackage | None,
    text: str,
    file: Text | None,
    holdout: Fraction,
) -> Texts:
    """Load the documents of a corpus, without the empty ones.

    Args:
        name: for messages.
        hub: the hub's path, configuration and splits.
        package: an installed package with a table, used instead of `hub`.
        text: the column of text in `package` or `hub`.
        file: your own text file or folder of .txt files, one document a line; used instead of `package` and `hub`.
        holdout: the fraction of documents for evaluation, where there is no evaluation split.

    Raises BadInput for a source that cannot be read or has fewer than two documents.
    """
    if file:
        texts = {"train": _lines(file)}
    elif package:
        texts = {"train": sources.from_package(**package, text=[text], label=text)["train"].text_a.tolist()}
    elif hub:
        texts = _hub(name, text, **hub)
    else:
        raise BadInput(f"corpus={name} needs corpus.file=FILE: a text file or a folder of text files")
    texts = {split: [t for t in documents if t.strip()] for split, documents in texts.items()}
    if len(texts["train"]) < 2:
        raise BadInput(f"corpus={name} has {len(texts['train'])} documents with text; at least 2 are needed")
    if "validation" not in texts:
        if not 0 < holdout < 1:
            raise BadInput(f"corpus.holdout={holdout}: must be above 0 and below 1")
        texts = hold_out(texts["train"], f"corpus.holdout={holdout}", holdout)
    return texts


def hold_out(documents: list[str], setting: str, part: float | int) -> Texts:
    """Split documents into "train" and "validation". The split is the same for every seed and machine.

    Args:
        setting: what asks for the split, for messages.
        part: the fraction (float) or the number (int) of the documents of "validation".

    Raises BadInput for too few documents.
    """
    try:
        parts = partition.draw(len(documents), part)
    except ValueError as error:  # too few documents
        raise BadInput(f"{setting}: {str(error).splitlines()[0]}") from error
    return {name: [documents[row] for row in rows] for name, rows in zip(("train", "validation"), parts, strict=True)}


def _hub(name: str, text: str, *, path: str, config: str, train: str, validation: str) -> Texts:
    hugging_face.prepare()
    import datasets

    datasets.disable_progress_bars()
    with hugging_face.explained(
        f"corpus={name} ({path})",
        "a text file or folder (corpus.file=FILE), or the embedded text (corpus=imdb, from prunebert[demo])",
    ):
        loaded = datasets.load_dataset(path, config)
    for split in (train, validation):
        if split not in loaded:
            raise BadInput(f"{path} has no split {split}; it has {', '.join(loaded)}")
        if text not in loaded[split].column_names:
            raise bad_choice("corpus.text", text, loaded[split].column_names)
    documents = {"train": loaded[train][text], "validation": loaded[validation][text]}
    for split, values in zip((train, validation), documents.values(), strict=True):
        for row, value in enumerate(values):
            if not isinstance(value, str):
                raise BadInput(
                    f"corpus.text={text}: {row_of(row, f'{path} {split}')} has no text, but {kind_of(value)}"
                )
    return {split: list(values) for split, values in documents.items()}


def _lines(file: str) -> list[str]:
    """Return the lines of a text file, or of the .txt files of a folder."""
    lines = []
    for text_file in layouts.corpus(file):
        with files.readable(f"corpus.file={text_file}"):
            lines += files.read_text(text_file, nul=True).splitlines()
    return lines
