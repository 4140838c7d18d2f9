"""SubNetwork: one encoder, its heads, and the masks under which it is read."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import linear

from prunebert.choices import EVERY_MATRIX, PRUNABLE
from prunebert.errors import BadInput, bad_choice
from prunebert.masks.apply import low_precision, masked
from prunebert.masks.maskfile import MaskFile
from prunebert.masks.top_v import Masks, Scores
from prunebert.network import heads
from prunebert.network.interface import Batch, Form, Outputs
from prunebert.network.models import Model, require_same_weights


class SubNetwork(nn.Module):
    """f(x; θ ⊙ M). θ are the encoder's dense weights, never overwritten by a mask; M are kept outside the model.

    Masks, scores and weights are dicts keyed by the names a stock checkpoint uses, prefix included
    (`bert.encoder.layer.0.attention.self.query.weight`). A matrix without a mask is dense.
    """

    def __init__(self, model: Model, seed: int = 0) -> None:
        super().__init__()
        self.model, self.seed = model, seed
        self.encoder = model.encoder
        self.heads = nn.ModuleDict()
        self.masks: dict[str, Tensor] = {}
        self.rounded: dict[str, Tensor] = {}  # of a phase in training: step.py empties it
        generator = self.generator("fresh")
        for parameter in self.parameters_of("fresh").values():
            std = model.config.initializer_range if parameter.ndim > 1 else 0.0
            nn.init.normal_(parameter, std=std, generator=generator)

    def generator(self, purpose: str) -> torch.Generator:
        """Random numbers for one purpose, from it and the run's seed alone; those for another are others."""
        return torch.Generator().manual_seed(zlib.crc32(purpose.encode()) + self.seed)

    def add_head(self, form: Form, kind: str) -> str:
        """Make the head of a task if it is not there yet; returns its key for `forward`.

        A new head's values depend on the task's name and the run's seed alone, never on what was drawn before.
        """
        return self.place_head(f"{form.name}_{kind}".replace(".", "_"), kind, form)

    def place_head(self, key: str, kind: str, form: Form) -> str:
        """Make a head under a key of one's own if it is not there yet, without a task's data; returns the key.

        Its values depend on the key and the run's seed alone.
        """
        if key not in self.heads:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(zlib.crc32(key.encode()) + self.seed)
                head = heads.build(kind, self.model, form)
            self.heads[key] = head.to(next(self.encoder.parameters()).device).train(self.training)
        return key

    def kind_of(self, head: str) -> str:
        """What `add_head` was asked for: "linear", "label_words" (masked-LM tasks always), "layer_mix"."""
        kind: Any = self.heads[head].kind
        return kind

    def use(self, masks: Masks | MaskFile, force: bool = False) -> SubNetwork:
        """Make `masks` the network's own, `self.masks`, which is what switches a backbone to another task.

        Raises BadInput for a matrix that no mask may cover, another shape, values that are not bool, and a file's
        masks that were found on another checkpoint, unless forced.
        """
        if isinstance(masks, MaskFile):
            if not force:
                require_same_weights(self.model, masks.model, masks.weights_hash, "these masks")
            masks = masks.masks
        known = self.prunable(EVERY_MATRIX)
        for name, mask in masks.items():
            if name not in known:
                raise BadInput(f"{name} is no matrix of {self.model.name} that a mask may cover")
            if mask.shape != known[name].shape or mask.dtype != torch.bool:
                shape = list(known[name].shape)
                raise BadInput(f"the mask of {name} is {list(mask.shape)} of {mask.dtype}, not {shape} of torch.bool")
        self.masks = {n: m.to(known[n].device) for n, m in masks.items()}
        return self

    def forward(
        self,
        batch: Batch,
        head: str,
        masks: Masks | None = None,
        theta: dict[str, Tensor] | None = None,
        needs: Iterable[str] = (),
    ) -> Outputs:
        """f(x; θ ⊙ M) for one batch. `theta` stands in for the network's own weights and head (a teacher's, say).

        needs: what of Outputs is wanted besides the logits, "hidden" and "attention".
        """
        of_head: Any = self.heads[head].needs
        wanted = {*needs, *of_head}
        weights = theta if theta is not None else {}
        replaced = {n: w for n, w in weights.items() if n.startswith(self.prefix)}
        if masks:
            replaced |= masked(masks, {n: replaced.get(n, self._matrices[n]) for n in masks}, self._linear)
            replaced |= {n: b for n, b in self._rounded_biases().items() if n not in weights}
        inputs: dict[str, Any] = batch.inputs | ({"output_hidden_states": True} if wanted else {})
        if batch.labels.device.type != "cpu":  # transformers asks a mask of two dimensions whether it has any padding
            inputs["attention_mask"] = everyone_sees(batch.inputs["attention_mask"])
        encoded = _call(self.encoder, {n.removeprefix(self.prefix): w for n, w in replaced.items()}, (), inputs)
        in_head = {n.removeprefix("head."): w for n, w in weights.items() if n.startswith("head.")}
        logits = _call(self.heads[head], in_head, (encoded, batch), {})
        hidden = tuple(encoded.hidden_states) if wanted else ()
        return Outputs(logits, hidden, self._attention(hidden, replaced, batch) if "attention" in wanted else ())

    def _attention(self, hidden: tuple[Tensor, ...], replaced: dict[str, Tensor], batch: Batch) -> tuple[Tensor, ...]:
        """Q Kᵀ / √d of every layer, computed anew from the layer's input: fused attention does not give it away."""
        theta = self.parameters_of() | replaced
        places = {self.place(n): n for n in self.prunable()}
        padding = -1e4 * (1 - batch.inputs["attention_mask"][:, None, None, :].float())

        def project(layer: int, kind: str) -> Tensor:
            name = places[layer, kind]
            rows = linear(hidden[layer], theta[name], theta[name.removesuffix("weight") + "bias"])
            return rows.unflatten(-1, (self.model.heads, -1)).transpose(1, 2)

        found = []
        for layer in range(len(hidden) - 1):
            Q, K = project(layer, "query"), project(layer, "key")
            found.append(Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5 + padding)
        return tuple(found)

    @property
    def prefix(self) -> str:
        """What a stock checkpoint writes before the encoder's parameter names, dot included."""
        return self.model.family.prefix + "."

    def parameters_of(self, which: str = "all") -> dict[str, nn.Parameter]:
        """Encoder parameters by full name: all, or those the checkpoint held ("pretrained"), or the rest ("fresh")."""
        named = {self.prefix + n: p for n, p in self.encoder.named_parameters()}
        fresh = {self.prefix + n for n in self.model.fresh}
        return {n: p for n, p in named.items() if which == "all" or (n in fresh) == (which == "fresh")}

    def head_parameters(self, head: str) -> dict[str, nn.Parameter]:
        """What trains as the head: its own parameters, with a new head also those the checkpoint lacked (a pooler)."""
        own = dict(self.heads[head].named_parameters())
        return own if self.heads[head].pretrained else own | self.parameters_of("fresh")

    def prunable(self, which: str = "encoder") -> dict[str, nn.Parameter]:
        """The matrices a mask may cover: the encoder's, + the pooler's, + the word embeddings.

        A pooler that the checkpoint lacks is new, small and trains with the head: ranked by magnitude among pre-trained
        weights it would be the first to go, whole, so it is no part of any of the three.
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
        """All that a mask may cover: to look for them takes half a millisecond of a step."""
        return self.prunable(EVERY_MATRIX)

    def _rounded_biases(self) -> dict[str, Tensor]:
        """While training on a GPU: frozen biases in autocast's precision, to which it would round them every step."""
        low = low_precision(next(self.encoder.parameters()).device)
        if low is None or not self.training:
            return {}
        if not self.rounded:
            self.rounded = {n: b.detach().to(low) for n, b in self._biases.items() if not b.requires_grad}
        return self.rounded

    @cached_property
    def _biases(self) -> dict[str, nn.Parameter]:
        """Of the matrices that only a matrix product reads."""
        named, biases = self.parameters_of(), [n.removesuffix("weight") + "bias" for n in self._linear]
        return {n: named[n] for n in biases if n in named}

    @cached_property
    def _linear(self) -> frozenset[str]:
        """Those of them that nothing but a matrix product reads."""
        return frozenset(n for n in self._matrices if self.place(n)[1] != "embeddings")

    def place(self, name: str) -> tuple[int, str]:
        """(layer, kind) of a prunable matrix; pooler and embeddings belong to layer -1."""
        short = name.removeprefix(self.prefix)
        kind = "pooler" if short == self.model.family.pooler else "embeddings"
        return self.model.family.place(short) or (-1, kind)

    def new_scores(self, which: str, value: float = 0.0) -> Scores:
        """One score per prunable weight, all equal to `value`."""
        return {n: torch.full_like(p, value, requires_grad=False) for n, p in self.prunable(which).items()}

    def snapshot(self, head: str) -> dict[str, Tensor]:
        """A copy of every weight of the encoder, and of the head under `head.…`: what `rewind` and `theta` take."""
        copy = {n: p.detach().clone() for n, p in self.parameters_of().items()}
        return copy | {f"head.{n}": p.detach().clone() for n, p in self.heads[head].named_parameters()}

    @torch.no_grad()
    def rewind(self, theta: dict[str, Tensor], head: str | None = None) -> None:
        """Put the encoder's weights (and `head`'s, if named) back to a snapshot's, exactly."""
        for name, parameter in self.parameters_of().items():
            parameter.copy_(theta[name])
        for name, parameter in self.heads[head].named_parameters() if head else ():
            parameter.copy_(theta[f"head.{name}"])

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Evaluation mode (no dropout) and no gradient, then the former mode again."""
        former: Any = self.training
        self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.train(former)


def _call(module: nn.Module, replaced: dict[str, Tensor], arguments: tuple, named: dict[str, Any]) -> Any:
    """functional_call, where there is anything to replace, and nothing is tied: the host has less to do so."""
    return (
        functional_call(module, replaced, arguments, named, tie_weights=False)
        if replaced
        else module(*arguments, **named)
    )


def everyone_sees(real: Tensor) -> Tensor:
    """[batch, 1, length, length], true where a key is no padding, from [batch, length]: what transformers makes of it,
    but without a look at its values, for which a GPU would be waited for."""
    return real.bool()[:, None, None, :].expand(-1, 1, real.shape[-1], -1)
