"""The one entrypoint: a bare first word is a command, anything else a Hydra run."""

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from prunebert.errors import BadInput, Diverged, bad_choice, of_the_system
from prunebert.runs import artifacts, guard, identity
from prunebert.settings import checks
from prunebert.settings import labels as settings_labels
from prunebert.settings.overrides import explain, for_every_cell, nobody_takes, of_a_launcher, quicker_help, values
from prunebert.system import distributed, signals

log = logging.getLogger(__name__)
refused: list[str] = []  # why cells of a dry sweep could not begin
began = [time.perf_counter()]  # of the command, until its first run takes it
COMMANDS = {
    "info": "prunebert.commands.info:main",
    "status": "prunebert.commands.status:main",
    "compare": "prunebert.commands.compare:main",
    "report": "prunebert.report.command:main",
    "export": "prunebert.commands.export:main",
    "bench": "prunebert.commands.bench:main",
}
COMPOSING = {  # these are also handed what makes a configuration of words
    "evaluate": "prunebert.commands.evaluate:main",
    "mask": "prunebert.commands.mask:main",
}
CONF = {"config_path": "pkg://prunebert.conf", "config_name": "config", "version_base": "1.3"}


def main() -> None:
    """Run the command line. Exit status: 0 done, 1 something broke, 2 bad input, 75 stopped by a signal, to go on."""
    words = sys.argv[1:] or ["--help"]
    _wait_briefly()
    try:
        if re.fullmatch(r"\w[\w-]*", words[0]):
            _command(words[0], words[1:])
        else:
            words.sort(key=lambda w: w not in ("-m", "--multirun"))  # Hydra wants all key=value words in one row
            checks.words(values(words))
            nobody_takes(words)
            sys.argv[1:] = [*for_every_cell(words), *distributed.silence_others()]
            os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come back here, to be told in one line
            os.environ.setdefault("SUBMITIT_LOG_LEVEL", "ERROR")  # without accounting it warns at every look
            if {"--help", "-h"} & {*words}:
                quicker_help()
            _hydra_run()
    except BadInput as error:
        _stop(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        _stop(explain(error))
    except KeyboardInterrupt:
        _stop("interrupted", status=130)
    except Exception as error:
        if (told := of_a_launcher(error)) is None:
            raise
        _stop(told[0], status=signals.STATUS if signals.SWEEP.by else told[1])


def _wait_briefly() -> None:
    """Threads that wait for others of their process sleep after a while: by default, GNU OpenMP's spin for so long that
    of two runs on the same cores either takes ten times as long. To be called before torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def _command(name: str, words: list[str]) -> None:
    known = COMMANDS | COMPOSING
    if name not in known:
        raise bad_choice("command", name, known)
    from importlib import import_module

    module, function = known[name].split(":")
    getattr(import_module(module), function)(words, *([compose] if name in COMPOSING else []))


def compose(words: list[str]) -> tuple[dict[str, Any], Callable[[Any], Any]]:
    """The configuration that the words of a command line mean, resolved and checked, and what makes objects of it."""
    checks.words(values(words))
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
    """One run, alone or as the cell of a sweep."""
    out = Path(HydraConfig.get().runtime.output_dir)
    with signals.cell(partial(guard.discard, out)) as begins:
        if begins:
            _run(cfg, out)
        else:
            guard.discard(out)


def _run(cfg: DictConfig, out: Path) -> None:
    """In a sweep an error is told and kept in the run's log, and the other cells go on."""
    sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        try:
            _prune(cfg, out)
        except InstantiationException as error:
            raise error.__cause__ or error from None
    except BadInput as error:
        if not (sweep or isinstance(error, Diverged)):
            guard.discard(out)
            _stop(str(error))
        log.error("%s", error)
        if not sweep:
            sys.exit(2)
        if cfg.dry:
            guard.discard(out)
            refused.append(str(error))
    except OSError as error:  # a full disk, a directory that is gone
        log.error("%s", of_the_system(error))
        if not sweep:
            _stop(of_the_system(error), status=1)
    except Exception:  # a sweep goes on whatever breaks in one cell
        log.exception("this run broke", extra={"told_later": not sweep})
        if not sweep:
            raise


def _prune(cfg: DictConfig, directory: Path) -> None:
    since = began.pop() if began else time.perf_counter()
    fields: Any = OmegaConf.to_container(cfg, resolve=True)
    checks.config(fields)
    build = partial(hydra.utils.instantiate, _convert_="all")
    every, impl, model = build(fields["checkpoint"]), build(fields["impl"]), build(fields["model"])
    if augment := build(fields["augment"]):
        augment = partial(augment, model=model, device=impl.torch_device)
    distributed.start(impl.torch_device)
    with distributed.in_turn():
        task = build(fields["task"])(tokenizer=model.tokenizer, positions=model.positions, augment=augment)
    method = build(fields["method"])
    hydra_now = HydraConfig.get()
    choices, said = dict(hydra_now.runtime.choices), hydra_now.overrides
    pruned = settings_labels.prunes(fields["method"], OmegaConf.to_yaml(cfg.method))
    for line in settings_labels.unused(fields, choices, pruned):
        log.warning("%s", line)
    who = identity.of(fields, task.facts(), model.weights_hash)
    labels = {"identity": who, "model": model.name}
    labels |= settings_labels.labels(fields, choices, [*settings_labels.search(said.hydra), *said.task], pruned)
    if cfg.dry:
        from prunebert.commands import dry_run

        dry_run.show(build(dry_run.alone(fields["method"])), task, model, directory, who, labels, cfg.seed)
        guard.discard(directory)
        return
    from prunebert.commands import info
    from prunebert.run import run
    from prunebert.runs import claim
    from prunebert.system.trackers import none
    from prunebert.training.checkpoints import Checkpoints

    with signals.heeded() as request, claim.shared(directory, who, cfg.rerun) as place:
        if distributed.FIRST and place.root != directory:
            claim.moved(directory, place.root, HydraConfig.get().mode == RunMode.MULTIRUN)
        if place.done:
            row = artifacts.result(place.root)
            log.info("finished before (rerun=true repeats it): %s", info.line(row, place.root))
            return
        checkpoints = Checkpoints(place.root, who, every, request)
        if cfg.rerun:
            checkpoints.clear()
        out = artifacts.Artifacts(place.root if distributed.FIRST else directory, keep=checkpoints.any())
        try:
            row = run(
                method,
                task,
                model,
                out,
                impl=impl,
                seed=cfg.seed,
                labels=labels,
                checkpoints=checkpoints,
                tracking=build(fields["tracking"]) if distributed.FIRST else none,
                since=since,
            )
        except Diverged:
            checkpoints.clear()  # it would diverge again
            raise
        except signals.Stopped as stopped:
            log.warning(
                "stopped by %s %s; the same command goes on from the last checkpoint", stopped.by, stopped.where
            )
            raise
        if distributed.FIRST:
            log.info("%s", info.line(row, place.root))


class Around(Callback):
    """Before a run or sweep, what Hydra would write over is looked at; after a sweep comes the table of its runs, and
    with `hydra.callbacks.around.report=true` their report."""

    def __init__(self, report: bool = False) -> None:
        self.report = report

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        def same(text: str) -> bool:
            return bool(_configuration(OmegaConf.create(text)) == _configuration(config))

        def check(root: Path) -> None:
            checks.config(_resolved(config))
            artifacts.prepare(root)
            if not (config.rerun or config.dry):
                guard.refuse_another(root, same)

        _or_stop(check, Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        def same(text: str) -> bool:
            return list(OmegaConf.create(text).hydra.overrides.task) == list(config.hydra.overrides.task)

        if distributed.COUNT > 1:
            _stop("torchrun: one run at a time; of a sweep give it a cell after the other (scripts/loop.sh)")
        if config.dry:
            atexit.register(guard.put_back(Path(config.hydra.sweep.dir).absolute()))
        else:
            _or_stop(lambda root: guard.refuse_another_sweep(root, same), Path(config.hydra.sweep.dir))
        atexit.register(guard.discard_empty_sweep, Path(config.hydra.sweep.dir).absolute())
        if config.hydra.launcher._target_.endswith("JoblibLauncher"):
            signals.SWEEP.watch()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        from prunebert.commands import info

        failed = bool(refused) if config.dry else info.table(Path(config.hydra.sweep.dir))
        if self.report and not config.dry:
            _or_stop(_report, Path(config.hydra.sweep.dir), status=1)
        if by := signals.SWEEP.by:
            _stop(f"stopped by {by}; the same command goes on from the last checkpoints", signals.STATUS)
        if failed:
            sys.exit(1)  # a cell did not finish


def _configuration(config: Any) -> Any:
    """A configuration without what does not change a run."""
    return identity.configuration(_resolved(config))


def _resolved(config: Any) -> Any:
    """All but Hydra's own part."""
    fields: Any = OmegaConf.to_container(config)
    rest = OmegaConf.create({k: v for k, v in fields.items() if k != "hydra"})
    return OmegaConf.to_container(rest, resolve=True)


def _or_stop(check: Callable[[Path], None], path: Path, status: int = 2) -> None:
    """Hydra turns a callback's exceptions into warnings, but lets SystemExit through."""
    try:
        check(path)
    except BadInput as error:
        _stop(str(error), status)
    except OmegaConfBaseException as error:
        _stop(explain(error), status)


def _report(sweep: Path) -> None:
    from prunebert.report.command import main  # matplotlib and scipy take seconds

    main([str(sweep)])


def _stop(message: str, status: int = 2) -> None:
    if distributed.FIRST:
        sys.stderr.write(f"prunebert: {message}\n")
    sys.exit(status)


def _published(paper: str, *, _root_: DictConfig) -> str:
    """The prunable set of a method's paper, unless one is asked for all methods alike."""
    return paper if _root_.prunable == "paper" else _root_.prunable


OmegaConf.register_new_resolver("cell", checks.cell, replace=True)
OmegaConf.register_new_resolver("published", _published, replace=True)
