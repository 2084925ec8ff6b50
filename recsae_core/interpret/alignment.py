"""How well latents line up with attributes of the item at a row: correlation, ROC AUC, precision, recall.

Klenitskiy et al. 2507.12202 (their code): each latent against each attribute on all positions, then the maximum
over latents for each attribute. A label is a function of the item, so sums per latent and item say all of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import csc_array, csr_array
from torch import Tensor

from recsae_core.sae.base import Code, Dictionary, check_rows


@dataclass(frozen=True)
class Alignment:
    """Every latent against every attribute, on rows that each carry one item.

    A latent that is constant on the rows has r 0 and AUC .5, one that never fires has precision 0. Where an
    attribute does not vary (no row or every row has it) r and AUC are NaN, recall and mean too where no row has it.
    """

    r: Float[np.ndarray, "m a"]  # Pearson correlation
    auc: Float[np.ndarray, "m a"]  # area under the ROC curve, exact, ties counted half
    precision: Float[np.ndarray, "m a"]  # P(attribute | z > 0)
    recall: Float[np.ndarray, "m a"]  # P(z > 0 | attribute)
    mean_active: Float[np.ndarray, "m a"]  # mean of z over the rows that have the attribute
    fire_rate: Float[np.ndarray, "m"]  # P(z > 0)
    base_rate: Float[np.ndarray, "a"]  # P(attribute)
    attributes: Bool[np.ndarray, "i a"] = field(repr=False)  # of each item
    count: Int[np.ndarray, "i"] = field(repr=False)  # rows of each item
    sum_z: Float[np.ndarray, "m i"] = field(repr=False)  # sum of z over the rows of each item
    sum_zz: Float[np.ndarray, "m i"] = field(repr=False)  # and of its square

    def on_items(self, items: Bool[np.ndarray, "i"] | Float[np.ndarray, "i"]) -> Float[np.ndarray, "m a"]:
        """Pearson r on the rows of some items only: a mask, or how often each item counts."""
        weight = items.astype(np.float64)
        rows, label = weight * self.count, self.attributes * weight[:, None]
        with_a = rows @ self.attributes
        return pearson(rows.sum(), self.sum_z @ weight, self.sum_zz @ weight, with_a, with_a, self.sum_z @ label)


class Halved(NamedTuple):
    """Pearson r of every latent with every label, on all rows and on both halves of each split of the rows."""

    r: Float[np.ndarray, "m a"]
    chosen: Float[np.ndarray, "s m a"]  # on the marked rows
    scored: Float[np.ndarray, "s m a"]  # on the others

    @property
    def latents(self) -> Int[np.ndarray, "s a"]:
        """The latent with the highest r on the marked rows of each split."""
        return np.nan_to_num(self.chosen, nan=-np.inf).argmax(1)

    @property
    def held_out(self) -> Float[np.ndarray, "s a"]:
        """The r of that latent on the other rows; NaN where the label does not vary on one of the halves."""
        found = np.take_along_axis(self.scored, self.latents[:, None], 1)[:, 0]
        return np.where(np.isnan(self.chosen).all(1), np.nan, found)


def align(
    dictionary: Dictionary,
    h: Float[Tensor, "n d"],
    item: Int[Tensor, "n"],
    attributes: Bool[np.ndarray, "i a"],
    batch: int = 4096,
) -> Alignment:
    """Every latent against every attribute of the item at the row, in one pass over the rows.

    Codes are made ``batch`` rows at a time and only their non-zero entries are kept (8 bytes each in float32);
    sums are float64. Raises ``ValueError`` for rows of another width, NaN, or an item without attributes.
    """
    codes, item = nonzero(dictionary, h, batch), check_labels(item, h, attributes)
    n_items, m, n = len(attributes), codes.shape[1], len(item)
    label, count = attributes.astype(np.float64), np.bincount(item, minlength=n_items)
    sum_z, sum_zz = np.empty((m, n_items)), np.empty((m, n_items))
    with_a, total = count @ label, {k: np.empty((m, label.shape[1])) for k in ("rank", "fires", "z")}
    fires = np.empty(m)
    for j, (row, z) in enumerate(_columns(codes)):
        at = item[row]
        sum_z[j], sum_zz[j] = _by_item(at, z, n_items), _by_item(at, np.square(z, dtype=np.float64), n_items)
        stored = np.bincount(at, minlength=n_items)
        positive = z > 0
        all_positive = bool(positive.all())
        fires_at = stored if all_positive else np.bincount(at[positive], minlength=n_items)
        zeros, below = n - len(z), 0 if all_positive else len(z) - int(positive.sum())
        rank = midranks(z)
        rank += zeros if all_positive else zeros * positive
        at_zero = below + (zeros + 1) / 2
        total["rank"][j] = (_by_item(at, rank, n_items) + at_zero * (count - stored)) @ label
        total["fires"][j], fires[j] = fires_at @ label, fires_at.sum()
    total["z"] = sum_z @ label
    with np.errstate(divide="ignore", invalid="ignore"):
        return Alignment(
            r=pearson(n, sum_z.sum(1), sum_zz.sum(1), with_a, with_a, total["z"]),
            auc=(total["rank"] - with_a * (with_a + 1) / 2) / (with_a * (n - with_a)),
            precision=np.where(fires[:, None] > 0, total["fires"] / fires[:, None], 0.0),
            recall=total["fires"] / with_a,
            mean_active=total["z"] / with_a,
            fire_rate=fires / max(n, 1),
            base_rate=with_a / max(n, 1),
            attributes=attributes,
            count=count,
            sum_z=sum_z,
            sum_zz=sum_zz,
        )


def mean_max_correlation(alignment: Alignment) -> float:
    """The highest signed r over latents for each attribute, averaged over the attributes that vary.

    Chosen and scored on the same rows, as the authors do; ``held_out_max`` is the honest companion.
    """
    return float(np.nanmean(alignment.r.max(0)))


def held_out_max(alignment: Alignment, halves: Bool[np.ndarray, "s i"]) -> Float[np.ndarray, "s a"]:
    """r of the latent that is best on the marked half of the items, on the rows of the other half.

    NaN where an attribute does not vary on one of the halves.
    """
    chosen, scored = (np.array([alignment.on_items(half) for half in marked]) for marked in (halves, ~halves))
    return Halved(alignment.r, chosen, scored).held_out


def concept_f1(
    dictionary: Dictionary,
    h: Float[Tensor, "n d"],
    item: Int[Tensor, "n"],
    attributes: Bool[np.ndarray, "i a"],
    halves: Bool[np.ndarray, "s i"],
    batch: int = 4096,
) -> Float[np.ndarray, "a"]:
    """F1 of ``z >= t`` as a detector of each attribute, mean over the splits of the items.

    Latent and threshold ``t`` (any value of the latent but a non-negative one's zero) are chosen on the rows of the
    marked half of the items, F1 is that of the rows of the other half. 0 where nothing is found.
    """
    codes, item = nonzero(dictionary, h, batch), check_labels(item, h, attributes)
    label, n = np.ascontiguousarray(attributes.T), len(item)
    count = np.bincount(item, minlength=len(attributes))
    with_a = (halves * count) @ attributes.astype(np.float64)
    shape = (len(halves), len(label))
    best, test = np.zeros(shape), np.zeros(shape)
    for row, z in _columns(codes):
        if len(z) and z.min() < 0:
            row, z = np.arange(n), _filled(row, z, n)
        order = np.argsort(-z)
        z, at = z[order], item[row[order]]
        for s, half in enumerate(halves):
            f1, threshold = _best_thresholds(z, at, half, label, with_a[s])
            for a in np.flatnonzero(f1 > best[s]):
                fired = at[: np.searchsorted(-z, -threshold[a], side="right")]
                fired = fired[~half[fired]]
                relevant = count @ label[a] - with_a[s, a]
                best[s, a], test[s, a] = f1[a], 2 * label[a, fired].sum() / max(len(fired) + relevant, 1)
    return test.mean(0)


def nonzero(dictionary: Dictionary, h: Float[Tensor, "n d"], batch: int = 4096) -> csc_array:
    """The non-zero entries of the codes of all rows, [n, m], latent after latent."""
    check_rows(h, dictionary.d)
    values, columns, widths = [], [], [np.zeros(1, dtype=np.int64)]
    with torch.no_grad():
        for start in range(0, len(h), batch):
            value, column, width = _entries(dictionary.encode(h[start : start + batch]))
            values.append(value), columns.append(column), widths.append(width)
    if not values:
        return csc_array((0, dictionary.m), dtype=np.float32)
    ends = np.cumsum(np.concatenate(widths))
    index = np.int32 if ends[-1] < 2**31 else np.int64
    parts = np.concatenate(values), np.concatenate(columns).astype(index, copy=False), ends.astype(index)
    return csr_array(parts, shape=(len(h), dictionary.m)).tocsc()


def check_labels(
    item: Int[Tensor, "_"], h: Float[Tensor, "n d"], attributes: Bool[np.ndarray, "i a"]
) -> Int[np.ndarray, "n"]:
    """The items as a numpy array; ``ValueError`` where their number or their range does not fit."""
    if len(item) != len(h):
        raise ValueError(f"item has {len(item)} rows: expected {len(h)}, as many as h")
    out = item.cpu().numpy().astype(np.intp)
    if len(out) and not (out.min() >= 0 and out.max() < len(attributes)):
        span = f"{out.min()} to {out.max()}"
        raise ValueError(f"item holds ids from {span}: expected 0 to {len(attributes) - 1}, the rows of attributes")
    return out


def pearson(
    n: float | int,
    z: Float[np.ndarray, "l"],
    zz: Float[np.ndarray, "l"],
    y: Float[np.ndarray, "a"],
    yy: Float[np.ndarray, "a"],
    zy: Float[np.ndarray, "l a"],
) -> Float[np.ndarray, "l a"]:
    """Pearson r from sums over ``n`` rows: 0 for a ``z`` that is constant, NaN for a ``y`` that is."""
    n = max(n, 1e-300)
    mean_z, mean_y = z / n, y / n
    var_z, var_y = zz / n - mean_z**2, yy / n - mean_y**2
    var_z[var_z <= 1e-12 * zz / n] = 0  # what rounding leaves of a constant
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (zy / n - mean_z[:, None] * mean_y) / np.sqrt(var_z[:, None] * var_y)
    r[var_z == 0] = 0
    r[:, var_y <= 1e-12 * yy / n + 1e-15] = np.nan
    return r.clip(-1, 1)


def midranks(v: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Ranks from 1, equal values sharing the mean of theirs (``scipy.stats.rankdata``, which is slower here)."""
    order = np.argsort(v)
    ordered = v[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))[: len(v)]
    out = np.empty(len(v))
    if len(first) == len(v):
        out[order] = np.arange(1.0, len(v) + 1)
    else:
        end = np.append(first[1:], len(v))
        out[order] = np.repeat((first + end + 1) / 2, end - first)
    return out


def _entries(z: Code) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    value = z.value.detach().cpu().numpy()
    kept = value != 0
    flat = np.flatnonzero(kept)
    column = flat % z.m if z.index is None else z.index.cpu().numpy().ravel()[flat]
    return value.ravel()[flat], column.astype(np.int32), kept.sum(1)


def _columns(codes: csc_array) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start, end in zip(codes.indptr[:-1], codes.indptr[1:], strict=True):
        yield codes.indices[start:end], codes.data[start:end]


def _by_item(item: np.ndarray, weight: np.ndarray, n_items: int) -> Float[np.ndarray, "i"]:
    return np.bincount(item, weights=weight, minlength=n_items).astype(np.float64, copy=False)  # ints where empty


def _filled(row: np.ndarray, z: np.ndarray, n: int) -> np.ndarray:
    out = np.zeros(n, dtype=z.dtype)
    out[row] = z
    return out


def _best_thresholds(
    z: np.ndarray, at: np.ndarray, half: np.ndarray, label: Bool[np.ndarray, "a i"], with_a: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each attribute the best F1 of ``z >= t`` (z descending) on the marked half, and its ``t``."""
    chosen = half[at]
    z, at = z[chosen], at[chosen]
    if not len(z):
        return np.zeros(len(label)), np.zeros(len(label))
    hits = np.cumsum(label[:, at], axis=1, dtype=np.int32)
    last = np.flatnonzero(np.append(z[1:] != z[:-1], True))
    f1 = 2 * hits[:, last] / (last + 1 + with_a[:, None])
    best = f1.argmax(1)
    return f1[np.arange(len(label)), best], z[last[best]]
