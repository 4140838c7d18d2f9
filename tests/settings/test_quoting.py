"""Printed commands: a shell takes the words back, and Hydra reads the same value, with as few quotes as possible."""

import shlex

import pytest

from prunebert.settings import quoting
from prunebert.settings.overrides import values

WORDS = [
    "method=smp",
    "sparsity=0.9",
    "task.train='a=b.csv'",
    "a b",
    'with "quotes"',
    "$HOME",
    "`x`",
    "a\\b",
    "it's",
    "电影",
]


def test_a_shell_takes_the_words_back():
    assert shlex.split(quoting.command(WORDS)) == WORDS
    assert quoting.command(WORDS[:3]) == "method=smp sparsity=0.9 \"task.train='a=b.csv'\""
    assert all("'\"'\"'" not in quoting.argument(word) for word in WORDS if not {*'$`\\"'} & {*word})


PLAIN = ["multirun/2026-11-28/10-00-00/method-smp_sparsity-0.9_seed-1", "./-x/y"]
QUOTED = ["run", "null", "true", "5", "/a/b c", "a/b,c=d", "it's/x", "a/[b]", "${x}/y", "a/\\"]


@pytest.mark.parametrize("path", [*PLAIN, *QUOTED])
def test_hydra_reads_a_path_back(path):
    word = quoting.setting("hydra.run.dir", path)
    (pair,) = values([word])
    assert pair == ("hydra.run.dir", path)
    assert ("'" not in word) == (path in PLAIN) and shlex.split(quoting.argument(word)) == [word]
