"""Write the generated pages of docs/: a card per method, every key, the commands. A test compares them with the files.

python scripts/docs_pages.py

The source of a card is the method's docstring and its yaml, of the keys conf/, and of the commands their parsers.
"""

import argparse
import ast
import inspect
import io
import os
import re
import sys
import textwrap
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

from prunebert import cli
from prunebert.settings import keys, meanings, source
from prunebert.system import console

ROOT = Path(__file__).parents[1]
GROUPS = {  # the groups of reference/keys.md: their titles, and the options whose keys are shown
    "fit": ("The training budget", ["paper"]),
    "task": ("The data", ["file", "hub", "squad", "mlm"]),
    "model": ("The pre-trained network", ["bert-base"]),
    "distill": ("The teacher's loss", ["logits", "tinybert", "hidden_cosine"]),
    "augment": ("New training texts", ["mlm"]),
    "corpus": ("Plain text", ["wikitext"]),
    "impl": ("The device", ["auto"]),
    "tracking": ("The tracker", ["wandb"]),
    "hydra/launcher": ("Several runs at once", ["laptop", "slurm"]),
}
CITED = re.compile(r"\s*\([^()]*\d{4}[^()]*\)")  # a citation in brackets
PAPER = re.compile(r'(.+?), ".+?",\s.*?\b((?:19|20)\d\d)\b(?!\.\d)', re.S)  # authors, title, …, year
ON_A_SUB_NETWORK = ("export", "evaluate", "transfer", "barrier", "mask", "bench")  # commands on a page of their own
ONLINE = "# downloads bert-base and the data from the Hugging Face hub; use a GPU"
OFFLINE = "# needs neither a download nor a GPU (extra demo)"
GENERATED = "<!-- scripts/docs_pages.py writes this page from {}. -->\n"


def pages() -> dict[str, str]:
    """Return the text of each generated page by its path in docs/."""
    methods = keys.names("method")
    found = {f"methods/{name}.md": card(name) for name in methods}
    return found | {
        "methods/index.md": method_table(methods),
        "reference/keys.md": key_tables(),
        **commands(),
    }


def card(name: str) -> str:
    """Return the card of a method."""
    option = keys.option("method", name)
    module, _, function = option.target.rpartition(".")
    sections = meanings.sections(module)
    file = f"{module.replace('.', '/')}.py"
    lines = [
        f"# {title(option.line)} (`{name}`)\n",
        GENERATED.format(f"{file} and conf/method/{name}.yaml"),
        f"{wrapped(option.summary)}\n",
        f"```bash\n{chr(10).join([ONLINE, *option.commands, OFFLINE, offline_command(option)])}\n```\n",
        f"## How it works\n\n{sections.pop('')}\n",
    ]
    deviations, cost, citation = (sections.pop(title, "") for title in ("Deviations", "Cost", "Citation"))
    lines += [f"## {title}\n\n{text}\n" for title, text in sections.items()]
    lines.append(
        f"## Keys\n\n`prunebert method={name} --help` lists the same keys.\n\n{stacked(key_table(option.keys))}"
    )
    if combinations := keys.combinations("method", name):
        lines.append("## Other defaults\n\nThese options change defaults together with this method.\n")
        rows = [(f"`{c.options}`", settings(c.settings), c.reason) for c in combinations]
        lines.append(f"{table(('with', 'defaults', 'reason'), rows)}\n")
    if deviations:
        lines.append(f"## Deviations from the paper and its code\n\n{deviations}\n")
    lines.append(f"## Cost\n\n{cost}\n\n{phases(module, function)}\n\n{wrapped(budget(name))}\n")
    lines.append(f"## Citation\n\n{citation}\n")
    lines.append(f"The method's code is `{file}`, and its configuration is `conf/method/{name}.yaml`.\n")
    return "\n".join(lines)


def offline_command(option: keys.Option) -> str:
    """Return a command that runs a method on a CPU with the model and the data of the extra demo."""
    words = [f"prunebert method={option.name} task=rotten_tomatoes model=tiny fit=quick"]
    words += ["sparsity=0.9"] if any(key.default == "as sparsity" for key in option.keys) else []
    words += ["corpus=imdb"] if any(key.default == "as corpus" for key in option.keys) else []
    return " ".join(words)


def title(line: str) -> str:
    """Return the first clause of a line: what comes before a colon, a comma or a full stop, without its citation."""
    return re.split(r"[:.,] |\.$", CITED.sub("", line))[0]


def phases(module: str, function: str) -> str:
    """Return the sentence about a method's phases from the docstring of its function."""
    file = source.source(module)
    nodes = ast.parse(file.read_text()).body if file else []
    docstrings = [ast.get_docstring(n) for n in nodes if isinstance(n, ast.FunctionDef) and n.name == function]
    sentence = re.search(r"Phases: .+?\.(?=\s|$)", " ".join(str(docstrings[0]).split()))
    return f"{sentence[0]} A phase in brackets depends on the keys." if "(" in sentence[0] else sentence[0]


def budget(name: str) -> str:
    """Return how long one training is with fit=paper on MNLI, compared with fine-tuning."""
    own, dense = (paper_budget(method) for method in (name, "dense"))
    text = f"With `fit=paper`, one training on MNLI has {own['fit.epochs']} epochs of batch {own['fit.batch_size']}."
    if name == "dense":
        return text
    ratio = float(own["fit.epochs"]) / float(dense["fit.epochs"])
    amount = "as many rows" if ratio == 1 else f"{ratio:.2g} times as many rows"
    return (
        f"{text} Plain fine-tuning (`method=dense`) has {dense['fit.epochs']} epochs of batch "
        f"{dense['fit.batch_size']}. One training therefore reads {amount} as plain fine-tuning."
    )


def paper_budget(method: str) -> dict[str, str]:
    """Return the defaults of a method's keys and budget with fit=paper on MNLI."""
    values = {key.path: key.default for key in keys.option("fit", "paper").keys}
    for combination in keys.combinations("method", method):
        if set(combination.options.split()) <= {"fit=paper", "task=mnli"}:
            values |= combination.settings
    return values


def method_table(names: list[str]) -> str:
    """Return the page that lists the methods."""
    rows = []
    for name in names:
        option = keys.option("method", name)
        paper = PAPER.match(meanings.sections(option.target.rpartition(".")[0])["Citation"])
        short = f"{paper[1]} {paper[2]}" if paper else "–"
        rows.append((f"[`{name}`]({name}.md)", CITED.sub("", option.line), " ".join(short.split())))
    cards = (
        "Choose a method with `method=NAME`. Each card has the equations, every key, the deviations from the paper and "
        "its code, and the cost."
    )
    fair = (
        "`sparsity` is always the fraction removed. The key `prunable` names the matrices that it counts, and each "
        "paper has its own set. Compare methods only where that set is the same."
    )
    head = f"# Methods\n\n{GENERATED.format('conf/method')}\n{wrapped(cards)}\n\n{wrapped(fair)}\n"
    return f"{head}\n{table(('method', 'what it does', 'paper'), rows)}\n"


def key_tables() -> str:
    """Return the page of all keys that belong to no method."""
    text = (
        "A key is set on the command line with `KEY=VALUE`. A method's keys are on its [card](../methods/index.md). "
        "`prunebert GROUP=OPTION --help` prints the keys of an option. `--cfg job` prints the configuration of a "
        "command line. A default such as `as fit` is the value of another key."
    )
    head = f"# Keys\n\n{GENERATED.format('conf/')}\n{wrapped(text)}\n"
    parts = [f"## Keys of every run\n\n{key_table(keys.general())}\n"]
    for group, (heading, options) in GROUPS.items():
        names = ", ".join(f"`{name}`" for name in keys.names(group))
        parts.append(f"## {heading} (`{group}=`)\n\n{wrapped(f'Options: {names}.')}\n")
        first = keys.option(group, options[0])
        for name in options:
            option = keys.option(group, name)
            own = [key for key in option.keys if not key.path.startswith(("teacher_fit.", "mask_fit."))]
            if option is not first and option.target == first.target:
                own = [key for key in own if key not in first.keys]
            extra = " `teacher_fit` and `mask_fit` have the same keys." if len(own) < len(option.keys) else ""
            if len(own) < len(option.keys) and option.target == first.target and name != options[0]:
                extra = f" All other keys are those of `{group}={options[0]}`."
            parts.append(f"### `{group}={name}`\n\n{wrapped(option.summary + extra)}\n\n{key_table(own)}\n")
    return f"{head}\n{stacked(chr(10).join(parts))}"


def commands() -> dict[str, str]:
    """Return the pages of the commands with their arguments: the overview with the first ones, and the others."""
    overview = answer("--help")[0].strip()
    listed = re.search(r"^Commands\b.*\n((?:  .+\n)+)", overview, re.M)[1]
    status = re.search(r"Exit status: (.+)\.", inspect.getdoc(cli.main) or "")
    statuses = "\n".join(f"- {part[0].upper()}{part[1:]}" for part in re.split(r", (?=\d)", status[1]))
    head = GENERATED.format("`prunebert --help` and the commands' parsers")
    found = re.findall(r"^  (?:prunebert )?(\w+)\b.*?  +(\S.*)$", listed, re.M)
    parts = {
        name: f"## `prunebert {name}`\n\n{command(name) or f'{summary[0].upper()}{summary[1:]}.'}\n"
        for name, summary in found
    }
    others = "\n".join(parts.pop(name) for name in ON_A_SUB_NETWORK)
    first = [
        f"# Command line\n\n{head}\nA command line without a "
        "command trains: `prunebert KEY=VALUE …`. The [keys](keys.md) are on a page of their own, and so are the "
        "[commands on a sub-network](commands-on-a-sub-network.md).\n",
        f"## `prunebert --help`\n\n```text\n{overview}\n```\n",
        f"## Exit status\n\n{statuses}\n",
        *parts.values(),
    ]
    second = f"# Commands on a sub-network\n\n{head}\nThe others are on the [first page](command-line.md).\n\n{others}"
    return {
        "reference/command-line.md": re.sub(r"\n{3,}", "\n\n", "\n".join(first)),
        "reference/commands-on-a-sub-network.md": re.sub(r"\n{3,}", "\n\n", second),
    }


class Parsing(BaseException):
    """A command has made its parser and is about to parse its arguments."""


def answer(*words: str) -> tuple[str, argparse.ArgumentParser | None]:
    """Return what a command line prints in 80 columns, and its parser, at which it stops; None if it has none."""

    def stop(parser: argparse.ArgumentParser, *args: object) -> None:
        raise Parsing(parser)

    printed, parser = io.StringIO(), None
    console.console.cache_clear()
    with (
        patch.object(console.Arguments, "parse_args", stop),
        patch.object(console.Arguments, "parse_intermixed_args", stop),
        patch.dict(os.environ, {"COLUMNS": "80"}),
        patch.object(sys, "argv", ["prunebert", *words]),
        redirect_stdout(printed),
    ):
        try:
            cli.main()
        except Parsing as found:
            parser = found.args[0]
        except SystemExit:
            pass
    console.console.cache_clear()
    return printed.getvalue(), parser


def command(name: str) -> str:
    """Return the description and the arguments of a command."""
    parser = answer(name)[1]
    if parser is None:
        return ""
    text = f"```text\n{parser.description}\n```\n\n"
    subparsers = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    alike: dict[str, list[str]] = {}  # the subcommands that have the same arguments
    for actions in subparsers:
        for action in actions._choices_actions:
            alike.setdefault(arguments(actions.choices[action.dest]), []).append(action.dest)
    for found, names in alike.items():
        text += f"### `prunebert {name}` {', '.join(f'`{each}`' for each in names)}\n\n{found}\n"
    return text if subparsers else f"{text}{arguments(parser)}"


def arguments(parser: argparse.ArgumentParser) -> str:
    """Return the table of a parser's arguments."""
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
        shown = ", ".join(f"{option}{value}" for option in action.option_strings) or value.strip()
        many = {"+": " …", "*": " …"}.get(str(action.nargs), "")
        allowed = f" One of {', '.join(map(str, action.choices))}." if action.choices else ""
        text = action.help or ("optional" if action.nargs == "?" else "")
        rows.append((f"`{shown}{many}`", f"{text}{allowed}".strip()))
    return table(("argument", "meaning"), rows) + "\n" if rows else ""


def key_table(found: list[keys.Key]) -> str:
    """Return the table of some keys."""
    rows = []
    for key in found:
        allowed = f" *Allowed: {key.allowed}.*" if key.allowed and not key.default.startswith("as ") else ""
        rows.append((f"`{key.path}`", f"`{key.default}`", key.meaning + allowed))
    return table(("key", "default", "meaning"), rows)


def stacked(text: str) -> str:
    """Return text with tables of keys in a block whose columns docs/site.css stacks on a narrow screen."""
    return f'<div class="keys" markdown>\n\n{text.strip()}\n\n</div>\n'


def wrapped(text: str) -> str:
    """Return a paragraph in lines of at most 120 characters."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def settings(values: dict[str, str]) -> str:
    """Return keys and values as a command line has them."""
    return " ".join(f"`{key}={value}`" for key, value in values.items())


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---",) * len(head), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(folder: Path) -> None:
    """Write the pages into a folder."""
    for name, text in pages().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


if __name__ == "__main__":
    write(ROOT / "docs")
