"""The one entrypoint: a bare first word is a command, anything else a Hydra run."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from prunebert import experiment
from prunebert.commands import catalogue, option_help
from prunebert.errors import BadInput, describe_os_error, visible
from prunebert.runs import artifacts, claim, comparability, guard, identity, inputs, made, standing
from prunebert.runs.failures import Failure, Failures
from prunebert.settings import bad_cells, cells, explain, hydra_flags, labels, overrides, sweeps, tuned, unused
from prunebert.settings.hydra_part import hydra_references, refuse_unusable
from prunebert.system import distributed, loading, signals, streams, threads

log = logging.getLogger(__name__)
CONF = {"config_path": "pkg://prunebert.conf", "config_name": "config", "version_base": "1.3"}


def main() -> None:
    """Run the command line.

    Exit status: 0 done, 1 something broke, 2 bad input, 75 stopped by a signal, to go on, 130 Ctrl-C before training.
    """
    started = time.perf_counter()
    streams.prepare()
    words = sys.argv[1:] or ["--help"]
    standing.begin_command(words)
    threads.let_waiting_threads_sleep()
    loading.watch_imports()
    try:
        option_help.answer(words)
        _refuse_deleted_directory()
        if command := catalogue.command_of(words):
            catalogue.carry_out(*command, overrides.checked)
            return
        words.sort(key=lambda w: w not in ("-m", "--multirun"))  # Hydra wants no flag between key=value words
        flags = overrides.flags(words)
        if flags.multirun and not flags.overrides:
            raise BadInput("-m: name what the sweep varies, such as -m method=smp,magnitude seed=0,1,2")
        hydra_flags.refuse(flags)
        words = hydra_flags.with_search_path(words, flags)
        overrides.refuse_bad_words(overrides.flags(words).overrides)
        words = tuned.with_search_path(words)
        axes = sweeps.axes_of_experiment(words)
        sweeps.refuse_unread_keys([*words, *axes])
        tuned.refuse_untuned([*words, *axes])
        sweeps.refuse_bad_tries(words, axes)
        if flags.multirun or axes:
            loading.show("composing the sweep")
            bad_cells.refuse_bad_cells([*words, *axes], inputs.check_for(words))
        sweeps.refuse_repeats(words)
        if flags.multirun or axes:
            standing.COMMAND.warnings = sweeps.unused_words(words, axes) + comparability.warnings([*words, *axes])
        sys.argv[1:] = [*overrides.for_every_cell(words, axes), *distributed.silence_others()]
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come back here and are printed in one line
        os.environ.setdefault("SUBMITIT_LOG_LEVEL", "ERROR")  # without accounting it warns at every poll
        hydra.main(**CONF)(CommandLine(started).run)()
    except BadInput as error:
        _stop(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        _stop(overrides.explain(error))
    except KeyboardInterrupt:
        _stop("interrupted", status=130)
    except OSError as error:  # of the machine: a full disk, a directory that was deleted
        _stop(describe_os_error(error), status=1)
    except Exception as error:
        if (explained := explain.explain_launcher(error)) is None:
            raise
        message, status = explained
        _stop(message, signals.STATUS if (sweep := signals.sweep_stop()) and sweep.by else status)
    finally:
        made.end()
        streams.finish()


def _refuse_deleted_directory() -> None:
    try:
        os.getcwd()
    except FileNotFoundError:
        _stop("the working directory was deleted; change to another one", status=1)


class CommandLine:
    """One command line whose runs Hydra starts through `run`, in this process or in a launcher's workers."""

    def __init__(self, started: float | None = None, remote: bool = False) -> None:
        self.remote = remote  # whether a launcher brought this object to another process than the command's
        self.started = started  # when the command began, on time.perf_counter's clock; None after the first run
        self.broken: set[str] = set()  # reasons whose traceback was printed
        self.loaded = experiment.Loaded()

    def __reduce__(self) -> tuple[type[CommandLine], tuple[None, bool]]:
        return CommandLine, (None, True)  # another process has another clock

    def run(self, config: DictConfig) -> Failure | None:
        """One run, alone or as the cell of a sweep. Returns why a cell did not finish."""
        loading.watch_imports()  # a launcher's worker does not pass through main
        hydra_config, out = HydraConfig.get(), Path(HydraConfig.get().runtime.output_dir)
        sweep = Path(hydra_config.sweep.dir) if hydra_config.mode == RunMode.MULTIRUN and not config.dry else None
        try:
            with signals.cell(partial(standing.clean, sweep)) as begins:
                if begins and sweep:
                    at_once = hydra_config.launcher.get("n_jobs", 1)
                    standing.begin_cell(sweep, list(hydra_config.overrides.task), hydra_config.job.num + 1, at_once)
                return self._run(config, out) if begins else None
        except signals.Stopped:
            standing.report_stop(sweep)
            raise
        finally:
            if self.remote:
                made.end()

    def _run(self, config: DictConfig, out: Path) -> Failure | None:
        """Carry out the run. An error ends the process; in a sweep it is returned, and the other cells go on."""
        sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        texts = _record(config)
        try:
            self._carry_out(config, out, sweep, texts)
            return None
        except (BadInput, OSError) as error:  # OSError is the machine's: a full disk, a directory that was deleted
            reason = describe_os_error(error) if isinstance(error, OSError) else str(error)
            log.error("%s", reason, extra={"printed_at_exit": True})
            if not sweep:
                _stop(reason, status=1 if isinstance(error, OSError) else 2)
        except Exception as error:  # a sweep goes on whatever breaks in one cell
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            printed = not sweep or reason in self.broken or self.remote
            log.exception("this run broke", extra={"printed_at_exit": printed})
            if not sweep:
                raise
            self.broken.add(reason)
        failure = Failure(os.path.relpath(out, HydraConfig.get().sweep.dir), reason)
        if not config.dry and not claim.record_failure(out, texts) and self.remote:
            raise BadInput(f"{failure.cell}: {reason}")  # the worker cannot leave it to the sweep's process
        return failure

    def _carry_out(self, config: DictConfig, out: Path, sweep: bool, texts: dict[str, str]) -> None:
        started, self.started = self.started, None
        hydra_config, words = HydraConfig.get(), HydraConfig.get().overrides
        as_written: Any = OmegaConf.to_container(config)
        for line in [] if sweep else unused.of_hydra(words.hydra, multirun=False):
            log.warning("%s", line)
        request = experiment.Request(
            choices=dict(hydra_config.runtime.choices),
            words=tuned.spelt_out([*labels.search(words.hydra), *words.task], hydra_config.runtime.choices["method"]),
            as_written=as_written,
            sweep=Path(hydra_config.sweep.dir).absolute() if sweep else None,
            working_directory=Path(hydra_config.runtime.cwd),
            started=time.perf_counter() if started is None else started,
            record=texts,
            is_same=partial(_means_the_same, config),
            varied=cells.varied_words(words.task, hydra_config.callbacks["around"].varied) if sweep else {},
        )
        fields = overrides.container(config, list(words.task))
        standing.timed(partial(experiment.carry_out, fields, request, out, overrides.build, self.loaded))


class Around(Callback):
    """Refuse another run's directory beforehand. After a sweep, print its table and, if asked, write its report."""

    def __init__(self, report: bool = False, varied: tuple[str, ...] = ()) -> None:
        self.report = report  # `varied` is for the cells (settings/cells.py)
        self.failures = Failures()  # of cells that ran in this process
        self.existing: set[str] = set()  # names in the sweep's directory before the sweep

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        with _stopping(), hydra_references(config):
            root = Path(config.hydra.run.dir)
            inputs.check(overrides.resolved(config))
            refuse_unusable(config)
            guard.refuse_shared(root, "hydra.run.dir")
            artifacts.prepare(root)
            guard.refuse_foreign(root, "hydra.run.dir")
            if not (config.rerun or config.dry):
                guard.refuse_another(root, partial(_means_the_same, config), "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        def is_this_sweep(text: str) -> bool:
            try:
                words = OmegaConf.select(DictConfig(OmegaConf.create(text)), "hydra.overrides.task")
            except (OmegaConfBaseException, YAMLError):  # a damaged record
                return False
            return words is not None and cells.as_written(words) == cells.as_written(config.hydra.overrides.task)

        if distributed.COUNT > 1:
            _stop("torchrun takes one run at a time; give it a sweep's cells one after another (scripts/loop.sh)")
        with _stopping(), hydra_references(config):
            cells.prepare(config)
            sweep = Path(config.hydra.sweep.dir).absolute()
            refuse_unusable(config)
            cells.refuse_unknown_options(config)
            guard.refuse_shared(sweep, "hydra.sweep.dir")
            artifacts.prepare(sweep, "hydra.sweep.dir")
            self.existing = set(os.listdir(sweep))
            if not config.dry:
                guard.refuse_another_sweep(sweep, is_this_sweep)
        if config.dry:  # the cells compose their own configurations; this one says where Hydra records the sweep
            folder = tempfile.TemporaryDirectory(prefix="prunebert-dry-")
            made.at_end(folder.cleanup)
            config.hydra.sweep.dir = folder.name
        else:
            made.at_end(partial(guard.discard_empty_sweep, sweep, guard.sweep_record(sweep), is_this_sweep))
        if config.hydra.launcher._target_.endswith("JoblibLauncher"):
            signals.watch_sweep()
        loading.clear()
        sys.stderr.writelines(f"prunebert: {visible(line)}\n" for line in standing.COMMAND.warnings)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        cell, sweep = Path(config.hydra.runtime.output_dir), Path(config.hydra.sweep.dir).absolute()
        if sweep in cell.parents and cell.relative_to(sweep).parts[0] not in self.existing:
            made.add(cell)  # Hydra has just made it

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        if isinstance(failure := job_return._return_value, Failure):
            self.failures.add(failure, tell=not signals.in_worker_of_a_sweep())

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        from prunebert.commands import choice, info

        sweep, stop = Path(config.hydra.sweep.dir), signals.sweep_stop()
        if stop and stop.by:
            _stop(f"stopped by {stop.by}; {standing.of_sweep(sweep)}; {standing.COMMAND.go_on()}", signals.STATUS)
        if config.dry:
            from prunebert.commands.cost import TOTAL  # imports torch

            TOTAL.show()
            self.failures.show("could not begin")
        else:
            info.show_sweep(sweep, self.failures, reported=self.report)
            if "tune" in config:
                with _stopping(status=1):
                    choice.finish(sweep)
        if self.report and not config.dry:
            from prunebert.report.command import of_sweep  # importing matplotlib and scipy takes seconds

            with _stopping(status=1):
                of_sweep(sweep)
        if self.failures.cells:
            sys.exit(1)  # a cell did not finish


def _record(config: DictConfig) -> dict[str, str]:
    """What .hydra holds for a run, as Hydra itself writes it."""
    hydra_config = HydraConfig.instance().cfg
    nodes = {"config.yaml": config, "hydra.yaml": hydra_config, "overrides.yaml": HydraConfig.get().overrides.task}
    return {name: OmegaConf.to_yaml(node) for name, node in nodes.items()}


def _means_the_same(config: DictConfig, text: str) -> bool:
    """Whether the text of a recorded configuration means the same run as `config`."""
    try:
        recorded = overrides.resolved(DictConfig(OmegaConf.create(text)))
        return identity.configuration(recorded) == identity.configuration(overrides.resolved(config))
    except (OmegaConfBaseException, YAMLError):  # a damaged record
        return False


@contextmanager
def _stopping(status: int = 2) -> Iterator[None]:
    """End the process at BadInput and at OmegaConf's errors, which Hydra would turn into warnings."""
    try:
        yield
    except BadInput as error:
        _stop(str(error), status)
    except OmegaConfBaseException as error:
        _stop(overrides.explain(error), status)
    except OSError as error:
        _stop(describe_os_error(error), 1)


def _stop(message: str, status: int = 2) -> None:
    loading.clear()
    if distributed.FIRST:
        sys.stderr.write(f"prunebert: {visible(message)}\n")
    sys.exit(status)
