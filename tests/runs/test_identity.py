"""Which settings make another run, and which do not."""

import copy

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import prunebert.cli  # noqa: F401 (registers the configuration's resolvers)
from prunebert.runs import identity
from prunebert.settings import signature
from tests.toys import RESULT, write_result

FACTS = {"source": "files", "rows": {"train": 3}, "fingerprint": {"train": "abc"}}
OLD_TARGETS = {
    "model": "prunebert.models.load",
    "impl": "prunebert.impl.Impl",
    "checkpoint": "prunebert.checkpoint.Every",
    "tracking": "prunebert.tracking.none",
}
WORDS = ["method=soft_movement", "task=rte", "model=tiny", "fit=quick"]


@pytest.fixture(scope="module")
def identity_of():
    def call(*words, facts=FACTS, weights="w", unusual=None):
        with initialize_config_module("prunebert.conf", version_base="1.3"):
            config = OmegaConf.to_container(compose("config", overrides=[*WORDS, *words]), resolve=True)
        return identity.compute(config, facts, weights, unusual)

    return call


@pytest.mark.parametrize(
    "words",
    [
        ["impl=cpu"],
        ["impl.threads=1"],
        ["checkpoint.seconds=1"],
        ["rerun=true"],
        ["model.name=elsewhere/tiny"],
        ["task.data_dir=/data/glue"],
        ["corpus=imdb"],  # not read by this method
        ["mask_fit.steps=7"],
        ["method.train_embeddings=false"],  # the default
        ["method.sparsity=0.9"],  # as it is anyway
        ["task.padding=longest"],  # the default, which earlier versions had no key for
        ["model.masks=null"],  # the same
    ],
    ids=" ".join,
)
def test_what_does_not_change_a_result_does_not_count(identity_of, words):
    assert identity_of(*words) == identity_of()


@pytest.mark.parametrize(
    "words",
    [
        ["seed=1"],
        ["sparsity=0.8"],
        ["method.train_embeddings=true"],
        ["fit.steps=9"],
        ["prunable=encoder_pooler"],
        ["method=movement"],
        ["distill=logits"],
        ["task.score=accuracy"],
        ["task.padding=max_length"],
        ["augment=mlm"],
        ["model.masks=zeros"],
    ],
    ids=" ".join,
)
def test_what_changes_a_result_counts(identity_of, words):
    assert identity_of(*words) != identity_of()


def test_data_and_weights_count_and_their_place_does_not(identity_of):
    assert identity_of(facts=FACTS | {"source": "hub"}) == identity_of()
    assert identity_of(facts=FACTS | {"fingerprint": {"train": "abd"}}) != identity_of()
    assert identity_of(weights="v") != identity_of()


def test_unusual_values_of_the_checkpoints_configuration_count(identity_of):
    """Without any, the identity is that of earlier versions (test_the_identity_of_a_recorded_configuration_stays)."""
    plain, relu, silu = (identity_of(unusual=x) for x in ({}, {"hidden_act": "relu"}, {"hidden_act": "silu"}))
    assert plain == identity_of() and len({plain, relu, silu}) == 3


def test_a_shared_teacher_is_the_same_teacher(identity_of):
    assert identity_of("distill=logits", "distill.shared=folder") == identity_of("distill=logits")
    assert identity_of("distill=logits", "distill.temperature=3") != identity_of("distill=logits")


def test_the_memory_of_a_method_of_ours_changes_no_result_and_that_of_a_users_may():
    ours, users = ({"_target_": name, "block": 50} for name in ("prunebert.methods.obert.obert", "tests.toys.rows"))
    assert identity.canonical(ours | {"memory": 1.0}) == identity.canonical(ours)
    assert identity.canonical(ours | {"block": 1}) != identity.canonical(ours)
    assert identity.canonical(users | {"memory": 1.0}) != identity.canonical(users)


def test_the_content_at_a_path_counts_and_its_place_does_not(identity_of, tmp_path):
    words = ["distill=logits", "distill.teacher="]
    for name, identity_name in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).mkdir()
        write_result(tmp_path / name, RESULT | {"identity": identity_name})
    a, b, c = (identity_of(words[0], f"{words[1]}{tmp_path / name}") for name in "abc")
    assert a == b != c


def test_text_at_a_path_counts(identity_of, tmp_path):
    for name, text in (("a.txt", "x"), ("b.txt", "y")):
        (tmp_path / name).write_text(text)
    (tmp_path / "c").mkdir()
    (tmp_path / "c/a.txt").write_text("x")
    a, b, c = (identity_of("method=tamt", f"corpus.file={tmp_path / name}") for name in ("a.txt", "b.txt", "c"))
    assert a != b and a == c  # the same text
    (tmp_path / "c/a.txt").write_text("z")
    assert identity_of("method=tamt", f"corpus.file={tmp_path / 'c'}") != c


def test_a_key_that_is_added_later_with_a_default_changes_no_identity(identity_of, monkeypatch):
    """The next version might add `method.boldness: 0.5`, with that default in the signature and in the yaml."""
    with initialize_config_module("prunebert.conf", version_base="1.3"):
        config = OmegaConf.to_container(compose("config", overrides=WORDS), resolve=True)
    defaults, old_identity = signature.defaults, identity.compute(config, FACTS, "w")
    monkeypatch.setattr(
        signature, "defaults", lambda t: defaults(t) | ({"boldness": 0.5} if t.endswith("movement.soft") else {})
    )
    later = copy.deepcopy(config)
    later["method"]["boldness"] = 0.5
    assert identity.compute(later, FACTS, "w") == old_identity
    later["method"]["boldness"] = 0.6
    assert identity.compute(later, FACTS, "w") != old_identity


def test_the_identity_of_a_known_configuration_stays(identity_of):
    """A change here leaves every finished run of every user behind: raise SCIENCE only when results change."""
    assert identity.SCIENCE == 1
    assert identity_of() == "e199f76a4d96db8b9fcd2e77c1da8a7d"


RECORDED = {  # by the last version whose modules all lay in one folder
    "method=smp task=mnli sparsity=0.9 fit=paper": "25ae411f0d1c7ec85f2bfb67477dc1fa",
    "method=tamt task=squad fit=quick": "59958da6c5aace3de69818a9e6a7dbde",
    "method=tamt task=squad fit=quick model=bert-base": "e6b34e97c99e45b60e01e3bde752787f",
    "method=sparsebert task=qqp fit=paper task.padding=longest": "e523827efeff226634c0da5eb8c4af76",
    "task=rotten_tomatoes fit=measured fit.lr=1e-4 prunable=encoder_pooler_embeddings "  # its rate of that time
    "augment=mlm": "6a03d480cffb2ad86e053c4e9f3f636c",
    "method=random method.keep_pretrained=true task=rte fit=paper": "4eefa89b047a4abdda3d1091a73a9145",
    "method=abp task=mrpc distill=logits seed=3 fit=paper": "ab3f29e665de666b2151e2ab935e5221",
}


@pytest.mark.parametrize("words", RECORDED)
def test_the_identity_of_a_recorded_configuration_stays(identity_of, words):
    assert identity_of(*words.split()) == RECORDED[words]


@pytest.mark.parametrize("model", ["tiny", "bert-base"])
def test_a_directory_that_names_the_old_modules_still_holds_the_same_run(model):
    """A run directory of the old code records these `_target_`s in .hydra/config.yaml."""
    with initialize_config_module("prunebert.conf", version_base="1.3"):
        config = OmegaConf.to_container(compose("config", overrides=[*WORDS, f"model={model}"]), resolve=True)
    recorded = copy.deepcopy(config)
    for group, target in OLD_TARGETS.items():
        assert recorded[group]["_target_"] != target
        recorded[group]["_target_"] = target
    del recorded["model"]["masks"]  # a key that the old code did not have
    assert identity.configuration(recorded) == identity.configuration(config)
    config["model"]["masks"] = "zeros"
    assert identity.configuration(recorded) != identity.configuration(config)
    config["model"]["masks"] = None
    recorded["model"]["name"] = "another"
    assert identity.configuration(recorded) != identity.configuration(config)
