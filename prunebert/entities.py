"""Read the entities of a sentence from its words' labels, and score predicted ones by conlleval's rules.

A label is "O", or a prefix and a type: B-PER. B opens an entity, I continues one, E (or L) closes it, and S (or U) is a
whole one. Where labels do not fit each other, the rules are those of conlleval and of seqeval's default mode: an entity
also opens after "O", after a closing prefix, and where the type changes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from prunebert.errors import BadInput

if TYPE_CHECKING:
    from nervaluate.entities import Entity

Scheme = Literal["iob1", "iob2", "iobes", "bilou", "none"]
OUTSIDE = "O"
PREFIXES: dict[str, str] = {"iob1": "BI", "iob2": "BI", "iobes": "BIES", "bilou": "BILU"}
OPENING, CLOSING = "BSU", "ESLU"
OTHER_SPELLING = re.compile(r"[bieslu][-_].+|.+[-_][bieslu]", re.IGNORECASE)  # of a prefix and a type
UNTYPED = "_"  # the type of a label that is a prefix alone
NO_ENTITY = "no entity"
Tags = Sequence[str]


def parts(tag: str) -> tuple[str, str]:
    """Return (prefix, type) of a label; ("", "") for one that has no prefix, as "O" and "NOUN"."""
    prefix, dash, kind = tag.partition("-")
    if len(prefix) != 1 or prefix not in "BIESLU" or (dash and not kind):
        return "", ""
    return prefix, kind or UNTYPED


def types_of(names: Sequence[str]) -> list[str]:
    """Return the entity types of the labels, sorted."""
    return sorted({kind for name in names if (kind := parts(name)[1])})


def find_scheme(names: Sequence[str], sentences: Sequence[Tags], column: str) -> Scheme:
    """Return the scheme of the labels: "none" if they have no prefixes, as those of parts of speech.

    Labels with B and I are IOB1 where an entity of `sentences` begins with I, else IOB2.

    Args:
        names: all labels.
        sentences: the training sentences' labels.
        column: the column of labels, for the message.

    Raises BadInput if some labels have a prefix and others have none.
    """
    tagged = [name for name in names if name != OUTSIDE]
    plain = [name for name in tagged if not parts(name)[0]]
    bare = all("-" not in name for name in tagged)
    if len(plain) == len(tagged) or (bare and (plain or OUTSIDE not in names)):
        return "none"
    if plain:
        other = next(name for name in tagged if parts(name)[0])
        raise BadInput(
            f"task.label={column}: the label {plain[0]} has no prefix (B-, I-, …), and {other} has one; correct it, or "
            "score the words alone with task.scheme=none"
        )
    prefixes = {parts(name)[0] for name in tagged}
    if prefixes & {*"LU"} and not prefixes & {*"ES"}:
        return "bilou"
    if prefixes & {*"ESLU"}:
        return "iobes"
    return "iob1" if any(_begins_inside(tags) for tags in sentences) else "iob2"


def other_spelling(names: Sequence[str]) -> str | None:
    """Return a label that seems to be an entity's but is not written so: b-per, B_PER or PER-B beside O.

    Parts of speech have no label O, so of labels without one the result is None.
    """
    if all(name.upper() != OUTSIDE for name in names):
        return None
    return next((name for name in names if not parts(name)[0] and OTHER_SPELLING.fullmatch(name)), None)


def _begins_inside(tags: Tags) -> bool:
    pairs = zip(tags, as_iob2(tags), strict=True)
    return any(tag[0] == "I" and read[0] == "B" for tag, read in pairs)


def require_scheme(names: Sequence[str], scheme: Scheme, column: str) -> None:
    """Raise BadInput for a label with a prefix that the scheme lacks."""
    if scheme == "none":
        return
    for name in names:
        if name != OUTSIDE and (parts(name)[0] or "-") not in PREFIXES[scheme]:
            raise BadInput(
                f"task.scheme={scheme}: the label {name} of task.label={column} does not fit; prefixes are "
                f"{', '.join(PREFIXES[scheme])}; leave task.scheme out to read every prefix, or take none"
            )


def as_iob2(tags: Tags) -> list[str]:
    """Return the labels of a sentence in IOB2: the first word of every entity has B, its other words have I."""
    written, closed, previous = [], True, ""
    for tag in tags:
        prefix, kind = parts(tag)
        if not prefix:
            written.append(OUTSIDE)
            closed = True
            continue
        opens = prefix in OPENING or closed or kind != previous
        written.append(f"{'B' if opens else 'I'}-{kind}")
        closed, previous = prefix in CLOSING, kind
    return written


def entities(tags: Tags) -> list[Entity]:
    """Return a sentence's entities: label is the type, start and end are its first and last word, from 0."""
    from nervaluate.loaders import ListLoader  # importing nervaluate takes long

    return ListLoader().load([as_iob2(tags)])[0]


def scores(gold: Sequence[Tags], predicted: Sequence[Tags], types: Sequence[str]) -> dict[str, float]:
    """Return f1, precision and recall of the entities (micro), the words' accuracy, and the F1 of each type.

    An entity counts if its words and its type are right. What is divided by zero is 0, as by conlleval.

    Args:
        gold, predicted: each sentence's labels.
        types: the types that get an F1, whether they occur or not. Entities of others are not counted.
    """
    from nervaluate import Evaluator

    read = ([as_iob2(tags) for tags in sentences] for sentences in (gold, predicted))
    found = Evaluator(*read, tags=list(types), loader="list").evaluate()
    strict = found["overall"]["strict"]
    by_type = {t: found["entities"][t]["strict"].f1 if t in found["entities"] else 0.0 for t in types}
    return {
        "f1": float(strict.f1),
        "precision": float(strict.precision),
        "recall": float(strict.recall),
        "accuracy": accuracy(gold, predicted),
        **{f"f1_{kind}": float(value) for kind, value in by_type.items()},
    }


def accuracy(gold: Sequence[Tags], predicted: Sequence[Tags]) -> float:
    """Return the share of words with the right label; 0 without words."""
    right = [g == p for pair in zip(gold, predicted, strict=True) for g, p in zip(*pair, strict=True)]
    return sum(right) / len(right) if right else 0.0


def confusion(gold: Sequence[Tags], predicted: Sequence[Tags], names: Sequence[str]) -> list[list[int]]:
    """Count pairs of gold and predicted entities with the same words, by type. [names, names]: gold, then predicted.

    Args:
        gold, predicted: each sentence's labels.
        names: the types, then NO_ENTITY. A gold entity whose words are no predicted entity is missed: its column is
            NO_ENTITY. A predicted one whose words are no gold entity is spurious: its row is NO_ENTITY.
    """
    index = {name: i for i, name in enumerate(names)}
    table = [[0] * len(names) for _ in names]
    for pair in zip(gold, predicted, strict=True):
        one, two = ({(e.start, e.end): e.label for e in entities(tags)} for tags in pair)
        for words in one.keys() | two.keys():
            table[index[one.get(words, NO_ENTITY)]][index[two.get(words, NO_ENTITY)]] += 1
    return table
