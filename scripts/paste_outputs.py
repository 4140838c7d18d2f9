"""Run the commands of a page of docs/ and paste what they print into the page.

    python scripts/paste_outputs.py docs/tutorial.md

A block of commands (bash) is run in a temporary folder that has a copy of docs/. The block of output (text) after it
gets what was printed. A comment before that block chooses lines: `<!-- lines 1-20 -->`, or `<!-- lines -9 -->` for the
last nine. A block of Python that begins with a comment such as `# use.py` becomes that file. No pip is run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"(?:<!-- lines (\d*)-(\d+) -->\n+)?^```(\w+)[^\n]*\n(.*?)^```$", re.M | re.S)
SLOW = re.compile(r"(loading|reading|composing) .* …")  # printed where a machine takes more than a second


def main() -> None:
    """Rewrite the page that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    page = parser.parse_args().page
    text = page.read_text()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(page.parent, Path(folder) / page.parent.name)
        page.write_text(pasted(text, Path(folder)))


def pasted(text: str, folder: Path) -> str:
    """Return a page with the output of its commands, which are run in `folder`. Raises CalledProcessError."""
    printed = ""

    def replace(block: re.Match[str]) -> str:
        nonlocal printed
        first, last, language, code = block.groups()
        if language == "python" and (name := re.match(r"# ([\w./]+)\n", code)):
            (folder / name[1]).write_text(code)
        if language == "bash":
            printed = "" if code.startswith("pip ") else run(code, folder)
        if language != "text" or not printed:
            return block[0]
        lines = [line for line in printed.splitlines() if not SLOW.fullmatch(line)]
        if last:
            lines = lines[int(first) - 1 : int(last)] if first else lines[-int(last) :]
        whole = block[0]
        start = block.start(4) - block.start(0)
        printed = ""
        return whole[:start] + "".join(f"{line.rstrip()}\n" for line in lines) + "```"

    return BLOCK.sub(replace, text)


def run(commands: str, folder: Path) -> str:
    """Return what some lines of bash print on a terminal 80 columns wide, warnings and progress included."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"COLUMNS": "80", "PATH": path, "TRANSFORMERS_VERBOSITY": "error"}
    environment |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{commands}\n{done.stdout}")
    return done.stdout.replace(f"{folder}/", "")


if __name__ == "__main__":
    main()
