"""How alike the two lists of a user are: rank-biased overlap, Kendall's tau, overlap. All users at once, best first."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def top(scores: Float[Tensor, "n i"], seen: Int[Tensor, "n s"] | None, depth: int) -> Int[np.ndarray, "n k"]:
    """The ``depth`` best items of each row, best first, without those ``seen`` (padded with -1).

    -1 where a row has fewer; ``ValueError`` where the catalogue has, or where a score is NaN.
    """
    if not 1 <= depth <= scores.shape[1]:
        raise ValueError(f"depth={depth}: expected 1 to {scores.shape[1]} items")
    if scores.isnan().any():
        raise ValueError(f"{int(scores.isnan().sum())} of {scores.numel()} scores are NaN")
    if seen is not None:
        hidden = torch.zeros(len(scores), scores.shape[1] + 1, dtype=torch.bool, device=scores.device)
        hidden.scatter_(1, seen.to(scores.device) % hidden.shape[1], True)  # -1 is the column too many
        scores = scores.masked_fill(hidden[:, :-1], -torch.inf)
    value, item = scores.topk(depth, dim=1)
    return torch.where(value > -torch.inf, item, -1).cpu().numpy()


def overlap(a: Int[np.ndarray, "n k"], b: Int[np.ndarray, "_ _"]) -> Float[np.ndarray, "n"]:
    """Share of each list of ``a`` that is anywhere in that of ``b``."""
    return _same(a, b).any(2).mean(1)


def rbo(
    a: Int[np.ndarray, "n k"], b: Int[np.ndarray, "_ _"], p: float = 0.9, extrapolated: bool = False
) -> Float[np.ndarray, "n"]:
    """Rank-biased overlap: the share in common at each depth, depth ``d`` weighted by ``(1 - p) p^(d - 1)``.

    The sum ends with the lists, so that equal ones have ``1 - p^k`` (the authors' code of 2511.18024): .9576 at 30.
    Extrapolated, the share at the end goes on for ever and equal ones have 1 (Webber et al. 2010, eq. 30).
    """
    if not 0 < p < 1:
        raise ValueError(f"p={p}: expected a number between 0 and 1, both excluded")
    same, depth = _same(a, b), np.arange(1, a.shape[1] + 1)
    new = same.cumsum(1).diagonal(0, 1, 2) + same.cumsum(2).diagonal(0, 1, 2) - same.diagonal(0, 1, 2)
    share = new.cumsum(1) / depth
    return share @ ((1 - p) * p ** (depth - 1)) + (share[:, -1] * p ** len(depth) if extrapolated else 0)


def kendall_tau(a: Int[np.ndarray, "n k"], b: Int[np.ndarray, "_ _"], common: bool = False) -> Float[np.ndarray, "n"]:
    """Kendall's tau-b of the two orders of all items in either list, one that is absent standing at ``k + 1``.

    As in the authors' code of 2511.18024: lists without a common item have about -.67. With ``common``, of the items in
    both lists alone, NaN where they are fewer than 2; whatever the lists share then says nothing of how much they do.
    """
    same, k = _same(a, b), a.shape[1]
    rank = np.broadcast_to(np.arange(1, k + 1), a.shape)
    in_a, in_b = same.any(1), same.any(2)  # of the items of b, of the items of a
    first = np.concatenate([rank, np.full_like(rank, k + 1)], 1).astype(np.int16)
    second = np.concatenate([np.where(in_b, same.argmax(2) + 1, k + 1), rank], 1).astype(np.int16)
    counts = np.concatenate([in_b, np.zeros_like(in_a)] if common else [a >= 0, (b >= 0) & ~in_a], 1)
    one, other = (_signs(r, counts) for r in (first, second))
    concordant = np.einsum("nij,nij->n", one, other, dtype=np.int64)
    untied = np.sqrt([np.count_nonzero(s, axis=(1, 2)) for s in (one, other)]).prod(0)
    return np.divide(concordant, untied, out=np.full(len(a), np.nan), where=untied > 0)


def _same(a: np.ndarray, b: np.ndarray) -> Bool[np.ndarray, "n k k"]:
    """Which place of ``a`` holds the item of which place of ``b``."""
    if a.ndim != 2 or a.shape != b.shape or not a.shape[1]:
        raise ValueError(f"lists of shape {a.shape} and {b.shape}: expected the same shape (n, k) with k >= 1")
    return (a[:, :, None] == b[:, None, :]) & (a >= 0)[:, :, None]


def _signs(rank: np.ndarray, counts: np.ndarray) -> Int[np.ndarray, "n w w"]:
    """Which of each two items that count comes first: -1, 0 or 1."""
    return np.sign(rank[:, :, None] - rank[:, None, :]).astype(np.int8) * (counts[:, :, None] & counts[:, None, :])
