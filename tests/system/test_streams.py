"""Output to pipes that close, full disks, closed descriptors and encodings without the characters."""

import subprocess
import sys
from pathlib import Path

import pytest

PRINT = "from prunebert.system import streams; streams.prepare(); "
LINES = "print('a \\xb7 b\\u2026 \\udcff \\u4e2d'); [print('x' * 99) for _ in range(9999)]; "
PROGRAM = f"{PRINT}{LINES}streams.finish()"


def shell(command: str, program: str = PROGRAM, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run `command` in bash, where $P is the program."""
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])} | environment
    words = ["bash", "-c", f'P() {{ {sys.executable} -c "$0"; }}; {command}', program]
    return subprocess.run(words, env=variables, capture_output=True, timeout=60)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_is_lost_never_raises(unbuffered):
    variables = {"PYTHONUNBUFFERED": unbuffered, "PYTHONIOENCODING": "utf-8"}
    head = shell("P | head -1; echo ${PIPESTATUS[0]}", **variables)
    assert head.stdout.decode() == "a · b… \\udcff 中\n0\n" and head.stderr == b""
    full = shell("P > /dev/full; echo $?", **variables)
    reason = b"prunebert: standard output cannot be written to: No space left on device\n"
    assert full.stdout == b"1\n" and full.stderr == reason
    closed = shell("P >&-; echo $?; P >&- 2>&-; echo $?", **variables)
    assert closed.stdout == b"0\n0\n" and closed.stderr == b""


def test_a_closed_output_takes_no_files_number(tmp_path):
    program = f"{PRINT}file = open('x', 'w'); assert file.fileno() > 2; print('no'); import os; os.write(1, b'no')"
    assert shell(f"cd {tmp_path}; P >&-", program).returncode == 0
    assert (tmp_path / "x").read_text() == ""


@pytest.mark.parametrize(
    "variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_characters_that_the_encoding_lacks_are_replaced(variables):
    done = shell("P", f"{PRINT}{LINES}", **variables)
    assert done.returncode == 0 and done.stdout.splitlines()[0] == rb"a \xb7 b\u2026 \udcff \u4e2d"


def test_streams_of_others_are_left_alone(capsys):
    from prunebert.system import streams

    before = sys.stdout
    streams.prepare()
    assert sys.stdout is before


def test_the_version_is_ours_and_a_lone_m_is_refused(cli):
    from prunebert import __version__

    assert cli("--version") == (0, f"prunebert {__version__}\n")
    status, printed = cli("-m")
    assert status == 2 and printed.startswith("prunebert: -m: name what the sweep varies")
    status, printed = cli("method=smp", "x\x1b[31m")
    assert (
        status == 2
        and printed.startswith(
            r"prunebert: x\x1b[31m: must be KEY=VALUE (a command such as info comes first, by itself)"
        )
        and printed.endswith("; write \"method='smp x\\x1b[31m'\"\n")
    )
    status, printed = cli("inof", "run")
    assert status == 2 and "did you mean info?" in printed
