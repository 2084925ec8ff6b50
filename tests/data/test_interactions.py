import numpy as np
import pandas as pd
import pytest

from recsae_core.data.interactions import Interactions


def small(**changes):
    fields = {
        "user": np.array([0, 0, 1, 2, 2]),
        "item": np.array([1, 0, 1, 2, 0]),
        "time": np.array([5, 6, 1, 2, 3]),
        "rating": np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
        "user_ids": np.array([10, 20, 30]),
        "items": pd.DataFrame({"id": [7, 8, 9], "title": ["a", "b", "c"]}),
        "attributes": np.array([[True, False], [False, True], [True, True]]),
        "attribute_names": ("x", "y"),
    }
    return Interactions(**(fields | changes))


def test_histories_hold_a_place_for_every_user():
    inter = small(user=np.array([0, 0, 2, 2, 2]))
    assert [h.tolist() for h in inter.histories()] == [[1, 0], [], [1, 2, 0]]


def test_rows_drops_users_without_a_row_and_keeps_their_ids():
    inter = small().rows(np.array([True, False, False, True, True]))
    assert inter.user.tolist() == [0, 1, 1]
    assert inter.user_ids.tolist() == [10, 30]
    assert inter.rating.tolist() == [1.0, 4.0, 5.0]
    assert inter.n_items == 3


def test_with_items_renumbers_items_in_the_order_asked_for():
    inter = small().with_items([2, 1])
    assert inter.items["title"].tolist() == ["c", "b"]
    assert inter.item.tolist() == [1, 1, 0]
    assert inter.user_ids.tolist() == [10, 20, 30]
    assert inter.attributes.tolist() == [[True, True], [False, True]]


def test_attribute_names_a_column():
    assert small().attribute("y") == 1
    with pytest.raises(ValueError, match="attribute 'z': expected one of x, y"):
        small().attribute("z")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"item": np.array([0, 0, 0, 0, 3])}, "item holds ids from 0 to 3: expected 0 to 2"),
        ({"user": np.array([0, 0, 1, 2, 3])}, "user holds ids from 0 to 3: expected 0 to 2"),
        ({"user": np.array([1, 0, 1, 2, 2])}, "not sorted by user"),
        ({"attribute_names": ("x",)}, r"attributes has shape \(3, 2\): expected \(3, 1\)"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)
