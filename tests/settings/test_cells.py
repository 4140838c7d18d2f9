"""Names of cells: what the sweep varies, safe everywhere, and no two alike."""

import itertools
import json
import re
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from prunebert.errors import BadInput
from prunebert.settings import cells, overrides

SAFE = re.compile(r"[A-Za-z0-9._-]{1,100}")


def names(*words, params=None):
    """The name of each cell, in the order of Hydra's own sweeper."""
    keys = cells.varied(words, params or {})
    return [cells.name(cell, keys) for cell in itertools.product(*(overrides.axis(word) for word in words))]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["method=smp,imp", "task=rte", "seed=1"], ["method-smp", "method-imp"]),
        (["method=smp,imp", "sparsity=0.9", "seed=0,1"][:2], ["method-smp", "method-imp"]),
        (["seed=range(0,3)", "task=rte"], ["seed-0", "seed-1", "seed-2"]),
        (["seed=choice(4,5)"], ["seed-4", "seed-5"]),
        (["fit.lr=1e-05,2e-05", "++method.scope=local,global"][:1], ["lr-1e-05", "lr-2e-05"]),
        (["++method.scope=local,global"], ["scope-local", "scope-global"]),
        (["fit.keep=last,best"], ["keep-last", "keep-best"]),
        (["method.keep_pretrained=true,false"], ["keep_pretrained-true", "keep_pretrained-false"]),
        (["task.max_length=null,-1"], ["max_length-null", "max_length--1"]),
        (["task=rotten_tomatoes,file"], ["task-rotten_tomatoes", "task-file"]),
        (["seed=3"], ["single"]),
        (["seed=3,3"], ["single", "single"]),
        (["seed=choice(3)"], ["single"]),
    ],
)
def test_a_name_has_the_last_part_of_each_varied_key(words, expected):
    assert names(*words) == expected


def test_the_order_is_that_of_the_words_and_shared_parts_get_the_whole_key():
    assert names("method=smp,imp", "sparsity=0.9,0.97", "seed=1,2")[0] == "method-smp_sparsity-0.9_seed-1"
    assert names("fit.lr=1,2", "teacher_fit.lr=3", "seed=0,1")[0] == "lr-1_seed-0"
    assert names("fit.lr=1,2", "teacher_fit.lr=3,4")[0] == "fit.lr-1_teacher_fit.lr-3"


def test_parameters_of_an_experiment_come_first_and_words_replace_them():
    params = {"method": "smp,imp", "sparsity": "0.5,0.9", "seed": 0}
    assert cells.varied(["experiment=x", "seed=1,2"], params) == ["method", "sparsity", "seed"]
    assert cells.varied(["method=smp", "seed=1,2"], params) == ["sparsity", "seed"]
    assert cells.name(["seed=1", "sparsity=0.5"], ["sparsity", "seed"]) == "sparsity-0.5_seed-1"
    assert cells.varied(["method=glob(*)", "fit.lr=interval(0,1)", "task=rte"], {}) == ["method", "fit.lr"]


VALUES = [
    *("/data/x.csv", "/data/x,csv".replace(",", "-"), "data-x.csv", "data/x.csv", "Data-x.csv", "DATA-x.csv"),
    *("'a b'", '"a b"', "'a  b'", "a-b", "[a,b]", "[a, b]".replace(" ", ""), "{a:1}", "{a:2}", "[]", "{}", "''"),
    *("null", "None", "none", "1", "-1", "1.0", "'$x'", "'a`b'", "'é'", "'ё'", "x_b-y", "y_b-z", "x", "x_b"),
    *("'" + "x" * 300 + "1'", "'" + "x" * 300 + "2'", "'" + "é" * 200 + "'", "'../..'", "..", "'.'", "'~'", "'*'"),
]


def test_values_of_any_kind_have_safe_names_of_their_own():
    values = list(dict.fromkeys(VALUES))
    found = {value: cells.name([f"task.train={value}"], ["task.train"]) for value in values}
    assert all(SAFE.fullmatch(name) for name in found.values())
    assert len({name.casefold() for name in found.values()}) == len(values)  # on any file system
    for name in found.values():
        assert shlex.quote(f"multirun/{name}") == f"multirun/{name}"
        word = OverridesParser.create().parse_override(f"method.masks=multirun/2026-11-28/10-00-00/{name}")
        assert word.value() == f"multirun/2026-11-28/10-00-00/{name}"  # Hydra reads it as one text without quotes


def test_two_keys_whose_values_contain_separators_have_names_of_their_own():
    values = ["x", "z", "x_b-y", "y_b-z", "x_b", "b", "b-b", "b_b", "-", "_b-", "_a-"]
    pairs = [(a, b) for a in values for b in values]
    assert len(
        {cells.name([f"k.a='{a}'" if "-" in a else f"k.a={a}", f"k.b={b}"], ["k.a", "k.b"]) for a, b in pairs}
    ) == len(pairs)


def test_a_long_name_is_cut_and_its_own():
    words = [f"method.parameter_{i}=value_{i},other" for i in range(12)]
    found = names(*words[:9])
    assert len(set(found)) == 2**9 and max(map(len, found)) == 100 and found == names(*words[:9])


def test_names_of_earlier_versions():
    assert cells.earlier_name("method=smp,seed=1") == "method=smp,seed=1" and cells.earlier_name("") == "default"
    assert cells.earlier_name("++method.x=a/b,task.train=/d/x.csv") == "method.x=a_b,task.train=_d_x.csv"
    assert cells.earlier_name("x" * 200) == "x" * 200
    first, second = cells.earlier_name("a=" + "x" * 300 + "1"), cells.earlier_name("a=" + "x" * 300 + "2")
    assert first != second and first.startswith("a=" + "x" * 150) and len(first) <= 200


@pytest.mark.parametrize(
    ("subdir", "shared"),
    [
        ("x", "x"),
        ("${seed}", "0"),
        ("./x/../x", "x"),
        ("${method._target_}-x", "prunebert.methods.magnitude.one_shot-x"),
    ],
)
def test_a_subdir_that_two_cells_share_is_refused_before_any_runs(cli, toy, tmp_path, subdir, shared):
    swept = "seed=0,1" if "method" in subdir else "sparsity=0.5,0.6"
    status, printed = cli(
        "-m", *toy, "hydra.sweep.dir=sweep", "method=magnitude", swept, f"hydra.sweep.subdir={subdir}"
    )
    first, second = overrides.axis(swept)
    assert status == 2 and printed == (
        f"prunebert: hydra.sweep.subdir={subdir}: {first} and {second} would share the directory {shared}; add "
        "${hydra.job.num} to it, or leave it out\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_subdir_of_ones_own_is_used(cli, toy, tmp_path):
    words = ["-m", *toy, "method=magnitude", "seed=0,1", "hydra.sweep.dir=sweep"]
    assert cli(*words, "hydra.sweep.subdir=cell-${seed}/${hydra.job.num}")[0] == 0
    assert sorted(str(p.parent.relative_to(tmp_path)) for p in tmp_path.rglob("result.json")) == [
        "sweep/cell-0/0",
        "sweep/cell-1/1",
    ]
    status, printed = cli(*words, "hydra.sweep.subdir=x${hydra.job.num}")  # found by identity within the sweep
    assert status == 0 and printed.count("finished before") == 2
    assert len(list(tmp_path.rglob("result.json"))) == 2 and (tmp_path / "sweep/x0/elsewhere.json").is_file()


def test_references_in_the_words_have_the_values_of_each_cell(cli, toy, tmp_path):
    """Not those of the sweep's own configuration, which has the default seed, 0, and the default method."""
    words = ["-m", *toy, "sparsity=0.5", "hydra.sweep.dir=sweep", "seed=1,2"]
    status, printed = cli(
        *words, "method=random,magnitude", "hydra.sweep.subdir=${hydra:runtime.choices.method}/s${seed}"
    )
    assert status == 0, printed
    assert sorted(str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("result.json")) == [
        "sweep/magnitude/s1",
        "sweep/magnitude/s2",
        "sweep/random/s1",
        "sweep/random/s2",
    ]
    sweep = {"overrides": {"task": ["seed=1,2", "a=${seed},0"], "hydra": []}, "sweeper": {"params": None}}
    config = OmegaConf.create({"seed": 0, "hydra": sweep | {"sweep": {"dir": "out", "subdir": "${hydra.job.num}"}}})
    cells.prepare(config)
    assert config.hydra.overrides.hydra == [f"{cells.VARIED}=['seed','a']"]  # though a is 0,0 with seed 0


@pytest.mark.parametrize("word", ["seed=1,2", "seed=1"])
def test_a_sweep_has_one_directory_for_all_cells(cli, toy, tmp_path, word):
    status, printed = cli("-m", *toy, "method=magnitude", word, "hydra.sweep.dir=out/${model.name}/s${seed}")
    assert status == 2 and printed == (
        "prunebert: hydra.sweep.dir=out/${model.name}/s${seed}: a sweep has one directory for all its cells, which "
        "cannot refer to model; write its value, or use hydra.sweep.subdir\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_word_that_deletes_a_key_is_no_axis(cli, toy):
    status, printed = cli("-m", *toy, "~corpus", "method=magnitude", "seed=1,2", "dry=true")
    assert status == 0 and printed.count(" steps, to do") == 2, printed


def test_a_sweep_over_experiments_is_refused(cli, toy):
    status, printed = cli("-m", *toy, "experiment=tune,quickstart")
    assert status == 2 and printed == (
        "prunebert: experiment=tune,quickstart: a sweep has one experiment; run one command for each\n"
    )


def test_a_sweep_of_an_earlier_version_keeps_its_directories(cli, toy, tmp_path):
    words = ["-m", *toy[:-1], "method=magnitude", "seed=0,1", "hydra.sweep.dir=sweep"]
    assert cli(*words)[0] == 0
    assert sorted(p.name for p in (tmp_path / "sweep").iterdir() if p.is_dir()) == ["seed-0", "seed-1"]
    earlier = cells.earlier_name(",".join(sorted([*toy[:-1], "method=magnitude", "seed=1"])))
    (tmp_path / "sweep/seed-1").rename(tmp_path / "sweep" / earlier)
    (tmp_path / "sweep/seed-0").rename(tmp_path / "mine")
    (entry, other) = (tmp_path / ".prunebert").glob("*.json")
    for path in (entry, other):
        path.unlink()
    _, printed = cli("status", "sweep")
    assert "1 done" in printed and "1 missing" in printed
    _, printed = cli("status", "sweep", "--failed")
    assert "hydra.run.dir=" in printed and printed.rstrip().rstrip("'\"").endswith("sweep/seed-0")
    status, printed = cli(*words)
    assert status == 0 and printed.count("finished before in mine") == 0 and printed.count("finished before") == 1
    assert sorted(p.name for p in (tmp_path / "sweep").iterdir() if p.is_dir()) == sorted(["seed-0", earlier])


def test_a_prepared_sweep_is_named_by_its_parameters(cli, tmp_path, toy):
    conf = tmp_path / "lab/experiment"
    conf.mkdir(parents=True)
    content = {"hydra": {"mode": "MULTIRUN", "sweeper": {"params": {"method": "magnitude,random", "seed": "0,1"}}}}
    (conf / "pair.yaml").write_text("# @package _global_\n" + json.dumps(content))
    words = [*(w for w in toy if not w.startswith("hydra")), f"hydra.searchpath=[{tmp_path}/lab]", "experiment=pair"]
    assert cli(*words, "seed=3", "hydra.sweep.dir=sweep")[0] == 0
    assert sorted(p.name for p in (tmp_path / "sweep").iterdir() if p.is_dir()) == ["method-magnitude", "method-random"]
    assert "missing" not in cli("status", "sweep")[1]


def test_a_word_that_cannot_be_read_is_refused():
    with pytest.raises(BadInput, match=r"method=smp,\["):
        cells.varied(["method=smp,[", "seed=1"], {})
