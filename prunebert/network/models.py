"""Load an encoder with everything that belongs to its checkpoint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from prunebert.errors import BadInput, bad_choice
from prunebert.network import architecture, checkpoint, configuration, fused, masked_lm, tokenizers, weights, zeros
from prunebert.network.checkpoint import OTHER_SOURCES, Place
from prunebert.network.families import FAMILIES
from prunebert.network.family import Family
from prunebert.ranges import Text
from prunebert.system import hub, packaged

ModelPackage = Annotated[dict[str, Any], "arguments of prunebert.system.packaged.folder, with model"]


@dataclass
class Model:
    """A loaded encoder with its tokenizer, its family's names and its origin."""

    name: str  # as the user gave it: a hub id or a folder
    path: str  # where transformers reads it from
    revision: str  # of the hub
    encoder: nn.Module
    config: Any  # transformers' configuration
    tokenizer: Any
    family: Family
    fresh: tuple[str, ...]  # encoder parameters that the checkpoint lacks (a pooler, say); they train with the head
    positions: int  # the longest sequence it can read, in tokens
    heads: int  # attention heads of a layer
    weights_hash: str  # of the weights that the checkpoint holds
    origin: dict[str, Any]  # `load`'s arguments
    given: dict[str, Tensor] = field(default_factory=dict)  # the masks of model.masks, by the encoder's names
    heads_read: str | None = None  # heads_hash() once something has read the checkpoint's heads; None before

    def architecture(self) -> dict[str, Any]:
        """Return its configuration without its origin and transformers' version."""
        return {k: v for k, v in self.config.to_dict().items() if k not in ("_name_or_path", "transformers_version")}

    def unusual(self) -> dict[str, Any]:
        """Return the values of its configuration that its family's published checkpoints do not have."""
        return architecture.unusual(self.config, self.family)

    def masked_lm(self) -> nn.Module:
        """Load the same checkpoint with its masked-LM head, in float32 as the encoder.

        Raises BadInput if it was saved without one, or has changed since its heads were read before.
        """
        tensors = self._tensors()
        self._note_heads(tensors)
        model, info = self._read("AutoModelForMaskedLM", {}, tensors)
        absent = [key for key in info["missing_keys"] if not key.startswith(self.family.prefix + ".")]
        tied = masked_lm.tied(model)
        absent = [key for key in absent if not (tied and key.endswith("decoder.weight"))]
        if absent:
            raise BadInput(
                f"model {self.name} was saved without a masked-LM head ({absent[0]} is missing), which label words "
                "and task=mlm need; instead of label words use method.head=linear, for method=tamt use "
                "method.objective=kd, for method=sparse_transfer a model that has one, such as model=bert-base"
            )
        return model.eval()

    def head_tensors(self, path: str) -> dict[str, Tensor]:
        """Return the checkpoint's tensors under a head's module, by their names in it; empty if it holds none."""
        tensors = self._tensors()
        found = {n.removeprefix(f"{path}."): x.float() for n, x in tensors.items() if n.startswith(f"{path}.")}
        if found:
            self._note_heads(tensors)
        return found

    def pretrained(self, tensors: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Read the checkpoint's weights again, by the encoder's names; those in memory may have been trained.

        tensors: all of the checkpoint, if they have been read.

        Raises BadInput if they cannot be read or have changed.
        """
        encoder, _ = self._read("AutoModel", self.family.load, tensors)
        pretrained = {n: p.detach() for n, p in encoder.named_parameters() if n not in self.fresh}
        if hash_of(pretrained) != self.weights_hash:
            raise BadInput(f"model.name={self.name}: the checkpoint has changed since it was loaded")
        return pretrained

    def heads_hash(self) -> str:
        """Return a hash of the checkpoint's tensors outside the encoder, such as the masked-LM head."""
        return self.heads_read or self._note_heads(self._tensors())

    def _note_heads(self, tensors: dict[str, Tensor]) -> str:
        names = (fused.stock_name(n, self.family) for n, _ in self.encoder.named_parameters())
        encoder = {weights.own_name(n, self.family) for n in names}
        found = hash_of({n: x.float() for n, x in tensors.items() if weights.own_name(n, self.family) not in encoder})
        self.pretrained(tensors)  # refuses another encoder: a head may be tied to its embeddings
        if self.heads_read not in (None, found):
            raise BadInput(f"model.name={self.name}: the checkpoint has changed since it was loaded")
        self.heads_read = found
        return found

    def _tensors(self) -> dict[str, Tensor]:
        source = Place(self.name, self.path, self.revision)
        with hub.explained(f"model.name={self.name}", "the checkpoint that the run started from", source.remote):
            return weights.own_tensors(source, self.family)

    def _read(
        self, auto_class: str, arguments: dict[str, Any], tensors: dict[str, Tensor] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        source = Place(self.name, self.path, self.revision)
        with hub.explained(f"model.name={self.name}", "the checkpoint that the run started from", source.remote):
            return weights.read(source, auto_class, self.config, self.family, arguments, tensors)


def load(
    name: Text,
    *,
    revision: Text = "main",
    package: ModelPackage | None = None,
    overlaps: dict[str, Text] | None = None,
    masks: Literal["zeros"] | None = None,
) -> Model:
    """Load a Model from a hub id, a folder, or an installed Python package whose hashes are checked.

    Args:
        name: a hub id or a folder.
        revision: the hub's branch, tag or commit.
        package: the package that contains the model, as packaged.folder takes it, and the model's name ("model").
        overlaps: {task or corpus: why} whose rows the model was trained on; settings.overlaps reads it.
        masks: "zeros": the exact zeros of the checkpoint's matrices are masks, which every phase keeps (zeros.py).

    Raises BadInput for a family that is not in FAMILIES, a missing package or folder, a hub that does not answer, and a
    checkpoint whose files are damaged, do not fit each other, or would run code. Raises
    it for masks="zeros" if no weight is zero.
    """
    if masks not in (None, "zeros"):
        raise bad_choice("model.masks", masks, ["zeros"])
    if package and package["model"] != name:
        raise BadInput(
            f"model.name={name}: model={package['model']} is a model inside an installed package; for a model of your "
            f"own use model=bert-base model.name={name}"
        )
    folder = str(packaged.folder(**{k: v for k, v in package.items() if k != "model"})) if package else None
    source = checkpoint.place(name, folder, revision)
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with hub.explained(f"model.name={name}", OTHER_SOURCES, source.remote):
        config = configuration.read(source, FAMILIES)
        family = FAMILIES[config.model_type]
        tokenizer = tokenizers.load(source, config)
        encoder, info = weights.read(source, "AutoModel", config, family, family.load)
    missing = set(info["missing_keys"])  # by the stock classes' names
    fresh = tuple(sorted(n for n, _ in encoder.named_parameters() if fused.stock_name(n, family) in missing))
    if absent := [n for n in fresh if not n.startswith("pooler.")]:
        raise BadInput(
            f"model.name={name}: the checkpoint lacks encoder weights ({absent[0]}, …); it is not a {config.model_type}"
        )
    positions = config.max_position_embeddings
    if family.positions_after_padding:
        positions -= config.pad_token_id + 1
    if positions < 1:
        raise source.bad(f"config.json: max_position_embeddings={config.max_position_embeddings} leaves no position")
    pretrained = {n: p for n, p in encoder.named_parameters() if n not in fresh}
    return Model(
        name=name,
        path=source.path,
        revision=revision,
        encoder=encoder,
        config=encoder.config,
        tokenizer=tokenizer,
        family=family,
        fresh=fresh,
        positions=positions,
        heads=config.num_attention_heads,
        weights_hash=hash_of(pretrained),
        origin={
            "name": name if package or source.remote else str(Path(source.path).resolve()),
            "revision": revision,
            "package": package,
        }
        | ({"masks": masks} if masks else {}),
        given=zeros.given(encoder, family, fresh, name) if masks else {},
    )


def require_same_weights(
    model: Model, name: str, weights_hash: str, source: str, recorded: dict[str, Any] | None = None
) -> None:
    """Raise BadInput, beginning with `source`, unless the checkpoint `name` has the same weights as `model`.

    recorded: the unusual values of that checkpoint's configuration, which must be the same too. None, as in results of
        earlier versions: they are not compared.
    """
    if weights_hash != model.weights_hash:
        raise BadInput(f"{source}: made on {name}, whose weights are not those of {model.name}")
    if recorded is not None:
        architecture.require_same(model, name, recorded, source)


def hash_of(tensors: dict[str, Tensor]) -> str:
    """Return the sha256 of names, shapes, types and values in name order. It does not depend on the file format."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.numpy().data)
    return digest.hexdigest()
