"""Rows of any origin as batches: a tensor, an iterable of tensors, or an iterable of stopped recommenders."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor

STATISTICS_ROWS = 20_000  # of a stream: what the SAE's statistics are taken from


class Batch(NamedTuple):
    """Rows of one step, in the units of the site."""

    h: Tensor  # [n, d]
    finish: Callable[[Tensor], Tensor] | None = None  # the rest of the recommender, where the rows come with one
    sides: Tensor | None = None  # [2, n], averages over users and over items, where both are among the rows


def from_tensor(x: Tensor, size: int, total: int, replacement: bool, g: torch.Generator) -> Iterator[Batch]:
    """``total`` rows of ``x``, ``size`` at a time: independent draws, or one shuffled epoch after another."""
    waiting = torch.empty(0, dtype=torch.long)
    for start in range(0, total, size):
        n = min(size, total - start)
        if replacement:
            rows = torch.randint(len(x), (n,), generator=g)
        else:
            while len(waiting) < n:
                waiting = torch.cat([waiting, torch.randperm(len(x), generator=g)])
            rows, waiting = waiting[:n], waiting[n:]
        yield Batch(x[rows.to(x.device)])


def from_stream(source: Iterable[Any], size: int, rows: int | None, epochs: int | None) -> Iterator[Batch]:
    """Batches in the order of the stream, begun anew where it ends, until ``rows`` or ``epochs`` are over.

    Tensors are cut and joined to ``size`` rows; a stopped recommender is one batch as it is. A stream that cannot be
    begun anew (a generator) ends there with a warning.
    """
    waiting: list[Tensor] = []
    for batch in _passes(source, epochs):
        if batch.finish is not None:
            ready = [batch]
        else:
            waiting.append(batch.h)
            ready, waiting = _cut(waiting, size, rows)
        for one in ready:
            rows = None if rows is None else rows - len(one.h)
            yield one
        if rows is not None and rows <= 0:
            return
    if sum(map(len, waiting)):
        yield Batch(torch.cat(waiting))


def _cut(waiting: list[Tensor], size: int, rows: int | None) -> tuple[list[Batch], list[Tensor]]:
    """Full batches from what waits, the last one smaller where ``rows`` end with it, and what still waits."""
    ready, length = [], sum(map(len, waiting))
    if length < min(size, rows or size):
        return [], waiting
    joined = torch.cat(waiting)
    while len(joined) >= (n := min(size, rows if rows is not None else size)) > 0:
        ready.append(Batch(joined[:n]))
        joined, rows = joined[n:], None if rows is None else rows - n
    return ready, [joined]


def _passes(source: Iterable[Any], epochs: int | None) -> Iterator[Batch]:
    done = 0
    while epochs is None or done < epochs:
        iterator, empty = iter(source), True
        once = iterator is source
        for chunk in iterator:
            batch = Batch(chunk) if isinstance(chunk, Tensor) else _split(chunk)
            empty &= not len(batch.h)
            yield batch
        done += 1
        if empty and done == 1:
            raise ValueError("the stream of rows is empty: expected tensors, or objects with h and finish")
        if once and done != epochs:
            warnings.warn("the stream of rows ended early and cannot be begun anew: training stops here", stacklevel=2)
            return


def _split(chunk: Any) -> Batch:
    if not (hasattr(chunk, "h") and hasattr(chunk, "finish")):
        raise ValueError(f"rows hold a {type(chunk).__name__}: expected tensors, or objects with h and finish")
    if not hasattr(chunk, "case"):
        return Batch(chunk.h, chunk.finish)
    sides = torch.stack([chunk.case >= 0, chunk.case < 0])
    count = sides.sum(1, keepdim=True)
    return Batch(chunk.h, chunk.finish, sides / count if count.all() else None)


def peek(batches: Iterator[Batch]) -> tuple[Tensor, Iterator[Batch]]:
    """The first ``STATISTICS_ROWS`` rows or more, and all batches."""
    taken: list[Batch] = []
    for batch in batches:
        taken.append(batch)
        if sum(len(b.h) for b in taken) >= STATISTICS_ROWS:
            break
    return torch.cat([b.h for b in taken]), chain(taken, batches)
