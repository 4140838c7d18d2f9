"""Read method.allocation=FILE: one sparsity for each layer, each kind or each matrix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from prunebert.errors import BadInput, did_you_mean, shown
from prunebert.runs import artifacts, reading

Place = Callable[[str], tuple[int, str]]  # a matrix's name -> its layer and kind
ENDINGS = (".yaml", ".yml", ".json")
TABLE = "the file must be a table of names and sparsities, such as query: 0.9"


def is_one(path: Path) -> bool:
    """Return whether a path names a YAML or JSON file, and no mask file."""
    return path.suffix.lower() in ENDINGS and reading.is_file(path)


def read(path: Path, matrices: list[str], place: Place, key: str) -> dict[str, float]:
    """Return the sparsity of each matrix, by name.

    The file is a table of names and sparsities. The names are layers (0, 1, …), kinds (query, intermediate, …) or
    matrices, all of one sort. Beside layers also pooler and embeddings have a name, as they are in none.

    Args:
        path: the file.
        matrices: the names of all prunable matrices.
        place: gives the layer and kind of a matrix.
        key: begins every message.

    Raises:
        BadInput: the file is no such table, a name is unknown, a matrix has no sparsity, or a sparsity is outside of
            0 to 1.
    """
    found = table(path, key)
    by_layer = {n: (str(place(n)[0]) if place(n)[0] >= 0 else place(n)[1]) for n in matrices}
    sorts = {
        "layers": by_layer,
        "kinds": {n: place(n)[1] for n in matrices},
        "matrices": {n: n for n in matrices},
    }
    fitting = [names for names in sorts.values() if found.keys() <= set(names.values())]
    if not fitting:
        known = sorted({name for names in sorts.values() for name in names.values()})
        unknown = next((name for name in found if name not in known), None)
        if unknown is None:
            raise BadInput(f"{key}={path}: names of two sorts; give layers, or kinds, or matrices")
        kinds = ", ".join(sorted(set(sorts["kinds"].values())))
        raise BadInput(
            f"{key}={path}: {shown(unknown)} is no layer, kind or matrix that is pruned here; kinds are {kinds}"
            f"{did_you_mean(unknown, known)}"
        )
    names = max(fitting, key=lambda names: len(found.keys() & set(names.values())))
    missing = sorted(set(names.values()) - found.keys())
    if missing:
        raise BadInput(f"{key}={path}: gives no sparsity for {missing[0]}; {len(missing)} of them have none")
    return {n: found[names[n]] for n in matrices}


def table(path: Path, key: str) -> dict[str, float]:
    """Return the names and sparsities of a file, without a look at the network.

    Raises BadInput, which begins with `key` and says what is allowed, if the file is no such table.
    """
    try:
        return _table(path, key)
    except BadInput as error:
        run = path.absolute().parent
        if artifacts.is_finished(run):
            raise BadInput(f"{key}={path}: is a file of a finished run; name the run's directory, {run}") from error
        raise


def _table(path: Path, key: str) -> dict[str, float]:
    try:
        content: Any = yaml.load(reading.whole(path, reading.MAX_TEXT), _Strict)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"{key}={path}: is no table in YAML or JSON ({str(error).splitlines()[0]}); {TABLE}") from error
    if not isinstance(content, dict) or not content:
        raise BadInput(f"{key}={path}: {TABLE}")
    for name, value in content.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise BadInput(
                f"{key}={path}: {shown(name)} has {shown(value)}, and must be at least 0 and at most 1; {TABLE}"
            )
    return {str(name): float(value) for name, value in content.items()}


class _Strict(yaml.SafeLoader):
    """YAML in which no name of a map occurs twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the map of a node. Raises ValueError for a name that occurs twice."""
        names = [child.value for child, _ in node.value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{shown(twice)} occurs twice")
        return super().construct_mapping(node, deep)
