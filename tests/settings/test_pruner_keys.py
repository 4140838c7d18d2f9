"""Keys of a pruner inside another method: a refusal names method.pruner.KEY, wherever it is raised."""

import pytest

from prunebert.choices import PRUNER_KEYS
from prunebert.errors import BadInput, Diverged, renamed
from prunebert.methods.sparse_transfer import _phases
from prunebert.runs import inputs
from prunebert.settings import checks, overrides

WORDS = ["method=sparse_transfer", "task=rotten_tomatoes", "model=tiny", "corpus=imdb"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("method.pattern=5x7: choose another", "method.pruner.pattern=5x7: choose another"),
        (
            "method.memory=1: of method.block=50; lower fit.lr",
            "method.pruner.memory=1: of method.pruner.block=50; lower mask_fit.lr",
        ),
        ("distill.teacher=x: as prune_distill.teacher=x", "prune_distill.teacher=x: as prune_distill.teacher=x"),
        ("method.allocation=method.json: gone", "method.pruner.allocation=method.json: gone"),
        ("/a/method.json and ./fit.csv: gone", "/a/method.json and ./fit.csv: gone"),
        ("method=gmp: teacher_fit.lr", "method=gmp: teacher_fit.lr"),
    ],
)
def test_keys_are_renamed_and_values_are_not(text, expected):
    for kind in (BadInput, Diverged):
        with pytest.raises(kind) as caught, renamed(PRUNER_KEYS):
            raise kind(text)
        assert str(caught.value) == expected and type(caught.value) is kind


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("method.pruner.pattern=bad: allowed are none, N:M", ["method.pruner.pattern=bad"]),
        ("method.pruner.pattern=9x0: allowed are none, N:M", ["method.pruner.pattern=9x0"]),
        ("method.pruner.allocation=gone: allowed are uniform", ["method.pruner.allocation=gone"]),
        ("method.pruner.updates=0: must be a whole number, at least 1", ["method.pruner.updates=0"]),
        ("prune_distill.teacher=gone: there is no such dir", ["prune_distill.teacher=gone"]),
        ("distill.teacher=gone: there is no such dir", ["distill.teacher=gone"]),
        ("method.pruner.score_lr=-1: must be", ["method@method.pruner=movement", "method.pruner.score_lr=-1"]),
        ("method.pruner.masks=gone: there is no", ["method@method.pruner=tamt", "method.pruner.masks=gone"]),
        ("method.upstream=gone: there is no such dir", ["method.upstream=gone"]),
    ],
)
def test_what_can_be_refused_early_names_the_pruners_key(message, words):
    with pytest.raises(BadInput) as caught:
        fields = overrides.described([*WORDS, *words])[0]
        checks.config(fields)
        inputs.require(fields)
    assert str(caught.value).startswith(message), str(caught.value)


def test_what_the_pruner_refuses_itself_names_its_key():
    """Also where it refuses between two of its phases, and never what comes from outside of it."""

    def pruner(net, text):
        yield "first"
        raise BadInput("method.pattern=5x7: does not fit")

    phases = _phases(pruner, None, None)
    assert next(phases) == "first"
    with pytest.raises(BadInput, match=r"^method\.pruner\.pattern=5x7: does not fit$"):
        next(phases)
    phases = _phases(pruner, None, None)
    next(phases)
    with pytest.raises(BadInput, match=r"^method\.head=x$"):
        phases.throw(BadInput("method.head=x"))
