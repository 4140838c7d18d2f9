"""Every family against stock transformers: the encoder, masks on it, the heads, and what is refused."""

import json
from dataclasses import replace
from functools import cache

import pytest
import torch
import transformers

from prunebert.choices import EVERY_MATRIX
from prunebert.errors import BadInput
from prunebert.network import fused, heads, models
from prunebert.network.families import FAMILIES as FAMILY_TABLE
from prunebert.network.interface import Batch, Form
from prunebert.network.subnetwork import SubNetwork, full_attention_mask
from tests.network import small

FAMILIES = tuple(small.OWN)
IDS = torch.tensor([[2, 5, 9, 14, 7, 3], [2, 20, 6, 11, 8, 3], [2, 7, 5, 3, 0, 0]])
INPUTS = {"input_ids": IDS, "attention_mask": (IDS > 0).long()}
BATCH = Batch(INPUTS, torch.zeros(3).long(), torch.arange(3))
THREE = Form("three", False, False, False, False, outputs=3, max_length=16, label_words=["film", "good", "bad"])
SPAN = Form("span", True, False, False, True, outputs=2, max_length=16, label_words=["yes", "no"])
TAGS = Form("tags", False, False, False, False, outputs=5, max_length=16, tokens=True)
HIDDEN_WORDS = Form("mlm", False, False, True, False, outputs=0, max_length=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a function that gives the folder of a family's small checkpoint."""
    root = tmp_path_factory.mktemp("families")
    return cache(lambda family: str(small.save(root / family, family)))


@pytest.fixture(scope="module")
def loaded(folder):
    """Return a function that loads a family's small model once, for tests that train nothing."""
    return cache(lambda family: models.load(folder(family)))


@pytest.fixture
def network(loaded):
    """Return a function that gives a network in evaluation mode."""
    return lambda family: SubNetwork(loaded(family), seed=3).eval()


def half(net):
    """Masks that remove about half of every matrix, the pooler and the word embeddings included."""
    generator = torch.Generator().manual_seed(1)
    return {n: torch.rand(p.shape, generator=generator) < 0.5 for n, p in net.prunable(EVERY_MATRIX).items()}


def stock_of(net, path, auto_class, masks, **arguments):
    """Return the stock class with the network's weights, those without a mask bit zeroed by its own names."""
    attention = {"attn_implementation": net.model.family.attention}
    stock = getattr(transformers, auto_class).from_pretrained(path, **attention, **arguments)
    products = {n: p.detach() * masks[n] if n in masks else p.detach() for n, p in net.parameters_of().items()}
    own = {n: p for n, p in fused.joined(products, net.model.family).items()}
    if auto_class == "AutoModel":
        own = {n.removeprefix(net.prefix): p for n, p in own.items()}
    with torch.no_grad():
        for name, parameter in stock.named_parameters():
            if name in own:
                parameter.copy_(own[name])
    return stock.eval()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_encoder_under_masks_is_the_stock_one_with_zeroed_weights(network, folder, family, masked):
    net = network(family)
    masks = half(net) if masked else {n: torch.ones_like(p).bool() for n, p in net.prunable(EVERY_MATRIX).items()}
    stock = stock_of(net, folder(family), "AutoModel", masks, **net.model.family.load)
    key = net.add_head(HIDDEN_WORDS, "states")
    with torch.no_grad():
        hidden = net(BATCH, key, masks, needs=("hidden",)).hidden
        expected = stock(**INPUTS, output_hidden_states=True).hidden_states
    assert len(hidden) == net.model.config.num_hidden_layers + 1
    real = INPUTS["attention_mask"].bool()
    for ours, theirs in zip(hidden, expected, strict=True):
        torch.testing.assert_close(ours[real], theirs[real], atol=1e-6, rtol=0)
    dense = stock_of(net, folder(family), "AutoModel", {}, **net.model.family.load)
    with torch.no_grad():
        changed = (dense(**INPUTS).last_hidden_state - expected[-1])[real].abs().max()
    assert (changed > 1e-2) == masked


HEADS = {
    "AutoModelForSequenceClassification": (THREE, {"num_labels": 3}),
    "AutoModelForTokenClassification": (TAGS, {"num_labels": 5}),
    "AutoModelForQuestionAnswering": (SPAN, {}),
}
WITHOUT = {(family, "AutoModelForQuestionAnswering") for family in ("eurobert", "nomic_bert")}


@pytest.mark.parametrize("auto_class", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_head_is_the_stock_classs(network, folder, family, auto_class):
    form, arguments = HEADS[auto_class]
    net = network(family)
    if (family, auto_class) in WITHOUT:
        assert family not in {c.model_type for c in transformers.MODEL_FOR_QUESTION_ANSWERING_MAPPING}
        with pytest.raises(BadInput, match="no head for answers"):
            net.add_head(form, "linear")
        return
    key = net.add_head(form, "linear")
    masks = half(net)
    stock = stock_of(net, folder(family), auto_class, masks, **arguments)
    head = dict(net.heads[key].named_parameters())
    with torch.no_grad():
        for name, parameter in head.items():
            torch.nn.init.normal_(parameter, std=0.3)
            stock.get_parameter(name).copy_(parameter)
        ours, out = net(BATCH, key, masks).logits, stock(**INPUTS)
    expected = torch.stack([out.start_logits, out.end_logits], -1) if form.span else out.logits
    real = INPUTS["attention_mask"].bool() if form.every_token else slice(None)
    torch.testing.assert_close(ours[real], expected[real], atol=1e-5, rtol=1e-5)
    named = {n for n, _ in stock.named_parameters() if not n.startswith(net.prefix)}
    assert named == head.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_label_words_are_the_stock_masked_lms(network, folder, family):
    net = network(family)
    masks = {n: m for n, m in half(net).items() if net.place(n)[1] != "embeddings"}  # the decoder is tied to them
    stock = stock_of(net, folder(family), "AutoModelForMaskedLM", masks)
    ids = heads.word_ids(net.model, THREE.label_words)
    with torch.no_grad():
        logits = stock(**INPUTS).logits
        ours = net(BATCH, net.add_head(THREE, "label_words"), masks).logits
        every = net(Batch(INPUTS, IDS, BATCH.rows), net.add_head(HIDDEN_WORDS, "linear"), masks).logits
    torch.testing.assert_close(ours, logits[:, 0, ids], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(every, logits.flatten(0, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_modernberts_pooling_is_the_configurations(tmp_path, pooling):
    path = str(small.save(tmp_path / "m", "modernbert", classifier_pooling=pooling))
    net = SubNetwork(models.load(path)).eval()
    key = net.add_head(THREE, "linear")
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(path, num_labels=3).eval()
    with torch.no_grad():
        for name, parameter in net.heads[key].named_parameters():
            if name.startswith("head."):  # both read it from the checkpoint
                assert torch.equal(parameter, stock.get_parameter(name))
            parameter.copy_(stock.get_parameter(name))
        torch.testing.assert_close(net(BATCH, key).logits, stock(**INPUTS).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["bos", "mean", "late"])
def test_eurobert_pools_as_its_configuration_says(tmp_path, pooling):
    path = str(small.save(tmp_path / "m", "eurobert", classifier_pooling=pooling))
    net = SubNetwork(models.load(path)).eval()
    key = net.add_head(THREE, "linear")
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(path, num_labels=3).eval()
    with torch.no_grad():
        for name, parameter in net.heads[key].named_parameters():
            stock.get_parameter(name).copy_(parameter)
        torch.testing.assert_close(net(BATCH, key).logits, stock(**INPUTS).logits, atol=1e-5, rtol=1e-5)


def test_a_deberta_with_the_newer_masked_lm_head(tmp_path):
    """With legacy=false the head has other names, and reads the word embeddings themselves."""
    path = str(small.save(tmp_path / "m", "deberta-v2", legacy=False))
    net = SubNetwork(models.load(path)).eval()
    stock = transformers.AutoModelForMaskedLM.from_pretrained(path, attn_implementation="eager").eval()
    assert "lm_predictions.lm_head.dense.weight" in dict(stock.named_parameters())
    with torch.no_grad():
        ours = net(Batch(INPUTS, IDS, BATCH.rows), net.add_head(HIDDEN_WORDS, "linear")).logits
        torch.testing.assert_close(ours, stock(**INPUTS).logits.flatten(0, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_scores_are_the_stock_ones_or_refused(network, folder, family, monkeypatch):
    """Where they can be computed from outside, their softmax is what the stock encoder attends with; elsewhere not."""
    net = network(family)
    key = net.add_head(HIDDEN_WORDS, "states")
    stock = transformers.AutoModel.from_pretrained(
        folder(family), attn_implementation="eager", **net.model.family.load
    ).eval()
    with torch.no_grad():
        attended = stock(**INPUTS, output_attentions=True).attentions
        if not net.model.family.scores:
            with pytest.raises(BadInput, match="attention scores"):
                net(BATCH, key, needs=("attention",))
        monkeypatch.setattr(net.model, "family", replace(net.model.family, scores=True))
        scores = net(BATCH, key, needs=("attention",)).attention if has_plain_heads(net) else ()
    same = [torch.allclose(s.softmax(-1), a, atol=1e-5) for s, a in zip(scores, attended, strict=False)]
    assert (len(same) == len(attended) and all(same)) == FAMILY_TABLE[family].scores


def has_plain_heads(net):
    """Whether queries and keys have biases and as many heads, without which no score can be computed from outside."""
    named = net.parameters_of()
    query, key = (next(n for n in net.prunable() if net.place(n)[1] == kind) for kind in ("query", "key"))
    return query.replace("weight", "bias") in named and named[query].shape == named[key].shape


@pytest.mark.parametrize("family", FAMILIES)
def test_every_matrix_of_a_layer_and_the_pooler_may_be_pruned(network, family):
    net = network(family)
    known = FAMILY_TABLE[family]
    named = {n: p for n, p in net.encoder.named_parameters() if p.ndim == 2}
    in_layers = {n for n in named if known.layer_of(n) is not None}
    assert in_layers == {n for n in named if known.place(n)} and in_layers
    poolers = {n for n in named if n.startswith("pooler")}
    assert poolers == ({known.pooler} if known.pooler else set())
    assert named[known.embeddings] is net.encoder.get_input_embeddings().weight


@pytest.mark.parametrize("auto_class", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_head_drops_what_the_stock_one_drops(tmp_path, family, auto_class):
    """With one seed, at rates that differ from each other and from those of the encoder, which drops nothing here."""
    if (family, auto_class) in WITHOUT:
        return
    form, arguments = HEADS[auto_class]
    path = str(small.save(tmp_path / "m", family))
    values = json.loads((tmp_path / "m/config.json").read_text())
    keys = sorted(key for key in values if "drop" in key)
    rates = {key: 0.2 + 0.5 * i / len(keys) for i, key in enumerate(keys)}
    (tmp_path / "m/config.json").write_text(json.dumps(values | rates))
    net = SubNetwork(models.load(path)).eval()
    key = net.add_head(form, "linear")
    stock = stock_of(net, path, auto_class, {}, **arguments)
    with torch.no_grad():
        for name, parameter in net.heads[key].named_parameters():
            stock.get_parameter(name).copy_(torch.nn.init.normal_(parameter, std=0.3))
    net.heads[key].train()
    for name, child in stock.named_children():
        child.train(name != net.model.family.prefix)
    differs = set()
    for seed in (0, 1):
        torch.manual_seed(seed)
        out = stock(**INPUTS)
        torch.manual_seed(seed)
        ours = net(BATCH, key).logits
        expected = torch.stack([out.start_logits, out.end_logits], -1) if form.span else out.logits
        real = INPUTS["attention_mask"].bool() if form.every_token else slice(None)
        torch.testing.assert_close(ours[real], expected[real], atol=1e-4, rtol=1e-4)
        differs.add(round(float(ours[0].detach().sum()), 4))
    has_dropout = any(isinstance(module, torch.nn.Dropout) and module.p for module in net.heads[key].modules())
    assert len(differs) == 1 + has_dropout


@pytest.mark.parametrize("family", [f for f in FAMILIES if FAMILY_TABLE[f].mask_per_query])
def test_a_mask_for_each_query_changes_nothing(network, family):
    """A GPU gets one, as it need not be waited for."""
    encoder = network(family).encoder
    with torch.no_grad():
        plain = encoder(**INPUTS).last_hidden_state
        wide = encoder(**INPUTS | {"attention_mask": full_attention_mask(INPUTS["attention_mask"])}).last_hidden_state
    real = INPUTS["attention_mask"].bool()
    torch.testing.assert_close(wide[real], plain[real], atol=1e-6, rtol=0)


def test_a_nomic_bert_with_its_earlier_configuration_is_the_same_network(tmp_path):
    """Published ones have GPT-2's keys, and name code that is not run. Another network than the family's is refused."""
    folder = small.save(tmp_path / "m", "nomic_bert")
    now = json.loads((folder / "config.json").read_text())
    same = models.load(str(folder))
    keys = {"n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads"}
    keys |= {"n_inner": "intermediate_size", "n_positions": "max_position_embeddings"}
    earlier = {older: now[key] for older, key in keys.items()} | {"rotary_emb_base": 500, "layer_norm_epsilon": 1e-12}
    earlier |= {"model_type": "nomic_bert", "vocab_size": now["vocab_size"], "activation_function": "swiglu"}
    earlier |= {"rotary_emb_fraction": 1.0, "prenorm": False, "auto_map": {"AutoModel": "code.NomicBertModel"}}
    (folder / "config.json").write_text(json.dumps(earlier | {"pad_token_id": now["pad_token_id"]}))
    model = models.load(str(folder))
    assert model.weights_hash == same.weights_hash and model.positions == same.positions
    assert model.config.rope_parameters["rope_theta"] == 500 and "rope_parameters" in model.unusual()
    for key, value in (("prenorm", True), ("rotary_emb_fraction", 0.5), ("num_experts", 8), ("causal", True)):
        (folder / "config.json").write_text(json.dumps(earlier | {key: value}))
        with pytest.raises(BadInput, match=f"{key}={value} is another network"):
            models.load(str(folder))


def test_a_size_of_heads_may_be_given_if_it_is_the_usual_one(tmp_path):
    """DeBERTa-v2-xxlarge gives it."""
    folder = small.save(tmp_path / "m", "deberta-v2")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"attention_head_size": 8}))
    assert models.load(str(folder)).config.attention_head_size == 8
    (folder / "config.json").write_text(json.dumps(values | {"attention_head_size": 16}))
    with pytest.raises(BadInput, match="attention_head_size=16 is not hidden_size/num_attention_heads"):
        models.load(str(folder))
