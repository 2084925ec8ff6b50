"""Ways to ask a recommender for more of something: each turns a batch of lists and a dose into scores."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recsae_core.recommenders.base import Cases, Recommender, Split
from recsae_core.sae.base import Dictionary
from recsae_core.steer.edit import Dose, Rule, coded, column, edit


class Lists(NamedTuple):
    """A batch of lists before anything is changed: what every method begins with."""

    model: Recommender
    site: str
    cases: Cases
    positions: int  # lists a case, those of its last positions
    split: Split  # one row a list (``Recommender.tail``)
    scores: Float[Tensor, "n i"]  # of the split as it is
    seen: Bool[Tensor, "n i"]
    kept: dict[Hashable, Any]  # what methods work out of these lists once for all doses

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What was kept under ``key``, made where nothing was."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]


@runtime_checkable
class Method(Protocol):
    """Scores of all items at a dose; a dose of 0 changes nothing unless the method says otherwise."""

    def __call__(self, lists: Lists, dose: Dose) -> Float[Tensor, "n i"]:
        """The scores of every list, ``dose`` being one number or one for each list."""
        ...


class Moves(ABC):
    """A method that changes the vectors at the site and lets the recommender go on from there."""

    @abstractmethod
    def rows(self, lists: Lists, dose: Dose) -> Float[Tensor, "n d"]:
        """The vectors after the change."""

    def __call__(self, lists: Lists, dose: Dose) -> Float[Tensor, "n i"]:
        """``finish`` of the changed vectors."""
        return lists.split.finish(self.rows(lists, dose))


@dataclass(frozen=True)
class Latents(Moves):
    """An edit of a dictionary's latents; the arguments are those of ``edit``. Neurons are a dictionary too."""

    dictionary: Dictionary
    latents: Sequence[int]
    rule: str | Rule = "add"
    unit: Float[Tensor, "m"] | None = None
    keep_error: bool = True

    def rows(self, lists: Lists, dose: Dose) -> Float[Tensor, "n d"]:
        """``edit`` of the split; the code is made once."""
        code = lists.once(self.dictionary, lambda: coded(lists.split, self.dictionary))
        options = {"unit": self.unit, "keep_error": self.keep_error, "code": code}
        return edit(lists.split, self.dictionary, self.latents, self.rule, dose, **options)


@dataclass(frozen=True)
class Direction(Moves):
    """A vector added to every row: the dose is in multiples of it."""

    vector: Float[Tensor, "d"]

    def rows(self, lists: Lists, dose: Dose) -> Float[Tensor, "n d"]:
        """``h + dose * vector``; ``ValueError`` where the vector has another width."""
        h = lists.split.h
        if self.vector.shape != h.shape[1:]:
            raise ValueError(f"vector has shape {tuple(self.vector.shape)}: expected {tuple(h.shape[1:])}")
        return h + column(dose, len(h), h) * self.vector


@dataclass(frozen=True)
class Everywhere:
    """Another method at every position of a case and not at the last one alone; a list feels the positions up to it."""

    inner: Moves

    def __call__(self, lists: Lists, dose: float | int) -> Float[Tensor, "n i"]:
        """``finish`` of the rows of whole cases, all changed by the same dose."""

        def whole() -> Lists:
            split = lists.model.before(lists.site, lists.cases, lists=lists.positions)
            return lists._replace(split=replace(split, last=torch.ones_like(split.last)), kept={})

        every = lists.once("whole cases", whole)
        return every.split.finish(self.inner.rows(every, dose))


@dataclass(frozen=True)
class Rerank:
    """A bonus for some items, added to the scores: the dose is in units of the scores (logits)."""

    items: Bool[Tensor, "i"]

    def __call__(self, lists: Lists, dose: Dose) -> Float[Tensor, "n i"]:
        """The scores with the bonus."""
        if self.items.shape != lists.scores.shape[1:]:
            raise ValueError(f"items has {len(self.items)} entries: expected {lists.scores.shape[1]}, one an item")
        return lists.scores + column(dose, len(lists.scores), lists.scores) * self.items


@dataclass(frozen=True)
class History:
    """One more item in the history: that of ``items``, not seen yet, which stood highest on the list.

    The dose is the share of lists that get the item, from 0 to 1. Where no such item is left a list stays as it is.
    Cases must be one shorter than the longest that the recommender reads (``Transformer.appended``).
    """

    items: Bool[Tensor, "i"]

    def __call__(self, lists: Lists, dose: Dose) -> Float[Tensor, "n i"]:
        """The scores after the item was appended."""
        longer = lists.once(("history", self.items.numpy().tobytes()), lambda: self._appended(lists))
        n = len(lists.scores)
        share = torch.as_tensor(dose, dtype=torch.float64).expand(n)
        if not ((share >= 0) & (share <= 1)).all():
            raise ValueError(f"dose={dose}: expected 0 to 1, the share of lists that get an item")
        golden = (torch.arange(n, dtype=torch.float64) * 0.6180339887498949) % 1  # evenly spread over the lists
        return torch.where((golden < share)[:, None], longer, lists.scores)

    def _appended(self, lists: Lists) -> Float[Tensor, "n i"]:
        allowed = self.items & ~lists.seen
        item = lists.scores.masked_fill(~allowed, -torch.inf).argmax(1)
        scores = lists.model.appended(lists.cases, lists.positions, item)
        return torch.where(allowed.any(1, keepdim=True), scores, lists.scores)


def difference_of_means(h: Float[Tensor, "n d"], positive: Bool[Tensor, "n"]) -> Float[Tensor, "d"]:
    """Mean of the rows that have the attribute minus mean of those that have not; ``ValueError`` where none has."""
    if not positive.any() or positive.all():
        raise ValueError(f"{int(positive.sum())} of {len(positive)} rows have the attribute: expected some and not all")
    return (h[positive].double().mean(0) - h[~positive].double().mean(0)).to(h.dtype)
