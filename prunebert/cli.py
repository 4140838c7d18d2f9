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
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from prunebert import experiment
from prunebert.errors import BadInput, Diverged, bad_choice, describe_os_error
from prunebert.runs import artifacts, guard, identity
from prunebert.settings import checks, labels, overrides
from prunebert.system import distributed, signals

log = logging.getLogger(__name__)
COMMANDS = {
    "info": "prunebert.commands.info:main",
    "status": "prunebert.commands.status:main",
    "compare": "prunebert.commands.compare:main",
    "report": "prunebert.report.command:main",
    "export": "prunebert.commands.export:main",
    "bench": "prunebert.commands.bench:main",
    "evaluate": "prunebert.commands.evaluate:main",
    "mask": "prunebert.commands.mask:main",
}
COMPOSING = ("evaluate", "mask")  # these also get the function that composes a configuration of words
CONF = {"config_path": "pkg://prunebert.conf", "config_name": "config", "version_base": "1.3"}


def main() -> None:
    """Run the command line.

    Exit status: 0 done, 1 something broke, 2 bad input, 75 stopped by a signal, to go on, 130 Ctrl-C before training.
    """
    started = time.perf_counter()
    words = sys.argv[1:] or ["--help"]
    _let_waiting_threads_sleep()
    try:
        if re.fullmatch(r"\w[\w-]*", words[0]):
            _command(words[0], words[1:])
            return
        words.sort(key=lambda w: w not in ("-m", "--multirun"))  # Hydra wants no flag between key=value words
        checks.words(overrides.values(words))
        overrides.refuse_unread_keys(words)
        sys.argv[1:] = [*overrides.for_every_cell(words), *distributed.silence_others()]
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come back here and are printed in one line
        os.environ.setdefault("SUBMITIT_LOG_LEVEL", "ERROR")  # without accounting it warns at every poll
        hydra.main(**CONF)(CommandLine(started).run)()
    except BadInput as error:
        _stop(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        _stop(overrides.explain(error))
    except KeyboardInterrupt:
        _stop("interrupted", status=130)
    except Exception as error:
        if (explained := overrides.explain_launcher(error)) is None:
            raise
        message, status = explained
        _stop(message, signals.STATUS if (sweep := signals.sweep_stop()) and sweep.by else status)


def _let_waiting_threads_sleep() -> None:
    """Let threads that wait for others of their process sleep after a short spin. Call it before torch is imported.

    By default GNU OpenMP's threads spin so long that two runs on the same cores take ten times as long.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def _command(name: str, words: list[str]) -> None:
    if name not in COMMANDS:
        raise bad_choice("command", name, COMMANDS)
    module, function = COMMANDS[name].split(":")
    getattr(import_module(module), function)(words, *([overrides.checked] if name in COMPOSING else []))


class CommandLine:
    """One command line whose runs Hydra starts through `run`, in this process or in a launcher's workers."""

    def __init__(self, started: float | None = None) -> None:
        self.started = started  # on time.perf_counter's clock; only the first run counts from there

    def __reduce__(self) -> tuple[type[CommandLine], tuple[()]]:
        return CommandLine, ()  # another process has another clock

    def run(self, config: DictConfig) -> str | None:
        """One run, alone or as the cell of a sweep. Returns why it was refused, in a dry sweep."""
        out = Path(HydraConfig.get().runtime.output_dir)
        with signals.cell(partial(guard.discard, out)) as begins:
            if begins:
                return self._run(config, out)
            guard.discard(out)
        return None

    def _run(self, config: DictConfig, out: Path) -> str | None:
        """Carry out the run. An error ends the process; in a sweep it is only logged, and the other cells go on."""
        sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        try:
            self._carry_out(config, out, sweep)
        except BadInput as error:
            if not (sweep or isinstance(error, Diverged)):
                guard.discard(out)
                _stop(str(error))
            log.error("%s", error)
            if not sweep:
                sys.exit(2)
            if config.dry:
                guard.discard(out)
                return str(error)
        except OSError as error:  # a full disk, a directory that was deleted
            log.error("%s", message := describe_os_error(error))
            if not sweep:
                _stop(message, status=1)
        except Exception:  # a sweep goes on whatever breaks in one cell
            log.exception("this run broke", extra={"printed_at_exit": not sweep})
            if not sweep:
                raise
        return None

    def _carry_out(self, config: DictConfig, out: Path, sweep: bool) -> None:
        started, self.started = self.started, None
        hydra_config = HydraConfig.get()
        words = hydra_config.overrides
        request = experiment.Request(
            choices=dict(hydra_config.runtime.choices),
            words=[*labels.search(words.hydra), *words.task],
            method_as_written=OmegaConf.to_yaml(config.method),
            sweep=sweep,
            started=time.perf_counter() if started is None else started,
        )
        fields: Any = OmegaConf.to_container(config, resolve=True)
        experiment.carry_out(fields, request, out, overrides.build)


class Around(Callback):
    """Refuse another run's directory beforehand. After a sweep, print its table and, if asked, write its report."""

    def __init__(self, report: bool = False) -> None:
        self.report = report
        self.refused: list[str] = []  # why cells of a dry sweep could not begin

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        def science(cfg: DictConfig) -> Any:
            return identity.configuration(overrides.resolved(cfg))

        def check(root: Path) -> None:
            checks.config(overrides.resolved(config))
            artifacts.prepare(root)
            if not (config.rerun or config.dry):
                guard.refuse_another(root, lambda text: science(DictConfig(OmegaConf.create(text))) == science(config))

        _or_stop(check, Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        def is_this_sweep(text: str) -> bool:
            return list(OmegaConf.create(text).hydra.overrides.task) == list(config.hydra.overrides.task)

        if distributed.COUNT > 1:
            _stop("torchrun takes one run at a time; give it a sweep's cells one after another (scripts/loop.sh)")
        sweep = Path(config.hydra.sweep.dir)
        if config.dry:
            atexit.register(guard.keep_record(sweep.absolute()))
        else:
            _or_stop(lambda root: guard.refuse_another_sweep(root, is_this_sweep), sweep)
        atexit.register(guard.discard_empty_sweep, sweep.absolute())
        if config.hydra.launcher._target_.endswith("JoblibLauncher"):
            signals.watch_sweep()

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        if isinstance(reason := job_return._return_value, str):
            self.refused.append(reason)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        from prunebert.commands import info

        sweep = Path(config.hydra.sweep.dir)
        failed = bool(self.refused) if config.dry else info.show_sweep(sweep)
        if self.report and not config.dry:
            from prunebert.report.command import main as report  # importing matplotlib and scipy takes seconds

            _or_stop(lambda root: report([str(root)]), sweep, status=1)
        stop = signals.sweep_stop()
        if stop and stop.by:
            _stop(f"stopped by {stop.by}; the same command goes on from the last checkpoints", signals.STATUS)
        if failed:
            sys.exit(1)  # a cell did not finish


def _or_stop(check: Callable[[Path], None], path: Path, status: int = 2) -> None:
    """Call `check`; end the process at BadInput or OmegaConf's errors, which Hydra would turn into warnings."""
    try:
        check(path)
    except BadInput as error:
        _stop(str(error), status)
    except OmegaConfBaseException as error:
        _stop(overrides.explain(error), status)


def _stop(message: str, status: int = 2) -> None:
    if distributed.FIRST:
        sys.stderr.write(f"prunebert: {message}\n")
    sys.exit(status)
