"""What happens to the lists of all users as a method is turned up: shares, accuracy, coverage, diversity, by dose."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from recsae_core.recommenders.base import Recommender, Tails
from recsae_core.steer.edit import Dose
from recsae_core.steer.methods import Lists, Method, Moves

K = 10


@dataclass(frozen=True)
class Response:
    """The ``K`` best unseen items of every list at every dose, and where the item taken next stands among them."""

    doses: Float[np.ndarray, "p"]
    top: Int[np.ndarray, "p n k"]  # best first
    place: Int[np.ndarray, "p n"]  # of the target, from 1; 0 where it is not on the list
    moved: Float[np.ndarray, "p"]  # mean length of the change over the mean length of the rows; NaN without rows
    case: Int[np.ndarray, "n"]  # the user that a list belongs to
    n_items: int

    def __getitem__(self, metric: str) -> Float[np.ndarray, "p n"]:
        """One value a dose and list of ``ndcg``, ``hr`` or ``mrr``, at ``K`` and with one target."""
        gain = {
            "ndcg": lambda place: 1 / np.log2(place + 1.0),
            "hr": lambda place: np.ones(place.shape),
            "mrr": lambda place: 1.0 / place,
        }
        if metric not in gain:
            raise ValueError(f"metric {metric!r}: expected one of {', '.join(gain)}")
        return np.where(self.place > 0, gain[metric](np.maximum(self.place, 1)), 0.0)

    def share(self, attributes: Bool[np.ndarray, "i *a"]) -> Float[np.ndarray, "p n *a"]:
        """The share of each list that has each attribute; attributes overlap, so shares do not sum to 1."""
        return attributes[self.top].mean(2, dtype=np.float32)

    @cached_property
    def coverage(self) -> Float[np.ndarray, "p"]:
        """Share of all items that stand on at least one list."""
        return np.array([len(np.unique(top)) for top in self.top]) / self.n_items

    @cached_property
    def diversity(self) -> Float[np.ndarray, "p"]:
        """Inter-list diversity: 1 minus the mean share that two lists of different users have in common.

        For lists of equal length that share is the cosine of their indicator vectors (Jurity, which the authors use,
        draws pairs at random; here all pairs count). Of each user the last list is taken.
        """
        last = np.append(np.diff(self.case) != 0, True)
        n, out = int(last.sum()), []
        for top in self.top[:, last]:
            count = np.bincount(top.ravel(), minlength=self.n_items).astype(np.float64)
            out.append(1 - (count * (count - 1)).sum() / (n * (n - 1) * top.shape[1]))
        return np.array(out)


def batches(model: Recommender, site: str, tails: Tails, batch: int = 32) -> Iterator[tuple[slice, Lists]]:
    """The lists of ``batch`` cases at a time, stopped at ``site``, and their rows in ``tails``."""
    positions = int(torch.bincount(tails.case).max())
    first = torch.searchsorted(tails.case.contiguous(), torch.arange(0, len(tails.cases) + batch, batch))
    for number, (a, b) in enumerate(zip(first.tolist(), first[1:].tolist(), strict=False)):
        cases = tails.cases[number * batch : (number + 1) * batch]
        with torch.no_grad():
            split = model.tail(site, cases, positions)
            yield slice(a, b), Lists(model, site, cases, positions, split, split.finish(split.h), tails.seen[a:b], {})


def respond(
    model: Recommender,
    site: str,
    tails: Tails,
    methods: Mapping[str, Method],
    doses: Mapping[str, Sequence[Dose]],
    *,
    batch: int = 32,
    progress: bool = True,
) -> dict[str, Response]:
    """The response of every list of ``tails`` to every method at each of its doses.

    The recommender is stopped once for all methods and doses. A dose is a number, or one for each list. Raises
    ``ValueError`` for a method without doses.
    """
    if set(methods) != set(doses) or not all(len(doses[name]) for name in methods):
        raise ValueError(f"doses of {', '.join(doses)}: expected some for each of {', '.join(methods)}")
    n, n_items = len(tails.target), tails.seen.shape[1]
    top = {name: np.empty((len(doses[name]), n, K), dtype=np.int32) for name in methods}
    place = {name: np.empty((len(doses[name]), n), dtype=np.int8) for name in methods}
    moved = {name: np.zeros(len(doses[name])) for name in methods}
    length = 0.0
    total = sum(map(len, doses.values())) * len(tails.cases)
    quiet = {} if progress else {"disable": True}  # disable=False would overrule $TQDM_DISABLE
    with torch.no_grad(), tqdm(total=total, unit="list", unit_scale=True, **quiet) as bar:
        for rows, lists in batches(model, site, tails, batch):
            length += float(lists.split.h.norm(dim=1).sum())
            for name, method in methods.items():
                for d, dose in enumerate(doses[name]):
                    dose = dose[rows] if isinstance(dose, Tensor) and dose.ndim else dose
                    if isinstance(method, Moves):
                        h = method.rows(lists, dose)
                        moved[name][d] += float((h - lists.split.h).norm(dim=1).sum())
                        scores = lists.split.finish(h)
                    else:
                        scores = method(lists, dose)
                    best, at = ranked(scores, lists.seen, tails.target[rows])
                    top[name][d, rows], place[name][d, rows] = best.numpy(), at.numpy()
                bar.update(len(doses[name]) * len(lists.cases))
    return {
        name: Response(
            doses=np.array([float(torch.as_tensor(dose, dtype=torch.float64).mean()) for dose in doses[name]]),
            top=top[name],
            place=place[name],
            moved=moved[name] / length if isinstance(method, Moves) else np.full(len(doses[name]), np.nan),
            case=tails.case.numpy(),
            n_items=n_items,
        )
        for name, method in methods.items()
    }


def ranked(
    scores: Float[Tensor, "n i"], seen: Bool[Tensor, "n i"], target: Int[Tensor, "n"]
) -> tuple[Int[Tensor, "n k"], Int[Tensor, "n"]]:
    """The ``K`` best unseen items of each list, and the target's place among them (0: not there)."""
    top = scores.masked_fill(seen, -torch.inf).topk(K, dim=1).indices
    hit = top == target[:, None]
    return top, torch.where(hit.any(1), hit.int().argmax(1) + 1, 0)


def by_user(values: Float[np.ndarray, "p n"], case: Int[np.ndarray, "n"]) -> Float[np.ndarray, "p u"]:
    """The mean of each user's lists, so that every user counts once whatever the number of lists."""
    first = np.flatnonzero(np.append(True, np.diff(case) != 0))
    return np.add.reduceat(values, first, axis=1) / np.diff(np.append(first, len(case)))


def at_share(
    share: Float[np.ndarray, "p u"],
    value: Float[np.ndarray, "p u"],
    factor: float,
    weight: Float[np.ndarray, "b u"],
) -> Float[np.ndarray, "b"]:
    """The mean of ``value`` where the mean of ``share`` first reaches ``factor`` times what it was (1 at most).

    The first row is the state without a change, the others are doses away from it, joined by straight lines; NaN
    where none reaches it. Each row of ``weight`` (how often each user counts) is one answer, so that a bootstrap over
    users is one call.
    """
    weight = weight / weight.sum(1, keepdims=True)
    s, v = weight @ share.T, weight @ value.T
    wanted = np.minimum(factor * s[:, :1], 1.0)
    reached = s >= wanted
    p = reached.argmax(1)
    row, before = np.arange(len(weight)), np.maximum(p - 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(p > 0, (wanted[:, 0] - s[row, before]) / (s[row, p] - s[row, before]), 0.0)
    return np.where(reached.any(1), v[row, before] + part * (v[row, p] - v[row, before]), np.nan)
