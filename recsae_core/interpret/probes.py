"""The ceiling: one supervised direction an attribute."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recsae_core.interpret.alignment import check_labels
from recsae_core.interpret.dictionaries import Linear, least_squares
from recsae_core.interpret.senses import Scores, score
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
    x_label: Float[np.ndarray, "t a"],
    fit: Bool[np.ndarray, "s t"],
    h: Float[Tensor, "n d"],
    label: Float[np.ndarray, "n a"],
    present: Bool[np.ndarray, "n a"],
    halves: Bool[np.ndarray, "s n"],
    kind: str = "least_squares",
    most: int = 20_000,
) -> Scores:
    """Scores of probes on rows that they have not seen: one direction a label, for each split.

    Fitted to the rows of ``x`` marked in ``fit``, scored on the rows of ``h`` not marked in ``halves``. What is scored
    is the fitted value less 1/2; with ``logistic`` the probability of a label above 0, fitted to ``most`` rows at most.
    """
    out = []
    for s, (marked, half) in enumerate(zip(fit, halves, strict=True)):
        if not s or (marked != fit[s - 1]).any():
            rows = np.flatnonzero(marked)
            if kind == "logistic":
                rows = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]
                slope, bias = _logistic(x[rows], torch.from_numpy(x_label[rows] > 0))
            else:
                slope, bias = least_squares(x[rows], torch.from_numpy(x_label[rows]).to(x.dtype))
        rest = ~half
        z = torch.addmm(bias, h[rest], slope).double()
        z = (z.sigmoid() if kind == "logistic" else z).sub(0.5).numpy()
        out.append(score(z, label[rest], present[rest]))
    return Scores(*np.stack(out, 1))


def _logistic(x: Float[Tensor, "n d"], y: Bool[Tensor, "n a"]) -> tuple[Float[Tensor, "d a"], Float[Tensor, "a"]]:
    from sklearn.linear_model import LogisticRegression

    mean, scale = x.mean(0), x.std(0, correction=0).clamp(min=1e-12)
    standard = ((x - mean) / scale).numpy()
    slope, bias = x.new_zeros(x.shape[1], y.shape[1]), x.new_zeros(y.shape[1])
    for a in range(y.shape[1]):
        label = y[:, a].numpy()
        if label.any() and not label.all():
            found = LogisticRegression(solver="newton-cholesky", max_iter=100).fit(standard, label)
            slope[:, a] = torch.from_numpy(found.coef_[0]).to(x.dtype) / scale
            bias[a] = float(found.intercept_[0]) - mean @ slope[:, a]
    return slope, bias
