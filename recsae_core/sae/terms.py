"""The terms of the objective: free functions of one pass, each a mean over rows that no batching changes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recsae_core.sae.base import Code
from recsae_core.sae.selected import largest, weighted_rows
from recsae_core.sae.sparsifiers import step

if TYPE_CHECKING:
    from recsae_core.sae.autoencoder import SAE


class Pass(NamedTuple):
    """All that a term may look at. Rows are standardised, as the SAE sees them; gradients reach all but ``x``."""

    x: Float[Tensor, "n d"]
    pre: Float[Tensor, "n m"]
    z: Code
    x_hat: Float[Tensor, "n d"]
    dead: Bool[Tensor, "m"]  # latents that have not fired within the window
    sae: "SAE"
    finish: Callable[[Tensor], Tensor] | None  # the rest of the recommender, for rows like ``x``; None without one


Term = Callable[[Pass], Float[Tensor, ""]]


def l2(p: Pass) -> Float[Tensor, ""]:
    """Mean over rows of ``||x - x_hat||``, not squared (2507.12202, the authors' code)."""
    return torch.linalg.vector_norm(p.x_hat - p.x, dim=1).mean()


def mse(p: Pass) -> Float[Tensor, ""]:
    """Mean over rows of ``||x - x_hat||^2``: the squared error is summed over the ``d`` dimensions, not averaged."""
    return (p.x_hat - p.x).square().sum(1).mean()


def fvu(p: Pass) -> Float[Tensor, ""]:
    """``mse`` as a share of the variance of all training rows about their mean: predicting the mean gives 1."""
    return mse(p) / p.sae.variance


def l1(p: Pass) -> Float[Tensor, ""]:
    """Mean over rows of ``||z||_1``, the sum of the latents, none of which is negative.

    Meaningful with unit-norm decoder rows; else it is evaded by scaling.
    """
    return p.z.value.sum() / len(p.z.value)  # two means would cost a second pass over the gradient


def auxk(p: Pass, k: int | None = None) -> Float[Tensor, ""]:
    """What the ``k`` largest dead latents leave of the residual, as a share of the variance (2406.04093, A.2).

    The residual ``x - x_hat`` is a constant here and the bias is not added again: dead latents learn what the living
    leave over, and nothing else learns. ``k`` is ``d / 2`` by default, and 0 dead latents give 0.
    """
    dead = p.dead.nonzero().flatten()
    k = min(k or max(1, p.sae.d // 2), len(dead))
    if not k:
        return p.x.new_zeros(())
    pre = p.pre[:, dead]
    index = largest(pre, k)
    residual = (p.x - p.x_hat).detach()
    made = weighted_rows(pre.gather(1, index).relu(), dead[index], p.sae.W_dec)
    return (residual - made).square().sum(1).mean() / p.sae.variance


def l0(p: Pass) -> Float[Tensor, ""]:
    """Mean over rows of the number of active latents, for "jumprelu" alone (2407.14435).

    Its gradient reaches the thresholds only, through the same rectangle as that of the code.
    """
    if p.sae.config.sparsifier != "jumprelu":
        raise ValueError(f"term 'l0' has no gradient with sparsifier={p.sae.config.sparsifier!r}: expected 'jumprelu'")
    return step(p.pre, p.sae.log_threshold, p.sae.config.bandwidth).sum(1).mean()


TERMS: dict[str, Term] = {"l2": l2, "mse": mse, "fvu": fvu, "l1": l1, "auxk": auxk, "l0": l0}


def objective(weights: Any) -> dict[str, tuple[float, Term]]:
    """``{"l2": 1.0, "l1": (0.1, l1)}`` with every term as (weight, function); a bare weight takes it from ``TERMS``."""
    found = {}
    for name, value in weights.items():
        weight, term = value if isinstance(value, tuple) else (value, TERMS.get(name))
        if term is None:
            raise ValueError(f"term {name!r}: expected one of {', '.join(TERMS)}, or a pair (weight, function)")
        found[name] = (float(weight), term)
    if not found:
        raise ValueError(f"no term: expected at least one of {', '.join(TERMS)}")
    return found
