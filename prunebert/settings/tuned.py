"""Let Hydra read tuned=FILE as exceptions/tuned/METHOD.yaml: each cell of a sweep gets the rates of its own method."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from prunebert.settings import overrides, quoting, tuned_file

GROUP = "exceptions/tuned"


class TunedSource(ConfigSource):
    """A file of tuned rates as a source of configurations: one for each method, in the group exceptions/tuned."""

    @staticmethod
    def scheme() -> str:
        """Return what entries of the search path begin with."""
        return tuned_file.SCHEME.removesuffix("://")

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the rates of a method, which belong at the root of the configuration. Raises BadInput."""
        method = self._method(config_path)
        if method is None:
            raise HydraException(f"{config_path}: {self.path} has no such configuration")
        config: Any = OmegaConf.create()
        for key, rate in tuned_file.of_method(self.path, method).items():
            OmegaConf.update(config, key, rate)
        header: dict[str, str | None] = {"package": "_global_"}
        return ConfigResult(config=config, path=f"{self.scheme()}://{self.path}", provider=self.provider, header=header)

    def available(self) -> bool:
        """Return whether the file exists."""
        return Path(self.path).is_file()

    def is_group(self, config_path: str) -> bool:
        """Return whether a path is a group that the file has."""
        return f"{GROUP}/".startswith(f"{config_path.strip('/')}/".lstrip("/"))

    def is_config(self, config_path: str) -> bool:
        """Return whether a path is that of a method that the file has."""
        return self._method(config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the methods where they are asked for, or the group on the way to them."""
        path = config_path.strip("/")
        if path == GROUP:
            return [] if results_filter == ObjectType.GROUP else sorted(tuned_file.read(self.path))
        below = GROUP[len(path) :].strip("/").split("/")[0] if self.is_group(path) else ""
        return [below] if below and results_filter != ObjectType.CONFIG else []

    def _method(self, config_path: str) -> str | None:
        folder, _, name = config_path.strip("/").rpartition("/")
        method = name.removesuffix(".yaml")
        return method if folder == GROUP and method in tuned_file.read(self.path) else None


def with_search_path(words: list[str]) -> list[str]:
    """Return the words of a command line with the file of `tuned=` in Hydra's search path.

    Hydra then reads the rates of a cell's method before the words of the command line, which therefore win.

    Raises BadInput for several files, and for a file that cannot be used.
    """
    file = tuned_file.file_of(words)
    if file is None:
        return words
    tuned_file.read(file)
    SourcesRegistry.instance().register(TunedSource)
    pairs = overrides.values([word for word in words if word.startswith("hydra.searchpath=")])
    folders = [*overrides.searched(pairs), f"{tuned_file.SCHEME}{Path(file).expanduser().absolute()}"]
    listed = ",".join(map(quoting.for_hydra, dict.fromkeys(folders)))
    others = [word for word in words if not word.startswith("hydra.searchpath=")]
    place = next(index for index, word in enumerate(others) if tuned_file.key_of(word) == "tuned")
    return [*others[:place], f"hydra.searchpath=[{listed}]", *others[place:]]


def refuse_untuned(words: list[str]) -> None:
    """Raise BadInput for a method of a command line of which the file of `tuned=` has no rates."""
    if file := tuned_file.file_of(words):
        for method in (value for key, value in overrides.values(words) if key == "method"):
            tuned_file.of_method(file, str(method))


def spelt_out(words: Iterable[str], method: str) -> list[str]:
    """Return the words of a run with the rates of its method in the place of `tuned=FILE`.

    Words behind them still win, as all words of the command line do. Raises BadInput if the file has no such method.
    """
    words = list(words)
    file = tuned_file.file_of(words)
    if file is None:
        return words
    rates = [f"{key}={rate!r}" for key, rate in tuned_file.of_method(file, method).items()]
    return [*rates, *(word for word in words if tuned_file.key_of(word) != "tuned")]
