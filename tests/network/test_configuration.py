"""config.json: each key that means another network is refused by its own name, and each number has its bounds."""

import json

import pytest

from prunebert.errors import BadInput
from prunebert.network import configuration
from prunebert.network.checkpoint import Place
from prunebert.network.families import FAMILIES

VOCABULARY = 81
BERT = {
    **{"model_type": "bert", "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2},
    **{"num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 64},
}
DISTILBERT = {
    **{"model_type": "distilbert", "vocab_size": VOCABULARY, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "max_position_embeddings": 64,
}
ELECTRA = BERT | {"model_type": "electra", "embedding_size": 16}
MODERNBERT = BERT | {"model_type": "modernbert", "pad_token_id": 0}
EUROBERT = BERT | {"model_type": "eurobert", "pad_token_id": 0}
NOMIC = BERT | {"model_type": "nomic_bert"}
# As in config.json of the published nomic-embed-text-v1.5, whose own code reads these.
NOMICS_OWN = {
    **{"activation_function": "swiglu", "layer_norm_epsilon": 1e-12, "prenorm": False, "parallel_block": False},
    **{"causal": False, "use_rms_norm": None, "qkv_proj_bias": False, "mlp_fc1_bias": False, "mlp_fc2_bias": False},
    **{"rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False},
    **{"rotary_emb_scale_base": None, "rotary_scaling_factor": None, "n_embd": 32, "n_positions": 64},
}


def label(value):
    """Return a parameter's name in pytest's output: of a whole configuration, its family."""
    return value["model_type"] if isinstance(value, dict) and "model_type" in value else str(value)


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a configuration with these keys from a folder."""

    def call(values):
        (tmp_path / "config.json").write_text(json.dumps(values))
        return configuration.read(Place("m", str(tmp_path), "main"), FAMILIES)

    return call


@pytest.mark.parametrize("plain", [BERT, DISTILBERT, ELECTRA], ids=label)
def test_a_plain_configuration_is_read(read, plain):
    found = read(plain | {"pad_token_id": VOCABULARY - 1, "tie_word_embeddings": False})
    assert (found.hidden_size, found.num_hidden_layers, found.num_attention_heads) == (32, 2, 4)
    assert found.pad_token_id == 80 and found._attn_implementation == "sdpa" and not found.tie_word_embeddings


def test_the_general_names_are_those_of_distilbert_too(read):
    names = {"dim": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads"}
    found = read({names.get(key, key): value for key, value in DISTILBERT.items()})
    assert (found.dim, found.n_layers, found.n_heads, found.hidden_dim) == (32, 2, 4, 64)


@pytest.mark.parametrize(
    ("plain", "key", "value"),
    [
        # another network, or weights that are stored in another way
        *((BERT, key, True) for key in ("is_encoder_decoder", "is_decoder", "add_cross_attention")),
        *((BERT, key, {"a": 1}) for key in ("per_layer_config", "fusion_config", "adapters", "pruned_heads")),
        *((BERT, key, {"a": 1}) for key in ("compression_config", "quantization_config")),
        (BERT, "transformers_weights", "x.safetensors"),
        # code
        (BERT, "attn_implementation", {"text": "eager"}),
        (BERT, "experts_implementation", "someone/kernel"),
        (BERT, "_attn_implementation_internal", "someone/kernel"),
        # rates, of each family's own names
        *((BERT, "attention_probs_dropout_prob", value) for value in (-0.1, 1.5, "0.1", True)),
        (BERT, "classifier_dropout", 2),
        *((DISTILBERT, key, -1) for key in ("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout")),
        # other numbers
        *((BERT, "layer_norm_eps", value) for value in (float("inf"), -1e-12, "1e-12")),
        *((BERT, "pad_token_id", value) for value in (VOCABULARY, -1, "0", 0.5)),
        *((BERT, "type_vocab_size", value) for value in (0, "2", 10_000_001)),
        (ELECTRA, "embedding_size", 0),
        (BERT, "tie_word_embeddings", 1),
        (DISTILBERT, "n_heads", 5),
        # activations
        (DISTILBERT, "activation", "prelu"),
        (DISTILBERT, "activation", "mish_of_mine"),
        (BERT, "model_type", ["bert"]),
        # values of the newer families, on which transformers fails or which it leaves out
        (EUROBERT, "classifier_pooling", "cls"),
        (MODERNBERT, "classifier_pooling", "late"),
        *((EUROBERT, "rope_theta", value) for value in (0, -5.0, "5", float("inf"))),
        (EUROBERT, "rope_parameters", [1]),
        *((MODERNBERT, "initializer_cutoff_factor", value) for value in (-1.0, float("nan"))),
        *((NOMIC, key, True) for key in NOMICS_OWN if key not in FAMILIES["nomic_bert"].older),
    ],
    ids=label,
)
def test_a_value_is_refused_with_its_key(read, plain, key, value):
    with pytest.raises(BadInput, match=rf"^model\.name=m: .*\b{key}\b") as caught:
        read(plain | {key: value})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("plain", "key"),
    [(BERT, "num_hidden_layers"), (BERT, "max_position_embeddings"), (DISTILBERT, "dim"), (DISTILBERT, "hidden_dim")],
    ids=label,
)
def test_a_size_that_is_missing_is_refused_with_the_familys_name(read, plain, key):
    with pytest.raises(BadInput, match=rf"config\.json lacks {key}$"):
        read({name: value for name, value in plain.items() if name != key})


def test_the_keys_of_nomics_own_code_are_read_where_they_say_what_transformers_computes(read):
    found = read(NOMIC | NOMICS_OWN)
    assert (found.hidden_size, found.hidden_act, found.rope_parameters["rope_theta"]) == (32, "silu", 1000.0)
    assert not read(NOMIC | {"tie_word_embeddings": False}).tie_word_embeddings


def test_modernberts_half_window_is_honoured_as_transformers_does(read):
    assert read(MODERNBERT | {"local_attention": 8, "sliding_window": 2}).local_attention == 4


def test_a_kind_of_rotation_that_transformers_lacks_is_refused_among_those_of_several_layers_too(read):
    right = {"rope_type": "default", "rope_theta": 10.0}
    for wrong, key in (
        ({"rope_type": "spiral", "rope_theta": 10.0}, "rope_type"),
        (right | {"rope_theta": 0}, "rope_theta"),
    ):
        with pytest.raises(BadInput, match=rf"^model\.name=m: .*\b{key}\b"):
            read(MODERNBERT | {"rope_parameters": {"full_attention": right, "sliding_attention": wrong}})


def test_no_layer_between_two_global_ones_is_refused(read):
    with pytest.raises(BadInput, match=r"^model\.name=m: config\.json: "):
        read(MODERNBERT | {"global_attn_every_n_layers": 0})
