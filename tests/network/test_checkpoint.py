"""A checkpoint is refused in one line that names the file or tensor, or it loads and computes what it says."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from prunebert.errors import BadInput
from prunebert.network import checkpoint, models
from prunebert.network.subnetwork import SubNetwork
from tests.toys import save_model

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 44\n"
QUERY = "bert.encoder.layer.0.attention.self.query.weight"
WORDS = "bert.embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("checkpoint") / "bert")


@pytest.fixture
def folder(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "bert"))


def edit(folder: Path, **values) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def change(folder: Path, change_tensors) -> None:
    """Save the tensors again after `change_tensors`, which edits a dict."""
    tensors = load_file(folder / "model.safetensors")
    change_tensors(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def refusal(folder: Path | str) -> str:
    """Return the line with which a checkpoint is refused."""
    with pytest.raises(BadInput) as error:
        models.load(str(folder))
    line = str(error.value)
    assert "\n" not in line and f"model.name={folder}" in line and len(line) < 1000
    return line


def cut(name: str, part: float):
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * part)])

    return damage


def write(name: str, text: str):
    return lambda folder: (folder / name).write_text(text)


def tensors(change_tensors):
    return lambda folder: change(folder, change_tensors)


def becomes_folder(name: str):
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def index(folder: Path, weight_map: object) -> None:
    """Replace the weights' single file by a shard and an index over it."""
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def to_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


DAMAGES = {
    "weights: pointer": (write("model.safetensors", POINTER), "git-lfs"),
    "weights: cut": (cut("model.safetensors", 0.6), "model.safetensors is damaged"),
    "weights: header cut": (cut("model.safetensors", 0.001), "model.safetensors is damaged"),
    "weights: empty": (write("model.safetensors", ""), "model.safetensors is empty"),
    "weights: text": (write("model.safetensors", "not tensors at all"), "model.safetensors is damaged"),
    "weights: folder": (becomes_folder("model.safetensors"), "model.safetensors is not a file"),
    "weights: pickle": (to_pickle, "pytorch_model.bin is not read"),
    "index: pickle": (lambda f: index(f, {WORDS: "pytorch_model.bin"}), "'pytorch_model.bin'; only .safetensors"),
    "index: elsewhere": (lambda f: index(f, {WORDS: "../a.safetensors"}), "'../a.safetensors'; only .safetensors"),
    "index: number": (lambda f: index(f, {WORDS: 1}), "places bert.embeddings.word_embeddings.weight in 1"),
    "index: empty": (lambda f: index(f, {}), "lacks weight_map"),
    "index: list": (lambda f: index(f, ["a"]), "lacks weight_map"),
    "index: no shard": (lambda f: index(f, {WORDS: "b.safetensors"}), "b.safetensors is missing"),
    "index: no tensor": (lambda f: index(f, {"x": "a.safetensors"}), "a.safetensors lacks x"),
    "tensor: shape": (tensors(lambda t: t.update({QUERY: t[QUERY][:8]})), QUERY + r" is \[8, 32\].*\[32, 32\]"),
    "tensor: NaN": (tensors(lambda t: t[QUERY].view(-1)[3:4].fill_(torch.nan)), "query.weight contains NaN"),
    "tensor: infinite": (tensors(lambda t: t[WORDS].view(-1)[3:4].fill_(torch.inf)), "word_embeddings.weight contains"),
    "tensor: missing": (tensors(lambda t: t.pop(QUERY)), "lacks encoder weights"),
    "tensor: missing norm": (tensors(lambda t: t.pop("bert.embeddings.LayerNorm.bias")), "lacks encoder weights"),
    "tensor: unread": (
        tensors(lambda t: t.update({"bert.embeddings.distance_embedding.weight": torch.ones(3, 4)})),
        "distance_embedding.weight, which a bert of this config.json does not read",
    ),
    "tensor: unread layer": (
        tensors(lambda t: t.update({QUERY.replace(".0.", ".2."): torch.ones(32, 32)})),
        r"encoder.layer.2.attention.self.query.weight, which",
    ),
    "tensor: twice": (tensors(lambda t: t.update({QUERY.removeprefix("bert."): torch.ones(32, 32)})), "twice"),
    "tensor: int8": (tensors(lambda t: t.update({QUERY: t[QUERY].to(torch.int8)})), "is I8; quantised"),
    "tensor: float8": (tensors(lambda t: t.update({QUERY: t[QUERY].to(torch.float8_e4m3fn)})), "is F8_E4M3; quantised"),
    "config: pointer": (write("config.json", POINTER), "config.json is a git-lfs pointer"),
    "config: cut": (cut("config.json", 0.5), "config.json is not JSON"),
    "config: list": (write("config.json", "[1]"), "config.json holds list"),
    "config: deep": (write("config.json", "[" * 100_000), "config.json is not JSON"),
    "config: bytes": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe{"), "config.json is not JSON"),
    "config: missing": (lambda f: (f / "config.json").unlink(), r"cannot be loaded \(config.json is missing\)"),
    "adapter": (write("adapter_config.json", "{}"), "adapters are not read"),
    "tokenizer.json: pointer": (write("tokenizer.json", POINTER), "tokenizer.json is a git-lfs pointer"),
    "tokenizer.json: cut": (cut("tokenizer.json", 0.5), "tokenizer.json is not JSON"),
    "tokenizer.json: kind": (write("tokenizer.json", '{"model": {"type": "No"}}'), "tokenizer cannot be read"),
    "vocab.txt: pointer": (write("vocab.txt", POINTER), "vocab.txt is a git-lfs pointer"),
    "merges.txt: empty": (write("merges.txt", ""), "merges.txt is empty"),
    "added_tokens.json: list": (write("added_tokens.json", "[]"), "added_tokens.json holds list"),
    "special_tokens_map.json: text": (write("special_tokens_map.json", "x"), "special_tokens_map.json is not JSON"),
    "vocab.json: folder": (lambda f: (f / "vocab.json").mkdir(), "vocab.json is not a file"),
    "tokenizer_config: list": (write("tokenizer_config.json", "[]"), "tokenizer_config.json holds list"),
    "tokenizer_config: code": (
        write("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": ["t.T", null]}}'),
        "auto_map names Python code",
    ),
    "tokenizer_config: class": (write("tokenizer_config.json", '{"tokenizer_class": 5}'), "tokenizer cannot be read"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_folder_is_refused_in_one_line_that_names_the_file_or_tensor(folder, name):
    damage, message = DAMAGES[name]
    damage(folder)
    line = refusal(folder)
    assert re.search(message, line), line


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"auto_map": {"AutoConfig": "configuration_x.X"}, "model_type": "x"}, "auto_map names Python code"),
        ({"attn_implementation": "someone/kernel"}, "attn_implementation=someone/kernel names a kernel"),
        ({"_attn_implementation": "someone/kernel"}, "names a kernel"),
        ({"transformers_weights": "../x.bin"}, "transformers_weights="),
        ({"model_type": "funnel"}, "is a funnel: allowed families are bert, roberta, .*docs/add-a-model-family.md"),
        ({"model_type": None}, "model_type=None"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type=relative_key.*allowed is absolute"),
        ({"is_decoder": True}, "is_decoder=True"),
        ({"add_cross_attention": True}, "add_cross_attention=True"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads="),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised weights"),
        ({"hidden_act": "my_gelu"}, "hidden_act=my_gelu: allowed are gelu, "),
        ({"hidden_act": "prelu"}, "hidden_act=prelu"),
        ({"hidden_act": ["gelu"]}, "hidden_act="),
        ({"num_attention_heads": 5}, "num_attention_heads=5 does not divide hidden_size=32"),
        ({"num_attention_heads": 0}, "num_attention_heads=0 must be"),
        ({"hidden_size": -1}, "hidden_size=-1 must be"),
        ({"hidden_size": True}, "hidden_size=True must be"),
        ({"hidden_size": 1 << 60, "num_attention_heads": 1}, "hidden_size=1152921504606846976 must be"),
        ({"hidden_size": 10**7, "num_attention_heads": 1}, r"\[32\] in the weights and \[10000000\]"),
        ({"intermediate_size": 65}, r"is \[64\] in the weights and \[65\]"),
        ({"num_hidden_layers": 10**6}, "1000000 layers and the weights have 2"),
        ({"num_hidden_layers": 1}, "encoder.layer.1.*which a bert of this config.json does not read"),
        ({"vocab_size": 80}, r"\[81\] in the weights and \[80\]|\[81, 32\] in the weights and \[80, 32\]"),
        ({"max_position_embeddings": "64"}, "max_position_embeddings='64' must be"),
        ({"hidden_dropout_prob": 2}, "hidden_dropout_prob=2 must be"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps=nan must be"),
        ({"initializer_range": -1}, "initializer_range=-1 must be"),
        ({"pad_token_id": 999}, "pad_token_id=999 is not below vocab_size=81"),
        ({"tie_word_embeddings": "perhaps"}, "tie_word_embeddings"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_honoured_is_refused(folder, values, message):
    edit(folder, **values)
    line = refusal(folder)
    assert re.search(message, line), line


@pytest.mark.parametrize("key", ["hidden_size", "num_attention_heads", "intermediate_size", "vocab_size"])
def test_a_missing_size_is_not_guessed(folder, key):
    config = json.loads((folder / "config.json").read_text())
    del config[key]
    (folder / "config.json").write_text(json.dumps(config))
    assert f"config.json lacks {key}" in refusal(folder)


def test_a_head_that_another_task_left_in_the_configuration_does_not_count(folder, original):
    edit(
        folder,
        id2label={"a": 1},
        num_labels="many",
        problem_type="regress",
        torch_dtype="float99",
        return_dict=False,
        output_hidden_states=True,
        _attn_implementation="eager",
        chunk_size_feed_forward=7,
        gradient_checkpointing=False,
    )
    model, plain = models.load(str(folder)), models.load(str(original))
    assert model.weights_hash == plain.weights_hash and model.config._attn_implementation == "sdpa"
    assert model.architecture() == plain.architecture()  # which names the cached candidates of augment=mlm
    ids = torch.arange(5, 16)[None]
    assert torch.equal(model.encoder(ids).last_hidden_state, plain.encoder(ids).last_hidden_state)


@pytest.mark.parametrize("values", [{"hidden_act": "relu"}, {"layer_norm_eps": 0.5}, {"classifier_dropout": 0.4}])
def test_an_honoured_value_reaches_the_network_as_in_stock_transformers(folder, values):
    edit(folder, **values)
    model = models.load(str(folder))
    stock = transformers.AutoModel.from_pretrained(folder).eval()
    ids = torch.arange(5, 16)[None]
    assert torch.equal(model.encoder.eval()(ids).last_hidden_state, stock(ids).last_hidden_state)


def test_distilberts_head_has_its_own_dropout_and_activation(tmp_path, task):
    folder = save_model(tmp_path / "distilbert", "distilbert")
    edit(folder, activation="relu", seq_classif_dropout=0.35, classifier_dropout=0.9)
    net = SubNetwork(models.load(str(folder))).eval()
    head = net.heads[net.add_head(task.form(), "linear")]
    assert [m.p for m in head.modules() if isinstance(m, torch.nn.Dropout)] == [0.35]
    key = net.add_head(task.form(), "label_words")
    batch = next(task.eval_batches("validation", 4))
    stock = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    ids = [net.model.tokenizer.convert_tokens_to_ids(w) for w in ("terrible", "great")]
    inputs = {k: v for k, v in batch.inputs.items() if k != "token_type_ids"}
    assert torch.allclose(net(batch, key).logits, stock(**inputs).logits[:, 0, ids], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_half_precision_weights_run_in_float32_with_every_head(tmp_path, task, family, dtype):
    folder = save_model(tmp_path / family, family)
    change(folder, lambda t: t.update({n: x.to(dtype) for n, x in t.items()}))
    half = models.load(str(folder))
    change(folder, lambda t: t.update({n: x.float() for n, x in t.items()}))
    single = models.load(str(folder))
    assert half.weights_hash == single.weights_hash
    nets = [SubNetwork(m).eval() for m in (half, single)]
    for kind in ("label_words", "linear"):
        keys = [net.add_head(task.form(), kind) for net in nets]
        batch = next(task.eval_batches("validation", 4))
        assert torch.equal(*(net(batch, key).logits for net, key in zip(nets, keys, strict=True)))
    assert {p.dtype for p in half.masked_lm().parameters()} == {torch.float32}


def test_shards_and_old_names_of_norms_are_read(folder, original):
    change(folder, lambda t: [t.update({n.replace("LayerNorm.weight", "LayerNorm.gamma"): t.pop(n)}) for n in [*t]])
    stored = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    placement = {name: f"{i % 3}.safetensors" for i, name in enumerate(stored)}
    for file in set(placement.values()):
        save_file({n: x for n, x in stored.items() if placement[n] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placement}))
    assert models.load(str(folder)).weights_hash == models.load(str(original)).weights_hash
    save_file(stored, folder / "0.safetensors")
    assert "is in two shards" in refusal(folder)


def test_nothing_of_a_checkpoint_runs(folder, monkeypatch):
    """A file of Python beside the weights is not imported, and neither pickles nor the terminal are read."""
    ran = folder / "ran"
    for name in ("configuration_x", "tokenization_x", "modeling_x"):
        (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\nX = object\n")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question was asked"))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was read"))
    assert models.load(str(folder)).masked_lm() is not None
    edit(folder, auto_map={"AutoConfig": "configuration_x.X", "AutoModelForMaskedLM": "modeling_x.X"})
    assert "auto_map" in refusal(folder)
    assert not ran.exists()


def test_names_that_are_no_checkpoint(folder, monkeypatch):
    monkeypatch.setattr(checkpoint.hub, "prepare", lambda: False)
    with pytest.raises(BadInput, match="is empty"):
        models.load("  ")
    assert "is a file" in refusal(folder / "config.json")
    assert "no such folder" in refusal(folder / "absent")
    assert "no such folder" in refusal("./absent")
    assert models.load(f"{folder}/").weights_hash == models.load(str(folder)).weights_hash
    for name in ("a/b/c", "bert base", " bert", "C:\\bert", "~nobody-of-that-name/x", "x" * 3000, "bert\nbase"):
        with pytest.raises(BadInput) as error:
            models.load(name)
        assert "\n" not in str(error.value)
