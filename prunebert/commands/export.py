"""`prunebert export RUN OUT`: a finished run as a folder that stock transformers loads, or as its task delta."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING

from prunebert.runs import artifacts, files
from prunebert.system.console import arguments, say

if TYPE_CHECKING:
    from prunebert.runs.load import Loaded

DOES = """Write a finished run as a Hugging Face folder: weights with zeros where they were removed, tokenizer, label
names, and a README that says which class loads it. A label-words head is AutoModelForMaskedLM's; AbP's head is in no
stock class and lies beside the encoder.

--sparse writes the task delta instead: masks, head, and the surviving weights where they were trained. What is in it
can be loaded (prunebert.load), evaluated and exported like the run, given the model's checkpoint."""


def main(words: list[str]) -> None:
    """Write a run as a folder for transformers, or its task delta; say what was written."""
    parser = arguments("export", DOES)
    parser.add_argument("run", metavar="RUN", help="directory of a finished run, or a task delta")
    parser.add_argument("out", metavar="OUT", help="a folder that is not there yet, or is empty")
    parser.add_argument("--sparse", action="store_true", help="the task delta only")
    parser.add_argument("--model", help="where the model's checkpoint is now: a folder or hub id")
    asked = parser.parse_args(words)
    root, out = artifacts.resolve_pointer(Path(asked.run).expanduser()), Path(asked.out).expanduser()
    artifacts.result(root)  # before the slow imports
    files.refuse_full(out)
    from prunebert.runs.load import load

    run = load(root, model=asked.model)
    if asked.sparse:
        _tell_sparse(run, out, sparse(run, root, out))
    else:
        name = export(run, out)
        size = sum(artifacts.file_sizes(out).values())
        say(f"{out}: {name}, {size:,} bytes; {out / 'README.md'} shows how to load it")


def export(run: Loaded, out: Path) -> str:
    """Write the folder; returns the name of the class that loads it. Raises BadInput if `out` is not empty."""
    from safetensors.torch import save_file

    from prunebert.commands.export_card import card, facts_of
    from prunebert.commands.export_model import auto, stock

    tokenizer = copy.deepcopy(run.net.model.tokenizer)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = run.form.max_length
    with files.new_folder(out) as folder:
        stock(run).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "prunebert.json").write_text(json.dumps(facts_of(run), indent=1) + "\n", "utf-8")
        (folder / "README.md").write_text(card(run, out.name), "utf-8")
        if auto(run) == "AutoModel":
            head = {n: p.detach().cpu().contiguous() for n, p in run.net.heads[run.head].named_parameters()}
            save_file(head, folder / artifacts.HEAD)
    return auto(run)


def sparse(run: Loaded, root: Path, out: Path) -> int:
    """Write the task delta of the run in `root`; returns its dense weights' bytes. Raises BadInput as `export`."""
    from prunebert.runs import weights

    base = {n: p.detach().cpu() for n, p in run.net.parameters_of("pretrained").items()}
    masks = {n: m.cpu() for n, m in run.masks.items()}
    values = weights.pack_delta({n: x.cpu() for n, x in run.theta.items() if n in base}, base, masks)
    weights.write_delta(root, out, values)
    parameters = [*run.net.parameters_of().values(), *run.net.heads[run.head].parameters()]
    return sum(p.numel() * p.element_size() for p in parameters)


def _tell_sparse(run: Loaded, out: Path, dense: int) -> None:
    sizes = artifacts.file_sizes(out)
    total = sum(sizes.values())
    say(f"{out}: the task delta, {total:,} bytes, {total / dense:.2%} of the {dense:,} of encoder and head, dense")
    for name, size in sizes.items():
        say(f"  {name}: {size:,}")
    if run.theta.keys() & run.net.parameters_of("pretrained").keys():
        say("Weights were trained, so the surviving ones are in it; a method that trains masks alone needs none.")
