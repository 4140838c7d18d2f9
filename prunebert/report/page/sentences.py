"""Show sentences with a label for each word: their entities in brackets, and which types are confused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from prunebert import entities
from prunebert.errors import visible
from prunebert.system.names import encodable


class Sentences:
    """The evaluation sentences of a table's runs, with their gold labels.

    Attributes:
        names: what the confusion's rows and columns are: entity types, or the labels of words.
        unit: what the confusion counts: "entities" or "words".
    """

    def __init__(
        self, words: Iterable[Sequence[str]], gold: Iterable[Sequence[str]], labels: Sequence[str], has_entities: bool
    ) -> None:
        """Take the sentences. labels: all labels. has_entities: the labels write entities."""
        self.words, self.gold, self.has_entities = list(words), list(gold), has_entities
        self.unit = "entities" if has_entities else "words"
        self.names = [*entities.types_of(labels), entities.NO_ENTITY] if has_entities else [*labels, "no label"]

    def gold_texts(self) -> list[str]:
        """Return each sentence with its gold labels."""
        pairs = zip(self.words, self.gold, strict=True)
        return [encodable(visible(self._whole(words, tags))) for words, tags in pairs]

    def answers(self, predicted: Iterable[Sequence[str]]) -> tuple[np.ndarray, list[str], list[list[int]]]:
        """Return for one run which sentences are right, a text for each, and the confusion.

        Args:
            predicted: each sentence's predicted labels.

        Returns:
            right: [sentences] uint8, 1 where all entities, or all labels, are right.
            texts: the sentence's predicted entities; without entities the sentence with all labels.
            confusion: [names, names], gold by predicted.

        Raises:
            ValueError: a sentence has another number of labels than of words.
        """
        tags = list(predicted)
        if [len(found) for found in tags] != [len(words) for words in self.words]:
            raise ValueError("a sentence has other numbers of words and of predicted labels")
        read = entities.as_iob2 if self.has_entities else list
        pairs = list(zip(self.gold, tags, strict=True))
        right = np.array([read(gold) == read(found) for gold, found in pairs], np.uint8)
        show = self._entities if self.has_entities else self._whole
        texts = [encodable(visible(show(w, t))) for w, t in zip(self.words, tags, strict=True)]
        if self.has_entities:
            return right, texts, entities.confusion(self.gold, tags, self.names)
        index = {name: i for i, name in enumerate(self.names)}
        confusion = [[0] * len(self.names) for _ in self.names]
        for gold, found in pairs:
            for one, other in zip(gold, found, strict=True):
                confusion[index[one]][index.get(other, len(self.names) - 1)] += 1
        return right, texts, confusion

    def _whole(self, words: Sequence[str], tags: Sequence[str]) -> str:
        """Return "[EU ORG] rejects [German MISC] call", or "EU/NNP rejects/VBZ" without entities."""
        if not self.has_entities:
            return " ".join(f"{word}/{tag}" for word, tag in zip(words, tags, strict=True))
        shown = list(words)
        for entity in entities.entities(tags):
            shown[entity.start] = f"[{shown[entity.start]}"
            shown[entity.end] = f"{shown[entity.end]} {entity.label}]"
        return " ".join(shown)

    def _entities(self, words: Sequence[str], tags: Sequence[str]) -> str:
        """Return "[EU ORG] [German MISC]"; "none" without one."""
        spans = entities.entities(tags)
        return " ".join(f"[{' '.join(words[e.start : e.end + 1])} {e.label}]" for e in spans) or "none"
