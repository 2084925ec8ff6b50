"""SASRec of which only the last position counts: the sequential recommender of Wang et al. 2411.06112, as in ReChorus.

One layer, one head, positions counted from the end, no LayerNorm after the block's own, BPR on the last position.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from recsae_core.recommenders.base import Cases, Recommender, Split, check_histories, check_items, check_rows, frozen
from recsae_core.recommenders.negatives import Negatives, bpr
from recsae_core.recommenders.transformer import window


@dataclass(frozen=True)
class LastConfig:
    """Sizes of a ``LastSASRec``."""

    n_items: int
    d: int = 64  # width of the vectors
    length: int = 20  # of a longer history the last items are read
    negatives: int = 1  # items drawn beside each positive

    def __post_init__(self) -> None:
        for name in ("n_items", "d", "length", "negatives"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1")


class LastSASRec(Recommender):
    """Scores the next item from the history alone, one vector a case; ``Cases.user`` matters in training only.

    Site: ``final``, the last position's state, whose dot products with item vectors are the scores. ``generator``
    draws the initial weights, all N(0, .01); where there is none, they are of seed 0.
    """

    _taken: Negatives | None = None

    def __init__(self, config: LastConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config, self.n_items, d = config, config.n_items, config.d
        with torch.random.fork_rng(devices=[]):  # torch's own first weights are drawn, and not used
            self.item, self.position = nn.Embedding(config.n_items, d), nn.Embedding(config.length, d)
            # a bias of the keys would move all scores of a query alike
            self.query, self.key, self.value = nn.Linear(d, d), nn.Linear(d, d, bias=False), nn.Linear(d, d)
            self.wide, self.narrow = nn.Linear(d, d), nn.Linear(d, d)
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        g = generator or torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, p in self.named_parameters():
                if not name.startswith("norm"):
                    p.normal_(0.0, 0.01, generator=g)

    @property
    def sites(self) -> Mapping[str, int]:
        """The state of the last position."""
        return {"final": self.config.d}

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Scores of ``items`` (all, where None) as the next item, by the whole layer at all positions."""
        history = self._read(cases)
        length = (history >= 0).sum(1)
        from_end = length[:, None] - 1 - torch.arange(history.shape[1], device=history.device)
        x = self.item(history.clamp(min=0)) + self.position(from_end.clamp(min=0))
        heads = (project(x)[:, None] for project in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(*heads, is_causal=True)[:, 0]
        return self._leave(x, mixed)[torch.arange(len(x), device=x.device), length - 1] @ self._candidates(items).T

    def before(self, site: str, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Split:
        """The model stopped at the last position of each history."""
        if site not in self.sites:
            return super().before(site, cases, items)
        still, history = frozen(self), self._read(cases)
        with torch.no_grad():
            h = still._last(history)
        candidates, case = still._candidates(items), torch.arange(len(h), device=h.device)

        def finish(h: Float[Tensor, "r d"]) -> Float[Tensor, "n c"]:
            check_rows(h, len(case), self.config.d)
            return h @ candidates.T

        last = history.gather(1, (history >= 0).sum(1, keepdim=True) - 1)[:, 0]
        return Split(h, case, last, torch.ones_like(case, dtype=torch.bool), finish)

    def begin(self, train: Cases) -> None:
        """Note who took what, in any place of a history: no negative of a user is among that user's items."""
        if len(train) and train.user.min() < 0:
            raise ValueError("a training case has no user: expected one, whose items are not drawn as negatives")
        real = train.history >= 0
        users = train.user[:, None].expand_as(real)[real].cpu()
        items = check_items(train.history[real], self.n_items).cpu()
        self._taken = Negatives(users, items, int(train.user.max()) + 1, self.n_items)

    def loss(self, batch: Cases, g: torch.Generator) -> Float[Tensor, ""]:
        """``bpr`` of the last item of each case, which the others lead to, against items its user has not taken."""
        if self._taken is None:
            raise ValueError("who took what is unknown: expected a call of begin before negatives are drawn")
        history, end = batch.history.to(self.item.weight.device), batch.length.to(self.item.weight.device)[:, None] - 1
        others = self._taken.draw(batch.user, self.config.negatives, g).to(history.device)
        items = torch.cat([history.gather(1, end), others], 1)
        h = self._last(self._read(Cases(batch.user, history.scatter(1, end, -1))))
        return bpr((h[:, None] * self.item(items)).sum(2))

    def _last(self, history: Int[Tensor, "n t"]) -> Float[Tensor, "n d"]:
        """The last position's state alone: no key or value is made, the query and the mean are projected instead."""
        length, place = (history >= 0).sum(1, keepdim=True), torch.arange(history.shape[1], device=history.device)
        x = self.item(history.gather(1, (length - 1 - place).clamp(min=0))) + self.position.weight[: len(place)]
        towards = self.query(x[:, 0]) @ self.key.weight  # the last item comes first here
        scores = torch.bmm(x, towards[..., None])[..., 0] / self.config.d**0.5
        weight = scores.masked_fill(place >= length, -torch.inf).softmax(1)
        return self._leave(x[:, 0], self.value(torch.bmm(weight[:, None], x)[:, 0]))

    def _leave(self, x: Float[Tensor, "*n d"], mixed: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        x = self.norm1(mixed + x)
        return self.norm2(self.narrow(F.relu(self.wide(x))) + x)

    def _candidates(self, items: Int[Tensor, "c"] | None) -> Float[Tensor, "c d"]:
        return self.item.weight if items is None else self.item.weight[check_items(items, self.n_items)]

    def _read(self, cases: Cases) -> Int[Tensor, "n t"]:
        return window(check_histories(cases, self.n_items).to(self.item.weight.device), self.config.length)
