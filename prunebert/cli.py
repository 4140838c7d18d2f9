"""The one entrypoint: a bare first word is a command, anything else a Hydra run. The only file that imports Hydra."""

from __future__ import annotations

import atexit
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ValueType
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from prunebert import artifacts, checks
from prunebert.errors import BadInput, Diverged, bad_choice, did_you_mean

log = logging.getLogger(__name__)
COMMANDS = {
    "info": "prunebert.info:main",
    "compare": "prunebert.compare:main",
    "report": "prunebert.report.command:main",
    "export": "prunebert.export:main",
    "bench": "prunebert.bench:main",
}
COMPOSING = {  # these are also handed what makes a configuration of words
    "evaluate": "prunebert.transfer:main",
    "mask": "prunebert.masktool:main",
}
CONF = {"config_path": "pkg://prunebert.conf", "config_name": "config", "version_base": "1.3"}


def main() -> None:
    """Run the command line. Exit status: 0 done, 1 something broke, 2 bad input."""
    words = sys.argv[1:]
    try:
        if words and re.fullmatch(r"\w[\w-]*", words[0]):
            _command(words[0], words[1:])
        elif words:
            checks.words(_values(words))
            sys.argv[1:] = _for_every_cell(words)
            os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come back here, to be told in one line
            _hydra_run()
        else:
            sys.argv.append("--help")
            _hydra_run()
    except BadInput as error:
        _stop(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        _stop(_explain(error))
    except KeyboardInterrupt:
        _stop("interrupted", status=130)


def _command(name: str, words: list[str]) -> None:
    known = COMMANDS | COMPOSING
    if name not in known:
        raise bad_choice("command", name, known)
    from importlib import import_module

    module, function = known[name].split(":")
    getattr(import_module(module), function)(words, *([_compose] if name in COMPOSING else []))


def _compose(words: list[str]) -> tuple[dict[str, Any], Callable[[Any], Any]]:
    """The configuration that the words of a command line mean, resolved and checked, and what makes objects of it."""
    checks.words(_values(words))
    with hydra.initialize_config_module("prunebert.conf", version_base="1.3"):
        fields: Any = OmegaConf.to_container(hydra.compose("config", overrides=words), resolve=True)
    checks.config(fields)
    return fields, _build


def _build(node: Any) -> Any:
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        raise error.__cause__ or error from None


@hydra.main(**CONF)
def _hydra_run(cfg: DictConfig) -> None:
    """One run. In a sweep an error is told and kept in the run's log, and the other cells go on (see Sweep)."""
    out = Path(HydraConfig.get().runtime.output_dir)
    sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        try:
            _prune(cfg, out)
        except InstantiationException as error:
            raise error.__cause__ or error from None
    except BadInput as error:
        if sweep or isinstance(error, Diverged):
            log.error("%s", error)
        else:
            artifacts.discard(out)
            _stop(str(error))
        if not sweep:
            sys.exit(2)
    except Exception:  # a sweep goes on whatever breaks in one cell; the traceback is in its run.log
        if not sweep:
            raise
        log.exception("this cell broke")


def _prune(cfg: DictConfig, directory: Path) -> None:
    from prunebert import info

    fields: Any = OmegaConf.to_container(cfg, resolve=True)
    checks.config(fields)
    build = hydra.utils.instantiate
    out = artifacts.Artifacts(directory)
    impl = build(fields["impl"])
    model = build(fields["model"], _convert_="all")
    augment = build(fields["augment"])
    task = build(fields["task"], _convert_="all")(
        tokenizer=model.tokenizer, positions=model.positions, augment=augment and partial(augment, model=model)
    )
    method = build(fields["method"], _convert_="all")
    from prunebert.run import run

    choices = HydraConfig.get().runtime.choices
    if choices["distill"] != "none" and "distill" not in fields["method"]:
        log.warning("method=%s takes no teacher: distill=%s is not used", choices["method"], choices["distill"])
    prunes = "prunable" in fields["method"]
    labels = {
        **{group: choices[group] for group in ("method", "task")},
        "model": model.name,
        "fit": choices["fit"],
        "distill": choices["distill"] if "distill" in fields["method"] else "none",
        "augment": choices["augment"],
        "sparsity": float(cfg.sparsity) if prunes else 0.0,
        "prunable": fields["method"]["prunable"] if prunes else "encoder",
        "settings": {k: v for k, v in fields["method"].items() if not k.startswith("_")},
        "command": "prunebert " + shlex.join(HydraConfig.get().overrides.task),
    }
    row = run(method, task, model, out, impl=impl, seed=cfg.seed, labels=labels)
    log.info("%s", info.line(row, directory))


class Around(Callback):
    """Before a run or sweep, what Hydra would write over is looked at; after a sweep comes the table of its runs, and
    with `hydra.callbacks.around.report=true` their report."""

    def __init__(self, report: bool = False) -> None:
        self.report = report

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        _or_stop(artifacts.prepare, Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        _or_stop(artifacts.refuse_finished_sweep, Path(config.hydra.sweep.dir))
        atexit.register(artifacts.discard_empty_sweep, Path(config.hydra.sweep.dir).absolute())

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        from prunebert import info

        failed = info.table(Path(config.hydra.sweep.dir))
        if self.report:
            _or_stop(_report, Path(config.hydra.sweep.dir), status=1)
        if failed:
            sys.exit(1)  # a cell did not finish


def _or_stop(check: Callable[[Path], None], path: Path, status: int = 2) -> None:
    """Hydra turns a callback's exceptions into warnings, but lets SystemExit through."""
    try:
        check(path)
    except BadInput as error:
        _stop(str(error), status)


def _report(sweep: Path) -> None:
    from prunebert.report.command import main  # matplotlib and scipy take seconds

    main([str(sweep)])


def _values(words: list[str]) -> list[tuple[str, Any]]:
    """(key, value) of the overrides among `words`, each value of a sweep on its own. Raises Hydra's parse error."""
    found = []
    for override in OverridesParser.create().parse_overrides([w for w in words if "=" in w and not w.startswith("-")]):
        if override.value_type in (ValueType.GLOB_CHOICE_SWEEP, ValueType.INTERVAL_SWEEP):
            continue  # names of options, and a sweeper's own affair
        values = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
        found += [(override.key_or_group, value) for value in values]
    return found


def _for_every_cell(words: list[str]) -> list[str]:
    """`method.key=value` beside `method=a,b` is meant for a and b: Hydra would ask the default method for it first."""
    given = [w for w in words if "=" in w and not w.startswith("-")]
    swept = [o.key_or_group for o in OverridesParser.create().parse_overrides(given) if o.is_sweep_override()]
    return [f"++{w}" if w in given and w.startswith(tuple(f"{group}." for group in swept)) else w for w in words]


def _explain(error: Exception) -> str:
    """Hydra's and OmegaConf's errors, in one line, with what is allowed."""
    text = str(error)
    if isinstance(error, MissingConfigException) and error.options is not None and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return str(bad_choice(group, name, [o for o in error.options if not o.startswith("_")]))
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read as key=value ({text.splitlines()[0]})"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if isinstance(error, ConfigCompositionException) and unknown:
        key = unknown[1].split("@")[0]
        return f"{key}: there is no such key{did_you_mean(key, _known_keys())} (`prunebert --cfg job` shows all)"
    return " ".join(text.split())


def _known_keys() -> list[str]:
    """Every key of the default configuration, dotted, and the config groups."""
    with hydra.initialize_config_module("prunebert.conf", version_base="1.3"):
        cfg = OmegaConf.to_container(hydra.compose("config"))

    def walk(node: Any, path: str) -> list[str]:
        inner = (
            [k for name, child in node.items() for k in walk(child, f"{path}.{name}")] if isinstance(node, dict) else []
        )
        return [path.removeprefix("."), *inner]

    return walk(cfg, "")


def _stop(message: str, status: int = 2) -> None:
    sys.stderr.write(f"prunebert: {message}\n")
    sys.exit(status)


def _published(paper: str, *, _root_: DictConfig) -> str:
    """The prunable set of a method's paper, unless one is asked for all methods alike."""
    return paper if _root_.prunable == "paper" else _root_.prunable


OmegaConf.register_new_resolver("cell", checks.cell, replace=True)
OmegaConf.register_new_resolver("published", _published, replace=True)
