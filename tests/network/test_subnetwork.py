"""The sub-network against stock transformers: f(x; θ ⊙ M) equals a checkpoint whose removed weights are zero."""

import pytest
import torch
import transformers

from prunebert.choices import EVERY_MATRIX
from prunebert.errors import BadInput
from prunebert.fit import Fit
from prunebert.masks.maskfile import MaskFile
from prunebert.masks.top_v import count_kept, keep_top
from prunebert.network import heads, models, subnetwork
from prunebert.network.subnetwork import SubNetwork
from prunebert.training.phase import train_head
from prunebert.training.step import Stepper
from tests.toys import save_model

KINDS = {"query", "key", "value", "attention-output", "intermediate", "output"}


def batch_of(task):
    return next(task.eval_batches("validation", 8))


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_masked_forward_equals_a_stock_model_with_zeroed_weights(family, tmp_path, task):
    folder = save_model(tmp_path / family, family)
    net = SubNetwork(models.load(str(folder)), seed=3).eval()
    key = net.add_head(task.form(), "linear")
    masks = keep_top({n: w.detach().abs() for n, w in net.prunable().items()}, 0.6)
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).eval()
    ours = dict(net.heads[key].named_parameters()) | {n: p for n, p in net.parameters_of().items()}
    with torch.no_grad():
        for name, parameter in stock.named_parameters():
            parameter.copy_(ours[name] * masks.get(name, 1))
    batch = batch_of(task)
    inputs = {k: v for k, v in batch.inputs.items() if family in ("bert", "electra") or k != "token_type_ids"}
    batch = type(batch)(inputs, batch.labels, batch.rows)
    assert torch.allclose(net(batch, key, masks).logits, stock(**inputs).logits, atol=1e-6)
    assert (net(batch, key, masks).logits - net(batch, key).logits).abs().max() > 1e-5


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_label_words_equal_the_stock_masked_lm_at_cls(family, tmp_path, task):
    folder = save_model(tmp_path / family, family)
    model = models.load(str(folder))
    net = SubNetwork(model).eval()
    key = net.add_head(task.form(), "label_words")
    batch = batch_of(task)
    inputs = {k: v for k, v in batch.inputs.items() if family in ("bert", "electra") or k != "token_type_ids"}
    stock = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    ids = [model.tokenizer.convert_tokens_to_ids(w) for w in ("terrible", "great")]
    expected = stock(**inputs).logits[:, 0, ids]
    assert torch.allclose(net(type(batch)(inputs, batch.labels, batch.rows), key).logits, expected, atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_prunable_is_six_matrices_per_layer(family, tmp_path):
    net = SubNetwork(models.load(str(save_model(tmp_path / family, family))))
    encoder = net.prunable("encoder")
    assert len(encoder) == 12
    assert {net.place(n)[1] for n in encoder} == KINDS and {net.place(n)[0] for n in encoder} == {0, 1}
    assert sum(w.numel() for w in encoder.values()) == 2 * (4 * 32 * 32 + 2 * 32 * 64)
    wide = {"intermediate": (64, 32), "output": (32, 64)}
    for n, w in encoder.items():
        kind = net.place(n)[1]
        assert w.shape == wide.get(kind, (32, 32))
        assert kind not in ("query", "key", "value") or kind in n or f"{kind[0]}_lin" in n
    added = net.prunable("encoder_pooler_embeddings").keys() - encoder.keys()
    assert {net.place(n)[1] for n in added} == {"embeddings"}
    stock = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / family).state_dict()
    assert encoder.keys() <= stock.keys()


def test_a_pooler_is_prunable_only_where_the_checkpoint_has_one(tmp_path, net):
    """A global ranking would remove a new pooler whole, and the head with it: its weights are small."""
    assert net.prunable("encoder_pooler").keys() == net.prunable("encoder").keys()
    pooled = SubNetwork(models.load(str(save_model(tmp_path / "pooled", masked_lm=False))))
    assert pooled.prunable("encoder_pooler").keys() - pooled.prunable("encoder").keys() == {"bert.pooler.dense.weight"}
    assert pooled.place("bert.pooler.dense.weight") == (-1, "pooler")


def test_no_masks_equals_masks_of_ones(net, task):
    key = net.add_head(task.form(), "linear")
    net.eval()
    ones = {n: torch.ones_like(w, dtype=torch.bool) for n, w in net.prunable().items()}
    assert torch.equal(net(batch_of(task), key).logits, net(batch_of(task), key, ones).logits)


def test_rewind_is_exact_and_theta_replaces_the_weights(net, task):
    key = net.add_head(task.form(), "linear")
    net.eval()
    before, batch = net.snapshot(key), batch_of(task)
    expected = net(batch, key).logits.detach().clone()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1)
    assert not torch.equal(net(batch, key).logits, expected)
    assert torch.equal(net(batch, key, theta=before).logits, expected)
    net.rewind(before, key)
    assert torch.equal(net(batch, key).logits, expected)


def test_a_new_head_depends_on_task_and_seed_alone(model_folder, task):
    def head(seed, disturb):
        net = SubNetwork(models.load(str(model_folder)), seed)
        torch.rand(disturb)
        return net.heads[net.add_head(task.form(), "linear")].state_dict()["classifier.weight"]

    assert torch.equal(head(1, 0), head(1, 7))
    assert not torch.equal(head(1, 0), head(2, 0))


def test_a_checkpoint_without_masked_lm_head_is_refused(tmp_path, task):
    net = SubNetwork(models.load(str(save_model(tmp_path / "plain", masked_lm=False))))
    with pytest.raises(BadInput, match="without a masked-LM head"):
        net.add_head(task.form(), "label_words")


def test_fresh_parameters_train_with_a_new_head_only(net, task):
    assert set(net.parameters_of("fresh")) == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert "bert.pooler.dense.weight" in net.head_parameters(net.add_head(task.form(), "linear"))
    assert "bert.pooler.dense.weight" not in net.head_parameters(net.add_head(task.form(), "label_words"))


def test_unknown_names_are_refused(net, task, model):
    with pytest.raises(BadInput, match="did you mean encoder"):
        net.prunable("encodr")
    with pytest.raises(BadInput, match="did you mean linear"):
        net.add_head(task.form(), "liner")
    with pytest.raises(BadInput, match="not one token"):
        heads.word_id(model, "xylophone")


def test_masks_that_are_used_fit_the_network_and_replace_earlier_ones(net):
    masks = keep_top({n: w.detach().abs() for n, w in net.prunable(EVERY_MATRIX).items()}, 0.5)
    name, other = next(n for n in masks if n.endswith("intermediate.dense.weight")), next(iter(masks))
    assert net.use(masks).masks.keys() == masks.keys() and net.place(other)[1] == "embeddings"
    assert net.use({name: masks[name]}).masks.keys() == {name}
    for wrong, message in (
        ({name: masks[name].T}, rf"the mask of {name} is \[32, 64\] of torch.bool, not \[64, 32\] of torch.bool"),
        ({name: masks[name].float()}, rf"the mask of {name} is \[64, 32\] of torch.float32"),
        ({f"{name}s": masks[name]}, rf"{name}s is not a matrix of .* that a mask may cover"),
        ({"bert.embeddings.LayerNorm.weight": torch.ones(32).bool()}, "that a mask may cover"),
    ):
        with pytest.raises(BadInput, match=message):
            net.use(wrong)
    assert net.masks.keys() == {name}
    file = MaskFile(masks, "elsewhere", "0" * 64)
    with pytest.raises(BadInput, match=r"^these masks: made on elsewhere, whose weights are not those of"):
        net.use(file)
    assert net.use(file, force=True).masks.keys() == masks.keys()
    assert net.use(MaskFile({name: masks[name]}, "x", net.model.weights_hash)).masks.keys() == {name}


def test_scores_and_masks_cover_the_same_weights(net):
    S = net.new_scores("encoder")
    assert S.keys() == net.prunable().keys()
    assert count_kept(keep_top(S, 0.5)) == sum(s.numel() for s in S.values()) // 2


def test_rounded_biases_are_current_and_never_the_teachers(net, task, impl, monkeypatch):
    """As on a GPU under autocast: cached while a phase trains, and not used otherwise."""
    calls = []
    monkeypatch.setattr(subnetwork, "low_precision", lambda device: torch.bfloat16)
    call = subnetwork._call
    monkeypatch.setattr(subnetwork, "_call", lambda m, replaced, *a: calls.append(dict(replaced)) or call(m, {}, *a))
    head, batch = net.add_head(task.form(), "linear"), next(task.batches(4, 0))
    fit = Fit(epochs=1, steps=8, batch_size=4, lr=1e-3, head_lr=1e-3)
    masks = {n: torch.ones_like(w, dtype=torch.bool) for n, w in net.prunable().items()}
    biases = [n.removesuffix("weight").removeprefix(net.prefix) + "bias" for n in masks]

    def used_biases(**options):
        calls.clear()
        net(batch, head, masks, **options)
        return {n: calls[0].get(n) for n in biases}

    net.requires_grad_(False).train()
    rounded = used_biases()
    encoder = dict(net.encoder.named_parameters())
    assert all(torch.equal(x, encoder[n].bfloat16()) for n, x in rounded.items())
    theta = {n: w + 1 for n, w in net.snapshot(head).items()}
    assert all(torch.equal(x, encoder[n] + 1) for n, x in used_biases(theta=theta).items())
    net.eval()
    assert set(used_biases().values()) == {None}
    for n in biases:
        encoder[n].data.add_(1.0)  # as a fused optimizer does, which leaves no version count
    Stepper(net.train(), next(train_head(net, task, head, fit, masks=masks)), seed=0, impl=impl)
    assert all(torch.equal(x, encoder[n].bfloat16()) for n, x in used_biases().items())
