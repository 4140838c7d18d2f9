"""Likeness as a task: the hidden states of a masked network are to be those of the dense one, on plain text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from prunebert.distill import cosine, token_cosines
from prunebert.distill.teacher import frozen
from prunebert.distill.teacher_cache import Teacher
from prunebert.network.interface import IGNORED, Batch, Outputs
from prunebert.network.subnetwork import SubNetwork
from prunebert.tasks.mlm import MaskedLM


@dataclass(kw_only=True)
class Likeness(MaskedLM):
    """A corpus of which no word is told, so that a checkpoint saved without a masked-LM head will do.

    dense: the unmasked network. Outputs must have the masked one's hidden states, as the head "states" gives them.
    """

    dense: Teacher
    score = "cosine"

    def hide(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Nothing: both networks read the text as it is."""
        return Batch(batch.inputs, torch.full_like(batch.inputs["input_ids"], IGNORED), batch.rows)

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        return {"kd_hidden": cosine(out, self.dense(batch, ("hidden",)), batch)}

    def answers(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        """By row: [1], the cosine with the dense network's states, a mean over layers and the row's tokens."""
        real = batch.inputs["attention_mask"]
        each = torch.stack(token_cosines(out, self.dense(batch, ("hidden",)))).mean(0)
        mean = (each * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        return dict(zip(batch.rows.tolist(), mean.cpu().numpy(), strict=True))

    def predict(self, split: str, answers: dict[int, np.ndarray]) -> pd.DataFrame:
        rows = range(len(self.rows[split]))
        found = [answers[row] for row in rows]
        told = [float(x[0]) for x in found]
        return pd.DataFrame(
            {"split": split, "id": [str(row) for row in rows], "label": "", "prediction": told, "scores": found}
        )

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        return {"cosine": float(predictions["validation"].prediction.mean())}


def likeness_task(net: SubNetwork, text: MaskedLM) -> Likeness:
    """`text` as this task, its teacher being the weights that `net` has at the time."""
    return Likeness(**vars(text), dense=frozen(net, net.add_head(text.form(), "states")))
