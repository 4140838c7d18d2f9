"""Test that only runs that differ in nothing but the seed are averaged, and that other runs have another label."""

import pytest

from prunebert.report import variants
from prunebert.report.collect import collect

FIT = {"steps": 9, "lr": 0.1}


def labels(tmp_path):
    return collect([tmp_path]).runs["label"].tolist()


def test_seed_and_sparsity_make_no_variant(run, tmp_path):
    for seed in (0, 1):
        for s in (0.5, 0.9):
            other_run = f"runs/seed={seed},sparsity={s}"
            settings = {"fit": FIT, "schedule": {"final": s}, "sparsity": s, "seed": seed, "budget": other_run}
            run(f"{seed}{s}", "smp", s, seed, settings=settings)
    runs = collect([tmp_path]).runs
    assert runs["variant"].nunique() == 1 and set(runs["label"]) == {"smp"}


DIFFERENCES = [
    ({"distill": "logits"}, ["smp (distill=none)", "smp (distill=logits)"]),
    ({"augment": "mlm"}, ["smp (augment=none)", "smp (augment=mlm)"]),
    ({"fit": "paper"}, ["smp (fit=paper)", "smp (fit=quick)"]),
    ({"prunable": "encoder_pooler"}, ["smp (prunable=encoder)", "smp (prunable=encoder_pooler)"]),
    ({"settings": {"fit": FIT, "keep_pretrained": True}}, ["smp (keep_pretrained=-)", "smp (keep_pretrained=true)"]),
    ({"settings": {"fit": FIT | {"lr": 0.2}}}, ["smp (fit.lr=0.1)", "smp (fit.lr=0.2)"]),
    (
        {"settings": {"fit": FIT, "schedule": {"_target_": "prunebert.schedules.Linear"}}},
        ["smp (schedule=-)", "smp (schedule=Linear)"],
    ),
    (
        {"data": {"rows": {"train": 50}, "fingerprint": {"train": "u", "validation": "v"}, "labels": ["no", "yes"]}},
        ["smp (train=50 rows)", "smp (train=90 rows)"],
    ),
]


@pytest.mark.parametrize(("change", "expected"), DIFFERENCES, ids=lambda x: str(next(iter(x))) if x else "")
def test_any_other_difference_makes_a_row_and_is_in_its_label(run, tmp_path, change, expected):
    run("a", "smp", settings={"fit": FIT})
    run("b", "smp", **{"settings": {"fit": FIT}} | change)
    assert sorted(labels(tmp_path)) == sorted(expected)


def test_a_schedule_that_ends_elsewhere_than_asked_is_another_row(run, tmp_path):
    """Of two runs at 0.9 one ends at 0.5. They are not averaged; the final of a schedule as asked is not a setting."""
    for k, final in enumerate((0.9, 0.9, 0.5)):
        settings = {"fit": FIT, "sparsity": 0.9, "schedule": {"final": final, "end": 0.8}, "tau": {"final": 0.1}}
        run(str(k), "movement", 0.9, k, settings=settings)
    run("lower", "movement", 0.5, 0, settings=settings | {"sparsity": 0.5})
    rows = collect([tmp_path]).runs.groupby("label")["sparsity"].apply(sorted).to_dict()
    assert rows == {"movement (schedule.final=-)": [0.5, 0.9, 0.9], "movement (schedule.final=0.5)": [0.9]}


def test_a_sparse_checkpoint_makes_another_row(run, tmp_path):
    """Two runs at 0.9 from the same weights: one keeps their zeros as masks. They are not averaged."""
    run("a", settings={"fit": FIT}, checkpoint={"name": "m", "revision": "main", "package": None})
    run("b", settings={"fit": FIT}, checkpoint={"name": "m", "masks": "zeros"})
    assert labels(tmp_path) == ["magnitude (model.masks=-)", "magnitude (model.masks=zeros)"]


def test_methods_and_their_labels_and_sparsities_are_in_a_fixed_order(run, tmp_path):
    """Known methods in the order of the tables, others after them; within one the label, the sparsity, the seed."""
    for k, (method, lr, sparsity, seed) in enumerate(
        [("mine", 1, 0.9, 0), ("smp", 2, 0.5, 0), ("smp", 1, 0.9, 1), ("smp", 1, 0.9, 0), ("smp", 1, 0.5, 3)]
    ):
        run(str(k), method, sparsity, seed, settings={"lr": lr})
    run("dense", "dense", 0.0, settings={"lr": 1})
    runs = collect([tmp_path]).runs
    assert list(zip(runs["label"], runs["sparsity"], runs["seed"], strict=True)) == [
        ("dense", 0.0, 0),
        ("smp (lr=1)", 0.5, 3),
        ("smp (lr=1)", 0.9, 0),
        ("smp (lr=1)", 0.9, 1),
        ("smp (lr=2)", 0.5, 0),
        ("mine", 0.9, 0),
    ]


def test_where_a_shared_teacher_lay_makes_no_row(run, tmp_path):
    for seed, folder in enumerate(("teachers", "/data/teachers", None)):
        run(str(seed), "smp", seed=seed, settings={"distill": {"weight": 0.5, "shared": folder}})
    assert labels(tmp_path) == ["smp"] * 3


def test_settings_implied_by_an_option_are_not_repeated(run, tmp_path):
    run("a", "smp", settings={"fit": {"steps": 5, "lr": 1}})
    run("b", "smp", fit="paper", settings={"fit": {"steps": 500, "lr": 2}})
    run("c", "smp", fit="paper", settings={"fit": {"steps": 600, "lr": 2}})
    assert labels(tmp_path) == [
        "smp (fit=paper, fit.steps=500)",
        "smp (fit=paper, fit.steps=600)",
        "smp (fit=quick, fit.steps=5)",
    ]


def test_budgets_and_teachers_belong_to_their_options(run, tmp_path):
    """fit= also sets the budgets of masks and of the teacher, and distill= all of the teacher's settings."""
    for fit, steps in (("quick", 1), ("paper", 2)):
        budgets = {key: {"steps": steps} for key in ("fit", "mask_fit", "teacher_fit")}
        budgets["distill"] = {"fit": {"steps": steps}}
        run(f"a{fit}", "smp", fit=fit, settings=budgets)
    for distill, weight in (("logits", 0.5), ("tinybert", 0.9)):
        run(f"b{distill}", "gmp", distill=distill, settings={"distill": {"weight": weight}})
    run("c", "tamt", augment="mlm")
    assert sorted(labels(tmp_path)) == [
        "gmp (fit=quick, distill=logits)",
        "gmp (fit=quick, distill=tinybert)",
        "smp (fit=paper)",
        "smp (fit=quick)",
        "tamt (fit=quick, augment=mlm)",
    ]


def test_methods_are_in_the_order_of_the_papers_tables(run, tmp_path):
    order = ["dense", "random", "magnitude", "imp", "gmp", "movement", "soft_movement", "l0"]
    order += ["sparsebert", "tamt", "abp", "smp", "another"]
    for method in sorted(order):
        run(method, method, 0.5)
    assert collect([tmp_path]).runs["method"].tolist() == order


def test_code_from_elsewhere_is_not_looked_up_for_defaults(run, tmp_path, monkeypatch):
    """A report reads other people's runs: `_target_` may name any module."""
    asked = []
    monkeypatch.setattr(variants.signature, "defaults", lambda target: asked.append(target) or {"new": 1})
    for name, target in (("a", "os.system"), ("b", "prunebert.methods.smp.smp")):
        (run(name, name, settings={}) / ".hydra/config.yaml").write_text(f"method: {{_target_: {target}}}")
        run(f"{name}1", name, seed=1, settings={"new": 1})
    found = collect([tmp_path]).runs.groupby("method")["variant"].nunique()
    assert asked == ["prunebert.methods.smp.smp"] and found.to_dict() == {"a": 2, "b": 1}


def test_a_table_holds_one_set_of_labels_and_of_weights_and_of_rows(run, tmp_path):
    data = {"labels": ["no", "yes"], "rows": {"train": 9, "validation": 100}}
    run("a", data=data)
    run("swapped", data=data | {"labels": ["yes", "no"]})
    run("more rows", data=data | {"rows": {"train": 9, "validation": 101}})
    run("moved", data=data, model="/here/moved", seed=1)
    run("other", data=data, weights_hash="", model="elsewhere/other")
    tables = {
        path.name: t for path, t in zip(*(collect([tmp_path]).runs[c] for c in ("directory", "table")), strict=True)
    }
    assert tables["a"] == tables["moved"] and len(set(tables.values())) == 4
    assert (
        tables["other"] == "toy, other" and "labels" in tables["swapped"] and "evaluation data" in tables["more rows"]
    )


def test_a_topology_that_cannot_be_read_does_not_change_what_the_sparsity_is_of(run, tmp_path):
    for seed, content in enumerate(("{}", "?", '{"kinds": {"pooler": {"remaining": 0.5, "size": 9}}}')):
        (run(str(seed), seed=seed, prunable="encoder_pooler") / "topology.json").write_text(content)
    assert set(collect([tmp_path]).runs["denominator"]) == {"encoder_pooler"}


def test_a_run_older_than_a_setting_gets_its_default(run, tmp_path):
    """The setting is gmp's train_embeddings, true in its signature. keep_pretrained has no default there."""
    for k, settings in enumerate([{}, {"train_embeddings": True}, {"train_embeddings": False}]):
        root = run(str(k), "gmp", seed=k, settings=settings)
        (root / ".hydra/config.yaml").write_text("method: {_target_: prunebert.methods.gradual.gmp}\n")
    labels_by_seed = collect([tmp_path]).runs.set_index("seed")["label"].to_dict()
    true = "gmp (train_embeddings=true)"
    assert labels_by_seed == {0: true, 1: true, 2: "gmp"}
    root = run("3", "gmp", seed=3, settings={"keep_pretrained": False, "train_embeddings": True})
    (root / ".hydra/config.yaml").write_text("no: method\n")
    assert collect([tmp_path]).runs["variant"].nunique() == 3


def test_a_label_has_a_fit_or_teacher_that_only_some_methods_have(run, tmp_path):
    run("a", "gmp")
    run("b", "sparsebert", distill="tinybert")
    run("c", "smp", fit="paper")
    assert labels(tmp_path) == ["gmp (fit=quick)", "sparsebert (fit=quick, distill=tinybert)", "smp (fit=paper)"]


def test_augmented_rows_differ_by_seed_and_are_one_variant(run, tmp_path):
    for seed in (0, 1):
        data = {"rows": {"train": 500}, "augmented": 410, "fingerprint": {"train": f"t{seed}", "validation": "v"}}
        run(str(seed), seed=seed, augment="mlm", data=data)
    assert collect([tmp_path]).runs["variant"].nunique() == 1


def test_runs_on_two_heads_or_configurations_of_one_encoder_are_not_averaged(run, tmp_path):
    for name, head in (("a", "1" * 64), ("b", "2" * 64), ("old", None)):
        run(name, "smp", weights_hash="w", heads_hash=head)
    run("m", "magnitude", weights_hash="w", heads_hash=None, architecture={})
    assert labels(tmp_path) == [
        "magnitude",
        "smp (masked_lm_head=-)",
        "smp (masked_lm_head=11111111)",
        "smp (masked_lm_head=22222222)",
    ]
    run("relu", "magnitude", weights_hash="w", heads_hash=None, architecture={"hidden_act": "relu"})
    collected = collect([tmp_path])
    assert [trouble.kind for trouble in collected.troubles] == ["not averaged"]
    tables = collected.runs.groupby("table").size()
    assert sorted(tables) == [1, 4] and all("hidden_act relu" in name for name in tables.index[tables == 1])


def test_without_a_pooler_the_denominator_is_the_encoder(run, tmp_path):
    import json

    for seed, prunable in enumerate(("encoder", "encoder_pooler", "encoder_pooler_embeddings")):
        root = run(prunable, seed=seed, prunable=prunable)
        topology = json.loads((root / "topology.json").read_text())
        del topology["kinds"]["pooler"]
        (root / "topology.json").write_text(json.dumps(topology))
    runs = collect([tmp_path]).runs
    assert runs["denominator"].tolist() == ["encoder", "encoder", "encoder_pooler_embeddings"]
    assert runs["variant"].nunique() == 2


def test_other_models_tasks_and_evaluation_data_have_other_tables(run, tmp_path):
    data = {"rows": {"validation": 7}, "fingerprint": {"validation": "w"}}
    run("a")
    run("b", task="rte")
    run("c", model="/home/me/bert-base-uncased")  # the same weights in another folder
    run("d", weights_hash="b" * 64)
    run("e", data=data | {"labels": ["no", "yes"]})
    run("f", metric="f1", metrics={"f1": 0.8})
    tables = collect([tmp_path]).runs.set_index("directory")["table"]
    tables = {path.name: table for path, table in tables.items()}
    assert ", f1," in tables.pop("f") and "f1" not in "".join(tables.values())
    assert tables.pop("b") == "rte, bert-base-uncased"
    assert len(set(tables.values())) == 3 and len(tables) == 3  # c and a share a table
    assert "weights bbbbbbbb" in tables["d"] and "evaluation data" in tables["e"]


def test_the_sparsity_of_a_method_inside_a_method_is_that_of_the_run():
    """Otherwise runs at two sparsities would be two variants, and no curve."""
    pruner = {
        "sparsity": 0.9,
        "init_sparsity": 0.9,
        "schedule": {"final": 0.9, "end": 0.5},
        "target": {"sparsity": 0.8},
    }
    row = {"settings": {"pruner": pruner, "sparsity": 0.9}, "sparsity": 0.9, "seed": 0}
    expected = {"pruner.init_sparsity": "0.9", "pruner.schedule.end": "0.5", "pruner.target.sparsity": "0.8"}
    assert variants.settings(row) == expected


INTENTS = [f"intent number {i}" for i in range(20)]
APART = {
    "models without a hash": ({"weights_hash": "", "model": "/home/me/first/x"}, {"model": "/home/me/other/x"}),
    "labels that begin alike": ({"data": {"labels": [*INTENTS, "a"]}}, {"data": {"labels": [*INTENTS, "b"]}}),
    "hashes that begin alike": ({"weights_hash": "a" * 64}, {"weights_hash": "a" * 63 + "b"}),
    "a task with a comma": ({"task": "toy, x", "model": "y"}, {"task": "toy", "model": "x, y", "weights_hash": "d"}),
    "unusual configurations": (
        {"architecture": {"x" * 70: 1}, "data": {}},
        {"architecture": {"x" * 70: 2}, "data": {}},
    ),
}


@pytest.mark.parametrize("name", APART)
def test_names_that_begin_alike_or_hold_commas_never_put_two_experiments_into_one_table(run, tmp_path, name):
    first, other = APART[name]
    run("a", **first)
    run("b", seed=1, **(first | other))
    tables = collect([tmp_path]).runs["table"]
    assert tables.nunique() == 2, tables.tolist()


def test_unknown_data_are_called_unknown_and_not_named_by_a_hash(run, tmp_path):
    run("a")
    run("b", data={})
    known, unknown = sorted(collect([tmp_path]).runs["table"])
    assert "evaluation data " in known and unknown == "toy, bert-base-uncased, unknown evaluation data, unknown labels"
