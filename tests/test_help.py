"""Help and what Hydra itself answers: at once, without torch."""

import subprocess
import sys
import time

import pytest


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
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    assert time.monotonic() - began < 10  # 2 s on an idle machine; CI's may be busy
    assert not list(tmp_path.rglob("*"))


def test_cfg_job_and_completion_are_hydras(cli):
    status, printed = cli("method=smp", "task=rte", "--cfg", "job")
    assert status == 0 and "epochs: 100" in printed and "name: bert-base-uncased" in printed
    assert cli("--shell-completion", "install=bash")[0] == 0
