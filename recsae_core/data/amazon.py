"""Amazon's Grocery and Gourmet Food, as ReChorus divides it, with titles where the reader brings the official files."""

import ast
import gzip
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from recsae_core.data.interactions import Interactions
from recsae_core.data.parsers import assemble
from recsae_core.data.tables import Raw, Table, read

PARTS = ("train.csv", "dev.csv", "test.csv")
REVIEWS, META = "reviews_Grocery_and_Gourmet_Food_5.json.gz", "meta_Grocery_and_Gourmet_Food.json.gz"


def rechorus(files: Mapping[str, Raw]) -> Interactions:
    """``train.csv``, ``dev.csv``, ``test.csv`` (user_id, item_id, time) and ``item_meta.csv``, separated by tabs.

    Of rows of one user at one time those of train stand first and those of test last, so that each user's last row is
    the one of test and the last but one that of dev. Columns ``id``, ``title`` and ``category`` (a number, 0 where none
    is known). Without Amazon's own files of reviews and of products a title is "item 17", an attribute "category 3";
    with both, each has its name. Categories keep their numbers where the products name more or fewer than these files.
    """
    kinds = dict.fromkeys(("user_id", "item_id", "time"), "int64")
    parts = [read(files[name].utf8("utf-8"), kinds, "\t") for name in PARTS]
    meta = read(files["item_meta.csv"].utf8("utf-8"), dict.fromkeys(("item_id", "i_category"), "int64"), "\t")
    if (again := meta.frame["item_id"].duplicated()).any():
        meta.fail(f"item {meta.frame['item_id'][again].iloc[0]} again", int(np.argmax(again)))
    items = meta.frame.set_axis(["id", "category"], axis=1).sort_values("id", ignore_index=True)
    known = [number for number in sorted(items["category"].unique()) if number]
    attributes = items["category"].to_numpy()[:, None] == np.array(known, dtype=np.int64)
    items.insert(1, "title", "item " + items["id"].astype(str))
    names = tuple(f"category {number}" for number in known)
    for part in parts:
        if (lost := ~part.frame["item_id"].isin(items["id"])).any():
            part.fail(f"item {part.frame['item_id'][lost].iloc[0]} is not in item_meta.csv", int(np.argmax(lost)))
    events = pd.concat([part.frame for part in parts], ignore_index=True).set_axis(["user", "item", "time"], axis=1)
    if REVIEWS in files and META in files:
        items["title"], names = _named(files[REVIEWS], files[META], items["category"].to_numpy(), names)
    return assemble(Table(parts[0].raw, events, "\t"), (items, attributes, names), "keep", repeats=True)


def _named(reviews: Raw, meta: Raw, category: np.ndarray, names: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """Titles and category names. ReChorus numbers items by their sorted ASINs, categories by their sorted names."""
    asins = sorted({str(line["asin"]) for line in _lines(reviews)})
    if len(asins) != len(category):
        reviews.fail(f"{len(asins)} products, item_meta.csv has {len(category)}")
    wanted: dict[str, dict[str, Any]] = {asin: {} for asin in asins}
    wanted |= {str(line["asin"]): line for line in _lines(meta) if str(line.get("asin")) in wanted}
    third = [
        next((str(path[2]) for path in found.get("categories", ()) if len(path) > 2), "") for found in wanted.values()
    ]
    called = sorted({*third} - {""})
    if len(called) != len(names):
        return [str(found.get("title") or asin) for asin, found in wanted.items()], names
    return [str(found.get("title") or asin) for asin, found in wanted.items()], tuple(called)


def _lines(raw: Raw) -> Iterator[dict[str, Any]]:
    """The products or reviews of a file of Amazon's, where a line is a Python literal."""
    try:
        text = gzip.decompress(raw.content).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raw.fail(f"not a gzip file of text ({error})")
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found = ast.literal_eval(line)
        except (ValueError, SyntaxError):
            raw.fail("not a Python literal", number)
        if not isinstance(found, dict) or "asin" not in found:
            raw.fail("no product: expected a mapping with 'asin'", number)
        yield found
