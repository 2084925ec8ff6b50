"""Interventions of 2511.18024 on users and items of two towers: doses by quantile, lists before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from tqdm import tqdm

from recsae_core.recommenders.base import Recommender, Sets
from recsae_core.steer.edit import Dose, column
from recsae_core.steer.methods import Lists, Method


@dataclass(frozen=True)
class Outcome:
    """The lists of all users at every dose, and how well the items hidden from them stand there."""

    top: Int[np.ndarray, "p n k"]  # unseen items, best first
    ndcg: Float[np.ndarray, "p n"]  # at 10

    def mean(self, values: Shaped[np.ndarray, "i *a"]) -> Float[np.ndarray, "p n *a"]:
        """The mean over each list of ``values`` of the items: the share of a genre, or the popularity."""
        return values[self.top].mean(2, dtype=np.float64)


@dataclass(frozen=True)
class Bonus:
    """A number an item, added to its score ``dose`` times: a popularity term, a filter."""

    values: Float[Tensor, "i"]

    def __call__(self, lists: Lists, dose: Dose) -> Float[Tensor, "n i"]:
        """The scores with the bonus."""
        return lists.scores + column(dose, len(lists.scores), lists.scores) * self.values


def at_quantiles(z: Float[Tensor, "n"], quantiles: Sequence[float | int]) -> list[float]:
    """Values of a latent for ``set``: its quantiles over the rows on which it fires, 0 for 0 and the largest for 1.

    Above 1 and below 0 they are multiples of the largest, which no row has: off the manifold.
    """
    active = z[z > 0].double()
    if not len(active):
        raise ValueError(f"the latent fires on none of {len(z)} rows: expected one at least")
    active = torch.cat([active.new_zeros(1), active])
    return [float(torch.quantile(active, q) if 0 <= q <= 1 else q * active.max()) for q in quantiles]


@torch.no_grad()
def outcomes(
    model: Recommender, site: str, sets: Sets, methods: Mapping[str, tuple[Method, Sequence[Dose]]], depth: int = 30
) -> dict[str, Outcome]:
    """What each method does to every user's list at each of its doses, at a site with one row a user.

    The scores of all users are held at once. ``ValueError`` for lists deeper than there are items.
    """
    if not 1 <= depth <= model.n_items:
        raise ValueError(f"depth={depth}: expected 1 <= depth <= {model.n_items}, the number of items")
    lists, found = before(model, site, sets), {name: [] for name in methods}
    gain = 1 / torch.arange(2, 12, dtype=torch.float64).log2()
    ideal = gain.cumsum(0)[(sets.target >= 0).sum(1).clamp(max=10) - 1]
    for name, dose in tqdm([(name, dose) for name, (_, doses) in methods.items() for dose in doses], leave=False):
        scores = methods[name][0](lists, dose).masked_fill(lists.seen, -torch.inf)
        top = scores.topk(min(max(depth, 10), model.n_items), dim=1).indices
        hit = (top[:, :10, None] == sets.target[:, None]).any(2)  # faster than the rank of every target
        found[name].append((top[:, :depth].numpy(), ((hit * gain[: hit.shape[1]]).sum(1) / ideal).numpy()))
    return {name: Outcome(*map(np.stack, zip(*rows, strict=True))) for name, rows in found.items()}


def before(model: Recommender, site: str, sets: Sets) -> Lists:
    """The lists of ``sets`` with nothing changed yet: what a method begins with."""
    split, n = model.tail(site, sets.cases), model.n_items
    seen = torch.zeros(len(sets), n + 1, dtype=torch.bool)
    seen = seen.scatter_(1, torch.where(sets.seen < 0, n, sets.seen), True)[:, :n]
    return Lists(model, site, sets.cases, 1, split, split.finish(split.h), seen, {})


@torch.no_grad()
def places(model: Recommender, sets: Sets, item: int, method: Method, doses: Sequence[Dose]) -> Int[np.ndarray, "p n"]:
    """Where ``item`` stands on each list, from 1, when ``method`` changed its row alone (site "item"); 0 if seen."""
    split, whole = model.before("item", sets.cases, torch.tensor([item])), before(model, "user", sets)
    split = replace(split, last=torch.ones_like(split.last))  # its row is the one that decides
    lists = Lists(model, "item", sets.cases, 1, split, split.finish(split.h), whole.seen[:, [item]], {})
    others = whole.scores.masked_fill(whole.seen, -torch.inf)
    others[:, item] = -torch.inf
    found = torch.stack([1 + (others >= method(lists, dose)).sum(1) for dose in doses])
    return found.masked_fill(lists.seen[:, 0], 0).numpy()
