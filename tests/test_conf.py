"""Every configuration that ships composes and fits its signature. Every glob is counted, so that none finds nothing."""

import inspect
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from hydra.utils import get_class, get_method
from omegaconf import OmegaConf

from prunebert.cli import main  # noqa: F401  registers the resolver
from prunebert.settings import checks, overrides
from tests import merged
from tests.merged import CONF, options


def composed(*overrides: str) -> dict[str, Any]:
    """The resolved configuration of a command line."""
    with initialize_config_module("prunebert.conf", version_base="1.3"):
        cfg: Any = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    return cfg


def bind(node: dict[str, Any], *positional: object, **later: object) -> None:
    """Bind a node's values, and what is passed later, to the signature of its `_target_`. Raises if they do not fit."""
    values = {k: v for k, v in node.items() if not k.startswith("_")}
    name = node["_target_"]
    target = get_method(name) if name.rpartition(".")[2].islower() else get_class(name)
    inspect.signature(target).bind(*positional, **values, **later)


METHODS = """
abp
dense
fixed_mask
gmp
gmp_star
imp
l0
magnitude
masking
movement
obert
platon
random
rigl
smp
snip
soft_movement
sparse_transfer
sparsebert
tamt
"""


def test_every_group_has_its_options():
    assert options("method") == METHODS.split()
    assert len(options("task")) == 21 and len(options("model")) == 17
    assert options("fit") == ["measured", "measured_minilm", "paper", "quick", "smoke"]
    assert options("impl") == ["auto", "cpu", "cuda"]
    assert (
        options("corpus") == ["imdb", "wikitext"]
        and options("distill") == ["hidden_cosine", "logits", "none", "tinybert"]
        and options("tracking") == ["none", "tensorboard", "trackio", "wandb"]
    )


FEW = {"paper": ["rte", "stsb", "squad"]} | {f: ["rte"] for f in ("measured", "measured_minilm", "quick", "smoke")}
GRIDS = [
    pytest.param(FEW, id="few"),
    pytest.param(dict.fromkeys(FEW, options("task")), id="all", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    "fit",
    [pytest.param(f, marks=[pytest.mark.slow] if f.startswith("measured") else []) for f in options("fit")],
)
@pytest.mark.parametrize("method", options("method"))
def test_every_method_and_task_composes_and_binds(method, fit, grid):
    for task in grid[fit]:
        cfg = composed(f"method={method}", f"task={task}", f"fit={fit}")
        assert cfg == merged.config(method=method, task=task, fit=fit)
        checks.config(cfg)
        bind(cfg["method"], "net", "task")
        bind(cfg["task"], tokenizer=None, positions=512)
        bind(cfg["fit"])
        bind(cfg["teacher_fit"])
        bind(cfg["mask_fit"])
        steps = {"measured": 300, "measured_minilm": 300, "quick": 500, "smoke": 2}
        if method == "imp":
            steps |= {"measured": 100, "measured_minilm": 100}
        assert cfg["fit"]["steps"] == steps.get(fit) or (fit == "paper" and task == "mlm")


@pytest.mark.parametrize("group", ["model", "impl", "distill", "corpus", "augment", "tracking"])
def test_every_other_option_composes_and_binds(group):
    names = options(group)
    assert names
    for option in names:
        cfg = composed(f"{group}={option}")
        assert cfg == merged.config(**{group: option})
        checks.config(cfg)
        positional = {"distill": ["net", "task"], "augment": [["a text"]], "tracking": ["root", {}]}.get(group, [])
        later = {"model": None, "device": None} if "_partial_" in cfg[group] and group == "augment" else {}
        bind(cfg[group], *(positional if "_partial_" in cfg[group] else []), **later)


@pytest.mark.parametrize(
    "words",
    [
        "method=tamt model=minilm fit=measured",
        "method=dense model=tiny fit=quick",
        "method=movement distill=logits fit=quick",
        "method=sparsebert distill=none seed=4 sparsity=0.2",
        "method=abp prunable=encoder",
        "method=tamt method.objective=kd task=qqp",
        "experiment=movement_table distill=logits method=l0",
        "experiment=measured_minilm",
    ],
)
def test_the_merge_of_the_tests_is_hydras(words):
    """tests/test_paper_settings.py reads thousands of configurations through `merged`."""
    assert composed(*words.split()) == merged.config(
        **{key: merged.number(value) for key, _, value in (word.partition("=") for word in words.split())}
    )


def test_every_exception_is_for_a_combination_that_exists():
    """Hydra would never read a file whose name fits no combination of options."""
    groups = ("method", "task", "model", "fit", "distill", "experiment")
    methods, tasks, all_models, fits, teachers, experiments = (options(g) for g in groups)
    combinations = {
        "method_task": {f"{f}/{m}_{t}" for f in fits for m in methods for t in tasks},
        "method_fit": {f"{f}/{m}" for f in fits for m in methods},
        "model_fit": {f"{f}/{m}" for f in fits for m in all_models},
        "pruner_fit": {f"{f}/{m}" for f in fits for m in methods},
        "task_fit": {f"{f}/{t}" for f in fits for t in tasks},
        "method_model": {f"{m}_{o}" for m in methods for o in all_models},
        "method_distill": {f"{m}_{d}" for m in methods for d in teachers},
        "experiment_distill": {f"{e}_{d}" for e in experiments for d in teachers},
        "experiment_method": {f"{e}_{m}" for e in experiments for m in methods},
    }
    folder = CONF / "exceptions"
    assert {p.name for p in folder.iterdir()} == combinations.keys()
    files = {
        g: {str(p.relative_to(folder / g).with_suffix("")) for p in (folder / g).rglob("*.yaml")} for g in combinations
    }
    assert all(files[g] and files[g] <= combinations[g] for g in combinations), files
    assert all(p.read_text().startswith("# @package _global_\n") for p in folder.rglob("*.yaml"))


@pytest.mark.parametrize(("fit", "gradients"), [("smoke", 2), ("quick", 64), ("measured", 32), ("paper", 1024)])
def test_a_budget_shortens_a_pruner_as_it_shortens_the_method_alone(fit, gradients):
    inside = composed("method=sparse_transfer", "method@method.pruner=obert", f"fit={fit}")
    alone = composed("method=obert", f"fit={fit}")
    assert inside["method"]["pruner"]["gradients"] == alone["method"]["gradients"] == gradients
    own = composed("method=sparse_transfer", "method@method.pruner=obert", f"fit={fit}", "method.pruner.gradients=7")
    assert own["method"]["pruner"]["gradients"] == 7  # the command line comes last
    other = composed("method=sparse_transfer", f"fit={fit}", "method@method.pruner=movement")
    assert "gradients" not in other["method"]["pruner"]


@pytest.mark.parametrize("method", options("method"))
def test_squad_v2_has_the_budget_of_squad(method):
    budgets = [merged.config(method=method, task=task) for task in ("squad", "squad_v2")]
    assert budgets[0]["fit"] == budgets[1]["fit"] and budgets[0]["teacher_fit"] == budgets[1]["teacher_fit"]
    assert budgets[0]["teacher_fit"] == SQUAD_TEACHER  # of every method, so that distill.shared trains one


SQUAD_TEACHER = {  # movement pruning's sheet: 3 epochs, lr 3e-5, 5,400 warm-up steps of 3 · ⌈88,524 / 16⌉
    **{"_target_": "prunebert.fit.Fit", "epochs": 3, "steps": None, "batch_size": 16, "lr": 3e-5, "head_lr": 3e-5},
    "warmup": pytest.approx(5_400 / 16_599, abs=0.5 / 16_599),
}


@pytest.mark.parametrize(
    ("words", "weight"),
    [
        ("method=movement fit=paper", 0.9),
        ("method=movement fit=measured_minilm", 0.9),
        ("method=soft_movement fit=quick", 0.9),
        ("method=l0 fit=measured", 0.9),
        ("method=gmp fit=smoke", 0.9),
        ("experiment=smp_table1 method=movement", 0.9),
        ("experiment=smp_table1 method=smp", 0.5),
        ("method=gmp_star fit=quick", 1.0),
        ("method=gmp distill.weight=0.3", 0.3),
        ("method=movement distill=hidden_cosine", 1.0),
    ],
)
def test_distilled_movement_methods_give_the_teacher_nine_tenths(words, weight):
    """Each distilled row of the authors' sheet has alpha_ce 0.1 and alpha_distil 0.9. SMP's code has 0.5 and 0.5."""
    assert composed("distill=logits", *words.split())["method"]["distill"]["weight"] == weight


@pytest.mark.parametrize(
    ("words", "rates"),
    [
        ("method.objective=mlm", (5e-5, 0.0)),
        ("method.objective=kd", (2e-5, 0.01)),
        ("method.objective=mlm_kd", (5e-5, 0.0)),
        ("model=minilm", (2e-5, 0.01)),
        ("model=electra-base", (2e-5, 0.01)),
        ("model=minilm method.objective=mlm", (5e-5, 0.0)),
        ("method.objective=kd mask_fit.lr=1e-3", (1e-3, 0.01)),
        ("method.objective=kd fit=quick", (1e-3, None)),
    ],
)
def test_tamts_masks_have_the_rates_of_their_objective(words, rates):
    """TAMT's scripts: AdamW with 5e-5 and no decay for MLM, BertAdam with 2e-5 and 0.01 for KD."""
    mask_fit = composed("method=tamt", "task=rte", *words.split())["method"]["mask_fit"]
    assert (mask_fit["lr"], mask_fit.get("weight_decay")) == rates


@pytest.mark.parametrize(
    ("task", "rows", "expected"),
    [
        ("mnli", 392_702, 73_632),
        ("qqp", 363_846, 68_232),
        ("qnli", 104_743, 19_644),
        ("sst2", 67_349, 12_636),
        ("cola", 8_551, 16_080),
        ("stsb", 5_749, 10_800),
        ("rte", 2_490, 7_800),
        ("mrpc", 3_668, 6_900),
    ],
)
def test_smps_paper_budget_gives_the_step_counts_of_its_code(task, rows, expected):
    """Against the totals of the released scripts, and MNLI's 12 epochs of 6,136 steps."""
    from prunebert.fit import Fit

    cfg = composed("method=smp", f"task={task}")["fit"]
    assert Fit(**{k: v for k, v in cfg.items() if k != "_target_"}).steps_for(rows) == expected


def test_every_method_yaml_names_its_paper_and_a_command():
    for name in options("method"):
        text = (CONF / f"method/{name}.yaml").read_text()
        comments = " ".join(line for line in text.splitlines() if line.startswith("#"))
        assert f"prunebert method={name}" in comments


def hydras(*words: str) -> dict[str, Any]:
    """Hydra's own part of a configuration, with its references as they are written."""
    part: Any = OmegaConf.to_container(overrides.compose([*words], whole=True).hydra)
    return part


def test_where_runs_and_sweeps_begin():
    """Hydra writes and moves nothing. The cells of earlier versions are found by the names that they had then."""
    part, dated = hydras(), "${now:%Y-%m-%d}/${now:%H-%M-%S-%f}"
    assert (part["run"]["dir"], part["sweep"]["dir"]) == (f"outputs/{dated}", f"multirun/{dated}")
    assert part["output_subdir"] is None and part["job"]["chdir"] is False
    assert part["callbacks"]["around"]["report"] is False
    assert part["job"]["config"]["override_dirname"]["exclude_keys"] == ["experiment", "hydra.mode", "rerun", "dry"]


def test_the_launchers_have_the_values_of_docs_sweeps():
    """One thread and one run a worker; a task of a day, which gets two minutes for its checkpoint and is requeued."""
    laptop, slurm = hydras("hydra/launcher=laptop"), hydras("hydra/launcher=slurm")["launcher"]
    assert (laptop["launcher"]["n_jobs"], laptop["launcher"]["batch_size"]) == (-1, 1)
    assert laptop["job"]["env_set"] == {"OMP_NUM_THREADS": "1", "PRUNEBERT_CELL": "${hydra:job.num}"}
    expected = {"timeout_min": 24 * 60, "signal_delay_s": 120, "max_num_timeout": 100, "array_parallelism": 64}
    expected |= {"nodes": 1, "tasks_per_node": 1, "cpus_per_task": 4, "gpus_per_node": None, "partition": None}
    assert expected.items() <= slurm.items() and slurm["additional_parameters"] == {"requeue": True}
