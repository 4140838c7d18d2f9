"""--help, errors and Hydra's own flags answer quickly and without torch."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

CONF = Path(__file__).parents[1] / "conf"


@pytest.mark.parametrize(
    ("words", "status"),
    [(["--help"], 0), (["sparsity=2"], 2), (["method=smo"], 2), (["infos"], 2), (["method.allocation=x"], 2)],
)
def test_help_and_config_errors_answer_without_importing_torch(words, status, tmp_path):
    code = f"""if True:
        import sys
        sys.argv = ["prunebert", *{words!r}]
        from prunebert.cli import main
        try:
            main()
        finally:
            assert "torch" not in sys.modules and "transformers" not in sys.modules
    """
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    assert time.monotonic() - start < 10  # 2 s on an idle machine; CI's may be busy
    assert not list(tmp_path.rglob("*"))


def test_cfg_job_and_completion_are_hydras(cli):
    status, printed = cli("method=smp", "task=rte", "--cfg", "job")
    assert status == 0 and "epochs: 100" in printed and "name: bert-base-uncased" in printed
    assert cli("--shell-completion", "install=bash")[0] == 0


def test_help_lists_the_public_groups_and_no_exception(cli):
    """The list in conf/config.yaml is written by hand, so it is compared with the folders."""
    status, printed = cli("--help")
    assert status == 0
    block = re.search(r"^Groups \(group=option\):\n((?:  .*\n)+)", printed, re.M)[1]
    lines = re.sub(r"\n {10,}", " ", block).splitlines()
    groups = {g: options.split(", ") for g, options in (re.match(r"  (\S+) .*: (.+)", line).groups() for line in lines)}
    public = {p for p in CONF.iterdir() if p.is_dir() and p.name not in ("exceptions", "hydra", "__pycache__")}
    public.add(CONF / "hydra/launcher")
    assert len(public) == 11
    files = {str(p.relative_to(CONF)): sorted(f.stem for f in p.glob("*.yaml")) for p in public}
    assert {g: sorted(options) for g, options in groups.items()} == files
    assert "exceptions" not in printed and "method_fit" not in printed


def test_help_lists_every_command(cli):
    from prunebert.cli import COMMANDS

    names = re.findall(r"^  prunebert (\w+) (?:RUN|DIR|info\|)", cli("--help")[1], re.M)
    assert sorted(names) == sorted(COMMANDS)
