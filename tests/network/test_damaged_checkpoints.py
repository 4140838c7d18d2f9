"""Fuzz: a checkpoint with any value in its JSON, or any damage to a file, is refused in one line or it works."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunebert.errors import BadInput
from prunebert.network import models
from prunebert.network.interface import Form
from prunebert.network.subnetwork import SubNetwork
from tests.toys import save_model

pytestmark = pytest.mark.slow
FAMILIES = ("bert", "roberta", "distilbert", "electra")
FORM = Form("toy", False, False, False, False, 2, 32, ["no", "yes"], ["terrible", "great"])
FUZZ = settings(deadline=None, max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

scalars = st.one_of(
    *(st.none(), st.booleans(), st.integers(-3, 200), st.integers(), st.floats(), st.text(max_size=8)),
    st.sampled_from(["gelu", "relu", "left", "right", "relative_key", "float16", "[PAD]", "someone/kernel", "x.y"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=4,
)
EXTRA = (
    *("auto_map", "torch_dtype", "pruned_heads", "quantization_config", "id2label", "num_labels", "problem_type"),
    *("position_embedding_type", "tokenizer_class", "_attn_implementation", "to_dict", "per_layer_config"),
    *("truncation_side", "split_special_tokens", "model_max_length", "added_tokens_decoder", "extra_special_tokens"),
    *("model_input_names", "chat_template", "add_prefix_space", "vocab_file", "__class__", "name_or_path", "backend"),
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("originals")
    return {family: save_model(root / family, family) for family in FAMILIES}


def refused_or_works(folder: Path) -> None:
    """Load a checkpoint and compute with each head. The only exception is BadInput, in one line."""
    try:
        model = models.load(str(folder))
        net = SubNetwork(model).eval()
        ids = model.tokenizer(["the film was good"], truncation=True, max_length=8)["input_ids"]
        for kind in ("linear", "label_words"):
            head = net.heads[net.add_head(FORM, kind)]
            encoded = net.encoder(torch.tensor(ids))
            assert torch.isfinite(head(encoded, None)).all()
    except BadInput as error:
        assert len(str(error).splitlines()) == 1, error


@FUZZ
@given(data=st.data(), family=st.sampled_from(FAMILIES))
def test_any_value_in_any_json(originals, data, family):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(shutil.copytree(originals[family], Path(temporary) / family))
        file = folder / data.draw(st.sampled_from(["config.json", "tokenizer_config.json", "tokenizer.json"]))
        content = json.loads(file.read_text())
        for _ in range(data.draw(st.integers(1, 2))):
            place = content
            key = data.draw(st.sampled_from([*sorted(place), *EXTRA]))
            while isinstance(place.get(key), dict) and place[key] and data.draw(st.booleans()):
                place = place[key]
                key = data.draw(st.sampled_from(sorted(place)))
            if data.draw(st.booleans()):
                place[key] = data.draw(values)
            else:
                place.pop(key, None)
        file.write_text(json.dumps(content))
        refused_or_works(folder)


@FUZZ
@given(data=st.data(), family=st.sampled_from(FAMILIES))
def test_any_damage_to_any_file(originals, data, family):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(shutil.copytree(originals[family], Path(temporary) / family))
        file = data.draw(st.sampled_from(sorted(folder.iterdir())))
        content = bytearray(file.read_bytes())
        damage = data.draw(st.sampled_from(["cut", "flip", "bytes", "gone", "folder", "empty", "repeat", "noise"]))
        if damage == "gone":
            file.unlink()
        elif damage == "folder":
            file.unlink()
            file.mkdir()
        elif damage == "flip":
            position = data.draw(st.integers(0, min(len(content), 3000) - 1))  # the header of the weights
            content[position] ^= 1 << data.draw(st.integers(0, 7))
            file.write_bytes(content)
        elif damage == "cut":
            file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        elif damage == "bytes":
            position = data.draw(st.integers(0, len(content)))
            file.write_bytes(content[:position] + data.draw(st.binary(max_size=9)) + content[position:])
        else:
            replacement = {"empty": b"", "repeat": bytes(content * 2), "noise": data.draw(st.binary(max_size=200))}
            file.write_bytes(replacement[damage])
        refused_or_works(folder)
