"""Recommenders in closed form, to be beaten: what is popular, and what goes with the history's items."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recsae_core.data.interactions import Interactions
from recsae_core.recommenders.base import Cases, Recommender, check_histories, check_items


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
class ItemKNNConfig:
    """How an ``ItemKNN`` compares items: cosine of their users, damped where few users took them."""

    n_items: int
    neighbours: int = 100  # most similar items kept of each item
    shrinkage: float = 0.0  # added to the cosine's denominator

    def __post_init__(self) -> None:
        if self.n_items < 1:
            raise ValueError(f"n_items={self.n_items}: expected at least 1")
        if not 1 <= self.neighbours <= self.n_items:
            raise ValueError(f"neighbours={self.neighbours}: expected 1 <= neighbours <= n_items={self.n_items}")
        if not self.shrinkage >= 0:
            raise ValueError(f"shrinkage={self.shrinkage}: expected at least 0")


class ItemKNN(Recommender):
    """Scores an item by the sum of its similarities to the history's items; has no site.

    The similarity of items with a and b users, c of them common, is c / (sqrt(a b) + shrinkage). Of each item of
    the history the ``neighbours`` most similar items count.
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
        from scipy.sparse import csr_array

        check_vocabulary(inter, self.n_items)
        ones = np.ones(len(inter), dtype=np.float64)
        taken = csr_array((ones, (inter.user, inter.item)), shape=(inter.n_users, self.n_items))
        taken.data[:] = 1.0
        common = (taken.T @ taken).tocsr()
        norm = np.sqrt(common.diagonal())
        for item in range(self.n_items):
            row = slice(common.indptr[item], common.indptr[item + 1])
            other, both = common.indices[row], common.data[row]
            other, both = other[other != item], both[other != item]
            alike = both / (norm[item] * norm[other] + self.config.shrinkage)
            best = np.lexsort((other, -alike))[: self.config.neighbours]
            self.neighbour[item, : len(best)] = torch.from_numpy(other[best].astype(np.int64))
            self.similarity[item, : len(best)] = torch.from_numpy(alike[best])
        return self.eval()

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Scores of ``items`` (all, where None); 0 where nothing in the history is a neighbour."""
        history = check_histories(cases, self.n_items).to(self.neighbour.device)
        similarity = self.similarity[history.clamp(min=0)] * (history >= 0)[..., None]
        score = similarity.new_zeros(len(history), self.n_items)
        score.scatter_add_(1, self.neighbour[history.clamp(min=0)].flatten(1), similarity.flatten(1))
        return score if items is None else score[:, check_items(items, self.n_items)]


def check_vocabulary(inter: Interactions, n_items: int) -> None:
    """``ValueError`` unless the interactions have the model's items."""
    if inter.n_items != n_items:
        raise ValueError(f"the interactions have {inter.n_items} items: expected n_items={n_items}")
