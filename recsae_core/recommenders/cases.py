"""From interactions to the cases of a sequence model: training sequences, positions to read, held-out last items."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from recsae_core.data.interactions import Interactions
from recsae_core.recommenders.base import Cases, Holdout, Sets, Tails


def pad(histories: list[np.ndarray]) -> Int[Tensor, "n t"]:
    """Item lists as one array, right-padded with -1 to the longest."""
    length = np.array([len(h) for h in histories], dtype=np.int64)
    out = np.full((len(histories), length.max(initial=1)), -1, dtype=np.int64)
    if length.sum():
        out[np.arange(out.shape[1]) < length[:, None]] = np.concatenate(histories)
    return torch.from_numpy(out)


def from_lists(histories: list[list[int]]) -> Cases:
    """Cases of users unknown to the model, one a list of item ids, oldest first."""
    return Cases(torch.full((len(histories),), -1), pad([np.asarray(h, dtype=np.int64) for h in histories]))


def sequences(inter: Interactions, length: int) -> Cases:
    """The last ``length + 1`` items of every user with at least two: what a sequence model is trained on."""
    user, histories = _users(inter, length)
    return Cases(user, pad([h[-(length + 1) :] for h in histories]))


def inputs(inter: Interactions, length: int) -> Cases:
    """``sequences`` without each user's last item: the positions whose activations are read."""
    user, histories = _users(inter, length)
    return Cases(user, pad([h[-(length + 1) : -1] for h in histories]))


def leave_last_out(inter: Interactions, length: int) -> Holdout:
    """Each user's last item to be found from the ``length`` items before it; users with one item are left out."""
    user, histories = _users(inter, length)
    cases = Cases(user, pad([h[-(length + 1) : -1] for h in histories]))
    target = torch.tensor([int(h[-1]) for h in histories], dtype=torch.int64)
    return Holdout(cases, target, pad([h[:-1] for h in histories]))


def tails(inter: Interactions, length: int, positions: int = 20) -> Tails:
    """The last ``positions`` of each history of ``inputs``; the last row of a user is that of ``leave_last_out``.

    Memory is a byte a row and item: users can be read a part at a time (``Interactions.rows``).
    """
    if positions < 1:
        raise ValueError(f"positions={positions}: expected at least 1")
    (_, histories), cases = _users(inter, length), inputs(inter, length)
    pairs = enumerate(zip(histories, cases.length.clamp(max=positions).tolist(), strict=True))
    ends = [(row, h[end], torch.from_numpy(h[:end])) for row, (h, n) in pairs for end in range(len(h) - n, len(h))]
    seen = torch.zeros(len(ends), inter.n_items, dtype=torch.bool)
    for row, (_, _, earlier) in zip(seen, ends, strict=True):
        row[earlier] = True
    case, target = torch.tensor([(row, int(item)) for row, item, _ in ends]).T
    return Tails(cases, case, target, seen)


def of_users(users: Int[Tensor, "n"]) -> Cases:
    """Cases of users known to the model, with empty histories."""
    return Cases(users, torch.empty((len(users), 0), dtype=torch.int64))


def pairs_of(inter: Interactions) -> Cases:
    """One case an interaction, its item the history: what a model of users and items is trained on."""
    user, item = (torch.from_numpy(column.astype(np.int64)) for column in (inter.user, inter.item))
    return Cases(user, item[:, None])


def hidden_sets(
    train: Interactions, hidden: Interactions, users: Int[np.ndarray, "n"] | None = None, *, histories: bool = False
) -> Sets:
    """The items hidden from ``users`` (all that have some, where None), to be found among those not in ``train``.

    With ``histories`` the cases carry each user's items of ``train``, for models that read these instead of the user.
    Raises ``ValueError`` for other users or items in ``hidden``, and for a user from whom nothing is hidden.
    """
    if (train.n_users, train.n_items) != (hidden.n_users, hidden.n_items):
        sizes = [f"{part.n_users} users and {part.n_items} items" for part in (train, hidden)]
        raise ValueError(f"train has {sizes[0]}, hidden {sizes[1]}: expected the same of both")
    taken, targets = train.histories(), hidden.histories()
    users = np.unique(hidden.user) if users is None else users
    if bare := [int(u) for u in users if not len(targets[u])]:
        raise ValueError(f"nothing is hidden from user {bare[0]} ({len(bare)} such users): expected an item at least")
    seen = pad([taken[u] for u in users])
    cases = of_users(torch.from_numpy(users.astype(np.int64)))
    return Sets(Cases(cases.user, seen) if histories else cases, pad([targets[u] for u in users]), seen)


def leave_hidden_out(train: Interactions, hidden: Interactions) -> Holdout:
    """The one item hidden from each user, to be found among those not in ``train``; users without are left out."""
    sets = hidden_sets(train, hidden)
    if sets.target.shape[1] != 1:
        raise ValueError(f"{sets.target.shape[1]} items are hidden from a user: expected one")
    return Holdout(sets.cases, sets.target[:, 0], sets.seen)


def _users(inter: Interactions, length: int) -> tuple[Int[Tensor, "n"], list[np.ndarray]]:
    if length < 1:
        raise ValueError(f"length={length}: expected at least 1")
    histories = inter.histories()
    users = [u for u, h in enumerate(histories) if len(h) >= 2]
    if not users:
        raise ValueError(f"no user among {inter.n_users} has two interactions: expected at least one such user")
    return torch.tensor(users, dtype=torch.int64), [histories[u] for u in users]
