"""Values that a configuration may choose and that several folders share. This module imports nothing heavy."""

from __future__ import annotations

from typing import Literal, get_args

# The sets of matrices that a mask may cover: the encoder's, with the pooler's, with the word embeddings too.
Prunable = Literal["encoder", "encoder_pooler", "encoder_pooler_embeddings"]
PRUNABLE: tuple[str, ...] = get_args(Prunable)
EVERY_MATRIX: Prunable = "encoder_pooler_embeddings"

# The heads that turn hidden states into a task's logits (network/heads.py).
Head = Literal["linear", "label_words", "layer_mix"]
HEADS: tuple[str, ...] = get_args(Head)

# What the rows of a batch are padded to: the batch's longest row, or the task's max_length.
Padding = Literal["longest", "max_length"]
PADDINGS: tuple[str, ...] = get_args(Padding)

# How many weights each matrix keeps. Besides these words method.allocation takes a finished run, a mask file, or a file
# with sparsities.
ALLOCATIONS = ("uniform", "global", "erk", "score")

# The keys of a pruner inside another method (method=sparse_transfer), by the keys of the same method alone.
PRUNER = "method.pruner"
PRUNER_KEYS = {"method.": f"{PRUNER}.", "fit.": "mask_fit.", "distill.": "prune_distill."}

# Of all other metrics a larger value is better.
LOWER_IS_BETTER = ("perplexity",)
