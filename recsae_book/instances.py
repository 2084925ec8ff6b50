"""Probed cases: the vector that decides a list, whose it is, and what stands at the top of the list."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recsae_core.data.split import Hidden
from recsae_core.recommenders import Recommender, cases
from recsae_core.recommenders.base import Cases

BATCH = 1024


class Instances(NamedTuple):
    """One row a probed case. An instance of 2411.06112, section 3.3, is a row with the first of its ``top``."""

    h: Float[Tensor, "r d"]
    user: Int[np.ndarray, "r"]
    history: Int[
        np.ndarray, "r t"
    ]  # what the model read, oldest first, padded with -1; no column where it reads a user
    top: Int[np.ndarray, "r k"]  # the best unseen items, best first

    def of(self, rows: np.ndarray) -> "Instances":
        """Some of the rows, by number or marked."""
        h = self.h[torch.from_numpy(np.asarray(rows))]
        return Instances(h, *(column[rows] for column in self[1:]))


@torch.no_grad()
def instances(
    model: Recommender,
    parts: Hidden,
    users: Int[np.ndarray, "u"],
    *,
    positions: int | None = None,
    depth: int = 1,
) -> Instances:
    """The probed cases of ``users`` in the unedited model.

    A model that reads the user has one a user, whose items of ``train`` are seen. One that reads a history has one at
    each of the last ``positions`` places (all, where None) of the user's items of all parts, and what came before is
    seen. Raises ``ValueError`` where none of the users has a case.
    """
    users, length = np.unique(users), getattr(model.config, "length", None)
    whole = parts.train if length is None else cases.together(parts)[0]
    if length is None:
        read = cases.of_users(torch.from_numpy(users.astype(np.int64)))
    else:
        first = np.searchsorted(whole.user, whole.user)
        left = np.searchsorted(whole.user, whole.user, side="right") - np.arange(len(whole))
        chosen = np.isin(whole.user, users) & (left <= (positions or len(whole)))
        ends = np.flatnonzero(chosen)
        history = cases.before(whole.item, first[ends], ends + 1, length)
        read = Cases(torch.from_numpy(whole.user[ends].astype(np.int64)), history)
    if not len(read):
        raise ValueError(f"none of {len(users)} users has a case: expected at least one")
    histories, found = whole.histories(), []
    for start in range(0, len(read), BATCH):
        part = read[start : start + BATCH]
        split = model.before(model.probe, part)
        scores = split.finish(split.h)
        for row, user in enumerate(part.user.tolist()):
            taken = histories[user]
            if length is not None:
                taken = whole.item[first[ends[start + row]] : ends[start + row] + 1]
            scores[row, torch.from_numpy(taken.astype(np.int64))] = -torch.inf
        found.append((split.h[split.last], scores.topk(depth, dim=1).indices))
    h, top = (torch.cat(column) for column in zip(*found, strict=True))
    return Instances(h, read.user.numpy(), read.history.numpy(), top.numpy())
