"""A recommender of one's own: PureSVD (Cremonesi et al. 2010), a history as the sum of its items' singular vectors."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from recsae_core import recommenders
from recsae_core.data import sources, split
from recsae_core.data.interactions import Interactions
from recsae_core.recommenders import (
    Cases,
    Recommender,
    Split,
    build,
    cases,
    ranking,
)
from recsae_core.recommenders.base import check_histories, check_items, check_rows


@dataclass(frozen=True)
class PureSVDConfig:
    """Sizes of a ``PureSVD``."""

    n_items: int
    d: int = 32


class PureSVD(Recommender):
    """Scores = (sum of the history's vectors) . (vector of the item). Site: ``final``, that sum."""

    def __init__(self, config: PureSVDConfig) -> None:
        super().__init__()
        self.config, self.n_items = config, config.n_items
        self.register_buffer("V", torch.zeros(config.n_items, config.d))

    @property
    def sites(self) -> dict[str, int]:
        """The sum, as wide as the item vectors."""
        return {"final": self.config.d}

    def learn(self, inter: Interactions) -> "PureSVD":
        """The right singular vectors of the matrix of users and items; the model itself."""
        taken = csr_array(
            (np.ones(len(inter)), (inter.user, inter.item)),
            shape=(inter.n_users, self.n_items),
        )
        self.V.copy_(
            torch.from_numpy(
                randomized_svd(taken, self.config.d, random_state=0)[2].T.copy()
            )
        )
        return self.eval()

    def forward(self, cases: Cases, items: Tensor | None = None) -> Tensor:
        """Scores [n, c]: the whole way, without the split."""
        history, V = check_histories(cases, self.n_items), self._candidates(items)
        near = self.V @ V.T  # of every item to every candidate
        return torch.stack([near[items[items >= 0]].sum(0) for items in history])

    def before(
        self, site: str, cases: Cases, items: Tensor | None = None
    ) -> Split:
        """One row a case: the sum, and the product with the items' vectors as the rest of the way."""
        if site not in self.sites:
            return super().before(site, cases, items)
        history, V, n = (
            check_histories(cases, self.n_items),
            self._candidates(items),
            len(cases),
        )
        h = (self.V[history.clamp(min=0)] * (history >= 0)[..., None]).sum(1)
        last = history.gather(1, (history >= 0).sum(1, keepdim=True) - 1)[:, 0]

        def finish(h: Tensor) -> Tensor:
            check_rows(h, n, self.config.d)
            return h @ V.T

        return Split(
            h, torch.arange(n), last, torch.ones(n, dtype=torch.bool), finish
        )

    def _candidates(self, items: Tensor | None) -> Tensor:
        return (
            self.V if items is None else self.V[check_items(items, self.n_items)]
        )


recommenders.MODELS["pure-svd"] = (
    PureSVD,
    PureSVDConfig,
)  # build, save and load know it from here on

if __name__ == "__main__":
    parts = split.by_rule(
        sources.load("planted", users=600, items=150, length=25)
    )
    test = cases.leave_last_out(parts.test, 25)
    for name in ("pure-svd", "most-popular"):
        model = build(name, n_items=150).learn(parts.train)
        print(
            f"{name:13} NDCG@10 {ranking.evaluate(model, test).mean()['ndcg@10']:.3f} on new users"
        )
