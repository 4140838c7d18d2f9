"""Batches: their order, length and padding."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert.tasks.batching import BUCKET, Rows, padding_of

sixty_examples = settings(deadline=None, max_examples=60, derandomize=True)
PADDING = {"input_ids": 99, "attention_mask": 0}
CONF = Path(__file__).parents[2] / "conf"


# batches


def rows_of(lengths: list[int]) -> Rows:
    """Make rows: row i holds the tokens i·1000, i·1000+1, … and the label 10·i, which identify it."""
    ids = [list(range(1000 * i, 1000 * i + n)) for i, n in enumerate(lengths)]
    table = pa.table({"input_ids": ids, "attention_mask": [[1] * n for n in lengths]})
    return Rows.of(table, ["input_ids", "attention_mask"], torch.arange(len(lengths)) * 10)


def epochs(rows: Rows, batch_size: int, seed: int, count: int):
    batches = rows.shuffled(batch_size, seed, PADDING)
    steps = -(-len(rows) // batch_size)
    return [list(itertools.islice(batches, steps)) for _ in range(count)]


def row_positions(batches) -> list[int]:
    return torch.cat([b.rows for b in batches]).tolist()


def pads(batches) -> int:
    return sum(int((b.inputs["attention_mask"] == 0).sum()) for b in batches)


def test_a_batch_is_padded_on_the_right():
    batch = rows_of([2, 4, 1]).batch(np.array([2, 0, 1]), PADDING)
    assert batch.inputs["input_ids"].tolist() == [[2000, 99, 99, 99], [0, 1, 99, 99], [1000, 1001, 1002, 1003]]
    assert batch.inputs["attention_mask"].tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch.labels.tolist() == [20, 0, 10] and batch.rows.tolist() == [2, 0, 1]
    assert {x.dtype for x in batch.inputs.values()} == {torch.int64}


def test_padding_is_as_long_as_the_longest_of_its_batch():
    rows = rows_of([2, 4, 1])
    assert rows.batch(np.array([0, 2]), PADDING).inputs["input_ids"].shape == (2, 2)
    assert rows.batch(np.array([2]), PADDING).inputs["input_ids"].tolist() == [[2000]]


def test_padding_of_a_tokenizer():
    tokenizer = SimpleNamespace(pad_token_id=1, pad_token_type_id=7)
    assert padding_of(tokenizer) == {"input_ids": 1, "attention_mask": 0, "token_type_ids": 7}


@sixty_examples
@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(1, 9), st.integers(0, 3))
def test_every_row_comes_whole_and_once_per_epoch(lengths, batch_size, seed):
    rows = rows_of(lengths)
    for batches in epochs(rows, batch_size, seed, 2):
        assert sorted(row_positions(batches)) == list(range(len(lengths)))
        assert sorted(len(b.rows) for b in batches)[1:] == [batch_size] * (len(batches) - 1)
        for batch in batches:
            for i, row in enumerate(batch.rows.tolist()):
                is_token = batch.inputs["attention_mask"][i].bool()
                expected = [1000 * row + k for k in range(lengths[row])]
                assert batch.inputs["input_ids"][i][is_token].tolist() == expected
                assert is_token[: lengths[row]].all() and not is_token[lengths[row] :].any()
                assert (batch.inputs["input_ids"][i][~is_token] == 99).all()
                assert batch.labels[i] == 10 * row


def test_the_order_depends_on_the_seed():
    rows = rows_of([3 + i % 5 for i in range(40)])
    first_epoch, second_epoch = map(row_positions, epochs(rows, 4, 7, 2))
    assert [first_epoch, second_epoch] == list(map(row_positions, epochs(rows, 4, 7, 2)))
    assert first_epoch != second_epoch  # every epoch has another order
    next_seed = row_positions(epochs(rows, 4, 8, 1)[0])
    assert first_epoch != next_seed != second_epoch  # nor is a seed's second epoch the next one's first


def test_the_order_does_not_depend_on_the_global_generators():
    rows = rows_of([3] * 40)
    torch.manual_seed(0)
    np.random.seed(0)
    positions = row_positions(epochs(rows, 4, 7, 1)[0])
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.random.get_rng_state()
    assert row_positions(epochs(rows, 4, 7, 1)[0]) == positions
    assert torch.equal(torch.random.get_rng_state(), before)


def test_batches_of_similar_length_need_far_fewer_pads():
    random = np.random.default_rng(0)
    lengths = np.minimum(5 + random.geometric(0.03, size=600), 128).tolist()  # many short, sixty_examples long
    rows, batch_size = rows_of(lengths), 8
    plain = random.permutation(600)
    unbucketed = [rows.batch(plain[i : i + batch_size], PADDING) for i in range(0, 600, batch_size)]
    bucketed = epochs(rows, batch_size, 0, 1)[0]
    assert sorted(row_positions(bucketed)) == sorted(row_positions(unbucketed))
    assert pads(bucketed) < 0.2 * pads(unbucketed)
    widths = [b.inputs["input_ids"].shape[1] for b in bucketed]
    assert widths != sorted(widths) and widths != sorted(widths, reverse=True)  # but not in the order of their length


def test_only_a_buckets_rows_are_sorted_together():
    assert BUCKET == 50
    pairs = [b.rows.tolist() for b in epochs(rows_of(list(range(1, 301))), 2, 0, 1)[0]]  # three buckets of 100 rows
    assert all(a < b for a, b in pairs)
    assert any(b > a + 1 for a, b in pairs)  # a sort over all rows would pair neighbours only
    inside = [b.rows.tolist() for b in epochs(rows_of(list(range(1, 101))), 2, 0, 1)[0]]
    assert sorted(inside) == [[i, i + 1] for i in range(0, 100, 2)]  # one bucket: neighbours it is
    assert inside != sorted(inside)  # and batches come in any order


def test_the_fingerprint_sees_tokens_borders_names_and_labels():
    def made(ids, labels=(0, 1), **other):
        columns = {"input_ids": np.concatenate(ids)} | {k: np.array(v) for k, v in other.items()}
        return Rows(columns, np.cumsum([0, *map(len, ids)]), torch.tensor(labels)).fingerprint()

    plain = made([[5, 6], [7]])
    assert plain == made([[5, 6], [7]])
    others = [
        made([[5, 6], [8]]),
        made([[5], [6, 7]]),
        made([[5, 6], [7]], (1, 0)),
        made([[5, 6], [7]], (0.0, 1.0)),
        made([[5, 6], [7]], token_type_ids=[0, 0, 1]),
        made([[5, 6], [7]], position_ids=[0, 0, 1]),
    ]
    assert len({plain, *others}) == 7


@sixty_examples
@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(1, 9))
def test_by_length_covers_every_row_longest_first(lengths, batch_size):
    batches = list(rows_of(lengths).by_length(batch_size, PADDING))
    order = row_positions(batches)
    assert order == sorted(range(len(lengths)), key=lambda i: -lengths[i])  # Python's sort is stable
    assert [len(b.rows) for b in batches[:-1]] == [batch_size] * (len(batches) - 1)


def test_rows_of_a_slice_and_of_joined_tables():
    parts = [pa.table({"input_ids": [[i] * (i + 1) for i in range(k, k + 3)]}) for k in (0, 3)]
    joined = pa.concat_tables(parts)
    assert len(joined["input_ids"].chunks) == 2
    for table, expected_rows in [
        (joined, range(6)),
        (joined.slice(2, 3), range(2, 5)),
        (joined.take([4, 1]), (4, 1)),
    ]:
        rows = Rows.of(table, ["input_ids"], torch.arange(len(table)))
        token_ids = [
            rows.batch(np.array([i]), {"input_ids": 0}).inputs["input_ids"][0].tolist() for i in range(len(rows))
        ]
        assert token_ids == [[i] * (i + 1) for i in expected_rows]
