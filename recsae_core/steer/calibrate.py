"""The dose that gives the share asked for: one dose for everybody, or one for each list."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recsae_core.recommenders.base import Recommender, Tails
from recsae_core.steer.methods import Lists, Method
from recsae_core.steer.response import K, batches, by_user


class Solution(NamedTuple):
    """The dose found, and the mean share that it gave where it was found."""

    dose: float
    share: float
    reached: bool  # False: no dose gives the share asked for; this one comes nearest


class Calibrator:
    """The lists of some users, stopped once, on which doses are tried; score on other users than these."""

    def __init__(self, model: Recommender, site: str, tails: Tails, batch: int = 32) -> None:
        self.tails, self.lists = tails, list(batches(model, site, tails, batch))

    def share(self, method: Method, items: Bool[Tensor, "i"], dose: float) -> float:
        """Mean over users of the share of their lists that is among ``items``."""
        parts = [_share(method, lists, items, dose) for _, lists in self.lists]
        return float(by_user(torch.cat(parts).numpy()[None], self.tails.case.numpy()).mean())

    def dose(
        self,
        method: Method,
        items: Bool[Tensor, "i"],
        wanted: float,
        *,
        start: float = 1.0,
        limit: float = math.inf,
        doublings: int = 6,
    ) -> Solution:
        """The dose at which the mean share is ``wanted``, by doubling from ``start`` and then by Brent's method.

        The dose is negative where less is wanted than there is. The search ends at ``limit`` or after ``doublings``.
        ``ValueError`` for a share that is none.
        """
        _check(wanted)
        return solve(lambda dose: self.share(method, items, dose), wanted, start, limit, doublings)


def solve(
    share: Callable[[float], float], wanted: float, start: float, limit: float = math.inf, doublings: int = 6
) -> Solution:
    """The dose nearest to 0 at which ``share`` passes ``wanted``, to 1% of it; the nearest miss where none does."""
    from scipy.optimize import brentq

    tried: dict[float, float] = {}

    def gap(dose: float) -> float:
        tried[dose] = share(dose)
        return tried[dose] - wanted

    if (missing := gap(0.0)) == 0:
        return Solution(0.0, tried[0.0], True)
    sign = 1.0 if missing < 0 else -1.0
    below, dose = 0.0, sign * min(start, limit)
    while short := sign * gap(dose) < 0:
        if abs(dose) >= limit or abs(dose) >= start * 2**doublings:
            break
        below, dose = dose, sign * min(2 * abs(dose), limit)
    if not short:
        brentq(
            lambda d: tried[d] - wanted if d in tried else gap(d),
            below,
            dose,
            xtol=0.01 * abs(dose),
            maxiter=8,
            disp=False,
        )
    best = min(tried, key=lambda d: (abs(tried[d] - wanted), abs(d)))
    return Solution(best, tried[best], not short)


@torch.no_grad()
def dose_of_each_list(
    method: Method,
    lists: Lists,
    items: Bool[Tensor, "i"],
    wanted: float,
    low: float,
    high: float,
    steps: int = 10,
) -> Float[Tensor, "n"]:
    """The dose between ``low`` and ``high`` at which each list's own share comes to ``wanted``, by bisection.

    It needs the list and no label of the user: a service can do it for every request. The share of a list is a
    multiple of 1/``K``; the end of the last bracket that is nearer to ``wanted`` is taken.
    """
    _check(wanted)
    n = len(lists.scores)
    ends = [torch.full((n,), low), torch.full((n,), high)]
    shares = [_share(method, lists, items, end) for end in ends]
    for _ in range(steps):
        middle = (ends[0] + ends[1]) / 2
        share = _share(method, lists, items, middle)
        above = share >= wanted
        for side, mask in ((0, ~above), (1, above)):
            ends[side] = torch.where(mask, middle, ends[side])
            shares[side] = torch.where(mask, share, shares[side])
    nearer = (shares[1] - wanted).abs() <= (shares[0] - wanted).abs()
    return torch.where(nearer, ends[1], ends[0])


def _share(method: Method, lists: Lists, items: Bool[Tensor, "i"], dose: float | Tensor) -> Float[Tensor, "n"]:
    with torch.no_grad():
        top = method(lists, dose).masked_fill(lists.seen, -torch.inf).topk(K, dim=1).indices
        return items[top].float().mean(1)


def _check(wanted: float) -> None:
    if not 0 <= wanted <= 1:
        raise ValueError(f"share {wanted}: expected 0 to 1")
