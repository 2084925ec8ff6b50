"""How rows become codes: each sparsifier is one function of the SAE and its standardised rows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from recsae_core.sae.base import Code
from recsae_core.sae.selected import centred_linear, kth_largest, largest, selected_linear

if TYPE_CHECKING:
    from recsae_core.sae.autoencoder import SAE

# (the SAE, its standardised rows [n, d]) -> pre-activations [n, m] and the code
Sparsifier = Callable[["SAE", Tensor], tuple[Tensor, Code]]


def relu(sae: Any, u: Tensor) -> tuple[Tensor, Code]:
    """Positive pre-activations are the latents: a dense code."""
    pre = centred_linear(u, sae.b_dec, sae.encoder, sae.b_enc)
    return pre, Code(pre.relu(), None, sae.m)


def topk(sae: Any, u: Tensor) -> tuple[Tensor, Code]:
    """The ``k`` largest pre-activations of each row, where positive (Gao et al. 2406.04093): a sparse code."""
    pre, value, index = selected_linear(u, sae.b_dec, sae.encoder, sae.b_enc, lambda pre: largest(pre, sae.config.k))
    return pre, Code(value.relu(), index, sae.m)


def batchtopk(sae: Any, u: Tensor) -> tuple[Tensor, Code]:
    """The ``k n`` largest pre-activations of a batch of ``n`` rows, where positive (Bussmann et al. 2412.06410).

    A dense code. In training mode the code of a row depends on the rows beside it, and values equal to the smallest
    chosen one are all kept. In evaluation mode it does not: what exceeds ``sae.threshold`` is kept, the running mean
    over training of the smallest chosen value, so that a row has ``k`` active latents on average only.
    """
    pre = centred_linear(u, sae.b_dec, sae.encoder, sae.b_enc)
    below = sae.threshold
    if sae.training and len(pre):
        low = kth_largest(pre, sae.config.k * len(pre))
        below = torch.nextafter(low, torch.zeros_like(low)).clamp(min=0)  # so that "above" includes the smallest
    return pre, Code(F.threshold(pre, float(below), 0.0), None, sae.m)


def jumprelu(sae: Any, u: Tensor) -> tuple[Tensor, Code]:
    """Pre-activations above a threshold that each latent learns (Rajamanoharan et al. 2407.14435): a dense code.

    The step has no gradient, so the threshold gets that of a step smoothed by a rectangle of width ``bandwidth``: only
    pre-activations within half of it move the threshold.
    """
    pre = centred_linear(u, sae.b_dec, sae.encoder, sae.b_enc)
    return pre, Code(_JumpReLU.apply(pre, sae.log_threshold, sae.config.bandwidth), None, sae.m)


SPARSIFIERS: dict[str, Sparsifier] = {"relu": relu, "topk": topk, "batchtopk": batchtopk, "jumprelu": jumprelu}


class _JumpReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pre, log_threshold, bandwidth):
        ctx.save_for_backward(pre, log_threshold)
        ctx.bandwidth = bandwidth
        return (pre > log_threshold.exp()).to(pre.dtype).mul_(pre)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        pre, log_threshold = ctx.saved_tensors
        threshold = log_threshold.exp()
        near = _rectangle(pre, threshold, ctx.bandwidth)
        # d z / d threshold = -threshold * near, and d threshold / d log_threshold = threshold
        return (pre > threshold).to(g.dtype).mul_(g), -threshold.square() * (g * near).sum(0), None


def step(pre: Tensor, log_threshold: Tensor, bandwidth: float) -> Tensor:
    """1 where ``pre`` exceeds the threshold, else 0; only the threshold gets a gradient, as in 2407.14435."""
    return _Step.apply(pre, log_threshold, bandwidth)


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pre, log_threshold, bandwidth):
        ctx.save_for_backward(pre, log_threshold)
        ctx.bandwidth = bandwidth
        return (pre > log_threshold.exp()).to(pre.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        pre, log_threshold = ctx.saved_tensors
        threshold = log_threshold.exp()
        return None, -threshold * (g * _rectangle(pre, threshold, ctx.bandwidth)).sum(0), None


def _rectangle(pre: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
    """Of area 1 about the threshold: ``1 / bandwidth`` within half a bandwidth of it, else 0."""
    return ((pre - threshold).abs() < bandwidth / 2).to(pre.dtype) / bandwidth
