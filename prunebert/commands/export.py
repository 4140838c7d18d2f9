"""`prunebert export RUN OUT`: write a finished run as a folder that stock transformers loads, or as its task delta."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING

from prunebert.runs import artifacts, files, inputs, reading
from prunebert.system.console import arguments, out_folder, say
from prunebert.system.names import encodable

if TYPE_CHECKING:
    from prunebert.runs.load import Loaded

DESCRIPTION = """Write a finished run as a Hugging Face folder: the weights (removed ones are zeros), the tokenizer, the
label names, and a README that names the class that loads it. A run with a label-words head becomes an
AutoModelForMaskedLM. No stock class has AbP's head, so it is a separate file beside the encoder.

--sparse writes the task delta instead: the masks, the head, and the remaining weights if they were trained. Given the
model's checkpoint, a task delta can be loaded (prunebert.load), evaluated and exported like the run."""


def main(argv: list[str]) -> None:
    """Write a run as a folder for transformers, or its task delta, and print what was written."""
    parser = arguments("export", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="directory of a finished run, or a task delta")
    parser.add_argument("out", metavar="OUT", help="a new or empty folder")
    parser.add_argument("--sparse", action="store_true", help="write the task delta instead")
    parser.add_argument("--model", help="the model's checkpoint, if it has moved: a folder or hub id")
    options = parser.parse_args(argv)
    root, out = artifacts.resolve_pointer(reading.home(options.run)), reading.home(options.out)
    artifacts.result(root)  # refuse a missing run before the slow imports
    files.refuse_full(out)
    out_folder(out, str(out))
    if options.model:
        inputs.require_model(options.model)
    from prunebert.runs.load import load

    run = load(root, model=options.model)
    if options.sparse:
        _print_sizes(run, out, export_delta(run, root, out))
    else:
        name = export(run, out)
        size = sum(reading.file_sizes(out).values())
        say(f"{out}: {name}, {size:,} bytes; {out / 'README.md'} shows how to load it")


def export(run: Loaded, out: Path) -> str:
    """Write the folder and return the name of the class that loads it. Raises BadInput if `out` is not empty."""
    from safetensors.torch import save_file

    from prunebert.commands.export_card import card, facts_of
    from prunebert.commands.export_model import auto_class, stock

    tokenizer = copy.deepcopy(run.tokenizer)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = run.form.max_length
    tokenizer.padding_side = "right"  # as the run padded; positions are counted from the left
    with files.new_folder(out) as folder:
        stock(run).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "prunebert.json").write_text(json.dumps(facts_of(run), indent=1) + "\n", "utf-8")
        (folder / "README.md").write_text(encodable(card(run, out.name)), "utf-8")
        if auto_class(run) == "AutoModel":
            head = {n: p.detach().cpu().contiguous() for n, p in run.net.heads[run.head].named_parameters()}
            save_file(head, folder / artifacts.HEAD)
    return auto_class(run)


def export_delta(run: Loaded, root: Path, out: Path) -> int:
    """Write the task delta of the run in `root` and return the bytes of the dense weights of encoder and head.

    Raises BadInput if `out` is not empty.
    """
    from prunebert.runs import weights

    base = {n: p.detach().cpu() for n, p in run.net.parameters_of("pretrained").items()}
    masks = {n: m.cpu() for n, m in run.masks.items()}
    values = weights.pack_delta({n: x.cpu() for n, x in run.theta.items() if n in base}, base, masks)
    weights.write_delta(root, out, values)
    parameters = [*run.net.parameters_of().values(), *run.net.heads[run.head].parameters()]
    return sum(p.numel() * p.element_size() for p in parameters)


def _print_sizes(run: Loaded, out: Path, dense: int) -> None:
    sizes = reading.file_sizes(out)
    total = sum(sizes.values())
    say(f"{out}: the task delta, {total:,} bytes, {total / dense:.2%} of dense encoder and head ({dense:,} bytes)")
    for name, size in sizes.items():
        say(f"  {name}: {size:,}")
    if run.theta.keys() & run.net.parameters_of("pretrained").keys():
        say("It contains the remaining weights, because they were trained; a method that trains only masks needs none.")
