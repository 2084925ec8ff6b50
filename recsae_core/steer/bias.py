"""How uneven lists are, and moves that take a property of items or of users out of them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recsae_core.steer.edit import Dose, Rule, column
from recsae_core.steer.methods import Lists, Moves


def long_tail(count: Int[np.ndarray, "i"], head: float = 0.8) -> Bool[np.ndarray, "i"]:
    """The items outside the head: the fewest items that together hold the share ``head`` of all interactions."""
    if not 0 < head < 1:
        raise ValueError(f"head={head}: expected a share between 0 and 1")
    order = np.argsort(-count, kind="stable")
    tail = np.zeros(len(count), dtype=bool)
    tail[order] = np.cumsum(count[order]) - count[order] >= head * count.sum()
    return tail


def gini(top: Int[np.ndarray, "n k"], n_items: int) -> float:
    """Gini's coefficient of how often each item is recommended: 0 if all are alike, near 1 if few get everything."""
    count = np.sort(np.bincount(top.ravel(), minlength=n_items))
    return float((2 * np.arange(1, n_items + 1) - n_items - 1) @ count / (n_items * count.sum()))


def against(r: Float[np.ndarray, "j"]) -> Rule:
    """A rule of ``edit`` for latents with correlations ``r`` to a property: those that go with it fade.

    ``z (1 - dose)``, off from 1 on; those that go against it become ``z (1 + dose)``.
    """
    sign = torch.from_numpy(np.sign(r))
    return lambda z, dose: z * (1 - dose * sign.to(z)).clamp(min=0)


@dataclass(frozen=True)
class Without(Moves):
    """The part along ``vector`` is taken out as far as the dose says: at 1 all rows are level with ``centre``."""

    vector: Float[Tensor, "d"]
    centre: Float[Tensor, "d"]

    def rows(self, lists: Lists, dose: Dose) -> Float[Tensor, "n d"]:
        """``h`` less its distance from the centre along the vector."""
        h, unit = lists.split.h, self.vector / self.vector.norm()
        return h - column(dose, len(h), h) * ((h - self.centre) @ unit)[:, None] * unit
