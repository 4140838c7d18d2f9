"""`prunebert export RUN OUT`: write a finished run as a folder that stock transformers loads, or as its task delta."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.commands.evaluate import Compose, own_task
from prunebert.errors import BadInput
from prunebert.runs import artifacts, files, inputs, reading
from prunebert.system.console import arguments, out_folder, say
from prunebert.system.names import encodable
from prunebert.system.table import say_wrapped

if TYPE_CHECKING:
    from prunebert.runs.load import Loaded

DESCRIPTION = """Write a finished run as a Hugging Face folder: the weights (removed ones are zeros), the tokenizer, the
label names, and a README that names the class that loads it. A run with a label-words head becomes an
AutoModelForMaskedLM. No stock class has AbP's head, so it is a separate file beside the encoder.

--sparse writes the task delta instead: the masks, the head, and the remaining weights if they were trained. Given the
model's checkpoint, a task delta can be loaded (prunebert.load), evaluated and exported like the run.

--onnx also writes model.onnx: the encoder and the head, for any batch and length. Removed weights are zeros in it. ONNX
Runtime runs the file on rows of the run's evaluation data. If its logits are not those of the run, nothing is written.
It needs pip install "prunebert[onnx]"."""


def main(argv: list[str], compose: Compose) -> None:
    """Write a run as a folder for transformers, or its task delta, and print what was written.

    Args:
        argv: the run, the folder, and options.
        compose: makes a configuration of overrides. It is called for the run's evaluation data.
    """
    parser = arguments("export", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="directory of a finished run, or a task delta")
    parser.add_argument("out", metavar="OUT", help="a new or empty folder")
    parser.add_argument("--sparse", action="store_true", help="write the task delta instead")
    parser.add_argument("--onnx", action="store_true", help="write model.onnx too, checked on the evaluation data")
    parser.add_argument("--model", help="the model's checkpoint, if it has moved: a folder or hub id")
    options = parser.parse_args(argv)
    if options.sparse and options.onnx:
        raise BadInput("--onnx: a task delta (--sparse) has no graph; leave out one of the two")
    root, out = artifacts.resolve_pointer(reading.home(options.run)), reading.home(options.out)
    artifacts.result(root)  # refuse a missing run before the slow imports
    files.refuse_full(out)
    out_folder(out, str(out))
    if options.model:
        inputs.require_model(options.model)
    if options.onnx:
        from prunebert.commands import export_onnx

        export_onnx.require_packages()
    from prunebert.runs.load import load

    run = load(root, model=options.model)
    if options.sparse:
        _print_sizes(run, out, export_delta(run, root, out))
        return
    task = own_task(run, root, compose) if options.onnx else None
    name = export(run, out, (lambda folder: export_onnx.add(run, root, folder, task)) if task else None)
    size = sum(reading.file_sizes(out).values())
    say(f"{out}: {name}, {size:,} bytes; {out / 'README.md'} shows how to load it")
    if options.onnx:
        facts = reading.json_table(out / "prunebert.json")["onnx"]
        for line in export_onnx.lines(facts):
            say_wrapped(line)


def export(run: Loaded, out: Path, add_graph: Callable[[Path], dict[str, Any]] | None = None) -> str:
    """Write the folder and return the name of the class that loads it.

    Args:
        run: the run.
        out: a new or empty folder.
        add_graph: writes model.onnx into a folder and returns what prunebert.json records of it.

    Raises BadInput if `out` is not empty, and whatever `add_graph` raises. Nothing is left then.
    """
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
        graph = add_graph(folder) if add_graph else {}
        facts = facts_of(run) | ({"onnx": graph} if graph else {})
        (folder / "prunebert.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
        (folder / "README.md").write_text(encodable(card(run, out.name, graph)), "utf-8")
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
