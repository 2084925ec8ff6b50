"""Checks of notebooks/32_ex_autoencoders.py: codes, TopK and its gradient, AuxK, scale, copies and readings."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsae_checks import Wrong, array, close, exercise, expect, number
from recsae_core.interpret import alignment
from recsae_core.recommenders.activations import Rows
from recsae_core.sae import SAE, metrics


def like(answer: Any, other: Tensor, what: str) -> Tensor:
    """The answer; ``Wrong`` unless it is a finite tensor of the shape of another."""
    expect(isinstance(answer, Tensor), f"{what}: expected a tensor, got {type(answer).__name__}.")
    array(answer, tuple(other.shape), what)
    return answer


@exercise("2.1")
def ex_2_1(codes: Any) -> str:
    """Codes of one row behind a ReLU and TopK, and an L1 norm."""
    named = isinstance(codes, Mapping) and set(codes) == {"relu", "topk", "l1"}
    expect(named, "codes needs three entries: relu, topk and l1.")
    pre = torch.tensor([2.0, -1.0, 0.5, -0.2])
    relu, topk = (array(codes[name], (4,), name) for name in ("relu", "topk"))
    expect((relu >= 0).all(), "relu: a ReLU leaves nothing below zero.")
    expect(close(relu, pre.relu()), "relu: positive values stay as they are, the others become zero.")
    largest = pre.topk(3)
    kept = torch.zeros(4).scatter(0, largest.indices, largest.values)
    expect(not close(topk, kept), "topk: one of the largest is negative. Does it count as present?")
    expect(close(topk, kept.relu()), "topk: find the largest, then ask which of them are positive.")
    expect(not close(codes["l1"], pre.abs().sum()), "l1: the norm is that of the code, not of the pre-activations.")
    expect(close(number(codes["l1"]), pre.relu().sum()), "l1: the sum of the absolute values of the ReLU code.")
    return "How many latents of the TopK code are active, and how many were allowed?"


@exercise("2.2")
def ex_2_2(top_k: Callable) -> str:
    """TopK of random rows, of rows with few positive values, and of rows with ties."""
    g = torch.Generator().manual_seed(0)
    for k in (1, 3, 8):
        pre = torch.randn(16, 8, generator=g)
        before = pre.clone()
        z = like(top_k(pre, k), pre, "The code")
        expect(torch.equal(pre, before), "Your function changes the pre-activations: work on a copy.")
        expect((z >= 0).all(), "The code has negative values: of the largest, only what is positive counts.")
        expect(((z == 0) | (z == pre)).all(), "What is kept must keep its value and its place.")
        few = (z > 0).sum(1)
        expect((few <= k).all(), "Some row has more active latents than k: choose row by row, not over the batch.")
        best = pre.sort(1, descending=True).values[:, :k].relu()
        expect((few == (best > 0).sum(1)).all(), "Some row has fewer active latents than it should: row by row.")
        expect(close(z.sort(1, descending=True).values[:, :k], best), "Some row keeps a value that is not largest.")
    tied = top_k(torch.tensor([[1.0, 1.0, 1.0, 0.0]]), 2)
    expect(int((tied > 0).sum()) == 2, "Ties: of three equal values more or fewer than k = 2 are kept.")
    return "Now the gradient: what does a latent that was not chosen learn?"


@exercise("2.3")
def ex_2_3(active: Any, sae: SAE, rows: Tensor) -> str:
    """L0 of an autoencoder on rows."""
    value = number(active)
    with torch.no_grad():
        on = (sae.encode(rows).dense() > 0).float()
    expect(abs(value - sae.config.k) > 0.5, "That is how many a row may use. Count those above zero.")
    used, rate = float((on.sum(0) > 0).sum()), float(on.mean())
    expect(abs(value - used) > 0.5, "That is how many latents are active on some row: expected the mean over rows.")
    expect(not close(value, rate, 1e-3), "That is a share of all latents: expected a number of latents.")
    expect(value <= sae.config.k, "More than may be active: count latents, not rows.")
    right = float(on.sum(1).mean())
    expect(abs(value - right) < 0.05, "Another number. Count latents above zero in each row, then take the mean.")
    return "Do the two other autoencoders use all that they may?"


@exercise("2.4")
def ex_2_4(fvu: Callable) -> str:
    """FVU on random rows, about a mean that is not theirs."""
    g = torch.Generator().manual_seed(0)
    scale = torch.tensor([5.0, 1.0, 0.2])
    x = torch.randn(60, 3, generator=g) * scale + 2
    x_hat, mean = x + torch.randn(60, 3, generator=g) * 0.4, torch.tensor([1.0, 3.0, 2.0])
    value = number(fvu(x, x_hat, mean))
    error = (x - x_hat).square()
    own, given = (x - x.mean(0)).square(), (x - mean).square()
    right = float(error.sum() / given.sum())
    expect(not close(value, error.sum() / own.sum(), 1e-4), "You took the mean of the rows: use the one that is given.")
    ratios = (error.sum(0) / given.sum(0)).mean(), (error.sum(0) / own.sum(0)).mean()
    expect(not any(close(value, r, 1e-4) for r in ratios), "A mean of ratios: sum over all entries first, then divide.")
    expect(not close(value, 1 - right, 1e-4), "That is the share explained: expected what is left unexplained.")
    expect(not close(value, error.mean(), 1e-4), "That is the mean squared error: as a share of what?")
    expect(close(number(fvu(x, x.clone(), mean)), 0), "A perfect copy must leave nothing.")
    expect(close(number(fvu(x, mean.expand_as(x), mean)), 1), "Copying every row as the mean must give one.")
    expect(close(value, right, 1e-4), "Another number: squared errors, summed, over squared distances, summed.")
    return "Can it exceed one? What would such an autoencoder have done?"


@exercise("2.5")
def ex_2_5(behind_topk: Callable) -> str:
    """The gradient behind TopK against automatic differentiation."""
    gen = torch.Generator().manual_seed(0)
    for k in (1, 3, 6):
        pre = torch.randn(12, 7, generator=gen, requires_grad=True)
        g = torch.randn(12, 7, generator=gen)
        low = pre.detach().sort(1, descending=True).values[:, k - 1 : k]
        z = torch.where(pre >= low, pre, 0.0).relu()
        z.backward(g)
        found = like(behind_topk(pre.detach().clone(), k, g.clone()), g, "The gradient")
        expect(not close(found, g), "You pass everything on: a nudge of a latent that is not chosen changes nothing.")
        kept = (pre >= low) * g
        if not close(kept, pre.grad):
            expect(not close(found, kept), "Some of the chosen are negative, and the code is flat there.")
        expect(not close(found, g * z.detach()), "You multiplied by the code: its slope is one, whatever its size.")
        expect(close(found, pre.grad), "Automatic differentiation disagrees. Where does the code follow a small nudge?")
    return "Which latents of a trained autoencoder have had no gradient for a long time?"


@exercise("2.6")
def ex_2_6(aux_loss: Callable) -> str:
    """AuxK of random pre-activations: value, and where its gradient goes."""
    g = torch.Generator().manual_seed(0)
    n, m, d, k = 10, 9, 4, 2
    for trial in range(2):
        dead = torch.zeros(m, dtype=torch.bool)
        dead[torch.randperm(m, generator=g)[: 5 + trial]] = True
        residual, pre, W = (torch.randn(*s, generator=g, requires_grad=True) for s in ((n, d), (n, m), (m, d)))
        loss = aux_loss(residual, pre, dead, W, k)
        expect(isinstance(loss, Tensor) and loss.ndim == 0, "Expected one number, as a tensor that has a gradient.")
        value = number(loss)
        right = reference(residual, pre, dead, W, k)
        alive = reference(residual, pre, torch.ones_like(dead), W, k)
        expect(not close(value, alive, 1e-5), "Living latents take part: choose among the dead.")
        expect(not close(value, right / d, 1e-5), "The mean over all entries: sum over d, then mean over rows.")
        expect(not close(value, right * n, 1e-5), "The sum over rows: expected their mean.")
        signed = reference(residual, pre, dead, W, k, relu=False)
        expect(close(signed, right) or not close(value, signed, 1e-5), "Negative values of dead latents take part.")
        expect(close(value, right, 1e-5), "Another value: the k largest of the dead, decoded, against the residual.")
        expect(loss.requires_grad, "No gradient reaches the dead latents: leave pre and W_dec attached.")
        loss.backward()
        expect(
            residual.grad is None or not residual.grad.abs().sum(),
            "A gradient reaches the residual: the living would learn from it. Make it a constant.",
        )
        expect(pre.grad is not None and W.grad is not None, "No gradient reaches the dead latents.")
        expect(not pre.grad[:, ~dead].abs().sum(), "A gradient reaches living latents: it must stay with the dead.")
    return "With no dead latent the term is gone, and training goes on as if it had never been."


def reference(residual: Tensor, pre: Tensor, dead: Tensor, W: Tensor, k: int, relu: bool = True) -> float:
    """The term of the question, one row at a time."""
    total = 0.0
    for r, p in zip(residual.detach(), pre.detach(), strict=True):
        best = sorted(torch.nonzero(dead).flatten().tolist(), key=lambda j: -float(p[j]))[:k]
        made = sum((p[j].clamp(min=0) if relu else p[j]) * W.detach()[j] for j in best)
        total += float((r - made).square().sum())
    return total / len(pre)


@exercise("2.7")
def ex_2_7(disguised: Callable) -> str:
    """Equal copies, scaled codes."""
    g = torch.Generator().manual_seed(0)
    W_enc, W_dec, b = torch.randn(6, 4, generator=g), torch.randn(6, 4, generator=g), torch.randn(6, generator=g)
    x = torch.randn(50, 4, generator=g)
    z = (x @ W_enc.T + b).relu()
    for c in (0.01, 2.0):
        answer = disguised(W_enc.clone(), b.clone(), W_dec.clone(), c)
        expect(isinstance(answer, tuple) and len(answer) == 3, "Return three tensors: W_enc, b_enc and W_dec.")
        shapes = zip(answer, (W_enc, b, W_dec), ("W_enc", "b_enc", "W_dec"), strict=True)
        new_enc, new_b, new_dec = (like(a, o, what) for a, o, what in shapes)
        made = (x @ new_enc.T + new_b).relu()
        unbiased = close((x @ new_enc.T + c * b).relu(), c * z, 1e-4) and not close(new_b, c * b, 1e-4)
        expect(not unbiased, "The weights are right, but the bias of the encoder is not: the code changes its shape.")
        expect(not close(made * c, z, 1e-4), "The code became smaller by c where it should be larger by c.")
        expect(close(made, c * z, 1e-4), "The code is not c times the old one, on every row.")
        expect(close(made @ new_dec, z @ W_dec, 1e-4), "The copies differ: the decoder has to undo what the code did.")
    return "So an L1 penalty needs rows of a fixed length, or it measures nothing."


@exercise("2.8")
def ex_2_8(
    measured: Any, saes: Mapping[int, SAE], train: Tensor, test: Rows, attributes: np.ndarray, halves: np.ndarray
) -> str:
    """FVU and F1 of three autoencoders."""
    expect(isinstance(measured, Mapping) and set(measured) == set(saes), "measured needs an entry for each k.")
    for k in sorted(saes):
        sae = saes[k]
        pair = array(measured[k], (2,), f"The entry of k = {k}")
        about = metrics.reconstruction(sae, test.h, mean=train.mean(0))
        close_to = [(abs(pair[0] - value) < 2e-5 * (1 + value)) for value in (about.explained_variance, 1 - about.fvu)]
        expect(not any(close_to), f"k = {k}: that is the share explained. Unexplained is what is left.")
        expect(abs(pair[0] - about.rmse**2) > 1e-6, f"k = {k}: that is a squared error, not a share of anything.")
        expect(not close(pair[1], about.fvu, 1e-3), f"k = {k}: the two are swapped: first FVU, then F1.")
        others = [metrics.reconstruction(o, test.h, mean=train.mean(0)).fvu for j, o in saes.items() if j != k]
        expect(not any(close(pair[0], o, 1e-4) for o in others), f"k = {k}: measured on another autoencoder.")
        own = metrics.reconstruction(sae, test.h).fvu
        if abs(pair[0] - own) < abs(pair[0] - about.fvu):
            raise Wrong(f"k = {k}: about the mean of the test rows; expected that of the training rows.")
        expect(close(pair[0], about.fvu, 1e-3), f"k = {k}: another FVU. On test rows, about the training mean?")
    for k in sorted(saes):
        pair, f1 = measured[k], alignment.concept_f1(saes[k], test.h, test.item, attributes, halves)
        expect(not close(pair[1], f1.max(), 1e-3), f"k = {k}: that is the best genre: expected the mean over genres.")
        expect(close(pair[1], f1.mean(), 1e-3), f"k = {k}: another F1. The halves as given, the mean over genres?")
    return "Now hide the second column: which k would you have chosen, and what would it have cost?"
