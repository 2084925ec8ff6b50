"""What it may mean that a row "has" an attribute, and how well latents follow each meaning on rows held out.

The authors of 2507.12202 take the attribute of the item at the position, which the row contains by construction.
The next item's attribute and the attribute's share of the recent history are what a recommender is about.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import csc_array
from torch import Tensor

from recsae_core.interpret.alignment import Halved, midranks, pearson

BLOCK = 8192  # rows whose codes are dense at a time


def next_items(case: Int[Tensor, "n"], item: Int[Tensor, "n"], target: Int[Tensor, "c"]) -> Int[Tensor, "n"]:
    """The item that follows each row: that of the next row of its case, or the case's ``target`` after the last."""
    ends = torch.cat([case[1:] != case[:-1], case.new_ones(min(len(case), 1), dtype=torch.bool)])
    if int(ends.sum()) != len(target):
        raise ValueError(f"target has {len(target)} items: expected {int(ends.sum())}, one a case, cases in order")
    following = torch.cat([item[1:], item[:1]])
    following[ends] = target
    return following


def history_share(
    case: Int[Tensor, "n"], item: Int[Tensor, "n"], attributes: Bool[np.ndarray, "i a"], window: int = 10
) -> Float[np.ndarray, "n a"]:
    """Each attribute's share of the last ``window`` items of the case up to and with the row, fewer at its start."""
    if window < 1:
        raise ValueError(f"window={window}: expected at least 1")
    at, label = case.cpu().numpy(), attributes[item.cpu().numpy()]
    total = np.concatenate([np.zeros((1, label.shape[1])), np.cumsum(label, 0, dtype=np.float64)])
    here = np.arange(len(at))
    start = np.maximum(np.searchsorted(at, at), here - window + 1)
    return (total[here + 1] - total[start]) / (here + 1 - start)[:, None]


def marked_share(share: Float[np.ndarray, "n a"]) -> Bool[np.ndarray, "n a"]:
    """Rows whose share lies more than one standard deviation above the attribute's mean: its recent devotees.

    A threshold in units of the attribute's own spread marks some rows of rare and of frequent attributes alike.
    """
    return share > share.mean(0) + share.std(0)


def align_labels(codes: csc_array, label: Float[np.ndarray, "_ a"], halves: Bool[np.ndarray, "s _"]) -> Halved:
    """Every latent against every label of the row, on all rows and on both halves of each split of the rows.

    ``codes`` are ``alignment.nonzero``'s; labels may be any numbers. For held-out items mark rows by item
    (``item_halves(...)[:, item]``), for held-out users by user. ``alignment.align`` has more for labels of items.
    """
    n, m = codes.shape
    if len(label) != n or halves.shape[1] != n:
        raise ValueError(f"label has {len(label)} rows, halves {halves.shape[1]}: expected {n}, as many as the codes")
    rows, y = codes.tocsr(), label.astype(np.float64)
    weight = np.vstack([np.ones(n), halves])  # all rows, then the marked ones of each split
    z, zz, zy = np.zeros((m, len(weight))), np.zeros((m, len(weight))), np.zeros((m, len(weight) * y.shape[1]))
    for start in range(0, n, BLOCK):  # dense blocks: matrix products are faster than sparse ones at 2% of entries
        at = slice(start, start + BLOCK)
        block, w = rows[at].toarray().T.astype(np.float64), weight[:, at].T
        z += block @ w
        zz += block**2 @ w
        zy += block @ (w[:, :, None] * y[at, None]).reshape(len(w), -1)
    sums = [weight.sum(1), z.T, zz.T, weight @ y, weight @ y**2, zy.reshape(m, len(weight), -1).swapaxes(0, 1)]
    chosen = [pearson(*(part[s] for part in sums)) for s in range(1, len(weight))]
    scored = [pearson(*(part[0] - part[s] for part in sums)) for s in range(1, len(weight))]
    return Halved(pearson(*(part[0] for part in sums)), np.array(chosen), np.array(scored))


def held_out_best(settings: Mapping[str, Halved]) -> tuple[Float[np.ndarray, "s a"], list[str]]:
    """r on the other rows of the setting AND the latents that are best on the marked rows, and the setting's name.

    A setting's merit is its mean over labels of the highest r. Choosing the setting on all rows would let the rows
    that score have a say in it.
    """
    names, found = list(settings), list(settings.values())
    merit = np.array([np.nanmean(one.chosen.max(1), axis=1) for one in found])
    best = merit.argmax(0)
    return np.array([found[b].held_out[s] for s, b in enumerate(best)]), [names[b] for b in best]


class Scores(NamedTuple):
    """How well one latent a label, chosen elsewhere, does on the rows held out of each split."""

    r: Float[np.ndarray, "s a"]
    auc: Float[np.ndarray, "s a"]
    precision: Float[np.ndarray, "s a"]  # of z > 0; 0 where it never fires
    recall: Float[np.ndarray, "s a"]


def held_out_scores(
    codes: csc_array,
    label: Float[np.ndarray, "_ a"],
    present: Bool[np.ndarray, "_ a"],
    halves: Bool[np.ndarray, "s _"],
    latents: Int[np.ndarray, "s a"],
) -> Scores:
    """Scores of ``latents``, one a split and label (``Halved.latents``), on the rows not marked.

    r is with ``label``; AUC, precision and recall are with ``present``, the label as yes or no.
    """
    kept, place = np.unique(latents, return_inverse=True)
    z, place = codes[:, kept].toarray(), place.reshape(latents.shape)
    found = [score(z[~half][:, at], label[~half], present[~half]) for half, at in zip(halves, place, strict=True)]
    return Scores(*np.stack(found, 1))


def score(
    z: Float[np.ndarray, "n a"], label: Float[np.ndarray, "n a"], present: Bool[np.ndarray, "n a"]
) -> Float[np.ndarray, "4 a"]:
    """The rows of ``Scores`` for each column of ``z`` with its own label; NaN where that does not vary."""
    z, fires, yes, n = z.astype(np.float64), z > 0, present.sum(0), len(z)
    cells = zip(z.T[:, :, None], label.T[:, :, None], strict=True)
    r = [pearson(n, v.sum(0), (v**2).sum(0), y.sum(0), (y**2).sum(0), v.T @ y)[0, 0] for v, y in cells]
    ranks, hits = (
        np.array([midranks(v)[p].sum() for v, p in zip(z.T, present.T, strict=True)]),
        (fires & present).sum(0),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        auc = (ranks - yes * (yes + 1) / 2) / (yes * (n - yes))
        found = np.array([r, auc, hits / np.maximum(fires.sum(0), 1), hits / yes])
    found[1:, (yes == 0) | (yes == n)] = np.nan
    return found
