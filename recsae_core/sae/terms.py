"""The terms of the objective: free functions of one pass.

Each is a mean over rows that no batching changes, but for "kl" and "kl_mean", which look at rates over the batch.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
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
    target: Callable[[], Tensor] | None = None  # finish(x) without a gradient, computed once for all SAEs of a pass
    sides: Float[Tensor, "2 n"] | None = None  # averages over users and over items; None without both among the rows


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
    if (norm := p.sae.norm(p.z)) is not None:
        made = made * norm[1]
    return (residual - made).square().sum(1).mean() / p.sae.variance


def l0(p: Pass) -> Float[Tensor, ""]:
    """Mean over rows of the number of active latents, for "jumprelu" alone (2407.14435).

    Its gradient reaches the thresholds only, through the same rectangle as that of the code.
    """
    if p.sae.config.sparsifier != "jumprelu":
        raise ValueError(f"term 'l0' has no gradient with sparsifier={p.sae.config.sparsifier!r}: expected 'jumprelu'")
    return step(p.pre, p.sae.log_threshold, p.sae.config.bandwidth).sum(1).mean()


def kl(p: Pass) -> Float[Tensor, ""]:
    """Sum over latents of ``KL(rho || r)``, ``r`` the share of rows on which a latent is active; "relu" alone.

    Users and items have shares of their own, and both sums are added. A step has no gradient, so a row passes on that
    of ``sigmoid(pre / s)``, ``s`` the standard deviation of the latent's pre-activations in the batch: whatever the
    scale, a latent that is active too often is lowered and one that never is is raised.
    """
    if p.sae.config.sparsifier != "relu":
        raise ValueError(f"term 'kl' needs free firing rates, not sparsifier={p.sae.config.sparsifier!r}: use 'relu'")
    smooth = torch.sigmoid(p.pre / (p.pre.detach().std(0, unbiased=False) + 1e-6))
    rate = _by_side(p, smooth + (p.z.value.sign() - smooth).detach())
    low = 0.5 / len(p.x) if p.sides is None else 0.5 * p.sides.amax(1, keepdim=True)  # half a row: a finite pull
    return _divergence(p, rate + (rate.clamp(low, 1 - low) - rate).detach())


def kl_mean(p: Pass) -> Float[Tensor, ""]:
    """As ``kl`` with the mean value of a latent in place of its share (2511.18024, the authors' code).

    The mean is held within 1e-6 and 1 - 1e-6; a latent whose mean lies outside receives no gradient.
    """
    return _divergence(p, _by_side(p, p.z.dense()).clamp(1e-6, 1 - 1e-6))


def _by_side(p: Pass, value: Tensor) -> Tensor:
    """The mean of each column over users and over items, ``[2, m]``, or over all rows, ``[m]``."""
    return value.mean(0) if p.sides is None else p.sides.to(value) @ value


def _divergence(p: Pass, rate: Tensor) -> Tensor:
    if (rho := p.sae.config.rho) is None:
        raise ValueError("rho=None: terms 'kl' and 'kl_mean' expect a rho of SAEConfig between 0 and 1")
    entropy = -rho * math.log(rho) - (1 - rho) * math.log1p(-rho)
    return F.binary_cross_entropy(rate, torch.full_like(rate, rho), reduction="sum") - rate.numel() * entropy


def prefixes(p: Pass) -> Float[Tensor, ""]:
    """Sum over the lengths in ``SAEConfig.prefixes`` of the ``mse`` of what so many first latents decode to.

    With it the first latents learn to do without the others (Matryoshka SAEs: Bussmann et al. 2503.17547; 2511.18024).
    """
    lengths = p.sae.config.prefixes
    if lengths is None:
        raise ValueError("prefixes=None: term 'prefixes' expects lengths in SAEConfig.prefixes")
    total = mse(p)  # of the last length, which is all latents
    if p.z.index is not None:
        return total + sum(mse(p._replace(x_hat=p.sae.reconstruct(p.z, length))) for length in lengths[:-1])
    made = p.sae.b_dec
    for start, end in zip([0, *lengths], lengths[:-1], strict=False):
        made = torch.addmm(made, p.z.value[:, start:end], p.sae.W_dec[start:end])
        total = total + mse(p._replace(x_hat=p.sae.rescaled(made, p.z)))
    return total


def prediction_mse(p: Pass) -> Float[Tensor, ""]:
    """Mean of ``(finish(x_hat) - finish(x))^2`` over all that ``finish`` returns (2511.18024, logistic MF)."""
    return F.mse_loss(*_predictions(p))


def prediction_bce(p: Pass) -> Float[Tensor, ""]:
    """Mean cross-entropy of ``finish(x_hat)`` with the targets ``sigmoid(finish(x))`` (2511.18024, NCF on ML-1M).

    ``finish`` returns logits. The smallest value is the entropy of the targets, not 0.
    """
    made, target = _predictions(p)
    return F.binary_cross_entropy_with_logits(made, target.sigmoid())


def prediction_probability(p: Pass) -> Float[Tensor, ""]:
    """As ``prediction_mse`` of the probabilities, ``finish`` returning logits (2511.18024, NCF on Last.FM)."""
    made, target = _predictions(p)
    return F.mse_loss(made.sigmoid(), target.sigmoid())


def _predictions(p: Pass) -> tuple[Tensor, Tensor]:
    if p.finish is None or p.target is None:
        raise ValueError("a prediction term needs the rest of the recommender: expected rows with h and finish")
    return p.finish(p.x_hat), p.target()


TERMS: dict[str, Term] = {f.__name__: f for f in (l2, mse, fvu, l1, auxk, l0, kl, kl_mean, prefixes)}
TERMS |= {f.__name__: f for f in (prediction_mse, prediction_bce, prediction_probability)}


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
