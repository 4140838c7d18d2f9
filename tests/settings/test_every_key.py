"""Every key of the configuration with values of other types and sizes: right, or refused in one line with the key."""

import math
import re
from pathlib import Path

import pytest
from hydra.utils import instantiate

from prunebert.errors import BadInput
from prunebert.settings import checks, overrides

CONF = Path(__file__).parents[2] / "conf"
# One value of each kind that a command line can write. 10**400 is beyond a float, 2**70 beyond 64 bits.
VALUES = (None, True, -1, 0, math.nan, math.inf, "text", "", "0.1", [], {}, [1], 10**400, 2**70, {"_target_": 3})
OPTIONS = [  # together they have every option of every group
    *([f"method={path.stem}", "task=rte"] for path in sorted((CONF / "method").glob("*.yaml"))),
    *(["method=magnitude", f"task={path.stem}"] for path in sorted((CONF / "task").glob("*.yaml"))),
    *(["method=gmp", f"distill={path.stem}", "task=rte"] for path in sorted((CONF / "distill").glob("*.yaml"))),
    *(["method=smp", "model=tiny", "augment=mlm", f"tracking={name}"] for name in ("trackio", "tensorboard", "wandb")),
]
# What is right and looks odd. Every other value here is of the wrong kind for a key with that name.
COPIES = ("method.fit.", "method.distill.", "method.pruner.fit.", "method.pruner.distill.")  # of other nodes
RIGHT_INFINITIES = {"fit.clip", "teacher_fit.clip", "mask_fit.clip", "checkpoint.seconds"}
NUMBERS = re.compile(
    r"\.(lr|head_lr|score_lr|temperature|penalty|gamma|init_\w+|final|start|end|tau|weight|attention|hidden|logits|"
    r"warmup|weight_decay|clip|rate|holdout|epochs|seconds|step|sparsity|steps|batch_size|eval_every|updates|power|"
    r"prune_steps|mask_steps|threads|copies|candidates|max_length|block|stride|n_best|max_answer|seed)$"
)


def places(value, path=""):
    """(mapping, key, dotted path) of every key, nodes included; the names of files in sha256 are no keys."""
    for key, inner in list(value.items()) if isinstance(value, dict) else ():
        yield value, key, f"{path}{key}"
        yield from places(inner, f"{path}{key}.") if key != "sha256" else ()


def test_every_value_is_right_or_refused_in_one_line():
    seen = set()
    for words in OPTIONS:
        fields = overrides.checked(words)[0]
        for mapping, key, path in places(fields):
            if path in seen or (path.startswith(COPIES) and words[0] != "method=tamt"):
                continue
            seen.add(path)
            right = mapping[key]
            for value in VALUES:
                mapping[key] = value
                if is_accepted(fields, path):
                    assert_plausible(path, value)
            mapping[key] = right
    assert len(seen) > 220


def is_accepted(fields, path):
    """Whether a configuration passes. If it does not, the reason is one short line that begins with the key."""
    try:
        checks.config(fields)
    except BadInput as error:
        line = str(error)
        parent = path.rpartition(".")[0]
        assert re.match(rf"{re.escape(path)}\W", line) or line.startswith((f"{parent}: ", f"{parent}.keep=best")), line
        assert "\n" not in line and len(line) < 600 and "None" not in line, line
        return False
    if path.split(".")[0] in (*checks.FITS, "checkpoint"):
        instantiate(fields[path.split(".")[0]])
    return True


def assert_plausible(path, value):
    """What was accepted is no number that nobody can mean, and no text or list in place of a number."""
    if isinstance(value, float):
        assert (
            path.removeprefix("method.").removeprefix("prune_").removeprefix("distill.") in RIGHT_INFINITIES
            and value == math.inf
        ), path
    elif NUMBERS.search(f".{path}"):
        assert value is None or (isinstance(value, int) and not isinstance(value, bool) and value <= 1e30), (
            path,
            value,
        )
        assert value != -1 or path.endswith("init_mean"), path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("fit.steps", 99999999999999999999),
        ("fit.batch_size", 10**12),
        ("fit.epochs", 1e300),
        ("fit.lr", 1e300),
        ("method.score_lr", -1),
        ("method.temperature", -1),
        ("method.penalty", -1),
        ("method.penalty", 1e300),
        ("method.schedule.final", 1),
        ("method.schedule.final", 2),
        ("method.prune_steps", 0),
        ("distill.temperature", 0),
        ("distill.weight", 2),
        ("impl.threads", 5000),
        ("checkpoint.seconds", 0),
        ("checkpoint.steps", 0),
        ("corpus.holdout", 1),
        ("augment.rate", 2),
        ("task.labels", {"neg": 1}),
        ("task.label_words", "ab"),
        ("task.label_words", [True, False]),
        ("task.label_words", [0, 1]),
        ("task.eval", ["a.csv", "b.csv"]),
        ("task.text", [None]),
        ("task.text", True),
        ("task.tokenizer", "bert"),
        ("method.net", 1),
        ("method._partial_", False),
        ("model._partial_", True),
        ("method._target_", "prunebert.fit.Fit"),
        ("method._target_", "prunebert.tasks.text.text_task"),
        ("method._target_", "os.system"),
        ("method._target_", "textwrap.dedent"),
        ("method.schedule._target_", "prunebert.fit.Fit"),
        ("task.hub.pth", "x"),
        ("model.package.nme", "x"),
    ],
)
def test_what_cannot_be_right_is_refused(path, value):
    fields = overrides.checked(["method=smp", "task=rte", "model=tiny", "distill=logits", "augment=mlm"])[0]
    *groups, key = path.split(".")
    node = fields
    for group in groups:
        node = node[group]
    node[key] = value
    with pytest.raises(BadInput, match=rf"^{re.escape(path)}\W"):
        checks.config(fields)
