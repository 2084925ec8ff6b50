"""What every dictionary shares: a sparse code of rows, and the two maps between rows and codes."""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Code(NamedTuple):
    """The latents of rows, kept as (value, index) while they are few.

    ``index`` is None for a dense code, where ``value`` has one column a latent. In a sparse code each row lists
    its active latents, zero-padded where it has fewer: an index under a value of 0 means nothing.
    """

    value: Float[Tensor, "n w"]
    index: Int[Tensor, "n w"] | None
    m: int  # latents in the dictionary
    norm: tuple[Tensor, Tensor] | None = None  # mean and std of each row, [n, 1], put back by the decoder

    def dense(self) -> Float[Tensor, "n m"]:
        """The code with one column a latent."""
        if self.index is None:
            return self.value
        return self.value.new_zeros(len(self.value), self.m).scatter_add(1, self.index, self.value)

    def with_dense(self, value: Float[Tensor, "n m"]) -> "Code":
        """A dense code of the same rows with other values, as edits need it."""
        if value.shape != (len(self.value), self.m):
            raise ValueError(f"value has shape {tuple(value.shape)}: expected {(len(self.value), self.m)}")
        return Code(value, None, self.m, self.norm)


@runtime_checkable
class Dictionary(Protocol):
    """Directions with a code: an SAE, neurons, PCA, random directions, data rows, a probe.

    ``encode`` and ``decode`` take and return rows in the units of the site, whatever happens inside.
    """

    d: int
    m: int

    def encode(self, x: Float[Tensor, "n d"]) -> Code:
        """The code of each row."""
        ...

    def decode(self, z: Code, prefix: int | None = None) -> Float[Tensor, "n d"]:
        """The rows that a code stands for, from the first ``prefix`` latents only where it is given."""
        ...


def check_rows(x: Tensor, d: int) -> None:
    """Raise ``ValueError`` unless ``x`` is a finite ``[n, d]`` array of floats."""
    if x.ndim != 2 or x.shape[1] != d or not x.is_floating_point():
        raise ValueError(f"x is {x.dtype} of shape {tuple(x.shape)}: expected floats of shape (n, {d})")
    if not torch.isfinite(x).all():
        raise ValueError(f"x holds {int((~torch.isfinite(x)).sum())} values that are NaN or infinite")
