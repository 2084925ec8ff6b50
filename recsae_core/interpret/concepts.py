"""A description for each latent without a language model: what the items recommended where it fires have in common.

A case is an instance on which it is active: a user, the best recommendation there, the activation (RecSAE, 2411.06112,
3.3). Unlike there each user and item counts once, and a term must be more frequent than *recommended* items have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import optimize, sparse
from scipy.stats import false_discovery_control

from recsae_core.interpret.vocabulary import Vocabulary
from recsae_core.sae.base import Dictionary

SHRINK = 10.0  # cases that are as expected, added to those counted before log odds are taken
PHRASES = {"genre": "{}", "tag": "{}", "decade": "from the {}", "word": "titles with {}", "popularity": "{} items"}
Ids, Scores = Int[np.ndarray, "r"], Float[np.ndarray, "m i"]


class Cases(NamedTuple):
    """The cases of all latents, in the order of the latents, strongest first."""

    latent: Int[np.ndarray, "c"]
    row: Int[np.ndarray, "c"]  # the instance
    active: Int[np.ndarray, "m"]  # instances on which each latent fires, before users and items are taken once


class Evidence(NamedTuple):
    """A term that a latent's cases have more often than chance would."""

    kind: str
    term: str
    count: int  # cases whose item has the term
    of: int  # cases
    expected: float  # count by chance
    q: float  # of as many or more, after Benjamini and Hochberg, over all latents and the terms of one kind
    weight: float  # log odds over those of chance, shrunk


@dataclass(frozen=True)
class Concept:
    """What a latent is about, with the evidence. No text without evidence; ``note`` says why, or what is missing."""

    latent: int
    text: str
    terms: tuple[Evidence, ...]  # the most certain first
    items: tuple[int, ...]  # by TF-IDF, best first, at most ten
    cases: int  # that the text was counted on
    active: int = 0  # instances on which it fires
    note: str = ""
    profile: tuple[tuple[str, str, float], ...] = ()  # kind, term and weight of all genres, tags, decades; or nothing


def codes(dictionary: Dictionary, h: Float[torch.Tensor, "r d"], batch: int = 4096) -> sparse.csc_array:
    """The positive activations of rows, [r, m], float32."""
    blocks = [dictionary.encode(part).dense().detach().clamp(min=0).cpu().numpy() for part in h.split(batch)]
    return sparse.csc_array(sparse.vstack([sparse.csr_array(block) for block in blocks]))


def strongest(z: sparse.sparray, user: Ids, item: Ids, cases: int = 20) -> Cases:
    """Up to ``cases`` cases of each latent: of a user the strongest instance, then of an item the strongest user.

    ``z`` is [r, m], ``item`` the best recommendation of each instance, -1 where the instance does not count.
    """
    if not z.shape[0] == len(user) == len(item) or cases < 1:
        raise ValueError(f"z {z.shape}, {len(user)} users, {len(item)} items, cases={cases}: expected a row each, >= 1")
    z = sparse.coo_array(z)
    fires = (z.data > 0) & (item[z.row] >= 0)
    latent, row = z.col[fires].astype(np.int64), z.row[fires].astype(np.int64)
    order = np.lexsort((row, -z.data[fires], latent))
    for group in (user, item):
        key = latent[order] * (group.max(initial=0) + 1) + group[row[order]]
        order = order[np.sort(np.unique(key, return_index=True)[1])]
    distinct = np.bincount(latent[order], minlength=z.shape[1])
    order = order[np.arange(len(order)) - (np.cumsum(distinct) - distinct)[latent[order]] < cases]
    return Cases(latent[order], row[order], np.bincount(latent, minlength=z.shape[1]))


def tfidf(sums: sparse.sparray) -> sparse.csr_array:
    """Term frequency times inverse document frequency, a latent a document: share of its sum x log(alive / latents).

    ``sums`` [m, j] are activations summed by item, or by term; alive latents have any. No public code has the paper's.
    """
    total, among = sums.sum(1), np.maximum((sums > 0).sum(0), 1)
    rows, columns = 1 / np.where(total > 0, total, 1), np.log(max((total > 0).sum(), 1) / among)
    return sparse.csr_array(sparse.diags_array(rows) @ sums @ sparse.diags_array(columns))


def chance(weights: Float[np.ndarray, "i"], has: sparse.sparray, draws: int) -> Float[np.ndarray, "t {draws}+1"]:
    """P(so many of ``draws`` different items have each term), items drawn in proportion to ``weights``.

    Items arrive at rates ``weights``, the first ``draws`` are taken: independent coins given the time, which is set to
    where ``draws`` have arrived on average. With equal weights this is exactly the hypergeometric distribution.
    """
    drawable = weights > 0
    if not 1 <= draws <= drawable.sum():
        raise ValueError(f"draws={draws}: expected 1 <= draws <= {drawable.sum()}, the items that can be drawn")
    rates, by_term = weights[drawable] / weights.max(), sparse.csr_array(has, dtype=float)[drawable].T
    arrived = lambda log_time: -np.expm1(-np.exp(log_time) * rates)  # noqa: E731
    p = arrived(optimize.brentq(lambda t: arrived(t).sum() - min(draws, len(rates) - 1e-6), -30, 99))
    size = 4 * draws + 65  # far above what the sums reach, and odd: no value of the transform is 0
    wave = np.log1p(p[:, None] * np.expm1(-2j * np.pi * np.arange(size) / size))
    with_term = by_term @ wave
    counts = [np.fft.ifft(np.exp(x)).real.clip(0)[:, : draws + 1] for x in (with_term, wave.sum(0) - with_term)]
    joint = counts[0] * counts[1][:, ::-1]
    return joint / joint.sum(1, keepdims=True)


def describe(
    z: sparse.sparray,
    user: Ids,
    item: Ids,
    vocabulary: Vocabulary,
    *,
    cases: int = 20,
    fdr: float = 0.05,
    within_items: Bool[np.ndarray, "i"] | None = None,
    weights: Float[np.ndarray, "i"] | None = None,
) -> list[Concept]:
    """A concept for each latent: the terms that its ``strongest`` cases have more often than ``chance`` would.

    Only recommendations ``within_items`` count, where given. Chance draws items by how many users get them here, or by
    ``weights``. A term needs two cases and a ``q`` of at most ``fdr``; what a latent lacks is in its ``note``.
    """
    if not 0 < fdr < 1:
        raise ValueError(f"fdr={fdr}: expected 0 < fdr < 1")
    item = item if within_items is None else np.where(within_items[item], item, -1)
    found, rows, n_items = strongest(z, user, item, cases), np.flatnonzero(item >= 0), vocabulary.has.shape[0]
    if weights is None:
        weights = np.bincount(np.unique([item[rows], user[rows]], axis=1)[0], minlength=n_items).astype(float)
    chosen = sparse.csr_array((np.ones(len(rows)), (rows, item[rows])), shape=(len(item), n_items))
    taken = sparse.csr_array((np.ones(len(found.row)), (found.latent, item[found.row])), shape=(z.shape[1], n_items))
    of, count, expected, p, q, weight = _tested(taken, vocabulary, weights)
    best, out, kinds, names = tfidf(z.maximum(0).T @ chosen), [], vocabulary.kinds, vocabulary.names
    about = [t for t, kind in enumerate(kinds) if kind not in ("word", "popularity")]
    for j, n in enumerate(of.tolist()):
        at = np.flatnonzero((q[j] <= fdr) & (count[j] > 1))
        at = at[np.lexsort((-weight[j, at], p[j, at]))]
        counts, more = count[j].tolist(), np.stack([expected[j], q[j], weight[j]], 1).tolist()
        evidence = tuple(Evidence(kinds[t], names[t], counts[t], n, *more[t]) for t in at)
        span = slice(best.indptr[j], best.indptr[j + 1])
        listed = best.indices[span][np.argsort(-best.data[span], kind="stable")][:10].tolist()
        missing = ["nothing in common beyond chance"] * (not evidence)
        missing += [f"{n} cases, fewer than the {cases} asked for"] * (n < cases)
        note, active = "; ".join(missing) if n else "never fires", int(found.active[j])
        profile = tuple((kinds[t], names[t], more[t][-1]) for t in about if evidence)
        out.append(Concept(j, _text(evidence), evidence, tuple(listed), n, active, note, profile))
    return out


def scores(concepts: Sequence[Concept], vocabulary: Vocabulary, *, naive_bayes: bool = False) -> Scores:
    """How strongly each description speaks for each item: the sum of its terms' weights, 0 without a description.

    With ``naive_bayes`` it is the sum over its ``profile``, which counts terms without evidence, and against it, too.
    """
    place = {term: t for t, term in enumerate(zip(vocabulary.kinds, vocabulary.names, strict=True))}
    table = np.zeros((len(concepts), len(place)))
    said = [(j, t[:2], t[-1]) for j, c in enumerate(concepts) for t in (c.profile if naive_bayes else c.terms)]
    if unknown := [term for _, term, _ in said if term not in place]:
        raise ValueError(f"term {unknown[0]}: expected one of the {len(place)} terms of the vocabulary")
    for j, term, weight in said:
        table[j, place[term]] = weight
    return (vocabulary.has.astype(float) @ table.T).T.astype(np.float32)


def _tested(taken: sparse.csr_array, vocabulary: Vocabulary, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cases of each latent; count, expected count, p, q and weight of each latent and term."""
    of = taken.sum(1).astype(int)
    count = (taken @ vocabulary.has.astype(float)).toarray().astype(int)
    p, q, expected = np.ones(count.shape), np.ones(count.shape), np.zeros(count.shape)
    for n in np.unique(of[of > 0]):
        law, rows = chance(weights, vocabulary.has, int(n)), of == n
        p[rows] = np.take_along_axis(law[:, ::-1].cumsum(1)[:, ::-1], count[rows].T, 1).T.clip(0, 1)
        expected[rows] = law @ np.arange(n + 1)
    for kind in set(vocabulary.kinds):
        tested = np.ix_(of > 0, (vocabulary.has[weights > 0].sum(0) > 1) & (np.array(vocabulary.kinds) == kind))
        if p[tested].size:
            q[tested] = false_discovery_control(p[tested], axis=None).reshape(p[tested].shape)
    rate = np.clip(expected / np.maximum(of, 1)[:, None], 1e-9, 1 - 1e-9)
    odds = (count + SHRINK * rate) / (of[:, None] - count + SHRINK * (1 - rate))
    return of, count, expected, p, q, np.log(odds * (1 - rate) / rate)


def _text(evidence: Sequence[Evidence]) -> str:
    parts = []
    for partly, (kind, phrase) in product((False, True), PHRASES.items()):  # what most cases have comes first
        quote, both = ("'{}'", " or ") if kind == "word" else ("{}", " and ")
        if names := [quote.format(e.term) for e in evidence if (2 * e.count < e.of, e.kind) == (partly, kind)][:3]:
            listed = both.join(filter(None, (", ".join(names[:-1]), names[-1])))
            parts.append("partly " * partly + phrase.format(listed))
    return "; ".join(parts)[:1].upper() + "; ".join(parts)[1:]
