"""Every part of a run's identity counts, and the order of files, of keys and of folders does not."""

import hashlib
import os
from pathlib import Path

import pytest

from prunebert.runs import discover, identity
from prunebert.tasks import layouts
from tests.toys import RESULT, write_result

CONFIG = {
    "method": {"_target_": "prunebert.schedules.Cubic", "sparsity": 0.9, "fit": {"lr": 1e-3}},
    "task": {"name": "mine", "label_words": ["no", "yes"], "max_length": 64, "train": "a.csv"},
    "augment": {"share": 0.5},
    "seed": 3,
}
FACTS = {"source": "files", "rows": {"train": 3, "eval": 2}, "fingerprint": {"train": "t", "eval": "e"}, "labels": "ny"}
CHANGES = {
    "a value of the method": ({"method": CONFIG["method"] | {"sparsity": 0.8}}, {}),
    "a nested value": ({"method": CONFIG["method"] | {"fit": {"lr": 2e-3}}}, {}),
    "the method": ({"method": CONFIG["method"] | {"_target_": "prunebert.schedules.Linear"}}, {}),
    "the order of a list": ({"task": CONFIG["task"] | {"label_words": ["yes", "no"]}}, {}),
    "the length of texts": ({"task": CONFIG["task"] | {"max_length": 128}}, {}),
    "the task's name, which seeds its head": ({"task": CONFIG["task"] | {"name": "other"}}, {}),
    "the augmentation": ({"augment": CONFIG["augment"] | {"share": 0.6}}, {}),
    "no augmentation": ({"augment": None}, {}),
    "the seed": ({"seed": 4}, {}),
    "the training rows": ({}, {"fingerprint": {"train": "u", "eval": "e"}}),
    "the evaluation rows": ({}, {"fingerprint": {"train": "t", "eval": "f"}}),
    "their number": ({}, {"rows": {"train": 4, "eval": 2}}),
    "the labels": ({}, {"labels": "yn"}),
    "the groups of rows": ({}, {"grouping": {"eval": "g"}}),
}


def test_every_part_makes_another_identity(monkeypatch):
    found = {name: identity.compute(CONFIG | c, FACTS | f, "w") for name, (c, f) in CHANGES.items()}
    found |= {"nothing": identity.compute(CONFIG, FACTS, "w"), "the weights": identity.compute(CONFIG, FACTS, "v")}
    found["the configuration"] = identity.compute(CONFIG, FACTS, "w", {"hidden_act": "relu"})
    monkeypatch.setattr(identity, "SCIENCE", identity.SCIENCE + 1)
    found["the version of the science"] = identity.compute(CONFIG, FACTS, "w")
    assert len(set(found.values())) == len(found) == 18, found


def test_places_and_the_order_of_keys_make_none():
    def turned(node):
        return {k: turned(v) for k, v in reversed(node.items())} if isinstance(node, dict) else node

    known = identity.compute(CONFIG, FACTS, "w")
    assert identity.compute(turned(CONFIG), turned(FACTS), "w") == known
    moved = CONFIG | {"task": CONFIG["task"] | {"train": "/elsewhere/b.csv"}, "impl": {"threads": 8}}
    assert identity.compute(moved, FACTS | {"source": "hub"}, "w", {}) == known
    for place in ("hub", "folder", "package", "data_dir", "train", "eval"):
        elsewhere = CONFIG | {"task": CONFIG["task"] | {place: {"name": "elsewhere"}}}
        assert identity.compute(elsewhere, FACTS, "w") == known, place
    for key in ("impl", "checkpoint", "tracking", "rerun", "dry", "hydra"):
        assert identity.configuration(CONFIG | {key: "other"}) == identity.configuration(CONFIG), key
    assert identity.canonical({"shared": "teachers", "overlaps": ["seen"], "lr": 1, "_partial_": True}) == {"lr": 1}
    named = [CONFIG | {"task": CONFIG["task"] | {"seed_name": "mine", "name": name}} for name in ("a", "b")]
    assert {identity.compute(config, FACTS, "w") for config in named} == {known}
    assert identity.configuration(named[0]) == identity.configuration(named[1]) == identity.configuration(CONFIG)
    assert identity.configuration(CONFIG | {"seed": 4}) != identity.configuration(CONFIG)


@pytest.mark.parametrize("key", ["masks", "allocation", "teacher", "file"])
def test_another_run_counts_by_its_identity_wherever_it_is(tmp_path, key):
    for name, run_identity in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).mkdir()
        write_result(tmp_path / name, RESULT | {"identity": run_identity})
    a, b, c = (identity.canonical({key: str(tmp_path / name)}) for name in "abc")
    assert a == b == {key: "1"} and c == {key: "2"}


@pytest.mark.parametrize("name", ["text.txt", "masks.safetensors", "masks.bin"])
def test_every_byte_of_a_file_counts(tmp_path, name):
    """Files are read in blocks of 1 MiB. A folder counts by its texts and tensors."""
    content = bytes(2**21 + 5)
    hashes = set()
    for position in (0, 2**20, 2**21 + 4, None):
        changed = bytearray(content)
        if position is not None:
            changed[position] = 1
        (tmp_path / name).write_bytes(changed)
        hashes.add(identity.content_hash(str(tmp_path / name)))
        if name != "masks.bin":
            hashes.add(identity.content_hash(str(tmp_path)) + "of the folder")
    assert len(hashes) == (4 if name == "masks.bin" else 8)


def test_the_order_in_which_the_system_lists_files_counts_not(tmp_path, monkeypatch):
    """A file system lists the files of a folder in any order, and another one in another."""
    for name in ("b.txt", "a.txt", "c.txt"):
        (tmp_path / name).write_text(name)
        (tmp_path / f"runs/{name}/.hydra").mkdir(parents=True)
        write_result(tmp_path / f"runs/{name}", RESULT)
        (tmp_path / f"runs/{name}/multirun.yaml").touch()

    def listed():
        root = str(tmp_path)
        runs = [*discover.started_runs(tmp_path), *discover.sweeps(tmp_path)]
        return identity.content_hash(root), layouts.corpus(root), runs

    def sorting(function, reverse):
        return lambda *arguments: sorted(function(*arguments), reverse=reverse)

    def walk(*arguments, reverse, function=os.walk, **options):
        for folder, folders, names in function(*arguments, **options):
            folders.sort(reverse=reverse)
            yield folder, folders, names

    glob = Path.glob
    found = []
    for reverse in (False, True):
        monkeypatch.setattr(Path, "glob", sorting(glob, reverse))
        monkeypatch.setattr(os, "walk", lambda *a, reverse=reverse, **o: walk(*a, reverse=reverse, **o))
        found.append(listed())
    assert found[0] == found[1] and len(found[0][1]) == 3 and len(found[0][2]) == 6


def test_two_files_of_a_folder_do_not_stand_for_each_other(tmp_path):
    """The names count: the same texts under exchanged names are another order of the corpus.

    The hash of earlier versions stays, because identities have it: names and contents, in the order of the names.
    """
    hashes = set()
    for contents in (("x", "y"), ("y", "x"), ("xy", "")):
        for name, content in zip(("a.txt", "b.txt"), contents, strict=True):
            (tmp_path / name).write_text(content)
        hashes.add(identity.content_hash(str(tmp_path)))
    for name in ("notes.json", "notes.md", "deeper.txt"):  # no text of a corpus and no tensor, or a folder
        (tmp_path / name).mkdir() if name == "deeper.txt" else (tmp_path / name).write_text("x")
    hashes.add(identity.content_hash(str(tmp_path)))
    assert len(hashes) == 3 and hashlib.sha256(b"a.txtxb.txty").hexdigest() in hashes


def test_runs_that_differ_only_in_their_seed_have_one_hash_without_it():
    def of(seed=0, steps=60, train="t", **data):
        settings = {"seed": seed, "fit": {"steps": steps}, "upstream": f"sweep/seed={seed}"}
        return identity.without_seed(
            {"seed": seed, "settings": settings, "data": {"fingerprint": {"train": train}} | data}
        )

    assert of() == of(seed=1) and len({of(), of(steps=20), of(train="u")}) == 3
    assert of(augmented=True) == of(train="u", seed=1, augmented=True)


def test_the_split_that_the_score_is_of_counts_if_it_is_not_the_first_by_name():
    def of(*splits):
        return identity.compute(CONFIG, FACTS | {"fingerprint": dict.fromkeys(["train", *splits], "f")}, "w")

    assert of("a", "b") != of("b", "a") and of("a", "b", "c") == of("a", "c", "b")
    assert of("b", "a", "c") != of("c", "a", "b")
    assert len({of("a"), of("b")}) == 2
    written = [CONFIG | {"task": CONFIG["task"] | {"eval": dict.fromkeys(names, "x")}} for names in ("ab", "ba")]
    assert identity.configuration(written[0]) != identity.configuration(written[1])
