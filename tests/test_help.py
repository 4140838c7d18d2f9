"""--help, errors and Hydra's own flags answer quickly and without torch."""

import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from prunebert.commands.catalogue import COMMANDS
from prunebert.settings import options
from prunebert.system import console

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture(autouse=True)
def _width_of_the_console():
    yield
    console.console.cache_clear()  # it has read COLUMNS


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--help"], 0),
        (["sparsity=2"], 2),
        (["method=smo"], 2),
        (["infos"], 2),
        (["list", "methods"], 0),
        (["--version"], 0),
        (["method.allocation=x"], 2),
    ],
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


def public_groups():
    folders = [p for p in CONF.iterdir() if p.is_dir() and p.name not in ("exceptions", "hydra", "__pycache__")]
    return {
        str(p.relative_to(CONF)): sorted(f.stem for f in p.glob("*.yaml")) for p in (*folders, CONF / "hydra/launcher")
    }


def test_help_lists_the_public_groups_and_no_exception(cli):
    status, printed = cli("--help")
    assert status == 0
    block = re.search(r"^Groups \(group=option\):\n((?:  .*\n)+)", printed, re.M)[1]
    lines = re.sub(r"\n {10,}", " ", block).splitlines()
    groups = {g: options.split(", ") for g, options in (re.match(r"  (\S+) .*: (.+)", line).groups() for line in lines)}
    assert len(groups) == 11 and groups == public_groups()
    assert "exceptions" not in printed and "method_fit" not in printed


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], ["sparsity=0.5", "--help"], []], ids=" ".join)
def test_every_way_to_ask_for_help_shows_the_same_page(cli, words):
    assert cli(*words) == cli("--help")


@pytest.mark.parametrize(
    "words",
    [["--version"], ["-V"], ["version"], ["--version", "method=smp"], ["method=smp", "--version"], ["-m", "--version"]],
    ids=" ".join,
)
def test_the_version_is_prunebert_s_wherever_it_is_asked_for(cli, words):
    assert cli(*words) == (0, f"prunebert {version('prunebert')}\n")


@pytest.mark.parametrize("group", options.GROUPS, ids=lambda g: g.name)
def test_list_has_one_line_at_80_columns_for_each_option(cli, monkeypatch, group):
    """The line is the first comment of the option's YAML."""
    monkeypatch.setenv("COLUMNS", "80")
    console.console.cache_clear()
    status, printed = cli("list", group.plural)
    *lines, last = printed.splitlines()
    assert status == 0 and last == f"choose one with {group.name}=NAME"
    assert cli("list", group.name) == (status, printed)
    listed = dict(line.split(maxsplit=1) for line in lines)
    assert sorted(listed) == public_groups()[group.name]
    for name, text in listed.items():
        assert f"# {text}\n" in (CONF / group.name / f"{name}.yaml").read_text() and text[-1] == ".", name
        assert len(text) > 8 and "prunebert" not in text


def test_list_without_a_name_and_with_a_wrong_one(cli):
    assert [line.split()[0] for line in cli("list")[1].splitlines()[:-1]] == [g.plural for g in options.GROUPS]
    status, printed = cli("list", "metods")
    assert status == 2 and "allowed are methods, tasks" in printed and "did you mean methods?" in printed


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("words", [["help"], *(["help", name] for name in COMMANDS)], ids=" ".join)
def test_pages_are_as_wide_as_the_terminal(cli, monkeypatch, width, words):
    monkeypatch.setenv("COLUMNS", str(width))
    console.console.cache_clear()
    status, printed = cli(*words)
    assert status == 0 and max(map(len, printed.splitlines())) <= width
    assert not [line for line in printed.splitlines() if line != line.rstrip()]


def test_help_of_a_command_is_its_own(cli):
    assert cli("help", "status") == cli("status", "--help")
    assert "did you mean info?" in cli("help", "inf")[1]
    assert "-sc install=bash" in cli("help", "completion")[1]
    assert cli("help", "info", "status")[0] == 2


def test_help_lists_every_command(cli):
    block = re.search(r"^Commands \(.*\):\n((?:  .*\n)+)", cli("--help")[1], re.M)[1]
    names = re.findall(r"^  (\w+) .* {2}\S|^  (version)", block, re.M)
    assert sorted(a or b for a, b in names) == sorted(COMMANDS)
