"""What a latent does to the scores. A latent that fires on a concept need not promote it (Arad et al. 2505.20063).

An effect is a contrast: the mean change of the scores of the items with an attribute, less that of all others.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from tqdm import tqdm

from recsae_core.recommenders.base import Split
from recsae_core.sae.base import Dictionary


def directions(dictionary: Dictionary) -> Float[Tensor, "m d"]:
    """What one unit of each latent adds to a row, in the units of the site: the decoder's rows."""
    code = dictionary.encode(torch.zeros(dictionary.m, dictionary.d))._replace(index=None, norm=None)
    one = torch.eye(dictionary.m)
    with torch.no_grad():
        return dictionary.decode(code._replace(value=one)) - dictionary.decode(code._replace(value=0 * one))


def direct_effect(
    W_dec: Float[Tensor, "m d"], item_weight: Float[Tensor, "i d"], attributes: Bool[np.ndarray, "i a"]
) -> Float[np.ndarray, "m a"]:
    """The effect of one unit of each latent if its direction went straight to the item vectors of a tied head.

    As the authors' code of 2507.12202 (their mean over items of a genre, here less that over all others); it ignores
    the blocks and the LayerNorm that follow the site. NaN for an attribute that no item or every item has.
    """
    contrast = item_weight.detach().double().T @ torch.from_numpy(_contrast(attributes, len(item_weight)))
    return (W_dec.detach().double() @ contrast).numpy()


@torch.no_grad()
def true_effect(
    split: Split,
    dictionary: Dictionary,
    latents: Sequence[int],
    dose: Float[np.ndarray, "j"],
    attributes: Bool[np.ndarray, "i a"],
    *,
    progress: bool = False,
) -> Float[np.ndarray, "j a"]:
    """The effect of adding ``dose`` (one a latent, in its own units) at the rows that decide a list, mean over lists.

    A finite difference through ``split.finish``, the error kept, one pass a latent: a few dozen cases, or a ``tail``
    of many, are quick. ``split`` must score all items. ``ValueError`` for a latent or doses that do not fit.
    """
    if len(dose) != len(latents) or not np.isfinite(dose).all():
        raise ValueError(f"dose has {len(dose)} values: expected {len(latents)} finite ones, one a latent")
    if wrong := [j for j in latents if not 0 <= j < dictionary.m]:
        raise ValueError(f"latent {wrong[0]}: expected 0 <= latent < m={dictionary.m}")
    at = split.last.nonzero().squeeze(1)
    z, base = dictionary.encode(split.h[at]), split.finish(split.h)
    z = z.with_dense(z.dense())
    contrast, before = _contrast(attributes, base.shape[1]), dictionary.decode(z)
    out = np.empty((len(latents), attributes.shape[1]))
    quiet = {} if progress else {"disable": True}  # disable=False would overrule $TQDM_DISABLE
    for row, (j, add) in enumerate(zip(tqdm(latents, "latents", **quiet), dose, strict=True)):
        value = z.value.clone()
        value[:, j] += float(add)
        moved = split.h.index_add(0, at, dictionary.decode(z.with_dense(value)) - before)
        out[row] = (split.finish(moved) - base).mean(0, dtype=torch.float64).numpy() @ contrast
    return out


def _contrast(attributes: Bool[np.ndarray, "i a"], n_items: int) -> Float[np.ndarray, "i a"]:
    if len(attributes) != n_items:
        raise ValueError(f"attributes has {len(attributes)} rows: expected {n_items}, one an item")
    with np.errstate(divide="ignore", invalid="ignore"):
        return attributes / attributes.sum(0) - ~attributes / (~attributes).sum(0)
