"""New heads and label words against the stock classes: dropout, initialisation, and the order of three outputs."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from prunebert.choices import EVERY_MATRIX
from prunebert.errors import BadInput
from prunebert.network import heads, models
from prunebert.network.interface import Batch, Form
from prunebert.network.subnetwork import SubNetwork
from tests.tasks.test_augment import byte_level
from tests.toys import save_model

FAMILIES = ("bert", "roberta", "distilbert", "electra")
THREE = Form("three", False, False, False, False, outputs=3, max_length=16, label_words=["film", "good", "bad"])
SPAN = Form("span", True, False, False, True, outputs=2, max_length=16, label_words=["yes", "no"])
IDS = torch.tensor([[2, 5, 9, 14, 7, 3], [2, 20, 6, 11, 8, 3], [2, 7, 7, 5, 3, 3]])
BATCH = Batch({"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}, torch.zeros(3).long(), torch.arange(3))
# Rates that all differ, so that each can be told from the others.
RATES = {
    **{"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.15, "dropout": 0.25, "attention_dropout": 0.35},
    **{"seq_classif_dropout": 0.4, "qa_dropout": 0.45},
}


def edit(folder: Path, **values) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a function that gives the folder of a family's small model with dropout rates of its own."""
    root = tmp_path_factory.mktemp("heads")
    return cache(lambda family: edit(save_model(root / family, family), initializer_range=0.3, **RATES))


@pytest.fixture(scope="module")
def loaded(folders):
    """Return a function that loads a family's small model once, for tests that train nothing."""
    return cache(lambda family: models.load(str(folders(family))))


def logits_of(net, key, seed):
    torch.manual_seed(seed)
    return net(BATCH, key).logits


@pytest.mark.parametrize("rate", [None, 0.6])
@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_in_a_new_head_is_the_stock_heads(folders, family, rate):
    """The rate and the place: with one seed the head and the stock one drop the same values. The encoder drops none."""
    folder = edit(folders(family), classifier_dropout=rate)
    net = SubNetwork(models.load(str(folder)), seed=3).eval()
    key = net.add_head(THREE, "linear")
    assert not net.heads[key].training
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3).eval()
    ours = dict(net.heads[key].named_parameters()) | net.parameters_of()
    with torch.no_grad():
        for name, parameter in stock.named_parameters():
            parameter.copy_(ours[name])
    torch.testing.assert_close(logits_of(net, key, 0), stock(**BATCH.inputs).logits)
    net.heads[key].train()
    for name in {"classifier", "dropout"} & dict(stock.named_children()).keys():
        stock.get_submodule(name).train()
    for seed in (0, 1):
        torch.manual_seed(seed)
        expected = stock(**BATCH.inputs).logits
        torch.testing.assert_close(logits_of(net, key, seed), expected, atol=1e-4, rtol=1e-4)
    assert not torch.equal(logits_of(net, key, 0), logits_of(net, key, 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_in_a_head_for_spans_is_the_stock_heads(folders, family):
    """Only DistilBERT has some."""
    net = SubNetwork(models.load(str(folders(family))), seed=3).eval()
    key = net.add_head(SPAN, "linear")
    stock = transformers.AutoModelForQuestionAnswering.from_pretrained(folders(family)).eval()
    with torch.no_grad():
        for name, parameter in net.heads[key].named_parameters():
            stock.get_parameter(name).copy_(parameter)
    net.heads[key].train()
    if family == "distilbert":
        stock.dropout.train()
    torch.manual_seed(0)
    expected = stock(**BATCH.inputs)
    torch.testing.assert_close(
        logits_of(net, key, 0), torch.stack([expected.start_logits, expected.end_logits], -1), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize(("kind", "form"), [("linear", THREE), ("layer_mix", THREE), ("linear", SPAN)])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_new_head_starts_from_the_configurations_normal_distribution(loaded, family, kind, form):
    """initializer_range is 0.3, biases are 0, and a layer mix weighs all layers alike."""
    torch.manual_seed(0)
    head = heads.build(kind, loaded(family), form)
    named = dict(head.named_parameters())
    weights = [p for n, p in named.items() if n.endswith("weight")]
    assert weights and all(not p.any() for n, p in named.items() if n.endswith("bias"))
    for weight in weights:
        tolerance = 4 / (2 * weight.numel()) ** 0.5  # of a normal sample's deviation, four standard errors
        assert weight.std().item() == pytest.approx(0.3, rel=tolerance)
        assert abs(weight.mean().item()) < 0.3 * 4 / weight.numel() ** 0.5
    if kind == "layer_mix":
        assert named["mix"].softmax(0).tolist() == [0.5, 0.5]


def test_a_pooler_that_the_checkpoint_lacks_is_drawn_anew_from_the_seed(loaded):
    def pooler(seed, disturb):
        torch.rand(disturb)
        fresh = SubNetwork(loaded("bert"), seed).parameters_of("fresh")
        return {n.removeprefix("bert.pooler.dense."): p.detach().clone() for n, p in fresh.items()}

    first, again, other = pooler(1, 0), pooler(1, 5), pooler(2, 0)
    assert first["weight"].std().item() == pytest.approx(0.3, rel=0.1) and not first["bias"].any()
    assert torch.equal(first["weight"], again["weight"]) and not torch.equal(first["weight"], other["weight"])


def test_a_head_keeps_its_values_and_draws_from_no_other_generator(net):
    state = torch.get_rng_state()
    key = net.eval().add_head(THREE, "linear")
    assert torch.equal(torch.get_rng_state(), state) and not net.heads[key].training
    assert net.train().heads[net.add_head_as("other", "linear", THREE)].training
    weight = net.heads[key].get_parameter("classifier.weight")
    assert not torch.equal(weight, net.heads["other"].get_parameter("classifier.weight"))  # another name, other values
    with torch.no_grad():
        weight.fill_(7.0)
    assert net.add_head(THREE, "linear") == key and (net.heads[key].get_parameter("classifier.weight") == 7).all()


@pytest.mark.parametrize("kind", ["linear", "label_words", "layer_mix"])
def test_three_outputs_in_another_order(net, kind):
    key = net.eval().add_head(THREE, kind)
    with torch.no_grad():
        for name, parameter in net.heads[key].named_parameters():
            if name.endswith("bias"):
                parameter.copy_(torch.arange(parameter.numel()) / 7)
        before = net(BATCH, key).logits
        net.heads["other"] = heads.reordered(net.heads[key], [2, 0, 1])
        assert torch.equal(net(BATCH, "other").logits, before[:, [2, 0, 1]])  # output 0 was output 2
        assert torch.equal(net(BATCH, key).logits, before)


def test_three_label_words_score_in_their_own_order(net, model_folder):
    """Neither the vocabulary's order (good, bad, film) nor the alphabet's."""
    key = net.eval().add_head(THREE, "label_words")
    stock = transformers.AutoModelForMaskedLM.from_pretrained(model_folder).eval()
    ids = net.model.tokenizer.convert_tokens_to_ids(["film", "good", "bad"])
    torch.testing.assert_close(net(BATCH, key).logits, stock(**BATCH.inputs).logits[:, 0, ids])


def test_roberta_reads_a_label_word_after_a_space(tmp_path):
    """`the` begins each sentence of the vocabulary's texts: without a space it is one token, with one it is several."""
    model = byte_level(tmp_path / "bpe")
    vocabulary = model.tokenizer.get_vocab()
    assert "the" in vocabulary and {"Ġgood", "Ġbad", "Ġfilm"} < vocabulary.keys()
    assert heads.word_ids(model, ["film", "bad", "good"]) == [vocabulary[f"Ġ{w}"] for w in ("film", "bad", "good")]
    head = heads.build("label_words", model, THREE)
    decoder = model.masked_lm().get_output_embeddings()
    assert torch.equal(head.words, decoder.weight[[vocabulary[f"Ġ{w}"] for w in THREE.label_words]])
    for word in ("the", "zzz"):
        with pytest.raises(
            BadInput, match=rf"task\.label_words: '{word}' is not one token of .* \(it has [2-9] tokens"
        ):
            heads.word_id(model, word)


@pytest.mark.parametrize("word", ["фильм", "[MASK]", "[UNK]"])
def test_an_unknown_word_is_no_label_word(model, word):
    with pytest.raises(
        BadInput, match=r"task\.label_words: .* is the special token \[(UNK|MASK)\] in .*; choose another"
    ):
        heads.word_id(model, word)


def test_given_weights_and_masks_together_are_the_given_weights_masked(tmp_path):
    """f(x; θ ⊙ M) with θ given: encoder, pooler, embeddings and head are θ's, not the network's."""
    net = SubNetwork(models.load(str(save_model(tmp_path / "pooled", masked_lm=False)))).eval()
    key = net.add_head(THREE, "linear")
    draw = torch.Generator().manual_seed(1)
    masks = {n: torch.rand(w.shape, generator=draw) < 0.5 for n, w in net.prunable(EVERY_MATRIX).items()}
    assert {net.place(n)[1] for n in masks} > {"pooler", "embeddings"}
    theta = net.snapshot(key)
    with torch.no_grad():
        for n, p in net.parameters_of().items():
            p.mul_(masks.get(n, 1))
        expected = net(BATCH, key).logits
        for parameter in net.parameters():
            parameter.normal_(generator=draw)
        assert torch.equal(net(BATCH, key, masks, theta).logits, expected)
        assert not torch.equal(net(BATCH, key, masks).logits, expected)
        assert not torch.equal(net(BATCH, key, theta=theta).logits, expected)


def test_evaluation_mode_has_no_dropout_and_no_gradient_and_ends(net):
    key = net.train().add_head(THREE, "linear")
    with net.evaluation_mode():
        assert not (net.training or net.encoder.training or net.heads[key].training)
        assert not net(BATCH, key).logits.requires_grad
    assert net.training and net.encoder.training and net(BATCH, key).logits.requires_grad
    with net.eval().evaluation_mode():
        pass
    assert not net.training


@pytest.mark.parametrize("read", ["masked_lm", "heads_hash"])
def test_a_checkpoint_whose_encoder_was_replaced_gives_no_head(tmp_path, read):
    """Its head may be unchanged, and its decoder is tied to the word embeddings."""
    folder = save_model(tmp_path / "model")
    model, file = models.load(str(folder)), folder / "model.safetensors"
    tensors = load_file(file)
    (words,) = (n for n in tensors if n.endswith("word_embeddings.weight"))
    save_file(tensors | {words: tensors[words].flip(0)}, file, {"format": "pt"})
    with pytest.raises(BadInput, match=r"^model\.name=.*: the checkpoint has changed since it was loaded$"):
        getattr(model, read)()
    save_file(tensors, file, {"format": "pt"})
    getattr(model, read)()
