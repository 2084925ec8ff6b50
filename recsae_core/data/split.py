"""Which users and which events train the recommender, train the SAE, and test both."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsae_core.data.interactions import Interactions


@dataclass(frozen=True)
class Parts:
    """Three groups of users without a common member, over one item vocabulary (one ``items`` table, one order)."""

    train: Interactions  # trains the recommender
    sae: Interactions  # trains the SAE, and stops the recommender's training
    test: Interactions  # the newest users, all of whose events lie at or after the cut
    cut: int  # seconds since 1970; train and sae hold nothing from then on


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
