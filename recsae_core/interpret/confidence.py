"""Confidence of a concept: can a latent's activity on new cases be told from its description alone?

Wang et al. 2411.06112 (section on verification) ask a language model; their cases share users and items with those
that wrote the description, and the silent cases are any. Here a description speaks for items with a score, [m, i]; the
threshold comes from the cases that wrote it, and it is tried on other users' cases with other recommended items,
against silent cases whose item is as popular.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csc_array

from recsae_core.interpret.statistics import Interval, wilson

Mode = Literal["top", "any"]
Scores = Float[np.ndarray, "m i"]
Counts, Rates = Int[np.ndarray, "m"], Float[np.ndarray, "m"]
Ids = Int[np.ndarray, "r"]


class Trials(NamedTuple):
    """Cases on which descriptions are tried, one a latent and case: is the latent active there?"""

    latent: Int[np.ndarray, "t"]
    row: Int[np.ndarray, "t"]
    item: Int[np.ndarray, "t"]  # recommended in that case
    active: Bool[np.ndarray, "t"]
    m: int


@dataclass(frozen=True)
class Confidence:
    """How well each description tells active cases from silent ones, and what must be known to believe it.

    A rate without a case to measure it on is 0, an AUROC .5: neither counts as a success.
    """

    n_pos: Counts
    n_neg: Counts
    true_pos: Counts
    true_neg: Counts
    auroc: Rates  # of the score itself, no threshold; ties count half
    described: Bool[np.ndarray, "m"]
    least: int  # positives and negatives that a verdict needs

    @property
    def tpr(self) -> Interval:
        """Share of the active cases that the description predicts ("recall"), with Wilson's interval."""
        return wilson(self.true_pos, self.n_pos)

    @property
    def tnr(self) -> Interval:
        """Share of the silent cases that it leaves out, with Wilson's interval ("precision" in the authors' code)."""
        return wilson(self.true_neg, self.n_neg)

    @property
    def precision(self) -> Interval:
        """Share of the predicted cases that are active, with Wilson's interval."""
        return wilson(self.true_pos, self.true_pos + self.n_neg - self.true_neg)

    @property
    def balanced(self) -> Interval:
        """Balanced accuracy, the mean of ``tpr`` and ``tnr``; its interval adds Wilson's in squares (Newcombe)."""
        one, two = self.tpr, self.tnr
        low, high = (np.hypot(one.value - one[i], two.value - two[i]) / 2 for i in (1, 2))
        mean = (one.value + two.value) / 2
        return Interval(mean, mean - low, mean + high)

    @property
    def enough(self) -> Bool[np.ndarray, "m"]:
        """Has the latent a description, and as many cases of either kind as a verdict needs?"""
        return self.described & (self.n_pos >= self.least) & (self.n_neg >= self.least)

    def confident(self, bar: float = 0.8, floor: float = 0.5) -> Bool[np.ndarray, "m"]:
        """Balanced accuracy of at least ``bar`` with both rates at least ``floor``, on enough cases."""
        return self.enough & (self.balanced.value >= bar - 1e-9) & (np.minimum(self.tpr.value, self.tnr.value) >= floor)


def one_a_pair(user: Ids, item: Ids, generator: np.random.Generator) -> Int[np.ndarray, "p"]:
    """A random row of each pair of a user and a recommended item, in ascending order: cases that repeat count once."""
    order = generator.permutation(len(user))
    _, first = np.unique(np.stack([user, item])[:, order], axis=1, return_index=True)
    return np.sort(order[first])


def permuted(z: csc_array, generator: np.random.Generator) -> csc_array:
    """The activations of each latent on other rows, drawn at random: as often and as strong, and without meaning."""
    n, m = z.shape
    latent = np.repeat(np.arange(m), np.diff(z.indptr))
    key = latent * n + generator.integers(n, size=z.nnz)
    while True:
        again = np.ones(z.nnz, dtype=bool)
        again[np.unique(key, return_index=True)[1]] = False
        if not again.any():
            return csc_array((z.data, (key % n, latent)), shape=z.shape)
        key[again] = latent[again] * n + generator.integers(n, size=int(again.sum()))


def trials(
    z: csc_array,
    user: Ids,
    item: Ids,
    popularity: Int[np.ndarray, "i"],
    generator: np.random.Generator,
    *,
    mode: Mode = "top",
    most: int = 20,
    easy: bool = False,
    candidates: int = 64,
) -> Trials:
    """Up to ``most`` active cases of each latent, its strongest or any, and a silent case for each of them.

    The silent case has another user and another item: of ``candidates`` random ones that whose item is nearest in the
    logarithm of its popularity (any of them where ``easy``, as in the authors' code). No case is used twice.
    """
    n, m = z.shape
    if len(user) != n or len(item) != n or most < 1:
        raise ValueError(
            f"{len(user)} users, {len(item)} items, most={most}: expected {n} of each, the rows, and a case"
        )
    latent = np.repeat(np.arange(m), np.diff(z.indptr))
    strength = -z.data if mode == "top" else np.zeros(z.nnz)
    fires = z.data > 0
    order = np.lexsort((generator.random(z.nnz), strength, ~fires, latent))
    place = np.arange(z.nnz) - z.indptr[latent]
    kept = fires[order] & (place < most)
    latent, place, row = latent[kept], place[kept], z.indices[order][kept].astype(np.int64)

    silent = np.ones((n, m), dtype=bool)
    silent[z.indices[fires], np.repeat(np.arange(m), np.diff(z.indptr))[fires]] = False
    width = max(1, min(candidates, n // most))  # windows of one permutation: a latent meets no case twice
    start = generator.integers(n, size=m)[latent] + place * width
    other = generator.permutation(n)[(start[:, None] + np.arange(width)) % n]
    allowed = silent[other, latent[:, None]] & (user[other] != user[row, None]) & (item[other] != item[row, None])
    size = np.log1p(popularity)[item]
    apart = np.zeros(other.shape) if easy else np.abs(size[other] - size[row, None])
    apart = np.where(allowed, apart, np.inf)
    found = np.isfinite(apart.min(1, initial=np.inf))
    match = other[np.arange(len(row)), apart.argmin(1)][found]
    rows = np.concatenate([row, match])
    active = np.arange(len(rows)) < len(row)
    return Trials(np.concatenate([latent, latent[found]]), rows, item[rows], active, m)


def thresholds(scores: Scores, construct: Trials) -> Rates:
    """For each latent the score above which its cases are best told apart: halfway between two that occur there.

    Best is balanced accuracy, of equals the highest score; infinity, which predicts nothing, where either kind of
    case is missing.
    """
    score = scores[construct.latent, construct.item]
    order = np.lexsort((-score, construct.latent))
    latent, score, active = construct.latent[order], score[order], construct.active[order]
    n_pos, n_neg = _counts(construct)
    step = np.where(active, 1 / np.maximum(n_pos, 1)[latent], -1 / np.maximum(n_neg, 1)[latent])
    gained = np.cumsum(step)
    gained = np.round(gained - (gained - step)[np.searchsorted(latent, latent)], 9)
    last = np.append(latent[1:] != latent[:-1], True)
    below = np.append(score[1:], 0.0)
    below[last] = score[last] - 1
    gained[below == score] = -np.inf  # no threshold lies between equals
    best = np.lexsort((-gained, latent))
    chosen, at = np.unique(latent[best], return_index=True)
    out = np.full(construct.m, np.inf)
    out[chosen] = ((score + below) / 2)[best[at]]
    return np.where((n_pos > 0) & (n_neg > 0), out, np.inf)


def confidence(
    scores: Scores, construct: Trials, verify: Trials, described: Bool[np.ndarray, "m"], *, least: int = 5
) -> Confidence:
    """Predict the cases of ``verify`` from the descriptions, with the thresholds that ``construct`` sets.

    ``described`` marks the latents that have a description; ``ValueError`` for scores that are not finite.
    """
    m = construct.m
    if len(scores) != m or verify.m != m or len(described) != m or not np.isfinite(scores).all():
        raise ValueError(f"scores of {len(scores)} latents, some maybe not finite: expected finite ones of m={m}")
    score = scores[verify.latent, verify.item]
    predicted = score > thresholds(scores, construct)[verify.latent]
    n_pos, n_neg = _counts(verify)
    return Confidence(
        n_pos,
        n_neg,
        np.bincount(verify.latent[verify.active & predicted], minlength=m),
        np.bincount(verify.latent[~verify.active & ~predicted], minlength=m),
        np.where(described, _auroc(score, verify), 0.5),
        described,
        least,
    )


def _counts(t: Trials) -> tuple[Counts, Counts]:
    return tuple(np.bincount(t.latent[kind], minlength=t.m) for kind in (t.active, ~t.active))


def _auroc(score: Float[np.ndarray, "t"], t: Trials) -> Rates:
    """Mann and Whitney's statistic of each latent from mean ranks, over the number of pairs."""
    order = np.lexsort((score, t.latent))
    latent, sorted_score = t.latent[order], score[order]
    tie = np.cumsum(np.append(0, (latent[1:] != latent[:-1]) | (sorted_score[1:] != sorted_score[:-1])))[: len(order)]
    mean = (np.bincount(tie, np.arange(len(order))) / np.bincount(tie))[tie]
    rank = mean - np.searchsorted(latent, latent) + 1
    n_pos, n_neg = _counts(t)
    above = np.bincount(latent, rank * t.active[order], t.m) - n_pos * (n_pos + 1) / 2
    return np.where(n_pos * n_neg > 0, above / np.maximum(n_pos * n_neg, 1), 0.5)
