"""A recommender's vectors at a site, as a stream of splits or all at once."""

from collections.abc import Iterator
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
