"""The table of scripts/mutants.sh from outcomes that are written here; no mutant runs."""

from pathlib import Path

import pytest

from tests.toys import script

ROOT = Path(__file__).parents[2]

results = script("mutants_table")


def mutant(name, folder, outcome, line=1, added="y"):
    return results.Mutant(name, f"prunebert/{folder}/a.py", line, "f", ("x",), (added,), outcome)


MUTANTS = [
    *(mutant(f"noticed{i}", "masks", "noticed", added=f"noticed{i}") for i in range(6)),
    mutant("slow", "masks", "timeout", added="slow"),
    mutant("late", "masks", "survived", line=9, added="late"),
    mutant("early", "masks", "survived", line=2, added="early"),
    mutant("same", "masks", "survived", added="same"),
    mutant("broken", "methods", "", added="broken"),
]
JUDGED = """# comment

prunebert/masks/a.py f
- x
+ same
why: both are
  the same

prunebert/masks/a.py f
- x
+ noticed0
why: wrong, a test notices it

prunebert/masks/a.py g
- x
+ same
why: there is no g any more
"""


def test_the_score_is_of_the_mutants_that_are_not_equivalent():
    masks, methods, everything = results.rows(MUTANTS, results.equivalents(JUDGED))
    counts = {"mutants": 10, "noticed": 6, "timeout": 1, "survived": 2, "equivalent": 1, "not run": 0}
    assert masks == {"folder": "masks", **counts, "score": 7 / 9}
    assert (methods["mutants"], methods["not run"], methods["score"]) == (1, 1, None)
    assert (everything["folder"], everything["mutants"], everything["score"]) == ("all", 11, 7 / 9)
    assert results.table([masks, methods]).splitlines()[2:] == [
        "| masks | 10 | 6 | 1 | 2 | 1 | 0 | 77.8 % |",
        "| methods | 1 | 0 | 0 | 0 | 0 | 1 | – |",
    ]


def test_survivors_are_sorted_and_a_stale_judgement_is_found():
    judged = results.equivalents(JUDGED)
    assert [m.name for m in results.survivors(MUTANTS, judged)] == ["early", "late"]
    assert results.survivors(MUTANTS, [])[0].shown() == "prunebert/masks/a.py:1 f\n- x\n+ same"
    assert judged[0].reason == "both are the same"
    assert results.stale(judged, MUTANTS) == judged[1:]
    with pytest.raises(ValueError, match="why:"):
        results.equivalents("prunebert/masks/a.py f\n- x\n+ y\n")


def test_every_judgement_is_of_code_that_exists():
    judged = results.equivalents((ROOT / "scripts/mutants_equivalent.txt").read_text())
    assert judged
    for equivalent in judged:
        code = {line.strip() for line in (ROOT / equivalent.file).read_text().splitlines()}
        assert code.issuperset(equivalent.removed), equivalent


@pytest.mark.parametrize(
    ("added", "is_guard"),
    [
        ("for a, b in zip(x, y, ):", True),
        ("for a, b in zip(x, y, strict=False):", True),
        ("for a, b in zip(x, ):", False),
        ("for a, b in zip(y, x, strict=True):", False),
    ],
)
def test_strict_of_zip_is_a_guard(added, is_guard):
    survivor = results.Mutant(
        "n", "prunebert/masks/a.py", 1, "f", ("for a, b in zip(x, y, strict=True):",), (added,), "survived"
    )
    assert survivor.is_guard is is_guard
    assert results.survivors([survivor], []) == ([] if is_guard else [survivor])
    assert results.rows([survivor], [])[0]["equivalent"] == is_guard


def test_exit_codes_of_mutmut():
    """Pytest ends with 1 where a test fails and with 0 where none does; the kernel's signals are 11, 9 and 24."""
    assert [results.outcome(code) for code in (0, 33, 1, -11, -24, 2, 255, None)] == [
        *("survived", "survived", "noticed", "noticed", "timeout"),
        *("", "", ""),
    ]


def test_a_sample_is_reproducible_and_takes_equally_from_the_folders():
    names = [f"prunebert.{folder}.f{i}" for folder, size in (("a", 50), ("b", 20), ("c", 2)) for i in range(size)]
    drawn = results.draw(names, 22, seed=0)
    assert drawn == results.draw(names[::-1], 22, seed=0) != results.draw(names, 22, seed=1)
    assert [sum(name.split(".")[1] == folder for name in drawn) for folder in "abc"] == [10, 10, 2]
    assert set(results.draw(names, 10, seed=0)) < set(drawn)
    assert results.draw(names, 1000, seed=0) == sorted(names)


def test_the_tests_of_the_own_folder_and_the_fast_ones_run_first():
    seconds = {"tests/runs/a": 1, "tests/masks/b": 5, "tests/masks/c": 2, "tests/runs/d": 53, "tests/runs/e": 52}
    expected = ["tests/masks/c", "tests/masks/b", "tests/runs/a", "tests/runs/e"]
    assert results.ordered([*seconds], seconds, "masks", limit=60) == expected
    assert results.ordered([*seconds], seconds, "masks", limit=59) == expected[:3]
    assert results.ordered(["tests/runs/e"], seconds, "masks", limit=1) == ["tests/runs/e"]
