"""Cases of a split into train, valid and test rows, and the instances that are probed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsae_core.data.split import Hidden
from recsae_core.recommenders import cases

from .worlds import interactions


def unpad(rows):
    return [row[row >= 0].tolist() for row in rows]


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1, max_size=6),
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
)
def test_each_row_is_to_be_found_from_what_came_before(histories, length, seed):
    whole, rng = interactions(histories, 10), np.random.default_rng(seed)
    first = np.searchsorted(whole.user, whole.user)
    number = np.where(first == np.arange(len(whole)), 0, rng.integers(3, size=len(whole)))
    parts = Hidden(
        *(whole.among_users(number == which) for which in range(3)), *np.split(np.arange(len(histories)), [1])
    )
    joined, told = cases.together(parts)
    assert (
        len(joined) == len(whole)
        and np.bincount(told, minlength=3).tolist() == np.bincount(number, minlength=3).tolist()
    )
    order = [joined.item[joined.user == u].tolist() for u in range(len(histories))]
    if whole.time is not None:
        assert order == histories
    for which, part in ((1, "valid"), (2, "test")):
        held = cases.dated(parts, part, length)
        found = [
            (u, place)
            for u, h in enumerate(order)
            for place in range(len(h))
            if told[first[whole.user == u][0] + place] == which
        ]
        assert held.cases.user.tolist() == [u for u, _ in found]
        assert held.target.tolist() == [order[u][p] for u, p in found]
        assert unpad(held.cases.history) == [order[u][max(0, p - length) : p] for u, p in found]
        assert unpad(held.seen) == [sorted(set(order[u]) - {order[u][p]}) for u, p in found]
        some = cases.dated(parts, part, length, np.array([0]))
        assert set(some.cases.user.tolist()) <= {0}


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1, max_size=6), st.integers(1, 6))
def test_windows_hold_every_item_that_has_an_earlier_one(histories, length):
    made = cases.windows(interactions(histories, 10), length)
    wanted = [(u, h[max(0, p - length) : p + 1]) for u, h in enumerate(histories) for p in range(1, len(h))]
    assert made.user.tolist() == [u for u, _ in wanted]
    assert unpad(made.history) == [h for _, h in wanted]


def test_another_part_is_refused():
    inter = interactions([[1, 2, 3]], 5)
    parts = Hidden(inter, inter, inter, np.array([0]), np.array([0]))
    with pytest.raises(ValueError, match="part='train'"):
        cases.dated(parts, "train", 3)
    with pytest.raises(ValueError, match="length=0"):
        cases.dated(parts, "test", 0)
    assert torch.is_tensor(cases.dated(parts, "test", 2).target)
