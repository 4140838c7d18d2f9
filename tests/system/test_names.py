"""Names are ordered by their numbers, and shortened ones stay apart."""

from pathlib import Path

from prunebert.system.names import brief, in_order, mark


def test_numbers_in_names_are_ordered_by_value():
    ordered = [
        "seed-9",
        "seed-10",
        "sparsity-0.25",
        "sparsity-0.5",
        "sparsity-0.9",
        "sparsity-0.9/seed-2",
        "sparsity-0.9/seed-10",
        "sparsity-0.95",
    ]
    assert [str(path) for path in sorted(map(Path, reversed(ordered)), key=in_order)] == ordered


def test_shortened_names_stay_apart():
    names = [f"{'a' * 30}{i}" for i in range(300)]
    assert len({brief(name, 20) for name in names}) == len({mark(name) for name in names}) == 300
    assert {len(brief(name, 20)) for name in names} == {20} and brief("a" * 20, 20) == "a" * 20
