"""Each key of conf/ with its default, what is allowed and its meaning, compared with what Hydra composes."""

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.settings import comments, keys, meanings, overrides, signature

CONF = Path(__file__).parents[2] / "conf"
GROUPS = ("method", "task", "model", "corpus", "distill", "augment", "impl", "tracking", "fit")
OPTIONS = [(g, path.stem) for g in (*GROUPS, "hydra/launcher") for path in sorted((CONF / g).glob("*.yaml"))]


def test_every_key_has_a_meaning_and_a_type():
    """A new key without a comment fails here. A launcher's types are those of its package."""
    found = [(group, key) for group, name in OPTIONS for key in keys.option(group, name).keys]
    found += [("", key) for key in keys.general()]
    assert len(OPTIONS) > 50 and len(found) > 450
    assert [key.path for _, key in found if len(key.meaning) < 10] == []
    assert [key.path for group, key in found if not key.allowed and group != "hydra/launcher"] == []


@pytest.mark.parametrize("name", sorted(p.stem for p in (CONF / "method").glob("*.yaml")))
def test_a_methods_keys_are_those_of_its_yaml_and_of_its_signature(name):
    written = yaml.safe_load((CONF / "method" / f"{name}.yaml").read_text())
    top = [key.path.split(".")[1] for key in keys.option("method", name).keys if key.path.count(".") == 1]
    assert top == [key for key in written if not key.startswith("_") and key != "defaults"]
    assert set(top) | {"net", "task"} == set(signature.names(written["_target_"]))


MANY = {  # options of groups whose keys are all alike: of these the fast suite has few
    "model": ("bert-base", "tiny"),
    "task": ("file", "hub", "mnli", "stsb", "squad", "mlm", "conll2003", "swag", "hans", "rotten_tomatoes"),
}


@pytest.mark.parametrize(
    ("group", "name"),
    [pytest.param(g, n, marks=[] if n in MANY.get(g, (n,)) else [pytest.mark.slow]) for g, n in OPTIONS if g in GROUPS],
)
def test_defaults_are_those_that_hydra_composes(group, name):
    words = ["method=dense", "fit=smoke", "model=bert-base"]  # no combination of these has values of its own
    composed = overrides.compose([w for w in words if not w.startswith(f"{group}=")] + [f"{group}={name}"])
    option = keys.option(group, name)
    combinations = {"fit=smoke": "method", "method=dense": "fit"}  # of dense itself with a budget
    changed = [c.settings for c in keys.combinations(group, name) if c.options in combinations]
    defaults = {key.path: key.default for key in option.keys} | {k: v for values in changed for k, v in values.items()}
    raw = OmegaConf.to_container(composed)
    compared = 0
    for path, default in defaults.items():
        value = raw
        for part in path.split("."):
            value = value.get(part, "absent") if isinstance(value, dict) else "absent"
        if default.startswith("as "):
            assert value == f"${{{default[3:]}}}", path
        elif isinstance(value, str) and value.startswith(("${published:", "${oc.select:")):
            assert OmegaConf.select(composed, path) == default
        elif isinstance(value, dict) and "_target_" in value:
            assert value["_target_"] == default
        elif value != "absent" and not isinstance(value, dict):  # absent: the signature's default, compared below
            assert same(default, value), (path, default, value)
        compared += value != "absent"
    assert compared >= len(option.keys) - 20 and (compared or not option.keys)


def same(text, value):
    """Whether a default's text means the value that Hydra read. PyYAML takes 2e-5 for text."""
    read = yaml.safe_load(text)
    return read == value or (isinstance(value, float) and float(read) == value)


def test_what_only_a_signature_has_comes_with_its_default():
    """False and 0.0 are equal in Python; a default of 0.0 must not be shown as false."""
    shown = {key.path: key.default for key in keys.option("fit", "paper").keys}
    own = Fit(epochs=1, batch_size=1, lr=0, head_lr=0)
    assert "weight_decay" not in yaml.safe_load((CONF / "fit/paper.yaml").read_text())["mask_fit"]
    for name in ("steps", "warmup", "decay", "weight_decay", "clip", "eval_every", "keep"):
        assert same(shown[f"mask_fit.{name}"], getattr(own, name)), name
    assert shown["mask_fit.weight_decay"] == "0.0" and shown["mask_fit.eval_every"] == "0"


@pytest.mark.parametrize(
    "words",
    [("smp", "paper", "squad_v2"), ("gmp", "paper", "squad"), ("l0", "paper", "squad_v2"), ("l0", "quick", "rte")],
)
def test_combinations_are_those_that_hydra_composes(words):
    method, fit, task = words
    values = {key.path: key.default for key in keys.option("fit", fit).keys + keys.option("method", method).keys}
    for combination in keys.combinations("method", method) + keys.combinations("task", task):
        if set(combination.options.split()) <= {f"fit={fit}", f"task={task}", f"method={method}"}:
            values |= combination.settings
    composed = overrides.compose([f"method={method}", f"fit={fit}", f"task={task}", "model=bert-base"])
    plain = {path: text for path, text in values.items() if not text.startswith("as ") and text[:1].isdigit()}
    assert len(plain) > 15
    for path, text in plain.items():
        value = OmegaConf.select(composed, path)
        assert value is None or same(text, value), path


def test_a_value_that_depends_on_another_key_is_shown_with_its_condition():
    (paper,) = [c.settings for c in keys.combinations("method", "tamt") if c.options == "fit=paper"]
    assert paper["mask_fit.lr"] == "5e-5 (2e-5 with method.objective=kd)"


def test_a_comment_belongs_to_its_key_only(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(
        "# @package _global_\n# What it is.  prunebert method=a task=b    with a note\n# More.\n"
        "defaults:\n  - base # no parent\n  - override /task: rte # why\n"
        "first: '# no comment'\n# above,\n# in two lines\nsecond: {x: 1, y: [1, 2]} # beside\nthird:\n"
        "  # inner\n  below: 3\n  beside: 4 # four\n"
    )
    read = comments.read(file)
    assert read.header == "What it is. More." and read.commands == ["prunebert method=a task=b  # with a note"]
    assert read.package == "_global_" and read.defaults == ["base", "override /task: rte"]
    entries = read.root.entries
    assert {key: entry.comment for key, entry in entries.items()} == {"first": "", "second": "beside", "third": ""}
    assert entries["first"].text == "# no comment" and entries["second"].text == "{x: 1, y: [1, 2]}"
    assert {k: (e.text, e.comment) for k, e in entries["third"].entries.items()} == {
        "below": ("3", "inner"),
        "beside": ("4", "four"),
    }


@pytest.mark.parametrize("text", ["- a list\n", "a: [1\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(BadInput, match=r"a\.yaml cannot be read as yaml: "):
        comments.read(tmp_path / "a.yaml")


def test_an_unknown_option_is_refused_with_those_there_are():
    with pytest.raises(BadInput, match=r"^method=smo: allowed are abp, .*tamt; did you mean smp\?$"):
        keys.option("method", "smo")


def test_meanings_come_from_fields_and_docstrings(tmp_path, monkeypatch):
    (tmp_path / "documented.py").write_text(
        '"""Module.\n\nTitle\n-----\nText.\n"""\n'
        "from dataclasses import dataclass\n\n\n@dataclass\n"
        "class Base:\n    a: int  # of the base\n    s: str = '#'\n\n\n"
        "@dataclass\nclass Sub(Base):\n    b: int = 2  # its own\n\n\n"
        'def f(x, y, z):\n    """First.\n\n    Args:\n        x, y: both,\n'
        "            in two lines.\n        z: last.\n\n"
        '    Raises:\n        BadInput: never.\n    """\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert meanings.of("documented.Sub") == {"a": "of the base", "b": "its own"}
    assert meanings.of("documented.f") == {"x": "both, in two lines.", "y": "both, in two lines.", "z": "last."}
    assert meanings.sections("documented") == {"": "Module.", "Title": "Text."}
