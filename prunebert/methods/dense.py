"""Dense: fine-tune everything, remove nothing (Devlin et al. 2019, §4). Every sub-network is compared with it.

Cost
----
It trains all weights and a new head. It needs one training. The cost of every other method is compared with it.

Citation
--------
Devlin, Chang, Lee & Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
NAACL 2019.
"""

from __future__ import annotations

from collections.abc import Iterator

from prunebert.choices import Head
from prunebert.fit import Fit
from prunebert.network.subnetwork import SubNetwork
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, finetune


def dense(net: SubNetwork, task: Task, *, fit: Fit, head: Head) -> Iterator[Phase]:
    """Train with M = 1. Phases: finetune."""
    yield from finetune(net, task, net.add_head(task.form(), head), fit)
