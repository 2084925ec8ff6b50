"""How alike the cases of one latent are, beside those of other latents; how often they are one case again and again.

The coherence of RecSAE (2411.06112; the authors' code, branch anon) is the cosine of the probed vectors of a latent's
two strongest cases. The strongest rows of *any* linear encoder lie close: read it beside other dictionaries.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csc_array

Rows = Int[np.ndarray, "m t"]  # the rows of each latent, -1 where it has fewer


def strongest(z: csc_array, t: int, *, apart: Int[np.ndarray, "r"] | None = None) -> Rows:
    """The rows of the ``t`` largest activations of each latent, largest first, ties by row; -1 where fewer are above 0.

    ``z`` is [r, m]. With ``apart`` (the item of each row) a latent's rows differ in it: the strongest of each stays.
    """
    if t < 1:
        raise ValueError(f"t={t}: expected at least 1")
    latent, fires = np.repeat(np.arange(z.shape[1]), np.diff(z.indptr)), z.data > 0
    row, latent = z.indices[fires], latent[fires]
    order = np.lexsort((row, -z.data[fires], latent))
    row, latent = row[order], latent[order]
    if apart is not None and len(row):
        first = np.sort(np.unique(latent * (int(apart.max()) + 1) + apart[row], return_index=True)[1])
        row, latent = row[first], latent[first]
    place, out = np.arange(len(row)) - np.searchsorted(latent, latent), np.full((z.shape[1], t), -1)
    out[latent[place < t], place[place < t]] = row[place < t]
    return out


def published_cases(z: csc_array, generator: np.random.Generator, pool: int = 10, shown: int = 5) -> Rows:
    """The rows that write a latent's concept as the authors choose them: ``shown`` of its ``pool`` strongest, drawn.

    Only activations of level 5 or more count; levels are tenths of all activations of all latents together, so that a
    latent that is always weak has no case. -1 where there are fewer.
    """
    if not 1 <= shown <= pool:
        raise ValueError(f"shown={shown}: expected 1 <= shown <= pool={pool}")
    cut = z.copy()
    cut.data[cut.data < np.quantile(z.data[z.data > 0], 0.4)] = 0
    rows = strongest(cut, pool)
    drawn = np.where(rows >= 0, generator.random(rows.shape), 2).argsort(1)[:, :shown]
    return np.take_along_axis(rows, drawn, 1)


def within(x: Float[np.ndarray, "r d"] | Bool[np.ndarray, "r d"], rows: Rows) -> Float[np.ndarray, "m"]:
    """Mean cosine (Jaccard overlap where ``x`` is bool) over all pairs of each latent's rows; NaN for fewer than two.

    A pair of which one vector is zero (neither row has a label) has no similarity and does not count.
    """
    v, real = x[rows].astype(np.float64), rows >= 0
    dot = v @ v.transpose(0, 2, 1)
    size = dot.diagonal(0, 1, 2)[:, :, None]
    norm = size + size.transpose(0, 2, 1) - dot if x.dtype == bool else np.sqrt(size * size.transpose(0, 2, 1))
    counts = real[:, :, None] & real[:, None] & (norm > 0) & ~np.eye(rows.shape[1], dtype=bool)
    alike, pairs = (dot / np.where(counts, norm, np.inf)).sum((1, 2)), counts.sum((1, 2))
    return np.where(pairs > 0, alike / np.maximum(pairs, 1), np.nan)


def between(x: Float[np.ndarray, "r d"], rows: Rows) -> float:
    """Mean cosine over all pairs of rows of two *different* latents; NaN where fewer than two latents have a row."""
    v = x.astype(np.float64) / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    each, n = (v[rows] * (rows >= 0)[:, :, None]).sum(1), (rows >= 0).sum(1)
    pairs = n.sum() ** 2 - (n**2).sum()
    return float((np.square(each.sum(0)).sum() - np.square(each).sum()) / pairs) if pairs else float("nan")


def permuted(rows: Rows, generator: np.random.Generator, *, ranked: bool) -> Rows:
    """The same rows dealt out anew to the latents: those of each rank among themselves if ``ranked``, or all."""
    out = rows.copy()
    for part in out.T if ranked else [out.reshape(-1)]:
        part[part >= 0] = generator.permutation(part[part >= 0])
    return out


class Repeats(NamedTuple):
    """How often the lists of the latents, those with at least two cases, show the same item again."""

    lists: int
    repeat_share: float  # lists with an item twice
    identical_share: float  # lists that another latent has too, in any order
    popular_share: float  # of all lines, those of the most frequent items
    distinct: Int[np.ndarray, "t"]  # lists with 1, 2, ... different items


def repeats(items: Rows, popular: int = 20) -> Repeats:
    """Counts over lists of items, -1 where they are shorter; ``popular`` is how many items count as most frequent."""
    lists = -np.sort(-items[(items >= 0).sum(1) >= 2], axis=1)
    if not len(lists):
        raise ValueError("no latent has two cases: expected at least one that has")
    new = (np.diff(lists, axis=1, prepend=-2) != 0) & (lists >= 0)
    distinct, lines = new.sum(1), np.unique(lists[lists >= 0], return_counts=True)[1]
    _, same, count = np.unique(lists, axis=0, return_inverse=True, return_counts=True)
    again, twins = (distinct < (lists >= 0).sum(1)).mean(), (count[same.reshape(-1)] > 1).mean()
    top, counts = np.sort(lines)[-popular:].sum() / lines.sum(), np.bincount(distinct, minlength=lists.shape[1] + 1)
    return Repeats(len(lists), float(again), float(twins), float(top), counts[1:])
