"""A SubNetwork is one encoder with its heads and its masks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import linear

from prunebert.choices import EVERY_MATRIX, PRUNABLE
from prunebert.errors import BadInput, bad_choice
from prunebert.masks.apply import masked
from prunebert.masks.maskfile import MaskFile
from prunebert.masks.products_cuda import low_precision
from prunebert.masks.top_v import Masks, Scores
from prunebert.network import heads
from prunebert.network.interface import Batch, Form, Outputs
from prunebert.network.models import Model, require_same_weights


class SubNetwork(nn.Module):
    """f(x; θ ⊙ M). θ are the encoder's dense weights, which no mask overwrites. The masks M live outside the model.

    Masks, scores and weights are dicts. Their keys are a stock checkpoint's names, prefix included
    (`bert.encoder.layer.0.attention.self.query.weight`). A matrix without a mask is dense.

    Attributes:
        given: the masks that the checkpoint came with (model.masks=zeros); empty without. No phase brings back a weight
            that they remove.
    """

    def __init__(self, model: Model, seed: int = 0) -> None:
        super().__init__()
        self.model, self.seed = model, seed
        self.encoder = model.encoder
        self.heads = nn.ModuleDict()
        self.given: dict[str, Tensor] = {self.prefix + n: m for n, m in model.given.items()}
        self.masks: dict[str, Tensor] = dict(self.given)
        self.rounded: dict[str, Tensor] = {}  # biases in low precision for one phase; step.py empties it
        generator = self.generator("fresh")
        for parameter in self.parameters_of("fresh").values():
            std = model.config.initializer_range if parameter.ndim > 1 else 0.0
            nn.init.normal_(parameter, std=std, generator=generator)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SubNetwork:
        """Move the masks with the parameters, as in `net.to(device)`."""
        super()._apply(fn, recurse)
        self.given, self.masks = ({n: fn(m) for n, m in masks.items()} for masks in (self.given, self.masks))
        return self

    def generator(self, purpose: str) -> torch.Generator:
        """Return a random generator for one purpose, seeded by the purpose and the run's seed alone."""
        return torch.Generator().manual_seed(zlib.crc32(purpose.encode()) + self.seed)

    def add_head(self, form: Form, kind: str) -> str:
        """Make the head of a task unless it exists. Returns its key for `forward`.

        A new head's values depend on the task's name, the kind and the run's seed alone, never on earlier draws.
        """
        return self.add_head_as(f"{form.name}_{kind}".replace(".", "_"), kind, form)

    def add_head_as(self, key: str, kind: str, form: Form) -> str:
        """Make a head under a given key unless that key exists. Returns the key.

        Its values depend on the key and the run's seed alone.
        """
        if key not in self.heads:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(zlib.crc32(key.encode()) + self.seed)
                head = heads.build(kind, self.model, form)
            self.heads[key] = head.to(next(self.encoder.parameters()).device).train(self.training)
        return key

    def kind_of(self, head: str) -> str:
        """Return a head's kind: "linear", "label_words" (masked-LM heads too), "layer_mix" or "states" (no head)."""
        kind: Any = self.heads[head].kind
        return kind

    def use(self, masks: Masks | MaskFile, force: bool = False) -> SubNetwork:
        """Set `self.masks`, which switches a backbone to another task. Returns the network itself.

        Args:
            masks: masks by name, or a mask file.
            force: also accept a mask file of another checkpoint.

        Raises BadInput for a matrix that no mask may cover, a wrong shape, and values that are not bool.
        Raises BadInput for a mask file of another checkpoint, unless forced.
        """
        if isinstance(masks, MaskFile):
            if not force:
                require_same_weights(self.model, masks.model, masks.weights_hash, "these masks")
            masks = masks.masks
        prunable = self.prunable(EVERY_MATRIX)
        for name, mask in masks.items():
            if name not in prunable:
                raise BadInput(f"{name} is not a matrix of {self.model.name} that a mask may cover")
            if mask.shape != prunable[name].shape or mask.dtype != torch.bool:
                shape = list(prunable[name].shape)
                raise BadInput(f"the mask of {name} is {list(mask.shape)} of {mask.dtype}, not {shape} of torch.bool")
        self.masks = {n: m.to(prunable[n].device) for n, m in masks.items()}
        return self

    def forward(
        self,
        batch: Batch,
        head: str,
        masks: Masks | None = None,
        theta: dict[str, Tensor] | None = None,
        needs: Iterable[str] = (),
    ) -> Outputs:
        """Compute f(x; θ ⊙ M) for one batch.

        Args:
            head: the head's key.
            masks: M; None is dense.
            theta: weights that replace the network's own, the head's under `head.…` (a teacher's, say).
            needs: which fields of Outputs to compute besides the logits: "hidden", "attention".
        """
        head_needs: Any = self.heads[head].needs
        all_needs = {*needs, *head_needs}
        weights = theta if theta is not None else {}
        replaced = {n: w for n, w in weights.items() if n.startswith(self.prefix)}
        if masks:
            replaced |= masked(masks, {n: replaced.get(n, self._matrices[n]) for n in masks}, self._linear)
            replaced |= {n: b for n, b in self._rounded_biases().items() if n not in weights}
        inputs: dict[str, Any] = batch.inputs | ({"output_hidden_states": True} if all_needs else {})
        # given two dimensions, transformers reads the values and waits for the GPU
        if batch.labels.device.type != "cpu" and self.model.family.mask_per_query:
            inputs["attention_mask"] = full_attention_mask(batch.inputs["attention_mask"])
        encoded = _call(self.encoder, {n.removeprefix(self.prefix): w for n, w in replaced.items()}, (), inputs)
        head_weights = {n.removeprefix("head."): w for n, w in weights.items() if n.startswith("head.")}
        logits = _call(self.heads[head], head_weights, (encoded, batch), {})
        hidden = tuple(encoded.hidden_states) if all_needs else ()
        return Outputs(logits, hidden, self._attention(hidden, replaced, batch) if "attention" in all_needs else ())

    def _attention(self, hidden: tuple[Tensor, ...], replaced: dict[str, Tensor], batch: Batch) -> tuple[Tensor, ...]:
        """Compute Q Kᵀ / √d of every layer from the layer's input, because fused attention does not return it."""
        self.require_attention_scores()
        theta = self.parameters_of() | replaced
        name_at = {self.place(n): n for n in self.prunable()}
        padding = -1e4 * (1 - batch.inputs["attention_mask"][:, None, None, :].float())

        def project(layer: int, kind: str) -> Tensor:
            name = name_at[self.model.family.layer_read(layer), kind]
            projected = linear(hidden[layer], theta[name], theta[name.removesuffix("weight") + "bias"])
            return projected.unflatten(-1, (self.model.heads, -1)).transpose(1, 2)

        attention = []
        for layer in range(len(hidden) - 1):
            Q, K = project(layer, "query"), project(layer, "key")
            attention.append(Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5 + padding)
        return tuple(attention)

    def require_attention_scores(self) -> None:
        """Raise BadInput if attention scores are more than Q Kᵀ / √d, so that they cannot be computed from outside."""
        if not self.model.family.scores:
            raise BadInput(
                f"the attention scores of model {self.model.name} (a {self.model.config.model_type}) also depend on "
                "relative positions and cannot be taught; use distill=logits, distill=hidden_cosine, or "
                "distill=tinybert distill.attention=0"
            )

    @property
    def prefix(self) -> str:
        """The prefix of the encoder's parameter names in a stock checkpoint, dot included."""
        return self.model.family.prefix + "."

    def parameters_of(self, which: str = "all") -> dict[str, nn.Parameter]:
        """Return encoder parameters by full name.

        Args:
            which: "all", "pretrained" (those in the checkpoint) or "fresh" (the others).
        """
        named = {self.prefix + n: p for n, p in self.encoder.named_parameters()}
        fresh = {self.prefix + n for n in self.model.fresh}
        return {n: p for n, p in named.items() if which == "all" or (n in fresh) == (which == "fresh")}

    def head_parameters(self, head: str) -> dict[str, nn.Parameter]:
        """Return what trains as the head: its parameters and, for a new head, those the checkpoint lacks (a pooler)."""
        parameters = dict(self.heads[head].named_parameters())
        return parameters if self.heads[head].pretrained else parameters | self.parameters_of("fresh")

    def prunable(self, which: str = "encoder") -> dict[str, nn.Parameter]:
        """Return the matrices that a mask may cover, by full name.

        Args:
            which: "encoder", "encoder_pooler" (and the pooler's) or "encoder_pooler_embeddings" (and the word
                embeddings).

        A pooler that the checkpoint lacks is in none of the three sets. It is new, small and trains with the head.
        A global ranking by magnitude would remove it whole, before any pre-trained weight.
        """
        if which not in PRUNABLE:
            raise bad_choice("method.prunable", which, PRUNABLE)
        family = self.model.family
        extra = {"encoder": (), "encoder_pooler": (family.pooler,)}.get(which, (family.pooler, family.embeddings))
        return {
            self.prefix + n: p
            for n, p in self.encoder.named_parameters()
            if family.place(n) is not None or (n in extra and n not in self.model.fresh)
        }

    @cached_property
    def _matrices(self) -> dict[str, nn.Parameter]:
        """Every matrix that a mask may cover. Cached, because the search takes half a millisecond of a step."""
        return self.prunable(EVERY_MATRIX)

    def _rounded_biases(self) -> dict[str, Tensor]:
        """Return the frozen biases in autocast's precision; empty unless this trains under autocast on a GPU.

        Autocast would round them again at every step.
        """
        low = low_precision(next(self.encoder.parameters()).device)
        if low is None or not self.training:
            return {}
        if not self.rounded:
            self.rounded = {n: b.detach().to(low) for n, b in self._biases.items() if not b.requires_grad}
        return self.rounded

    @cached_property
    def _biases(self) -> dict[str, nn.Parameter]:
        """The biases of the matrices in `_linear`."""
        named, biases = self.parameters_of(), [n.removesuffix("weight") + "bias" for n in self._linear]
        return {n: named[n] for n in biases if n in named}

    @cached_property
    def _linear(self) -> frozenset[str]:
        """The names of the matrices that only a matrix product reads."""
        return frozenset(n for n in self._matrices if self.place(n)[1] != "embeddings")

    def place(self, name: str) -> tuple[int, str]:
        """Return (layer, kind) of a prunable matrix. The layer of the pooler and the embeddings is -1."""
        short = name.removeprefix(self.prefix)
        kind = "pooler" if short == self.model.family.pooler else "embeddings"
        return self.model.family.place(short) or (-1, kind)

    def new_scores(self, which: str, value: float = 0.0) -> Scores:
        """Return one score per prunable weight, all equal to `value`."""
        return {n: torch.full_like(p, value, requires_grad=False) for n, p in self.prunable(which).items()}

    def snapshot(self, head: str) -> dict[str, Tensor]:
        """Copy every weight of the encoder, and of the head under `head.…`, for `rewind` and `theta`."""
        copy = {n: p.detach().clone() for n, p in self.parameters_of().items()}
        return copy | {f"head.{n}": p.detach().clone() for n, p in self.heads[head].named_parameters()}

    @torch.no_grad()
    def rewind(self, theta: dict[str, Tensor], head: str | None = None) -> None:
        """Restore the encoder's weights (and `head`'s, if given) from a snapshot, exactly."""
        for name, parameter in self.parameters_of().items():
            parameter.copy_(theta[name])
        for name, parameter in self.heads[head].named_parameters() if head else ():
            parameter.copy_(theta[f"head.{name}"])

    @contextmanager
    def evaluation_mode(self) -> Iterator[None]:
        """Switch dropout and gradients off, and restore the former mode at the end."""
        former_mode: Any = self.training
        self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.train(former_mode)


def _call(module: nn.Module, replaced: dict[str, Tensor], arguments: tuple, named: dict[str, Any]) -> Any:
    """Call the module with some tensors replaced.

    Without replaced tensors it skips functional_call's overhead. No tensors are tied, so it skips that search too.
    """
    return (
        functional_call(module, replaced, arguments, named, tie_weights=False)
        if replaced
        else module(*arguments, **named)
    )


def full_attention_mask(attention_mask: Tensor) -> Tensor:
    """Expand [batch, length] to [batch, 1, length, length], true where a key is not padding.

    transformers makes the same mask, but reads the values first and so waits for the GPU.
    """
    return attention_mask.bool()[:, None, None, :].expand(-1, 1, attention_mask.shape[-1], -1)
