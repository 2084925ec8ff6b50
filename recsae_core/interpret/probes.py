"""The ceiling: one supervised direction an attribute."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recsae_core.interpret.alignment import check_labels
from recsae_core.interpret.dictionaries import Linear, least_squares
from recsae_core.sae.base import check_rows


def probe(
    x: Float[Tensor, "n d"], item: Int[Tensor, "n"], attributes: Bool[np.ndarray, "i a"], kind: str = "least_squares"
) -> Linear:
    """One direction an attribute of the item at the row, fitted on training rows with their labels (m = a, signed).

    ``least_squares``: the latent is the fitted value; no other linear latent correlates higher on these rows.
    ``logistic``: the latent is the log-odds. An attribute that all rows or none have gets a latent without slope.
    The decoder is the least-squares map from the latents back to the rows. Controls for nothing: it is the ceiling.
    It has seen the label of every item in ``x``, so that ``alignment.held_out_max`` is no held-out score of a probe:
    ``held_out_probe`` is.
    """
    check_rows(x, x.shape[1])
    y = torch.from_numpy(attributes[check_labels(item, x, attributes)])
    if kind == "least_squares":
        slope, bias = least_squares(x, y.to(x.dtype))
    elif kind == "logistic":
        slope, bias = _logistic(x, y)
    else:
        raise ValueError(f"kind {kind!r}: expected least_squares or logistic")
    W_dec, offset = least_squares(torch.addmm(bias, x, slope), x)
    return Linear(slope.T.contiguous(), W_dec, shift=x.new_zeros(x.shape[1]), offset=offset, bias=bias)


def held_out_probe(
    x: Float[Tensor, "t d"],
    x_item: Int[Tensor, "t"],
    h: Float[Tensor, "n d"],
    item: Int[Tensor, "n"],
    attributes: Bool[np.ndarray, "i a"],
    halves: Bool[np.ndarray, "s i"],
) -> Float[np.ndarray, "s a"]:
    """Pearson r of probes with the attributes of items whose labels they have not seen.

    For each split the least-squares probe is fitted on the rows ``x`` of the marked half of the items and scored
    on the rows ``h`` of the other half. NaN where an attribute does not vary among the rows scored.
    """
    x_item, item = (torch.from_numpy(check_labels(*rows, attributes)) for rows in ((x_item, x), (item, h)))
    label = torch.from_numpy(attributes)
    out = np.empty((len(halves), attributes.shape[1]))
    for s, half in enumerate(torch.from_numpy(halves)):
        fit, score = half[x_item], ~half[item]
        slope, _ = least_squares(x[fit], label[x_item[fit]].to(x.dtype))
        z, y = (h[score] @ slope).double(), label[item[score]].double()
        z, y = z - z.mean(0), y - y.mean(0)
        norm = (z.square().sum(0) * y.square().sum(0)).sqrt()
        r = torch.where(norm > 0, (z * y).sum(0) / norm, 0.0)
        out[s] = torch.where(y.square().sum(0) > 0, r, torch.nan).numpy()
    return out


def _logistic(x: Float[Tensor, "n d"], y: Bool[Tensor, "n a"]) -> tuple[Float[Tensor, "d a"], Float[Tensor, "a"]]:
    from sklearn.linear_model import LogisticRegression

    mean, scale = x.mean(0), x.std(0, correction=0).clamp(min=1e-12)
    standard = ((x - mean) / scale).numpy()
    slope, bias = x.new_zeros(x.shape[1], y.shape[1]), x.new_zeros(y.shape[1])
    for a in range(y.shape[1]):
        label = y[:, a].numpy()
        if label.any() and not label.all():
            found = LogisticRegression(max_iter=1000).fit(standard, label)
            slope[:, a] = torch.from_numpy(found.coef_[0]).to(x.dtype) / scale
            bias[a] = float(found.intercept_[0]) - mean @ slope[:, a]
    return slope, bias
