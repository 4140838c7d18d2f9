"""What only a GPU can tell: run where torch sees one, skipped elsewhere."""

import math
import warnings

import pytest
import torch

from prunebert.masks import top_v
from prunebert.network.subnetwork import SubNetwork
from prunebert.settings.overrides import checked
from prunebert.system.impl import Impl
from prunebert.training.step import Stepper

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
STEPS = 1000
METHODS = {
    "dense": ["method=dense"],
    "smp local": ["method=smp", "method.allocation=local", "method.penalty=400"],
    "smp score": ["method=smp", "method.allocation=score"],
    "smp global": ["method=smp", "method.allocation=global"],
    "abp": ["method=abp"],
    "movement": ["method=movement"],
    "soft_movement": ["method=soft_movement"],
    "l0": ["method=l0"],
    "gmp": ["method=gmp"],
}


@pytest.fixture
def steps(request):
    """(step, batches, phase) of a method's first phase on the embedded model, on the device."""
    words = [*METHODS[request.param], "model=tiny", "task=rotten_tomatoes", "fit=quick", f"fit.steps={STEPS}"]
    impl = Impl(device="cuda", precision="bf16", compile=False, threads=None)
    impl.start()
    fields, build = checked([*words, "sparsity=0.8"])
    model = build(fields["model"])
    task = build(fields["task"])(tokenizer=model.tokenizer, positions=model.positions, augment=None)
    net = SubNetwork(model).to(impl.torch_device)
    phase = next(build(fields["method"])(net, task))
    batches = (b.pinned() for b in phase.task.batches(32, 0))
    return Stepper(net.train(), phase, seed=0, impl=impl), batches, phase


@pytest.mark.parametrize("steps", METHODS, indirect=True)
def test_the_host_never_waits(steps):
    """Not at the start of a schedule, within it, nor at its end."""
    step, batches, _ = steps
    ready = [next(batches) for _ in range(12)]
    for k in range(3):
        step(k, ready[k])
    for first in (STEPS // 2, STEPS - 20):
        step(first, ready[3])
        torch.cuda.synchronize()
        try:
            with warnings.catch_warnings(action="ignore"):  # that this is a prototype
                torch.cuda.set_sync_debug_mode("error")
            for k in range(1, 4):
                step(first + k, ready[3 + k])
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("steps", [m for m in METHODS if m not in ("dense", "gmp")], indirect=True)
def test_masks_of_trained_scores_are_those_of_the_cpu(steps):
    """The same masks from the same scores."""
    step, batches, phase = steps
    for k in range(3):
        terms, _ = step(STEPS // 2 + k, next(batches))
    assert all(math.isfinite(x.item()) for x in terms.values())
    scores = next(g.tensors for g in phase.train if g.name == "scores")
    scores_on_gpu = {n: s.detach() for n, s in scores.items()}
    for s in (0.5, 0.97):
        for scope in ("local", "global"):
            gpu_masks = top_v.keep_top(scores_on_gpu, s, scope)
            cpu_masks = top_v.keep_top({n: x.cpu() for n, x in scores_on_gpu.items()}, s, scope)
            assert all(torch.equal(gpu_masks[n].cpu(), cpu_masks[n]) for n in cpu_masks)


def test_large_tensors():
    S = {"a": torch.randn(4096, 4096, device="cuda"), "b": torch.randn(1000, 3000, device="cuda").round(decimals=1)}
    for scope in ("local", "global"):
        gpu_masks = top_v.keep_top(S, 0.9, scope)
        cpu_masks = top_v.keep_top({n: x.cpu() for n, x in S.items()}, 0.9, scope)
        assert all(torch.equal(gpu_masks[n].cpu(), cpu_masks[n]) for n in S)


@pytest.mark.parametrize("method", ["tamt", "sparsebert", "l0", "imp", "smp"])
def test_a_whole_run(cli, method):
    words = ["model=tiny", "task=rotten_tomatoes", "fit=smoke", "mask_fit.steps=2", "sparsity=0.9"]
    status, printed = cli(f"method={method}", *words, "impl=cuda")
    assert status == 0, printed


def test_masks_that_remove_nothing_change_nothing():
    """Rounded biases and products are what autocast makes of them itself."""
    fields, build = checked(["method=dense", "model=tiny", "task=rotten_tomatoes"])
    model = build(fields["model"])
    task = build(fields["task"])(tokenizer=model.tokenizer, positions=model.positions, augment=None)
    net = SubNetwork(model).to("cuda").eval().requires_grad_(False)
    head, batch = net.add_head(task.form(), "linear"), next(task.batches(8, 0)).to(torch.device("cuda"))
    ones = {n: torch.ones_like(w, dtype=torch.bool) for n, w in net.prunable("encoder_pooler_embeddings").items()}
    with torch.autocast("cuda", torch.bfloat16), torch.no_grad():
        assert torch.equal(net(batch, head).logits, net(batch, head, ones).logits)
