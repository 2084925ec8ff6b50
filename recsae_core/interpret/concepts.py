"""A description for each latent without a language model: what the items recommended where it fires have in common.

A case is an instance on which the latent is active: a user, the best recommendation there, and the activation
(RecSAE, 2411.06112, section 3.3). Unlike the authors' code we take each user and each item once, so that one popular
recommendation is no pattern, and ask of each term whether it is there more often than *recommended* items have it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import optimize, sparse
from scipy.stats import false_discovery_control

from recsae_core.interpret.vocabulary import TEXT, Vocabulary
from recsae_core.sae.base import Dictionary

SHRINK = 2.0  # cases as expected, added to those counted before log-odds are taken
SAID = 3  # terms of one kind in a description
BAND = {"head": "rather popular items", "middle": "items of middling popularity", "tail": "rather rare items"}
PHRASE: dict[str, Callable[[list[str]], str]] = {
    "genre": lambda names: _list(names, "and"),
    "tag": lambda names: _list(names, "and"),
    "decade": lambda names: f"from the {_list(names, 'and')}",
    "word": lambda names: "titles with " + _list([f"'{name}'" for name in names], "or"),
    "popularity": lambda names: _list([BAND.get(name, f"{name} of popularity") for name in names], "and"),
}


class Cases(NamedTuple):
    """The cases of all latents, in the order of the latents, strongest first."""

    latent: Int[np.ndarray, "c"]
    row: Int[np.ndarray, "c"]  # the instance
    active: Int[np.ndarray, "m"]  # instances on which each latent fires, before users and items are taken once
    distinct: Int[np.ndarray, "m"]  # and after, before the first so many are taken


class Evidence(NamedTuple):
    """A term that a latent's cases have more often than chance would."""

    kind: str
    term: str
    count: int  # cases whose recommendation has the term
    of: int  # cases
    expected: float  # of them, if the latent meant nothing
    q: float  # after Benjamini and Hochberg, over all latents and terms
    weight: float  # log odds over the expected ones, shrunk


@dataclass(frozen=True)
class Concept:
    """What a latent is about, with the evidence. No text without evidence; ``note`` says why, or what is missing."""

    latent: int
    text: str
    terms: tuple[Evidence, ...]  # the most certain first
    items: tuple[int, ...]  # by TF-IDF, best first
    cases: int
    active: int = 0  # instances on which it fires
    note: str = ""


@torch.no_grad()
def codes(dictionary: Dictionary, h: Float[torch.Tensor, "r d"], batch: int = 4096) -> sparse.csc_array:
    """The positive activations of rows, [r, m], float32."""
    parts = (dictionary.encode(h[a : a + batch]).dense().clamp(min=0).cpu() for a in range(0, len(h), batch))
    blocks = [sparse.csr_array(part.numpy()) for part in parts]
    return sparse.csc_array(sparse.vstack(blocks) if blocks else (0, dictionary.m), dtype=np.float32)


def strongest(
    z: sparse.sparray,
    user: Int[np.ndarray, "r"],
    item: Int[np.ndarray, "r"],
    *,
    cases: int = 20,
    within_items: Bool[np.ndarray, "i"] | None = None,
) -> Cases:
    """Up to ``cases`` cases of each latent: of a user the strongest instance, then of an item the strongest user.

    ``z`` is [r, m]; ``item`` the best recommendation of each instance, -1 for none; with ``within_items`` only
    instances that recommend one of these count.
    """
    if cases < 1:
        raise ValueError(f"cases={cases}: expected at least 1")
    latent, row, value, active = _active(z, user, item, within_items)
    order = np.lexsort((row, -value, latent))
    for group in (user, item):
        key = latent[order] * (group.max(initial=0) + 1) + group[row[order]]
        order = order[np.sort(np.unique(key, return_index=True)[1])]
    distinct = np.bincount(latent[order], minlength=z.shape[1])
    place = np.arange(len(order)) - (np.cumsum(distinct) - distinct)[latent[order]]
    kept = order[place < cases]
    return Cases(latent[kept], row[kept], active, distinct)


def tfidf(sums: sparse.sparray) -> sparse.csr_array:
    """Term frequency times inverse document frequency, a latent a document: share of its sum x log(alive / latents).

    ``sums`` [m, j] are summed activations by item, or by term; alive latents are those with any. (Our definition: the
    paper names TF-IDF, no public code has it.)
    """
    total = sums.sum(1)
    share = sparse.csr_array(sparse.diags_array(1 / np.where(total > 0, total, 1)) @ sums)
    share.eliminate_zeros()
    among = np.bincount(share.indices, minlength=sums.shape[1])
    return sparse.csr_array(share @ sparse.diags_array(np.log(max((total > 0).sum(), 1) / np.maximum(among, 1))))


def chance(weights: Float[np.ndarray, "i"], has: sparse.sparray, draws: int) -> Float[np.ndarray, "t {draws}+1"]:
    """P(so many of ``draws`` different items have each term), items drawn in proportion to ``weights``.

    Items arrive at rates ``weights`` and the first ``draws`` to arrive are taken: independent given the time, so that
    both counts, of items with the term and of all, are sums of independent coins. Exact but for the time, which is
    set to its mean; with equal weights it is the hypergeometric distribution.
    """
    if not 1 <= draws <= (weights > 0).sum():
        raise ValueError(f"draws={draws}: expected 1 <= draws <= {(weights > 0).sum()}, the items that can be drawn")
    rates, by_term = weights[weights > 0] / weights.max(), sparse.csc_array(has, dtype=float)[weights > 0].T
    wanted = min(float(draws), len(rates) - 1e-6)
    arrived = lambda log_time: -np.expm1(-np.exp(log_time) * rates)  # noqa: E731
    p = arrived(optimize.brentq(lambda t: arrived(t).sum() - wanted, -30, 40 - np.log(rates.min())))
    size = 4 * draws + 65  # odd, and far above what the sums reach: no value of the transform is 0
    wave = np.log1p(p[:, None] * np.expm1(-2j * np.pi * np.arange(size) / size))
    with_term, whole = by_term @ wave, wave.sum(0)
    counts = [np.fft.ifft(np.exp(x)).real.clip(0)[:, : draws + 1] for x in (with_term, whole - with_term)]
    joint = counts[0] * counts[1][:, ::-1]
    return joint / joint.sum(1, keepdims=True)


def describe(
    z: sparse.sparray,
    user: Int[np.ndarray, "r"],
    item: Int[np.ndarray, "r"],
    vocabulary: Vocabulary,
    *,
    cases: int = 20,
    fdr: float = 0.05,
    within_items: Bool[np.ndarray, "i"] | None = None,
    weights: Float[np.ndarray, "i"] | None = None,
    items: int = 10,
) -> list[Concept]:
    """A concept for each latent, from ``strongest`` cases: terms that their items have more often than chance would.

    Chance draws items as often as they are recommended here (the users who get them), or by ``weights`` where given.
    A term needs two cases, and a false discovery rate of ``fdr`` over all latents and terms. A latent that never
    fires, has fewer cases than asked for or nothing in common says so in its ``note``.
    """
    if not 0 < fdr < 1:
        raise ValueError(f"fdr={fdr}: expected 0 < fdr < 1")
    found = strongest(z, user, item, cases=cases, within_items=within_items)
    n_items, m = vocabulary.has.shape[0], z.shape[1]
    meant = item >= 0 if within_items is None else (item >= 0) & within_items[item]
    if weights is None:
        pairs = np.unique(user[meant] * n_items + item[meant])
        weights = np.bincount(pairs % n_items, minlength=n_items).astype(float)
    of, shape = np.bincount(found.latent, minlength=m), (m, n_items)
    taken = sparse.csr_array((np.ones(len(found.row)), (found.latent, item[found.row])), shape=shape)
    count = (taken @ vocabulary.has.astype(float)).toarray().round().astype(np.int64)
    p, expected = np.ones(count.shape), np.zeros(count.shape)
    for n in np.unique(of[of > 0]):
        law, rows = chance(weights, vocabulary.has, int(n)), of == n
        tail = law[:, ::-1].cumsum(1)[:, ::-1]
        p[rows] = np.take_along_axis(tail, count[rows].T, 1).T
        expected[rows] = law @ np.arange(n + 1)
    tested = (of > 0)[:, None] & (vocabulary.has[weights > 0].sum(0) > 1)
    q = np.ones(p.shape)
    q[tested] = false_discovery_control(p[tested].clip(0, 1))
    weight = _log_odds(count, of[:, None], expected)
    latent, row, value, _ = _active(z, user, item, within_items)
    ranked = tfidf(sparse.csr_array((value, (latent, item[row])), shape=shape))
    out = []
    for j in range(m):
        at = np.flatnonzero((q[j] <= fdr) & (count[j] > 1))
        at = at[np.lexsort((-weight[j, at], p[j, at]))]
        evidence = tuple(
            Evidence(
                vocabulary.kinds[t],
                vocabulary.names[t],
                int(count[j, t]),
                int(of[j]),
                *map(float, (expected[j, t], q[j, t], weight[j, t])),
            )
            for t in at
        )
        score = ranked[[j]]
        best = score.indices[np.lexsort((score.indices, -score.data))][:items]
        best = tuple(map(int, best))
        note = _note(int(of[j]), cases, bool(evidence))
        out.append(Concept(j, _text(evidence), evidence, best, int(of[j]), int(found.active[j]), note))
    return out


def scores(concepts: Sequence[Concept], vocabulary: Vocabulary) -> Float[np.ndarray, "m i"]:
    """How strongly each description speaks for each item: the sum of its terms' weights, 0 without a description."""
    said = [(c, (e.kind, e.term), e.weight) for c, concept in enumerate(concepts) for e in concept.terms]
    rows, pairs, weights = zip(*said, strict=True) if said else ((), (), ())
    shape = (len(concepts), len(vocabulary.names))
    table = sparse.csr_array((np.array(weights, float), (np.array(rows, int), vocabulary.columns(pairs))), shape=shape)
    return (table @ vocabulary.has.T.astype(float)).toarray().astype(np.float32)


def _active(
    z: sparse.sparray, user: np.ndarray, item: np.ndarray, within_items: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Latent, row and value of the activations that count, and how many each latent has."""
    if not z.shape[0] == len(user) == len(item):
        raise ValueError(f"z has {z.shape[0]} rows, user {len(user)}, item {len(item)}: expected as many of each")
    z = sparse.coo_array(z)
    kept = (z.data > 0) & (item[z.row] >= 0)
    if within_items is not None:
        kept &= within_items[item[z.row]]
    latent = z.col[kept].astype(np.int64)
    return latent, z.row[kept], z.data[kept].astype(np.float64), np.bincount(latent, minlength=z.shape[1])


def _log_odds(count: np.ndarray, of: np.ndarray, expected: np.ndarray) -> np.ndarray:
    rate = np.clip(expected / np.maximum(of, 1), 1e-9, 1 - 1e-9)
    hit, miss = count + SHRINK * rate, of - count + SHRINK * (1 - rate)
    return np.log(hit / miss) - np.log(rate / (1 - rate))


def _note(cases: int, asked: int, described: bool) -> str:
    if not cases:
        return "never fires"
    few = f"{cases} cases, fewer than the {asked} asked for" if cases < asked else ""
    nothing = "" if described else "nothing in common beyond chance"
    return "; ".join(part for part in (nothing, few) if part)


def _text(evidence: Sequence[Evidence]) -> str:
    parts = []
    for kind in (*TEXT, "popularity"):
        names = [e.term for e in evidence if e.kind == kind][:SAID]
        if names:
            parts.append(PHRASE[kind](names))
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def _list(names: Sequence[str], word: str) -> str:
    return f" {word} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
