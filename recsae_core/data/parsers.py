"""File formats to ``Interactions``: MovieLens in its two forms, and anybody's CSV."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NoReturn

import numpy as np
import pandas as pd

from recsae_core.data.interactions import Interactions
from recsae_core.data.tables import Raw, Row, Table, csv_rows, dat_rows, header, read_csv, read_dat

YEAR = re.compile(r"\((\d{4})\)\s*$")  # at the end of a MovieLens title
NO_GENRES = "(no genres listed)"
Item = tuple[int, dict[str, object], set[str] | None]  # line, columns, attributes (None: said to have none)
Catalogue = tuple[pd.DataFrame, np.ndarray, tuple[str, ...]]  # item table sorted by id, attributes, their names


def movielens_dat(files: Mapping[str, Raw]) -> Interactions:
    """MovieLens 1M: ``ratings.dat`` and ``movies.dat``, fields separated by ``::``, latin-1.

    ``items`` holds all 3,883 movies, also the 177 that nobody rated: the official counts of the genres are over these,
    and every split cuts the table to its own vocabulary. Columns ``id``, ``title`` (with its year, as in the source)
    and ``year``. Attributes: the genres, sorted by name. A user who rates a movie twice is an error.
    """
    movies = files["movies.dat"]
    if not movies.content.isascii() and _is_utf8(movies.content):
        movies.fail("the text is UTF-8: expected latin-1, as in the official file")
    catalogue = _movies(movies, dat_rows(movies, ("id", "title", "genres")))
    ratings = read_dat(files["ratings.dat"], ("user", "item", "rating", "time"))
    return _assemble(ratings, catalogue, repeats=False)


def movielens_csv(files: Mapping[str, Raw]) -> Interactions:
    """MovieLens latest, 20M, 25M: ``ratings.csv`` and ``movies.csv``, UTF-8; the item table as in ``movielens_dat``.

    A movie that says "(no genres listed)" has no attribute; the label IMAX of the later releases stays one.
    """
    movies = files["movies.csv"]
    names = header(movies, ",", "utf-8", ("movieId", "title", "genres"))
    where = [names.index(name) for name in ("movieId", "title", "genres")]
    rows = ((line, [fields[i] for i in where]) for line, fields in islice(csv_rows(movies, ",", "utf-8"), 1, None))
    kinds = {"userId": "int64", "movieId": "int64", "rating": "float64", "timestamp": "int64"}
    ratings = read_csv(files["ratings.csv"], kinds, ",", "utf-8")
    ratings.frame.columns = ["user", "item", "rating", "time"]
    return _assemble(ratings, _movies(movies, rows), repeats=False)


def anybody(
    interactions: Raw,
    items: Raw | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    sep: str = ",",
    encoding: str = "utf-8-sig",
    attribute_sep: str = "|",
    duplicates: str = "error",
    unlabelled: str = "error",
) -> Interactions:
    """Anybody's data: a table of interactions and, if there is one, a table of items, each with a header line.

    Interactions need the columns ``user`` and ``item``; ``time`` (seconds since 1970, or ISO 8601; fractions of a
    second are cut off) and ``rating`` are read where they are. Items need ``id`` and ``attributes`` (separated by
    ``attribute_sep``); ``title`` is read where it is, further columns are kept as text. ``columns`` maps these names
    to those of the files, for example ``{"user": "userId"}``. Ids are any text; if all are whole numbers they are
    numbers. Without a table of items an item's title is its id, and there are no attributes.

    The same user, item and time twice (user and item, where there is no time) is an error unless ``duplicates`` says
    "drop" (the first stays) or "keep"; an item without any attribute is an error unless ``unlabelled`` says "keep".
    """
    known = ("user", "item", "time", "rating", "id", "title", "attributes")
    for option, value, choices in (
        ("duplicates", duplicates, ("error", "drop", "keep")),
        ("unlabelled", unlabelled, ("error", "keep")),
        *(("columns", name, known) for name in columns or ()),
    ):
        if value not in choices:
            raise ValueError(f"{option}: {value!r}, expected one of {', '.join(choices)}")
    if len(sep) != 1:
        raise ValueError(f"sep={sep!r}: expected one character")
    called = {name: name for name in known} | dict(columns or {})

    there = header(interactions, sep, encoding)
    wanted = [n for n in ("time", "rating") if called[n] in there or n in (columns or ())]
    kinds = {called["user"]: "str", called["item"]: "str"}
    kinds |= {called[name]: "float64" if name == "rating" else "str" for name in wanted}
    events = read_csv(interactions, kinds, sep, encoding)
    events.frame.columns = ["user", "item", *wanted]
    if "time" in wanted:
        events.frame["time"] = _seconds(events)
    if items is None:
        ids = events.frame["item"].unique()
        table = pd.DataFrame({"id": ids, "title": ids})
        catalogue = table, np.zeros((len(ids), 0), dtype=bool), ()
    else:
        described = _described(items, sep, encoding, called, attribute_sep, unlabelled == "error")
        catalogue = _catalogue(items, described, "unlabelled='keep'")
    return _assemble(events, _with_numbers(events, catalogue), duplicates, repeats=True)


def _assemble(events: Table, catalogue: Catalogue, duplicates: str = "error", *, repeats: bool) -> Interactions:
    """Contiguous ids, sorted rows. Where ``repeats``, a user may take an item again at another time."""
    frame, (items, attributes, names) = events.frame, catalogue
    if not len(frame):
        events.raw.fail("no interactions")
    item = pd.Index(items["id"]).get_indexer(frame["item"])
    if (item < 0).any():
        row = int(np.argmax(item < 0))
        others = int((item < 0).sum()) - 1
        events.fail(f"item {frame['item'].iloc[row]} is not in the table of items ({others} more such rows)", row)
    user, user_ids = pd.factorize(frame["user"], sort=True)
    time = frame["time"].to_numpy() if "time" in frame else None
    if duplicates != "keep":
        key = {"user": user, "item": item} | ({"time": time} if repeats and time is not None else {})
        again = pd.DataFrame(key).duplicated().to_numpy()
        if duplicates == "error" and again.any():
            _fail_duplicate(events, pd.DataFrame(key), again, repeats)
    keep = np.flatnonzero(~again) if duplicates == "drop" else np.arange(len(frame))
    user = user[keep]
    order = np.argsort(user, kind="stable") if time is None else np.lexsort((time[keep], user))
    row = keep[order]
    return Interactions(
        user=user[order].astype(np.int64),
        item=item[row].astype(np.int64),
        time=None if time is None else time[row].astype(np.int64),
        rating=frame["rating"].to_numpy(dtype=np.float32)[row] if "rating" in frame else None,
        user_ids=np.asarray(user_ids),
        items=items,
        attributes=attributes,
        attribute_names=names,
    )


def _fail_duplicate(events: Table, key: pd.DataFrame, again: np.ndarray, repeats: bool) -> NoReturn:
    row = int(np.argmax(again))
    first = int(np.argmax((key == key.iloc[row]).all(axis=1)))
    what = " and ".join(f"{name} {events.frame[name].iloc[row]}" for name in key)
    option = ", or pass duplicates='drop' or 'keep'" if repeats else ""
    events.fail(f"{what} again, first on line {events.line(first)}: {again.sum()} such rows{option}", row)


def _catalogue(raw: Raw, rows: Iterable[Item], keep: str | None = None) -> Catalogue:
    """Items sorted by id. An empty set of attributes is an error, ``keep`` naming the option that allows it."""
    lines: dict[object, int] = {}
    records, labels = [], []
    for line, record, label in rows:
        if (before := lines.setdefault(record["id"], line)) != line:
            raw.fail(f"item {record['id']} again, first on line {before}", line)
        if label is not None and not label:
            raw.fail(f"item {record['id']} has no attribute" + (f" (or pass {keep})" if keep else ""), line)
        records.append(record)
        labels.append(label or set())
    if not records:
        raw.fail("no items")
    order = sorted(range(len(records)), key=lambda i: records[i]["id"])
    names = tuple(sorted(set().union(*labels)))
    attributes = np.array([[name in labels[i] for name in names] for i in order], dtype=bool)
    table = pd.DataFrame.from_records([records[i] for i in order])
    return table, attributes.reshape(len(order), len(names)), names


def _movies(raw: Raw, rows: Iterator[Row]) -> Catalogue:
    def items() -> Iterator[Item]:
        for line, (number, title, genres) in rows:
            if not re.fullmatch(r"[0-9]{1,18}", number):
                raw.fail(f"id {number!r} is not a whole number", line)
            year = YEAR.search(title)
            record = {"id": int(number), "title": title, "year": int(year[1]) if year else None}
            yield line, record, None if genres == NO_GENRES else set(genres.split("|")) - {""}

    table, attributes, names = _catalogue(raw, items())
    return table.astype({"year": "Int64"}), attributes, names


def _described(
    raw: Raw, sep: str, encoding: str, called: Mapping[str, str], attribute_sep: str, strict: bool
) -> Iterator[Item]:
    names = header(raw, sep, encoding, (called["id"], called["attributes"]))
    role = {called[name]: name for name in ("id", "title", "attributes")}
    for line, fields in islice(csv_rows(raw, sep, encoding), 1, None):
        record = {role.get(name, name): field for name, field in zip(names, fields, strict=True)}
        if not record["id"]:
            raw.fail("the item has no id", line)
        labels = {label.strip() for label in record.pop("attributes").split(attribute_sep)} - {""}
        yield line, {"title": record["id"]} | record, labels if labels or strict else None


def _with_numbers(events: Table, catalogue: Catalogue) -> Catalogue:
    """Ids that are whole numbers in every row, as numbers, so that 2 comes before 10."""
    items, attributes, names = catalogue
    frame = events.frame
    if _whole(frame["user"].unique()):
        frame["user"] = frame["user"].astype("int64")
    if _whole(items["id"]) and _whole(frame["item"].unique()):
        frame["item"] = frame["item"].astype("int64")
        items = items.assign(id=items["id"].astype("int64"))
    order = np.argsort(items["id"].to_numpy(), kind="stable")
    return items.iloc[order].reset_index(drop=True), attributes[order], names


def _whole(ids: Iterable[str]) -> bool:
    return all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) for text in ids)


def _seconds(events: Table) -> pd.Series:
    text = events.frame["time"]
    number = pd.to_numeric(text, errors="coerce")
    if number.notna().any():
        bad = ~np.isfinite(number)
        seconds = number.where(~bad, 0)
    else:
        when = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
        bad = when.isna()
        seconds = (when - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    if bad.any():
        row = int(np.argmax(bad))
        events.fail(f"time {text.iloc[row]!r} is neither seconds since 1970 nor ISO 8601", row)
    return np.floor(seconds).astype("int64")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
