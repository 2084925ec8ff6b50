"""Two towers: a vector a user, a vector an item, and a score of the two: logistic MF and an MLP (NCF).

The recommenders of Arviv et al. 2511.18024, whose code trains them against one drawn negative a positive. What differs
here: logits everywhere (no second sigmoid), Adam, negatives drawn anew each time and never a training positive.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from recsae_core.recommenders.base import Cases, Recommender, Split, check_items, check_rows, frozen

PAIRS = 1 << 14  # of users and items whose hidden layers are held at once


@dataclass(frozen=True)
class MFConfig:
    """Sizes and the loss of an ``MF``."""

    n_items: int
    n_users: int
    d: int = 20
    negatives: int = 1  # items drawn for each positive
    l2: float = 0.0  # half of it times the squared vectors and biases of a pair joins the pair's loss

    def __post_init__(self) -> None:
        for name in ("n_items", "n_users", "d", "negatives"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1")
        if not 0 <= self.l2 < np.inf:
            raise ValueError(f"l2={self.l2}: expected at least 0")


@dataclass(frozen=True)
class NCFConfig(MFConfig):
    """Sizes and the loss of an ``NCF``."""

    hidden: tuple[int, ...] = (64, 32, 16)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden", tuple(self.hidden))
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden={self.hidden}: expected at least one width of at least 1")


class TwoTowers(Recommender):
    """Scores are logits; ``Cases.history`` is ignored, ``Cases.user`` must be known (else ``ValueError``).

    Sites: ``user``, one row a case; ``item``, one row a scored item; ``user+item``, first those and then these.
    ``generator`` draws the initial weights; where there is none, they are those of seed 0.
    """

    def __init__(self, config: MFConfig) -> None:
        super().__init__()
        self.config, self.n_items = config, config.n_items
        self.P, self.Q = (nn.Parameter(torch.zeros(n, config.d)) for n in (config.n_users, config.n_items))
        self._free: Int[Tensor, "p"] | None = None

    @property
    def sites(self) -> Mapping[str, int]:
        """The users' vectors, the items', and both."""
        return dict.fromkeys(("user", "item", "user+item"), self.config.d)

    @abstractmethod
    def pairs(
        self, p: Float[Tensor, "*#r d"], q: Float[Tensor, "*#r d"], users: Int[Tensor, "*#r"], items: Int[Tensor, "*#r"]
    ) -> Float[Tensor, "*r"]:
        """Logits of vectors ``p`` for ``users`` with vectors ``q`` for ``items``, place by place."""

    @abstractmethod
    def all_pairs(
        self, p: Float[Tensor, "n d"], q: Float[Tensor, "c d"], users: Int[Tensor, "n"], items: Int[Tensor, "c"]
    ) -> Float[Tensor, "n c"]:
        """Logits of each vector of ``p`` with each of ``q``."""

    def before(self, site: str, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Split:
        """The vectors at ``site``; biases and the net stay behind, in ``finish``."""
        if site not in self.sites:
            return super().before(site, cases, items)
        users, items, still = self._users(cases.user), self._items(items), frozen(self)
        p, q, n = still.P[users], still.Q[items], len(users)
        if site == "user":
            return _split(p, users, None, lambda h: still.all_pairs(h, q, users, items))
        if site == "item":
            return _split(q, None, items, lambda h: still.all_pairs(p, h, users, items))
        return _split(torch.cat([p, q]), users, items, lambda h: still.all_pairs(h[:n], h[n:], users, items))

    def paired(self, users: Int[Tensor, "n"], items: Int[Tensor, "n"]) -> Split:
        """The model stopped at ``user+item`` for pairs: ``finish`` scores each user with the item of the same place.

        Its result has shape [n, 1]. Raises ``ValueError`` for unknown ids or more of one than of the other.
        """
        if len(users) != len(items):
            raise ValueError(f"{len(users)} users and {len(items)} items: expected as many of both")
        users, items, still, n = self._users(users), self._items(items), frozen(self), len(users)
        h = torch.cat([still.P[users], still.Q[items]])
        return _split(h, users, items, lambda h: still.pairs(h[:n], h[n:], users, items)[:, None])

    def begin(self, train: Cases) -> None:
        """Note each user's items: none of them is drawn as a negative of that user."""
        n = self.n_items
        keys = torch.unique(self._users(train.user).cpu() * n + check_items(train.history[:, 0], n).cpu())
        user, item = keys // n, keys % n
        count = torch.bincount(user, minlength=self.config.n_users)
        if (count >= n).any():
            raise ValueError(
                f"user {int(count.argmax())} took all {n} items: expected one at least to draw as negative"
            )
        self._start = count.cumsum(0) - count
        self._free = user * n + item - torch.arange(len(keys)) + self._start[user]  # items not taken before each taken
        self._count = count

    def negatives(self, users: Int[Tensor, "n"], k: int, g: torch.Generator) -> Int[Tensor, "n k"]:
        """``k`` items a user, drawn evenly from those that the user did not take in the training of ``begin``."""
        if self._free is None:
            raise ValueError("no training case to draw negatives beside: expected a call of begin")
        users, n = users[:, None].cpu(), self.n_items
        place = (torch.rand((len(users), k), generator=g, dtype=torch.float64) * (n - self._count[users])).long()
        taken = torch.searchsorted(self._free, users * n + place, right=True) - self._start[users]
        return place + taken

    def loss(self, batch: Cases, g: torch.Generator) -> Float[Tensor, ""]:
        """Mean log-loss of each case's user with its one item and with ``config.negatives`` others, and ``l2``."""
        device = self.P.device
        users, positive = batch.user.to(device), batch.history[:, :1].to(device)
        items = torch.cat([positive, self.negatives(batch.user, self.config.negatives, g).to(device)], 1)
        p, q = F.embedding(users, self.P)[:, None], F.embedding(items, self.Q)
        logits = self.pairs(p, q, users[:, None], items)
        wanted = torch.zeros_like(logits)
        wanted[:, 0] = 1.0
        size = p.square().sum(2) + q.square().sum(2) + self.squared_biases(users[:, None], items)
        return F.binary_cross_entropy_with_logits(logits, wanted) + 0.5 * self.config.l2 * size.mean()

    def squared_biases(self, users: Int[Tensor, "n 1"], items: Int[Tensor, "n k"]) -> Float[Tensor, "n k"] | float:
        """What the biases of pairs add to their squared size."""
        return 0.0

    def _users(self, users: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
        n = self.config.n_users
        if users.numel() and not (users.min() >= 0 and users.max() < n):
            raise ValueError(f"users holds ids from {users.min()} to {users.max()}: expected 0 to {n - 1}, all known")
        return users.to(self.P.device)

    def _items(self, items: Int[Tensor, "c"] | None) -> Int[Tensor, "c"]:
        if items is None:
            return torch.arange(self.n_items, device=self.P.device)
        return check_items(items, self.n_items).to(self.P.device)


def _split(h: Tensor, users: Tensor | None, items: Tensor | None, finish: Any) -> Split:
    """A row a user and then a row an item, whichever there are, with a ``finish`` that checks what it is given."""
    n, c = 0 if users is None else len(users), 0 if items is None else len(items)
    case = F.pad(torch.arange(n, device=h.device), (0, c), value=-1)
    item = torch.full((n,), -1, device=h.device) if items is None else F.pad(items, (n, 0), value=-1)

    def checked(h: Float[Tensor, "r d"]) -> Float[Tensor, "n c"]:
        check_rows(h, n + c, shape[1])
        return finish(h)

    shape = h.shape
    return Split(h, case, item, case >= 0, checked)


class MF(TwoTowers):
    """Logistic matrix factorisation: logit = b + b_user + b_item + p.q, all of it learned."""

    def __init__(self, config: MFConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(config)
        self.b_user, self.b_item = (nn.Parameter(torch.zeros(n)) for n in (config.n_users, config.n_items))
        self.b = nn.Parameter(torch.zeros(()))
        g = generator or torch.Generator().manual_seed(0)
        for p in (self.P, self.Q):
            nn.init.normal_(p, 0.0, 1 / config.d, generator=g)

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Logits of ``items`` (all, where None)."""
        users, items = self._users(cases.user), self._items(items)
        p = torch.cat([self.P[users], self.b_user[users, None], torch.ones_like(self.b_user[users, None])], 1)
        q = torch.cat([self.Q[items], torch.ones_like(self.b_item[items, None]), self.b_item[items, None]], 1)
        return p @ q.T + self.b

    def pairs(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Logits, place by place."""
        return (p * q).sum(-1) + self._biases(users, items)

    def all_pairs(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Logits of each with each."""
        return p @ q.T + self._biases(users[:, None], items)

    def squared_biases(self, users: Tensor, items: Tensor) -> Tensor:
        """The squares of both biases."""
        return sum(F.embedding(at, b[:, None]).squeeze(-1).square() for at, b in self._of(users, items))

    def _biases(self, users: Tensor, items: Tensor) -> Tensor:
        return self.b + sum(F.embedding(at, b[:, None]).squeeze(-1) for at, b in self._of(users, items))

    def _of(self, users: Tensor, items: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        return (users, self.b_user), (items, self.b_item)


class NCF(TwoTowers):
    """A net over both vectors side by side: ReLU layers of widths ``hidden``, then one logit (He et al. 1708.05031).

    Only their MLP, without the product of the vectors, as in Arviv et al. 2511.18024; there is no bias of its own.
    """

    def __init__(self, config: NCFConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(config)
        g = generator or torch.Generator().manual_seed(0)
        for p in (self.P, self.Q):
            nn.init.normal_(p, 0.0, 0.1, generator=g)
        widths = (2 * config.d, *config.hidden, 1)
        with torch.random.fork_rng(devices=[]):  # torch's own first weights are drawn, and not used
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        for layer in self.layers:
            for p in (layer.weight, layer.bias):
                nn.init.uniform_(p, -(layer.in_features**-0.5), layer.in_features**-0.5, generator=g)

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Logits of ``items`` (all, where None)."""
        users, items = self._users(cases.user), self._items(items)
        scores = []
        for part in users.split(max(1, PAIRS // max(1, len(items)))):
            shape = (len(part), len(items), -1)
            x = torch.cat([self.P[part, None].expand(shape), self.Q[items].expand(shape)], 2)
            for layer in self.layers[:-1]:
                x = torch.relu(layer(x))
            scores.append(self.layers[-1](x).squeeze(2))
        return torch.cat(scores)

    def pairs(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Logits, place by place; the first layer reads users and items apart, so each of them once."""
        first, d = self.layers[0], self.config.d
        x = F.linear(p, first.weight[:, :d]) + F.linear(q, first.weight[:, d:], first.bias)
        for layer in self.layers[1:]:
            x = layer(torch.relu(x))
        return x.squeeze(-1)

    def all_pairs(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Logits of each with each."""
        size = max(1, PAIRS // max(1, len(q)))
        parts = zip(p.split(size), users.split(size), strict=True)
        return torch.cat([self.pairs(part[:, None], q, at[:, None], items) for part, at in parts])


def factors(users: Any, items: Any, user_bias: Any = None, item_bias: Any = None) -> MF:
    """A recommender around the vectors of any library: ``users`` [u, d], ``items`` [i, d], biases [u] and [i].

    Raises ``ValueError`` for widths or lengths that differ, and for a value that is not finite.
    """
    found = {"users": users, "items": items, "user_bias": user_bias, "item_bias": item_bias}
    found = {k: torch.from_numpy(np.array(v, dtype=np.float32)) for k, v in found.items() if v is not None}
    for name, array in found.items():
        if not array.isfinite().all():
            raise ValueError(f"{name} holds {int((~array.isfinite()).sum())} values that are NaN or infinite")
    p, q = found["users"], found["items"]
    if p.ndim != 2 or q.ndim != 2 or p.shape[1] != q.shape[1]:
        raise ValueError(f"users has shape {tuple(p.shape)}, items {tuple(q.shape)}: expected [u, d] and [i, d]")
    model = MF(MFConfig(n_items=len(q), n_users=len(p), d=p.shape[1]))
    for name, place in {"users": "P", "items": "Q", "user_bias": "b_user", "item_bias": "b_item"}.items():
        parameter = getattr(model, place)
        if name in found and found[name].shape != parameter.shape:
            shapes = tuple(found[name].shape), tuple(parameter.shape)
            raise ValueError(f"{name} has shape {shapes[0]}: expected {shapes[1]}")
        parameter.data = found.get(name, torch.zeros_like(parameter))
    return model.eval()
