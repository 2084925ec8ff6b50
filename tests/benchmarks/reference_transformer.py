"""The yardstick for ``bench_transformer.py``: the same model and training epoch in plain torch, as one would write it.

Nothing of the package is used. Batches are padded to their longest history; logits are computed at real positions
only, all at once, and autograd does the rest.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, d, heads, dropout):
        super().__init__()
        self.heads, self.p = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.ffn = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(approximate="tanh"), nn.Linear(4 * d, d))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        p = self.p if self.training else 0.0
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=p)
        x = x + self.dropout(self.out(a.transpose(1, 2).reshape(n, t, d)))
        return x + self.dropout(self.ffn(self.norm2(x)))


class GPT(nn.Module):
    def __init__(self, n_items, d=64, layers=2, heads=2, length=128, dropout=0.1):
        super().__init__()
        self.item = nn.Embedding(n_items + 1, d, padding_idx=0)
        self.position = nn.Embedding(length, d)
        self.blocks = nn.ModuleList([Block(d, heads, dropout) for _ in range(layers)])
        self.norm, self.dropout = nn.LayerNorm(d), nn.Dropout(dropout)
        for p in self.parameters():
            if p.ndim == 2:
                nn.init.normal_(p, 0, 0.02)

    def forward(self, x):
        h = self.dropout(self.item(x) + self.position.weight[: x.shape[1]])
        for block in self.blocks:
            h = block(h)
        return self.norm(h)


def epoch(model, optimiser, histories, batch, generator):
    """One pass over ``histories`` [n, length + 1], right-padded with -1; the mean loss of its steps."""
    model.train()
    total, steps = 0.0, 0
    for rows in torch.randperm(len(histories), generator=generator).split(batch):
        x = histories[rows] + 1  # 0 is padding
        x = x[:, : int((x > 0).sum(1).max())]
        h, y = model(x[:, :-1]), x[:, 1:]
        real = y > 0
        loss = F.cross_entropy(h[real] @ model.item.weight.T, y[real])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total, steps = total + loss.item(), steps + 1
    return total / steps
