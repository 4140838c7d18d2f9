"""TAMT: its initial scores, its two objectives, when the masks are taken, what each phase trains, and masks=RUN."""

import json
import shutil
import zlib
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from prunebert import artifacts, distill, maskfile, models
from prunebert.errors import BadInput
from prunebert.evaluate import evaluate
from prunebert.fit import Fit
from prunebert.masks import kept
from prunebert.methods.tamt import mask_training, paper_steps, tamt
from prunebert.subnetwork import SubNetwork
from prunebert.tasks.corpus import corpus
from prunebert.tasks.mlm import mlm_task
from prunebert.tasks.task import Batch
from prunebert.tickets import masks_of
from prunebert.train import train
from tests.conftest import save_model

FIT = Fit(epochs=1, steps=4, batch_size=8, lr=1e-3, head_lr=1e-3)
MASK_FIT = Fit(epochs=1, steps=5, batch_size=8, lr=5e-3, head_lr=1e-3)
WIDE = "encoder_pooler_embeddings"
TAMT = {
    "fit": FIT,
    "sparsity": 0.7,
    "objective": "mlm",
    "mask_fit": MASK_FIT,
    "mask_steps": None,
    "tau": 0.01,
    "masks": None,
    "prunable": WIDE,
    "head": "linear",
    "distill": distill.none,
}


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    random = np.random.default_rng(0)
    words = ["good", "bad", "film", "plot", "scene", "actor", "the", "was"]
    file = tmp_path_factory.mktemp("text") / "text.txt"
    file.write_text("\n".join(" ".join(random.choice(words, 20)) for _ in range(60)))
    return file


@pytest.fixture
def read(text_file):
    """What `method.corpus` becomes: the text's masked-LM task, still to be loaded."""
    texts = partial(corpus, name="own", file=str(text_file), holdout=0.2, hub=None, package=None, text="text")
    return partial(mlm_task, name="own", corpus=texts, block=16, rate=0.15)


@pytest.fixture
def text(read, net):
    return read(tokenizer=net.model.tokenizer, positions=net.model.positions)


def play(programme, net, impl, watch=lambda phase, t, M: None):
    """Every phase through the loop. `watch` sees each step's masks, as the forward pass has them."""
    done, lines = [], []
    for phase in programme:

        def masks(t, hard, phase=phase):
            M = phase.masks(t, hard)
            if not hard:
                watch(phase, t, M)
            return M

        def score(phase=phase):
            return evaluate(net, phase.task, phase.head, impl).score

        seed = zlib.crc32(phase.name.encode())  # as run.py has it at seed 0
        trained = train(net, replace(phase, masks=masks), seed=seed, impl=impl, record=lines.append, score=score)
        done.append((phase, trained))
    return done, lines


def phase_1(net, text, **changed):
    settings = {"fit": MASK_FIT, "sparsity": 0.7, "objective": "mlm", "stop": None, "tau": 0.01, "prunable": WIDE}
    return mask_training(net, text, **settings | changed)


@pytest.mark.parametrize("tau", [0.01, 0.03])
def test_the_first_scores_are_twice_tau_on_the_largest_weights(net, text, tau):
    """Against numpy's sort of every matrix by itself, n(1 - s) of it to within one."""
    for s in (0.0, 0.3, 0.5, 0.9, 0.97):
        S = phase_1(net, text, sparsity=s, tau=tau).train[0].tensors
        assert len(S) == 13 and S.keys() == net.prunable(WIDE).keys()
        for n, x in S.items():
            W = net.prunable(WIDE)[n].detach().abs().numpy()
            on = x.numpy() != 0
            assert abs(on.sum() - (1 - s) * W.size) < 1 and set(np.unique(x)) <= {0.0, np.float32(2 * tau)}
            cut = np.sort(W.ravel())[::-1][on.sum() - 1]  # 0 among [PAD]'s, all of them equal
            assert (on == (cut <= W)).all() or (cut == 0 and on[W > 0].all())
        total = sum(x.numel() for x in S.values())
        assert abs(sum(int((x == 0).sum()) for x in S.values()) - s * total) <= 1


@pytest.mark.parametrize("objective", ["mlm", "kd", "mlm_kd"])
def test_masks_are_exact_at_every_step_and_only_scores_learn(model, text, impl, objective):
    for s in (0.0, 0.3, 0.5, 0.9, 0.97):
        net, seen = SubNetwork(model), []
        before = net.snapshot(net.add_head(text, "linear" if "mlm" in objective else "states"))

        def watch(phase, t, M, s=s, seen=seen):
            total = sum(m.numel() for m in M.values())
            assert total == 2 * (4 * 32 * 32 + 2 * 32 * 64) + 81 * 32 and abs(total - kept(M) - s * total) <= 1
            assert all(abs(int((m != 0).sum()) - (1 - s) * m.numel()) < 1 for m in M.values())  # in every matrix
            seen.append({n: m.detach() != 0 for n, m in M.items()})

        ((phase, _),), _ = play(iter([phase_1(net, text, sparsity=s, objective=objective)]), net, impl, watch)
        after = net.snapshot(phase.head)
        moved = {n for n in before if not torch.equal(before[n], after[n])}
        head = {n for n in before if n.startswith("head.")}
        assert len(before) - len(head) == 39 and len(head) == (6 if "mlm" in objective else 0)
        assert moved == (head - {"head.words"} if "mlm" in objective else set())
        S = phase.train[0].tensors
        assert {g.name for g in phase.train if g.tensors} == {"scores", *(["head"] if "mlm" in objective else [])}
        assert S.keys() == net.masks.keys() and len(seen) == 5
        assert s == 0 or any(not torch.equal(seen[0][n], net.masks[n]) for n in S)
        for n, m in net.masks.items():  # M = 1[S > φ], φ such that the rest goes
            assert m.all() or S[n][m].min() >= S[n][~m].max()
        moves = [float(((x - 0.02) * x).abs().max()) for x in S.values()]  # off their first two values, in every matrix
        assert s == 0 or min(moves) > 1e-6


class OneMatrix:
    """A network of one matrix, enough of it for phase 1 to be looked at by hand."""

    def __init__(self, W):
        self.W, self.masks = W, {}

    def add_head(self, task, kind):
        return "head"

    def head_parameters(self, head):
        return {}

    def prunable(self, which="encoder"):
        return {"w": self.W}

    def new_scores(self, which):
        return {"w": torch.zeros_like(self.W)}


def test_straight_through_by_hand():
    """∂L/∂S = ∂L/∂W' ⊙ W on a 4x5 matrix, for the removed too; the mask follows when S does."""
    W = torch.tensor([[1.0, -2, 3, 0.5, -1], [0, 1, 1, -1, 2], [2, 2, -2, 1, 0], [1, 0, 0, 3, -3]])
    x, c = torch.tensor([1.0, 2, 0, -1, 3]), torch.tensor([1.0, -1, 2, 0.5])
    phase = phase_1(OneMatrix(W), SimpleNamespace(train_rows=8), sparsity=0.6)
    S = phase.train[0].tensors["w"].requires_grad_(True)
    first = torch.tensor([[0.0, 1, 1, 0, 0], [0, 0, 0, 0, 1], [1, 1, 1, 0, 0], [0, 0, 0, 1, 1]])  # |W| of 2 and 3
    assert torch.equal(S.detach(), 0.02 * first)
    M = phase.masks(0.2, False)["w"]
    assert torch.equal(M, first) and torch.equal(phase.masks(0.2, True)["w"], first.bool())
    ((W * M) @ x * c).sum().backward()
    slope = torch.tensor([[1.0, -4, 0, -0.5, -3], [0, -2, 0, -1, -6], [4, 8, 0, -2, 0], [0.5, 0, 0, -1.5, -4.5]])
    assert torch.equal(S.grad, slope)
    with torch.no_grad():
        S -= 0.005 * S.grad  # 0.02 - 0.005 · 4 = 0 where it was 4, and 0.005 · 3 = 0.015 where it was -3 and out
    then = first.clone()
    then[0, 4], then[2, 1], then[2, 0] = 1, 0, 0
    then[1, 1] = 1  # 0.005 · 2, the eighth; so has [2, 3], which comes later
    assert torch.equal(phase.masks(0.4, True)["w"], then.bool())


@pytest.mark.parametrize("objective", ["mlm", "kd"])
def test_the_first_step_is_adams_along_the_slope(net, text, impl, objective):
    """±lr against the sign of ∂L/∂W' ⊙ W, whose gradient is the weights' own; dropout is off for it."""
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        for w in net.prunable().values():
            w.mul_(10)
    fit = replace(MASK_FIT, steps=1, lr=1e-3, clip=1e9)
    phase = phase_1(net, text, fit=fit, objective=objective)
    start = {n: x.clone() for n, x in phase.train[0].tensors.items()}
    own = net.prunable(WIDE)
    read = {n: (own[n] * (start[n] > 0.01)).detach().requires_grad_(True) for n in own}
    seed = zlib.crc32(b"mask-training")
    batch = next(phase.task.batches(8, seed))
    terms = phase.loss(net(batch, phase.head, theta=read, needs=("hidden",)), batch, 1.0)
    sum(terms.values()).backward()
    play(iter([phase]), net, impl)
    told = 0
    for n, x in phase.train[0].tensors.items():
        slope = read[n].grad * own[n].detach()
        clear = slope.abs() > 1e-5
        assert torch.allclose((x - start[n])[clear], -1e-3 * slope.sign()[clear], rtol=2e-3)
        told += int(clear.sum())
    assert told > 3000


def halves(net):
    """A mask of half of every matrix, drawn by lot."""
    generator = torch.Generator().manual_seed(3)
    return {n: torch.rand(w.shape, generator=generator) < 0.5 for n, w in net.prunable(WIDE).items()}


@pytest.mark.parametrize("padded", [False, True])
def test_the_objective_is_one_minus_the_cosine_over_layers_and_tokens(net, text, model_folder, padded):
    """Two stock models, one with zeros for what is removed, and dot products by hand; padding is no token."""
    phase = phase_1(net, text, objective="mlm_kd")
    batch, masks = next(text.batches(4, 0)), halves(net)
    if padded:
        attention = batch.inputs["attention_mask"].clone()
        attention[1, 9:] = attention[2, 3:] = 0
        batch = Batch(batch.inputs | {"attention_mask": attention}, batch.labels, batch.rows)
    hidden = []
    for zeroed in (False, True):
        stock = transformers.AutoModel.from_pretrained(model_folder, add_pooling_layer=False).eval()
        with torch.no_grad():
            for n, p in stock.named_parameters():
                p.mul_(masks.get("bert." + n, torch.ones(())) if zeroed else 1)
            hidden.append(stock(**batch.inputs, output_hidden_states=True).hidden_states)
    each = []
    for layer in (1, 2):
        a, b = (h[layer].double() for h in hidden)
        cosines = (a * b).sum(-1) / ((a * a).sum(-1).sqrt() * (b * b).sum(-1).sqrt())
        tokens = [float(1 - c) for row, c in enumerate(cosines) for c in c[batch.inputs["attention_mask"][row] == 1]]
        assert len(tokens) == (16 + 9 + 3 + 16 if padded else 64)
        each.append(np.mean(tokens))
    net.eval()
    out = net(batch, phase.head, masks, needs=phase.needs)
    terms = phase.loss(out, batch, 0.5)
    assert terms.keys() == {"mlm", "kd_hidden"} and np.mean(each) > 0.01
    assert terms["kd_hidden"].item() == pytest.approx(np.mean(each), rel=1e-4)
    assert terms["mlm"].item() == text.loss(out, batch)["mlm"].item()


def test_objectives_name_their_terms(net, text):
    batch, masks = next(text.batches(4, 0)), halves(net)
    for objective, expected in (("mlm", {"mlm"}), ("kd", {"kd_hidden"}), ("mlm_kd", {"mlm", "kd_hidden"})):
        phase = phase_1(net, text, objective=objective)
        assert phase.needs == (("hidden",) if "kd" in objective else ())
        assert phase.loss(net(batch, phase.head, masks, needs=phase.needs), batch, 0.5).keys() == expected


def test_where_nothing_is_removed_the_student_is_the_teacher(net, text):
    phase = phase_1(net, text, objective="kd", sparsity=0.0)
    batch = next(text.batches(4, 0))
    net.eval()
    same = phase.loss(net(batch, phase.head, phase.masks(1.0, False), needs=phase.needs), batch, 0.5)["kd_hidden"]
    other = phase.loss(net(batch, phase.head, halves(net), needs=phase.needs), batch, 0.5)["kd_hidden"]
    assert abs(same.item()) < 1e-6 and other.item() > 1e-2


def test_without_a_masked_lm_head_the_hidden_states_alone_can_teach(tmp_path, read, impl):
    """The score is the cosine of stock models' states, by dot products; what asks for words says that it cannot."""
    folder = save_model(tmp_path / "bare", masked_lm=False)
    net = SubNetwork(models.load(name=str(folder)))
    text = read(tokenizer=net.model.tokenizer, positions=net.model.positions)
    for objective in ("mlm", "mlm_kd"):
        with pytest.raises(BadInput, match=r"without a masked-LM head .* method\.objective=kd"):
            phase_1(net, text, objective=objective)
    phase = phase_1(net, text, objective="kd", sparsity=0.6)
    play(iter([phase]), net, impl)
    stock = [transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False).eval() for _ in "ab"]
    with torch.no_grad():
        for n, p in stock[1].named_parameters():
            p.mul_(net.masks.get("bert." + n, torch.ones(())))
    rows = {}
    for batch in phase.task.eval_batches("validation", 3):
        assert not (batch.inputs["input_ids"] == net.model.tokenizer.mask_token_id).any()
        with torch.no_grad():
            a, b = (s(**batch.inputs, output_hidden_states=True).hidden_states for s in stock)
        for i, row in enumerate(batch.rows.tolist()):
            real = batch.inputs["attention_mask"][i] == 1
            x, y = (torch.stack([h[layer][i][real] for layer in (1, 2)]).double() for h in (a, b))
            rows[row] = float(((x * y).sum(-1) / (x.norm(dim=-1) * y.norm(dim=-1))).mean())
    found = evaluate(net, phase.task, phase.head, impl)
    assert found.metrics == {"cosine": found.score}
    assert found.score == pytest.approx(np.mean(list(rows.values())), abs=1e-5) and found.score < 0.999
    assert found.predictions.prediction.tolist() == pytest.approx([rows[i] for i in range(len(rows))], abs=1e-5)


def test_the_teacher_rests_and_has_no_gradient(net, text):
    phase = phase_1(net, text, objective="kd")
    for group in phase.train:
        for x in group.tensors.values():
            x.requires_grad_(True)
    batch = next(text.batches(4, 0))
    net.train()
    students = [net(batch, phase.head, phase.masks(0.5, False), needs=phase.needs) for _ in range(2)]
    assert not torch.equal(students[0].hidden[2], students[1].hidden[2])  # the student has dropout
    first, again = (phase.loss(students[0], batch, 0.5)["kd_hidden"] for _ in range(2))
    assert torch.equal(first, again)  # the teacher has none
    assert net.training and all(m.training for m in net.modules())
    for parameter in net.parameters():
        parameter.requires_grad_(True)  # even so
    fixed = SimpleNamespace(hidden=tuple(h.detach() for h in students[0].hidden))
    assert not phase.loss(fixed, batch, 0.5)["kd_hidden"].requires_grad and first.requires_grad


def test_the_papers_steps():
    """The checkpoints its code took from a run of 27,920 steps, and their fraction of a shorter run."""
    table = {0.5: 11_000, 0.6: 14_000, 0.7: 17_000, 0.8: 20_000, 0.9: 22_000}
    assert {s: paper_steps(s, 27_920) for s in table} == table
    assert {s: paper_steps(s, 2_792) for s in table} == {s: steps // 10 for s, steps in table.items()}
    assert [paper_steps(s, 27_920) for s in (0.0, 0.1, 0.97, 0.999)] == [1000, 1000, 24_000, 25_000]
    assert paper_steps(0.5, 1) == 1 and paper_steps(0.999, 2) == 2


@pytest.mark.parametrize(
    ("stop", "s", "steps"), [(3, 0.7, 3), (None, 0.7, 5), (5, 0.7, 5), ("paper", 0.5, 2), (1, 0.5, 1)]
)
def test_where_phase_1_ends(net, text, impl, stop, s, steps):
    """The rate is that of the whole schedule: a run that ends early is a longer one's beginning."""
    ((phase, trained),), lines = play(iter([phase_1(net, text, stop=stop, sparsity=s)]), net, impl)
    assert (
        trained.steps == steps == phase.planned
        and phase.steps == 5
        and [line["step"] for line in lines] == list(range(1, steps + 1))
    )
    assert [line["lr"] for line in lines] == pytest.approx([5e-3 * (5 - i) / 5 for i in range(steps)])
    taken = net.masks
    seen = []
    other = SubNetwork(net.model)
    play(iter([phase_1(other, text, sparsity=s)]), other, impl, lambda _, t, M: seen.append(M))
    if steps < 5:
        assert all(torch.equal(m, seen[steps][n] != 0) for n, m in taken.items())


@pytest.mark.parametrize("stop", [6, -1])
def test_a_bad_number_of_mask_steps_is_refused(net, text, stop):
    with pytest.raises(BadInput, match=rf"method\.mask_steps={stop}: .* between 1 and 5"):
        phase_1(net, text, stop=stop)


def test_no_mask_steps_at_all_are_refused(net, text):
    with pytest.raises(BadInput, match="between 1 and 5"):
        phase_1(net, text, stop=0)


def test_phase_2_trains_every_weight_under_the_masks_of_phase_1(net, task, read, impl):
    before, masks, states = net.snapshot(net.add_head(task, "linear")), {}, {}

    def watch(phase, t, M):
        masks.setdefault(phase.name, []).append({n: m.detach() != 0 for n, m in M.items()})
        states.setdefault(phase.name, net.snapshot("toy_linear"))

    done, _ = play(tamt(net, task, corpus=read, **TAMT), net, impl, watch)
    assert [phase.name for phase, _ in done] == ["mask-training", "finetune"]
    assert all(torch.equal(x, before[n]) for n, x in states["finetune"].items())  # it starts from the pre-trained ones
    first = done[0][0].masks(1.0, True)
    assert len(first) == 13 and len(masks["finetune"]) == 4
    for M in [*masks["finetune"], net.masks]:
        assert M.keys() == first.keys() and all(torch.equal(M[n], first[n]) for n in first)
    after = net.snapshot("toy_linear")
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    assert moved == before.keys() and len(moved) == 39 + 2
    trained = {id(x) for g in done[1][0].train for x in g.tensors.values()}
    assert {id(p) for p in net.parameters_of().values()} <= trained


def test_phases(net, task, read):
    assert [p.name for p in tamt(net, task, corpus=read, **TAMT)] == ["mask-training", "finetune"]
    kd = partial(distill.logits, fit=FIT, weight=0.5, temperature=2.0, teacher=None)
    programme = tamt(net, task, corpus=read, **TAMT | {"distill": kd})
    assert [p.name for p in programme] == ["teacher", "mask-training", "finetune"]


def test_a_teacher_of_phase_2_leaves_the_masks_alone(net, task, read, impl):
    kd = partial(distill.logits, fit=FIT, weight=0.5, temperature=2.0, teacher=None)
    done, _ = play(tamt(net, task, corpus=read, **TAMT | {"distill": kd}), net, impl)
    assert [phase.name for phase, _ in done] == ["teacher", "mask-training", "finetune"]
    first = done[1][0].masks(1.0, True)
    assert net.masks.keys() == first.keys() and all(torch.equal(net.masks[n], first[n]) for n in first)


# --- through the command line ---


@pytest.fixture
def words(toy, text_file):
    toy = [w for w in toy if "threads" not in w] + ["impl.threads=1"]
    return [*toy, "method=tamt", "sparsity=0.7", f"corpus.file={text_file}", "method.corpus.block=16"]


def row_of(folder):
    return json.loads((folder / "result.json").read_text())


def metadata(folder):
    with safe_open(folder / "masks.safetensors", "pt") as stored:
        return dict(stored.metadata())


def test_masks_of_a_run_serve_another_task_and_the_same_one(cli, words, toy, tmp_path):
    assert cli(*words, "hydra.run.dir=first")[0] == 0
    first = row_of(tmp_path / "first")
    assert list(first["phases"]) == ["mask-training", "finetune"] and first["prunable"] == WIDE
    assert first["sparsity_encoder_pooler_embeddings"] == pytest.approx(0.7, abs=1e-4)
    masks = metadata(tmp_path / "first")
    (tmp_path / "gone.txt").write_text("")
    again = [w for w in words if not w.startswith("corpus")] + ["corpus.file=gone.txt", "method.masks=first"]
    other = [w for w in again if "label_words" not in w] + ["task.kind=regression", "task.label=number"]
    for name, given in (("second", again), ("third", other)):
        status, printed = cli(*given, f"hydra.run.dir={name}")
        assert status == 0, printed
        row = row_of(tmp_path / name)
        assert list(row["phases"]) == ["finetune"] and row["settings"]["masks"] == "first"
        assert metadata(tmp_path / name) == masks  # its checksum included
    assert row["metric"] == "pearson"
    a, b = (load_file(tmp_path / name / "weights.safetensors") for name in ("first", "second"))
    assert len(a) == 37 and all(torch.equal(a[n], b[n]) for n in a)  # as if phase 1 had been here


@pytest.fixture(scope="module")
def other_model(model_folder, tmp_path_factory):
    """The toy model with one weight changed."""
    folder = tmp_path_factory.mktemp("other") / "bert"
    shutil.copytree(model_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["bert.encoder.layer.1.output.dense.weight"][3, 4] += 1e-3
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_masks_that_do_not_fit_are_refused_in_one_line(cli, words, tmp_path, other_model, model_folder):
    """The run whose masks are asked for is magnitude's here: any method's will do."""
    given = [w for w in words if not w.startswith(("method", "corpus"))]
    assert cli(*given, "method=magnitude", f"prunable={WIDE}", "hydra.run.dir=found")[0] == 0
    shutil.copytree(tmp_path / "found", tmp_path / "unfinished")
    (tmp_path / "unfinished/result.json").unlink()
    before = set(tmp_path.rglob("*"))
    ask = [*words, "hydra.run.dir=run"]
    for more, told in (
        (
            ["method.masks=found", f"model.name={other_model}"],
            f"found on {model_folder}, whose weights are not those of",
        ),
        (["method.masks=found", "sparsity=0.6"], "its sparsity is 0.6999894604; ask for the same"),
        (
            ["method.masks=found", "prunable=encoder"],
            f"its masks cover prunable={WIDE}, this run asks for encoder; set method.prunable={WIDE}",
        ),
        (["method.masks=unfinished"], "the run did not finish"),
    ):
        names = {w.split("=")[0] for w in more}
        status, printed = cli(*[w for w in ask if w.split("=")[0] not in names], *more)
        lines = [line for line in printed.strip().splitlines() if "once for this data" not in line]
        assert status == 2 and told in printed and len(lines) == 1 and lines[0].startswith("prunebert: "), printed
        assert set(tmp_path.rglob("*")) == before
    net = SubNetwork(models.load(str(model_folder)))
    stored = maskfile.read(tmp_path / "found/masks.safetensors").masks
    taken = masks_of(str(tmp_path / "found"), net, WIDE, 0.7)  # as asked there, to within one weight
    assert taken.keys() == stored.keys() and all(torch.equal(m, stored[n]) for n, m in taken.items())


def test_a_block_that_is_too_long_is_told_by_its_key(cli, words):
    given = [w for w in words if not w.startswith("method.corpus")]
    status, printed = cli(*given, "method.corpus.block=65")
    assert status == 2 and "method.corpus.block=65" in printed


def test_the_history_told_is_that_of_the_phase_that_found_the_masks(
    cli, words, tmp_path, model_folder, read, task, impl
):
    """Weights that were out and came back during phase 1, counted by the same phase played here."""
    fit = Fit(epochs=1, steps=4, batch_size=16, lr=5e-3, head_lr=1e-3)
    same = [f"mask_fit.{k}={getattr(fit, k)}" for k in ("steps", "batch_size", "lr", "head_lr")]
    assert cli(*words, *same, "corpus.holdout=0.2")[0] == 0
    net = SubNetwork(models.load(str(model_folder)), seed=0)
    ((phase, trained), _), _ = play(tamt(net, task, corpus=read, **TAMT | {"mask_fit": fit}), net, impl)
    stored = maskfile.read(tmp_path / "run/masks.safetensors").masks
    assert all(torch.equal(m, stored[n]) for n, m in phase.masks(1.0, True).items())
    assert trained.history["recovered"] > 0
    told = artifacts.topology(tmp_path / "run")["history"]
    assert told["recovered"] == trained.history["recovered"]
