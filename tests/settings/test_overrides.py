"""Words of a command line that cannot be read, or that refer to nothing: one line with the key, and how to quote."""

import re
import shlex

import pytest

from prunebert.errors import BadInput
from prunebert.runs import inputs
from prunebert.settings import bad_cells, overrides, sweeps

NAMES = [
    "a=b",
    "br[1]",
    "par(en)",
    "hash#1",
    "am&p",
    "a,b",
    "{x}",
    "ünï",
    "中文",
    "it's",
    'say "x"',
    "a!b",
    "$x(",
    "`x`(",
    "~/x",
]


@pytest.mark.parametrize("name", NAMES)
def test_what_the_message_says_to_write_means_the_same_name(name):
    """The suggestion goes through a shell's splitting and Hydra's grammar, and comes out as the name."""
    with pytest.raises(BadInput, match=rf"^task\.train={re.escape(name)}: ") as caught:
        overrides.checked([f"task.train={name}"])
    line = str(caught.value)
    assert "\n" not in line and not re.search(r"[A-Z]\w+(Exception|Error)", line)
    (word,) = shlex.split(line.partition(" for text write ")[2])
    ((key, value),) = overrides.values([word])
    assert (key, value) == ("task.train", name)


@pytest.mark.parametrize("name", ["C:\\x", "C:\\Users\\new", "a b", "a:b", "", "x.y-z_1/2%+@"])
def test_what_needs_no_quotes_is_read_as_it_is(name):
    assert overrides.values([f"task.train={name}"]) == [("task.train", name)]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["=x"], "=x: there is no key before the ="),
        (["a b=1"], "a b=1: a key has letters"),
        (["task.train=\x1b[31m("], r"task.train=\x1b[31m(: cannot be read"),
        (["task.train=\udcff"], r"task.train=\udcff: this name is no valid UTF-8"),
        (["fit.steps=" + "9" * 5000], "fit.steps=999"),
        (["task.train=" + "[" * 500], "task.train=[[["),
        (["~method"], "method: is needed and cannot be removed"),
        (["~sparsity"], "sparsity: is needed"),
        (["~fit.lr"], "fit.lr is needed"),
        (["~method.score_lr"], "method.score_lr is needed"),
        (["method=[smp,dense]"], "method=[smp, dense]: must be one option"),
        (["task=null"], "task=null: must be the name of an option"),
        (["model=null"], "model=null: must be the name of an option"),
        (["experiment=null"], "experiment=null: must be the name of an option"),
        (["distill={}"], "distill={}: must be the name of an option"),
        (["fit=[1]"], "fit=[1]: must be one option"),
        (["method=../config"], "method=../config: must be the name of an option"),
        (["method=smp/x"], "method=smp/x: allowed are abp"),
        (["method.fit={}"], "method.fit={}: must be a mapping with a _target_"),
        (["method.schedule=3"], "method.schedule=3: must be a mapping with a _target_"),
        (["sparsity=[0.5]"], "sparsity=[0.5]: the fraction removed"),
        (["sparsity='0.5'"], "sparsity='0.5': the fraction removed must be a number"),
        (["fit.lr='0.1'"], "fit.lr='0.1': must be a number"),
        (["sparsity=${nothing}"], "sparsity=${nothing}: it refers to ${nothing}, and there is no such key"),
        (["sparsity=${sparsity}"], "sparsity=${sparsity}: it refers to itself"),
        (["sparsity=${seed}", "seed=${sparsity}"], "sparsity=${seed}: it refers to itself"),
        (["fit.lr=${oc.env:NO_SUCH}"], "fit.lr=${oc.env:NO_SUCH}: what it refers to cannot be found"),
        (["+foo=1"], "foo: there is no such key"),
        (["task=squad", "task.labels=[a,b]"], "task.labels: the chosen task has no such key"),
        (["seeds=1,2"], "seeds: there is no such key; did you mean seed?"),
        (["seed=1,2"], "seed=1,2: several values are a sweep; add -m"),
        (["seed=18446744073709551616"], "seed=18446744073709551616: must be a whole number"),
        (["hydra.run.dir=null"], "hydra.run.dir=null: this key does not take such a value"),
    ],
)
def test_a_word_that_cannot_be_meant_is_refused_in_one_line(words, line):
    with pytest.raises(BadInput) as caught:
        overrides.checked(words)
    text = str(caught.value)
    assert text.startswith(line) and "\n" not in text and len(text) < 700
    assert not re.search(r"\b\w+(Error|Exception)\b", text)


def test_a_folder_or_a_hub_name_as_the_model_is_refused_with_its_key():
    with pytest.raises(BadInput, match=r"^model=google/x: allowed .*; a folder, or a name .* model\.name=google/x$"):
        overrides.checked(["model=google/x"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--foo"], "unrecognized arguments: --foo"),
        (["--cfg"], "argument --cfg/-c: expected one argument"),
        (["method=smp", "seed"], "seed: must be KEY=VALUE"),
        (["./run"], "./run: must be KEY=VALUE"),
    ],
)
def test_a_wrong_flag_is_refused_in_one_line(words, line):
    with pytest.raises(BadInput, match=f"^{re.escape(line)}"):
        overrides.flags(words)


def test_flags_are_hydras():
    found = overrides.flags(["-m", "method=smp,dense", "~distill", "--cfg", "job"])
    assert found.multirun and found.cfg == "job" and found.overrides == ["method=smp,dense", "~distill"]


def test_a_value_that_every_cell_would_refuse_ends_a_sweep_before_it_begins():
    def refused(*words):
        with pytest.raises(BadInput) as caught:
            bad_cells.refuse_bad_cells(list(words))
        return str(caught.value)

    assert refused("method=smp,movement", "method.score_lr=0.1,-1").startswith("method.score_lr=-1: ")
    assert refused("seed=0,1", "fit.steps=10,0").startswith("fit.steps=0: ")
    assert refused("method=smp,l0", "teacher_fit.lr=.nan,nan").startswith("teacher_fit.lr=.nan: ")
    bad_cells.refuse_bad_cells(["method=smp,movement", "method.allocation=uniform", "fit.steps=1,2", "seed=0,1"])
    bad_cells.refuse_bad_cells(["method=smp,movement", "method.train_embeddings=true"])  # only movement takes it
    bad_cells.refuse_bad_cells(
        ["method=gmp", "method.schedule.initial=0.92", "sparsity=0.5,0.95,0.6"]
    )  # 0.95 allows it
    assert refused("method=gmp", "method.schedule.initial=0.92", "sparsity=0.5,0.6").startswith(
        "method.schedule.initial=0.92: "
    )
    bad_cells.refuse_bad_cells(["method=dense,gmp_star", "distill.temperature=3"])  # gmp_star has a teacher
    assert "++distill.temperature=3" in overrides.for_every_cell(["method=gmp,gmp_star", "distill.temperature=3"], [])
    assert refused("method=sparsebert,gmp_star", "distill.temperature=0").startswith("distill.temperature=0: ")


@pytest.mark.parametrize("read", [overrides.axis, lambda word: overrides.values([word])], ids=["axis", "values"])
@pytest.mark.parametrize(
    ("swept", "number"),
    [
        ("range(1000000000)", "1,000,000,000 values"),
        ("range(0,1,1e-9)", "1,000,000,000 values"),
        ("range(0,-1000000000,-1)", "1,000,000,000 values"),
        ("shuffle(range(1000000000))", "1,000,000,000 values"),
        ("range(1e400)", "too many values"),
        ("range(100001)", "100,001 values"),
    ],
)
def test_a_huge_range_is_refused_before_it_is_expanded(read, swept, number):
    with pytest.raises(BadInput) as caught:
        read(f"seed={swept}")
    message = str(caught.value)
    assert message.startswith(f"seed={swept}: ") and number in message and "at most 100,000" in message


def test_ranges_that_a_sweep_can_have_are_enumerated():
    assert len(overrides.axis("seed=range(100000)")) == 100_000
    assert overrides.axis("seed=range(6,2,-2)") == ["seed=6", "seed=4"] and overrides.axis("seed=range(2,1)") == []


def test_a_key_beside_an_experiment_is_judged_by_the_methods_that_it_sweeps(cli):
    """method.keep_pretrained= is for those of the experiment's methods that take it, and not for the default method."""
    words = ["experiment=abp_table2_baselines", "method.keep_pretrained=false"]
    axes = sweeps.axes_of_experiment(words)
    assert any(axis.startswith("method=") and "magnitude" in axis for axis in axes)
    bad_cells.refuse_bad_cells([*words, *axes])
    assert "++method.keep_pretrained=false" in overrides.for_every_cell(words, axes)
    assert not [axis for axis in sweeps.axes_of_experiment([*words, "method=imp"]) if axis.startswith("method=")]
    status, printed = cli("experiment=quickstart", "method.train_embedding=true")
    assert status == 2 and printed == (
        "prunebert: method.train_embedding: none of dense, random, magnitude, movement, smp takes train_embedding; "
        "did you mean train_embeddings?\n"
    )


def test_quoted_values_of_a_sweep_are_text():
    words = ["task.train='a b.csv',c.csv", "method.masks='x','y z'", "task.text=['a b',c],d"]
    assert overrides.values(words) == [
        *(("task.train", v) for v in ("a b.csv", "c.csv")),
        *(("method.masks", v) for v in ("x", "y z")),
        *(("task.text", v) for v in (["a b", "c"], "d")),
    ]


def test_a_key_of_a_reference_is_refused_before_the_first_cell():
    for key, value, right in (("fit.clip", "0.5", "fit.clip"), ("distill.weight", "0.3", "distill.weight")):
        with pytest.raises(BadInput, match=rf"method\.{key}: .* is the same as .*; write {right}=VALUE"):
            bad_cells.refuse_bad_cells(["method=smp,magnitude", f"method.{key}={value}"])


def test_a_sweep_over_files_is_not_refused_for_the_keys_that_describe_them(tmp_path):
    """task.text and task.eval belong to task.train, which has several values, or was typed twice."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("t,label\na,0\nb,1\n")
    a, b = (tmp_path / name for name in ("a.csv", "b.csv"))
    words = ["task=file", "task.text=t", f"task.eval={a}", "seed=0,1"]
    for more in ([f"task.train={a},{b}"], [f"task.train={a}", f"task.train={b}"]):
        bad_cells.refuse_bad_cells([*words, *more], inputs.check)
    with pytest.raises(BadInput, match=r"gone\.csv: there is no such file"):
        bad_cells.refuse_bad_cells([*words, f"task.train={a},{tmp_path}/gone.csv"], inputs.check)


def test_a_value_is_refused_before_a_sweep_only_where_each_cell_would_refuse_that_value():
    """fit.keep=best needs evaluations, which some cells have. What is wrong with another key is left to the cells."""
    bad_cells.refuse_bad_cells(["seed=0,1", "fit.keep=last,best", "fit.eval_every=0,10"])

    def check(fields):
        if fields["fit"]["epochs"] == 1:  # fit=quick, which is the first option
            raise BadInput(f"teacher_fit.lr={fields['teacher_fit']['lr']}: is wrong with fit=quick")

    bad_cells.refuse_bad_cells(["fit=quick,paper", "teacher_fit.lr=0.5"], check)
    bad_cells.refuse_bad_cells(["fit=quick,smoke", "teacher_fit.head_lr=0.5"], check)
    with pytest.raises(BadInput, match=r"^teacher_fit\.lr=0\.5: is wrong"):
        bad_cells.refuse_bad_cells(["fit=quick,smoke", "teacher_fit.lr=0.5"], check)


def test_a_value_with_references_is_refused_only_where_it_is_wrong_for_each_of_their_values(tmp_path):
    """Every cell has masks of its own: those of the default seed, or of the first and last values, may be missing."""
    words = ["seed=2,3,4", "sparsity=0.5,0.8", "method=tamt,magnitude", "task=sst2,rte"]
    for masks in ("${seed}/${sparsity}", "${task.name}"):
        word = f'method.masks="{tmp_path}/{masks}"'
        with pytest.raises(BadInput, match=rf"^method\.masks={tmp_path}/.*: there is no such directory"):
            bad_cells.refuse_bad_cells([*words, word], inputs.check)
        with pytest.raises(BadInput, match="there is no such directory"):
            bad_cells.refuse_bad_cells([*words, 'method.masks="${task.name}/${seed}","gone"'], inputs.check)
    (tmp_path / "3").mkdir()
    for file in ("3/0.8", "rte"):
        (tmp_path / file).write_bytes(b"")  # masks may be a file; its content is read by the cell
    for masks in ("${seed}/${sparsity}", "${task.name}"):
        bad_cells.refuse_bad_cells([*words, f'method.masks="{tmp_path}/{masks}"'], inputs.check)
    bad_cells.refuse_bad_cells(["seed=range(1001)", 'method.masks="gone/${seed}"'], inputs.check)  # left to the cells


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("task.map={no: r, no: s}", "no"),
        ("+x={a: 1, b: {c: 1, c: 2}}", "c"),
        ("+x=[{a: 1}, {1: a, 1: b}]", "1"),
        ("+x={a: 1, a: 1},{a: 2}", "a"),
        ("+x=choice({a: 1, a: 2})", "a"),
    ],
)
def test_a_dictionary_with_a_key_twice_is_refused(word, key):
    with pytest.raises(BadInput) as caught:
        overrides.values([word])
    assert str(caught.value) == f"{word}: the key {key} has two values; give each key one value"


def test_a_key_may_stand_in_two_dictionaries_and_braces_in_a_text():
    words = ["+x={a: {a: 1}, b: {a: 1}}", "+y='{a: 1, a: 2}'", "+z=[{a: 1}, {a: 2}]", "+w={a: 1},{a: 2}"]
    values = [({"a": {"a": 1}, "b": {"a": 1}}), "{a: 1, a: 2}", [{"a": 1}, {"a": 2}], {"a": 1}, {"a": 2}]
    assert [value for _, value in overrides.values(words)] == values
