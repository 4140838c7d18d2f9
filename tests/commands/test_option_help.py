"""`prunebert GROUP=OPTION --help`: the option's keys, in 80 columns."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from prunebert.commands import option_help
from prunebert.settings import keys

CONF = Path(__file__).parents[2] / "conf"


def test_a_methods_help_has_its_keys_defaults_and_meanings(cli):
    status, printed = cli("method=smp", "--help")
    assert status == 0
    lines = printed.splitlines()
    written = yaml.safe_load((CONF / "method/smp.yaml").read_text())
    for key, value in written.items():
        if not key.startswith("_") and not isinstance(value, dict) and "${" not in str(value):
            assert f"  method.{key}: {value}" in lines or str(value)[:1].isdigit(), key
    assert "  method.score_lr: 2e-2" in lines and "      The largest learning rate of the scores." in printed
    assert "  prunebert method=smp task=mnli sparsity=0.9" in lines and "Static model pruning" in printed
    assert "Pruning Pre-trained Language Models Without" in " ".join(printed.split())  # the paper


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["task=file", "--help"], "  task.holdout: 0.1"),
        (["fit=paper", "-h"], "  fit.epochs: 3"),
        (["--help", "distill=logits"], "  distill.temperature: 2.0"),
        (["-m", "method=dense,imp", "--help"], "  method.step: 0.1"),
        (["hydra/launcher=slurm", "--help"], "  hydra.launcher.timeout_min: 1440"),
        (["method=imp", "method.no_such_key=1", "--help"], "  method.step: 0.1"),
    ],
)
def test_every_group_has_its_help(cli, words, wanted):
    status, printed = cli(*words)
    assert status == 0 and wanted in printed.splitlines(), printed


def test_no_line_is_wider_than_the_terminal():
    """Commands and single long words are as long as they are."""
    for group in keys.OPTION_GROUPS:
        for name in keys.names(group):
            for line in option_help.page(keys.option(group, name), width=80).splitlines():
                assert len(line) <= 80 or line.startswith("  prunebert ") or len(line.split()) <= 2, line


def test_a_wrong_option_is_refused(cli):
    status, printed = cli("method=smo", "--help")
    assert status == 2 and "method=smo: allowed are abp," in printed and len(printed.splitlines()) == 1


def test_plain_help_stays(cli):
    for words in (["--help"], ["sparsity=0.5", "--help"]):
        assert "Groups (group=option):" in cli(*words)[1]


def test_a_method_of_ones_own_has_its_help(cli, tmp_path, monkeypatch):
    folder = tmp_path / "mylab/conf/method"
    folder.mkdir(parents=True)
    for file in (tmp_path / "mylab/__init__.py", tmp_path / "mylab/conf/__init__.py"):
        file.touch()
    (tmp_path / "mylab/own.py").write_text("def own(net, task, *, rate: float): ...\n")
    (folder / "own.yaml").write_text(
        "# One's own method.\n_target_: mylab.own.own\n_partial_: true\nrate: 0.5 # How much.\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for place in ("pkg://mylab.conf", f"file://{tmp_path}/mylab/conf"):
        status, printed = cli(f"hydra.searchpath=[{place}]", "method=own", "--help")
        assert status == 0 and "  method.rate: 0.5\n      How much. Allowed: a number.\n" in printed


def test_it_answers_without_torch(tmp_path):
    code = """if True:
        import sys
        sys.argv = ["prunebert", "method=smp", "--help"]
        from prunebert.cli import main
        try:
            main()
        finally:
            assert not {"torch", "transformers", "pandas"} & {*sys.modules}
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "method.score_lr" in done.stdout, done.stderr
    assert not list(tmp_path.iterdir())
