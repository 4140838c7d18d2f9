"""What a signature says of a node before anything is imported: names, types and choices."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from prunebert.errors import BadInput, shown
from prunebert.fit import Fit
from prunebert.schedules import Cubic
from prunebert.settings import checks, signature, source

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

made_elsewhere = open_ended
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
    for cached in (source.parameters, source.source, source.module_tree, source._meanings, source.is_a):
        cached.cache_clear()


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


def test_what_prunebert_gives_itself_is_not_among_the_keys_that_are_allowed():
    node = {k: v for k, v in GOOD.items() if k != "note"} | {"_partial_": True, "zzz": 3}
    refused(lambda: signature.check(node, "method", ("note",), 2), "it takes rate, rounds, loud, scope")
    dense = {"_target_": "prunebert.methods.dense.dense", "_partial_": True, "pattern": "2:4"}
    refused(lambda: checks.node("method", dense), "method.pattern: ", "takes no pattern; it takes fit, head")


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
    refused(lambda: check(**{key: value}), f"method.{key}={shown(value)}: {allowed}")


def test_a_wrong_choice_is_told_with_what_was_meant():
    refused(lambda: check(scope="locl"), "method.scope=locl: allowed are local, global; did you mean local?")
    refused(lambda: check(scope=None), "method.scope=null: allowed are local, global")
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


def test_where_the_source_cannot_tell_anything_goes():
    signature.check({"_target_": "lab_of_signatures.open_ended", "whatever": 1}, "x")
    signature.check({"_target_": "lab_of_signatures.made_elsewhere", "whatever": 1}, "x")


def test_a_class_takes_what_its_init_takes():
    signature.check({"_target_": "lab_of_signatures.Plain", "size": 1}, "x")
    refused(lambda: signature.check({"_target_": "lab_of_signatures.Plain", "sise": 1}, "x"), "did you mean size?")


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
    assert set(source.parameters("prunebert.fit.Fit")) == set(Fit.__dataclass_fields__)
    refused(lambda: signature.check(fit | {"epoch": 3}, "fit"), "fit.epoch", "did you mean epochs?")
    refused(lambda: signature.check(fit | {"batch_size": 1.5}, "fit"), "fit.batch_size=1.5: must be a whole number")
    refused(lambda: signature.check(fit | {"keep": 1}, "fit"), "fit.keep=1: allowed are last, best")
    linear = {"_target_": "prunebert.schedules.Linear", "final": 0.9, "start": 0.1}
    signature.check(linear, "method.schedule")
    assert set(source.parameters("prunebert.schedules.Linear")) == set(Cubic.__dataclass_fields__)
    refused(lambda: signature.check(linear | {"strat": 0}, "method.schedule"), "did you mean start?")


CHECKED_WITHOUT_TORCH = """
    import sys
    from pathlib import Path
    from omegaconf import OmegaConf
    from prunebert.settings import signature
    from prunebert.errors import BadInput, shown

    fit = {"_target_": "prunebert.fit.Fit", "epochs": 1, "batch_size": 2, "lr": 0.1, "head_lr": 0.1}
    files = sorted(Path("conf/method").glob("*.yaml"))
    OmegaConf.register_new_resolver("published", lambda paper: paper)
    for file in files:
        cfg = OmegaConf.create({"sparsity": 0.9, "seed": 0, "fit": fit, "teacher_fit": fit, "mask_fit": fit})
        cfg.corpus = OmegaConf.load("conf/corpus/imdb.yaml")
        cfg.distill = cfg.prune_distill = OmegaConf.load("conf/distill/logits.yaml")
        cfg.method = OmegaConf.load(file)
        cfg.method.pop("defaults", None)
        if "pruner" in cfg.method:
            cfg.method.pruner = OmegaConf.merge(OmegaConf.load("conf/method/gmp.yaml"), cfg.method.pruner)
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
