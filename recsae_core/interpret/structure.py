"""How a dictionary divides its work: the same latents in every run? one latent a concept, or several, or gaps?"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from recsae_core.interpret.alignment import midranks
from recsae_core.interpret.dictionaries import least_squares


def matched(
    one: Float[Tensor, "m d"], other: Float[Tensor, "j _"]
) -> tuple[Int[np.ndarray, "p"], Float[np.ndarray, "p"]]:
    """The partner of each row of ``one`` in the one-to-one matching with the highest sum of cosines, and the cosines.

    Hungarian matching, as in 2501.16615; -1 and 0 for a row that is left over because ``other`` has fewer.
    """
    if one.shape[1] != other.shape[1]:
        raise ValueError(f"rows of width {one.shape[1]} and {other.shape[1]}: expected the same width")
    cosine = (F.normalize(one.detach(), dim=1) @ F.normalize(other.detach(), dim=1).T).double().numpy()
    rows, columns = linear_sum_assignment(cosine, maximize=True)
    partner, value = np.full(len(one), -1), np.zeros(len(one))
    partner[rows], value[rows] = columns, cosine[rows, columns]
    return partner, value


def nested(attributes: Bool[np.ndarray, "i a"], least: float = 0.7) -> list[tuple[int, int]]:
    """Pairs (parent, child) of attributes: ``least`` of the child's items have the parent, not vice versa."""
    if not 0 < least <= 1:
        raise ValueError(f"least={least}: expected 0 < least <= 1")
    both = attributes.T.astype(np.int64) @ attributes
    within = both / np.maximum(both.diagonal(), 1)  # [parent, child]: P(parent | child)
    pairs = np.argwhere((within >= least) & (within.T < least) & (both.diagonal() > 0))
    return [(int(parent), int(child)) for parent, child in pairs]


def absorption(
    z_parent: Float[np.ndarray, "n"],
    z_child: Float[np.ndarray, "n"],
    parent: Bool[np.ndarray, "n"],
    child: Bool[np.ndarray, "n"],
) -> tuple[float, float]:
    """Share of the rows with both attributes on which the parent's latent is silent while the child's fires.

    Absorption in the sense of Chanin et al. 2409.14507, with labels in the place of a probe. Beside it the share of
    the parent's *other* rows on which its latent is silent: what it misses anyway. NaN where there is no such row.
    """
    silent, both, other = z_parent <= 0, parent & child, parent & ~child
    absorbed = (silent & (z_child > 0))[both].mean() if both.any() else np.nan
    return float(absorbed), float(silent[other].mean()) if other.any() else np.nan


def sparse_probe_auc(
    x: Float[Tensor, "t m"],
    x_label: Bool[np.ndarray, "t a"],
    z: Float[Tensor, "n m"],
    label: Bool[np.ndarray, "n a"],
    r: Float[np.ndarray, "m a"],
    sizes: list[int],
) -> Float[np.ndarray, "k a"]:
    """ROC AUC, on ``z``, of a least-squares probe on the ``k`` latents with the highest |r|, for each of ``sizes``.

    Fitted to the codes ``x`` with their labels; ``r`` should come from those rows too. k-sparse probing as in
    Gurnee et al. 2305.01610: how fast it rises says over how many latents a concept is split.
    """
    if wrong := [k for k in sizes if not 1 <= k <= x.shape[1]]:
        raise ValueError(f"k={wrong[0]}: expected 1 <= k <= m={x.shape[1]}")
    out = np.full((len(sizes), label.shape[1]), np.nan)
    order = np.argsort(-np.nan_to_num(np.abs(r)), axis=0)
    y, whole = torch.from_numpy(x_label).to(x.dtype), {}
    for s, k in enumerate(sizes):
        if k == x.shape[1]:
            whole = dict(enumerate(least_squares(x, y)[0].T))
        for a, yes in enumerate(label.sum(0)):
            if 0 < yes < len(label):
                top = torch.from_numpy(order[:k, a].copy())
                slope = whole[a][top] if whole else least_squares(x[:, top], y[:, a : a + 1])[0][:, 0]
                ranks = midranks((z[:, top] @ slope).numpy())
                out[s, a] = (ranks[label[:, a]].sum() - yes * (yes + 1) / 2) / (yes * (len(label) - yes))
    return out
