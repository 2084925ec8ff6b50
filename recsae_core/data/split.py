"""Which users and which events train the recommender, train the SAE, and test both."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from recsae_core.data.interactions import Interactions


@dataclass(frozen=True)
class Parts:
    """Three groups of users without a common member, over one item vocabulary (one ``items`` table, one order)."""

    train: Interactions  # trains the recommender
    sae: Interactions  # trains the SAE, and stops the recommender's training
    test: Interactions  # the newest users, all of whose events lie at or after the cut
    cut: int  # seconds since 1970; train and sae hold nothing from then on

    @property
    def tables(self) -> tuple[Interactions, ...]:
        """All groups."""
        return self.train, self.sae, self.test


@dataclass(frozen=True)
class Hidden:
    """The items of every user in three: the same users, and the same items, in the same order in each part."""

    train: Interactions  # trains the recommender
    valid: Interactions  # stops its training
    test: Interactions  # scores it
    sae_users: Int[np.ndarray, "s"]  # their vectors train the SAE
    test_users: Int[np.ndarray, "t"]  # the others: fidelity and control are measured on them

    @property
    def tables(self) -> tuple[Interactions, ...]:
        """All parts."""
        return self.train, self.valid, self.test


def seqrec(inter: Interactions, *, test_share: float = 0.1, train_share: float = 0.6, seed: int = 42) -> Parts:
    """Split users in three, and time in two (2507.12202, the authors' ``data_split.py``).

    The cut is the latest first event such that at least ``test_share`` of the users begin at or after it: they are
    the test users, with all their events. The other users keep what they did before the cut, and leave if that is
    fewer than two events. ``train_share`` of those that stay, drawn at random, are ``train``; the others are ``sae``,
    without items that ``train`` never saw. Every event before the cut feeds the vocabulary, of ``train`` and ``sae``
    alike, so ``test`` may hold an item that only ``sae`` users took and that the recommender therefore never met.

    Raises:
        ValueError: there are no timestamps, a share is not between 0 and 1, or a group would be empty.
    """
    for name, share in (("test_share", test_share), ("train_share", train_share)):
        if not 0 < share < 1:
            raise ValueError(f"{name}={share}: expected a number between 0 and 1, both excluded")
    if inter.time is None:
        raise ValueError("the interactions have no timestamps: expected a source with a time column, to cut by time")
    users = np.unique(inter.user)
    if len(users) < 3:
        raise ValueError(f"{len(users)} users: expected at least 3, one for each of train, sae and test")

    first = np.full(inter.n_users, np.iinfo(np.int64).max)
    np.minimum.at(first, inter.user, inter.time)
    begin = np.sort(first[users])
    newest = math.ceil(round(test_share * len(begin), 9))  # rounded, so that .1 * 30 asks for 3 users and not 4
    cut = int(begin[len(begin) - newest])

    before = inter.time < cut
    before &= np.bincount(inter.user[before], minlength=inter.n_users)[inter.user] >= 2
    rest = np.unique(inter.user[before])
    drawn = pd.Series(rest).sample(frac=train_share, random_state=seed).to_numpy()
    train = before & np.isin(inter.user, drawn)
    sae = before & ~train & np.isin(inter.item, inter.item[train])
    test = (first[inter.user] >= cut) & np.isin(inter.item, inter.item[before])

    for name, part in (("train", train), ("sae", sae), ("test", test)):
        if not part.any():
            why = f"{len(rest)} of {len(users)} users have two events before the cut at {cut}"
            raise ValueError(f"the split leaves {name} empty ({why}): expected more users, or other shares than these")
    vocabulary = np.unique(inter.item[before])
    parts = (inter.rows(part).with_items(vocabulary) for part in (train, sae, test))
    return Parts(*parts, cut=cut)


def hidden(
    inter: Interactions,
    *,
    hidden: int = 5,
    valid: int = 1,
    test_share: float = 0.2,
    drop: Sequence[int] = (),
    seed: int = 42,
) -> Hidden:
    """Hide items of every user at random, whenever they were taken (2511.18024, the authors' data notebooks).

    A user's item counts once. Items that nobody took leave the table, then the users ``drop`` (ids of the source)
    and those with fewer than ``hidden + valid + 1`` items leave the rows. ``hidden`` items of each user are ``test``
    and, what the authors lack, ``valid`` others stop the training. ``test_share`` of the users are kept from the SAE.

    Raises:
        ValueError: a number that is not possible, a user to drop who is not there, or no user with enough items.
    """
    if hidden < 1 or valid < 1:
        raise ValueError(f"hidden={hidden}, valid={valid}: expected at least 1 of each")
    if not 0 < test_share < 1:
        raise ValueError(f"test_share={test_share}: expected a number between 0 and 1, both excluded")
    if absent := [user for user in drop if user not in set(inter.user_ids.tolist())]:
        raise ValueError(f"drop={list(drop)}: no user {absent[0]!r}")
    once = np.zeros(len(inter), dtype=bool)
    once[np.unique(inter.user.astype(np.int64) * inter.n_items + inter.item, return_index=True)[1]] = True
    whole = inter.rows(once).with_items(np.unique(inter.item))
    enough = np.bincount(whole.user, minlength=whole.n_users) > hidden + valid
    enough &= ~np.isin(whole.user_ids, list(drop))
    if enough.sum() < 2:
        raise ValueError(f"{enough.sum()} users have {hidden + valid + 1} items: expected at least 2 such users")
    whole = whole.rows(enough[whole.user])

    g = np.random.default_rng(seed)
    order = np.lexsort((g.random(len(whole)), whole.user))
    first = np.searchsorted(whole.user, np.arange(whole.n_users))
    place = np.empty(len(whole), dtype=np.int64)  # of a row among those of its user, in random order
    place[order] = np.arange(len(whole)) - first[whole.user[order]]
    users = g.permutation(whole.n_users)
    n = max(1, int(round(test_share * len(users), 9)))
    parts = place >= hidden + valid, (place >= hidden) & (place < hidden + valid), place < hidden
    return Hidden(*map(whole.rows, parts), sae_users=np.sort(users[n:]), test_users=np.sort(users[:n]))


def dated(
    inter: Interactions,
    *,
    least: float = 4.0,
    core: int = 5,
    shares: Sequence[float] = (0.8, 0.9),
    hours: int = 8,
    test_share: float = 0.2,
    seed: int = 42,
) -> Hidden:
    """Split at two days that are the same for all users (2411.06112, the authors' notebook for MovieLens 1M).

    Ratings below ``least`` leave, then users and items with fewer than ``core`` rows until there is none. Days begin
    ``hours`` before midnight UTC (the authors' clock) and count from the first; ``train`` ends with the day at
    ``shares[0]`` of the last day's number, ``valid`` at ``shares[1]``. Rows of valid and test whose user or item is not
    in train leave. Every user who has one left is a test user, and others drawn at random, so that
    these are ``test_share`` of all; where everybody has, they are drawn from all.

    Raises:
        ValueError: no times or ratings, a number that is not possible, or a part that would be empty.
    """
    if inter.time is None or inter.rating is None:
        raise ValueError("the interactions have no times or no ratings: expected a source with both")
    if core < 1 or len(shares) != 2 or not 0 < shares[0] < shares[1] < 1:
        raise ValueError(f"core={core}, shares={shares}: expected core >= 1 and 0 < shares[0] < shares[1] < 1")
    keep = inter.rating >= least
    while True:
        enough = [np.bincount(ids[keep], minlength=1) >= core for ids in (inter.user, inter.item)]
        fewer = keep.copy()
        for ids, those in zip((inter.user, inter.item), enough, strict=True):
            fewer &= np.append(those, np.zeros(max(0, ids.max() + 1 - len(those)), bool))[ids]
        if fewer.sum() == keep.sum():
            break
        keep = fewer
    if not keep.any():
        raise ValueError(f"no user and item with {core} ratings of {least} or more: expected some; try a smaller core")
    day = (inter.time + 3600 * hours) // 86400
    day -= day[keep].min()
    last = int(day[keep].max())
    train = keep & (day <= int(shares[0] * last))
    known = keep & np.isin(inter.user, inter.user[train]) & np.isin(inter.item, inter.item[train])
    whole, place = inter.rows(known).with_items(np.unique(inter.item[known])), day[known]
    ends = [int(share * last) for share in shares]
    return _in_three(whole, np.searchsorted(ends, place, side="left"), test_share, seed)


def last_two(inter: Interactions, *, core: int = 3, test_share: float = 0.2, seed: int = 42) -> Hidden:
    """Each user's last item is ``test``, the one before it ``valid`` (ReChorus, Amazon of 2411.06112).

    Users with fewer than ``core`` rows leave; items that nobody took stay. ``test_share`` of the users, drawn at
    random, are kept from the SAE. Raises ``ValueError`` without times, and where nobody has enough rows.
    """
    if inter.time is None or core < 3:
        raise ValueError(
            f"time is {'missing' if inter.time is None else 'there'}, core={core}: expected both, core >= 3"
        )
    whole = inter.rows((np.bincount(inter.user, minlength=inter.n_users) >= core)[inter.user])
    end = np.searchsorted(whole.user, np.arange(whole.n_users), side="right")
    left = end[whole.user] - np.arange(len(whole))  # 1 for the last row of a user
    return _in_three(whole, np.maximum(3 - left, 0), test_share, seed)


def _in_three(whole: Interactions, part: Int[np.ndarray, "e"], test_share: float, seed: int) -> Hidden:
    """Rows by the number of their part; test users are those with rows beyond train, cut or filled up to the share."""
    if not 0 < test_share < 1:
        raise ValueError(f"test_share={test_share}: expected a number between 0 and 1, both excluded")
    sizes = np.bincount(part, minlength=3)
    if not sizes.all():
        raise ValueError(f"train, valid and test would have {', '.join(map(str, sizes))} rows: expected some in each")
    later = np.isin(np.arange(whole.n_users), whole.user[part > 0])
    order = np.random.default_rng(seed).permutation(whole.n_users)
    n = max(1, int(round(test_share * whole.n_users, 9)))
    order = order[np.argsort(~later[order], kind="stable")]
    n = n if later.all() else max(n, int(later.sum()))
    if n >= whole.n_users:
        raise ValueError(f"all {n} users have rows after train: expected some without, whose vectors train the SAE")
    parts = (whole.among_users(part == which) for which in range(3))
    return Hidden(*parts, sae_users=np.sort(order[n:]), test_users=np.sort(order[:n]))


RULES: Mapping[str, Callable[..., Parts | Hidden]] = {
    "seqrec": seqrec,
    "hidden": hidden,
    "dated": dated,
    "last-two": last_two,
}


def by_rule(inter: Interactions, *, rule: str = "seqrec", **options: Any) -> Parts | Hidden:
    """``inter`` split by the rule of that name with its options; ``ValueError`` lists the rules there are."""
    if rule not in RULES:
        raise ValueError(f"rule={rule!r}: expected one of {', '.join(RULES)}")
    return RULES[rule](inter, **options)
