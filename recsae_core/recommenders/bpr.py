"""A vector a user and a vector an item, ranked by pairs: BPRMF, and LightGCN, which lets them walk the graph of both.

The general and the graph recommender of Wang et al. 2411.06112, as ReChorus has them.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from recsae_core.recommenders.base import Cases
from recsae_core.recommenders.negatives import bpr
from recsae_core.recommenders.towers import MFConfig, TwoTowers

Graph = tuple[Int[Tensor, "e"], Int[Tensor, "v"], Float[Tensor, "e"]]  # neighbours, where each node's begin, weights


@dataclass(frozen=True)
class BPRConfig(MFConfig):
    """Sizes of a ``BPRMF``."""

    d: int = 64  # width of the vectors


@dataclass(frozen=True)
class LightGCNConfig(BPRConfig):
    """Sizes of a ``LightGCN``."""

    layers: int = 3  # 0: the vectors are what they are after the walk

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 0:
            raise ValueError(f"layers={self.layers}: expected at least 0")


class BPRMF(TwoTowers):
    """Matrix factorisation by Bayesian personalised ranking (Rendle et al. 1205.2618): the score is p.q, no bias."""

    def __init__(self, config: BPRConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(config, 0.01, generator or torch.Generator().manual_seed(0))

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Scores of ``items`` (all, where None)."""
        p, q = self.vectors()
        return torch.einsum("nd,cd->nc", p[self._users(cases.user)], q[self._items(items)])

    def loss(self, batch: Cases, g: torch.Generator) -> Float[Tensor, ""]:
        """``bpr`` of each case's item against ``config.negatives`` that its user has not taken; and ``l2``."""
        others = self.negatives(batch.user, self.config.negatives, g)
        items = torch.cat([batch.history[:, :1].cpu(), others], 1).to(self.P.device)
        P, Q = self.vectors()
        p, q = F.embedding(batch.user[:, None].to(P.device), P), F.embedding(items, Q)
        size = p.square().sum(2).mean() + q.square().sum(2).mean() if self.config.l2 else 0.0
        return bpr((p * q).sum(2)) + 0.5 * self.config.l2 * size

    def _pairs(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        return (p * q).sum(-1)

    def _all(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        return p @ q.T


class LightGCN(BPRMF):
    """``BPRMF`` of the mean of layers 0 to ``config.layers``, each the neighbours' sum of the one before (2002.02126).

    An edge of the graph of all training pairs weighs 1 / sqrt(degree of the user x degree of the item). ``begin``
    makes the graph; without it a model with layers has no vectors, and ``trained`` is one that does without.
    """

    graph: Graph | None = None

    def begin(self, train: Cases) -> None:
        """Note who took what, and make the graph of it."""
        super().begin(train)
        pairs = torch.unique(torch.stack([train.user, train.history[:, 0] + self.config.n_users]).cpu(), dim=1)
        source, target = torch.cat([pairs, pairs.flip(0)], 1)
        degree = torch.bincount(source, minlength=self.config.n_users + self.n_items)
        weight = (degree[source].double() * degree[target]).rsqrt()
        order = source.argsort(stable=True)
        self.graph = target[order], degree.cumsum(0) - degree, weight[order]

    def vectors(self) -> tuple[Float[Tensor, "u d"], Float[Tensor, "i d"]]:
        """Those learned where ``layers`` is 0, else what they are after the walk."""
        if not self.config.layers:
            return self.P, self.Q
        if self.graph is None:
            raise ValueError(f"layers={self.config.layers}, but no graph: expected a call of begin with all pairs")
        if self.graph[2].dtype != self.P.dtype or self.graph[2].device != self.P.device:
            neighbours, start, weight = (t.to(self.P.device) for t in self.graph)
            self.graph = neighbours, start, weight.to(self.P.dtype)
        return _Walk.apply(torch.cat([self.P, self.Q]), self.graph, self.config.layers).split(
            [len(self.P), len(self.Q)]
        )

    @torch.no_grad()
    def trained(self) -> "LightGCN":
        """The same scores without a graph: a model of no layer whose vectors have walked already."""
        still = LightGCN(replace(self.config, layers=0)).to(self.P)
        for parameter, vectors in zip((still.P, still.Q), self.vectors(), strict=True):
            parameter.copy_(vectors)
        return still.eval()


class _Walk(torch.autograd.Function):
    """(1 + A + ... + A^layers) x / (layers + 1): A is symmetric, so that the gradient takes the same walk."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, graph: Graph, layers: int) -> Tensor:
        ctx.graph, ctx.layers = graph, layers
        return _walked(x, graph, layers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _walked(grad, ctx.graph, ctx.layers), None, None


def _walked(x: Tensor, graph: Graph, layers: int) -> Tensor:
    neighbours, start, weight = graph
    mean = x
    for _ in range(layers):
        mean = x + F.embedding_bag(neighbours, mean.contiguous(), start, mode="sum", per_sample_weights=weight)
    return mean / (layers + 1)
