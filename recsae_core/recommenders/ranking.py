"""Full ranking: every item is scored, what the user has seen is masked, and the next item's rank is counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recsae_core.recommenders.base import Cases, Holdout, Sets

KS = (5, 10, 20, 50)
Score = Callable[[Cases], Tensor]


@dataclass(frozen=True)
class Ranking:
    """Where each case's target stood, and what stood at the top.

    ``rank`` counts from 1 and is pessimistic: an unseen item with the target's score stands before it, so that a
    scorer that cannot tell items apart is not rewarded. A target that the user has seen before stands last.
    """

    rank: Int[np.ndarray, "n"]  # of the target among the unseen items
    top: Int[np.ndarray, "n w"]  # the best items, best first; -1 where fewer are unseen
    n_items: int
    ks: tuple[int, ...]  # depths at which ``mean`` takes every metric

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


@dataclass(frozen=True)
class SetRanking:
    """Where each case's several targets stood among the items not seen.

    ``rank`` counts from 1 and ascends in a row; any other item with a target's score stands before it.
    """

    rank: Int[np.ndarray, "n t"]  # 0 where a case has fewer targets
    unseen: Int[np.ndarray, "n"]  # items ranked
    ks: tuple[int, ...]  # depths at which ``mean`` takes every metric

    def __getitem__(self, name: str) -> Float[np.ndarray, "n"]:
        """One value a case of ``ndcg@k``, ``hr@k`` (is there one hit), ``recall@k``, ``mrr@k`` or ``percentile``.

        The ideal of NDCG has min(k, targets) hits at the top. The percentile is the mean of the targets'
        (rank - 1) / (unseen - 1): 0 is best, .5 is chance.
        """
        metric, _, k = name.partition("@")
        real, count, rank = self.rank > 0, (self.rank > 0).sum(1), np.maximum(self.rank, 1)
        if name == "percentile":
            return ((rank - 1) / np.maximum(self.unseen - 1, 1)[:, None] * real).sum(1) / count
        if metric not in ("ndcg", "hr", "recall", "mrr") or not k.isdigit() or int(k) < 1:
            raise ValueError(
                f"metric {name!r}: expected percentile, or ndcg, hr, recall, mrr followed by @k with k >= 1"
            )
        hit = real & (rank <= int(k))
        if metric == "ndcg":
            place = np.arange(1, self.rank.shape[1] + 1)
            ideal = ((place <= np.minimum(count, int(k))[:, None]) / np.log2(place + 1)).sum(1)
            return (hit / np.log2(rank + 1)).sum(1) / ideal
        return {"hr": hit.any(1) * 1.0, "recall": hit.sum(1) / count, "mrr": (hit / rank).max(1)}[metric]

    def mean(self) -> dict[str, float]:
        """Means over cases of the percentile and of all other metrics at all ``ks``."""
        names = [f"{m}@{k}" for m in ("ndcg", "hr", "recall", "mrr") for k in self.ks]
        return {name: float(self[name].mean()) for name in (*names, "percentile")}


def evaluate(score: Score, holdout: Holdout, ks: Sequence[int] = KS, batch: int = 256) -> Ranking:
    """The ranking of ``holdout`` by ``score``: a recommender, or any function from cases to scores of all items.

    A module is put in evaluation mode for the time. Raises ``ValueError`` where a score is NaN.
    """
    rank, top, width = _batches(partial(_rank, max(ks, default=0)), score, holdout, ks, batch)
    return Ranking(rank, top, int(width[0]), tuple(ks))


def evaluate_sets(score: Score, sets: Sets, ks: Sequence[int] = KS, batch: int = 256) -> SetRanking:
    """The ranking of all targets of ``sets`` by ``score``, as ``evaluate`` does it for one target a case.

    Raises ``ValueError`` also where a target is among what was seen.
    """
    return SetRanking(*_batches(_rank_set, score, sets, ks, batch), tuple(ks))


@torch.no_grad()
def _batches(
    rank: Callable[..., tuple[Tensor, ...]], score: Score, held: Holdout | Sets, ks: Sequence[int], batch: int
) -> list[np.ndarray]:
    if not len(held) or min(ks, default=0) < 1 or batch < 1:
        raise ValueError(f"{len(held)} cases, ks={tuple(ks)}, batch={batch}: expected at least 1 of each")
    training = isinstance(score, nn.Module) and score.training
    if training:
        score.eval()
    try:
        parts = [
            rank(*_scored(score, part), part) for part in (held[a : a + batch] for a in range(0, len(held), batch))
        ]
    finally:
        if training:
            score.train()
    return [torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True)]


def _scored(score: Score, part: Holdout | Sets) -> tuple[Tensor, Tensor]:
    """Scores of all items, and which of them the user has not seen."""
    scores = score(part.cases)
    n, n_items = scores.shape
    if n != len(part) or max(int(part.target.max()), int(part.seen.max())) >= n_items:
        raise ValueError(f"scores of shape {(n, n_items)}: expected {len(part)} rows and a column for every item")
    if scores.isnan().any():
        raise ValueError(f"{int(scores.isnan().sum())} of {scores.numel()} scores are NaN")
    seen = part.seen.to(scores.device)
    open_ = torch.ones(n, n_items + 1, dtype=torch.bool, device=scores.device)
    return scores, open_.scatter_(1, torch.where(seen < 0, n_items, seen), False)[:, :n_items]


def _rank(k: int, scores: Tensor, open_: Tensor, part: Holdout) -> tuple[Tensor, Tensor, Tensor]:
    target, n_items = part.target.to(scores.device)[:, None], scores.shape[1]
    better = (scores >= scores.gather(1, target)) & open_
    rank = torch.where(open_.gather(1, target).squeeze(1), better.sum(1), n_items)  # counts the target itself
    width = min(k, n_items)
    top = scores.masked_fill(~open_, -torch.inf).topk(width, dim=1).indices
    top = torch.where(open_.gather(1, top), top, -1)
    return rank, nn.functional.pad(top, (0, k - width), value=-1), torch.full_like(rank, n_items)


def _rank_set(scores: Tensor, open_: Tensor, part: Sets) -> tuple[Tensor, Tensor]:
    target = part.target.to(scores.device)
    real, at = target >= 0, target.clamp(min=0)
    if (~open_.gather(1, at) & real).any():
        raise ValueError("a target is among the items that its user has seen: expected none")
    others = nn.functional.pad(open_, (0, 1)).scatter(1, target % (scores.shape[1] + 1), False)[:, :-1]
    worth = scores.gather(1, at).masked_fill(~real, -torch.inf).sort(1, descending=True).values
    place = torch.arange(1, target.shape[1] + 1, device=scores.device)  # each stands after the better targets
    rank = place + torch.stack([((scores >= w[:, None]) & others).sum(1) for w in worth.T], 1)
    return torch.where(place <= real.sum(1, keepdim=True), rank, 0), open_.sum(1)
