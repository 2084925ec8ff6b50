"""A causal transformer over item sequences: SASRec's task, learned positions, tied head.

The base model of Klenitskiy et al. 2507.12202 (their code): GPT-2's blocks, cross-entropy over all items. SASRec
(Kang and McAuley 1808.09781) is the same with other blocks, weights and loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recsae_core.recommenders.base import Cases, Recommender, Split, check_histories, check_items, check_rows, frozen
from recsae_core.recommenders.blocks import Block, Heads, SASRecBlock, Stream
from recsae_core.recommenders.softmax import binary_cross_entropy, linear_cross_entropy

GROUP = 32  # training cases that pass through the blocks together
BLOCKS = {"gpt2": Block, "sasrec": SASRecBlock}


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a ``Transformer``; ``dropout`` acts on embeddings, attention weights and both residual writes."""

    n_items: int
    d: int = 64  # width of the residual stream
    layers: int = 2
    heads: int = 2  # of attention, each d / heads wide
    length: int = 128  # positions; of a longer history the last ones are read
    dropout: float = 0.1
    block: str = "gpt2"  # or "sasrec"
    loss: str = "ce"  # softmax over all items | "bce": the next item against one that is drawn

    def __post_init__(self) -> None:
        for name in ("n_items", "d", "layers", "heads", "length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1")
        if self.d % self.heads:
            raise ValueError(f"heads={self.heads}: expected a divisor of d={self.d}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: expected 0 <= dropout < 1")
        for name, known in {"block": BLOCKS, "loss": ("ce", "bce")}.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected one of {', '.join(known)}")


@dataclass(frozen=True)
class SASRecConfig(TransformerConfig):
    """A ``Transformer`` as pmixer's SASRec.pytorch has it: its block, embeddings times sqrt(d), Xavier's weights.

    Two things differ from that code: positions are counted from the start of what is read, not from the end, and a
    drawn negative is any item but the next one, where there no item of the user is drawn.
    """

    heads: int = 1
    dropout: float = 0.2
    block: str = "sasrec"
    loss: str = "bce"


class Transformer(Recommender):
    """Scores the next item from the history alone; ``Cases.user`` is ignored.

    Sites: ``embedding`` the residual stream before the first block, ``block0`` .. after each block, ``final`` the
    output of the last LayerNorm; one row a real position. Histories must be right-padded, not empty and within
    ``0..n_items - 1`` (else ``ValueError``); of a history longer than ``config.length`` the last ``config.length``
    items are read. ``generator`` draws the initial weights; where there is none, they are those of seed 0.
    """

    def __init__(self, config: TransformerConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config, self.n_items = config, config.n_items
        with torch.random.fork_rng(devices=[]):  # torch's own first weights are drawn, and not used
            self.item = nn.Embedding(config.n_items, config.d)
            self.position = nn.Embedding(config.length, config.d)
            block, sizes = BLOCKS[config.block], (config.d, config.heads, config.dropout)
            self.blocks = nn.ModuleList(block(*sizes) for _ in range(config.layers))
            self.norm = nn.LayerNorm(config.d, block.eps)
            self.dropout = nn.Dropout(config.dropout)
        self._initialise(generator or torch.Generator().manual_seed(0))

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        for name, p in self.named_parameters():
            if p.ndim == 2 and self.config.block == "sasrec":
                nn.init.xavier_normal_(p, generator=generator)
            elif p.ndim == 2:  # as in GPT-2, what writes to the residual stream starts smaller the more layers write
                scale = (2 * self.config.layers) ** -0.5 if name.endswith("_out.weight") else 1.0
                p.normal_(0.0, 0.02 * scale, generator=generator)
            elif name.endswith("bias"):
                p.zero_()

    @property
    def sites(self) -> Mapping[str, int]:
        """The site before the first block, those after each block, and the one after the last LayerNorm."""
        return dict.fromkeys(["embedding", *(f"block{b}" for b in range(self.config.layers)), "final"], self.config.d)

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Scores of ``items`` (all, where None) as the next item of each history."""
        history = self._read(cases)
        last = (history >= 0).sum(1) - 1
        state = self._states(history)[torch.arange(len(history), device=history.device), last]
        return state @ self._candidates(items).T

    def loss(self, batch: Cases, g: torch.Generator) -> Float[Tensor, ""]:
        """Mean of ``config.loss`` over every next item; histories hold one item more than inputs."""
        history = window(batch.history.to(self.item.weight.device), self.config.length + 1)
        states, targets = [], []
        by_length = (history >= 0).sum(1).argsort(stable=True)  # alike in a group: little padding to compute
        for rows in by_length.split(GROUP):
            group = window(history[rows], self.config.length + 1)
            real = group[:, 1:] >= 0
            states.append(self._states(group[:, :-1])[real])
            targets.append(group[:, 1:][real])
        rows = torch.cat(states), self.item.weight, torch.cat(targets)
        return linear_cross_entropy(*rows) if self.config.loss == "ce" else binary_cross_entropy(*rows, g)

    def before(self, site: str, cases: Cases, items: Int[Tensor, "c"] | None = None, *, lists: int = 1) -> Split:
        """The model stopped at ``site``, one row a real position, case after case; dropout is off.

        The last ``lists`` positions of each case (fewer where the history is shorter) each decide a list:
        ``Split.last`` marks them, and ``finish`` returns one row for each, in order of rows.
        """
        start, history, twin = self._start(site, "lists", lists), self._read(cases), frozen(self)
        real = history >= 0
        with torch.no_grad():
            h = twin._states(history, start)[real]
        (case, position), candidates = real.nonzero(as_tuple=True), twin._candidates(items)
        last = position >= real.sum(1)[case] - lists

        def finish(h: Float[Tensor, "r d"]) -> Float[Tensor, "n c"]:
            check_rows(h, len(case), self.config.d)
            x = h.new_zeros(*real.shape, h.shape[1]).masked_scatter(real[..., None], h)
            for stage in [*twin.blocks, twin.norm][start:]:
                x = stage(x)
            return x[real][last] @ candidates.T

        return Split(h, case, history[real], last, finish)

    def tail(self, site: str, cases: Cases, positions: int = 1, items: Int[Tensor, "c"] | None = None) -> Split:
        """The model stopped at the last ``positions`` of each case, each of which decides a list of its own.

        ``finish(h)[r]`` is what ``forward`` says of the history that ends at row r, with nothing but that row edited:
        keys and values of earlier positions are those of the unedited run, computed once for all rows.
        """
        start, history, twin = self._start(site, "positions", positions), self._read(cases), frozen(self)
        place, here = _ends(history, positions)
        with torch.no_grad():
            x = twin._states(history, start)
            past = twin._past(x, start)
        case, position, candidates = here.nonzero(as_tuple=True)[0], place[here], twin._candidates(items)

        def finish(h: Float[Tensor, "r d"]) -> Float[Tensor, "r c"]:
            check_rows(h, len(case), self.config.d)
            return (h if site == "final" else twin._rows(h, here, past, place)) @ candidates.T

        return Split(x[case, position], case, history[case, position], torch.ones_like(case, dtype=torch.bool), finish)

    @torch.no_grad()
    def appended(self, cases: Cases, positions: int, item: Int[Tensor, "r"]) -> Float[Tensor, "r i"]:
        """Scores of all items after one more ``item`` at the end of the history that ends at each row of ``tail``.

        Raises ``ValueError`` where a history fills all positions, so that there is none for the item.
        """
        self._start("embedding", "positions", positions)
        history, twin, most = self._read(cases), frozen(self), self.config.length - 1
        place, here = _ends(history, positions)
        if history.shape[1] > most:
            raise ValueError(f"a history has {most + 1} items or more: expected at most {most}; read shorter windows")
        if len(item) != here.sum():
            raise ValueError(f"item has {len(item)} rows: expected {int(here.sum())}, as many as tail")
        new = twin._enter(check_items(item, self.n_items).to(history.device), place[here] + 1)
        past = twin._past(twin._states(history, 0), 0)
        return twin._rows(new, here, past, place + 1) @ twin.item.weight.T

    def _start(self, site: str, name: str, count: int) -> int:
        if site not in self.sites:
            raise ValueError(f"site {site!r}: expected one of {', '.join(self.sites)}")
        if count < 1:
            raise ValueError(f"{name}={count}: expected at least 1")
        return list(self.sites).index(site)

    def _past(self, x: Stream, start: int) -> list[tuple[Heads, Heads]]:
        """Keys and values of each block from ``start`` on, which reads the stream ``x``."""
        past = []
        for block in self.blocks[start:]:
            past.append(block.read(x)[2:])
            x = block(x) if block is not self.blocks[-1] else x
        return past

    def _rows(
        self, h: Float[Tensor, "r d"], here: Bool[Tensor, "n p"], past: list, earlier: Int[Tensor, "n p"]
    ) -> Float[Tensor, "r d"]:
        """The final states of single positions that enter the last blocks, those with a ``past``, as ``h``."""
        x = h.new_zeros(*here.shape, h.shape[1]).masked_scatter(here[..., None], h)
        for block, (keys, values) in zip(self.blocks[self.config.layers - len(past) :], past, strict=True):
            x = block.rows(x, keys, values, earlier)
        return self.norm(x[here])

    def _embed(self, history: Int[Tensor, "n t"]) -> Float[Tensor, "n t d"]:
        # padding follows all real items, so that attention, being causal, never lets them see what stands there
        place = torch.arange(history.shape[1], device=history.device)
        return self.dropout(self._enter(history.clamp(min=0), place))

    def _enter(self, item: Int[Tensor, "*n t"], place: Int[Tensor, "t"]) -> Float[Tensor, "*n t d"]:
        x = self.item(item)
        return (x * self.config.d**0.5 if self.config.block == "sasrec" else x) + self.position(place)

    def _states(self, history: Int[Tensor, "n t"], stages: int | None = None) -> Stream:
        x = self._embed(history)
        for stage in [*self.blocks, self.norm][:stages]:
            x = stage(x)
        return x

    def _candidates(self, items: Int[Tensor, "c"] | None) -> Float[Tensor, "c d"]:
        return self.item.weight if items is None else self.item.weight[check_items(items, self.n_items)]

    def _read(self, cases: Cases) -> Int[Tensor, "n t"]:
        return window(check_histories(cases, self.n_items).to(self.item.weight.device), self.config.length)


def _ends(history: Int[Tensor, "n t"], positions: int) -> tuple[Int[Tensor, "n p"], Bool[Tensor, "n p"]]:
    """The last ``positions`` of each history, right-aligned, and which of them there are (the others are 0)."""
    place = (history >= 0).sum(1, keepdim=True) + torch.arange(-min(positions, history.shape[1]), 0).to(history.device)
    return place.clamp(min=0), place >= 0


def window(history: Int[Tensor, "n t"], length: int) -> Int[Tensor, "n w"]:
    """The last ``length`` items of each history, without columns that are padding in every row."""
    real = (history >= 0).sum(1)
    longest = int(real.max()) if len(real) else 0
    if longest <= length:
        return history[:, :longest]
    place = (real - length).clamp(min=0)[:, None] + torch.arange(length, device=history.device)
    return history.gather(1, place)
