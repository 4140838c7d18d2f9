"""`prunebert mask`: look at mask files, combine two, read the published formats."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.choices import EVERY_MATRIX
from prunebert.errors import BadInput
from prunebert.runs import artifacts
from prunebert.system.console import arguments, say

if TYPE_CHECKING:
    from prunebert.masks.maskfile import MaskFile

DOES = """Masks say which weights stay. Where a FILE is read, a run's directory stands for its masks.

  prunebert mask info FILE
  prunebert mask and A B [OUT]         weights that both keep; without OUT the overlap is only told
  prunebert mask or|xor|diff A B [OUT]  that either keeps; exactly one; A but not B
  prunebert mask import smp FILE.npy OUT model=bert-base
  prunebert mask import tamt|tickets mask.pt OUT model=bert-base model.name=FOLDER

What is written can be a method's masks: method=magnitude method.masks=OUT."""
OPERATIONS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "and": ("weights that both keep", lambda a, b: a & b),
    "or": ("weights that either keeps", lambda a, b: a | b),
    "xor": ("weights that exactly one keeps", lambda a, b: a ^ b),
    "diff": ("weights that A keeps and B does not", lambda a, b: a & ~b),
}
FORMATS = ("smp", "tamt", "tickets")
Compose = Callable[[list[str]], tuple[dict[str, Any], Callable[..., Any]]]


def main(words: list[str], compose: Compose) -> None:
    """Do what the first word says; `compose` makes a configuration of the words that tell an import its model."""
    parser = arguments("mask", DOES)
    what = parser.add_subparsers(dest="what", required=True, metavar="info|and|or|xor|diff|import")
    what.add_parser("info", help="model, size, sparsity").add_argument("file", metavar="FILE")
    for name, (does, _) in OPERATIONS.items():
        both = what.add_parser(name, help=does)
        both.add_argument("a", metavar="A")
        both.add_argument("b", metavar="B")
        both.add_argument("out", metavar="OUT", nargs="?")
        both.add_argument("--force", action="store_true", help="also if the two were found on different weights")
    other = what.add_parser("import", help="a published format")
    other.add_argument("format", choices=FORMATS)
    other.add_argument("file", metavar="FILE")
    other.add_argument("out", metavar="OUT")
    other.add_argument("words", metavar="model=…", nargs="*", help="the model that the masks are of")
    asked = parser.parse_args(words)
    if asked.what == "info":
        _info(Path(asked.file).expanduser())
    elif asked.what == "import":
        _import(asked, compose)
    else:
        _combine(asked)


def _info(path: Path) -> None:
    from prunebert.analysis import topology
    from prunebert.masks.top_v import sparsity

    file = artifacts.masks(path)
    say(f"{path}: {_told(file)}, sparsity {sparsity(file.masks):.6f}")
    say(f"found on {file.model}, weights {file.weights_hash}")
    kinds: dict[str, list[dict[str, Any]]] = {}
    for name, mask in file.masks.items():
        kinds.setdefault(re.sub(r"\.\d+\.", ".*.", name), []).append(topology.matrix(mask))
    for kind, matrices in kinds.items():
        kept, size = (sum(m["kept"] for m in matrices), sum(m["shape"][0] * m["shape"][1] for m in matrices))
        dead = [sum(m[f"dead_{side}"] for m in matrices) for side in ("rows", "columns")]
        say(f"  {kind}: {kept:,} of {size:,} ({kept / size:.2%}) stay, {dead[0]:,} rows and {dead[1]:,} columns empty")


def _combine(asked: Namespace) -> None:
    from prunebert.masks.maskfile import MaskFile
    from prunebert.masks.top_v import kept, sparsity

    out = _free(asked.out)
    a, b = (artifacts.masks(Path(path).expanduser()) for path in (asked.a, asked.b))
    if a.weights_hash != b.weights_hash and not asked.force:
        raise BadInput(
            f"{asked.a} was found on {a.model}, {asked.b} on {b.model}: other weights; --force does it still"
        )
    shapes = [{n: m.shape for n, m in file.masks.items()} for file in (a, b)]
    if shapes[0] != shapes[1]:
        odd = sorted(n for n, _ in shapes[0].items() ^ shapes[1].items())
        raise BadInput(f"{asked.a} and {asked.b} cover different matrices ({odd[0]} is not in both alike)")
    both, either = (kept({n: op(m, b.masks[n]) for n, m in a.masks.items()}) for op in (_and, _or))
    does, operation = OPERATIONS[asked.what]
    found = MaskFile({n: operation(m, b.masks[n]) for n, m in a.masks.items()}, a.model, a.weights_hash)
    say(f"A keeps {kept(a.masks):,}, B {kept(b.masks):,}, both {both:,}, Jaccard {both / either if either else 1:.6f}")
    say(f"{asked.what}, {does}: {_told(found)}, sparsity {sparsity(found.masks):.6f}")
    if out:
        _write(out, found)


_and, _or = OPERATIONS["and"][1], OPERATIONS["or"][1]


def _import(asked: Namespace, compose: Compose) -> None:
    path, out = Path(asked.file).expanduser(), _free(asked.out)
    for word in asked.words:
        if not re.match(r"model[.=]", word):
            raise BadInput(f"{word}: only model=… and model.KEY=… may follow OUT")
    if not path.is_file():
        raise BadInput(f"{path}: there is no such file")
    fields, build = compose(asked.words)
    from prunebert.commands import mask_formats
    from prunebert.masks.maskfile import MaskFile
    from prunebert.masks.top_v import sparsity
    from prunebert.network.subnetwork import SubNetwork

    net = SubNetwork(build(fields["model"]))
    encoder, every = net.prunable(), net.prunable(EVERY_MATRIX)
    if asked.format == "smp":
        masks = mask_formats.smp(path, encoder)
    else:
        masks = mask_formats.dictionary(path, encoder, {n: p for n, p in every.items() if n not in encoder}, net.prefix)
    file = MaskFile(net.use(masks).masks, net.model.name, net.model.weights_hash)
    say(f"{path}: {_told(file)} of {net.model.name}, sparsity {sparsity(file.masks):.6f}")
    _write(out, file)


def _told(file: MaskFile) -> str:
    from prunebert.masks.top_v import kept

    size = sum(mask.numel() for mask in file.masks.values())
    return f"{len(file.masks)} matrices, {kept(file.masks):,} of {size:,} weights stay"


def _free(out: str | None) -> Path | None:
    path = Path(out).expanduser() if out else None
    if path and path.exists():
        raise BadInput(f"{path} is there already; choose another file")
    return path


def _write(out: Path | None, file: MaskFile) -> None:
    if out:
        artifacts.write_masks(out, file)
        say(f"written to {out}")
