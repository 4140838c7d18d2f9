"""Shell completion, in bash as a terminal drives it, and as candidates for a line."""

import os
import shutil
import subprocess
import sys

import pytest

from prunebert.commands import completion
from prunebert.commands.catalogue import COMMANDS
from prunebert.settings import options, overrides
from tests.toys import RESULT, write_result

TARGETS = {name: command.target for name, command in COMMANDS.items()}


def complete(line):
    return completion.complete(line, TARGETS, lambda words: overrides.checked(words)[0])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with two runs, a deep folder, a file, and names that a shell would change."""
    monkeypatch.chdir(tmp_path)
    for run in ("outputs/day/noon", "outputs/day/night", "multirun/day/noon/method=smp,seed=1"):
        (tmp_path / run).mkdir(parents=True)
        write_result(tmp_path / run, RESULT)
    for name in ("$(touch hacked)", "a b", "[x]", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "films.csv").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("prunebert in", ["info"]),
        ("prunebert sta", ["status"]),
        ("prunebert --ver", ["--version"]),
        ("prunebert help ex", ["export"]),
        ("prunebert list exp", ["experiments"]),
        ("prunebert status --f", ["--failed"]),
        ("prunebert bench --s", ["--seconds"]),
        ("prunebert mask i", ["import", "info"]),
        (
            "prunebert method=s",
            ["method=" + name for name in ("smp", "snip", "soft_movement", "sparse_transfer", "sparsebert")],
        ),
        ("prunebert -m method=smp,m", ["method=smp,magnitude", "method=smp,masking", "method=smp,movement"]),
        ("prunebert hydra/launcher=l", ["hydra/launcher=laptop"]),
        ("prunebert experiment=q", ["experiment=quickstart"]),
        ("prunebert prunable=encoder_p", ["prunable=encoder_pooler", "prunable=encoder_pooler_embeddings"]),
        ("prunebert spa", ["sparsity="]),
        ("prunebert fit.st", ["fit.steps="]),
        ("prunebert method=tamt method.ob", ["method.objective="]),
        ("prunebert method=tamt method.objective=m", ["method.objective=mlm", "method.objective=mlm_kd"]),
        ("prunebert fit.decay=c", ["fit.decay=constant", "fit.decay=cyclic"]),
        ("prunebert rer", ["rerun="]),
        ("prunebert task=file task.train=fi", ["task.train=films.csv"]),
        ("prunebert info ", ["multirun/day/noon/method=smp,seed=1", "outputs/day/"]),
        ("prunebert compare outputs/day/n", ["outputs/day/night", "outputs/day/noon"]),
        ("prunebert report f", ["films.csv"]),
        ("prunebert evaluate outputs/day/noon task=rt", ["task=rte"]),
    ],
)
def test_what_a_word_may_become(folder, line, expected):
    assert complete(line) == expected


def test_an_empty_line_has_commands_flags_groups_and_keys():
    found = complete("prunebert ")
    assert {*COMMANDS, "--multirun", "method=", "hydra/launcher=", "sparsity=", "fit."} <= {*found}
    assert not [word for word in found if word.startswith(("exceptions", "task/base"))]
    assert all(f"{group.name}=" in found for group in options.GROUPS)


def bash(line, cwd, **environment):
    """Return (COMPREPLY, all else that was printed) for a line with the cursor at its end, split as Readline does."""
    words = line.replace("=", " = ").split() + ([""] if line.endswith((" ", "=")) else [])
    script = f"""
    eval "$({sys.executable} -m prunebert -sc install=bash)"
    prunebert() {{ {sys.executable} -m prunebert "$@"; }}
    COMP_LINE=$1 COMP_POINT=${{#1}}; shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _prunebert_complete
    printf '>%s\\n' "${{COMPREPLY[@]}}"
    complete -p prunebert > complete.txt
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", line, *words],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    replies = [found[1:] for found in lines if found.startswith(">")]
    return replies, [found for found in lines if not found.startswith(">")] + done.stderr.splitlines()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("prunebert method=sm", ["smp"]),  # Readline's word begins after the =
        ("prunebert info multi", ["multirun/day/noon/method=smp,seed=1"]),
        ("prunebert 'task.text=[a", [""]),
        ("prunebert method.nothing=", [""]),
    ],
)
def test_bash(folder, line, replies):
    assert bash(line, folder) == (replies, [])
    assert "-F _prunebert_complete prunebert" in (folder / "complete.txt").read_text()
    assert not (folder / "hacked").exists()


@pytest.mark.parametrize(
    "line", ["prunebert seed=", "prunebert 'x", "prunebert task.text=[a,", "prunebert method=smo fit.", "prunebert ~"]
)
def test_what_is_wrong_prints_nothing(folder, cli, monkeypatch, line):
    monkeypatch.setenv("COMP_LINE", line)
    assert cli("-sc", "query=bash") == (0, "")


def test_a_damaged_configuration_or_a_forbidden_folder_prints_nothing(folder, cli, monkeypatch):
    (folder / "lab/conf/method").mkdir(parents=True)
    (folder / "lab/conf/method/broken.yaml").write_text("a: [1\n")
    monkeypatch.setenv("COMP_LINE", f"prunebert hydra.searchpath=[file://{folder}/lab/conf] method=broken method.")
    assert cli("-sc", "query=bash") == (0, "")

    def forbidden(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(completion.os, "scandir", forbidden)
    monkeypatch.setenv("COMP_LINE", "prunebert info ")
    assert cli("-sc", "query=zsh") == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(cli, shell):
    status, script = cli("-sc", f"install={shell}")
    assert status == 0 and f"-sc query={shell}" in script and "2>/dev/null" in script
    assert cli("-sc", f"uninstall={shell}")[0] == 0
    assert f"install={shell}" in cli("help", "completion")[1]


@pytest.mark.parametrize("words", [["install=csh"], ["instal=bash"], []])
def test_other_words_are_refused(cli, words):
    status, printed = cli("-sc", *words)
    assert status == 2 and ("allowed are bash, zsh, fish" in printed or "install=SHELL" in printed)


def test_flags_are_those_of_the_commands(cli):
    for name, target in TARGETS.items():
        if name not in ("help", "list", "version", "mask"):
            flags, _ = completion._flags(target.partition(":")[0])
            page = cli(name, "--help")[1]
            assert flags or "[--" not in page, name
            assert all(flag in page for flag in flags), name
