"""Purity: of the items on which a latent is strongest, how many have an attribute, and how many would by chance?

Arviv et al. 2511.18024 choose and score on all items; here those that choose need not be those that score. ``z`` is
always the code of the items, [i, m]; an item on which a latent is exactly 0 is none of its top items.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control, hypergeom

# z, attributes; which items are meant, in one or in many splits; the top items of each latent, -1 for none
Codes, Labels = Float[np.ndarray, "i m"], Bool[np.ndarray, "i a"]
Marked, Halves = Bool[np.ndarray, "i"], Bool[np.ndarray, "s i"]
Top = Int[np.ndarray, "m k"]


class Purity(NamedTuple):
    """Purity@K of every latent with every attribute on both halves of each split of the items, for each K."""

    chosen: Float[np.ndarray, "k s m a"]  # of the K top items of the marked half
    scored: Float[np.ndarray, "k s m a"]  # of the K top items of the other half
    base: Float[np.ndarray, "s a"]  # share of the other half that has the attribute: purity over it is the lift

    @property
    def latents(self) -> Int[np.ndarray, "k s a"]:
        """The purest latent on the marked half; of equals the one that is purest at the last K."""
        return (self.chosen + 1e-4 * self.chosen[-1]).argmax(2)

    @property
    def held_out(self) -> Float[np.ndarray, "k s a"]:
        """The purity of that latent on the other half."""
        return np.take_along_axis(self.scored, self.latents[:, :, None], 2)[:, :, 0]

    @property
    def one_to_one(self) -> Float[np.ndarray, "k s a"]:
        """As ``held_out`` with no latent for two attributes: Hungarian matching on the marked half; 0 if left over."""
        out = np.zeros(self.chosen.shape[:2] + self.chosen.shape[3:])
        for at in np.ndindex(out.shape[:2]):
            rows, columns = linear_sum_assignment(self.chosen[at], maximize=True)
            out[at][columns] = self.scored[at][rows, columns]
        return out


class Labelled(NamedTuple):
    """One attribute for each latent, the most surprising on the marked half, and how it does on the other half."""

    label: Int[np.ndarray, "s m"]
    purity: Float[np.ndarray, "s m"]
    p: Float[np.ndarray, "s m"]  # of as many hits or more, exact
    q: Float[np.ndarray, "s m"]  # after Benjamini and Hochberg, over the latents


def ranking(z: Codes) -> Int[np.ndarray, "m i"]:
    """The items of each latent, strongest first, those at 0 last; ``ValueError`` where ``z`` is not finite."""
    if not np.isfinite(z).all():
        raise ValueError(f"z holds {int((~np.isfinite(z)).sum())} values that are NaN or infinite")
    return np.argsort(np.ascontiguousarray(np.where(z == 0, np.inf, -z).T), axis=1, kind="stable")


def top(z: Codes, k: int, within: Marked | None = None, order: Int[np.ndarray, "m i"] | None = None) -> Top:
    """The ``k`` strongest items of each latent, among all or ``within`` some; -1 where it is silent on all others.

    A -1 counts as a miss (the authors fill up in the order of the catalogue). ``order`` is ``ranking(z)``, given
    where many halves are asked for. ``ValueError`` where there are fewer than ``k`` items.
    """
    order, items = ranking(z) if order is None else order, len(z) if within is None else int(within.sum())
    if not 1 <= k <= items:
        raise ValueError(f"K={k}: expected 1 <= K <= {items}, the number of items to choose from")
    found = order[:, :k]
    if within is not None:
        first, marked = order[:, : 4 * k + 50], within[order[:, : 4 * k + 50]]
        if marked.sum(1).min() < k:
            first, marked = order, within[order]
        found = first[marked & (marked.cumsum(1) <= k)].reshape(-1, k)
    return np.where(np.take_along_axis(z.T, found, 1) == 0, -1, found)


def purity(found: Top, attributes: Labels) -> Float[np.ndarray, "m a"]:
    """The share of a latent's top items that have each attribute; a -1 has none."""
    return _hits(found, attributes) / found.shape[1]


def held_out(z: Codes, attributes: Labels, halves: Halves, ks: Sequence[int]) -> Purity:
    """Purity@K on both halves of each split. K counts the top items of the half, about 2 K of the catalogue."""
    order, both = ranking(z), []
    for marked in (halves, ~halves):
        tops = [top(z, max(ks), half, order) for half in marked]
        both.append(np.array([[purity(found[:, :k], attributes) for found in tops] for k in ks]))
    return Purity(*both, np.array([attributes[~half].mean(0) for half in halves]))


def average_precision(z: Float[np.ndarray, "i p"], label: Bool[np.ndarray, "i p"]) -> Float[np.ndarray, "p"]:
    """Average precision of each column of ``z`` for that of ``label``: items at 0 are never found; NaN without any."""
    order = ranking(z).T
    hit = np.take_along_axis(label & (z != 0), order, 0)
    with np.errstate(invalid="ignore"):
        return (hit * hit.cumsum(0) / np.arange(1, len(z) + 1)[:, None]).sum(0) / label.sum(0)


def enrichment(found: Top, attributes: Labels, within: Marked | None = None) -> Float[np.ndarray, "m a"]:
    """P(as many of a latent's top items or more have the attribute) if the labels were shuffled over the items.

    Exact, for the hits are then hypergeometric. ``within``: the items that ``found`` is from. 1 without a top item.
    """
    pool, drawn = attributes if within is None else attributes[within], (found >= 0).sum(1, keepdims=True)
    return hypergeom.sf(_hits(found, attributes) - 1, len(pool), pool.sum(0), drawn).clip(0, 1)


def labelled(z: Codes, attributes: Labels, halves: Halves, k: int) -> Labelled:
    """What each latent is about, at K = ``k``: said by the marked half of the items, tested on the other."""
    order, out = ranking(z), []
    for half in halves:
        label, rest = enrichment(top(z, k, half, order), attributes, half).argmin(1), top(z, k, ~half, order)
        pick = np.arange(len(label)), label
        p = enrichment(rest, attributes, ~half)[pick]
        out.append((label, purity(rest, attributes)[pick], p, false_discovery_control(p)))
    return Labelled(*(np.array(part) for part in zip(*out, strict=True)))


def permuted_maxima(
    found: Top, attributes: Labels, draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "{draws} a"]:
    """The in-sample rule's null: the highest purity over latents where the rows of ``attributes`` are shuffled."""
    return np.array([purity(found, generator.permutation(attributes)).max(0) for _ in range(draws)])


def monosemanticity(
    z: Codes, x: Float[np.ndarray, "i d"], k: int = 30, *, above_chance: bool = False
) -> Float[np.ndarray, "m"]:
    """How alike a latent's ``k`` top items are: their mean pairwise cosine in ``x``, weighted by activation.

    2511.18024: weights are products of activations, scaled to [0, 1] over the items; ``x`` are the recommender's item
    vectors; 0 with fewer than two items. With attributes as ``x`` it asks for labels instead of geometry.
    ``above_chance`` subtracts the mean cosine of all pairs of items. A row of zeros is like no other.
    """
    scaled = ((z - z.min(0)) / np.where(np.ptp(z, axis=0) > 0, np.ptp(z, axis=0), 1)).astype(np.float64)
    best = np.argsort(-scaled, axis=0)[:k]
    w, unit = np.take_along_axis(scaled, best, 0).T, x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)
    # the sum over pairs without the pairs: |sum w u|^2 less the diagonal
    square, pairs = np.square(unit).sum(1), w.sum(1) ** 2 - (w**2).sum(1)
    total = np.square(np.einsum("mk,mkd->md", w, unit[best.T])).sum(1) - (w**2 * square[best.T]).sum(1)
    chance = (np.square(unit.sum(0)).sum() - square.sum()) / (len(x) * (len(x) - 1)) if above_chance else 0.0
    return np.where(pairs > 1e-12, total / np.maximum(pairs, 1e-12), 0.0) - chance


def cohens_d(one: Float[np.ndarray, "n m"], other: Float[np.ndarray, "j m"]) -> Float[np.ndarray, "m"]:
    """Difference of the column means in pooled standard deviations; 0 for a column that is constant in both."""
    rows = np.array([len(one), len(other)]) - 1
    if min(rows) < 1:
        raise ValueError(f"groups of {len(one)} and {len(other)} rows: expected at least 2 in each")
    pooled = np.sqrt((rows @ np.array([one.var(0, ddof=1), other.var(0, ddof=1)])) / rows.sum())
    return np.divide(one.mean(0) - other.mean(0), pooled, out=np.zeros(len(pooled)), where=pooled > 0)


def _hits(found: Top, attributes: Labels) -> Int[np.ndarray, "m a"]:
    places = np.repeat(np.arange(len(found)), found.shape[1])[found.ravel() >= 0]
    chosen = csr_array((np.ones(len(places)), (places, found[found >= 0])), shape=(len(found), len(attributes)))
    return (chosen @ attributes.astype(np.float64)).astype(np.int64)
