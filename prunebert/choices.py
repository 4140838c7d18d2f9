"""The words that a configuration may choose from where several rooms must agree on them. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal, get_args

# Which matrices a mask may cover: the encoder's, and the pooler's, and the word embeddings.
Prunable = Literal["encoder", "encoder_pooler", "encoder_pooler_embeddings"]
PRUNABLE: tuple[str, ...] = get_args(Prunable)
EVERY_MATRIX: Prunable = "encoder_pooler_embeddings"

# How hidden states become a task's logits (network/heads.py).
Head = Literal["linear", "label_words", "layer_mix"]
HEADS: tuple[str, ...] = get_args(Head)
