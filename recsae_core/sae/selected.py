"""Linear maps of which only a few entries a row are wanted, with gradients that never become dense."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable


def largest(pre: Float[Tensor, "n m"], k: int) -> Int[Tensor, "n k"]:
    """The places of the ``k`` largest entries of each row, in no particular order."""
    pre, m = pre.detach(), pre.shape[1]
    if pre.device.type != "cpu" or pre.dtype not in (torch.float32, torch.float64):
        return pre.topk(k, dim=1, sorted=False).indices
    if m % 4 or m < 8 * k:
        return _partitioned(pre, k)
    # exact: the k largest entries lie in the k groups of four with the largest maxima
    group = _partitioned(pre.view(-1, 4, m // 4).amax(1), k)
    place = (group[:, None] + torch.arange(0, m, m // 4)[:, None]).flatten(1)
    return place.gather(1, _partitioned(pre.gather(1, place), k))


def kth_largest(pre: Float[Tensor, "n m"], k: int) -> Float[Tensor, ""]:
    """The ``k``-th largest of all entries, without a gradient."""
    flat = pre.detach().flatten()
    place = len(flat) - k
    if flat.device.type != "cpu":
        return flat.kthvalue(place + 1).values
    return flat.new_tensor(np.partition(flat.numpy(), place)[place])


def _partitioned(pre: Tensor, k: int) -> Tensor:
    """As ``largest``; on a CPU NumPy's partition takes about half the time of ``torch.topk``."""
    return torch.from_numpy(np.argpartition(pre.numpy(), pre.shape[1] - k, axis=1)[:, -k:].copy())


def centred_linear(
    x: Float[Tensor, "n d"], centre: Float[Tensor, "d"], weight: Float[Tensor, "m d"], bias: Float[Tensor, "m"]
) -> Float[Tensor, "n m"]:
    """``(x - centre) @ weight.T + bias``; the gradient of ``centre`` costs no product of size ``n m d``."""
    return _CentredLinear.apply(x, centre, weight, bias)


def selected_linear(
    x: Float[Tensor, "n d"],
    centre: Float[Tensor, "d"],
    weight: Float[Tensor, "m d"],
    bias: Float[Tensor, "m"],
    select: Callable[[Float[Tensor, "n m"]], Int[Tensor, "n k"]],
) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n k"], Int[Tensor, "n k"]]:
    """``pre = (x - centre) @ weight.T + bias``, the entries of each row that ``select`` names, and their places.

    Both ``pre`` and the selected values carry a gradient; that of the values touches only the selected rows of
    ``weight``, and nothing of size ``[n, m]`` is made for it.
    """
    pre, value, index = _SelectedLinear.apply(x, centre, weight, bias, select)
    return pre, value, index


def weighted_rows(
    value: Float[Tensor, "n k"], index: Int[Tensor, "n k"], weight: Float[Tensor, "m d"]
) -> Float[Tensor, "n d"]:
    """``sum_j value[:, j] * weight[index[:, j]]``: a sparse code times a matrix, by row gather."""
    return _WeightedRows.apply(value, index, weight)


def _bags(value: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    return F.embedding_bag(index, weight, per_sample_weights=value, mode="sum")


def _transposed(value: Tensor, index: Tensor, rows: Tensor, m: int) -> Tensor:
    """``Z.T @ rows`` for the sparse ``[n, m]`` matrix Z: the entries are put in order of latents, then gathered."""
    flat = index.flatten()
    if flat.device.type == "cpu" and m <= 2**16:  # NumPy sorts 16-bit numbers by radix, ten times as fast
        order = torch.from_numpy(np.argsort(flat.numpy().astype(np.uint16), kind="stable"))
    else:
        order = flat.argsort(stable=True)
    count = torch.bincount(flat, minlength=m)
    row = order.div(index.shape[1], rounding_mode="floor")
    return F.embedding_bag(
        row, rows.contiguous(), count.cumsum(0) - count, per_sample_weights=value.flatten()[order], mode="sum"
    )


def _through_bias(g_bias: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the centre: moving it is moving all rows, which is moving the bias."""
    return -(g_bias @ weight)


class _CentredLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, centre, weight, bias):
        x = x - centre
        ctx.save_for_backward(x, weight)
        return torch.addmm(bias, x, weight.T)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        (x, weight), (need_x, need_centre, *_) = ctx.saved_tensors, ctx.needs_input_grad
        g_bias = g.sum(0)
        g_centre = _through_bias(g_bias, weight) if need_centre else None
        return g @ weight if need_x else None, g_centre, g.T @ x, g_bias


class _SelectedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, centre, weight, bias, select):
        x = x - centre
        pre = torch.addmm(bias, x, weight.T)
        index = select(pre)
        ctx.save_for_backward(x, weight, index)
        ctx.mark_non_differentiable(index)
        ctx.set_materialize_grads(False)
        return pre, pre.gather(1, index), index

    @staticmethod
    @once_differentiable
    def backward(ctx, g_pre, g_value, _):
        x, weight, index = ctx.saved_tensors
        m, (need_x, need_centre, need_weight, need_bias, _) = len(weight), ctx.needs_input_grad
        need_bias |= need_centre
        g_x = g_weight = g_bias = None
        if g_value is not None:
            g_x = _bags(g_value, index, weight) if need_x else None
            g_weight = _transposed(g_value, index, x, m) if need_weight else None
            g_bias = g_value.new_zeros(m).index_add_(0, index.flatten(), g_value.flatten()) if need_bias else None
        if g_pre is not None:  # a term looked at all pre-activations
            g_x = _sum(g_x, g_pre @ weight) if need_x else None
            g_weight = _sum(g_weight, g_pre.T @ x) if need_weight else None
            g_bias = _sum(g_bias, g_pre.sum(0)) if need_bias else None
        g_centre = _through_bias(g_bias, weight) if need_centre and g_bias is not None else None
        return g_x, g_centre, g_weight, g_bias, None


class _WeightedRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, index, weight):
        ctx.save_for_backward(value, index, weight)
        return _bags(value, index, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        value, index, weight = ctx.saved_tensors
        g, g_value = g.contiguous(), None
        if ctx.needs_input_grad[0]:
            with torch.enable_grad():  # torch's own kernel for it, reached through its public door
                again = value.detach().requires_grad_()
                (g_value,) = torch.autograd.grad(_bags(again, index, weight.detach()), again, g)
        return g_value, None, _transposed(value, index, g, len(weight)) if ctx.needs_input_grad[2] else None


def _sum(a: Tensor | None, b: Tensor) -> Tensor:
    return b if a is None else a + b
