"""`prunebert mask`: describe mask files, combine two of them, and import published formats."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.choices import EVERY_MATRIX
from prunebert.errors import BadInput
from prunebert.masks import regularity
from prunebert.masks.pattern import NONE
from prunebert.runs import artifacts, inputs, reading
from prunebert.system import table
from prunebert.system.console import arguments, counted, say
from prunebert.system.countdown import track
from prunebert.system.outputs import refuse_unwritable
from prunebert.system.table import Column

if TYPE_CHECKING:
    from prunebert.masks.maskfile import MaskFile
    from prunebert.masks.top_v import Masks

DESCRIPTION = """A mask file lists which weights are kept. FILE, A and B can also be a run's directory.

  prunebert mask info FILE              model, size, sparsity and pattern
  prunebert mask and A B [OUT]          weights that both keep; without OUT only the overlap is printed
  prunebert mask or A B [OUT]           weights that either keeps
  prunebert mask xor A B [OUT]          weights that exactly one keeps
  prunebert mask diff A B [OUT]         weights that A keeps and B does not
  prunebert mask import smp FILE.npy OUT model=bert-base
  prunebert mask import tamt|tickets mask.pt OUT model=bert-base model.name=FOLDER
  prunebert mask import zeros CHECKPOINT OUT model=bert-base
  prunebert mask import nn_pruning CHECKPOINT OUT model=bert-base --sparsity 0.9

CHECKPOINT is a folder, a .safetensors file or a pytorch_model.bin. The masks belong to the weights of model=.

A method can use the file OUT as its masks: method=magnitude method.masks=OUT."""
# The name of an operation, its description, and the operation on two bool masks.
OPERATIONS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "and": ("weights that both keep", lambda a, b: a & b),
    "or": ("weights that either keeps", lambda a, b: a | b),
    "xor": ("weights that exactly one keeps", lambda a, b: a ^ b),
    "diff": ("weights that A keeps and B does not", lambda a, b: a & ~b),
}
FORMATS = ("smp", "tamt", "tickets", "zeros", "nn_pruning")
CUTS = ("sparsity", "threshold", "magnitude")  # options of nn_pruning
Compose = Callable[[list[str]], tuple[dict[str, Any], Callable[..., Any]]]


def main(argv: list[str], compose: Compose) -> None:
    """Describe, combine or import mask files.

    Args:
        argv: the action and its arguments.
        compose: makes a configuration of the overrides that name an import's model. It returns the configuration and
            the function that builds objects.
    """
    parser = arguments("mask", DESCRIPTION)
    actions = parser.add_subparsers(dest="action", required=True, metavar="info|and|or|xor|diff|import")
    describe = actions.add_parser("info", help="model, size, sparsity, pattern")
    describe.add_argument("file", metavar="FILE")
    table.add_wide(describe)
    for name, (description, _) in OPERATIONS.items():
        combine = actions.add_parser(name, help=description)
        combine.add_argument("a", metavar="A")
        combine.add_argument("b", metavar="B")
        combine.add_argument("out", metavar="OUT", nargs="?")
        combine.add_argument("--force", action="store_true", help="also combine masks of different weights")
    importer = actions.add_parser("import", help="read a published format")
    importer.add_argument("format", choices=FORMATS)
    importer.add_argument("file", metavar="FILE")
    importer.add_argument("out", metavar="OUT")
    importer.add_argument("overrides", metavar="model=…", nargs="*", help="the model that the masks belong to")
    cuts = importer.add_argument_group("where nn_pruning's masks are cut; without one its zeros are taken")
    only_one = cuts.add_mutually_exclusive_group()
    only_one.add_argument("--sparsity", metavar="S", type=_fraction, help="topK: remove this fraction of each matrix")
    only_one.add_argument(
        "--threshold", metavar="T", type=_fraction, help="sigmoied_threshold: keep sigmoid(score) > T"
    )
    only_one.add_argument("--magnitude", metavar="S", type=_fraction, help="magnitude: rank |W| instead of scores")
    options = parser.parse_args(argv)
    if options.action == "info":
        inputs.require_run(options.file, or_file=True)
        _show(reading.home(options.file), options.wide)
    elif options.action == "import":
        _import(options, compose)
    else:
        _combine(options)


def _show(path: Path, wide: bool) -> None:
    from prunebert.analysis import patterns, spectral, topology
    from prunebert.masks.top_v import sparsity

    file = artifacts.masks(path)
    table.say_wrapped(f"{path}: {_counts(file)}, sparsity {sparsity(file.masks):.6f}")
    table.say_wrapped(f"found on {file.model}, weights {file.weights_hash}")
    table.say_wrapped(f"pattern {file.pattern}; measured: {patterns.words(patterns.facts(file.masks, file.pattern))}")
    groups: dict[str, list[dict[str, Any]]] = {}  # by name with * for the layer
    for name, mask in track(file.masks.items(), "spectra of masks", total=len(file.masks)):
        described = topology.matrix(mask) | spectral.matrix(mask.numpy().T)
        groups.setdefault(re.sub(r"\.\d+\.", ".*.", name), []).append(described)
    kept = [sum(m["kept"] for m in matrices) for matrices in groups.values()]
    sizes = [sum(m["shape"][0] * m["shape"][1] for m in matrices) for matrices in groups.values()]
    rows, columns = ([sum(m[f"dead_{side}"] for m in ms) for ms in groups.values()] for side in ("rows", "columns"))

    def number(title: str, values: list[int], rank: int = 0) -> Column:
        return Column(title, [f"{value:,}" for value in values], number=True, rank=rank)

    shares = [f"{count / size:.2%}" for count, size in zip(kept, sizes, strict=True)]
    ratios = [spectral.relative(matrices, "unweighted") for matrices in groups.values()]
    table.show(
        [
            Column("matrices", [name.removesuffix(".weight") for name in groups], shortest=40, from_middle=True),
            number("kept", kept),
            number("of", sizes),
            Column("share", shares, number=True),
            number("empty\nrows", rows, 2),
            number("empty\ncolumns", columns, 1),
            Column("σ₂ ÷\nrandom's", [None if r is None else f"{r:.2f}" for r in ratios], number=True, rank=3),
        ],
        wide=wide,
        more="--wide shows all",
    )


def _combine(options: Namespace) -> None:
    out = _new_file(options.out)
    for path in (options.a, options.b):
        inputs.require_run(path, or_file=True)
    from prunebert.masks.maskfile import MaskFile
    from prunebert.masks.top_v import count_kept, sparsity

    a, b = (artifacts.masks(reading.home(path)) for path in (options.a, options.b))
    if a.weights_hash != b.weights_hash and not options.force:
        raise BadInput(
            f"{options.a} was found on {a.model} and {options.b} on {b.model}, whose weights differ; --force combines "
            "them anyway"
        )
    shapes = [{n: m.shape for n, m in file.masks.items()} for file in (a, b)]
    if shapes[0] != shapes[1]:
        different = min(n for n, _ in shapes[0].items() ^ shapes[1].items())
        raise BadInput(
            f"{options.a} and {options.b} cover different matrices ({different} is missing in one or has another shape)"
        )
    intersection, union = (count_kept({n: op(m, b.masks[n]) for n, m in a.masks.items()}) for op in (_and, _or))
    description, operation = OPERATIONS[options.action]
    masks = {n: operation(m, b.masks[n]) for n, m in a.masks.items()}
    combined = MaskFile(masks, a.model, a.weights_hash, _common_pattern(masks, (a.pattern, b.pattern)))
    jaccard = intersection / union if union else 1
    say(f"A keeps {count_kept(a.masks):,}, B {count_kept(b.masks):,}, both {intersection:,}, Jaccard {jaccard:.6f}")
    say(f"{options.action}, {description}: {_counts(combined)}, sparsity {sparsity(combined.masks):.6f}")
    if combined.pattern != NONE:
        say(f"pattern {combined.pattern}")
    if out:
        _write(out, combined)


def _common_pattern(masks: Masks, patterns: Iterable[str]) -> str:
    """Return the first of the patterns that all masks satisfy; "none" without one."""
    arrays = [mask.numpy() for mask in masks.values()]
    parsed = {text: pattern for text in patterns if (pattern := regularity.parse(text))}
    return next((text for text, x in parsed.items() if regularity.satisfied(arrays, x)), NONE)


_and, _or = OPERATIONS["and"][1], OPERATIONS["or"][1]


def _import(options: Namespace, compose: Compose) -> None:
    path, out = reading.home(options.file), _new_file(options.out)
    for override in options.overrides:
        if not re.match(r"model[.=]", override):
            raise BadInput(f"{override}: only model=… and model.KEY=… may follow OUT")
    given = {name: getattr(options, name) for name in CUTS if getattr(options, name) is not None}
    if given and options.format != "nn_pruning":
        raise BadInput(f"--{next(iter(given))}: only mask import nn_pruning takes it, not {options.format}")
    if not (reading.is_file(path) or (options.format in FORMATS[3:] and reading.is_folder(path))):
        raise BadInput(f"{path}: there is no such file")
    fields, build = compose(options.overrides)
    inputs.require(fields, ("model",))
    from prunebert.analysis import patterns
    from prunebert.commands import mask_checkpoints, mask_formats
    from prunebert.masks.maskfile import MaskFile
    from prunebert.masks.top_v import sparsity
    from prunebert.network.subnetwork import SubNetwork

    net = SubNetwork(build(fields["model"]))
    encoder, source = net.prunable(), ""
    if options.format in FORMATS[3:]:
        read = mask_checkpoints.read_zeros if options.format == "zeros" else mask_checkpoints.read_nn_pruning
        found = read(path, net, **given)
        masks, source = found.masks, f", {found.source}"
    elif options.format == "smp":
        masks = mask_formats.smp(path, encoder)
    else:
        optional = {n: p for n, p in net.prunable(EVERY_MATRIX).items() if n not in encoder}
        masks = mask_formats.dictionary(path, encoder, optional, net.prefix)
    used = net.use(masks).masks
    shape = patterns.facts(used)["found"]
    pattern = shape["n_m"] or shape["block"] or patterns.NONE
    file = MaskFile(used, net.model.name, net.model.weights_hash, pattern)
    say(f"{path}: {_counts(file)} of {net.model.name}, sparsity {sparsity(file.masks):.6f}{source}")
    _write(out, file)


def _fraction(text: str) -> Fraction:
    """Return the exact value of a decimal. Raises ArgumentTypeError unless it is at least 0 and below 1."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(1)
    if not 0 <= value < 1:
        raise ArgumentTypeError(f"{text} must be a number, at least 0 and below 1")
    return value


def _counts(file: MaskFile) -> str:
    from prunebert.masks.top_v import count_kept

    size = sum(mask.numel() for mask in file.masks.values())
    return f"{counted(len(file.masks), 'matrix')}, {count_kept(file.masks):,} of {size:,} weights kept"


def _new_file(out: str | None) -> Path | None:
    """Return the path of OUT, or None without OUT. Raises BadInput if the file exists."""
    path = reading.home(out) if out else None
    if path and path.exists():
        raise BadInput(f"{path} exists already; choose another file")
    if path:
        if not path.parent.is_dir():
            raise BadInput(f"{path} cannot be written to: the folder {path.parent} does not exist")
        refuse_unwritable(path.parent, str(path))
    return path


def _write(out: Path | None, file: MaskFile) -> None:
    if out:
        artifacts.write_masks(out, file)
        say(f"written to {out}")
