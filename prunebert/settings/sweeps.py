"""Checks of the words of a whole sweep, before its first cell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from prunebert.errors import BadInput, did_you_mean, shown
from prunebert.settings import checks, overrides, signature, tuning, unused
from prunebert.settings.labels import search

SAYS = " changes nothing: "
MOST_TRIED = 16  # cells; composing one takes a tenth of a second


def axes_of_experiment(words: list[str]) -> list[str]:
    """Return what the experiment of a command line sweeps, without the keys that the command line sweeps or sets.

    Raises BadInput if the experiment cannot be composed.
    """
    named = [word for word in words if word.startswith("experiment=")]
    if not named:
        return []
    if _is_list(named[-1]):
        raise BadInput(f"{named[-1]}: a sweep has one experiment; run one command for each")
    typed = {override.key_or_group for override in overrides.parsed(words)}
    params = overrides.sweeper_params([*search(words), named[-1]])
    return [f"{key}={value}" for key, value in params.items() if key not in typed]


def refuse_repeats(words: list[str]) -> None:
    """Raise BadInput for a key whose values in a sweep have one twice, as method=smp,smp or sparsity=0.9,0.90."""
    for word in words:
        if "=" not in word or word.startswith("-") or not _is_list(word):
            continue
        seen: dict[str, str] = {}
        for cell in overrides.axis(word):
            key, _, value = cell.partition("=")
            if (same := overrides.canonical(cell)) in seen:
                both = value if seen[same] == value else f"{seen[same]} and {value}"
                raise BadInput(f"{shown(word)}: the sweep would run {key} {both} twice; name each value once")
            seen[same] = value


def refuse_unread_keys(words: list[str]) -> None:
    """Raise BadInput for task.map, and for a `method.key=value` beside `method=a,b` that none of these takes."""
    checks.of_training(words)
    pairs = overrides.values(words)
    methods = [str(value) for key, value in pairs if key == "method"]
    keys = list(dict.fromkeys(key.split(".")[1] for key, _ in pairs if key.startswith("method.")))
    if len(methods) < 2 or not keys:
        return
    targets = [overrides.compose([*search(words), f"method={m}"]).method._target_ for m in methods]
    signatures = [signature.names(target) for target in targets]
    if None in signatures:
        return
    taken = sorted({name for names in signatures for name in names or []})
    for key in keys:
        if key not in taken:
            raise BadInput(f"method.{key}: none of {', '.join(methods)} takes {key}{did_you_mean(key, taken)}")


def refuse_bad_tries(words: list[str], axes: Sequence[str]) -> None:
    """Raise BadInput for a try of experiment=tune that does not exist, and for a method without the rates to tune.

    Every method is composed once, because composing takes a tenth of a second.
    """
    known = search(words)
    listed = [word for word in [*words, *axes] if "=" in word and not word.startswith("-") and word not in known]
    values = {_key(word): overrides.axis(word) if _is_list(word) else [word] for word in listed}
    tries, methods = values.pop("tune.try", []), values.pop("method", [])
    others = [each[0] for each in values.values()]
    for method in (methods or [""]) if tries else []:
        fields = overrides.described([*known, *others, *filter(None, [method]), tries[0]])[0]
        if not fields["task"].get("tuning_holdout"):
            given = shown(fields["task"].get("tuning_holdout"))
            raise BadInput(f"task.tuning_holdout={given}: experiment=tune holds out training rows; give 0.1 or 500")
        for (_, number), *_ in (overrides.values([word]) for word in tries):
            tuning.rates_of_try(fields["tune"] | {"try": number}, lambda key: 1.0)


def unused_words(words: list[str], axes: Sequence[str] = ()) -> list[str]:
    """Return a warning for each word of a sweep that changes none of its cells. axes: what its experiment sweeps.

    Only one value of sparsity and of seed is tried. Where more than MOST_TRIED cells differ in other keys, nothing is
    reported but words of Hydra's.
    """
    given = [word for word in words if "=" in word and not word.startswith("-")]
    values = {word: overrides.axis(word) if _is_list(word) else [word] for word in [*given, *axes]}
    known = search(words)
    tried = [each[:1] if _key(word) in ("sparsity", "seed") else each for word, each in values.items()]
    tried = [each for word, each in zip(values, tried, strict=True) if word not in known]
    reasons: dict[str, str] | None = None  # key -> why no cell that was tried reads it
    for cell in itertools.product(*tried) if math.prod(map(len, tried)) <= MOST_TRIED else []:
        found = _unused([*known, *cell])
        reasons = found if reasons is None else {key: why for key, why in reasons.items() if key in found}
        if not reasons:
            break
    lines = [f"{word}{SAYS}{reasons[key]}" for word in given if reasons and (key := _key(word)) in reasons]
    return [*lines, *unused.of_hydra(given, multirun=True)]


def _unused(words: list[str]) -> dict[str, str]:
    """Return why nothing reads a key, by the key, of the words of one cell; empty where the cell will be refused."""
    try:
        fields, as_written, choices = overrides.described(words)
    except BadInput:
        return {}
    lines = [line for line in unused.of_run(fields, as_written, choices, words) if SAYS in line]
    return {_key(line): line.partition(SAYS)[2] for line in lines}


def _key(word: str) -> str:
    return word.lstrip("+").partition("=")[0]


def _is_list(word: str) -> bool:
    """Return whether a word is a sweep whose values are written out."""
    (override,) = overrides.parsed([word])
    return override.is_discrete_sweep() and "glob(" not in word
