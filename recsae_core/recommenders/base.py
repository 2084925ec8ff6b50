"""The contract of every recommender: cases in, scores out, and a stop half-way.

``cases --before(site)--> h --(encode, edit, decode: not our business)--> h' --finish--> scores``
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Cases:
    """Lists asked for, one a row. A model uses the user or the history and ignores the other."""

    user: Int[Tensor, "n"]  # -1 = unseen
    history: Int[Tensor, "n t"]  # items, oldest first, right-padded with -1

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, rows: slice | Tensor) -> "Cases":
        return Cases(self.user[rows], self.history[rows])

    @property
    def length(self) -> Int[Tensor, "n"]:
        """Items in each history."""
        return (self.history >= 0).sum(1)

    def to(self, device: str | torch.device) -> "Cases":
        """The same cases on ``device``."""
        return Cases(self.user.to(device), self.history.to(device))


@dataclass(frozen=True)
class Holdout:
    """Cases with the item that each user took next, and the items that are no longer news to the user."""

    cases: Cases
    target: Int[Tensor, "n"]  # the item taken next
    seen: Int[Tensor, "n s"]  # every earlier item of the user, also those before the history; right-padded with -1

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, rows: slice | Tensor) -> "Holdout":
        return Holdout(self.cases[rows], self.target[rows], self.seen[rows])


@dataclass(frozen=True)
class Sets:
    """Cases with the several items that were hidden from each user, and the items that are no longer news."""

    cases: Cases
    target: Int[Tensor, "n t"]  # right-padded with -1
    seen: Int[Tensor, "n s"]  # right-padded with -1

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, rows: slice | Tensor) -> "Sets":
        return Sets(self.cases[rows], self.target[rows], self.seen[rows])


@dataclass(frozen=True)
class Tails:
    """The rows of ``Recommender.tail``, with the item that came next after each and what was no longer news then."""

    cases: Cases
    case: Int[Tensor, "r"]  # the case a row belongs to
    target: Int[Tensor, "r"]  # the item taken next
    seen: Bool[Tensor, "r i"]  # every item that the user took before the target, also before the history

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Split:
    """A recommender stopped at a site: the vectors there, whose they are, and the rest of the way.

    ``finish`` is frozen (no parameter receives a gradient) and differentiable in ``h``.
    """

    h: Float[Tensor, "r d"]  # one row a unit; the real positions of all cases one after another
    case: Int[Tensor, "r"]  # the case a row belongs to; -1 on item rows
    item: Int[Tensor, "r"]  # the item at the position, or the item itself; -1 on user rows
    last: Bool[Tensor, "r"]  # the row that decides its case's list
    finish: Callable[[Float[Tensor, "r d"]], Float[Tensor, "n c"]]

    def replaced(self, h: Float[Tensor, "r d"]) -> "Split":
        """The same stop with other vectors."""
        return replace(self, h=h)


class Recommender(nn.Module, ABC):
    """A model that scores items for cases and can be stopped at each of its ``sites``.

    Two laws hold for every recommender at every site in evaluation mode (tests/recommenders/contract.py):
    ``before(site, cases).finish(h)`` equals ``forward(cases)`` to 1e-6 with the same ranking, where ``forward``
    is written without the split; and an edit of strength zero that keeps the error returns bit-equal scores.
    """

    n_items: int

    @property
    def sites(self) -> Mapping[str, int]:
        """Name -> width of every place where the model can be stopped; empty where there is none."""
        return {}

    @property
    def probe(self) -> str:
        """The site of the vector of which the scores are read, one a case; ``ValueError`` where there is none."""
        if found := {"final", "user"} & set(self.sites):
            return found.pop()
        raise ValueError(f"{type(self).__name__} has no site 'final' or 'user'")

    def before(self, site: str, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Split:
        """The model stopped at ``site``; ``finish`` scores ``items`` (all, where None).

        Raises ``ValueError`` for a site that the model lacks or a case with an empty history.
        """
        raise ValueError(f"site {site!r}: {type(self).__name__} has {', '.join(self.sites) or 'no site'}")

    def tail(self, site: str, cases: Cases, positions: int = 1, items: Int[Tensor, "c"] | None = None) -> Split:
        """The model stopped at the last ``positions`` of each case, each of which decides a list of its own.

        Rows stand case after case (all, where there are fewer); in a row's list no other row is edited. Raises
        ``ValueError`` for more positions than decide lists, and for a site where no single row decides a list.
        """
        if positions != 1:
            raise ValueError(f"positions={positions}: {type(self).__name__} decides one list a case: expected 1")
        split = self.before(site, cases, items)
        rows = split.last.nonzero()[:, 0]
        rows = rows[split.case[rows].argsort()]
        if not torch.equal(split.case[rows].cpu(), torch.arange(len(cases))):
            raise ValueError(f"site {site!r}: no single row decides a case's list: use before")

        def finish(h: Float[Tensor, "r d"]) -> Float[Tensor, "n c"]:
            check_rows(h, len(rows), split.h.shape[1])
            return split.finish(split.h.index_copy(0, rows, h))

        return Split(split.h[rows], split.case[rows], split.item[rows], split.last[rows], finish)

    @abstractmethod
    def forward(self, cases: Cases, items: Int[Tensor, "c"] | None = None) -> Float[Tensor, "n c"]:
        """Scores of ``items`` (all, where None) for each case; higher is better, no item masked."""

    def begin(self, train: Cases) -> None:
        """Called once before training with all that it is trained on."""

    def trained(self) -> "Recommender":
        """What is kept after training, in evaluation mode: another model where part of this one is needed no more."""
        return self.eval()

    def loss(self, batch: Cases, g: torch.Generator) -> Float[Tensor, ""]:
        """The training loss of a batch, a mean over what is predicted; ``g`` supplies all randomness but dropout."""
        raise ValueError(f"{type(self).__name__} is not trained by gradient descent")


_TWINS: WeakKeyDictionary[nn.Module, tuple[list[tuple], nn.Module]] = WeakKeyDictionary()


def frozen(model: M) -> M:
    """The same model on the same storage, in evaluation mode, whose parameters take no gradient.

    Made once a model, and anew where a parameter or a buffer has moved since.
    """
    place = [(t.data_ptr(), t.device, t.dtype, t.shape) for t in (*model.parameters(), *model.buffers())]
    if (held := _TWINS.get(model)) and held[0] == place:
        return held[1]
    memo: dict[int, Tensor] = {id(b): b for b in model.buffers()}
    memo |= {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    twin = copy.deepcopy(model, memo).eval()
    _TWINS[model] = place, twin
    return twin


def check_rows(h: Float[Tensor, "_ _"], n: int, d: int) -> None:
    """``ValueError`` unless ``h`` has ``n`` rows of width ``d``."""
    if h.shape != (n, d):
        raise ValueError(f"h has shape {tuple(h.shape)}: expected {(n, d)}")


def check_items(items: Int[Tensor, "c"], n_items: int) -> Int[Tensor, "c"]:
    """``items``; ``ValueError`` where one is not an item of the model."""
    if items.numel() and not (items.min() >= 0 and items.max() < n_items):
        raise ValueError(f"items holds ids from {items.min()} to {items.max()}: expected 0 to {n_items - 1}")
    return items


def check_histories(cases: Cases, n_items: int) -> Int[Tensor, "n t"]:
    """The histories; ``ValueError`` where one is empty, holds an unknown item, or an item after padding."""
    history = cases.history
    real = history >= 0
    if history.numel() and (history.max() >= n_items or history.min() < -1):
        raise ValueError(f"history holds ids from {history.min()} to {history.max()}: expected -1 to {n_items - 1}")
    empty = ~real.any(1)
    if empty.any():
        raise ValueError(f"history of case {int(empty.nonzero()[0])} is empty: expected at least one item")
    gap = (real[:, 1:] & ~real[:, :-1]).any(1)
    if gap.any():
        raise ValueError(f"history of case {int(gap.nonzero()[0])} has an item after padding: expected -1 at the end")
    return history
