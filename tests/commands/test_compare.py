"""`prunebert compare` end to end on toy runs, and the comparison with magnitude in a run's topology.json."""

import json
import shutil
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from prunebert.analysis import comparison as many
from prunebert.analysis import overlap
from prunebert.commands import compare_figure
from prunebert.errors import BadInput
from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile
from prunebert.network import models
from prunebert.runs import artifacts, files
from tests.toys import RESULT, save_model, write_result


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Four pruned runs and a dense one in a sweep's layout, over three layers. One has a mask for the pooler."""
    root = tmp_path_factory.mktemp("runs")
    names = [f"bert.encoder.layer.{n}.{k}.weight" for n in range(3) for k in ("attention.self.query", "output.dense")]
    for i, (method, sparsity, seed) in enumerate(
        [("smp", 0.8, 0), ("smp", 0.8, 1), ("imp", 0.8, 0), ("dense", 0.0, 0), ("tamt", 0.8, 0)]
    ):
        run = root / f"{i}-{method}"
        (run / ".hydra").mkdir(parents=True)
        random = np.random.default_rng(i)
        pooler = ["bert.pooler.dense.weight"] if method == "tamt" else []
        masks = {
            n: torch.from_numpy(random.random((9, 9)) >= sparsity + 0.02 * j) for j, n in enumerate(names + pooler)
        }
        if method == "dense":
            masks = {n: torch.ones(9, 9).bool() for n in names}
        files.write(run, "masks.safetensors", maskfile.encode(MaskFile(masks, "toy", "hash")))
        row = dict.fromkeys(many.AXES, "x") | {"method": method, "sparsity": sparsity, "seed": seed, "model": "toy"}
        write_result(run, RESULT | row | {"prunable": "encoder"})
    (root / "unfinished" / ".hydra").mkdir(parents=True)
    return root


def size_of(png):
    """Return width and height of a PNG, after checking that every chunk is whole."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    offset, size = 8, None
    while offset < len(png):
        length, chunk_type = struct.unpack(">I4s", png[offset : offset + 8])
        (checksum,) = struct.unpack(">I", png[offset + 8 + length : offset + 12 + length])
        assert checksum == zlib.crc32(png[offset + 4 : offset + 8 + length])
        size = struct.unpack(">II", png[offset + 8 : offset + 16]) if chunk_type == b"IHDR" else size
        offset += 12 + length
    return size


def test_a_sweep_is_compared(cli, runs, tmp_path):
    status, printed = cli("compare", str(runs), "--out", "where/to")
    assert status == 0, printed
    assert {p.name for p in (tmp_path / "where/to").iterdir()} == {"compare.json", "compare.png"}
    assert "compare.json and compare.png are in where/to" in printed.splitlines()[-1]
    assert "masks of 4 runs" in printed and "smp 0.8 x" not in printed and "smp seed 1" in printed
    assert f"removed nothing or everything: {runs}/3-dense" in " ".join(printed.split())
    assert "3 of 6 pairs cover different sets and are compared on the matrices that both cover" in printed
    assert "matrices left out, for example: 0 of smp seed 0, 1 of tamt seed 0" in printed
    comparison = json.loads((tmp_path / "where/to/compare.json").read_text())
    assert comparison["labels"] == ["smp seed 0", "smp seed 1", "imp seed 0", "tamt seed 0"]
    assert comparison == many.comparison(artifacts.finished_runs(runs))
    masks = [artifacts.packed_masks(runs / d) for d in ("0-smp", "1-smp", "2-imp", "4-tamt")]
    for i in range(4):
        for j in range(4):
            numbers = overlap.pair(masks[i], masks[j])
            for key in ("jaccard", "expected_jaccard", "beyond_chance", "mean_jaccard", "layer_budget_correlation"):
                assert comparison[key][i][j] == pytest.approx(numbers[key])
            assert comparison["within"][i][j] == pytest.approx(numbers["within"]["beyond_chance"])
    assert [(p["a"], p["b"]) for p in comparison["pairs"]] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert len(comparison["matrices"]) == 7 and sorted(comparison["order"]) == [0, 1, 2, 3]
    for p in comparison["pairs"]:
        matrices = overlap.pair(masks[p["a"]], masks[p["b"]])["matrices"]
        for name, value in zip(comparison["matrices"], p["matrices"]["jaccard"], strict=True):
            assert value == (matrices[name]["jaccard"] if name in matrices else None)
    width, height = size_of((tmp_path / "where/to/compare.png").read_bytes())
    assert width > 600 and height > 300


def test_runs_of_different_patterns_are_told_apart(cli, tmp_path):
    random = np.random.default_rng(0)
    for seed, pattern in enumerate(["none", "2:4", "2:4"]):
        (run := tmp_path / f"runs/{seed}").joinpath(".hydra").mkdir(parents=True)
        mask = torch.from_numpy((random.random((32, 4)).argsort(1) < 2).reshape(8, 16))
        file = MaskFile({"bert.encoder.layer.0.output.dense.weight": mask}, "toy", "hash", pattern)
        files.write(run, "masks.safetensors", maskfile.encode(file))
        row = dict.fromkeys(many.AXES, "x") | {"method": "gmp", "sparsity": 0.5, "seed": min(seed, 1), "model": "toy"}
        write_result(run, RESULT | row | {"prunable": "encoder"})
    status, printed = cli("compare", "runs")
    assert status == 0, printed
    assert "pattern of the masks: none in 1 run, 2:4 in 2 runs; chance draws masks of these patterns" in " ".join(
        printed.split()
    )
    found = json.loads((tmp_path / "compare/compare.json").read_text())
    twins = [f"gmp seed 1 2:4 (runs/{seed})" for seed in (1, 2)]
    assert found["labels"] == ["gmp seed 0", *twins] and [run["pattern"] for run in found["runs"]][1] == "2:4"
    # Of 32 groups of 4 each pair of 2:4 masks shares 1 in the mean, with the variance 1 / 3.
    pairs = {(p["a"], p["b"]): p for p in found["pairs"]}
    for pair, variance in (((1, 2), 32 / 3), ((0, 1), 64**2 * 64**2 / (128**2 * 127))):
        shared = pairs[pair]["shared"]
        assert pairs[pair]["z"] == pairs[pair]["within"]["z"] == pytest.approx((shared - 32) / variance**0.5)
    assert cli("compare", "runs/1", "runs/2")[1].count("2:4") == 1  # all alike: their names do without it


def test_runs_by_name_each_once(cli, runs, tmp_path):
    assert cli("compare", f"{runs}/0-smp", f"{runs}/2-imp", f"{runs}/0-smp/", "--out=o")[0] == 0
    assert json.loads((tmp_path / "o/compare.json").read_text())["labels"] == ["smp", "imp"]
    assert cli("compare", f"{runs}/0-smp", f"{runs}/1-smp")[0] == 0 and (tmp_path / "compare/compare.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: RUN; usage: prunebert compare"),
        (["{}", "--out"], "usage: prunebert compare"),
        (["{}", "--outt=x"], "usage: prunebert compare"),
        (["nowhere"], "nowhere: there is no such directory"),
        (["{}/unfinished"], "the run did not finish"),
        (["{}/0-smp"], "at least two finished runs that removed weights; found 1"),
        (["{}/0-smp", "{}/3-dense"], "at least two finished runs that removed weights; found 1"),
        (["{}/0-smp", "{}/2-imp", "--out=file"], "--out=file cannot be written to"),
        (["{}/0-smp", "other"], "found on different weights (toy and toy)"),
        (["{}/0-smp", "broken"], "masks.safetensors cannot be read"),
    ],
)
def test_a_refused_comparison_is_one_line_and_leaves_nothing(cli, runs, tmp_path, words, message):
    (tmp_path / "file").write_text("")
    other = maskfile.encode(MaskFile({"w": torch.eye(3).bool()}, "toy", "?"))
    for name, content in (("other", other), ("broken", b"")):
        (tmp_path / name / ".hydra").mkdir(parents=True)
        files.write(tmp_path / name, "masks.safetensors", content)
        files.write(tmp_path / name, "result.json", (runs / "0-smp/result.json").read_bytes())
    before = set(tmp_path.rglob("*"))
    status, printed = cli("compare", *(w.format(runs) for w in words))
    assert status == 2 and message in printed and len(printed.strip().splitlines()) == 1
    assert set(tmp_path.rglob("*")) == before


def test_a_file_of_the_users_is_not_overwritten_and_that_is_said_before_the_work(cli, runs, tmp_path, monkeypatch):
    monkeypatch.setattr(many, "comparison", lambda *_: pytest.fail("the work began"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/compare.png").write_bytes(b"my picture")
    status, printed = cli("compare", str(runs), "--out", "mine")
    assert status == 2 and "mine/compare.png was not written by this command" in printed
    assert (tmp_path / "mine/compare.png").read_bytes() == b"my picture" and len(list(tmp_path.rglob("*"))) == 2
    (tmp_path / "mine/compare.png").unlink()
    (tmp_path / "mine/compare.json").mkdir()
    assert cli("compare", str(runs), "--out", "mine")[0] == 2


def test_an_earlier_comparison_is_replaced_and_a_link_is_not_followed(cli, runs, tmp_path):
    (tmp_path / "precious").write_text("mine")
    assert cli("compare", str(runs), "--out", "o")[0] == 0
    (tmp_path / "o/compare.png").unlink()
    (tmp_path / "o/compare.png").symlink_to(tmp_path / "precious")
    assert cli("compare", str(runs), "--out", "o")[0] == 0
    assert (tmp_path / "precious").read_text() == "mine" and not (tmp_path / "o/compare.png").is_symlink()


def test_a_damaged_run_of_a_sweep_is_named_and_left_out(cli, runs, tmp_path):
    shutil.copytree(runs, tmp_path / "sweep")
    (tmp_path / "sweep/0-smp/result.json").write_text("{")
    (tmp_path / "sweep/1-smp/masks.safetensors").write_bytes(b"?")
    status, printed = cli("compare", "sweep", "--out", "o")
    assert status == 0 and printed.count("left out, because it cannot be read: ") == 2
    assert "sweep/0-smp/result.json" in printed and "sweep/1-smp/masks.safetensors" in printed
    assert json.loads((tmp_path / "o/compare.json").read_text())["labels"] == ["imp", "tamt"]


def flip(file):
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 255]))


DAMAGES = {
    "flipped": flip,
    "missing": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_masks_beside_an_intact_result_spoil_no_comparison(cli, runs, tmp_path, damage):
    shutil.copytree(runs, tmp_path / "sweep")
    damage(tmp_path / "sweep/1-smp/masks.safetensors")
    status, printed = cli("compare", "sweep", "--out", "o")
    assert status == 0 and printed.count("left out, because it cannot be read: ") == 1
    assert json.loads((tmp_path / "o/compare.json").read_text())["labels"] == ["smp", "imp", "tamt"]
    for words in (["sweep", "sweep/1-smp"], [str(tmp_path / "sweep/1-smp"), "sweep"]):  # found, but named as well
        status, printed = cli("compare", *words, "--out", "p")
        assert status == 2 and "sweep/1-smp/masks.safetensors" in printed and not (tmp_path / "p").exists()


def test_a_picture_of_runs_without_any_overlap(runs):
    comparison = many.comparison(artifacts.finished_runs(runs))
    comparison["beyond_chance"] = [[None] * 4] * 4
    comparison["runs"][0]["layers"]["1"] = 0.0  # a layer that keeps nothing
    assert size_of(compare_figure.png(comparison))


def test_allocations_are_relative_to_the_run():
    runs = [{"layers": {"10": 0.1, "2": 0.4, "pooler": 0.2}, "size": 10, "kept": 2}]
    runs.append({"layers": {"2": 0.0, "10": 0.5}, "size": 8, "kept": 4})
    values, columns = compare_figure.relative_allocations(runs)
    assert columns == ["2", "10", "pooler"]
    assert np.array_equal(values, [[1, -1, 0], [np.nan, 0, np.nan]], equal_nan=True)


def test_comparing_needs_no_torch(runs, tmp_path):
    code = f"""if True:
        import sys
        sys.argv = ["prunebert", "compare", {str(runs)!r}]
        from prunebert.cli import main
        main()
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, timeout=120)


# a run against magnitude


@pytest.mark.parametrize(("method", "trained"), [("magnitude", True), ("smp", False), ("dense", True)])
def test_a_run_is_compared_with_the_magnitudes_of_its_checkpoint(cli, toy, tmp_path, method, trained):
    """One-shot magnitude equals the checkpoint's global ranking, although its weights were trained afterwards."""
    assert cli(*toy, f"method={method}", "sparsity=0.7")[0] == 0
    assert (tmp_path / "run/weights.safetensors").exists() == trained
    topology = artifacts.topology(tmp_path / "run")
    assert topology["sparsity_encoder"] <= topology["sparsity_effective"] == topology["effective"]["sparsity_encoder"]
    if method == "dense":
        assert topology["magnitude"] is None and topology["sparsity_effective"] == 0
        return
    stored = load_file(f"{next(w for w in toy if 'model.name' in w).split('=')[1]}/model.safetensors")
    mask = artifacts.masks(tmp_path / "run").masks
    shared = total = 0
    for name, m in mask.items():
        largest = stored[name].abs().flatten().argsort(descending=True)[: int(m.sum())]
        shared, total = shared + int(m.flatten()[largest].sum()), total + int(m.sum())
    local = topology["magnitude"]["local"]
    assert local["shared"] == shared and local["kept"] == [total, total]
    assert (topology["magnitude"]["global"]["jaccard"] == 1) == (method == "magnitude")


def test_the_checkpoint_is_read_again(tmp_path):
    folder = save_model(tmp_path / "model")
    model = models.load(str(folder))
    before = {n: p.detach().clone() for n, p in model.encoder.named_parameters()}
    for p in model.encoder.parameters():
        p.data.add_(1)
    pretrained = model.pretrained()
    assert pretrained.keys() == before.keys() - set(model.fresh) and model.fresh
    assert all(torch.equal(pretrained[n], before[n]) for n in pretrained)
    stored = load_file(folder / "model.safetensors")
    save_file({n: x + 1 for n, x in stored.items()}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInput, match="has changed since"):
        model.pretrained()
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="cannot be loaded"):
        model.pretrained()


def test_without_its_checkpoint_a_run_lacks_only_that_comparison(cli, toy, tmp_path, monkeypatch):
    def missing(self):
        raise BadInput("gone")

    monkeypatch.setattr(models.Model, "pretrained", missing)
    status, printed = cli(*toy, "method=magnitude")
    assert status == 0 and "topology.json is without the overlap with the checkpoint's largest weights: gone" in printed
    assert artifacts.topology(tmp_path / "run")["magnitude"] is None and (tmp_path / "run/result.json").is_file()


@pytest.mark.parametrize(("method", "reads"), [("magnitude", True), ("abp", False)])
def test_a_pooler_that_the_head_does_not_read_is_on_no_path(cli, toy, tmp_path, method, reads):
    folder = save_model(tmp_path / "model", masked_lm=False)
    words = [f"model.name={folder}" if "model.name" in w else w for w in toy]
    status, printed = cli(*words, f"method={method}", "sparsity=0.4", "prunable=encoder_pooler")
    assert status == 0, printed
    topology = artifacts.topology(tmp_path / "run")
    assert topology["kinds"]["pooler"]["kept"] > 0
    assert (topology["effective"]["kinds"]["pooler"]["kept"] > 0) == reads
