"""Patterns: which sets of weights may stay together. N:M groups along the input, or blocks of R rows by C columns.

A pattern turns the scores of a matrix into scores for a plain ranking (`reduced`), and the masks of that ranking into
masks of the matrix (`expanded`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunebert.errors import BadInput, shown

if TYPE_CHECKING:
    from torch import Tensor

NONE = "none"
LARGEST = 4096  # of M, R and C
WORDS = "none, N:M such as '2:4' (N of M neighbours stay), or RxC such as 4x4 (blocks of R rows and C columns)"


@dataclass(frozen=True)
class Unstructured:
    """No pattern: any set of weights may stay."""

    unit: int = 1  # weights that stay or go together

    def __str__(self) -> str:
        return NONE

    def reduced(self, scores: Tensor) -> Tensor:
        """Return the scores as they are."""
        return scores

    def expanded(self, mask: Tensor) -> Tensor:
        """Return the mask as it is."""
        return mask

    def require_fit(self, name: str, shape: tuple[int, ...]) -> None:
        """Every matrix fits."""


@dataclass(frozen=True)
class Groups:
    """N:M: of each M weights in a row of [out, in], which read neighbouring inputs, N stay.

    The N largest scores of each group never go. A ranking therefore removes only others, and at sparsity 1 - N/M
    exactly these. Among equal scores the earlier one stays.
    """

    keep: int  # N
    of: int  # M
    unit: int = 1

    def __str__(self) -> str:
        return f"{self.keep}:{self.of}"

    @property
    def sparsity(self) -> float:
        """The fraction that the complete pattern removes."""
        return 1 - self.keep / self.of

    def reduced(self, scores: Tensor) -> Tensor:
        """Return the scores [out, in] with infinity at the N largest of each group. NaN and -inf stay."""
        groups = scores.detach().reshape(-1, self.of)
        largest = groups.sort(dim=1, descending=True, stable=True).indices[:, : self.keep]
        chosen = groups.gather(1, largest)
        raised = chosen.masked_fill(chosen > -math.inf, math.inf)  # a comparison with NaN is false
        return groups.scatter(1, largest, raised).view_as(scores)

    def expanded(self, mask: Tensor) -> Tensor:
        """Return the mask as it is."""
        return mask

    def require_fit(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise BadInput unless the inputs of a matrix divide into groups."""
        if shape[1] % self.of:
            raise BadInput(
                f"method.pattern={self}: {name} has {shape[1]:,} inputs, no multiple of {self.of}; choose another "
                "pattern, or another prunable="
            )


@dataclass(frozen=True)
class Blocks:
    """RxC: the weights of a block of R rows and C columns of [out, in] stay or go together, by the sum of their scores.

    Blocks are ranked by their mean, which orders them as the sum does and is comparable with a threshold on scores.
    """

    rows: int  # R
    columns: int  # C

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"

    @property
    def unit(self) -> int:
        """The weights of a block."""
        return self.rows * self.columns

    def reduced(self, scores: Tensor) -> Tensor:
        """Return the mean score of each block, [out / R, in / C]."""
        out, inputs = scores.shape
        blocks = scores.detach().reshape(out // self.rows, self.rows, inputs // self.columns, self.columns)
        return blocks.float().mean(dim=(1, 3))

    def expanded(self, mask: Tensor) -> Tensor:
        """Return the mask of the matrix from that of its blocks."""
        return mask.repeat_interleave(self.rows, 0).repeat_interleave(self.columns, 1)

    def require_fit(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise BadInput unless a matrix divides into blocks."""
        if shape[0] % self.rows or shape[1] % self.columns:
            raise BadInput(
                f"method.pattern={self}: {name} is {shape[0]:,} by {shape[1]:,}, which does not divide into blocks of "
                f"{self.rows} by {self.columns}; choose another pattern, or another prunable="
            )


Pattern = Unstructured | Groups | Blocks


def parse(text: object, key: str = "method.pattern") -> Pattern:
    """Return the pattern that a text names. Raises BadInput, which begins with `key`, if it names none."""
    if text == NONE:
        return Unstructured()
    found = re.fullmatch(r"([1-9]\d{0,3})([:x])([1-9]\d{0,3})", str(text), re.ASCII) if isinstance(text, str) else None
    if isinstance(text, int) and not isinstance(text, bool):
        raise BadInput(f"{key}={text}: must be text; YAML reads 2:4 without quotes as a number, so write '2:4'")
    if found is None:
        raise BadInput(f"{key}={shown(text)}: allowed are {WORDS}")
    a, b = int(found[1]), int(found[3])
    if not (1 <= a <= LARGEST and 1 <= b <= LARGEST):
        raise BadInput(f"{key}={text}: both numbers must be at least 1 and at most {LARGEST}")
    if found[2] == "x":
        return Blocks(a, b)
    if a >= b:
        raise BadInput(f"{key}={text}: must keep fewer weights than a group has, N < M")
    return Groups(a, b)


def sparsity_of(text: object, default: float, key: str = "method.pattern") -> float:
    """Return the sparsity of a method with a pattern: that of N:M, which has only one, otherwise `default`.

    key: begins the message of a BadInput.
    """
    pattern = parse(text, key)
    return pattern.sparsity if isinstance(pattern, Groups) else default


def require_fits(pattern: Pattern, shapes: Mapping[str, tuple[int, ...]], sparsity: float) -> None:
    """Raise BadInput unless all matrices divide into the pattern's units, and the sparsity is that of N:M."""
    for name, shape in shapes.items():
        pattern.require_fit(name, shape)
    if isinstance(pattern, Groups) and abs(sparsity - pattern.sparsity) > 1e-9:
        raise BadInput(
            f"method.pattern={pattern}: removes exactly {pattern.sparsity:.10g} of every matrix, and sparsity="
            f"{sparsity:.10g}; leave sparsity out, or give sparsity={pattern.sparsity:.10g}"
        )
