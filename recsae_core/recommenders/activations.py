"""A recommender's vectors at a site, as a stream of splits or all at once."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recsae_core.recommenders.base import Cases, Recommender, Split


class Rows(NamedTuple):
    """The vectors of all cases at a site, on the CPU, one row a unit, with what ``Split`` says of each."""

    h: Float[Tensor, "r d"]
    case: Int[Tensor, "r"]  # row of the ``Cases`` that were read
    item: Int[Tensor, "r"]
    last: Bool[Tensor, "r"]


def stream(model: Recommender, site: str, cases: Cases, batch: int = 256) -> Iterator[Split]:
    """The splits of ``batch`` cases at a time, in order; ``Split.case`` counts from 0 in each."""
    if batch < 1:
        raise ValueError(f"batch={batch}: expected at least 1")
    for start in range(0, len(cases), batch):
        yield model.before(site, cases[start : start + batch])


def collect(model: Recommender, site: str, cases: Cases, batch: int = 256) -> Rows:
    """All vectors of ``cases`` at ``site``; ``ValueError`` where there is no case."""
    if not len(cases):
        raise ValueError("no case to read: expected at least one")
    parts = []
    for number, split in enumerate(stream(model, site, cases, batch)):
        case = torch.where(split.case < 0, -1, split.case + number * batch)
        parts.append(Rows(split.h.detach().cpu(), case.cpu(), split.item.cpu(), split.last.cpu()))
    return Rows(*(torch.cat(column) for column in zip(*parts, strict=True)))


class Stop(NamedTuple):
    """Some rows of a site, and the rest of the recommender for them."""

    h: Float[Tensor, "r d"]
    finish: Callable[[Float[Tensor, "r d"]], Float[Tensor, "r c"]]


class Probed:
    """The vectors of all ``cases`` at a site with one row a case: an SAE's rows, in an order that each pass draws anew.

    ``h`` holds them all. The model is stopped again only for batches whose ``finish`` is called.
    """

    def __init__(self, model: Recommender, site: str, cases: Cases, generator: torch.Generator, batch: int) -> None:
        self.model, self.site, self.cases, self.g, self.batch = model, site, cases, generator, batch
        rows = collect(model, site, cases, 4096)
        if not torch.equal(rows.case, torch.arange(len(cases))):
            raise ValueError(f"site {site!r}: expected a site with one row a case")
        self.h = rows.h

    def __iter__(self) -> Iterator[Stop]:
        for rows in torch.randperm(len(self.h), generator=self.g).split(self.batch):
            again = cache(partial(self.model.before, self.site, self.cases[rows]))
            yield Stop(self.h[rows], lambda h, again=again: again().finish(h))


class Pairs:
    """Users and items of a two-tower model together, a stop at "user+item" a batch: an SAE's rows, and its teacher.

    ``kind`` says which scores ``finish`` gives: of "all" users of the batch with all its items, or of row ``i`` with
    row ``i`` alone, which are drawn apart ("random") or stay together as given ("given": one user and one item an
    interaction, say). A pass holds every user (or given pair) once and as many items, in an order that each pass
    draws anew; items go around in an order of their own.
    """

    def __init__(
        self,
        model: Recommender,
        users: Int[Tensor, "u"],
        items: Int[Tensor, "i"],
        kind: str,
        generator: torch.Generator,
        batch: int = 256,
    ) -> None:
        if kind not in ("all", "random", "given"):
            raise ValueError(f"kind={kind!r}: expected 'all', 'random' or 'given'")
        if not len(users) or not len(items) or (kind == "given" and len(users) != len(items)):
            raise ValueError(f"{len(users)} users and {len(items)} items: expected some of each, and pairs if given")
        self.model, self.users, self.items, self.kind, self.g, self.batch = model, users, items, kind, generator, batch
        self.waiting = items[:0]

    def __iter__(self) -> Iterator[Split]:
        for rows in torch.randperm(len(self.users), generator=self.g).split(self.batch):
            users = self.users[rows]
            items = self.items[rows] if self.kind == "given" else self._next(len(rows))
            if self.kind == "all":
                yield self.model.before("user+item", Cases(users, users.new_empty(len(users), 0)), items)
            else:
                yield self.model.paired(users, items)

    def _next(self, n: int) -> Int[Tensor, "n"]:
        while len(self.waiting) < n:
            order = torch.randperm(len(self.items), generator=self.g)
            self.waiting = torch.cat([self.waiting, self.items[order]])
        found, self.waiting = self.waiting[:n], self.waiting[n:]
        return found
