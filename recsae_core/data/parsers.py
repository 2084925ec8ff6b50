"""File formats to ``Interactions``: MovieLens in its two forms, Music4All, and anybody's CSV."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd

from recsae_core.data.interactions import Interactions
from recsae_core.data.tables import Raw, Row, Table, header, read, rows

YEAR = r"\((\d{4})\)\s*$"  # at the end of a MovieLens title
NO_GENRES = "(no genres listed)"
MOVIE = ("id", "title", "attributes")
PERSON = ("user", "gender", "age", "occupation", "zip")
COMMON = 0.01  # share of the tracks of Music4All that a genre needs
Catalogue = tuple[pd.DataFrame, np.ndarray, tuple[str, ...]]  # item table sorted by id, attributes, their names


def movielens_dat(files: Mapping[str, Raw]) -> Interactions:
    """MovieLens 1M: ``ratings.dat``, ``movies.dat`` and, where it is, ``users.dat``; separated by ``::``, latin-1.

    ``items`` holds all 3,883 movies, also the 177 that nobody rated: the official counts of the genres are over these,
    and every split cuts the table to its own vocabulary. Columns ``id``, ``title`` (with its year, as in the source)
    and ``year``. Attributes: the genres, sorted by name. A user who rates a movie twice is an error. ``users`` has
    ``gender`` ("F" or "M"), ``age`` (the youngest of the user's group) and ``occupation`` (a number).
    """
    movies = files["movies.dat"]
    if not movies.content.isascii() and "\ufffd" not in movies.content.decode("utf-8", "replace"):
        movies.fail("the text is UTF-8: expected latin-1, as in the official file")
    movies = movies.utf8("latin-1")
    catalogue = _movies(movies, rows(movies, "::", ("id", "title", "genres")))
    names = ("user", "item", "rating", "time")
    ratings = read(files["ratings.dat"].utf8("latin-1"), dict.fromkeys(names, "int64"), "::", names)
    inter = assemble(ratings, catalogue, repeats=False)
    return replace(inter, users=_people(files["users.dat"], inter.user_ids)) if "users.dat" in files else inter


def movielens_csv(files: Mapping[str, Raw]) -> Interactions:
    """MovieLens latest, 20M, 25M: ``ratings.csv`` and ``movies.csv``, UTF-8; the item table as in ``movielens_dat``.

    A movie that says "(no genres listed)" has no attribute; the label IMAX of the later releases stays one.
    """
    movies = files["movies.csv"].utf8("utf-8")
    names = header(movies, ",", ("movieId", "title", "genres"))
    where = [names.index(name) for name in ("movieId", "title", "genres")]
    below = ((line, [fields[i] for i in where]) for line, fields in islice(rows(movies, ","), 1, None))
    kinds = {"userId": "int64", "movieId": "int64", "rating": "float64", "timestamp": "int64"}
    ratings = read(files["ratings.csv"].utf8("utf-8"), kinds, ",")
    ratings.frame.columns = ["user", "item", "rating", "time"]
    return assemble(ratings, _movies(movies, below), repeats=False)


def music4all(files: Mapping[str, Raw]) -> Interactions:
    """Music4All: ``listening_history.csv`` (user, song, timestamp), ``id_genres.csv`` (id, genres separated by commas)
    and ``id_information.csv`` (id, artist, song, ...), separated by tabs, each with a header.

    Every event counts, also the same song again. Attributes: the genres that at least 1% of the tracks have.
    """
    columns = {"item": "song", "time": "timestamp", "attributes": "genres"}
    options = {"sep": "\t", "attribute_sep": ",", "duplicates": "keep", "unlabelled": "keep"}
    inter = anybody(files["listening_history.csv"], files["id_genres.csv"], columns=columns, **options)
    told = read(files["id_information.csv"].utf8("utf-8-sig"), dict.fromkeys(("id", "artist", "song"), "str"), "\t")
    title = pd.Series((told.frame["artist"] + ": " + told.frame["song"]).to_numpy(), told.frame["id"])
    title = title[~title.index.duplicated()].reindex(inter.items["id"].astype(str))
    common = np.flatnonzero(inter.attributes.mean(0) >= COMMON)
    return replace(
        inter,
        items=inter.items.assign(title=title.fillna(inter.items["title"].set_axis(title.index)).to_numpy()),
        attributes=inter.attributes[:, common],
        attribute_names=tuple(inter.attribute_names[i] for i in common),
    )


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

    interactions = interactions.utf8(encoding)
    there = header(interactions, sep)
    wanted = [n for n in ("time", "rating") if called[n] in there or n in (columns or ())]
    kinds = {called["user"]: "str", called["item"]: "str"}
    kinds |= {called[name]: "float64" if name == "rating" else "str" for name in wanted}
    events = read(interactions, kinds, sep)
    events.frame.columns = ["user", "item", *wanted]
    if "time" in wanted:
        events.frame["time"] = _seconds(events)
    catalogue = None
    if items is not None:
        items = items.utf8(encoding)
        role = {called[name]: name for name in MOVIE}
        names = [role.get(name, name) for name in header(items, sep, (called["id"], called["attributes"]))]
        below = islice(rows(items, sep), 1, None)
        catalogue = _catalogue(
            items, below, names, attribute_sep, unlabelled == "error", " (or pass unlabelled='keep')"
        )
    return assemble(events, catalogue, duplicates, repeats=True)


def assemble(events: Table, catalogue: Catalogue | None, duplicates: str = "error", *, repeats: bool) -> Interactions:
    """Contiguous ids, sorted rows. Where ``repeats``, a user may take an item again at another time."""
    frame = events.frame
    if not len(frame):
        events.raw.fail("no interactions")
    (user, user_ids), (item, item_ids) = _ids(frame.pop("user")), _ids(frame.pop("item"))
    if catalogue is None:
        table = pd.DataFrame({"id": item_ids, "title": item_ids.astype(str)})
        catalogue = table, np.zeros((len(table), 0), dtype=bool), ()
    items, attributes, names = catalogue
    place = pd.Index(items["id"].astype(str)).get_indexer(item_ids.astype(str))  # text finds numbers, too
    if (place < 0).any():
        lost = place[item] < 0
        row = int(np.argmax(lost))
        what = f"item {item_ids[item[row]]} is not in the table of items ({int(lost.sum()) - 1} more such rows)"
        events.fail(what, row)
    item = place[item]
    time = frame.pop("time").to_numpy() if "time" in frame else None
    rating = frame.pop("rating").to_numpy(dtype=np.float32) if "rating" in frame else None
    order = np.argsort(user, kind="stable") if time is None else np.lexsort((time, user))
    if duplicates != "keep":
        timed, key = repeats and time is not None, user * len(items) + item
        again = (pd.DataFrame({"key": key, "time": time}) if timed else pd.Series(key)).duplicated().to_numpy()
        if duplicates == "error" and again.any():
            row = int(np.argmax(again))
            first = np.argmax((key == key[row]) & ((time == time[row]) if timed else True))
            what = f"user {user_ids[user[row]]} and item {items['id'].iloc[item[row]]}"
            what += f" and time {time[row]}" if timed else ""
            option = ", or pass duplicates='drop' or 'keep'" if repeats else ""
            events.fail(f"{what} again, first on line {events.line(first)}: {again.sum()} such rows{option}", row)
        order = order[~again[order]]
    return Interactions(
        user=user[order],
        item=item[order],
        time=None if time is None else time[order],
        rating=None if rating is None else rating[order],
        user_ids=np.asarray(user_ids),
        items=items,
        attributes=attributes,
        attribute_names=names,
    )


def _ids(column: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """Each row's place among the sorted ids, and these: numbers where all are whole, so that 2 comes before 10."""
    code, found = pd.factorize(column)
    ids = _numbers(pd.Series(np.asarray(found)))
    order = np.argsort(ids.to_numpy(), kind="stable")
    return np.argsort(order)[code], pd.Index(ids.iloc[order])


def _numbers(ids: pd.Series) -> pd.Series:
    whole = ids.dtype == "int64" or ids.str.fullmatch(r"(?:0|-?[1-9][0-9]{0,17})").all()
    return ids.astype("int64") if whole else ids


def _catalogue(
    raw: Raw, below: Iterable[Row], names: Sequence[str], sep: str, strict: bool = True, option: str = ""
) -> Catalogue:
    """Items sorted by id. Where ``strict``, an item that neither has an attribute nor says so is an error."""
    found = list(below)
    if not found:
        raw.fail("no items")
    lines, fields = zip(*found, strict=True)
    table = pd.DataFrame(list(fields), columns=list(names))
    said = table.pop("attributes")
    label = said.mask(said == NO_GENRES, "").str.split(sep, regex=False).explode().str.strip()
    label = label[label != ""]
    again, bare = table["id"].duplicated(), ~table.index.isin(label.index) & (said != NO_GENRES)
    for row, number in enumerate(table["id"]):
        if number == "":
            raw.fail("the item has no id", lines[row])
        if again[row]:
            raw.fail(f"item {number} again, first on line {lines[(table['id'] == number).argmax()]}", lines[row])
        if strict and bare[row]:
            raw.fail(f"item {number} has no attribute{option}", lines[row])
    if "title" not in table:
        table["title"] = table["id"]
    code, kinds = pd.factorize(label, sort=True)
    attributes = np.zeros((len(table), len(kinds)), dtype=bool)
    attributes[label.index, code] = True
    table["id"] = _numbers(table["id"])
    order = np.argsort(table["id"].to_numpy(), kind="stable")
    return table.iloc[order].reset_index(drop=True), attributes[order], tuple(map(str, kinds))


def _movies(raw: Raw, below: Iterable[Row]) -> Catalogue:
    found = list(below)
    for line, (number, *_) in found:
        if not re.fullmatch(r"[0-9]{1,18}", number):
            raw.fail(f"id {number!r} is not a whole number", line)
    items, attributes, names = _catalogue(raw, ((line, [str(int(i)), *rest]) for line, (i, *rest) in found), MOVIE, "|")
    return items.assign(year=pd.to_numeric(items["title"].str.extract(YEAR)[0]).astype("Int64")), attributes, names


def _people(raw: Raw, user_ids: np.ndarray) -> pd.DataFrame:
    found = pd.DataFrame([fields[:4] for _, fields in rows(raw.utf8("latin-1"), "::", PERSON)], columns=PERSON[:4])
    for name in ("user", "age", "occupation"):
        if not found[name].str.fullmatch("[0-9]{1,9}").all():
            raw.fail(f"{name} is not always a whole number")
    found = found.astype({"user": "int64", "age": "int64", "occupation": "int64"})
    if found["user"].duplicated().any() or not np.isin(user_ids, found["user"]).all():
        raw.fail("not each user once who rated something")
    return found.set_index("user").loc[user_ids].reset_index(drop=True)


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
