"""Test which paths in a run's settings make a row of its own: not those in folders called like the run's seed."""

import pytest

from prunebert.report.collect import collect

FIT = {"steps": 9, "lr": 0.1}


@pytest.mark.parametrize("key", ["masks", "upstream"])
@pytest.mark.parametrize("form", ["masks/{seed}-{s:g}", "{s:g}/final", "a/{s:g}-{seed}"])
def test_masks_of_folders_called_like_the_cell_make_no_variant(run, tmp_path, key, form):
    for seed in (0, 1):
        for s in (0.5, 0.9):
            source = form.format(seed=seed, s=s)
            run(f"{seed}{s}", "tamt", s, seed, settings={"fit": FIT, key: source})
    assert set(collect([tmp_path]).runs["label"]) == {"tamt"}


def test_masks_of_other_folders_make_variants(run, tmp_path):
    """A number that is not the run's own sparsity, and one mask for all seeds, are what the folder's name says."""
    for name, source in (("a", "masks/0.8"), ("b", "masks/0"), ("c", "masks/1-0.9")):
        run(name, "tamt", 0.9, 0, settings={"fit": FIT, "masks": source})
    run("d", "tamt", 0.9, 1, settings={"fit": FIT, "masks": "masks/0"})
    assert collect([tmp_path]).runs["label"].nunique() == 3


def test_a_path_with_a_folder_called_by_the_seed_makes_no_variant(run, tmp_path):
    """Unless runs with other seeds have it too, as where each of two teachers taught each of two seeds."""
    for seed in (0, 1):
        run(f"own{seed}", "gmp", 0.9, seed, settings={"fit": FIT, "distill": {"teacher": f"../teachers/{seed}"}})
        for teacher in (0, 1):
            source = {"teacher": f"teachers/{teacher}/run"}
            run(f"each{seed}{teacher}", "imp", 0.9, seed, settings={"fit": FIT, "distill": source})
    run("alone", "smp", 0.9, 0, settings={"fit": FIT, "distill": {"teacher": "teachers/0"}})
    run("other", "smp", 0.9, 1, settings={"fit": FIT, "distill": {"teacher": "others/1"}})
    count = collect([tmp_path]).runs.groupby("method")["label"].nunique()
    assert count.to_dict() == {"gmp": 1, "imp": 2, "smp": 2}
