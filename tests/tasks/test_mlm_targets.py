"""The tokens that a masked-LM task predicts: how many, which, what replaces them, and what the seed decides."""

import math
from itertools import islice

import numpy as np
import pytest
import torch

from prunebert.network.interface import IGNORED, Batch, Outputs
from prunebert.tasks.batching import Rows
from prunebert.tasks.mlm import MaskedLM

VOCABULARY, MASK, SPECIAL = 60, 4, torch.arange(5)


def rows_of(ids: torch.Tensor) -> Rows:
    count, length = ids.shape
    columns = {"input_ids": ids.numpy().reshape(-1), "attention_mask": np.ones(count * length, dtype=np.int64)}
    return Rows(columns, np.arange(count + 1) * length, torch.zeros(count))


def drawn(count: int, length: int, seed: int) -> torch.Tensor:
    """Return token ids, [count, length], of which the first is [CLS] and the last [SEP]."""
    ids = torch.randint(5, VOCABULARY, (count, length), generator=torch.Generator().manual_seed(seed))
    ids[:, 0], ids[:, -1] = 2, 3
    return ids


def task_of(train: torch.Tensor, validation: torch.Tensor, rate: float = 0.15) -> MaskedLM:
    rows = {"train": rows_of(train), "validation": rows_of(validation)}
    padding = {"input_ids": 0, "attention_mask": 0}
    return MaskedLM("mlm", rows, padding, MASK, VOCABULARY, SPECIAL, rate, train.shape[1])


def hidden(task: MaskedLM, ids: torch.Tensor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the labels and the input ids after hiding."""
    batch = Batch({"input_ids": ids}, torch.zeros(len(ids)), torch.arange(len(ids)))
    batch = task.hide(batch, torch.Generator().manual_seed(seed))
    return batch.labels, batch.inputs["input_ids"]


def by_row(batches) -> dict[int, tuple[list[int], list[int]]]:
    return {
        row: (labels, ids)
        for b in batches
        for row, labels, ids in zip(b.rows.tolist(), b.labels.tolist(), b.inputs["input_ids"].tolist(), strict=True)
    }


def test_eighty_ten_ten_of_fifteen_percent():
    """600 × 200 tokens: the standard error of a share of the targets is at most 0.003."""
    ids = drawn(600, 200, 1)
    labels, inputs = hidden(task_of(ids, ids), ids)
    is_target, is_body = labels != IGNORED, ids >= 5
    assert not (is_target & ~is_body).any() and torch.equal(labels[is_target], ids[is_target])
    assert torch.equal(inputs[~is_target], ids[~is_target])
    assert is_target[is_body].float().mean().item() == pytest.approx(0.15, abs=0.004)
    is_masked, is_same = inputs[is_target] == MASK, inputs[is_target] == ids[is_target]
    # a random token is [MASK], or the token itself, once in 60 times
    assert is_masked.float().mean().item() == pytest.approx(0.8 + 0.1 / 60, abs=0.012)
    assert is_same.float().mean().item() == pytest.approx(0.1 + 0.1 / 60, abs=0.012)
    replacements = inputs[is_target][~is_masked & ~is_same].bincount(minlength=VOCABULARY)
    expected = int(replacements.sum()) / (VOCABULARY - 2)
    assert (replacements > 0).sum() == VOCABULARY - 1 and replacements.max() < 2 * expected  # every token, about alike


def test_targets_and_replacements_come_from_the_given_generator_alone():
    ids = drawn(20, 30, 1)
    task = task_of(ids, ids, 0.5)
    torch.manual_seed(1)
    first = hidden(task, ids)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = hidden(task, ids)
    assert all(map(torch.equal, first, again)) and torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first[0], hidden(task, ids, seed=3)[0])


def test_evaluation_asks_the_same_of_every_run():
    """Whatever the run's seed has drawn before, and in batches of 32 rows or more alike."""
    task, asked = task_of(drawn(8, 16, 1), drawn(70, 16, 2)), []
    for seed, batch_size in ((1, 32), (2, 128)):
        torch.manual_seed(seed)
        next(task.batches(4, seed))
        asked.append(by_row(task.eval_batches("validation", batch_size)))
    assert asked[0] == asked[1] and sorted(asked[0]) == list(range(70))
    labels = torch.tensor([labels for labels, _ in asked[0].values()])
    original = drawn(70, 16, 2)[list(asked[0])]
    assert torch.equal(
        labels[labels != IGNORED], original[labels != IGNORED]
    )  # the validation rows, not the training rows


def test_training_asks_anew_in_every_epoch_and_by_the_seed():
    task = task_of(drawn(8, 40, 1), drawn(8, 40, 2))

    def epochs(seed):
        batches = task.batches(4, seed)
        return by_row(islice(batches, 2)), by_row(islice(batches, 2))

    first, second = epochs(1)
    assert sorted(first) == sorted(second) == list(range(8)) and epochs(1) == (first, second)
    assert all(first[row] != second[row] for row in range(8))
    places = [next(task.batches(4, seed)).labels != IGNORED for seed in (1, 2)]
    assert not torch.equal(*places)  # the places in the batch differ too, not only its rows


def test_a_batch_that_would_ask_nothing_asks_one_token():
    ids = drawn(3, 12, 1)
    task = task_of(ids, ids, rate=1e-12)
    labels, inputs = hidden(task, ids)
    assert (labels != IGNORED).nonzero().tolist() == [[0, 1]] and labels[0, 1] == ids[0, 1]
    logits = torch.zeros(1, VOCABULARY, requires_grad=True)
    loss = task.loss(Outputs(logits), Batch({"input_ids": inputs}, labels, torch.arange(3)))["mlm"]
    loss.backward()
    assert loss.item() == pytest.approx(math.log(VOCABULARY)) and logits.grad.isfinite().all()
    rows = task.outputs_by_row(Outputs(logits.detach()), Batch({}, labels, torch.arange(3)))
    assert [len(rows[i]) for i in range(3)] == [1, 0, 0]  # rows without a target count for nothing
    metrics = task.metrics({"validation": task_of(ids, ids).predict("validation", rows)})
    assert metrics == {"accuracy": 0.0, "perplexity": pytest.approx(VOCABULARY)}


@pytest.mark.parametrize(("unknown", "place"), [(4, [0, 5]), (11, [1, 2]), (30, [0, 1])])
def test_the_one_token_is_no_special_one_if_there_is_another(unknown, place):
    """Of three rows with ten words each the first words are [UNK], which is 1: four, eleven or all."""
    ids = drawn(3, 12, 1)
    ids[:, 1:-1] = torch.where(torch.arange(30).view(3, 10) < unknown, 1, ids[:, 1:-1])
    labels, _ = hidden(task_of(ids, ids, rate=1e-12), ids)
    assert (labels != IGNORED).nonzero().tolist() == [place]


def test_a_batch_that_asks_something_is_not_asked_more():
    ids = drawn(4, 50, 1)
    labels = [hidden(task_of(ids, ids), ids, seed)[0] for seed in range(30)]
    assert 0 < sum(int(x[0, 1] != IGNORED) for x in labels) < 15  # about 15 % of 30


def test_the_baseline_by_hand():
    """Training tokens: 5 four times, 6 twice. Validation: 5 once, 6 three times. Special tokens do not count."""
    task = task_of(torch.tensor([[2, 5, 5, 6, 3], [2, 5, 6, 5, 3]]), torch.tensor([[2, 5, 6, 3], [2, 6, 6, 3]]))
    p_5, p_6 = (4 + 1) / (6 + VOCABULARY), (2 + 1) / (6 + VOCABULARY)
    assert task.baseline() == pytest.approx({"accuracy": 1 / 4, "perplexity": 1 / (p_5**0.25 * p_6**0.75)})
