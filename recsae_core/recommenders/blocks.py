"""The blocks of a causal transformer, as GPT-2 and as SASRec wire them."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

Stream = Float[Tensor, "n t d"]
Heads = Float[Tensor, "n heads t w"]


class Block(nn.Module):
    """One pre-LN block of GPT-2: causal attention and a feed-forward net, each added to the residual stream."""

    factor, eps = 4, 1e-5  # width of the feed-forward net in d, and of the LayerNorms' denominator

    def __init__(self, d: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.p, wide = heads, dropout, self.factor * d
        self.norm1, self.qkv, self.attention_out = nn.LayerNorm(d, self.eps), nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.norm2, self.ffn_in, self.ffn_out = nn.LayerNorm(d, self.eps), nn.Linear(d, wide), nn.Linear(wide, d)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Stream) -> Stream:
        """The residual stream after the block."""
        x, q, k, v = self.read(x)
        p = self.p if self.training else 0.0
        return self.write(x, F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=p))

    def rows(
        self, x: Float[Tensor, "n p d"], keys: Heads, values: Heads, earlier: Int[Tensor, "n p"]
    ) -> Float[Tensor, "n p d"]:
        """The block at ``p`` positions of each case that do not see each other.

        Each sees itself and as many of the first ``keys`` and ``values`` of its case as ``earlier`` says.
        """
        x, q, k, v = self.read(x)
        alone = torch.eye(x.shape[1], dtype=torch.bool, device=x.device).expand(len(x), -1, -1)
        sees = torch.cat([torch.arange(keys.shape[2], device=x.device) < earlier[..., None], alone], 2)
        k, v = torch.cat([keys, k], 2), torch.cat([values, v], 2)
        return self.write(x, F.scaled_dot_product_attention(q, k, v, attn_mask=sees[:, None]))

    def read(self, x: Stream) -> tuple[Stream, Heads, Heads, Heads]:
        """What attention's result is added to, and the queries, keys and values."""
        return x, *self._heads(self.qkv(self.norm1(x)))

    def write(self, x: Stream, mixed: Heads) -> Stream:
        """The residual stream after the block: ``x``, what attention ``mixed``, and the feed-forward net of both."""
        x = x + self.dropout(self.attention_out(mixed.transpose(1, 2).reshape(x.shape)))
        return x + self.dropout(self.ffn_out(F.gelu(self.ffn_in(self.norm2(x)), approximate="tanh")))

    def _heads(self, qkv: Float[Tensor, "n t e"]) -> Float[Tensor, "3 n heads t w"]:
        return qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)


class SASRecBlock(Block):
    """One block of SASRec (pmixer's SASRec.pytorch): keys and values read the stream, only queries its LayerNorm.

    Attention's result is added to the normalised queries' input, the feed-forward net's (ReLU, no wider than the
    stream) to its own normalised input.
    """

    factor, eps = 1, 1e-8

    def read(self, x: Stream) -> tuple[Stream, Heads, Heads, Heads]:
        """What attention's result is added to, and the queries, keys and values."""
        y, d = self.norm1(x), x.shape[2]
        q = F.linear(y, self.qkv.weight[:d], self.qkv.bias[:d])
        kv = F.linear(x, self.qkv.weight[d:], self.qkv.bias[d:])
        return y, *self._heads(torch.cat([q, kv], 2))

    def write(self, x: Stream, mixed: Heads) -> Stream:
        """The residual stream after the block: what attention ``mixed``, and the feed-forward net of it."""
        x = self.norm2(x + self.attention_out(mixed.transpose(1, 2).reshape(x.shape)))
        return x + self.dropout(self.ffn_out(F.relu(self.dropout(self.ffn_in(x)))))
