"""The yardstick of speed: an SAE in forty lines of plain PyTorch, without dead tracking, logging or checks."""

import torch
import torch.nn.functional as F
from torch import Tensor


def rows(n: int, d: int = 64, directions: int = 1024, active: float = 16.0, seed: int = 1000) -> Tensor:
    """Sparse non-negative codes of random unit directions with Zipf-like frequencies, plus noise; E|x|^2 = d.

    The seed is far from those of the models: with the same one, a model would begin at the true directions.
    """
    g = torch.Generator().manual_seed(seed)
    direction = F.normalize(torch.randn(directions, d, generator=g), dim=1)
    often = torch.arange(1, directions + 1).float().rsqrt()
    often = (often * active / often.sum()).clamp(max=0.9)
    parts = []
    for start in range(0, n, 8192):
        size = (min(8192, n - start), directions)
        code = (torch.rand(size, generator=g) < often) * (torch.rand(size, generator=g) + 0.5)
        parts.append(code @ direction + 0.05 * torch.randn(size[0], d, generator=g))
    x = torch.cat(parts)
    return x * (d / x.square().sum(1).mean()).sqrt()


def batches(x: Tensor, size: int, steps: int):
    g = torch.Generator().manual_seed(1)
    order, at = torch.randperm(len(x), generator=g), 0
    for _ in range(steps):
        if at + size > len(x):
            order, at = torch.randperm(len(x), generator=g), 0
        yield x[order[at : at + size]]
        at += size


def train(x: Tensor, m: int, k: int | None, lr: float, batch: int, steps: int, l1: float = 0.0, seed: int = 0):
    """Train with the squared error and a TopK code, or, without ``k``, the error's norm and ``l1`` times the sum."""
    W = F.normalize(torch.randn(m, x.shape[1], generator=torch.Generator().manual_seed(seed)), dim=1)
    W_enc, W_dec = torch.nn.Parameter(W.clone()), torch.nn.Parameter(W.clone())
    b_enc, b_dec = torch.nn.Parameter(torch.zeros(m)), torch.nn.Parameter(x[:20_000].mean(0))
    parameters = [W_enc, b_enc, W_dec, b_dec]
    optimiser = torch.optim.Adam(parameters, lr=lr)
    warm = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / warm))

    def encode(v):
        return F.linear(v - b_dec, W_enc, b_enc)

    for v in batches(x, batch, steps):
        if k:
            value, index = encode(v).topk(k, dim=1, sorted=False)
            made = F.embedding_bag(index, W_dec, per_sample_weights=value.relu(), mode="sum") + b_dec
            loss = (made - v).square().sum(1).mean()
        else:
            z = encode(v).relu()
            loss = (z @ W_dec + b_dec - v).norm(dim=1).mean() + l1 * z.sum(1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            W_dec.div_(W_dec.norm(dim=1, keepdim=True))

    @torch.no_grad()
    def code(v):
        pre = encode(v)
        if not k:
            return pre.relu()
        value, index = pre.topk(k, dim=1)
        return torch.zeros_like(pre).scatter_(1, index, value.relu())

    return code, lambda z: z @ W_dec.detach() + b_dec.detach()
