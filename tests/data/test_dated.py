"""The two splits of 2411.06112: by two days for all users, and by each user's last two items."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from requirements import needs

from recsae_core.data import sources, split
from recsae_core.data.interactions import Interactions

DAY = 86400


def world(seed, n, users, items, days):
    """Random ratings of the users that have one; people are told by their ids."""
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(users * items, size=n))
    time = rng.integers(days * DAY, size=len(pairs)) + 1_000_000_000
    order = np.lexsort((time, pairs // items))
    kept, user = np.unique(pairs[order] // items, return_inverse=True)
    table = pd.DataFrame({"id": np.arange(items), "title": [f"item {i}" for i in range(items)]})
    rating = rng.integers(1, 6, size=len(pairs))[order].astype(np.float32)
    people = pd.DataFrame({"number": kept})
    none = np.zeros((items, 0), bool)
    return Interactions(user, pairs[order] % items, time[order], rating, kept, table, none, (), users=people)


def rows(part):
    ids = part.user_ids[part.user], part.items["id"].to_numpy()[part.item], part.time
    return set(zip(*(column.tolist() for column in ids), strict=True))


def slowly(inter, least, core):
    """Rows that survive, one removal after another."""
    left = [
        (u, i, t) for u, i, t, r in zip(inter.user, inter.item, inter.time, inter.rating, strict=True) if r >= least
    ]
    while True:
        users, items = pd.Series([r[0] for r in left]).value_counts(), pd.Series([r[1] for r in left]).value_counts()
        again = [r for r in left if users[r[0]] >= core and items[r[1]] >= core]
        if len(again) == len(left):
            return left
        left = again


@given(
    st.integers(0, 2**32 - 1),
    st.integers(30, 200),
    st.integers(3, 12),
    st.integers(3, 12),
    st.integers(10, 60),
    st.integers(1, 3),
)
def test_two_days_cut_what_the_core_leaves(seed, n, users, items, days, core):
    inter = world(seed, n, users, items, days)
    try:
        parts = split.dated(inter, least=3.0, core=core)
    except ValueError as error:
        assert any(word in str(error) for word in ("rows after train", "expected some"))
        reject()
    left = slowly(inter, 3, core)
    day = {r: (r[2] + 8 * 3600) // DAY for r in left}
    begin, last = min(day.values()), max(day.values()) - min(day.values())
    which = {r: sum(int(day[r] - begin) > int(share * last) for share in (0.8, 0.9)) for r in left}
    known = [{r[place] for r in left if which[r] == 0} for place in (0, 1)]
    for number, part in enumerate(parts.tables):
        expected = {(inter.user_ids[u], i, t) for u, i, t in left if which[u, i, t] == number}
        expected = {(u, i, t) for u, i, t in expected if np.flatnonzero(inter.user_ids == u)[0] in known[0]}
        assert rows(part) == {r for r in expected if r[1] in known[1]}
        assert part.user_ids.tolist() == parts.train.user_ids.tolist() == part.users["number"].tolist()
    late = np.union1d(parts.valid.user, parts.test.user)
    assert len(late) == parts.train.n_users or set(late.tolist()) <= set(parts.test_users.tolist())
    together = np.concatenate([parts.sae_users, parts.test_users])
    assert sorted(together.tolist()) == list(range(parts.train.n_users))


@given(st.integers(0, 2**32 - 1), st.integers(30, 200), st.integers(4, 12), st.integers(4, 12))
def test_the_last_two_items_of_every_user_are_hidden(seed, n, users, items):
    inter = world(seed, n, users, items, 20)
    try:
        parts = split.last_two(inter)
    except ValueError as error:
        assert "would have 0, 0, 0 rows" in str(error) or "expected some without" in str(error)
        reject()
    whole = {u: [] for u in inter.user_ids[np.bincount(inter.user) >= 3]}
    for u, i, t in zip(inter.user_ids[inter.user], inter.item, inter.time, strict=True):
        if u in whole:
            whole[u].append((u, i, t))
    cut = (slice(None, -2), slice(-2, -1), slice(-1, None))
    for part, where in zip(parts.tables, cut, strict=True):
        assert rows(part) == {row for history in whole.values() for row in history[where]}
    assert parts.train.n_items == items
    assert len(parts.test_users) == max(1, int(0.2 * len(whole) + 1e-9))


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        ("dated", {"core": 0}, "core=0"),
        ("dated", {"shares": (0.9, 0.8)}, "shares="),
        ("dated", {"least": 6.0}, "no user and item with 5 ratings of 6.0 or more"),
        ("dated", {"core": 1, "test_share": 1.0}, "test_share=1.0"),
        ("last-two", {"core": 2}, "core=2"),
        ("last-two", {"core": 50}, "expected some in each"),
    ],
)
def test_what_cannot_be_is_said(rule, options, message):
    with pytest.raises(ValueError, match=message):
        split.by_rule(world(0, 300, 12, 12, 40), rule=rule, **options)


def test_the_split_of_movielens_equals_the_authors_row_for_row():
    needs("data")
    theirs = Path(os.environ["RECSAE_DATA"]) / "recsae-ml-1m-split"
    if not theirs.is_dir():
        pytest.skip("the authors' rows are not under $RECSAE_DATA")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = split.dated(sources.load("ml-1m"))
    assert [len(part) for part in parts.tables] == [568_761, 2_562, 2_874]
    assert (parts.train.n_users, parts.train.n_items) == (6_032, 3_125)
    movie = pd.read_csv(theirs / "item_meta_all_info.csv", sep="\t").set_index("item_id")["movieId"]
    for name, part in (("dev", parts.valid), ("test", parts.test)):
        found = pd.read_csv(theirs / f"{name}.csv", sep="\t")
        there = set(zip(found["user_id"], found["item_id"].map(movie), found["time"].astype(int), strict=True))
        ours = zip(part.user + 1, part.items["id"].to_numpy()[part.item], part.time, strict=True)
        assert set(ours) == there and len(part) == len(found)
    assert set(parts.train.users["gender"]) == {"F", "M"}


def test_the_split_of_amazon_equals_the_files():
    needs("data")
    folder = Path(os.environ["RECSAE_DATA"]) / "amazon-grocery"
    if not folder.is_dir():
        pytest.skip("Amazon's files are not under $RECSAE_DATA")
    parts = split.last_two(sources.load("amazon-grocery"))
    for name, part in (("train", parts.train), ("dev", parts.valid), ("test", parts.test)):
        assert rows(part) == set(map(tuple, pd.read_csv(folder / f"{name}.csv", sep="\t").to_numpy().tolist()))
    assert (parts.train.n_users, parts.train.n_items) == (14_681, 8_713)
