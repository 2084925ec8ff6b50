"""Intervals and held-out halves: what turns a number into a claim."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

Number = float | Float[np.ndarray, "..."]


class Interval(NamedTuple):
    """An estimate with the ends of its 95% interval (or of the level asked for)."""

    value: Number
    low: Number
    high: Number


def item_halves(
    popularity: Int[np.ndarray, "i"], splits: int, generator: np.random.Generator
) -> Bool[np.ndarray, "s i"]:
    """Random halves of the items, stratified by popularity: of two neighbours in popularity one is marked.

    Items of equal popularity are paired anew in each split. The marked half chooses, the other half scores.
    """
    if splits < 1:
        raise ValueError(f"splits={splits}: expected at least 1")
    if len(popularity) < 2:
        raise ValueError(f"{len(popularity)} items: expected at least 2 to halve")
    out = np.zeros((splits, len(popularity)), dtype=bool)
    for half in out:
        order = np.lexsort((generator.random(len(popularity)), -popularity))
        first = generator.integers(0, 2, (len(order) + 1) // 2)
        chosen = 2 * np.arange(len(first)) + first
        half[order[chosen[chosen < len(order)]]] = True
    return out


def resample_counts(n: int, draws: int, generator: np.random.Generator) -> Int[np.ndarray, "draws n"]:
    """How often each of ``n`` units is in each bootstrap sample of ``n``."""
    if n < 2 or draws < 1:
        raise ValueError(f"n={n}, draws={draws}: expected at least 2 units and 1 draw")
    return generator.multinomial(n, np.full(n, 1 / n), size=draws)


def bootstrap_mean(
    values: Float[np.ndarray, "n *p"],
    generator: np.random.Generator,
    *,
    cluster: Int[np.ndarray, "n"] | None = None,
    draws: int = 2000,
    level: float = 0.95,
) -> Interval:
    """The mean over rows with a percentile interval, bootstrap over rows, or over clusters (users) of rows."""
    values = np.asarray(values, dtype=np.float64)
    sums = values if cluster is None else _sum_by(values, cluster)
    sizes = np.ones(len(values)) if cluster is None else np.bincount(np.unique(cluster, return_inverse=True)[1])
    counts = resample_counts(len(sums), draws, generator)
    weight = (counts @ sizes).reshape(-1, *[1] * (values.ndim - 1))
    return _percentiles(values.mean(0), np.tensordot(counts, sums, axes=1) / weight, level)


def mean_over_seeds(values: Float[np.ndarray, "s *p"], level: float = 0.95) -> Interval:
    """The mean over seeds with Student's t interval; ``ValueError`` for a single seed, which says nothing of spread."""
    from scipy import stats

    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        raise ValueError(f"{len(values)} seed: expected at least 2 for an interval")
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(0, ddof=1) / np.sqrt(len(values))
    mean = values.mean(0)
    return Interval(_plain(mean), _plain(mean - half), _plain(mean + half))


def wilson(successes: Int[np.ndarray, "n"], trials: Int[np.ndarray, "n"], level: float = 0.95) -> Interval:
    """Shares of successes with Wilson's score interval; 0, from 0 to 1, where nothing was tried."""
    from scipy.special import ndtri

    if (successes < 0).any() or (successes > trials).any():
        raise ValueError("successes: expected 0 to as many as were tried")
    n, z2 = np.maximum(trials, 1), float(ndtri((1 + level) / 2)) ** 2
    share = successes / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    low, high = np.where(trials > 0, np.stack([centre - half, centre + half]), [[0.0], [1.0]])
    return Interval(share, np.minimum(low, share), np.maximum(high, share))


def _sum_by(values: np.ndarray, cluster: Int[np.ndarray, "n"]) -> np.ndarray:
    if len(cluster) != len(values):
        raise ValueError(f"cluster has {len(cluster)} rows: expected {len(values)}, as many as there are values")
    order = np.argsort(cluster, kind="stable")
    first = np.flatnonzero(np.append(True, np.diff(cluster[order]) != 0))
    return np.add.reduceat(values[order], first, axis=0)


def _percentiles(value: np.ndarray | np.floating, drawn: np.ndarray, level: float) -> Interval:
    if not 0 < level < 1:
        raise ValueError(f"level={level}: expected 0 < level < 1")
    low, high = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return Interval(_plain(value), _plain(low), _plain(high))


def _plain(x: np.ndarray | np.floating) -> Number:
    return float(x) if np.ndim(x) == 0 else x
