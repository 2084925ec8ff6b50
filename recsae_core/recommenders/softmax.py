"""Losses of a linear head over many classes, computed without ever holding all logits."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = {"cpu": 1024, "cuda": 16384}  # rows at a time: their logits should stay in a CPU's cache, and fill a GPU


class _LinearCrossEntropy(torch.autograd.Function):
    """Loss and both gradients in one sweep over chunks of rows: a third of the time of autograd's way on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, target: Tensor, chunk: int) -> Tensor:
        n = len(x)
        grad_x, grad_weight = torch.empty_like(x), torch.zeros_like(weight)
        buffer = x.new_empty(min(chunk, n), len(weight))
        total = x.new_zeros((), dtype=torch.float64)
        for start in range(0, n, chunk):
            rows, wanted = x[start : start + chunk], target[start : start + chunk, None]
            logits = torch.mm(rows, weight.T, out=buffer[: len(rows)])
            logits -= logits.amax(1, keepdim=True)
            chosen = logits.gather(1, wanted)
            mass = logits.exp_().sum(1, keepdim=True)
            total += (mass.log() - chosen).sum(dtype=torch.float64)
            slope = logits.div_(mass * n).scatter_add_(1, wanted, chosen.new_full(chosen.shape, -1 / n))
            torch.mm(slope, weight, out=grad_x[start : start + chunk])
            grad_weight.addmm_(slope.T, rows)
        ctx.save_for_backward(grad_x, grad_weight)
        return (total / n).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_x, grad_weight = ctx.saved_tensors
        return grad * grad_x, grad * grad_weight, None, None


def linear_cross_entropy(
    x: Float[Tensor, "n d"], weight: Float[Tensor, "c d"], target: Int[Tensor, "n"], chunk: int | None = None
) -> Float[Tensor, ""]:
    """Mean over rows of ``cross_entropy(x @ weight.T, target)``; once differentiable in ``x`` and ``weight``.

    Memory is ``chunk`` rows of logits. Raises ``ValueError`` where there is no row.
    """
    if not len(x):
        raise ValueError("no next item to predict: expected a history of at least two items")
    return _LinearCrossEntropy.apply(x, weight, target, chunk or CHUNK.get(x.device.type, 4096))


def binary_cross_entropy(
    x: Float[Tensor, "n d"], weight: Float[Tensor, "c d"], target: Int[Tensor, "n"], g: torch.Generator
) -> Float[Tensor, ""]:
    """Mean over rows of -log s(x w_target) - log(1 - s(x w_other)), s the logistic function (SASRec, 1808.09781, 3.6).

    ``g`` draws each other evenly from the classes but the target. ``ValueError`` without a row or a second class.
    """
    if not len(x) or len(weight) < 2:
        raise ValueError("no next item to predict, or no other: expected a history of two items, and two items in all")
    other = torch.randint(len(weight) - 1, target.shape, generator=g).to(target.device)
    other += other >= target
    of = (x[:, None] * weight[torch.stack([target, other], 1)]).sum(2)
    return F.softplus(of * of.new_tensor([-1.0, 1.0])).sum(1).mean()
