"""Dense: fine-tune everything, remove nothing. What every sub-network is compared with (Devlin et al. 2019, §4)."""

from __future__ import annotations

from collections.abc import Iterator

from prunebert.choices import Head
from prunebert.fit import Fit
from prunebert.network.subnetwork import SubNetwork
from prunebert.tasks.task import Task
from prunebert.training.phase import Phase, finetune


def dense(net: SubNetwork, task: Task, *, fit: Fit, head: Head) -> Iterator[Phase]:
    """M = 1. Phases: finetune."""
    yield from finetune(net, task, net.add_head(task.form(), head), fit)
