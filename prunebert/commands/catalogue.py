"""The commands of the command line, and the pages that explain them: help, list and version."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from prunebert import __version__
from prunebert.errors import BadInput, bad_choice
from prunebert.settings import options, quoting
from prunebert.system.console import arguments, console, say, say_block


class Command(NamedTuple):
    """A command, which is the first word of a command line."""

    target: str  # the function that carries it out, as module:function
    usage: str  # what follows the command's name
    summary: str
    composes: bool = False  # whether the function also gets the one that composes a configuration of words


COMMANDS = {
    "info": Command("prunebert.commands.info:main", "RUN", "show a finished run, or the table of a sweep"),
    "status": Command("prunebert.commands.status:main", "DIR", "list finished, running, failed and missing runs"),
    "compare": Command("prunebert.commands.compare:main", "RUN RUN", "measure the overlap of two runs' masks"),
    "barrier": Command(
        "prunebert.commands.barrier:main", "RUN RUN", "evaluate the line between two finished runs", composes=True
    ),
    "report": Command("prunebert.report.entry:main", "DIR", "write tables, tests and figures of all runs below DIR"),
    "export": Command(
        "prunebert.commands.export:main", "RUN OUT", "write a folder that transformers loads", composes=True
    ),
    "evaluate": Command(
        "prunebert.commands.evaluate:main", "RUN task=…", "evaluate a finished run on other data", composes=True
    ),
    "transfer": Command(
        "prunebert.commands.transfer:main", "RUN… task=…", "use masks of some tasks on others", composes=True
    ),
    "mask": Command("prunebert.commands.mask:main", "ACTION …", "read, combine and import mask files", composes=True),
    "bench": Command("prunebert.commands.bench:main", "RUN", "measure the speed of a finished run's network"),
    "list": Command(
        "prunebert.commands.catalogue:list_options", "[methods]", "list methods, tasks, models, experiments, …"
    ),
    "help": Command("prunebert.commands.catalogue:help_", "[COMMAND]", "show this page, or that of a command"),
    "version": Command("prunebert.commands.catalogue:version", "", "show prunebert's version"),
}
HEADER = (
    "prunebert prunes BERT. One command trains one sub-network and writes its masks, metrics and predictions to disk."
)
EXAMPLES = (
    ("prunebert method=smp task=mnli sparsity=0.9", "one run"),
    ("prunebert -m method=smp,magnitude seed=0,1,2", "a sweep"),
    ("prunebert experiment=quickstart", "an example, which runs offline"),
)
LAST_LINES = (
    "Any value can be set: sparsity=0.5 seed=3 fit.steps=500 task.data_dir=FOLDER",
    "`prunebert list methods` has a line for each option, and so for every group.",
    "`prunebert … --cfg job` prints the configuration of a command line.",
    "`prunebert help completion` shows how to install completion for your shell.",
    "`prunebert --hydra-help` explains Hydra's own flags.",
)
COMPLETION = """The shell completes commands, their flags, run directories, groups, options and
keys. Add one line to the shell's start-up file:

  bash   eval "$(prunebert -sc install=bash)"      in ~/.bashrc
  zsh    eval "$(prunebert -sc install=zsh)"       in ~/.zshrc, after compinit
  fish   prunebert -sc install=fish | source       in ~/.config/fish/config.fish

`prunebert -sc uninstall=bash` prints what removes it from a running shell."""
LIST = """List the options of one group, with a line about each. Without a name, list the groups.

`prunebert GROUP=OPTION` chooses an option: prunebert method=smp task=mnli."""


def carry_out(name: str, words: list[str], compose: Callable[..., Any]) -> None:
    """Carry out the command `name`. Raises BadInput if there is none of that name."""
    if name == "-sc":
        from prunebert.commands import completion

        targets = {command: entry.target for command, entry in COMMANDS.items()}
        completion.main(words, targets, lambda overrides: compose(overrides)[0])
        return
    if name not in COMMANDS:
        if meant := quoting.without_spaces([name, *words]):
            raise BadInput(f"{name}: spaces belong neither around = nor into a value without quotes; write {meant}")
        raise bad_choice("command", name, COMMANDS)
    command = COMMANDS[name]
    module, function = command.target.split(":")
    getattr(import_module(module), function)(words, *([compose] if command.composes else []))


def command_of(words: list[str]) -> tuple[str, list[str]] | None:
    """Return the command that a command line asks for, and its arguments; None if it is a run or a sweep.

    --version and --help count wherever they stand, as long as no command comes first.
    """
    if re.fullmatch(r"\w[\w-]*", words[0]):
        return words[0], words[1:]
    if {"--version", "-V"} & {*words}:
        return "version", []
    if {"--help", "-h"} & {*words}:
        return "help", []
    if words[0] in ("-sc", "--shell-completion"):
        return "-sc", words[1:]
    return None


def version(words: list[str]) -> None:
    """Print prunebert's version."""
    arguments("version", "Show prunebert's version.").parse_args(words)
    say(f"prunebert {__version__}")


def list_options(words: list[str]) -> None:
    """Print the options of a group, or the groups."""
    parser = arguments("list", LIST)
    parser.add_argument("group", metavar="GROUP", nargs="?", help=", ".join(g.plural for g in options.GROUPS))
    name = parser.parse_args(words).group
    if name is None:
        _print_columns([(group.plural, group.meaning) for group in options.GROUPS], indent=0)
        say("`prunebert list methods` lists the options of a group.")
        return
    group = options.find(name)
    _print_columns(options.options(group.name).items(), indent=0)
    say(f"choose one with {group.name}=NAME")


def help_(words: list[str]) -> None:
    """Print the overview, or the page of a command. Raises BadInput if there is no such command."""
    if not words or words[0] in ("--help", "-h"):
        overview()
    elif words == ["completion"]:
        say_block(COMPLETION)
    elif len(words) > 1:
        raise BadInput(f"help takes one command, and here are {len(words)}: {' '.join(words)}")
    elif words[0] in COMMANDS:
        carry_out(words[0], ["--help"], _no_configuration)
    else:
        raise bad_choice("help", words[0], [*COMMANDS, "completion"])


def _no_configuration(words: list[str]) -> Any:
    raise AssertionError("a command's page needs no configuration")


def overview() -> None:
    """Print the page of `prunebert --help`, as wide as the terminal. A pipe is as wide as COLUMNS, or 80."""
    say_block(textwrap.fill(HEADER, console().width))
    say_block("")
    _print_columns(EXAMPLES)
    say_block("\nCommands (prunebert COMMAND):")
    _print_columns([(f"{name} {command.usage}".rstrip(), command.summary) for name, command in COMMANDS.items()])
    say_block("\nGroups (group=option):")
    _print_columns([(g.name, f"{g.meaning}: {', '.join(options.options(g.name))}") for g in options.GROUPS])
    say_block("")
    for line in LAST_LINES:
        say_block(textwrap.fill(line, console().width))


def _print_columns(rows: Iterable[tuple[str, str]], indent: int = 2) -> None:
    """Print two columns; the second one wraps within itself."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for left, right in rows:
        table.add_row(Text(" " * indent + left), Text(right))
    with console().capture() as captured:
        console().print(table)
    say_block("\n".join(line.rstrip() for line in captured.get().splitlines()))
