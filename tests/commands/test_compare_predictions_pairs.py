"""Test that each line of the agreement of two runs has the numbers of these two."""

from prunebert.commands import compare_predictions


def test_every_pair_has_its_own_numbers(capsys):
    agreement = [[1, 0.75, 0.5], [0.75, 1, 0.625], [0.5, 0.625, 1]]
    masks = [[1, 0.1, 0.2], [0.1, 1, 0.3], [0.2, 0.3, 1]]
    result = {"predictions": {"agreement": agreement}, "beyond_chance": masks}
    compare_predictions._agreement(result, ["one", "two", "three"], wide=True)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[-3:]]
    assert lines == [
        ["one", "two", "0.7500", "0.1000"],
        ["two", "three", "0.6250", "0.3000"],
        ["one", "three", "0.5000", "0.2000"],
    ]
