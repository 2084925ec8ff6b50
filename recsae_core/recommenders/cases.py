"""From interactions to the cases of a sequence model: training sequences, positions to read, held-out last items."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from recsae_core.data.interactions import Interactions
from recsae_core.data.split import Hidden
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


def windows(inter: Interactions, length: int) -> Cases:
    """One case an interaction that has an earlier one: the ``length`` items before it, or fewer, and itself."""
    first = np.searchsorted(inter.user, inter.user)
    ends = np.flatnonzero(first < np.arange(len(inter)))
    user = torch.from_numpy(inter.user[ends].astype(np.int64))
    return Cases(user, before(inter.item, first[ends], ends + 1, length + 1))


def dated(parts: Hidden, part: str, length: int, users: Int[np.ndarray, "s"] | None = None) -> Holdout:
    """Each row of ``part`` ("valid" or "test") to be found from the user's ``length`` items before it, of any part.

    Only of ``users``, where given. The user's other items of all three parts are seen, later ones too, as in ReChorus.
    Without times, the parts follow one another.
    """
    if part not in ("valid", "test") or length < 1:
        raise ValueError(f"part={part!r}, length={length}: expected 'valid' or 'test', and at least 1")
    whole, number = together(parts)
    wanted = number == ("valid", "test").index(part) + 1
    ends = np.flatnonzero(wanted if users is None else wanted & np.isin(whole.user, users))
    first, histories = np.searchsorted(whole.user, whole.user[ends]), whole.histories()
    user, target = (torch.from_numpy(ids[ends].astype(np.int64)) for ids in (whole.user, whole.item))
    seen = [np.setdiff1d(histories[u], i) for u, i in zip(whole.user[ends], whole.item[ends], strict=True)]
    return Holdout(Cases(user, before(whole.item, first, ends, length)), target, pad(seen))


def together(parts: Hidden) -> tuple[Interactions, Int[np.ndarray, "e"]]:
    """All parts as one, each user's rows in the order of time, and the number of the part of each row."""
    number = np.repeat(np.arange(3), [len(part) for part in parts.tables])
    joined: dict[str, np.ndarray | None] = {}
    for name in ("user", "item", "time", "rating"):
        columns = [getattr(part, name) for part in parts.tables]
        joined[name] = None if columns[0] is None else np.concatenate(columns)
    keys = (number,) if joined["time"] is None else (number, joined["time"])
    order = np.lexsort((*keys, joined["user"]))
    rows = {name: None if column is None else column[order] for name, column in joined.items()}
    return replace(parts.train, **rows), number[order]


def before(
    item: Int[np.ndarray, "e"], first: Int[np.ndarray, "n"], end: Int[np.ndarray, "n"], length: int
) -> Int[Tensor, "n t"]:
    """The last ``length`` of the items from ``first`` to before ``end``, right-padded with -1."""
    begin = np.maximum(first, end - length)
    place = begin[:, None] + np.arange(min(length, int((end - begin).max(initial=1))))
    return torch.from_numpy(np.where(place < end[:, None], item[np.minimum(place, len(item) - 1)], -1).astype(np.int64))


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
