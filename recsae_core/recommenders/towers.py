"""Two towers: a vector a user, a vector an item, and a logit of the two: logistic MF and an MLP (NCF).

The recommenders of Arviv et al. 2511.18024, without the second sigmoid of their code.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from torch import Tensor, nn

from recsae_core.recommenders.base import Cases, Recommender, Split, check_items, check_rows, frozen
from recsae_core.recommenders.negatives import Negatives

PAIRS = 1 << 14  # users times items whose hidden layers are held at once


@dataclass(frozen=True)
class MFConfig:
    """Sizes and the loss of an ``MF``."""

    n_items: int
    n_users: int
    d: int = 20  # width of the vectors
    negatives: int = 1  # items drawn beside each positive
    l2: float = 0.0  # half of it times the squared lengths of a pair's vectors is added to the pair's loss

    def __post_init__(self) -> None:
        for name in ("n_items", "n_users", "d", "negatives"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1")
        if not 0 <= self.l2 < np.inf:
            raise ValueError(f"l2={self.l2}: expected at least 0")


@dataclass(frozen=True)
class NCFConfig(MFConfig):
    """Sizes and the loss of an ``NCF``."""

    hidden: Sequence[int] = (64, 32, 16)  # widths of the hidden layers

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden", tuple(self.hidden))  # a list in JSON
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden={self.hidden}: expected one width at least, each at least 1")


class TwoTowers(Recommender):
    """Scores are logits; ``Cases.history`` is ignored, and a user that is unseen is a ``ValueError``.

    Sites: ``user``, one row a case; ``item``, one row a scored item; ``user+item``, those and then these. Biases and
    net stay behind, in ``finish``. ``generator`` draws the initial weights; where there is none, they are of seed 0.
    """

    _taken: Negatives | None = None

    def __init__(self, config: MFConfig, std: float, g: torch.Generator) -> None:
        super().__init__()
        self.config, self.n_items = config, config.n_items
        self.P, self.Q = (
            nn.Parameter(torch.empty(n, config.d).normal_(0.0, std, generator=g))
            for n in (config.n_users, config.n_items)
        )

    @property
    def sites(self) -> Mapping[str, int]:
        """The users' vectors, the items', and both."""
        return dict.fromkeys(("user", "item", "user+item"), self.config.d)

    @abstractmethod
    def _pairs(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Logits place by place, as far as shapes go [..., d], [..., d], [...] and [...] broadcast."""

    @abstractmethod
    def _all(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Logits [n, c] of each of [n, d] with each of [c, d]."""

    def before(self, site: str, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Split:
        """The model stopped at the vectors of ``site``."""
        if site not in self.sites:
            return super().before(site, cases, items)
        users, items, still = self._users(cases.user), self._items(items), frozen(self)
        return self._stop(site, users, items, lambda p, q: still._all(p, q, users, items))

    def paired(self, users: Int[Tensor, "n"], items: Int[Tensor, "c"]) -> Split:
        """The model stopped at ``user+item``; ``finish`` scores each user with the one item of its place: [n, 1].

        Raises ``ValueError`` for unknown ids, or more of one than of the other.
        """
        if len(users) != len(items):
            raise ValueError(f"{len(users)} users and {len(items)} items: expected as many of both")
        users, items, still = self._users(users), self._items(items), frozen(self)
        return self._stop("user+item", users, items, lambda p, q: still._pairs(p, q, users, items)[:, None])

    def begin(self, train: Cases) -> None:
        """Note who took what: no negative of a user is among that user's items."""
        users, items = self._users(train.user).cpu(), check_items(train.history[:, 0], self.n_items).cpu()
        self._taken = Negatives(users, items, self.config.n_users, self.n_items)

    def negatives(self, users: Int[Tensor, "n"], k: int, g: torch.Generator) -> Int[Tensor, "n k"]:
        """``k`` items a user, drawn evenly from those not taken; ``ValueError`` before ``begin``."""
        if self._taken is None:
            raise ValueError("who took what is unknown: expected a call of begin before negatives are drawn")
        return self._taken.draw(users, k, g)

    def vectors(self) -> tuple[Float[Tensor, "u d"], Float[Tensor, "i d"]]:
        """Of users and of items, as the sites have them."""
        return self.P, self.Q

    def loss(self, batch: Cases, g: torch.Generator) -> Float[Tensor, ""]:
        """Mean log-loss of each case's user with its item, 1, and with ``config.negatives`` others, 0; and ``l2``."""
        others = self.negatives(batch.user, self.config.negatives, g)
        users, items = batch.user[:, None].to(self.P.device), torch.cat([batch.history[:, :1].cpu(), others], 1)
        items = items.to(self.P.device)
        p, q = self.P[users], self.Q[items]
        logits = self._pairs(p, q, users, items)
        wanted = torch.zeros_like(logits)
        wanted[:, 0] = 1.0
        size = p.square().sum(2).mean() + q.square().sum(2).mean() if self.config.l2 else 0.0
        return F.binary_cross_entropy_with_logits(logits, wanted) + 0.5 * self.config.l2 * size

    def _users(self, users: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
        n = self.config.n_users
        if users.numel() and not (users.min() >= 0 and users.max() < n):
            raise ValueError(f"users holds ids from {users.min()} to {users.max()}: expected 0 to {n - 1}")
        return users.to(self.P.device)

    def _items(self, items: Int[Tensor, "c"] | None) -> Int[Tensor, "c"]:
        items = torch.arange(self.n_items) if items is None else check_items(items, self.n_items)
        return items.to(self.P.device)

    def _stop(self, site: str, users: Tensor, items: Tensor, score: Callable[[Tensor, Tensor], Tensor]) -> Split:
        p, q = (vectors.detach()[ids] for vectors, ids in zip(self.vectors(), (users, items), strict=True))
        n, c = len(p) * (site != "item"), len(q) * (site != "user")
        case = F.pad(torch.arange(n, device=p.device), (0, c), value=-1)

        def finish(h: Float[Tensor, "r d"]) -> Float[Tensor, "n c"]:
            check_rows(h, n + c, self.config.d)
            return score(h[:n] if n else p, h[n:] if c else q)

        return Split(torch.cat([p[:n], q[:c]]), case, F.pad(items[:c], (n, 0), value=-1), case >= 0, finish)


class MF(TwoTowers):
    """Logistic matrix factorisation: the logit is b + b_user + b_item + p.q, all learned."""

    def __init__(self, config: MFConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(config, 1 / config.d, generator or torch.Generator().manual_seed(0))
        self.b_user, self.b_item = (nn.Parameter(torch.zeros(n)) for n in (config.n_users, config.n_items))
        self.b = nn.Parameter(torch.zeros(()))

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Logits of ``items`` (all, where None)."""
        users, items = self._users(cases.user), self._items(items)
        p, q = (torch.cat(x, 1) for x in ((self.P, self.b_user[:, None]), (self.Q, torch.ones_like(self.Q[:, :1]))))
        return torch.addmm(self.b + self.b_item[items], p[users], q[items].T)

    def _pairs(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        return (p * q).sum(-1) + (self.b + self.b_user[users] + self.b_item[items])

    def _all(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        return p @ q.T + (self.b + self.b_user[users, None] + self.b_item[items])


class NCF(TwoTowers):
    """A net over both vectors side by side: ReLU layers of widths ``hidden``, then one logit (He et al. 1708.05031).

    Their MLP alone, without the branch that multiplies the vectors, as in Arviv et al.; users and items have no bias.
    """

    def __init__(self, config: NCFConfig, generator: torch.Generator | None = None) -> None:
        g = generator or torch.Generator().manual_seed(0)
        super().__init__(config, 0.1, g)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**62, (), generator=g)))  # a layer draws from the global generator
            layers = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise((2 * config.d, *config.hidden, 1))]
        self.net = nn.Sequential(*sum(layers, ())[:-1])

    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Logits of ``items`` (all, where None)."""
        users, items, scores = self._users(cases.user), self._items(items), []
        for part in users.split(max(1, PAIRS // max(1, len(items)))):
            p, q = self.P[part].repeat_interleave(len(items), 0), self.Q[items].repeat(len(part), 1)
            scores.append(self.net(torch.cat([p, q], 1)).view(len(part), len(items)))
        return torch.cat(scores)

    def _pairs(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        first, d = self.net[0], self.config.d  # each of its halves reads a vector once, not once a pair
        return self.net[1:](F.linear(p, first.weight[:, :d]) + F.linear(q, first.weight[:, d:], first.bias))[..., 0]

    def _all(self, p: Tensor, q: Tensor, users: Tensor, items: Tensor) -> Tensor:
        parts = p[:, None].split(max(1, PAIRS // max(1, len(q))))
        return torch.cat([self._pairs(part, q, users, items) for part in parts])


def factors(
    users: ArrayLike, items: ArrayLike, user_bias: ArrayLike | None = None, item_bias: ArrayLike | None = None
) -> MF:
    """A recommender around the vectors of any library: ``users`` [u, d], ``items`` [i, d], biases [u] and [i].

    Raises ``ValueError`` for a value that is not finite, and for shapes that do not go together.
    """
    model = MF(MFConfig(n_users=len(users), n_items=len(items), d=np.shape(items)[-1]))
    given = {"users": users, "items": items, "user_bias": user_bias, "item_bias": item_bias}
    for (name, array), place in zip(given.items(), (model.P, model.Q, model.b_user, model.b_item), strict=True):
        found = torch.zeros_like(place) if array is None else torch.as_tensor(array, dtype=torch.float32)
        if found.shape != place.shape:
            raise ValueError(f"{name} has shape {tuple(found.shape)}: expected {tuple(place.shape)}")
        if not found.isfinite().all():
            raise ValueError(f"{name} holds {int((~found.isfinite()).sum())} values that are NaN or infinite")
        place.data = found.detach().clone()
    return model.eval()
