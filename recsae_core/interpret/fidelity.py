"""What is left of the recommender when its vectors are replaced by a dictionary's copies."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from recsae_core.recommenders.base import Holdout, Recommender
from recsae_core.recommenders.ranking import evaluate
from recsae_core.sae.base import Dictionary


class Fidelity(NamedTuple):
    """NDCG@10 with the row that decides each list replaced by its copy."""

    recovered: float  # NDCG(x_hat) / NDCG(h)
    above_mean: float  # (NDCG(x_hat) - NDCG(mean h)) / (NDCG(h) - NDCG(mean h)): 0 for one vector for everybody
    ndcg: float  # NDCG(x_hat)


class Replacement:
    """The lists of a holdout, stopped once at a site, to be decided by other rows."""

    def __init__(self, model: Recommender, site: str, holdout: Holdout, mean: Float[Tensor, "d"]) -> None:
        """``mean`` is the mean row at the site, of other users than those of ``holdout``."""
        self.split, self.holdout = model.tail(site, holdout.cases), holdout
        self.whole, self.blank = self.ndcg(self.split.h), self.ndcg(mean.expand_as(self.split.h))

    @torch.no_grad()
    def ndcg(self, h: Float[Tensor, "n d"]) -> float:
        """Mean NDCG@10 where ``h`` stands in the place of the deciding rows."""
        ranking = evaluate(lambda _: self.split.finish(h), self.holdout, ks=(10,), batch=len(self.holdout))
        return float(ranking["ndcg@10"].mean())

    @torch.no_grad()
    def by(self, dictionary: Dictionary) -> Fidelity:
        """The rows replaced by ``decode(encode(h))``, nothing of the error kept."""
        left = self.ndcg(dictionary.decode(dictionary.encode(self.split.h)))
        return Fidelity(left / self.whole, (left - self.blank) / (self.whole - self.blank), left)
