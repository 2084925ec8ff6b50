"""Confidence of a concept: can a latent's activity on new cases be told from its description alone?

Wang et al. 2411.06112 (section on verification) ask a language model; their cases share users and items with those
that wrote the description, and the silent cases are any. Here a description speaks for items with a score, [m, i]; the
threshold comes from the cases that wrote it, and it is tried on other users' cases with other recommended items,
against silent cases whose item is as popular.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csc_array
from scipy.stats import rankdata

from recsae_core.interpret.concepts import strongest
from recsae_core.interpret.statistics import Interval, wilson

Scores = Float[np.ndarray, "m i"]
Counts, Rates = Int[np.ndarray, "m"], Float[np.ndarray, "m"]
Ids = Int[np.ndarray, "r"]


class Trials(NamedTuple):
    """Cases on which descriptions are tried, one a latent and case: is the latent active there?"""

    latent: Int[np.ndarray, "t"]
    row: Int[np.ndarray, "t"]  # of the codes: the case
    item: Int[np.ndarray, "t"]  # recommended in that case
    active: Bool[np.ndarray, "t"]  # does the latent fire there?
    m: int  # latents


@dataclass(frozen=True)
class Confidence:
    """How well each description tells active cases from silent ones, and what must be known to believe it.

    A rate without a case to measure it on is 0, an AUROC .5: neither counts as a success.
    """

    n_pos: Counts  # active cases tried
    n_neg: Counts  # silent cases tried
    true_pos: Counts  # active cases that the description predicts
    true_neg: Counts  # silent cases that it leaves out
    auroc: Rates  # of the score itself, no threshold; ties count half
    described: Bool[np.ndarray, "m"]  # is there a description?
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
        rates = np.stack([self.tpr.value, self.tnr.value])
        return self.enough & (rates.mean(0) >= bar - 1e-9) & (rates.min(0) >= floor)


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
    mode: str = "top",
    most: int = 20,
    easy: bool = False,
    candidates: int = 48,
    caliper: float = 0.25,
) -> Trials:
    """Up to ``most`` active cases of each latent, its strongest or any, and a silent case for each of them.

    No user and no item is there twice among the active cases. A silent case has another user and another item: of
    ``candidates`` random ones that whose item is nearest in the logarithm of its popularity, and within ``caliper`` of
    it, or the active case is left out (any of them where ``easy``, as in the authors' code). No case is used twice; an
    ``item`` of -1 is no case.
    """
    n, m = z.shape
    if mode not in ("top", "any"):
        raise ValueError(f"mode={mode!r}: expected 'top' or 'any'")
    drawn = z if mode == "top" else csc_array((generator.random(z.nnz) * (z.data > 0), z.indices, z.indptr), z.shape)
    latent, row, *_ = strongest(drawn, user, item, cases=most)
    column = np.repeat(np.arange(m), np.diff(z.indptr))
    silent = np.ones((n, m), dtype=bool)
    silent[z.indices[z.data > 0], column[z.data > 0]] = False
    others = generator.permutation(np.flatnonzero(item >= 0))
    width = max(1, min(candidates, len(others) // most))  # windows of one permutation: a latent meets no case twice
    place = np.arange(len(row)) - np.searchsorted(latent, latent)
    start = generator.integers(max(1, len(others)), size=m)[latent] + place * width
    other = others[(start[:, None] + np.arange(width)) % max(1, len(others))]
    allowed = silent[other, latent[:, None]] & (user[other] != user[row, None]) & (item[other] != item[row, None])
    size = np.log1p(popularity)[item]
    apart = np.zeros(other.shape) if easy else np.abs(size[other] - size[row, None])
    apart[~allowed | (apart > caliper)] = np.inf
    found = np.flatnonzero(np.isfinite(apart.min(1)))
    rows = np.concatenate([row[found], other[found, apart.argmin(1)[found]]])
    return Trials(np.tile(latent[found], 2), rows, item[rows], np.arange(len(rows)) < len(found), m)


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
    last, below = np.ones(len(latent), dtype=bool), np.roll(score, -1)
    last[:-1] = latent[1:] != latent[:-1]
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
    """Mann and Whitney's statistic of each latent, over the number of pairs; ties have their mean rank."""
    n_pos, n_neg = _counts(t)
    before = np.cumsum(n_pos + n_neg) - n_pos - n_neg
    rank = rankdata(t.latent * (len(score) + 1.0) + rankdata(score)) - before[t.latent]
    above = np.bincount(t.latent[t.active], rank[t.active], t.m) - n_pos * (n_pos + 1) / 2
    return np.where(n_pos * n_neg > 0, above / np.maximum(n_pos * n_neg, 1), 0.5)
