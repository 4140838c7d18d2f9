"""What is told of a config before anything is imported: names, types and choices, sparsity and folder names."""

import math
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.schedules import Cubic
from prunebert.settings import checks, signature

ROOT = Path(__file__).parents[2]
LAB = '''
"""A module of somebody else's; it breaks when it is imported."""
from __future__ import annotations
from dataclasses import dataclass, field
from typing import Literal
raise RuntimeError("signature.check must not import this")

def method(net, task, *, rate: float, rounds: int, note: str, loud: bool = False,
           scope: Literal["local", "global"] = "local", steps: int | None = None,
           power: float | Literal["paper"] = 1.0, only: Literal["one"] = "one", files: list[str] | None = None,
           inner: Inner, anything=None): ...

def open_ended(net, *, rate: float, **rest): ...

@dataclass(frozen=True)
class Inner:
    size: int
    names: list[str] = field(default_factory=list)
    share: float = 0.5

@dataclass
class Derived(Inner):
    depth: int = 2

class Plain:
    def __init__(self, size): ...
'''
GOOD = {
    "_target_": "lab_of_signatures.method",
    "rate": 0.5,
    "rounds": 3,
    "note": "x",
    "inner": {"_target_": "lab_of_signatures.Inner", "size": 4},
}


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    (tmp_path / "lab_of_signatures.py").write_text(LAB)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    signature._parameters.cache_clear()


def check(**change):
    """The good node with other values; None is a value, `...` takes a key out."""
    node = {k: v for k, v in (GOOD | change).items() if v is not ...}
    signature.check(node, "method")


def refused(call, *words):
    with pytest.raises(BadInput) as caught:
        call()
    assert all(w in str(caught.value) for w in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_good_node_passes():
    check()
    check(loud=True, scope="global", steps=7, power="paper", only="one", files=["a"], anything={"x": [1]})


def test_an_unknown_key_is_told_with_what_was_meant():
    refused(lambda: check(ruonds=3), "method.ruonds: lab_of_signatures.method takes no ruonds", "did you mean rounds?")
    refused(lambda: check(zzz=3), "method.zzz", "it takes", "rate, rounds, note")


@pytest.mark.parametrize(
    "key, value",
    [
        ("rate", 1),  # a whole number is a number
        ("rate", 1.5),
        ("rate", -1),
        ("rounds", 0),
        ("note", ""),
        ("loud", False),
        ("scope", "local"),
        ("steps", None),
        ("steps", 3),
        ("power", 2),
        ("power", 0.25),
        ("power", "paper"),
        ("files", None),
        ("anything", object()),
    ],
)
def test_a_value_of_its_type_passes(key, value):
    check(**{key: value})


@pytest.mark.parametrize(
    "key, value, allowed",
    [
        ("rate", "fast", "must be a number"),
        ("rate", True, "must be a number"),
        ("rate", None, "must be a number"),
        ("rate", [1.0], "must be a number"),
        ("rounds", 1.0, "must be a whole number"),
        ("rounds", True, "must be a whole number"),
        ("rounds", "3", "must be a whole number"),
        ("rounds", None, "must be a whole number"),
        ("note", 3, "must be text"),
        ("loud", 1, "must be true or false"),
        ("loud", "yes", "must be true or false"),
        ("steps", 1.5, "must be a whole number or null"),
        ("steps", False, "must be a whole number or null"),
        ("power", "papr", "must be paper or a number"),
        ("power", True, "must be paper or a number"),
        ("rounds", {"a": 1}, "must be a whole number"),
    ],
)
def test_a_value_of_another_type_is_told(key, value, allowed):
    refused(lambda: check(**{key: value}), f"method.{key}={value}: {allowed}")


def test_a_wrong_choice_is_told_with_what_was_meant():
    refused(lambda: check(scope="locl"), "method.scope=locl: allowed are local, global; did you mean local?")
    refused(lambda: check(scope=None), "method.scope=None: allowed are local, global")
    refused(lambda: check(only="two"), "method.only=two: allowed are one")


def test_nested_nodes_are_checked_under_their_own_path():
    inner = {"_target_": "lab_of_signatures.Inner", "size": 4}
    refused(lambda: check(inner=inner | {"size": "big"}), "method.inner.size=big: must be a whole number")
    refused(lambda: check(inner=inner | {"siz": 1}), "method.inner.siz", "did you mean size?")
    refused(lambda: check(inner={"_target_": "lab_of_signatures.Inner"}), "method.inner.size is needed")
    refused(lambda: check(inner={"_target_": "lab_of_signatures.Iner", "size": 4}), "did you mean Inner?")
    deeper = inner | {"names": {"_target_": "lab_of_signatures.Inner", "size": 1.5}}
    refused(lambda: check(inner=deeper), "method.inner.names.size=1.5")


def test_what_has_no_default_is_needed():
    refused(lambda: check(note=...), "method.note is needed by lab_of_signatures.method and not given")
    node = {k: v for k, v in GOOD.items() if k != "note"}
    signature.check(node, "method", given_later=("note",))
    signature.check(node | {"_partial_": True}, "method")  # the rest comes at the call
    refused(lambda: signature.check(node | {"_partial_": True, "rounds": "x"}, "method"), "method.rounds=x")


def test_a_dataclass_takes_its_fields_and_its_bases():
    derived = {"_target_": "lab_of_signatures.Derived", "size": 1, "share": 0.25, "depth": 3}
    signature.check(derived, "x")
    refused(lambda: signature.check(derived | {"depth": 1.5}, "x"), "x.depth=1.5")
    refused(lambda: signature.check(derived | {"size": "a"}, "x"), "x.size=a")
    refused(lambda: signature.check({"_target_": "lab_of_signatures.Derived"}, "x"), "x.size is needed")


@pytest.mark.parametrize("target", ["open_ended", "Plain"])
def test_where_the_source_cannot_tell_anything_goes(target):
    signature.check({"_target_": f"lab_of_signatures.{target}", "whatever": 1}, "x")


@pytest.mark.parametrize(
    "target, words",
    [
        ("lab_of_signatures.methd", ("lab_of_signatures defines no methd", "did you mean method?")),
        ("lab_of_nothing.method", ("there is no Python module lab_of_nothing",)),
        ("prunebert.methods.smpp.smp", ("there is no Python module prunebert.methods.smpp",)),
        ("prunebert.nothing.smp.smp", ("there is no Python module prunebert.nothing.smp",)),
        ("prunebert.fit.Fit.of", ("there is no Python module prunebert.fit.Fit",)),
        ("smp", ("_target_=smp",)),
    ],
)
def test_an_unknown_target_is_told(target, words):
    refused(lambda: signature.check({"_target_": target}, "method"), f"_target_={target}", *words)


def test_real_dataclasses_are_read_as_they_are():
    fit = {"_target_": "prunebert.fit.Fit", "epochs": 3, "batch_size": 32, "lr": 2e-5, "head_lr": 1e-3}
    signature.check(fit, "fit")
    assert set(signature._parameters("prunebert.fit.Fit")) == set(Fit.__dataclass_fields__)
    refused(lambda: signature.check(fit | {"epoch": 3}, "fit"), "fit.epoch", "did you mean epochs?")
    refused(lambda: signature.check(fit | {"batch_size": 1.5}, "fit"), "fit.batch_size=1.5: must be a whole number")
    refused(lambda: signature.check(fit | {"keep": 1}, "fit"), "fit.keep=1: must be text")
    linear = {"_target_": "prunebert.schedules.Linear", "final": 0.9, "start": 0.1}
    signature.check(linear, "method.schedule")
    assert set(signature._parameters("prunebert.schedules.Linear")) == set(Cubic.__dataclass_fields__)
    refused(lambda: signature.check(linear | {"strat": 0}, "method.schedule"), "did you mean start?")


CHECKED_WITHOUT_TORCH = """
    import sys
    from pathlib import Path
    from omegaconf import OmegaConf
    from prunebert.settings import signature
    from prunebert.errors import BadInput

    fit = {"_target_": "prunebert.fit.Fit", "epochs": 1, "batch_size": 2, "lr": 0.1, "head_lr": 0.1}
    files = sorted(Path("conf/method").glob("*.yaml"))
    OmegaConf.register_new_resolver("published", lambda paper: paper)
    for file in files:
        cfg = OmegaConf.create({"sparsity": 0.9, "seed": 0, "fit": fit, "teacher_fit": fit, "mask_fit": fit})
        cfg.corpus = OmegaConf.load("conf/corpus/imdb.yaml")
        cfg.distill = OmegaConf.load("conf/distill/logits.yaml")
        cfg.method = OmegaConf.load(file)
        cfg.method.pop("defaults", None)
        node = OmegaConf.to_container(cfg, resolve=True)["method"]
        signature.check(node, "method")
        for key in ("nonsense", "fit"):
            try:
                signature.check(node | {key: {"_target_": "prunebert.fit.Fit", "epoch": 1}}, "method")
            except BadInput:
                continue
            raise SystemExit(f"{file} takes a wrong {key}")
    heavy = {"torch", "transformers", "datasets", "evaluate", "pandas", "numpy", "scipy", "sklearn"} & set(sys.modules)
    print(len(files), "methods;", sorted(heavy), "imported")
"""


def test_checking_the_real_methods_imports_nothing_heavy():
    code = textwrap.dedent(CHECKED_WITHOUT_TORCH)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    summary, imported = done.stdout.strip().split("; ")
    assert int(summary.split()[0]) >= 12
    assert imported == "[] imported"


# checks


@pytest.mark.parametrize(
    "value", [1.5, -0.1, "abc", "0.5", True, False, math.nan, math.inf, -math.inf, 1, 1.0, None, [0.5]]
)
def test_a_sparsity_that_cannot_be_is_refused(value):
    refused(lambda: checks.sparsity(value), f"sparsity={value}: ", "at least 0 and below 1")
    refused(lambda: checks.words([("seed", 0), ("sparsity", value)]), f"sparsity={value}: ")


@pytest.mark.parametrize("value", [0, 0.0, 0.5, 0.9999])
def test_a_sparsity_that_can_be_passes(value):
    checks.sparsity(value)
    checks.words([("sparsity", value), ("seed", 3), ("fit.steps", "anything")])


@pytest.mark.parametrize("value", [-1, 1.0, "3", True, None, math.nan])
def test_a_seed_that_cannot_be_is_refused(value):
    refused(lambda: checks.seed(value), f"seed={value}: must be a whole number, 0 or more")
    refused(lambda: checks.words([("seed", value)]), f"seed={value}: ")


@pytest.mark.parametrize("value", [0, 1, 2**40])
def test_a_seed_that_can_be_passes(value):
    checks.seed(value)


def test_a_whole_config_is_checked():
    fit = {"_target_": "prunebert.fit.Fit", "epochs": 3, "batch_size": 32, "lr": 2e-5, "head_lr": 1e-3}
    required = {"sparsity": 0.5, "prunable": "paper", "seed": 0, "rerun": False, "dry": False}
    good = required | {"fit": fit, "teacher_fit": fit, "mask_fit": fit}
    checks.config(good)
    refused(lambda: checks.config(good | {"sparsity": 2}), "sparsity=2")
    refused(lambda: checks.config(good | {"seed": -1}), "seed=-1")
    refused(lambda: checks.config(good | {"prunable": "encoders"}), "prunable=encoders", "did you mean encoder?")
    refused(lambda: checks.config(good | {"fit": fit | {"lrr": 1}}), "fit.lrr")
    refused(lambda: checks.config(good | {"teacher_fit": fit | {"lrr": 1}}), "teacher_fit.lrr")
    for wrong, key in (
        ({"epochs": 0}, "epochs=0"),
        ({"decay": "cosine"}, "decay=cosine"),
        ({"keep": "best"}, "keep=best"),
    ):
        for name in ("fit", "teacher_fit", "mask_fit"):
            with pytest.raises(BadInput, match=rf"^{name}\.{key}: ") as error:
                checks.config(good | {name: fit | wrong})
            assert key != "keep=best" or f"set {name}.eval_every" in str(error.value)
    needs = {"_target_": "prunebert.tasks.text.text_task"}
    refused(lambda: checks.config(good | {"task": needs}), "task.name is needed")  # the tokenizer comes later


def test_a_cell_is_a_folder_name():
    assert checks.cell("method=smp,seed=1") == "method=smp,seed=1"
    assert checks.cell("") == "default"
    assert checks.cell("model.name=a/b,task.train=/data/x.csv") == "model.name=a_b,task.train=_data_x.csv"
    assert checks.cell("x" * 200) == "x" * 200


def test_a_long_cell_is_cut_and_still_its_own():
    first, second = checks.cell("a=" + "x" * 300 + "1"), checks.cell("a=" + "x" * 300 + "2")
    assert first != second and first == checks.cell("a=" + "x" * 300 + "1")
    for name in (first, second, checks.cell("/" * 5000), checks.cell("x" * 201)):
        assert len(name) <= 200 and "/" not in name
    assert first.startswith("a=" + "x" * 150)
