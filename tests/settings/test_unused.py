"""Words that change nothing: each gives one warning, and words that something reads give none."""

import ast
import re

import pytest

from prunebert.errors import BadInput
from prunebert.settings import labels, overrides, source, sweeps, unused, values

OWN = ["task=file", "task.train=x.csv", "task.text=text"]


def warned(*words):
    """Return the words that a run is warned of."""
    fields, as_written, choices = overrides.described(list(words))
    lines = list(unused.of_run(fields, as_written, choices, list(words)))
    return [line.partition(" changes nothing: ")[0] for line in lines]


@pytest.mark.parametrize(
    ("words", "unread"),
    [
        (["method=dense", "sparsity=0.5"], ["sparsity=0.5"]),
        (["method=dense", "++seed=3", "++sparsity=0.5"], ["sparsity=0.5"]),
        (["method=smp", "mask_fit.steps=3"], ["mask_fit.steps=3"]),
        (["method=tamt", "mask_fit.steps=3", "method.tau=0.1", "corpus=imdb"], []),
        (
            ["method=tamt", "method.masks=run", "mask_fit.steps=3", "method.tau=0.1", "corpus=imdb"],
            ["mask_fit.steps=3", "method.tau=0.1", "corpus=imdb"],
        ),
        (["method=smp", "corpus=imdb"], ["corpus=imdb"]),
        (["method=smp", "task=mlm", "corpus=imdb"], []),
        (["method=smp", "teacher_fit.lr=1"], ["teacher_fit.lr=1"]),
        (["method=smp", "distill=logits", "teacher_fit.lr=1"], []),
        (["method=smp", "distill=logits", "distill.teacher=run", "teacher_fit.lr=1"], ["teacher_fit.lr=1"]),
        (["fit=quick", "fit.epochs=3"], ["fit.epochs=3"]),
        (["fit=quick", "fit.epochs=3", "fit.steps=null"], []),
        (["fit=paper", "fit.epochs=3"], []),
        (["method=l0", "method.penalty=3"], ["method.penalty=3"]),
        (["method=l0", "method.penalty=3", "method.control=none"], []),
        (["method=l0", "method.schedule.start=0.2", "method.control=none"], ["method.schedule.start=0.2"]),
        (["method=soft_movement", "method.penalty=3"], ["method.penalty=3"]),
        (
            ["method=masking", "method.init=magnitude", "method.init_scale=1", "method.allocation=erk"],
            ["method.init_scale=1"],
        ),
        (
            ["method=masking", "method.control=none", "method.allocation=erk", "method.pattern=2:4", "method.tau=1"],
            ["method.allocation=erk", "method.pattern=2:4"],
        ),
        (["method=abp", "method.gamma=1"], ["method.gamma=1"]),
        (["method=abp", "method.control=paper", "sparsity=0.5"], []),  # the paper's control stops there
        (["method=random", "method.masks=run", "method.allocation_by=layer"], ["method.allocation_by=layer"]),
        (["method=random", "method.allocation=run", "method.allocation_by=layer"], []),
        (["method=magnitude", "method.masks=run", "method.allocation=uniform"], ["method.allocation=uniform"]),
        (
            ["method=gmp", "method.keep_pretrained=true", "method.train_embeddings=false"],
            ["method.train_embeddings=false"],
        ),
        (["method=smp", "method.penalty=0", "method.penalty_ramp=sparsity"], ["method.penalty_ramp=sparsity"]),
        ([*OWN, "task.holdout=0.2"], []),
        ([*OWN, "task.holdout=0.2", "task.eval=y.csv"], ["task.holdout=0.2"]),
        ([*OWN, "task.data_dir=glue"], ["task.data_dir=glue"]),
        ([*OWN, "task.label_indices=false"], ["task.label_indices=false"]),
        (["method=gmp", "fit.lr=1", "seed=3", "impl.threads=1", "checkpoint.steps=2", "rerun=true", "model=tiny"], []),
    ],
)
def test_words_that_nothing_reads(words, unread):
    assert warned(*words) == unread


def test_every_condition_names_a_parameter_and_a_value_of_the_same_function():
    """A condition on a key that was renamed would never hold."""
    targets = {str(overrides.described([f"method={m}"])[0]["method"]["_target_"]) for m in ("l0", "tamt", "abp", "smp")}
    targets |= {"prunebert.tasks.text.text_task", "prunebert.tasks.squad.squad_task", "prunebert.fit.Fit"}
    targets |= {f"prunebert.distill.{name}" for name in ("logits", "tinybert", "hidden_cosine")}
    targets |= {
        f"prunebert.methods.{m}"
        for m in ("random.random", "magnitude.one_shot", "gradual.gmp", "soft_movement.soft", "masking.masking")
    }
    seen = 0
    for target in targets:
        parameters = source.parameters(target)
        for parameter in parameters.values():
            for words in values.metadata(parameter.annotation) if parameter.annotation else ():
                if words.startswith("read "):
                    seen += 1
                    _, name, value = unused.CONDITION.fullmatch(words).groups()
                    assert name in parameters
                    assert value is None or value in ast.unparse(parameters[name].annotation)
    assert seen >= 20


def test_choices_that_a_method_does_not_take_have_a_line_of_their_own():
    fields, as_written, choices = overrides.described(["method=dense", "distill=logits", "prunable=encoder"])
    words = ["distill=logits", "prunable=encoder"]
    assert list(unused.of_run(fields, as_written, choices, words)) == [
        "method=dense takes no teacher: distill=logits is not used",
        "prunable=encoder changes nothing: nothing in this run reads prunable "
        "(method=dense, task=mnli, distill=logits)",
    ]


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["method=dense", "seed=0,1", "sparsity=0.5,0.9"], ["sparsity=0.5,0.9"]),
        (["method=dense,smp", "sparsity=0.5"], []),
        (["method=smp,movement", "mask_fit.steps=3"], ["mask_fit.steps=3"]),
        (["method=smp,tamt", "mask_fit.steps=3"], []),
        (["method=smp", "hydra.run.dir=x"], ["hydra.run.dir=x"]),
        (["method=glob(s*)", "sparsity=0.5"], []),
    ],
)
def test_a_sweep_is_warned_of_words_that_no_method_of_it_reads(words, lines):
    assert [line.partition(" changes nothing: ")[0] for line in sweeps.unused_words(["-m", *words])] == lines


def test_hydras_words_of_a_sweep_change_nothing_in_a_run():
    words = ["hydra.sweep.dir=x", "hydra/launcher=laptop", "hydra.callbacks.around.report=true", "hydra.run.dir=y"]
    assert [line.split()[0] for line in unused.of_hydra(words, multirun=False)] == words[:3]
    assert [line.split()[0] for line in unused.of_hydra(words, multirun=True)] == words[3:]


@pytest.mark.parametrize(
    "word", ["method=smp,smp", "sparsity=0.9,0.90", "seed=choice(1,2,1)", "+seed=0,0", "fit.lr=1e-4,0.0001"]
)
def test_a_value_twice_in_a_sweep_is_refused(word):
    with pytest.raises(BadInput, match=rf"^{re.escape(word)}: the sweep would run .* twice; name each value once$"):
        sweeps.refuse_repeats(["-m", "task=rte", word])


@pytest.mark.parametrize("word", ["method=smp,abp", "seed=range(3)", "task.text=[a,a]", "method=glob(*)", "seed=1"])
def test_values_that_differ_and_lists_pass(word):
    sweeps.refuse_repeats(["-m", word])


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ([], "paper"),
        (["fit.steps=5"], "paper, steps=5"),
        (["fit.lr=1e-4", "++fit.steps=5", "fit=paper"], "paper, lr=0.0001, steps=5"),
        (["teacher_fit.steps=5"], "paper"),
        (["distill=logits", "teacher_fit.steps=5"], "paper, teacher_fit.steps=5"),
        (["fit=quick", "fit.epochs=5"], "quick"),
    ],
)
def test_a_changed_budget_is_marked(words, label):
    fields, _, choices = overrides.described(words)
    assert labels.labels(fields, choices, words, pruned=True)["fit"] == label


def test_a_word_that_a_later_cell_of_the_sweep_reads_is_not_called_useless():
    base = ["task=rotten_tomatoes", "model=tiny", "fit=smoke"]
    for words in (
        ["method=abp", "method.control=schedule,paper", "method.gamma=1e-6"],
        ["method=l0", "method.control=sparsity,none", "method.penalty=5"],
        ["method=smp", "distill=none,logits", "teacher_fit.steps=3"],
        ["method=smp", "method.penalty=0,400", "method.penalty_ramp=sparsity"],
    ):
        assert sweeps.unused_words([*base, *words]) == [], words
        alone = [word.replace("schedule,paper", "schedule").partition(",")[0] for word in words]
        assert len(sweeps.unused_words([*base, *alone])) == 1, alone


def test_the_sparsity_of_abp_is_read_whatever_controls_it():
    words = ["method=abp", "method.control=paper", "method.gamma=1e-3", "sparsity=0.05", "task=rotten_tomatoes"]
    assert sweeps.unused_words([*words, "model=tiny", "fit=smoke"]) == []
