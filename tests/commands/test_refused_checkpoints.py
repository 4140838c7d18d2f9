"""Every command that loads a model refuses a bad checkpoint with status 2, one line and no file left."""

import json
import shutil
from pathlib import Path

import pytest

import prunebert
from prunebert.errors import BadInput


@pytest.fixture
def folder(model_folder, tmp_path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "bad"))


def without_vocabulary(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)


def with_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "x", "auto_map": {"AutoConfig": "configuration_x.X"}}
    (folder / "config.json").write_text(json.dumps(config))


def cut_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


DAMAGES = {
    without_vocabulary: "no vocabulary",
    with_code: "auto_map names",
    cut_weights: "model.safetensors is damaged",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_a_dry_run_and_every_command(damage, folder, toy, finished, cli, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question was asked"))
    damage(folder)
    run = finished("method=magnitude", "sparsity=0.5")
    capsys.readouterr()
    words = [w for w in toy if not w.startswith(("model.name=", "hydra.run.dir="))] + [f"model.name={folder}"]
    before = sorted(tmp_path.rglob("*"))
    for command in (
        ["method=magnitude", *words, "hydra.run.dir=run"],
        ["method=smp", *words, "dry=true"],
        ["method=magnitude", *words, "augment=mlm", "hydra.run.dir=run"],
        ["export", str(run), "out", "--model", str(folder)],
        ["evaluate", str(run), "--model", str(folder)],
        ["bench", str(run), "--model", str(folder), "--length", "32"],
    ):
        status, printed = cli(*command)
        lines = printed.strip().splitlines()
        assert status == 2 and DAMAGES[damage] in lines[-1] and str(folder) in lines[-1], printed
        assert len(lines) == 1, printed
        assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(BadInput, match=DAMAGES[damage]):
        prunebert.load(run, model=str(folder))
