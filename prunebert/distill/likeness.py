"""Likeness as a task: a masked network learns the dense network's hidden states on plain text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from prunebert.distill import cosine_distance, token_cosines
from prunebert.distill.teacher import frozen
from prunebert.distill.teacher_cache import Teacher
from prunebert.network.interface import IGNORED, Batch, Outputs
from prunebert.network.subnetwork import SubNetwork
from prunebert.tasks.mlm import MaskedLM


@dataclass(kw_only=True)
class Likeness(MaskedLM):
    """A corpus in which no word is hidden or predicted, so the checkpoint needs no masked-LM head.

    Outputs must have the masked network's hidden states, as the head "states" gives them.
    """

    dense: Teacher  # the unmasked network
    score = "cosine"

    def hide(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Hide nothing: both networks read the text as it is."""
        return Batch(batch.inputs, torch.full_like(batch.inputs["input_ids"], IGNORED), batch.rows)

    def loss(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return TAMT's term: the cosine distance to the dense network's hidden states."""
        return {"kd_hidden": cosine_distance(out, self.dense(batch, ("hidden",)), batch)}

    def outputs_by_row(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        """Return by row, shape [1]: the cosine with the dense network, a mean over layers and the row's tokens."""
        real = batch.inputs["attention_mask"]
        cosines = torch.stack(token_cosines(out, self.dense(batch, ("hidden",)))).mean(0)
        mean = (cosines * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        return dict(zip(batch.rows.tolist(), mean.cpu().numpy(), strict=True))

    def predict(self, split: str, outputs: dict[int, np.ndarray]) -> pd.DataFrame:
        """Return a row for each text, whose prediction is its cosine."""
        rows = range(len(self.rows[split]))
        scores = [outputs[row] for row in rows]
        cosines = [float(x[0]) for x in scores]
        return pd.DataFrame(
            {"split": split, "id": [str(row) for row in rows], "label": "", "prediction": cosines, "scores": scores}
        )

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        """Return the mean cosine of the validation texts."""
        return {"cosine": float(predictions["validation"].prediction.mean())}


def likeness_task(net: SubNetwork, text: MaskedLM) -> Likeness:
    """Make this task of `text`. Its teacher has the dense weights that `net` has at the time of each call."""
    return Likeness(**vars(text), dense=frozen(net, net.add_head(text.form(), "states")))
