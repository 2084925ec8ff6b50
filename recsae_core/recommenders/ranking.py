"""Full ranking: every item is scored, what the user has seen is masked, and the next item's rank is counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recsae_core.recommenders.base import Cases, Holdout

KS = (5, 10, 20, 50)


@dataclass(frozen=True)
class Ranking:
    """Where each case's target stood, and what stood at the top.

    ``rank`` counts from 1 and is pessimistic: an unseen item with the target's score stands before it, so that a
    scorer that cannot tell items apart is not rewarded. A target that the user has seen before stands last.
    """

    rank: Int[np.ndarray, "n"]
    top: Int[np.ndarray, "n w"]  # the best items, best first; -1 where fewer are unseen
    n_items: int
    ks: tuple[int, ...]

    def __getitem__(self, name: str) -> Float[np.ndarray, "n"]:
        """One value a case of ``ndcg@k``, ``hr@k`` (= ``recall@k``: one target), ``mrr@k`` or ``precision@k``."""
        metric, _, k = name.partition("@")
        gain = {
            "ndcg": lambda: 1 / np.log2(self.rank + 1.0),
            "hr": lambda: np.ones(len(self.rank)),
            "recall": lambda: np.ones(len(self.rank)),
            "mrr": lambda: 1 / self.rank,
            "precision": lambda: np.full(len(self.rank), 1 / int(k)),
        }
        if metric not in gain or not k.isdigit() or int(k) < 1:
            raise ValueError(f"metric {name!r}: expected {', '.join(gain)} followed by @k with k >= 1")
        return np.where(self.rank <= int(k), gain[metric](), 0.0)

    def coverage(self, k: int) -> float:
        """Share of all items that are among the ``k`` best of at least one case."""
        if not 1 <= k <= max(self.ks):
            raise ValueError(f"k={k}: expected 1 <= k <= {max(self.ks)}")
        return len(np.unique(self.top[:, :k][self.top[:, :k] >= 0])) / self.n_items

    def mean(self) -> dict[str, float]:
        """Means over cases of all metrics at all ``ks``, and the coverage."""
        names = [f"{m}@{k}" for m in ("ndcg", "hr", "recall", "mrr", "precision") for k in self.ks]
        return {name: float(self[name].mean()) for name in names} | {f"coverage@{k}": self.coverage(k) for k in self.ks}


@torch.no_grad()
def evaluate(score: Callable[[Cases], Tensor], holdout: Holdout, ks: Sequence[int] = KS, batch: int = 256) -> Ranking:
    """The ranking of ``holdout`` by ``score``: a recommender, or any function from cases to scores of all items.

    A module is put in evaluation mode for the time. Raises ``ValueError`` where a score is NaN.
    """
    if not len(holdout) or min(ks) < 1 or batch < 1:
        raise ValueError(f"{len(holdout)} cases, ks={tuple(ks)}, batch={batch}: expected at least 1 of each")
    training = isinstance(score, nn.Module) and score.training
    if training:
        score.eval()
    try:
        parts = [_rank(score, holdout[a : a + batch], max(ks)) for a in range(0, len(holdout), batch)]
    finally:
        if training:
            score.train()
    ranks, tops, widths = zip(*parts, strict=True)
    return Ranking(torch.cat(ranks).numpy(), torch.cat(tops).numpy(), widths[0], tuple(ks))


def _rank(score: Callable[[Cases], Tensor], part: Holdout, k: int) -> tuple[Tensor, Tensor, int]:
    scores = score(part.cases)
    n, n_items = scores.shape
    if n != len(part) or max(int(part.target.max()), int(part.seen.max())) >= n_items:
        raise ValueError(f"scores of shape {(n, n_items)}: expected {len(part)} rows and a column for every item")
    if scores.isnan().any():
        raise ValueError(f"{int(scores.isnan().sum())} of {scores.numel()} scores are NaN")
    target, seen = part.target.to(scores.device)[:, None], part.seen.to(scores.device)
    open_ = torch.ones(n, n_items + 1, dtype=torch.bool, device=scores.device)
    open_ = open_.scatter_(1, torch.where(seen < 0, n_items, seen), False)[:, :n_items]
    news = open_.gather(1, target).squeeze(1)
    better = (scores >= scores.gather(1, target)) & open_
    rank = torch.where(news, better.sum(1), n_items)  # counts the target itself
    width = min(k, n_items)
    top = scores.masked_fill(~open_, -torch.inf).topk(width, dim=1).indices
    top = torch.where(open_.gather(1, top), top, -1)
    return rank.cpu(), nn.functional.pad(top, (0, k - width), value=-1).cpu(), n_items
