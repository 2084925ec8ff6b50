"""Last.fm twice: who listens to which artist, and the artists' most frequent tags."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
from jaxtyping import Bool

from recsae_core.data.interactions import Interactions
from recsae_core.data.parsers import assemble
from recsae_core.data.tables import Raw, Table, header, read, rows

EXCLUDED = (  # by the authors' code
    *("beautiful", "indie", "alternative", "singer_songwriter", "oldies", "alternative_rock", "indie_pop", "pop_rock"),
    *("ambient", "experimental", "electro", "grunge", "synthpop", "rnb", "seen_live", "favorites"),
    *("00s", "90s", "80s", "70s", "60s"),
)
QUOTE = b"\x1f"  # stands for a quotation mark where it is a letter like any other


def lastfm_hetrec(
    files: Mapping[str, Raw], *, listeners: int = 10, artists: int = 11, tags: int = 4, common: int = 20
) -> Interactions:
    """HetRec 2011: ``user_artists.dat``, ``artists.dat``, ``tags.dat`` (latin-1) and ``user_taggedartists.dat``.

    Artists with at least ``listeners`` listeners, then users with at least ``artists`` of these; the item table is cut
    to the artists that are left: 62,500 plays of 1,789 users and 1,530 artists. ``rating`` is the play count, there is
    no time. Columns ``id`` and ``title`` (the artist's name). Attributes: each artist's ``tags`` most frequent tags,
    by the number of users who gave them, as in ``frequent``, on at least ``common`` artists: 63.
    """
    plays = _tabs(files["user_artists.dat"], "utf-8", userID="int64", artistID="int64", weight="int64")
    told = _tabs(files["artists.dat"], "utf-8", id="int64", name="str")
    words = _tabs(files["tags.dat"], "latin-1", tagID="int64", tagValue="str")
    given = _tabs(files["user_taggedartists.dat"], "utf-8", userID="int64", artistID="int64", tagID="int64")
    for table, keys in ((told, ["id"]), (words, ["tagID"]), (given, ["userID", "artistID", "tagID"])):
        _refuse(table, keys, table.frame.duplicated(keys), "again")
    meant = pd.Index(words.frame["tagID"]).get_indexer(given.frame["tagID"])
    _refuse(given, ["tagID"], pd.Series(meant < 0), "is not in tags.dat")
    catalogue = told.frame.set_axis(["id", "title"], axis=1).sort_values("id", ignore_index=True)
    events = Table(plays.raw, plays.frame.set_axis(["user", "item", "rating"], axis=1), plays.sep)
    inter = assemble(events, (catalogue, np.zeros((len(catalogue), 0), bool), ()), repeats=False)
    inter = inter.rows((np.bincount(inter.item, minlength=inter.n_items) >= listeners)[inter.item])
    inter = inter.rows((np.bincount(inter.user, minlength=inter.n_users) >= artists)[inter.user])
    if not len(inter):
        plays.raw.fail(f"nobody has {artists} artists with {listeners} listeners each")
    inter = inter.with_items(np.unique(inter.item))

    place = pd.Index(inter.items["id"]).get_indexer(given.frame["artistID"])  # also of artists in no list: -1
    tag = unified(words.frame["tagValue"]).to_numpy()[meant]
    votes = pd.DataFrame({"user": given.frame["userID"], "artist": place, "tag": tag}).drop_duplicates()
    attributes, names = frequent(votes[votes["artist"] >= 0].assign(weight=1), inter.n_items, tags, common)
    return replace(inter, attributes=attributes, attribute_names=names)


def lastfm_msd(
    files: Mapping[str, Raw], *, listeners: int = 50, tracks: int = 50, remaining: int = 40, tags: int = 4
) -> Interactions:
    """The paper's Last.fm: ``Music Info.csv`` and ``User Listening History.csv``, artists for items.

    In the order of the authors' code: rows on known tracks; artists with more than ``listeners`` listeners; users with
    more than ``tracks`` rows left; artists with more than ``remaining`` listeners left (22,546 users, 2,277 artists).
    ``rating`` is the user's play count over the artist's tracks, there is no time. Columns ``id`` and ``title`` are
    both the artist's name. Attributes: each artist's ``tags`` most frequent tags as in ``frequent``, a track's tags
    counted once for each listener left: 81.
    """
    info = files["Music Info.csv"].utf8("utf-8-sig")
    needed = ("track_id", "artist", "tags")
    where = [header(info, ",", needed).index(name) for name in needed]
    found = [(line, *(fields[i] for i in where)) for line, fields in islice(rows(info, ","), 1, None)]
    track = pd.DataFrame(found, columns=["line", *needed])
    for wrong, what in ((track["artist"] == "", "has no artist"), (track["track_id"].duplicated(), "again")):
        if wrong.any():
            info.fail(f"track {track['track_id'][wrong].iloc[0]} {what}", int(track["line"][wrong].iloc[0]))
    artist, names = pd.factorize(track["artist"], sort=True)

    kinds = {"track_id": "category", "user_id": "category", "playcount": "int64"}
    heard = read(files["User Listening History.csv"].utf8("utf-8-sig"), kinds, ",")
    _refuse(heard, ["user_id", "track_id"], heard.frame.duplicated(["user_id", "track_id"]), "again")
    user, song = heard.frame["user_id"].cat, heard.frame["track_id"].cat
    place = pd.Index(track["track_id"]).get_indexer(song.categories)[song.codes]
    row = pd.DataFrame({"user": user.codes.to_numpy(), "track": place, "plays": heard.frame["playcount"]})[place >= 0]
    row["artist"] = artist[row["track"]]
    row = row[_listeners(row)[row["artist"]] > listeners]
    row = row[np.bincount(row["user"])[row["user"]] > tracks]
    row = row[_listeners(row)[row["artist"]] > remaining]
    if row.empty:
        heard.raw.fail(f"no artist has more than {listeners} listeners, {remaining} of them with over {tracks} tracks")
    plays = row.groupby(["user", "artist"], as_index=False)["plays"].sum()
    events = {"user": user.categories[plays["user"]], "item": names[plays["artist"]], "rating": plays["plays"]}
    left = np.unique(plays["artist"])
    votes = track.assign(artist=np.searchsorted(left, artist), tag=track["tags"].str.split(","))
    votes = votes.join(row["track"].value_counts().rename("weight"), how="inner").explode("tag")
    attributes, tag_names = frequent(votes.assign(tag=unified(votes["tag"])), len(left), tags)
    catalogue = pd.DataFrame({"id": names[left], "title": names[left]}), attributes, tag_names
    return assemble(Table(heard.raw, pd.DataFrame(events), heard.sep), catalogue, repeats=False)


def unified(tag: pd.Series) -> pd.Series:
    """Tags in lower case, with one underscore for spaces, underscores and hyphens between words."""
    return tag.str.strip().str.lower().str.replace(r"[\s_-]+", "_", regex=True)


def frequent(
    votes: pd.DataFrame, n: int, tags: int, common: int = 1
) -> tuple[Bool[np.ndarray, "n a"], tuple[str, ...]]:
    """The ``tags`` heaviest tags of each artist that are on at least ``common`` artists, and their names, sorted.

    ``votes`` has the columns ``artist`` (0 to ``n - 1``), ``tag`` and ``weight``; those in ``EXCLUDED`` do not
    count. Of equally heavy tags the one that is heavier over all artists stays, then the first in the alphabet.
    """
    votes = votes[~votes["tag"].isin(("", *EXCLUDED))]
    heavy = votes.groupby(["artist", "tag"], as_index=False)["weight"].sum()
    heavy["total"] = heavy.groupby("tag")["weight"].transform("sum")
    heavy = heavy.sort_values(["weight", "total", "tag"], ascending=[False, False, True]).groupby("artist").head(tags)
    heavy = heavy[heavy.groupby("tag")["artist"].transform("size") >= common]
    code, names = pd.factorize(heavy["tag"], sort=True)
    attributes = np.zeros((n, len(names)), dtype=bool)
    attributes[heavy["artist"], code] = True
    return attributes, tuple(map(str, names))


def _tabs(raw: Raw, encoding: str, **kinds: str) -> Table:
    text = raw.utf8(encoding)
    table = read(replace(text, content=text.content.replace(b'"', QUOTE)), kinds, "\t")
    return replace(table, frame=table.frame.replace(QUOTE.decode(), '"', regex=True))


def _listeners(row: pd.DataFrame) -> np.ndarray:
    """Different users of each artist."""
    return np.bincount(row.drop_duplicates(["user", "artist"])["artist"])


def _refuse(table: Table, keys: Sequence[str], wrong: pd.Series, what: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        which = ", ".join(f"{key} {table.frame[key].iloc[row]}" for key in keys)
        table.fail(f"{which} {what} ({wrong.sum()} such rows)", row)
