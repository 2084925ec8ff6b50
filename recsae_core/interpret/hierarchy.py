"""Is a dictionary of nested prefixes a hierarchy: broad latents first, narrow ones under them, each prefix of use?"""

from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata
from torch import Tensor

from recsae_core.sae.base import Code, Dictionary


class Prefix:
    """The first latents of a dictionary as a dictionary of their own."""

    def __init__(self, inner: Dictionary, prefix: int) -> None:
        if not 1 <= prefix <= inner.m:
            raise ValueError(f"prefix={prefix}: expected 1 <= prefix <= m={inner.m}")
        self.inner, self.d, self.m = inner, inner.d, prefix

    def encode(self, x: Float[Tensor, "n d"]) -> Code:
        """The inner code without the later latents, dense."""
        return (z := self.inner.encode(x))._replace(value=z.dense()[:, : self.m], index=None, m=self.m)

    def decode(self, z: Code, prefix: int | None = None) -> Float[Tensor, "n d"]:
        """What the inner dictionary makes of the code where all later latents are 0."""
        value = F.pad(z.dense(), (0, self.inner.m - self.m))
        return self.inner.decode(z._replace(value=value, index=None, m=self.inner.m), prefix)


class Breadth(NamedTuple):
    """How broad each latent is, in three senses; NaN where it fires on nothing that could tell."""

    audience: Float[np.ndarray, "m"]  # share of the users on whom it fires
    entropy: Float[np.ndarray, "m"]  # bits, of the tags of its top items, each weighted by the activation
    popularity: Float[np.ndarray, "m"]  # mean place of its top items among all by popularity, 1 = the most popular


def breadth(
    users: Float[Tensor, "u m"],
    items: Float[Tensor, "i m"],
    attributes: Bool[np.ndarray, "i a"],
    popularity: Int[np.ndarray, "i"],
    top: int = 20,
) -> Breadth:
    """The breadth of each latent from the codes of users and of items.

    ``top`` items at most, none of activation 0 (the authors' code fills up with those). An item with several tags
    divides its weight among them.
    """
    if not 1 <= top <= len(items):
        raise ValueError(f"top={top}: expected 1 <= top <= {len(items)}, the number of items")
    best = items.topk(top, dim=0)
    weight, at = best.values.double().clamp(min=0).numpy(), best.indices.numpy()
    tags = attributes / np.maximum(attributes.sum(1, keepdims=True), 1)
    place = rankdata(popularity) / len(popularity)
    with np.errstate(invalid="ignore"):
        share = np.einsum("km,kma->ma", weight, tags[at])
        share = share / share.sum(1, keepdims=True)
        entropy = -(share * np.log2(np.where(share > 0, share, 1))).sum(1)
        popular = (place[at] * (weight > 0)).sum(0) / (weight > 0).sum(0)
    return Breadth((users > 0).double().mean(0).numpy(), np.abs(entropy), popular)


def rank_correlation(
    level: Int[np.ndarray, "m"], value: Float[np.ndarray, "m"], generator: np.random.Generator, draws: int = 2000
) -> tuple[float, Float[np.ndarray, "draws"]]:
    """Spearman's correlation of a latent's level with a property of it, and those of shuffled levels.

    Latents without a value (NaN) are left out. Levels, not places: within a level the order is an accident.
    """
    kept = np.isfinite(value)
    x, y = (rankdata(v[kept]) for v in (level, value))
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError(f"{len(x)} latents with a value: expected 3 or more on which level and value vary")
    x, y = ((v - v.mean()) / (v.std() * np.sqrt(len(v))) for v in (x, y))
    return float(x @ y), generator.permuted(np.tile(x, (draws, 1)), axis=1) @ y


class Tree(NamedTuple):
    """The parent of each latent, -1 where it has none, and what speaks for the best candidate; NaN without one."""

    parent: Int[np.ndarray, "m"]
    share: Float[np.ndarray, "m"]  # P(parent fires | child fires)
    excess: Float[np.ndarray, "m"]  # (share - P(parent)) / (1 - P(parent)): 0 by chance, 1 where it always does
    cosine: Float[np.ndarray, "m"]  # of the two decoder rows


def tree(
    fires: Bool[np.ndarray, "n m"], W_dec: Float[Tensor, "m d"], level: Int[np.ndarray, "m"], least: float = 0.5
) -> Tree:
    """For each latent the one of a coarser level that fires with it most in excess of chance.

    It is the parent if the excess is at least ``least``; of equals the narrower. A candidate fires on more rows than
    the child, though not on all, and its decoder row does not point away (cosine above 0). By P(parent | child) alone
    a latent that is nearly always on would be the parent of all. The null: the rows of every latent shuffled.
    """
    if not 0 < least <= 1:
        raise ValueError(f"least={least}: expected 0 < least <= 1")
    both = fires.T.astype(np.float64) @ fires
    count, own = both.diagonal(), np.arange(len(level))
    rate, unit = count[:, None] / len(fires), F.normalize(W_dec.detach().double(), dim=1)
    cosine, share = (unit @ unit.T).numpy(), both / np.maximum(count, 1)  # [parent, child]
    excess = (share - rate) / np.maximum(1 - rate, 1e-12)
    fine = (level[:, None] < level) & (count[:, None] > count) & (count > 0) & (rate < 1) & (cosine > 0)
    score = np.where(fine, excess - 1e-9 * rate, -np.inf)
    best = score.argmax(0)
    found = (np.where(fine.any(0), table[best, own], np.nan) for table in (share, excess, cosine))
    return Tree(np.where(score.max(0) >= least - 1e-9, best, -1), *found)
