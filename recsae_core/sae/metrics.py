"""How well a dictionary reconstructs rows, and how sparsely."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from recsae_core.sae.base import Code, check_rows


class Reconstruction(NamedTuple):
    """Errors are in the units of the rows; a latent is active where it is greater than 0."""

    explained_variance: float  # 1 - var(error) / var(x) of each dimension, averaged over dimensions, as scikit-learn
    fvu: float  # squared error / squared distance from the mean, both summed over all entries
    mae: float  # mean |x - x_hat| over all entries
    rmse: float  # root of the mean of (x - x_hat)^2 over all entries
    l0: float  # active latents a row
    dead: int  # latents active on no row
    below_tenth: int  # latents that never exceed 0.1
    fire_rate: Float[Tensor, "m"]  # share of rows on which each latent is active
    rows: int  # that were measured


@torch.no_grad()
def reconstruction(
    dictionary: Any, x: Float[Tensor, "n d"], batch: int = 8192, mean: Float[Tensor, "d"] | None = None
) -> Reconstruction:
    """Reconstruction and sparsity of a ``Dictionary`` on rows, ``batch`` at a time with float64 sums.

    ``fvu`` is about ``mean``: that of the training rows where it is given, else that of ``x``.
    """
    check_rows(x, dictionary.d)
    if len(x) < 2 or batch < 1:
        raise ValueError(f"{len(x)} rows, batch={batch}: expected at least 2 rows and a batch of at least 1")
    origin = x[:batch].double().mean(0)  # near the mean, so that differences of sums stay exact
    sums = torch.zeros(5, x.shape[1], dtype=torch.float64, device=x.device)
    fired = torch.zeros(dictionary.m, dtype=torch.long, device=x.device)
    largest = torch.zeros(dictionary.m, dtype=x.dtype, device=x.device)
    for rows in x.split(batch):
        z = dictionary.encode(rows)
        error, away = rows.double() - dictionary.decode(z).double(), rows.double() - origin
        columns = (away, away.square(), error, error.square(), error.abs())
        sums += torch.stack([c.sum(0) for c in columns])
        _count(z, fired, largest)
    n = len(x)
    away, square, error, error_square, absolute = (sums / n).unbind()
    variance, unexplained = square - away.square(), error_square - error.square()
    score = torch.where(variance > 0, 1 - unexplained / variance, (unexplained <= 0).double())
    about = away - (away if mean is None else mean.to(away) - origin)
    return Reconstruction(
        explained_variance=float(score.mean()),
        fvu=float(error_square.sum() / (variance + about.square()).sum()),
        mae=float(absolute.mean()),
        rmse=float(error_square.mean().sqrt()),
        l0=float(fired.sum() / n),
        dead=int((fired == 0).sum()),
        below_tenth=int((largest <= 0.1).sum()),
        fire_rate=fired / n,
        rows=n,
    )


def _count(z: Code, fired: Tensor, largest: Tensor) -> None:
    """Add a batch to the rows on which each latent fired and to its largest value, in place."""
    if z.index is None:
        fired += (z.value > 0).sum(0)
        torch.maximum(largest, z.value.amax(0), out=largest)
        return
    active = z.value > 0
    fired += torch.bincount(z.index[active], minlength=z.m)
    largest.scatter_reduce_(0, z.index[active], z.value[active], "amax")
