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


RULES: Mapping[str, Callable[..., Parts | Hidden]] = {"seqrec": seqrec, "hidden": hidden}


def by_rule(inter: Interactions, *, rule: str = "seqrec", **options: Any) -> Parts | Hidden:
    """``inter`` split by the rule of that name with its options; ``ValueError`` lists the rules there are."""
    if rule not in RULES:
        raise ValueError(f"rule={rule!r}: expected one of {', '.join(RULES)}")
    return RULES[rule](inter, **options)
