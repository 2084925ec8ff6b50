"""The SAE of 2511.18024 for MF in plain PyTorch: a module, a loop, one SAE at a time; the yardstick of ``bench_pairs``.

Written from the paper's formulas: tied weights, each row by its own mean and std, KL of the mean values of users and
of items, and the squared difference of all inner products of a batch of users with a batch of items.
"""

import torch
from torch import nn


class Tied(nn.Module):
    """``x_hat = (relu(LN(x) - b) W^T + c) W + b``, with mean and std put back."""

    def __init__(self, d: int, m: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(d, m)
        nn.init.zeros_(self.encoder.bias)
        self.b_pre = nn.Parameter(torch.zeros(d))

    def forward(self, x):
        """The code and the reconstruction."""
        mean, std = x.mean(1, keepdim=True), x.std(1, keepdim=True) + 1e-5
        z = torch.relu(self.encoder((x - mean) / std - self.b_pre))
        return z, (z @ self.encoder.weight + self.b_pre) * std + mean


def kl(z, rho: float):
    """Sum over latents of the divergence of two coins, of ``rho`` and of the mean value."""
    rate = z.mean(0).clamp(1e-6, 1 - 1e-6)
    return (rho * torch.log(rho / rate) + (1 - rho) * torch.log((1 - rho) / (1 - rate))).sum()


def train(P, Q, m: int, beta: float, steps: int, batch: int, seed: int, lr: float = 1e-3) -> Tied:
    """One SAE trained on ``steps`` batches of users and items."""
    torch.manual_seed(seed)
    sae = Tied(P.shape[1], m)
    optimiser = torch.optim.Adam(sae.parameters(), lr=lr)
    users, items = (torch.cat([torch.randperm(len(x)) for _ in range(steps * batch // len(x) + 1)]) for x in (P, Q))
    for step in range(steps):
        rows = slice(step * batch, (step + 1) * batch)
        p, q = P[users[rows]], Q[items[rows]]
        (z_p, p_hat), (z_q, q_hat) = sae(p), sae(q)
        error = (p_hat - p).square().mean() + (q_hat - q).square().mean()
        prediction = (p_hat @ q_hat.T - p @ q.T).square().mean()
        loss = 0.1 * error + beta * prediction + 0.01 * (kl(z_p, 0.05) + kl(z_q, 0.05))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return sae
