"""Name the variants of each method by what tells them apart, in the fewest words that leave no two names equal."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from prunebert.errors import visible
from prunebert.masks.pattern import NONE
from prunebert.system.names import brief, mark

OF_EVERY_RUN = ("prunable", "fit", "distill", "augment", "train")
AXES = (*OF_EVERY_RUN, "pattern")  # settings that every run has, or has a meaning without
CONTRASTED = (
    "fit",
    "distill",
    "augment",
    "train",
    "pattern",
)  # a label also has these where other methods of its table differ
AXIS_SETTINGS = {"fit": ("fit.", "mask_fit.", "teacher_fit.", "distill.fit."), "distill": ("distill.",)}
UNLABELLED = {"distill": "none", "augment": "none", "pattern": NONE}  # values that a label leaves out
RATES = ("lr=", "head_lr=")  # what a budget's text has of learning rates, which each method has of its own
OFF = "false"  # a label leaves out a setting that is off
SWITCH = {"true", "false", "-"}  # values of a setting that is on or off, or absent
MAX_LABEL = 400  # characters of a label; a longer one is shortened
MAX_SHORT_LABEL = 200  # the same in figures
MAX_TRIED = 3  # settings of a label for which every choice is tried
MAX_CHOICES = 20_000  # sets of settings that are tried


def labels(variants: pd.DataFrame) -> pd.DataFrame:
    """Return the names of variants, with the columns table, variant, label, short_label and details.

    A label is the method and the fewest settings that tell the method's variants apart in every table. All tables use
    the same settings, so that a variant keeps its label. A label also has the budget, distillation, augmentation,
    training rows or pattern of the masks where those of another method in the same table are others. Budgets that
    differ in learning rates only count as the same one here.

    short_label is the label for figures. details has every setting in which the method's variants differ, and the
    budget where those of other methods differ from it in any way.

    Args:
        variants: one run of each variant in each table, with the columns table, variant, method and facts.
    """
    facts = pd.DataFrame(variants["facts"].tolist(), index=variants.index).fillna("-")
    facts["train"] = facts["train"].groupby(variants["table"]).transform(_without_fingerprints)
    contrasted = _contrasted(facts, variants["table"])
    several_budgets = facts["fit"].groupby(variants["table"]).transform("nunique") > 1
    names = variants[["table", "variant"]].assign(label="", short_label="", details="")
    for method, rows in variants.groupby("method", sort=False):
        tables, ours = variants["table"][rows.index], facts.loc[rows.index]
        # sorted: the order of columns differs from report to report
        several = [key for key in ours if ours[key].nunique() > 1]
        differing = sorted(key for key in several if ours[key].groupby(tables).nunique().max() > 1)
        own_axes = [axis for axis in contrasted if contrasted[axis][rows.index].any()]
        keys = _fewest(ours, tables, own_axes, differing)
        texts = {key: _short_values(ours[key]) for key in keys}
        for index, values in ours.iterrows():
            here = ours[tables == tables[index]]
            shown = [key for key in keys if _is_shown(key, values[key], key in differing)]
            shown = [key for key in shown if key != "train" or contrasted["train"][index] or here[key].nunique() > 1]
            words = [f"{key}={texts[key][values[key]]}" for key in shown]
            label = brief(f"{method} ({', '.join(words)})" if words else str(method), MAX_LABEL)
            names.loc[index, "label"] = label
            names.loc[index, "short_label"] = brief(visible(label), MAX_SHORT_LABEL)
            listed = ["fit", *differing] if several_budgets[index] and "fit" not in differing else differing
            names.loc[index, "details"] = ", ".join(f"{key}={values[key]}" for key in listed)
    return _apart(names, variants["method"])


def _apart(names: pd.DataFrame, methods: pd.Series) -> pd.DataFrame:
    """Add a mark to labels that mean several things. A method may be called "gmp (lr=1)", or a value "1, b=2"."""
    names = names.copy()
    for column in ("label", "short_label"):
        ambiguous = methods.groupby(names[column]).transform("nunique") > 1
        names[column] = names[column].where(~ambiguous, names[column] + " [" + methods.map(mark) + "]")
    ambiguous = names.groupby(["table", "label"])["variant"].transform("nunique") > 1
    names["label"] = names["label"].where(~ambiguous, names["label"] + " [" + names["variant"].map(mark) + "]")
    return names


def _is_shown(key: str, value: str, differs: bool) -> bool:
    """Return whether a label shows a setting. One that is off is left out, and so is "none" if no variant has more."""
    return value != OFF and (differs or value != UNLABELLED.get(key))


def _contrasted(facts: pd.DataFrame, tables: pd.Series) -> dict[str, pd.Series]:
    """Return for each of CONTRASTED whether rows of the same table differ in it.

    The training rows count only where the augmentation does not explain their number.
    """
    facts = facts.assign(fit=facts["fit"].map(_without_rates))
    groups = {axis: [tables, facts["augment"]] if axis == "train" else [tables] for axis in CONTRASTED}
    return {axis: facts[axis].groupby(by).transform("nunique") > 1 for axis, by in groups.items()}


def _without_rates(fit: str) -> str:
    """Return a budget's text without its learning rates: "quick, steps=9" of "quick, lr=0.1, steps=9"."""
    return ", ".join(word for word in fit.split(", ") if not word.startswith(RATES))


def _fewest(facts: pd.DataFrame, tables: pd.Series, given: list[str], differing: list[str]) -> list[str]:
    """Return the keys `given`, and the fewest others with which they tell a method's variants apart in every table.

    Of equally many keys, axes come first, then the method's own settings, switches before others, then those that an
    axis implies. The budget is no axis if only its learning rates differ.
    """
    axis_settings = sum(AXIS_SETTINGS.values(), ())
    rates_differ = facts["fit"].map(_without_rates).nunique() == 1
    axes = [key for key in AXES if not (key == "fit" and rates_differ)]
    candidates = [key for key in axes if key in differing and key not in given]
    candidates += sorted(
        (key for key in differing if key not in axes and key not in given),
        key=lambda key: (key == "fit", key.startswith(axis_settings), not SWITCH.issuperset(facts[key])),
    )

    columns = {key: pd.factorize(facts[key])[0].tolist() for key in [*given, *candidates]}
    table_of_row = pd.factorize(tables)[0].tolist()

    def count(keys: tuple[str, ...]) -> int:
        return len(set(zip(table_of_row, *(columns[key] for key in [*given, *keys]), strict=True)))

    for size in range(MAX_TRIED + 1):
        choices = list(combinations(candidates, size))
        for chosen in choices if len(choices) <= MAX_CHOICES else ():
            if count(chosen) == len(facts):
                return _in_order([*given, *chosen])
    greedy: tuple[str, ...] = ()
    while count(greedy) < len(facts):
        greedy += (max((key for key in candidates if key not in greedy), key=lambda key: count((*greedy, key))),)
    return _in_order([*given, *greedy])


def _in_order(keys: list[str]) -> list[str]:
    """Return the axes in their order, then the settings by name."""
    return sorted(keys, key=lambda key: (AXES.index(key) if key in AXES else len(AXES), key))


def _short_values(values: pd.Series) -> dict[str, str]:
    """Map each value to its text in a label: of a class or a path the last part, if the texts stay different."""
    unique = values.unique()
    texts = {value: _last_part(value) for value in unique}
    return texts if len(set(texts.values())) == len(unique) else {value: value for value in unique}


def _last_part(value: str) -> str:
    """Shorten prunebert.schedules.Linear to Linear, and runs/main/smp to smp."""
    if value.startswith("prunebert."):
        return value.rpartition(".")[2]
    return value.rstrip("/").rpartition("/")[2] or value


def _without_fingerprints(rows: pd.Series) -> pd.Series:
    """Leave the fingerprints out of "90 rows 1a2b3c4d" if no two of these texts have the same number of rows."""
    counts = rows.str.replace(r"(?<= rows) .*", "", regex=True)
    return counts if counts.nunique() == rows.nunique() else rows
