"""Recommenders in closed form, to be beaten: what is popular, and what goes with the history's items."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recsae_core.data.interactions import Interactions
from recsae_core.recommenders.base import Cases, Recommender, check_histories, check_items

ROWS = 512  # items whose similarities to all items are held at once


@dataclass(frozen=True)
class MostPopularConfig:
    """Size of a ``MostPopular``."""

    n_items: int

    def __post_init__(self) -> None:
        if self.n_items < 1:
            raise ValueError(f"n_items={self.n_items}: expected at least 1")


class MostPopular(Recommender):
    """Scores each item by its number of interactions, the same for every case; has no site."""

    count: Float[Tensor, "i"]

    def __init__(self, config: MostPopularConfig) -> None:
        super().__init__()
        self.config, self.n_items = config, config.n_items
        self.register_buffer("count", torch.zeros(config.n_items))

    def learn(self, inter: Interactions) -> "MostPopular":
        """Count the interactions; the model itself."""
        check_vocabulary(inter, self.n_items)
        self.count.copy_(torch.from_numpy(np.bincount(inter.item, minlength=self.n_items)))
        return self.eval()

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Interactions of ``items`` (all, where None), one equal row a case."""
        count = self.count if items is None else self.count[check_items(items, self.n_items)]
        return count.repeat(len(cases), 1)


@dataclass(frozen=True)
class ItemKNNConfig(MostPopularConfig):
    """How an ``ItemKNN`` compares items: cosine of their users, damped where few users took them."""

    neighbours: int = 100  # most similar items kept of each item
    shrinkage: float = 0.0  # added to the cosine's denominator
    decay: float = 1.0  # weight of a history's item for each item that came after it

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.neighbours <= self.n_items:
            raise ValueError(f"neighbours={self.neighbours}: expected 1 <= neighbours <= n_items={self.n_items}")
        if not self.shrinkage >= 0:
            raise ValueError(f"shrinkage={self.shrinkage}: expected at least 0")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay={self.decay}: expected 0 < decay <= 1")


class ItemKNN(Recommender):
    """Scores an item by the sum of its similarities to the history's items, weighted by age; has no site.

    The similarity of items with a and b users, c of them common, is c / (sqrt(a b) + shrinkage). Of each item of
    the history the ``neighbours`` most similar items count; the last item weighs 1, the one before it ``decay``.
    """

    neighbour: Int[Tensor, "i k"]
    similarity: Float[Tensor, "i k"]

    def __init__(self, config: ItemKNNConfig) -> None:
        super().__init__()
        self.config, self.n_items = config, config.n_items
        shape = (config.n_items, config.neighbours)
        self.register_buffer("neighbour", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("similarity", torch.zeros(shape))

    def learn(self, inter: Interactions) -> "ItemKNN":
        """Find the neighbours; the model itself. Repeated interactions of a user with an item count once."""
        taken = _taken(inter, self.n_items)
        common = (taken.T @ taken).tocsr()
        norm = np.sqrt(common.diagonal())
        for start in range(0, self.n_items, ROWS):
            both = common[start : start + ROWS].toarray()
            damped = np.outer(norm[start : start + ROWS], norm) + self.config.shrinkage
            alike = torch.from_numpy(np.divide(both, damped, out=np.zeros_like(both), where=both > 0))
            alike[torch.arange(len(both)), torch.arange(start, start + len(both))] = 0
            best = alike.sort(dim=1, descending=True, stable=True)
            self.similarity[start : start + ROWS] = best.values[:, : self.config.neighbours]
            self.neighbour[start : start + ROWS] = best.indices[:, : self.config.neighbours]
        return self.eval()

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Scores of ``items`` (all, where None); 0 where nothing in the history is a neighbour."""
        history = check_histories(cases, self.n_items).to(self.neighbour.device)
        age = (history >= 0).sum(1, keepdim=True) - 1 - torch.arange(history.shape[1], device=history.device)
        weight = torch.where(age >= 0, self.config.decay ** age.clamp(min=0), 0.0)
        similarity = self.similarity[history.clamp(min=0)] * weight[..., None]
        score = similarity.new_zeros(len(history), self.n_items)
        score.scatter_add_(1, self.neighbour[history.clamp(min=0)].flatten(1), similarity.flatten(1))
        return score if items is None else score[:, check_items(items, self.n_items)]


@dataclass(frozen=True)
class EASEConfig(MostPopularConfig):
    """How an ``EASE`` is damped."""

    l2: float = 500.0  # added to each item's number of users

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.l2 < np.inf:
            raise ValueError(f"l2={self.l2}: expected a positive number")


class EASE(Recommender):
    """Scores items by a linear map of the set of the history's items, zero on its diagonal; has no site.

    The map that best reconstructs the users' sets of items, in closed form (Steck 1905.03375, equation 8).
    """

    weight: Float[Tensor, "i i"]

    def __init__(self, config: EASEConfig) -> None:
        super().__init__()
        self.config, self.n_items = config, config.n_items
        self.register_buffer("weight", torch.zeros(config.n_items, config.n_items))

    def learn(self, inter: Interactions) -> "EASE":
        """Solve for the map; the model itself. Repeated interactions of a user with an item count once."""
        taken = _taken(inter, self.n_items)
        gram = torch.from_numpy((taken.T @ taken).toarray())
        gram.diagonal().add_(self.config.l2)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        self.weight.copy_(inverse / -inverse.diagonal())
        self.weight.fill_diagonal_(0.0)
        return self.eval()

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Scores of ``items`` (all, where None)."""
        history = check_histories(cases, self.n_items).to(self.weight.device)
        taken = self.weight.new_zeros(len(history), self.n_items + 1).scatter_(1, history % (self.n_items + 1), 1.0)
        return taken[:, :-1] @ (self.weight if items is None else self.weight[:, check_items(items, self.n_items)])


def _taken(inter: Interactions, n_items: int) -> Any:
    """A sparse matrix of users and items, 1 where the user took the item."""
    from scipy.sparse import csr_array

    check_vocabulary(inter, n_items)
    taken = csr_array((np.ones(len(inter)), (inter.user, inter.item)), shape=(inter.n_users, n_items))
    return (taken > 0).astype(np.float64)


def check_vocabulary(inter: Interactions, n_items: int) -> None:
    """``ValueError`` unless the interactions have the model's items."""
    if inter.n_items != n_items:
        raise ValueError(f"the interactions have {inter.n_items} items: expected n_items={n_items}")
