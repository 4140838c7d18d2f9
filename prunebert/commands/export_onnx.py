"""Write a run's network as an ONNX graph, and check the graph against the run's own outputs."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from prunebert.commands.export_model import stock
from prunebert.errors import BadInput
from prunebert.network.interface import IGNORED, Batch
from prunebert.runs import artifacts
from prunebert.runs.load import Loaded
from prunebert.system.console import counted
from prunebert.system.countdown import Countdown
from prunebert.system.library_errors import first_line, is_of_a_library
from prunebert.tasks.spans import input_columns
from prunebert.tasks.task import Task

FILE = "model.onnx"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
BATCH, ROWS = 8, 256  # rows of a batch, and about how many rows of each split are checked
TOLERANCE = 1e-3  # largest difference of a logit, as a fraction of the largest logit, or of 1 if that is larger
REFERENCES = {"network": "the network's outputs in torch", "predictions": "the run's stored predictions"}


@dataclass(frozen=True)
class Agreement:
    """How far one set of outputs is from another."""

    rows: int
    largest_difference: float  # of a logit
    labels: int  # that were compared; 0 for numbers
    same_labels: int


def missing(packages: Sequence[str]) -> list[str]:
    """Return those of the packages that are not installed."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def require_packages() -> None:
    """Raise BadInput if a package of the extra is not installed."""
    if absent := missing(PACKAGES):
        raise BadInput(f'--onnx: {", ".join(absent)} not installed; pip install "prunebert[onnx]"')


class Network(nn.Module):
    """A run's encoder, with θ ⊙ M as its weights, and its head. The output is the run's own logits."""

    def __init__(self, run: Loaded) -> None:
        super().__init__()
        model = stock(run)
        self.masked_lm, self.every_token = run.form.masked_lm, run.form.every_token
        self.encoder = model if self.masked_lm else model.base_model
        self.head = copy.deepcopy(run.net.heads[run.head]).cpu().eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Return the logits of texts, whose inputs are [texts, length].

        Their shape is [texts, outputs]; [texts, length, outputs] for spans and labels of words; [texts, 1] for multiple
        choice, where each choice is a text; [texts, length, vocabulary] for masked-LM.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        inputs |= {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        if self.masked_lm:
            logits: Tensor = self.encoder(**inputs).logits
            return logits
        needs: Any = self.head.needs
        encoded = self.encoder(**inputs, output_hidden_states=bool(needs))
        logits = self.head(encoded, Batch(inputs, input_ids, input_ids[:, 0]))
        return logits


def add(run: Loaded, root: Path, folder: Path, task: Task) -> dict[str, Any]:
    """Write model.onnx into `folder` and return what its check found.

    Raises BadInput if torch cannot export the network, or if the graph computes something else.
    """
    write(run, folder / FILE)
    stored: dict[str, list[Any]] = {}
    if artifacts.PREDICTIONS in run.facts.get("files", {}) and not (
        run.form.every_token or run.form.masked_lm
    ):  # those do not store logits
        table = artifacts.predictions(root)
        stored = {str(split): part.scores.tolist() for split, part in table.groupby("split", sort=False)}
    recorded, now = (
        (facts.get("data") or {}).get("fingerprint") or {} for facts in (run.facts, {"data": task.facts()})
    )
    for split in stored:
        if split in recorded and split in now and recorded[split] != now[split]:
            raise BadInput(
                f"--onnx: the evaluation data {split} has changed since the run; restore the data that the run was "
                "evaluated on"
            )
    try:
        return check(run, folder / FILE, task, stored, exact=_in_float32(root))
    except Exception as error:
        if not is_of_a_library(error):
            raise
        raise BadInput(f"--onnx: ONNX Runtime cannot run the graph: {first_line(error)}") from error


def _in_float32(root: Path) -> bool:
    """Return whether the run's predictions were certainly made in float32. A task delta has no record of it."""
    try:
        config = yaml.safe_load(artifacts.config(root))
    except yaml.YAMLError:
        return False
    impl = config.get("impl") if isinstance(config, dict) else None
    return isinstance(impl, dict) and impl.get("precision") == "fp32"


def lines(facts: dict[str, Any]) -> list[str]:
    """Return what a check found, as sentences."""
    sentences = []
    for key, reference in REFERENCES.items():
        if key in facts:
            found = Agreement(**facts[key])
            labels = f"; {found.same_labels:,} of {found.labels:,} labels are the same" if found.labels else ""
            sentences.append(
                f"{facts['file']} in ONNX Runtime against {reference}, {counted(found.rows, 'row')}: the logits differ "
                f"by at most {found.largest_difference:.1e}{labels}."
            )
    return sentences


def write(run: Loaded, file: Path) -> None:
    """Write the graph of a run's network. Its batch and length are free.

    Raises BadInput if torch cannot export the network.
    """
    length = min(16, run.net.model.positions)
    ids = torch.arange(2 * length).view(2, length) % 20 + 5
    values = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    inputs = {name: values[name] for name in input_columns(run.tokenizer)}
    try:
        write_graph(Network(run), inputs, file)
    except RuntimeError as error:
        name = f"{run.net.model.name} with a head {run.net.kind_of(run.head)}"
        raise BadInput(f"--onnx: torch {torch.__version__} cannot export {name}: {first_line(error)}") from error


def write_graph(module: nn.Module, inputs: dict[str, Tensor], file: Path, fixed: bool = False) -> None:
    """Write a module as an ONNX graph with one output, "logits".

    Args:
        module: is called with `inputs` and returns a tensor.
        inputs: an example of each input.
        file: is written.
        fixed: whether the graph accepts only inputs of the example's shapes.

    Raises RuntimeError if torch cannot export the module.
    """
    free = {name: dict.fromkeys(range(x.ndim), torch.export.Dim.DYNAMIC) for name, x in inputs.items()}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            kwargs=dict(inputs),
            dynamo=True,
            dynamic_shapes=None if fixed else free,
            input_names=list(inputs),
            output_names=["logits"],
            verbose=False,
        )
        if program is None:
            raise RuntimeError("the exporter returned no program")
        program.save(file)


def session(file: Path, threads: int | None = None) -> Any:
    """Return an ONNX Runtime session on the CPU.

    Args:
        file: the graph.
        threads: of one operation; None: as many as there are cores.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # otherwise its threads go on spinning after a call and slow down what is timed next
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def check(run: Loaded, file: Path, task: Task, stored: dict[str, list[Any]], exact: bool) -> dict[str, Any]:
    """Run ONNX Runtime on rows of the run's evaluation data and compare its logits.

    Args:
        run: the run, whose network computes the logits again in float32.
        file: the graph.
        task: the run's own task.
        stored: the logits in predictions.parquet by split, in the order of the rows; empty where none are stored.
        exact: whether the stored logits were computed in float32. If not, their differences are only reported.

    Returns:
        What the model card records.

    Raises:
        BadInput: a logit differs by more than TOLERANCE, or is not finite; or the evaluation data have other rows.
    """
    graph, wanted, found, recorded, again = session(file), [], [], [], []
    run.net.use(run.masks)
    with run.net.evaluation_mode(), Countdown("checking model.onnx", None, "rows") as countdown:
        for split in task.eval_splits:
            batches = list(task.eval_batches(split, BATCH))
            rows = sum(len(batch.rows) for batch in batches)
            if split in stored and len(stored[split]) != rows:
                raise BadInput(
                    f"--onnx: the evaluation data {split} now has {counted(rows, 'row')}, and the run predicted "
                    f"{len(stored[split]):,}; restore the data that the run was evaluated on"
                )
            for batch in _spread(batches):
                own = run.net(batch, run.head, run.masks, run.theta).logits
                logits = _as_the_network(graph.run(["logits"], _arrays(batch.inputs))[0], batch, run)
                real = batch.inputs["attention_mask"].bool() if run.form.every_token else slice(None)
                wanted.append(own[real].numpy())
                found.append(logits[real].numpy())
                if split in stored:
                    recorded.append(np.stack([stored[split][row] for row in batch.rows.tolist()]))
                    again.append(logits.numpy())
                countdown.advance(len(batch.rows))
    allowed = TOLERANCE * max(1.0, *(float(np.abs(x).max()) for x in wanted))
    facts: dict[str, Any] = {"file": FILE, "tolerance": allowed}
    references = {"network": (wanted, found, True), "predictions": (recorded, again, exact)}
    for name, (reference, computed, binding) in references.items():
        if reference:
            agreement = compare(reference, computed, run)
            if binding and not agreement.largest_difference <= allowed:  # NaN is refused too
                raise BadInput(
                    f"--onnx: the graph's logits differ from {REFERENCES[name]} by up to "
                    f"{agreement.largest_difference:.3g}, and at most {allowed:.3g} is allowed; nothing was written"
                )
            facts[name] = vars(agreement)
    return facts


def compare(wanted: list[np.ndarray], found: list[np.ndarray], run: Loaded) -> Agreement:
    """Compare two lists of logits. Every entry is a batch, [rows, outputs] or [tokens, outputs]."""
    pairs = [(a, b) for a, b in zip(wanted, found, strict=True) if a.size]
    differences = [float(np.abs(a - b).max()) for a, b in pairs]
    largest = float(np.max(differences))  # NaN stays NaN
    labels = [] if run.form.regression else [(_labels(a, run), _labels(b, run)) for a, b in pairs]
    same = sum(int((a == b).sum()) for a, b in labels)
    return Agreement(sum(len(a) for a, _ in pairs), largest, sum(a.size for a, _ in labels), same)


def _labels(logits: np.ndarray, run: Loaded) -> np.ndarray:
    """Return what is predicted: of each row its class, or of each of several labels whether it holds."""
    return logits > 0 if run.form.multilabel else logits.argmax(-1)


def _as_the_network(logits: np.ndarray, batch: Batch, run: Loaded) -> Tensor:
    """Return the graph's logits in the shape of the network's."""
    tensor = torch.from_numpy(logits)
    if run.form.masked_lm:
        return tensor[batch.labels != IGNORED]
    return tensor.view(len(batch.rows), -1) if run.form.choices else tensor


def _spread(batches: list[Batch]) -> list[Batch]:
    """Return batches from all over a split, because neighbours may have texts of one length."""
    count = min(len(batches), ROWS // BATCH)
    return [batches[int(i)] for i in np.linspace(0, len(batches) - 1, count).round()]


def _arrays(inputs: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: x.numpy() for name, x in inputs.items()}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's remarks on packages that nothing here needs, and on its own deprecated parts."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
