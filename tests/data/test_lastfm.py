import csv
import io
import os
import time
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requirements import needs

from recsae_core.data import download, lastfm, sources
from recsae_core.data.tables import Raw

# Artists 5, 6 and 7 have two listeners or more and 8 has one; user 3 then has one artist left and user 9 none.
PLAYS = [(1, 7, 30), (1, 5, 20), (2, 5, 4), (2, 7, 9), (3, 6, 2), (1, 6, 1), (9, 8, 3)]
ARTISTS = 'id\tname\turl\tpictureURL\n8\tNobody\tu\tp\n5\t"Weird" Al\tu\t\n6\tAmélie\tu\tp\n7\tSigur "Rós"\tu\tp\n'
TAGS = "tagID\ttagValue\n1\thip hop\n2\tHip-Hop\n3\tsinger-songwriter\n4\tcafé\n5\tnoise\n"
GIVEN = [(1, 5, 1), (1, 5, 2), (2, 5, 4), (3, 5, 4), (1, 6, 3), (2, 7, 1), (4, 99, 5), (2, 6, 5)]


def tabs(names, rows):
    return "\r\n".join("\t".join(map(str, row)) for row in (names.split(), *rows)) + "\r\n"


def hetrec(plays=PLAYS, artist_text=ARTISTS, tag_text=TAGS, given=GIVEN, **thresholds):
    files = {
        "user_artists.dat": tabs("userID artistID weight", plays).encode(),
        "artists.dat": artist_text.encode(),
        "tags.dat": tag_text if isinstance(tag_text, bytes) else tag_text.encode("latin-1"),
        "user_taggedartists.dat": tabs(
            "userID artistID tagID day month year", [(*g, 1, 4, 2009) for g in given]
        ).encode(),
    }
    files = {name: Raw(name, content, "fetch it again") for name, content in files.items()}
    return lastfm.lastfm_hetrec(files, **({"listeners": 2, "artists": 2, "tags": 4, "common": 1} | thresholds))


def test_hetrec_filters_artists_then_users_and_cuts_the_table():
    inter = hetrec()
    assert inter.items["id"].tolist() == [5, 6, 7]
    assert inter.user_ids.tolist() == [1, 2]
    assert inter.items["id"][inter.item].tolist() == [7, 5, 6, 5, 7]
    assert inter.rating.tolist() == [30, 20, 1, 4, 9]
    assert inter.time is None


def test_hetrec_does_not_filter_artists_again():
    inter = hetrec(artists=3)
    assert inter.user_ids.tolist() == [1]
    assert inter.items["id"].tolist() == [5, 6, 7]


def test_names_keep_their_quotation_marks_and_accents():
    assert hetrec().items["title"].tolist() == ['"Weird" Al', "Amélie", 'Sigur "Rós"']


def test_spellings_are_one_tag_and_a_user_votes_once_for_it():
    inter = hetrec(tags=1)
    assert inter.attribute_names == ("café", "hip_hop", "noise")  # artist 5: two users say café, one says hip hop twice
    assert inter.attributes.tolist() == [[True, False, False], [False, False, True], [False, True, False]]


def test_tags_on_few_artists_and_the_excluded_ones_are_dropped():
    inter = hetrec(common=2)
    assert inter.attribute_names == ("hip_hop",)
    assert inter.attributes[:, 0].tolist() == [True, False, True]
    assert "singer_songwriter" not in hetrec().attribute_names


def test_of_equal_tags_the_heavier_over_all_artists_stays_then_the_first_in_the_alphabet():
    votes = [(0, "z", 2), (0, "b", 2), (0, "a", 2), (1, "z", 9), (2, "b", 1), (2, "a", 1)]
    attributes, names = lastfm.frequent(pd.DataFrame(votes, columns=["artist", "tag", "weight"]), n=4, tags=2)
    assert names == ("a", "b", "z")
    assert attributes.tolist() == [
        [True, False, True],
        [False, False, True],
        [True, True, False],
        [False, False, False],  # no tag, as some artists have none
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"tag_text": "tagID\tvalue\n1\tpop\n"},
            "tags.dat, line 1: column 'tagValue' is missing, the header has: tagID, val",
        ),
        ({"tag_text": TAGS + "5\tagain\n"}, r"tags.dat, line 7: tagID 5 again \(1 such rows\); fetch it again"),
        ({"tag_text": TAGS + "six\tagain\n"}, "tags.dat, line 7: tagID 'six' is not a whole number"),
        ({"tag_text": TAGS + "6\t\n"}, "tags.dat, line 7: tagValue '' is not some text"),
        ({"tag_text": b""}, "tags.dat: the file is empty"),
        ({"artist_text": ARTISTS.replace("id\t", "number\t")}, "artists.dat, line 1: column 'id' is missing"),
        ({"artist_text": ARTISTS + "5\tAgain\tu\tp\n"}, "artists.dat, line 6: id 5 again"),
        ({"artist_text": ARTISTS + "9\tShort\n"}, "artists.dat, line 6: 2 fields, expected 4 as in the header"),
        ({"plays": [*PLAYS, (1, 77, 3)]}, "user_artists.dat, line 9: item 77 is not in the table of items"),
        ({"plays": [*PLAYS, (1, 7, 3)]}, "user_artists.dat, line 9: user 1 and item 7 again, first on line 2"),
        ({"plays": []}, "user_artists.dat: no interactions"),
        ({"given": [*GIVEN, (3, 5, 77)]}, r"user_taggedartists.dat, line 10: tagID 77 is not in tags.dat"),
        ({"given": [*GIVEN, GIVEN[0]]}, "user_taggedartists.dat, line 10: userID 1, artistID 5, tagID 1 again"),
        ({"listeners": 9}, "user_artists.dat: nobody has 2 artists with 9 listeners each"),
    ],
)
def test_hetrec_bad_files_are_named_with_the_line(change, message):
    with pytest.raises(ValueError, match=message):
        hetrec(**change)


def test_encodings_are_those_of_the_files():
    assert "cafã©" in hetrec(tag_text=TAGS.encode()).attribute_names  # every byte is a letter in latin-1
    plays = Raw("user_artists.dat", tabs("userID artistID weight", PLAYS).encode())
    with pytest.raises(ValueError, match=r"artists.dat, line 4: byte 0xe9 is not utf-8 text"):
        lastfm.lastfm_hetrec({"user_artists.dat": plays, "artists.dat": Raw("artists.dat", ARTISTS.encode("latin-1"))})


def table(rows):
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


INFO = [
    ("track_id", "name", "artist", "tags", "year"),
    *[(f"T{i}", f"Song, {i}", "ABC"[i // 2], "", 2000) for i in range(6)],
]
HEARD = [("track_id", "user_id", "playcount"), ("T0", "u", 2), ("T1", "u", 3), ("T2", "v", 1), ("T0", "v", 4)]


def msd(info=INFO, heard=HEARD, **thresholds):
    files = {"Music Info.csv": info, "User Listening History.csv": heard}
    raws = {n: Raw(n, (t if isinstance(t, str) else table(t)).encode(), "fetch it again") for n, t in files.items()}
    return lastfm.lastfm_msd(raws, **({"listeners": 0, "tracks": 0, "remaining": 0} | thresholds))


def test_msd_plays_are_summed_over_an_artists_tracks():
    inter = msd()
    assert inter.items["title"].tolist() == ["A", "B"]
    assert inter.user_ids.tolist() == ["u", "v"]
    assert list(zip(inter.user, inter.item, inter.rating, strict=True)) == [(0, 0, 5), (1, 0, 4), (1, 1, 1)]
    assert inter.attributes.shape == (2, 0)


def by_hand(info, heard, listeners, tracks, remaining, tags):
    """The filters and the tags of the paper's code, one row at a time: {user: {artist: plays}}, {artist: tags}."""
    artist = {row[0]: row[2] for row in info[1:]}
    left = [row for row in heard[1:] if row[0] in artist]

    def popular(bound):
        who = defaultdict(set)
        for track, user, _ in left:
            who[artist[track]].add(user)
        return [row for row in left if len(who[artist[row[0]]]) > bound]

    left = popular(listeners)
    count = Counter(user for _, user, _ in left)
    left = [row for row in left if count[row[1]] > tracks]
    left = popular(remaining)
    plays, votes, total = defaultdict(Counter), defaultdict(Counter), Counter()
    said = {row[0]: [t.strip().lower() for t in row[3].split(",")] for row in info[1:]}
    for track, user, n in left:
        plays[user][artist[track]] += n
        for tag in said[track]:
            if tag and tag != "indie":
                votes[artist[track]][tag] += 1
                total[tag] += 1
    best = {a: sorted(v, key=lambda t, v=v: (-v[t], -total[t], t))[:tags] for a, v in votes.items()}
    return plays, best


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_msd_agrees_with_the_same_rules_by_hand(data):
    draw = data.draw
    tag = st.lists(st.sampled_from(["pop", "Folk", "indie", "jazz", "metal", "dub"]), max_size=4, unique=True)
    info = INFO[:1] + [(f"T{i}", "n", draw(st.sampled_from("ABC")), ", ".join(draw(tag)), 2000) for i in range(7)]
    pairs = draw(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4)), min_size=1, max_size=30, unique=True))
    heard = HEARD[:1] + [(f"T{t}", f"u{u}", draw(st.integers(1, 5))) for t, u in pairs]  # T7 and T8 are unknown
    bounds = [draw(st.integers(0, 2)) for _ in range(3)]
    plays, tags = by_hand(info, heard, *bounds, tags=2)
    if not plays:
        with pytest.raises(ValueError, match=f"no artist has more than {bounds[0]} listeners"):
            msd(info, heard, **dict(zip(("listeners", "tracks", "remaining"), bounds, strict=True)), tags=2)
        return
    inter = msd(info, heard, **dict(zip(("listeners", "tracks", "remaining"), bounds, strict=True)), tags=2)
    found = defaultdict(dict)
    title = inter.items["title"].tolist()
    for user, item, rating in zip(inter.user, inter.item, inter.rating, strict=True):
        found[inter.user_ids[user]][title[item]] = rating
    assert found == plays
    assert title == sorted({artist for row in plays.values() for artist in row})
    for row, artist in zip(inter.attributes, title, strict=True):
        assert sorted(tags.get(artist, [])) == [inter.attribute_names[a] for a in np.flatnonzero(row)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"info": [("track_id", "artist"), ("T0", "A")]}, "Music Info.csv, line 1: column 'tags' is missing"),
        ({"info": [*INFO, INFO[1]]}, "Music Info.csv, line 8: track T0 again"),
        ({"info": [*INFO, ("T9", "n", "", "", 2000)]}, "Music Info.csv, line 8: track T9 has no artist"),
        ({"info": [*INFO, ("T9", "n")]}, "Music Info.csv, line 8: 2 fields, expected 5"),
        ({"heard": [("track_id", "user"), ("T0", "u")]}, "History.csv, line 1: column 'user_id' is missing"),
        ({"heard": [*HEARD, HEARD[1]]}, r"History.csv, line 6: user_id u, track_id T0 again \(1 such rows\)"),
        ({"heard": [*HEARD, ("T1", "", 3)]}, "History.csv, line 6: user_id '' is not some text"),
        ({"heard": [*HEARD, ("T1", "w", "many")]}, "History.csv, line 6: playcount 'many' is not a whole number"),
        ({"listeners": 2}, "History.csv: no artist has more than 2 listeners, 0 of them with over 0 tracks"),
    ],
)
def test_msd_bad_files_are_named_with_the_line(change, message):
    with pytest.raises(ValueError, match=message):
        msd(**change)


def test_an_archive_without_a_folder_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as opened:
        opened.writestr("tags.dat", TAGS)
    found = download.members(tmp_path / "flat.zip", "flat", ["tags.dat"], "fetch it again")
    assert found["tags.dat"].content == TAGS.encode()
    with pytest.raises(ValueError, match=r"no artists.dat in the archive"):
        download.members(tmp_path / "flat.zip", "flat", ["tags.dat", "artists.dat"], "fetch it again")


@pytest.mark.data
def test_last_fm_of_hetrec_2011():
    needs("data")
    if not (Path(os.environ["RECSAE_DATA"]) / "hetrec2011-lastfm-2k").is_dir():
        pytest.skip("HetRec 2011 is not under $RECSAE_DATA")
    start = time.perf_counter()
    inter = sources.load("lastfm-hetrec")
    assert time.perf_counter() - start < 20  # 1 s on a quiet machine
    assert (len(inter), inter.n_users, inter.n_items) == (62_500, 1_789, 1_530)
    assert len(inter.attribute_names) == 63
    assert inter.attributes.sum(1).max() == 4
    assert inter.attributes.sum(0).min() >= 20
    assert {"female_vocalists", "hip_hop", "metal", "folk"} <= set(inter.attribute_names)
    assert not set(lastfm.EXCLUDED) & set(inter.attribute_names)
    assert inter.items["title"].is_unique
