"""Every command of the documentation can be read.

`test_tutorial.py` runs the tutorial's commands. Here every command goes through the command line's own door, up to the
point where a model would be loaded: a mistyped key, value, option, command or flag in a page fails.
"""

import importlib.util
import re
import sys
import tomllib
from argparse import ArgumentParser
from functools import cache

import hydra
import pytest
from hydra.errors import HydraException

from prunebert.errors import BadInput
from prunebert.settings import checks, overrides
from prunebert.system.console import Arguments
from tests import pages
from tests.pages import PAGE_NAMES, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = set(PROJECT["project"]["optional-dependencies"])
MARKERS = {marker.partition(":")[0] for marker in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
# Programs whose words are not looked at. A page that needs another one adds it here.
OTHERS = {"cat", "cd", "cp", "echo", "export", "git", "head", "ls", "mkdir", "mkdocs", "sh", "tail", "touch"}
NOT_INSTALLED = {"ray"}  # launchers that no extra installs
COMMANDS_BELOW = {"README.md": 5, "docs/tutorial.md": 8}


class Stopped(BaseException):
    """Raised where a command line has been read, and before anything is done."""

    def __init__(self, words):
        self.words = words


@pytest.fixture
def read_command(monkeypatch, tmp_path, capsys):
    """Return a function that reads the words after `prunebert` as the command line does. It returns an error or ""."""
    from prunebert import cli

    def stop(parse):
        def parse_and_stop(parser, *arguments, **named):
            raise Stopped(getattr(parse(parser, *arguments, **named), "overrides", None) or [])

        return parse_and_stop

    def stop_before_running(**configuration):
        def never(function):
            return lambda: _stop(sys.argv[1:])

        return never

    def _stop(words):
        raise Stopped(words)

    for name in ("parse_args", "parse_intermixed_args"):
        monkeypatch.setattr(Arguments, name, stop(getattr(ArgumentParser, name)))
    monkeypatch.setattr(hydra, "main", stop_before_running)
    if importlib.util.find_spec("prunebert.runs.inputs"):  # a page's files and runs are the reader's
        monkeypatch.setattr("prunebert.runs.inputs.require", lambda fields: None)
    monkeypatch.chdir(tmp_path)

    def read(words):
        monkeypatch.setattr(sys, "argv", ["prunebert", *words])
        try:
            cli.main()
        except Stopped as stopped:
            try:
                compose(stopped.words)
            except BadInput as error:
                return str(error)
        except SystemExit as end:
            return capsys.readouterr().err if end.code else ""
        return ""

    return read


def compose(words):
    """Compose a run, or a sweep's first cell. The command line itself has looked at the other values of its keys."""
    flags = overrides.flags(words)
    given = flags.overrides
    if flags.shell_completion or not given:
        return
    if {f"hydra/launcher={name}" for name in NOT_INSTALLED} & {*given}:
        given = [word for word in given if not word.lstrip("+").startswith(("hydra/launcher", "hydra.launcher"))]
    experiments = [word for word in given if word.startswith("experiment=")]
    if experiments:
        typed = {word.partition("=")[0] for word in given}
        given = [*given, *(f"{key}={value}" for key, value in swept(experiments).items() if key not in typed)]
    if flags.multirun or experiments:
        axes = [overrides.axis(word) if overrides.parsed([word])[0].is_sweep_override() else [word] for word in given]
        given = [axis[0] for axis in axes]
        for group, _, option in (word.partition("=") for axis in axes for word in axis[1:]):
            if group in checks.OPTION_GROUPS and missing(f"conf/{group}/{option}.yaml"):
                raise BadInput(f"{group}={option}: there is no such option")
    if any("hydra.searchpath=" in word for word in given):
        overrides.checked(given)
    else:
        composed(tuple(given))


def swept(experiments):
    """Return what the experiments vary, {key: its values}. Raises BadInput for one that does not exist."""
    try:
        with hydra.initialize_config_module("prunebert.conf", version_base="1.3"):
            return hydra.compose("config", experiments, return_hydra_config=True).hydra.sweeper.params
    except HydraException as error:
        raise BadInput(overrides.explain(error)) from error


@cache
def composed(words):
    """Pages repeat their commands, and composing takes a tenth of a second."""
    return overrides.checked([*words])


def check(words, read_command, page):
    """Return what is wrong with a program's words, or ""."""
    program, *rest = words
    if program == "torchrun" or (program == "python" and rest[:2] == ["-m", "prunebert"]):
        return check(["prunebert", *rest[rest.index("-m") + 2 :]], read_command, page)
    if program == "prunebert":
        return read_command([word.replace("…", "") if word.isupper() else word for word in rest if word != "…"])
    if program == "pip":
        named = {extra for word in rest for extras in re.findall(r"\[([\w,]+)\]", word) for extra in extras.split(",")}
        files = [rest[i + 1] for i, word in enumerate(rest) if word in ("-c", "-r")]
        return wrong(named - EXTRAS, "no such extra") or wrong(filter(missing, files), "no such file")
    if program == "pytest":
        marker = rest[rest.index("-m") + 1].split()[-1] if "-m" in rest else "slow"
        return wrong({marker} - MARKERS, "no such marker") or wrong(
            (word for word in rest if word.startswith("tests/") and missing(word.partition("::")[0])), "no such test"
        )
    if program == "python" or "/" in program:
        script = program if "/" in program else rest[0]
        here = {block.file for block in pages.blocks(page)}
        if missing(script) and script not in here and script != "-c":
            return f"{script}: there is no such script"
        if script == "scripts/loop.sh":
            return read_command(rest[1:])
        return ""
    return wrong({program} - OTHERS, "no such program")


def wrong(names, what):
    found = ", ".join(sorted(names))
    return f"{found}: {what}" if found else ""


def missing(path):
    return not (ROOT / path).exists()


def is_elsewhere(line, files):
    """Whether a command needs a package of the reader's that this page does not show."""
    return "hydra.searchpath=" in line and not any(file.endswith(".yaml") for file in files)


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_command_of_a_page_can_be_read(name, read_command, tmp_path, monkeypatch):
    page, number = ROOT / name, 0
    files = pages.write_files(page, tmp_path, monkeypatch)
    for block in pages.blocks(page):
        for line in pages.shell_lines(block):
            if is_elsewhere(line, files):
                continue
            for words in pages.programs(line):
                reason = check(words, read_command, page)
                assert not reason, f"{block}: {line}\n{reason}"
                number += 1
    assert number >= COMMANDS_BELOW.get(name, 0)


def needs_bert_base(words):
    """Whether a command line trains, or would, a network of the hub or of a folder."""
    if words[:1] != ["prunebert"] or not any(word.startswith(("method=", "experiment=")) for word in words):
        return False
    return not {"model=tiny", "model=minilm", "experiment=quickstart"} & {*words}


@pytest.mark.parametrize("name", [name for name in PAGE_NAMES if name.startswith("docs/")])
def test_a_page_says_which_commands_download_or_need_a_gpu(name):
    for block in pages.blocks(ROOT / name):
        heavy = any(needs_bert_base(words) for line in pages.shell_lines(block) for words in pages.programs(line))
        if heavy and block.language == "bash":
            assert re.search(r"^# .*download.*GPU", block.text, re.M), (
                f"{block}: what it downloads, and whether on a GPU"
            )


def test_commands_that_need_bert_base():
    assert needs_bert_base(["prunebert", "-m", "method=smp,gmp", "task=rte"])
    assert not any(needs_bert_base(line.split()) for line in ("prunebert info RUN", "prunebert method=smp model=tiny"))


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_command_in_a_sentence_can_be_read(name, read_command, tmp_path, monkeypatch):
    """These may leave arguments out, and have alternatives (`mask and|or`), `[--optional FLAGS]` and GROUP=OPTION."""
    files = pages.write_files(ROOT / name, tmp_path, monkeypatch)
    for code in pages.inline(ROOT / name):
        line = re.sub(r"\[(-[^\]]*)\]", r"\1", re.sub(r"(?<=[\w-])\|[\w|-]+", "", code))
        if is_elsewhere(line, files):
            continue
        for words in pages.programs(line):
            complete = [word.rstrip("…") for word in words if not re.search(r"[=.]…|^…|^[A-Z]+=", word)]
            if len(complete) < 2:
                continue
            reason = check(complete, read_command, ROOT / name)
            assert not reason or "are required" in reason, f"{name}: {code}\n{reason}"


def test_a_mistake_in_a_page_is_found(read_command, tmp_path):
    """What the tests above rely on: blocks of every kind are seen, and each kind of mistake is reported."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n!!! note\n    prunebert is not a command here\n\n    prunebert info RUN\n\nText.\n\n- a list\n\n"
        "    ```console\n    $ prunebert -m method=smp,gmp \\\n        seed=0,1   # a sweep\n    output\n    ```\n"
    )
    lines = [line for block in pages.blocks(page) for line in pages.shell_lines(block)]
    assert lines == ["prunebert -m method=smp,gmp seed=0,1   # a sweep"]
    page.write_text("Text:\n\n    prunebert info RUN | tail -n 3 > out.txt\n    more\n\nEnd `prunebert info` here.\n")
    (block,) = pages.blocks(page)
    assert (block.line, block.text) == (3, "prunebert info RUN | tail -n 3 > out.txt\nmore\n\n")
    assert [pages.programs(line) for line in pages.shell_lines(block)] == [
        [["prunebert", "info", "RUN"], ["tail", "-n", "3"]]
    ]
    assert [*pages.inline(page)] == ["prunebert info"]
    good = ["prunebert -m method=smp,gmp task=rte", "prunebert experiment=abp_table2_baselines seed=0,1"]
    good += ["prunebert info RUN", "pip install -e .[demo]", "pytest -m slow"]
    bad = {
        "prunebert -m method=smp,gpm task=rte": "gpm",
        "prunebert method=smp,gmp": "method",  # a sweep needs -m
        "prunebert method=smp method.score_lrr=1": "score_lrr",
        "prunebert -m method=smp,gmp method.score_lrr=1": "score_lrr",
        "prunebert fit.steps=x": "fit.steps",
        "prunebert inof RUN": "inof",
        "prunebert info": "RUN",
        "prunebert report DIR --basline dense": "--basline",
        "prunebert evaluate RUN task=ret": "ret",
        "prunbert info RUN": "prunbert",
        "pip install -e .[dmeo]": "dmeo",
        "pytest -m slwo": "slwo",
        "scripts/lop.sh OUT": "lop.sh",
        "python -m prunebert seed=x": "seed",
        "prunebert experiment=quickstrat": "quickstrat",
    }
    for line in good:
        assert [check(words, read_command, page) for words in pages.programs(line)] == [""], line
    for line, part in bad.items():
        (words,) = pages.programs(line)
        assert part in check(words, read_command, page), line
