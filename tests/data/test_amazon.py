import gzip

import pytest

from recsae_core.data import amazon
from recsae_core.data.tables import Raw

HEAD = "user_id\titem_id\ttime\n"
FILES = {
    "train.csv": HEAD + "1\t2\t100\n2\t1\t100\n1\t1\t100\n2\t3\t50\n",
    "dev.csv": HEAD + "1\t3\t100\n2\t2\t100\n",
    "test.csv": HEAD + "2\t4\t100\n1\t4\t100\n",
    "item_meta.csv": "item_id\ti_category\tr_complement\n1\t0\t[2, 3]\n2\t2\t[]\n3\t1\t[]\n4\t2\t[]\n",
}
REVIEWS = "".join(f"{{'asin': '{asin}', 'overall': 5.0}}\n" for asin in ("B4", "B2", "B1", "B3", "B2"))
META = (
    "{'asin': 'B2', 'title': 'Green tea', 'categories': [['Grocery', 'Drinks', 'Tea']]}\n"
    "{'asin': 'X9', 'title': 'a stranger'}\n"
    "{'asin': 'B3', 'categories': [['Grocery', 'Snacks', 'Bars']]}\n"
    "{'asin': 'B4', 'title': '<img onerror=x>', 'categories': [['Grocery', 'Drinks', 'Tea']]}\n"
)


def raws(**changes):
    there = {name: Raw(name, text.encode()) for name, text in (FILES | changes).items() if isinstance(text, str)}
    return there | {name: Raw(name, packed) for name, packed in changes.items() if isinstance(packed, bytes)}


def named():
    return {amazon.REVIEWS: gzip.compress(REVIEWS.encode()), amazon.META: gzip.compress(META.encode())}


def test_rows_of_one_time_stand_train_first_and_test_last():
    inter = amazon.rechorus(raws())
    assert [h.tolist() for h in inter.histories()] == [[1, 0, 2, 3], [2, 0, 1, 3]]
    assert inter.user_ids.tolist() == [1, 2] and inter.items["id"].tolist() == [1, 2, 3, 4]
    assert inter.items["title"].tolist()[0] == "item 1" and inter.items["category"].tolist() == [0, 2, 1, 2]
    assert inter.attribute_names == ("category 1", "category 2")
    assert inter.attributes.sum(0).tolist() == [1, 2] and not inter.attributes[0].any()


def test_amazons_own_files_name_items_and_categories():
    inter = amazon.rechorus(raws(**named()))
    assert inter.items["title"].tolist() == ["B1", "Green tea", "B3", "<img onerror=x>"]
    assert inter.attribute_names == ("Bars", "Tea")
    assert amazon.rechorus(raws(**{amazon.META: named()[amazon.META]})).items["title"].tolist()[1] == "item 2"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dev.csv": HEAD + "1\t9\t100\n"}, "item 9 is not in item_meta.csv"),
        ({"item_meta.csv": "item_id\ti_category\n1\t0\n1\t2\n"}, "line 3: item 1 again"),
        ({"train.csv": HEAD + "1\tx\t100\n"}, "line 2: item_id 'x' is not a whole number"),
        (named() | {amazon.REVIEWS: b"not gzip"}, "not a gzip file"),
        (named() | {amazon.REVIEWS: gzip.compress(b"{'asin': 'B1'}\n")}, "1 products, item_meta.csv has 4"),
        (named() | {amazon.META: gzip.compress(b"__import__('os')\n")}, "line 1: not a Python literal"),
        (named() | {amazon.META: gzip.compress(b"[1]\n")}, "line 1: no product"),
    ],
)
def test_what_is_wrong_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        amazon.rechorus(raws(**changes))
