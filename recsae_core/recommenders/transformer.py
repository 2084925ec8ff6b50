"""A causal transformer over item sequences: SASRec's task, cross-entropy over all items, a GPT-2 body.

The base model of Klenitskiy et al. 2507.12202 (their code): pre-LN blocks, learned positions, tied head.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from recsae_core.recommenders.base import Cases, Recommender, Split, check_histories, check_items, frozen
from recsae_core.recommenders.softmax import linear_cross_entropy

GROUP = 32  # training cases that pass through the blocks together


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a ``Transformer``; ``dropout`` acts on embeddings, attention weights and both residual writes."""

    n_items: int
    d: int = 64
    layers: int = 2
    heads: int = 2
    length: int = 128  # positions; of a longer history the last ones are read
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for name in ("n_items", "d", "layers", "heads", "length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1")
        if self.d % self.heads:
            raise ValueError(f"heads={self.heads}: expected a divisor of d={self.d}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: expected 0 <= dropout < 1")


class Block(nn.Module):
    """One pre-LN block: causal attention and a feed-forward net, each added to the residual stream."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        d = config.d
        self.heads, self.p = config.heads, config.dropout
        self.norm1, self.qkv, self.attention_out = nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.norm2, self.ffn_in, self.ffn_out = nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """The residual stream after the block."""
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        p = self.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=p)
        x = x + self.dropout(self.attention_out(mixed.transpose(1, 2).reshape(n, t, d)))
        return x + self.dropout(self.ffn_out(F.gelu(self.ffn_in(self.norm2(x)), approximate="tanh")))


class Transformer(Recommender):
    """Scores the next item from the history alone; ``Cases.user`` is ignored.

    Sites: ``block0`` .. the residual stream after each block, ``final`` the output of the last LayerNorm; one row
    a real position. Histories must be right-padded, not empty and within ``0..n_items - 1`` (else ``ValueError``);
    of a history longer than ``config.length`` the last ``config.length`` items are read. ``generator`` draws the
    initial weights; where there is none, they are those of seed 0.
    """

    def __init__(self, config: TransformerConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config, self.n_items = config, config.n_items
        with torch.random.fork_rng(devices=[]):  # torch's own first weights are drawn, and not used
            self.item = nn.Embedding(config.n_items, config.d)
            self.position = nn.Embedding(config.length, config.d)
            self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
            self.norm = nn.LayerNorm(config.d)
            self.dropout = nn.Dropout(config.dropout)
        self._initialise(generator or torch.Generator().manual_seed(0))

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        for name, p in self.named_parameters():
            if p.ndim == 2:  # as in GPT-2, what writes to the residual stream starts smaller the more layers write
                scale = (2 * self.config.layers) ** -0.5 if name.endswith("_out.weight") else 1.0
                p.normal_(0.0, 0.02 * scale, generator=generator)
            elif name.endswith("bias"):
                p.zero_()

    @property
    def sites(self) -> Mapping[str, int]:
        """The site after each block and the one after the last LayerNorm, all of width ``d``."""
        return {**{f"block{b}": self.config.d for b in range(self.config.layers)}, "final": self.config.d}

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Scores of ``items`` (all, where None) as the next item of each history."""
        history = self._read(cases)
        last = (history >= 0).sum(1) - 1
        state = self._states(history)[torch.arange(len(history), device=history.device), last]
        return state @ self._candidates(items).T

    def loss(self, batch: Cases, g: torch.Generator) -> Float[Tensor, ""]:
        """Mean cross-entropy of every next item over the whole vocabulary; histories hold one item more than inputs."""
        history = _window(batch.history.to(self.item.weight.device), self.config.length + 1)
        states, targets = [], []
        for rows in (
            (history >= 0).sum(1).argsort(stable=True).split(GROUP)
        ):  # alike in length: little padding to compute
            group = _window(history[rows], self.config.length + 1)
            real = group[:, 1:] >= 0
            states.append(self._states(group[:, :-1])[real])
            targets.append(group[:, 1:][real])
        return linear_cross_entropy(torch.cat(states), self.item.weight, torch.cat(targets))

    def before(self, site: str, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Split:
        """The model stopped at ``site``, one row a real position, case after case; dropout is off."""
        if site not in self.sites:
            raise ValueError(f"site {site!r}: expected one of {', '.join(self.sites)}")
        history = self._read(cases)
        real = history >= 0
        twin, start = frozen(self), list(self.sites).index(site) + 1
        with torch.no_grad():
            x = twin._embed(history)
            for block in twin.blocks[:start]:
                x = block(x)
            h = (twin.norm(x) if site == "final" else x)[real]
        case, position = real.nonzero(as_tuple=True)
        last = position == real.sum(1)[case] - 1
        candidates = twin._candidates(items)

        def finish(h: Float[Tensor, "r d"]) -> Float[Tensor, "n c"]:
            if h.shape != (len(case), self.config.d):
                raise ValueError(f"h has shape {tuple(h.shape)}: expected {(len(case), self.config.d)}")
            if site == "final":
                return h[last] @ candidates.T
            x = h.new_zeros(*real.shape, h.shape[1]).masked_scatter(real[..., None], h)
            for block in twin.blocks[start:]:
                x = block(x)
            return twin.norm(x[real][last]) @ candidates.T

        return Split(h, case, history[real], last, finish)

    def _embed(self, history: Int[Tensor, "n t"]) -> Float[Tensor, "n t d"]:
        # padding follows all real items, so that attention, being causal, never lets them see what stands there
        return self.dropout(self.item(history.clamp(min=0)) + self.position.weight[: history.shape[1]])

    def _states(self, history: Int[Tensor, "n t"]) -> Float[Tensor, "n t d"]:
        x = self._embed(history)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def _candidates(self, items: Int[Tensor, "c"] | None) -> Float[Tensor, "c d"]:
        return self.item.weight if items is None else self.item.weight[check_items(items, self.n_items)]

    def _read(self, cases: Cases) -> Int[Tensor, "n t"]:
        return _window(check_histories(cases, self.n_items).to(self.item.weight.device), self.config.length)


def _window(history: Int[Tensor, "n t"], length: int) -> Int[Tensor, "n w"]:
    """The last ``length`` items of each history, without columns that are padding in every row."""
    real = (history >= 0).sum(1)
    longest = int(real.max()) if len(real) else 0
    if longest <= length:
        return history[:, :longest]
    place = (real - length).clamp(min=0)[:, None] + torch.arange(length, device=history.device)
    return history.gather(1, place)
