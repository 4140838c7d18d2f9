"""Read the documentation's pages: their code blocks, the commands in these, their links and their headings."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "conf/README.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
SHELL = ("bash", "sh", "shell", "console")
PROGRAMS = ("prunebert", "pip", "python", "torchrun", "pytest")  # an indented block of code begins with one of them
OPEN, SPLIT = re.compile(r"^(\s*)(`{3,}|~{3,})\s*([\w+-]*)"), ("&&", "||", ";", "|", "&")
KEYWORDS = ("do", "done", "then", "else", "fi", "{", "}", "(", ")", "time", "nice", "exec")


@dataclass(frozen=True)
class Block:
    """A block of code. `language` is that of its fence; "" where it has none."""

    page: Path
    line: int  # of the first line of code, from 1
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that the block is, if its first line is a comment with a path: `# lab/mine.py`."""
        named = re.match(r"# ([\w./-]+\.\w+)\n", self.text)
        return named[1] if named and self.language not in SHELL else None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, wherever they are indented, and the indented ones outside lists and notes."""
    lines = page.read_text().splitlines()
    number, container = 0, False  # container: the last line that is not indented begins a list or a note
    while number < len(lines):
        fence = OPEN.match(lines[number])
        start = number + 1 if fence else number
        if fence:
            indent, marks, language = fence.groups()
            end = next((i for i in range(start, len(lines)) if lines[i].strip() == marks), len(lines))
            yield Block(page, start + 1, language, _text(line.removeprefix(indent) for line in lines[start:end]))
        elif lines[number].startswith("    ") and not container:
            end = next(
                (i for i in range(start, len(lines)) if lines[i] and not lines[i].startswith("    ")), len(lines)
            )
            yield Block(page, start + 1, "", _text(line.removeprefix("    ") for line in lines[start:end]))
            end -= 1
        else:
            if re.match(r"\S", lines[number]):
                container = bool(re.match(r"[-*+] |\d+[.)] |!!!|\?\?\?|===", lines[number]))
            end = number
        number = end + 1


def _text(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def shell_lines(block: Block) -> list[str]:
    """Return the command lines of a block, continued ones joined. Output beside them in a console block is left out."""
    if block.language not in ("", *SHELL):
        return []
    joined = re.sub(r"\s*\\\n\s*", " ", block.text).splitlines()
    if block.language == "console":
        return [line.strip()[2:] for line in joined if line.strip().startswith("$ ")]
    if block.language == "":
        return [line for line in joined if line.split(" ")[0] in PROGRAMS]
    return [line for line in joined if line.strip() and not line.strip().startswith("#")]


def inline(page: Path) -> Iterator[str]:
    """Yield the commands `prunebert …` inside a page's sentences and tables."""
    fenced = {number for block in blocks(page) for number in range(block.line, block.line + block.text.count("\n"))}
    prose = "\n".join(line for number, line in enumerate(page.read_text().splitlines(), 1) if number not in fenced)
    for code in re.findall(r"`(prunebert\s[^`]+)`", prose):
        yield " ".join(code.replace("\\|", "|").split())


def programs(line: str) -> list[list[str]]:
    """Return the words of each program that a command line starts. Redirections and variables are left out.

    Raises ValueError for a line that no shell could read.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    found: list[list[str]] = [[]]
    tokens = iter(lexer)
    for token in tokens:
        if token in SPLIT:
            found.append([])
        elif token[0] in "<>":
            next(tokens, None)  # the file
        elif found[-1] or not (token in KEYWORDS or re.fullmatch(r"[A-Za-z_]\w*=.*", token)):
            found[-1].append(token)
    return [words for words in found if words]


def links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links and pictures, other sites left out."""
    prose = re.sub(r"^( *)(`{3,}).*?^\1\2$", "", page.read_text(), flags=re.M | re.S)
    prose = re.sub(r"`[^`\n]+`", "", prose)
    for target in re.findall(r"\]\(<?([^)\s>]+)>?[^)]*\)|(?:src|href|srcset)=\"([^\"]+)\"", prose):
        if not re.match(r"[a-z]+:", "".join(target)):
            yield "".join(target)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as Markdown's own table of contents makes them."""
    text = re.sub(r"^( *)(`{3,}).*?^\1\2$", "", page.read_text(), flags=re.M | re.S)
    names = set(re.findall(r"(?:id|name)=\"([^\"]+)\"|\{ *#([\w-]+) *\}", text))
    found = {"".join(name) for name in names}
    for heading in re.findall(r"^#+ +(.+?)(?: *\{.*\})?$", text, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower()))
    return found


def write_files(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Write the files that a page shows into a folder, from which Python then imports. Returns their names."""
    found = [block for block in blocks(page) if block.file]
    for block in found:
        path = folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        if path.suffix == ".yaml":
            (path.parents[1] / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
        monkeypatch.delitem(sys.modules, name)  # of another page
    return {str(block.file) for block in found}
