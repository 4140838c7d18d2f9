"""Shell completion: commands, their flags, run directories, groups, options and keys, for bash, zsh and fish.

`prunebert -sc install=SHELL` prints a script. At a tab the script runs `prunebert -sc query=SHELL` with the line up to
the cursor in COMP_LINE, and gets one candidate a line. A query prints nothing but candidates, whatever is wrong: its
output stands in the middle of the user's line.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from prunebert.errors import BadInput, bad_choice, shown
from prunebert.runs import artifacts
from prunebert.settings import options, source, values
from prunebert.system.console import say_block

BASH = r"""_prunebert_complete() {
    local line="${COMP_LINE:0:COMP_POINT}" cut="" candidate
    local typed="${line##*[[:space:]]}"
    [[ "$COMP_WORDBREAKS" == *=* && "$typed" == *=* ]] && cut="${typed%"${typed##*=}"}"
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("${candidate#"$cut"}")
    done < <(COMP_LINE="$line" "${COMP_WORDS[0]}" -sc query=bash 2>/dev/null)
    [[ "${COMPREPLY[*]}" == *[=/.] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _prunebert_complete prunebert"""
ZSH = r"""_prunebert_complete() {
    local -a candidates
    candidates=("${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT]}" "${words[1]}" -sc query=zsh 2>/dev/null)}")
    [[ -n "$candidates" ]] && compadd -Q -S '' -- $candidates
}
compdef _prunebert_complete prunebert"""
FISH = r"""function _prunebert_complete
    COMP_LINE=(commandline -cp) prunebert -sc query=fish 2>/dev/null
end
complete -c prunebert -f -a '(_prunebert_complete)'"""
INSTALL = {"bash": BASH, "zsh": ZSH, "fish": FISH}
UNINSTALL = {"bash": "complete -r prunebert", "zsh": "compdef -d prunebert", "fish": "complete -e -c prunebert"}
FLAGS = ("--multirun", "--cfg", "--help", "--version")  # of a run; Hydra has more
FILES = {"mask": (".safetensors", ".npy", ".pt"), "report": (".csv", ".parquet")}  # what commands read beside runs
VALUES = {"prunable": ("paper", "encoder", "encoder_pooler", "encoder_pooler_embeddings")}
SAFE = re.compile(r"[\w./,:@%+=~-]+")  # a word that no shell changes
MOST = 200  # candidates
Compose = Callable[[list[str]], dict[str, Any]]
Targets = dict[str, str]  # command -> module:function


def main(words: list[str], commands: Targets, compose: Compose) -> None:
    """Print a script for a shell, or the candidates for the word at the cursor.

    Args:
        words: install=SHELL, uninstall=SHELL or query=SHELL.
        commands: the functions of the commands, as module:function.
        compose: returns the configuration of some words.

    Raises:
        BadInput: another word, or an unknown shell.
    """
    action, _, shell = (words or [""])[0].partition("=")
    if action == "query":
        # an unfinished word, a folder that may not be read, a damaged configuration
        with suppress(BadInput, OSError, ValueError, yaml.YAMLError):
            candidates = complete(os.environ.get("COMP_LINE", ""), commands, compose)
            say_block("\n".join(candidates)) if candidates else None
        return
    if action not in ("install", "uninstall") or len(words) != 1:
        raise BadInput(f"-sc {shown(' '.join(words))}: allowed are install=SHELL and uninstall=SHELL")
    scripts = INSTALL if action == "install" else UNINSTALL
    if shell not in scripts:
        raise bad_choice(f"-sc {action}", shell, scripts)
    say_block(scripts[shell])


def complete(line: str, commands: Targets, compose: Compose) -> list[str]:
    """Return what the word at the end of a line may become, sorted. Candidates that a shell would change are left out.

    Raises ValueError for a line whose quotes are not closed.
    """
    words = shlex.split(line)[1:]
    typed = words.pop() if words and not line[-1:].isspace() else ""
    candidates = _candidates(words, typed, commands, compose)
    return sorted({c for c in candidates if c.startswith(typed) and SAFE.fullmatch(c)})[:MOST]


def _candidates(words: list[str], typed: str, commands: Targets, compose: Compose) -> Iterable[str]:
    if words and words[0] in commands:
        return _of_command(words, typed, commands, compose)
    first = [] if words else list(commands)
    return [*first, *FLAGS, *_overrides(words, typed, compose)]


def _of_command(words: list[str], typed: str, commands: Targets, compose: Compose) -> Iterable[str]:
    """Return the candidates after a command: its flags, and what its arguments are."""
    command, *arguments = words
    if command == "help":
        return [] if arguments else [*commands, "completion"]
    if command == "list":
        return [] if arguments else [group.plural for group in options.GROUPS]
    flags, actions = _flags(commands[command].partition(":")[0])
    if typed.startswith("-"):
        return [*flags, "--help"]
    if actions and not arguments:
        return actions
    runs = _paths(typed, FILES.get(command, ()))
    if command == "evaluate" and any(not word.startswith("-") for word in arguments):
        return [*runs, *_overrides([w for w in arguments[1:] if "=" in w], typed, compose)]
    return [] if command == "version" else runs


def _flags(module: str) -> tuple[list[str], list[str]]:
    """Return the flags and the actions of a command, read out of its source, because importing it may take seconds."""
    calls = [node for node in ast.walk(source.module_tree(module) or ast.Module([], [])) if isinstance(node, ast.Call)]
    flags, actions = [], []
    for call in calls:
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        texts = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        flags += [text for text in texts if name == "add_argument" and text.startswith("--")]
        flags += ["--wide"] if name == "add_wide" else []
        metavars = [k.value.value for k in call.keywords if k.arg == "metavar" and isinstance(k.value, ast.Constant)]
        actions += [a for text in metavars if name == "add_subparsers" for a in str(text).split("|")]
    return flags, actions


def _overrides(words: list[str], typed: str, compose: Compose) -> Iterable[str]:
    """Return the candidates for KEY=VALUE."""
    key, has_value, value = typed.partition("=")
    before = f"{key}={value.rpartition(',')[0]}," if "," in value else f"{key}="  # a sweep's last value
    groups = [group.name for group in options.GROUPS]
    if has_value and key in groups:
        return [before + option for option in options.options(key)]
    if has_value and key in VALUES:
        return [before + option for option in VALUES[key]]
    given = [word for word in words if "=" in word and not word.startswith("-")]
    config = compose(given)
    if has_value:
        choices = _choices(config, key)
        may_be_path = key.startswith("hydra.") or _is_text(config, key)
        return [before + c for c in choices] or [
            f"{key}={path}" for path in (_paths(value, None) if may_be_path else ())
        ]
    above = key.rpartition(".")[0]
    node = _node(config, above)
    names = [str(name) for name in node if not str(name).startswith("_")] if isinstance(node, dict) else []
    found = [(f"{above}.{name}" if above else name, node[name]) for name in names if isinstance(node, dict)]
    keys = [f"{name}." if isinstance(inner, dict) else f"{name}=" for name, inner in found]
    return [*keys, *([] if above else (f"{group}=" for group in groups))]


def _node(config: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        config = config.get(part) if isinstance(config, dict) else None
    return config


def _is_text(config: dict[str, Any], key: str) -> bool:
    """Return whether a key exists and may hold text, such as a path."""
    above, _, name = key.rpartition(".")
    node = _node(config, above)
    return isinstance(node, dict) and name in node and isinstance(node[name], str | None)


def _choices(config: dict[str, Any], key: str) -> list[str]:
    """Return the words that a key allows: those of its Literal, or true and false."""
    above, _, name = key.rpartition(".")
    node = _node(config, above)
    if not isinstance(node, dict) or name not in node:
        return []
    parameters = source.parameters(str(node["_target_"])) if "_target_" in node else None
    annotation = parameters[name].annotation if parameters and name in parameters else None
    choices = [str(c) for c in values.choices(annotation)] if annotation is not None else []
    return choices or (["true", "false"] if isinstance(node[name], bool) else [])


def _paths(typed: str, endings: tuple[str, ...] | None) -> list[str]:
    """Return the folders that a path may become, and the files with one of the endings, or with any ending.

    A folder ends with a slash, unless it is a run. Of folders that hold one folder alone, the inner one is returned.
    """
    above = typed.rpartition("/")[0] + "/" if "/" in typed else ""
    found = []
    with os.scandir(os.path.expanduser(above) or ".") as entries:
        for entry in entries:
            if entry.name.startswith(".") or not f"{above}{entry.name}".startswith(typed):
                continue
            if entry.is_dir():
                found.append(_inner(f"{above}{entry.name}"))
            elif endings is None or entry.name.endswith(endings):
                found.append(f"{above}{entry.name}")
    return found


def _inner(folder: str) -> str:
    path = Path(folder).expanduser()
    if any((path / name).exists() for name in (artifacts.RESULT, artifacts.CONFIG)):
        return folder
    try:
        inside = [entry for entry in os.scandir(path) if not entry.name.startswith(".")]
    except OSError:  # it may not be read
        return f"{folder}/"
    only = len(inside) == 1 and inside[0].is_dir(follow_symlinks=False)
    return _inner(f"{folder}/{inside[0].name}") if only else f"{folder}/"
