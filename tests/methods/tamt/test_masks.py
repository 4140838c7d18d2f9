"""Test TAMT's first phase: its initial scores, its objectives, and when it ends."""

import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

from prunebert.errors import BadInput
from prunebert.masks.top_v import count_kept
from prunebert.methods.tamt import paper_steps
from prunebert.network import models
from prunebert.network.interface import Batch
from prunebert.network.subnetwork import SubNetwork
from prunebert.training.evaluate import evaluate
from tests.methods.tamt.conftest import MASK_FIT, WIDE, phase_1, play
from tests.toys import save_model


@pytest.mark.parametrize("tau", [0.01, 0.03])
def test_the_initial_scores_are_twice_tau_on_the_largest_weights(net, text, tau):
    """Compare with numpy's sort of every matrix: n(1 - s) of its weights, to within one."""
    for s in (0.0, 0.3, 0.5, 0.9, 0.97):
        S = phase_1(net, text, sparsity=s, tau=tau).train[0].tensors
        assert len(S) == 13 and S.keys() == net.prunable(WIDE).keys()
        for n, x in S.items():
            W = net.prunable(WIDE)[n].detach().abs().numpy()
            is_set = x.numpy() != 0
            assert abs(is_set.sum() - (1 - s) * W.size) < 1 and set(np.unique(x)) <= {0.0, np.float32(2 * tau)}
            cut = np.sort(W.ravel())[::-1][is_set.sum() - 1]  # it may be 0: the embedding of [PAD] is all 0
            assert (is_set == (cut <= W)).all() or (cut == 0 and is_set[W > 0].all())
        total = sum(x.numel() for x in S.values())
        assert abs(sum(int((x == 0).sum()) for x in S.values()) - s * total) <= 1


@pytest.mark.parametrize("objective", ["mlm", "kd", "mlm_kd"])
def test_masks_are_exact_at_every_step_and_only_scores_learn(model, text, impl, objective):
    for s in (0.0, 0.3, 0.5, 0.9, 0.97):
        net, masks_by_step = SubNetwork(model), []
        before = net.snapshot(net.add_head(text.form(), "linear" if "mlm" in objective else "states"))

        def watch(phase, t, M, s=s, masks_by_step=masks_by_step):
            total = sum(m.numel() for m in M.values())
            assert total == 2 * (4 * 32 * 32 + 2 * 32 * 64) + 81 * 32 and abs(total - count_kept(M) - s * total) <= 1
            assert all(abs(int((m != 0).sum()) - (1 - s) * m.numel()) < 1 for m in M.values())  # in every matrix
            masks_by_step.append({n: m.detach() != 0 for n, m in M.items()})

        ((phase, _),), _ = play(iter([phase_1(net, text, sparsity=s, objective=objective)]), net, impl, watch)
        after = net.snapshot(phase.head)
        changed = {n for n in before if not torch.equal(before[n], after[n])}
        head = {n for n in before if n.startswith("head.")}
        assert len(before) - len(head) == 39 and len(head) == (6 if "mlm" in objective else 0)
        assert changed == (head - {"head.words"} if "mlm" in objective else set())
        S = phase.train[0].tensors
        assert {g.name for g in phase.train if g.tensors} == {"scores", *(["head"] if "mlm" in objective else [])}
        assert S.keys() == net.masks.keys() and len(masks_by_step) == 5
        assert s == 0 or any(not torch.equal(masks_by_step[0][n], net.masks[n]) for n in S)
        for n, m in net.masks.items():  # M = 1[S > φ], with φ for the sparsity
            assert m.all() or S[n][m].min() >= S[n][~m].max()
        distances = [float(((x - 0.02) * x).abs().max()) for x in S.values()]  # from the two initial values
        assert s == 0 or min(distances) > 1e-6


class OneMatrix:
    """A network of one matrix, for a calculation by hand."""

    def __init__(self, W):
        self.W, self.masks, self.given = W, {}, {}

    def add_head(self, form, kind):
        return "head"

    def head_parameters(self, head):
        return {}

    def place(self, name):
        return 0, "query"

    def prunable(self, which="encoder"):
        return {"w": self.W}

    def new_scores(self, which):
        return {"w": torch.zeros_like(self.W)}


def test_straight_through_by_hand():
    """∂L/∂S = ∂L/∂W' ⊙ W on a 4x5 matrix, also for removed weights; the mask follows S."""
    W = torch.tensor([[1.0, -2, 3, 0.5, -1], [0, 1, 1, -1, 2], [2, 2, -2, 1, 0], [1, 0, 0, 3, -3]])
    x, c = torch.tensor([1.0, 2, 0, -1, 3]), torch.tensor([1.0, -1, 2, 0.5])
    phase = phase_1(OneMatrix(W), SimpleNamespace(train_rows=8, form=lambda: None), sparsity=0.6)
    S = phase.train[0].tensors["w"].requires_grad_(True)
    initial_mask = torch.tensor(
        [[0.0, 1, 1, 0, 0], [0, 0, 0, 0, 1], [1, 1, 1, 0, 0], [0, 0, 0, 1, 1]]
    )  # |W| of 2 and 3
    assert torch.equal(S.detach(), 0.02 * initial_mask)
    M = phase.masks(0.2, False)["w"]
    assert torch.equal(M, initial_mask) and torch.equal(phase.masks(0.2, True)["w"], initial_mask.bool())
    ((W * M) @ x * c).sum().backward()
    slope = torch.tensor([[1.0, -4, 0, -0.5, -3], [0, -2, 0, -1, -6], [4, 8, 0, -2, 0], [0.5, 0, 0, -1.5, -4.5]])
    assert torch.equal(S.grad, slope)
    with torch.no_grad():
        S -= 0.005 * S.grad  # 0.02 - 0.005 · 4 = 0 where it was 4; 0.005 · 3 = 0.015 where it was -3 and removed
    next_mask = initial_mask.clone()
    next_mask[0, 4], next_mask[2, 1], next_mask[2, 0] = 1, 0, 0
    next_mask[1, 1] = 1  # 0.005 · 2, the eighth; [2, 3] has the same score but comes later
    assert torch.equal(phase.masks(0.4, True)["w"], next_mask.bool())


@pytest.mark.parametrize("objective", ["mlm", "kd"])
def test_the_first_step_is_adams_along_the_slope(net, text, impl, objective):
    """±lr against the sign of ∂L/∂W' ⊙ W, computed from the gradient of the weights, without dropout."""
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        for w in net.prunable().values():
            w.mul_(10)
    fit = replace(MASK_FIT, steps=1, lr=1e-3, clip=1e9)
    phase = phase_1(net, text, fit=fit, objective=objective)
    start = {n: x.clone() for n, x in phase.train[0].tensors.items()}
    W = net.prunable(WIDE)
    masked = {n: (W[n] * (start[n] > 0.01)).detach().requires_grad_(True) for n in W}
    seed = zlib.crc32(b"mask-training")
    batch = next(phase.task.batches(8, seed))
    terms = phase.loss(net(batch, phase.head, theta=masked, needs=("hidden",)), batch, 1.0)
    sum(terms.values()).backward()
    play(iter([phase]), net, impl)
    count = 0
    for n, x in phase.train[0].tensors.items():
        slope = masked[n].grad * W[n].detach()
        clear = slope.abs() > 1e-5
        assert torch.allclose((x - start[n])[clear], -1e-3 * slope.sign()[clear], rtol=2e-3)
        count += int(clear.sum())
    assert count > 3000


def random_halves(net):
    """Return masks with a random half of every matrix."""
    generator = torch.Generator().manual_seed(3)
    return {n: torch.rand(w.shape, generator=generator) < 0.5 for n, w in net.prunable(WIDE).items()}


@pytest.mark.parametrize("padded", [False, True])
def test_the_objective_is_one_minus_the_cosine_over_layers_and_tokens(net, text, model_folder, padded):
    """Compare with two stock models, one with zeros for removed weights. Padding does not count as a token."""
    phase = phase_1(net, text, objective="mlm_kd")
    batch, masks = next(text.batches(4, 0)), random_halves(net)
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
    layer_means = []
    for layer in (1, 2):
        a, b = (h[layer].double() for h in hidden)
        cosines = (a * b).sum(-1) / ((a * a).sum(-1).sqrt() * (b * b).sum(-1).sqrt())
        tokens = [float(1 - c) for row, c in enumerate(cosines) for c in c[batch.inputs["attention_mask"][row] == 1]]
        assert len(tokens) == (16 + 9 + 3 + 16 if padded else 64)
        layer_means.append(np.mean(tokens))
    net.eval()
    out = net(batch, phase.head, masks, needs=phase.needs)
    terms = phase.loss(out, batch, 0.5)
    assert terms.keys() == {"mlm", "kd_hidden"} and np.mean(layer_means) > 0.01
    assert terms["kd_hidden"].item() == pytest.approx(np.mean(layer_means), rel=1e-4)
    assert terms["mlm"].item() == text.loss(out, batch)["mlm"].item()


def test_objectives_name_their_terms(net, text):
    batch, masks = next(text.batches(4, 0)), random_halves(net)
    for objective, expected in (("mlm", {"mlm"}), ("kd", {"kd_hidden"}), ("mlm_kd", {"mlm", "kd_hidden"})):
        phase = phase_1(net, text, objective=objective)
        assert phase.needs == (("hidden",) if "kd" in objective else ())
        assert phase.loss(net(batch, phase.head, masks, needs=phase.needs), batch, 0.5).keys() == expected


def test_without_pruning_the_student_equals_the_teacher(net, text):
    phase = phase_1(net, text, objective="kd", sparsity=0.0)
    batch = next(text.batches(4, 0))
    net.eval()
    dense_loss = phase.loss(net(batch, phase.head, phase.masks(1.0, False), needs=phase.needs), batch, 0.5)["kd_hidden"]
    pruned_loss = phase.loss(net(batch, phase.head, random_halves(net), needs=phase.needs), batch, 0.5)["kd_hidden"]
    assert abs(dense_loss.item()) < 1e-6 and pruned_loss.item() > 1e-2


def test_without_a_masked_lm_head_only_hidden_states_can_be_distilled(tmp_path, read, impl):
    """The score is the cosine of stock models' states. An objective that predicts words is refused."""
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
            is_token = batch.inputs["attention_mask"][i] == 1
            x, y = (torch.stack([h[layer][i][is_token] for layer in (1, 2)]).double() for h in (a, b))
            rows[row] = float(((x * y).sum(-1) / (x.norm(dim=-1) * y.norm(dim=-1))).mean())
    result = evaluate(net, phase.task, phase.head, impl)
    assert result.metrics == {"cosine": result.score}
    assert result.score == pytest.approx(np.mean(list(rows.values())), abs=1e-5) and result.score < 0.999
    assert result.predictions.prediction.tolist() == pytest.approx([rows[i] for i in range(len(rows))], abs=1e-5)


def test_the_teacher_is_in_evaluation_mode_and_has_no_gradient(net, text):
    phase = phase_1(net, text, objective="kd")
    for group in phase.train:
        for x in group.tensors.values():
            x.requires_grad_(True)
    batch = next(text.batches(4, 0))
    net.train()
    students = [net(batch, phase.head, phase.masks(0.5, False), needs=phase.needs) for _ in range(2)]
    assert not torch.equal(students[0].hidden[2], students[1].hidden[2])  # the student has dropout
    kd_loss, repeated_loss = (phase.loss(students[0], batch, 0.5)["kd_hidden"] for _ in range(2))
    assert torch.equal(kd_loss, repeated_loss)  # the teacher has none
    assert net.training and all(m.training for m in net.modules())
    for parameter in net.parameters():
        parameter.requires_grad_(True)  # even then the teacher has no gradient
    fixed = SimpleNamespace(hidden=tuple(h.detach() for h in students[0].hidden))
    assert not phase.loss(fixed, batch, 0.5)["kd_hidden"].requires_grad and kd_loss.requires_grad


def test_the_papers_steps():
    """The paper's code uses these checkpoints of a run of 27,920 steps; a shorter run uses the same fraction."""
    table = {0.5: 11_000, 0.6: 14_000, 0.7: 17_000, 0.8: 20_000, 0.9: 22_000}
    assert {s: paper_steps(s, 27_920) for s in table} == table
    assert {s: paper_steps(s, 2_792) for s in table} == {s: steps // 10 for s, steps in table.items()}
    assert [paper_steps(s, 27_920) for s in (0.0, 0.1, 0.97, 0.999)] == [1000, 1000, 24_000, 25_000]
    assert paper_steps(0.5, 1) == 1 and paper_steps(0.999, 2) == 2


@pytest.mark.parametrize(
    ("stop", "s", "steps"), [(3, 0.7, 3), (None, 0.7, 5), (5, 0.7, 5), ("paper", 0.5, 2), (1, 0.5, 1)]
)
def test_the_step_at_which_phase_1_ends(net, text, impl, stop, s, steps):
    """The rate follows the whole schedule: a phase that ends early equals the beginning of a longer one."""
    ((phase, trained),), lines = play(iter([phase_1(net, text, stop=stop, sparsity=s)]), net, impl)
    assert (
        trained.steps == steps == phase.planned
        and phase.steps == 5
        and [line["step"] for line in lines] == list(range(1, steps + 1))
    )
    assert [line["lr"] for line in lines] == pytest.approx([5e-3 * (5 - i) / 5 for i in range(steps)])
    final_masks = net.masks
    masks_by_step = []
    other = SubNetwork(net.model)
    play(iter([phase_1(other, text, sparsity=s)]), other, impl, lambda _, t, M: masks_by_step.append(M))
    if steps < 5:
        assert all(torch.equal(m, masks_by_step[steps][n] != 0) for n, m in final_masks.items())


@pytest.mark.parametrize("stop", [6, -1])
def test_a_bad_number_of_mask_steps_is_refused(net, text, stop):
    with pytest.raises(BadInput, match=rf"method\.mask_steps={stop}: .* between 1 and 5"):
        phase_1(net, text, stop=stop)


def test_zero_mask_steps_are_refused(net, text):
    with pytest.raises(BadInput, match="between 1 and 5"):
        phase_1(net, text, stop=0)
