"""Any words of a command line compose a configuration, or are refused in one line, within a second."""

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunebert.errors import BadInput
from prunebert.settings import overrides

KEYS = [
    *("method", "task", "model", "corpus", "distill", "augment", "fit", "impl", "tracking", "experiment", "sparsity"),
    *(
        "prunable",
        "seed",
        "rerun",
        "dry",
        "checkpoint",
        "checkpoint.seconds",
        "fit.lr",
        "fit.steps",
        "fit",
        "task.text",
    ),
    *("method.schedule", "method.schedule.final", "method.fit", "method._target_", "method._partial_", "task.labels"),
    *("teacher_fit.warmup", "model.name", "model.package", "task.eval", "method.head", "hydra.run.dir", "foo", ""),
]
VALUES = [
    *("null", "true", "-1", "0", "nan", "inf", "text", "''", "'0.1'", "[]", "{}", "[1]", "{a: 1}", "1e400", "9" * 30),
    *(
        "smp",
        "dense",
        "mlm",
        "tiny",
        "${seed}",
        "${method}",
        "${x",
        "${oc.env:X}",
        "a,b",
        "range(1,3)",
        "glob(*)",
        "???",
    ),
    *(
        "{_target_: os.system}",
        "{_target_: prunebert.fit.Fit}",
        "prunebert.methods.smp.smp",
        "C:\\x",
        "d/a=b",
        "[[[]]]",
    ),
]
words = st.builds(
    "{}{}={}".format,
    st.sampled_from(["", "+", "++", "~", ""]),
    st.one_of(st.sampled_from(KEYS), st.text(max_size=8)),
    st.one_of(st.sampled_from(VALUES), st.text(max_size=12)),
)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(words, min_size=1, max_size=3))
def test_words_compose_or_are_refused(given_words):
    start = time.process_time()
    try:
        fields = overrides.checked(given_words)[0]
    except BadInput as error:
        line = str(error)
        assert line and "\n" not in line and len(line) < 1500, line
        assert not re.search(r"\b\w+(Exception|Traceback)\b", line.split(": ", 1)[-1]), line
    else:
        assert fields["method"]["_target_"]
    assert time.process_time() - start < 2
