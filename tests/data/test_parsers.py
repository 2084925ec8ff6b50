import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsae_core.data import parsers
from recsae_core.data.tables import Raw

RATINGS = "1::10::5::300\n1::20::3::100\n2::10::4::200\n2::30::1::200\n2::20::2::200\n"
MOVIES = "10::Heat: A Title (1995)::Crime|Action\n20::Amélie (2001)::Comedy\n"
MOVIES += "30::Nobody's (1990)::Drama\n40::Untouched (1991)::War\n"
EVENTS = "user,item,time\nu1,a,30\nu1,b,10\nu2,a,20\n"
ITEMS = "id,title,attributes,colour\na,First,red|new,blue\nb,Second,old,\n"


def dat(ratings=RATINGS, movies=MOVIES, encoding="latin-1"):
    files = {"ratings.dat": ratings, "movies.dat": movies}
    files = {n: t if isinstance(t, bytes) else t.encode(encoding) for n, t in files.items()}
    return parsers.movielens_dat({n: Raw(n, content, "fetch it again") for n, content in files.items()})


def small_csv(ratings, movies='movieId,title,genres\n1,One (1990),A|B\n2,"Two, or not",(no genres listed)\n'):
    files = {"ratings.csv": ratings, "movies.csv": movies}
    return parsers.movielens_csv({n: Raw(n, text.encode()) for n, text in files.items()})


def own(events=EVENTS, items=ITEMS, **options):
    tables = (("e.csv", events), ("i.csv", items))
    raws = [Raw(n, t if isinstance(t, bytes) else t.encode()) for n, t in tables if t is not None]
    return parsers.anybody(*raws, **options)


def test_movielens_1m_rows_are_sorted_by_user_and_time_and_stable():
    inter = dat()
    assert inter.user.tolist() == [0, 0, 1, 1, 1]
    assert inter.items["id"][inter.item].tolist() == [20, 10, 10, 30, 20]
    assert inter.time.tolist() == [100, 300, 200, 200, 200]
    assert inter.rating.tolist() == [3, 5, 4, 1, 2]
    assert inter.user_ids.tolist() == [1, 2]


def test_movielens_1m_items_are_the_whole_catalogue_with_titles_years_and_genres():
    inter = dat()
    assert inter.items["title"].tolist() == [
        "Heat: A Title (1995)",
        "Amélie (2001)",
        "Nobody's (1990)",
        "Untouched (1991)",
    ]
    assert inter.items["year"].tolist() == [1995, 2001, 1990, 1991]
    assert inter.attribute_names == ("Action", "Comedy", "Crime", "Drama", "War")
    assert inter.attributes[0].tolist() == [True, False, True, False, False]


def test_windows_line_ends_and_blank_lines_change_nothing():
    inter = dat(RATINGS.replace("\n", "\r\n") + "\r\n", "\n" + MOVIES.replace("\n", "\r\n"))
    assert inter.items.equals(dat().items)
    assert np.array_equal(inter.item, dat().item)


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ("", "ratings.dat: the file is empty"),
        (" \n\n", "ratings.dat: the file is empty"),
        (RATINGS + "3::10::5\n", "ratings.dat, line 6: 3 fields, expected 4 separated by '::'"),
        (RATINGS + "3::10::5::1::1\n", "ratings.dat, line 6: 5 fields, expected 4"),
        ("1::10::5::1::1\n" + RATINGS, "ratings.dat, line 1: 5 fields, expected 4"),
        ("1,10,5,300\n", "ratings.dat, line 1: 1 field, expected 4"),
        ("1::10::5::1\n\n1:2::20::5::1\n", "ratings.dat, line 3: user '1:2' is not a whole number"),
        (RATINGS + "x7::10::5::1\n", "ratings.dat, line 6: user 'x7' is not a whole number"),
        (RATINGS + "3::1e1::5::1\n", "ratings.dat, line 6: item '1e1' is not a whole number"),
        (RATINGS + "3::10::4.5::1\n", "ratings.dat, line 6: rating '4.5' is not a whole number"),
        (RATINGS + "3::10::5::\n", "ratings.dat, line 6: time '' is not a whole number"),
        (RATINGS + f"3::10::5::{10**20}\n", "ratings.dat, line 6: time '1000.*' is not a whole number"),
        (RATINGS + "3::99::5::1\n3::98::5::1\n", "line 6: item 99 is not in the table of items .1 more such"),
        (RATINGS + "3::10::5::1\n1::20::3::101\n", "line 7: user 1 and item 20 again, first on line 2: 1 such rows"),
        (RATINGS.encode("utf-16"), "ratings.dat, line 1: a zero byte, so this is not latin-1 text"),
    ],
)
def test_bad_ratings_are_named_by_file_and_line_with_the_remedy(ratings, message):
    with pytest.raises(ValueError, match=f"{message}.*; fetch it again$"):
        dat(ratings)


@pytest.mark.parametrize(
    ("movies", "message"),
    [
        ("", "movies.dat: the file is empty"),
        (MOVIES + "50::No genre field\n", "movies.dat, line 5: 2 fields, expected 3"),
        (MOVIES + "50::No genre (1999)::\n", "movies.dat, line 5: item 50 has no attribute"),
        (MOVIES + "fifty::T (1999)::War\n", "movies.dat, line 5: id 'fifty' is not a whole number"),
        (MOVIES + "10::Heat again (1995)::War\n", "movies.dat, line 5: item 10 again, first on line 1"),
        (MOVIES.encode("utf-8"), "movies.dat: the text is UTF-8: expected latin-1"),
        (MOVIES.encode("utf-16"), "movies.dat, line 1: a zero byte"),
    ],
)
def test_bad_movies_are_named_by_file_and_line_with_the_remedy(movies, message):
    with pytest.raises(ValueError, match=f"{message}.*; fetch it again$"):
        dat(movies=movies)


@given(st.data())
def test_a_broken_line_is_found_wherever_it_is(data):
    lines = [f"{u}::10::3::{u}" for u in range(1, data.draw(st.integers(1, 30)) + 1)]
    at = data.draw(st.integers(0, len(lines)))
    lines.insert(
        at, data.draw(st.sampled_from(["1::10::3", "a::10::3::4", "1::10::3::4::5", "::::::", "1::10::0x1::4"]))
    )
    with pytest.raises(ValueError, match=f"ratings.dat, line {at + 1}: "):
        dat("\n".join(lines) + "\n")


def test_the_later_movielens_releases_are_csv():
    inter = small_csv("userId,movieId,rating,timestamp\n1,2,4.5,20\n1,1,3.0,10\n")
    assert inter.item.tolist() == [0, 1]
    assert inter.rating.tolist() == [3.0, 4.5]
    assert inter.items["title"].tolist() == ["One (1990)", "Two, or not"]
    assert inter.items["year"].isna().tolist() == [False, True]
    assert inter.attribute_names == ("A", "B")
    assert inter.attributes.sum(1).tolist() == [2, 0]


def test_the_later_movielens_releases_refuse_what_is_not_a_number():
    with pytest.raises(ValueError, match=r"ratings.csv, line 3: rating 'good' is not a number"):
        small_csv("userId,movieId,rating,timestamp\n1,2,4.5,20\n1,1,good,10\n")
    with pytest.raises(ValueError, match=r"ratings.csv, line 3: rating 'inf' is not a number"):
        small_csv("userId,movieId,rating,timestamp\n1,2,4.5,20\n1,1,inf,10\n")


def test_anybodys_tables():
    inter = own()
    assert inter.user_ids.tolist() == ["u1", "u2"]
    assert inter.items["id"].tolist() == ["a", "b"]
    assert inter.item.tolist() == [1, 0, 0]
    assert inter.rating is None
    assert inter.items["colour"].tolist() == ["blue", ""]
    assert inter.attribute_names == ("new", "old", "red")


def test_anybodys_columns_by_other_names_with_other_separators():
    events = "who;what;when;stars\n2;10;2001-01-01T00:00:10;4,5\n".replace("4,5", "4.5") + "10;9;2001-01-01;1\n"
    names = {"user": "who", "item": "what", "time": "when", "rating": "stars", "id": "key", "attributes": "tags"}
    inter = own(events, "key;tags\n10;x\n9;x y\n", columns=names, sep=";", attribute_sep=" ")
    assert inter.user_ids.tolist() == [2, 10]
    assert inter.items["id"].tolist() == [9, 10]
    assert inter.items["title"].tolist() == ["9", "10"]
    assert inter.time.tolist() == [978307210, 978307200]
    assert inter.rating.tolist() == [4.5, 1.0]
    assert inter.attributes.tolist() == [[True, True], [True, False]]


def test_ids_stay_text_unless_all_are_whole_numbers():
    inter = own("user,item\n007,1\n7,1\n", None)
    assert inter.user_ids.tolist() == ["007", "7"]
    assert inter.items["id"].tolist() == [1]
    assert inter.items["title"].tolist() == ["1"]
    assert inter.attributes.shape == (1, 0)
    assert inter.time is None


def test_text_of_other_encodings_and_quoted_fields():
    inter = own('user,item\n"Zoë, the ""first""",a\n'.encode("utf-16"), None, encoding="utf-16")
    assert inter.user_ids.tolist() == ['Zoë, the "first"']
    assert own(b"\xef\xbb\xbf" + EVENTS.encode()).n_users == 2


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ("", "e.csv: the file is empty"),
        ("user,item,time\n", "e.csv: no interactions"),
        ("\ufeff", "e.csv, line 1: column 'user' is missing"),
        ("who,item\n1,a\n", "e.csv, line 1: column 'user' is missing, the header has: who, item"),
        ("user,item,user\n1,a,1\n", "e.csv, line 1: column 'user' is twice"),
        (EVENTS + "u3,a,1,9\n", "e.csv, line 5: 4 fields, expected 3 as in the header"),
        ("user,item,time\nu3,a,1,9\nu1,a,1\n", "e.csv, line 2: 4 fields, expected 3"),
        (EVENTS + "\nu3,a\n", "e.csv, line 6: 2 fields, expected 3"),
        ("user,item,note\nu,a,x\nv,a\n", "e.csv, line 3: 2 fields, expected 3"),
        ('user,item,note\nu,a,"x\ny"\nv,a\n', "e.csv, line 4: 2 fields, expected 3"),
        (EVENTS + ",a,1\n", "e.csv, line 5: user '' is not some text"),
        (EVENTS + "u3,a,soon\n", "e.csv, line 5: time 'soon' is neither seconds since 1970 nor ISO 8601"),
        ("user,item,time\nu,a,2001-13-01\n", "e.csv, line 2: time '2001-13-01' is neither"),
        (EVENTS + "u3,c,1\n", "e.csv, line 5: item c is not in the table of items"),
        (
            EVENTS + "u1,b,10\n",
            "e.csv, line 5: user u1 and item b and time 10 again, first on line 3: 1 such rows, or pass",
        ),
        (EVENTS.encode() + b"u\xe9,a,1\n", "e.csv, line 5: byte 0xe9 is not utf-8-sig text"),
        (EVENTS + 'u3,"a,1\n', "e.csv, line 5: not a table separated by ','"),
        ('user,item,time\n"two\nlines",a,1\n"u3",c,1\n', "e.csv, line 4: item c is not in the table"),
    ],
)
def test_bad_interactions_are_named_by_file_and_line(events, message):
    with pytest.raises(ValueError, match=message):
        own(events)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("id,title\na,First\n", "i.csv, line 1: column 'attributes' is missing"),
        ("id,attributes\n", "i.csv: no items"),
        (ITEMS + "c,Third, | ,\n", "i.csv, line 4: item c has no attribute .or pass unlabelled='keep'"),
        (ITEMS + "a,First again,x,\n", "i.csv, line 4: item a again, first on line 2"),
        (ITEMS + ",Third,x,\n", "i.csv, line 4: the item has no id"),
        (ITEMS + "c,Third\n", "i.csv, line 4: 2 fields, expected 4"),
    ],
)
def test_bad_items_are_named_by_file_and_line(items, message):
    with pytest.raises(ValueError, match=message):
        own(items=items)


def test_duplicates_can_be_dropped_or_kept():
    twice = EVENTS + "u1,b,10\n"
    assert len(own(twice, duplicates="drop")) == 3
    assert len(own(twice, duplicates="keep")) == 4
    assert len(own(EVENTS + "u1,b,11\n")) == 4  # at another time it is no duplicate


def test_items_without_attributes_can_be_kept():
    inter = own(items=ITEMS + "c,Third,,\n", unlabelled="keep")
    assert inter.attributes.sum(1).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "klingon"}, "encoding='klingon': unknown"),
        ({"sep": "::"}, "sep='::': expected one character"),
        ({"duplicates": "merge"}, "duplicates: 'merge', expected one of error, drop, keep"),
        ({"columns": {"users": "u"}}, "columns: 'users', expected one of user, item"),
        ({"columns": {"time": "when"}}, "e.csv, line 1: column 'when' is missing"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        own(**options)


HEARD = "user\tsong\ttimestamp\nu\ts1\t2019-02-20 12:28\nu\ts2\t2019-02-20 12:30\nu\ts1\t2019-02-20 12:28\n"
GENRES = "id\tgenres\n" + "".join(f"s{i}\trock,pop\n" for i in range(1, 250)) + "s250\tpolka, rock\n"
TOLD = 'id\tartist\tsong\talbum_name\ns1\tThe Band\tA Song\tAn Album\ns2\tTwo\tOther\t""\n'


def tracks(heard=HEARD, genres=GENRES, told=TOLD):
    files = {"listening_history.csv": heard, "id_genres.csv": genres, "id_information.csv": told}
    return parsers.music4all({name: Raw(name, text.encode(), "ask again") for name, text in files.items()})


def test_music4all_keeps_every_event_the_common_genres_and_the_titles_that_it_knows():
    inter = tracks()
    assert inter.items["id"][inter.item].tolist() == ["s1", "s1", "s2"]
    assert (inter.time[2] - inter.time[0], inter.n_items) == (120, 250)
    assert inter.attribute_names == ("pop", "rock")
    assert inter.attributes.sum(0).tolist() == [249, 250]
    titles = inter.items.set_index("id")["title"]
    assert titles[["s1", "s2", "s3"]].tolist() == ["The Band: A Song", "Two: Other", "s3"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heard": HEARD.replace("\t", ",")}, "listening_history.csv, line 1: column 'user' is missing"),
        (
            {"heard": HEARD + "u\ts9999\t2019-02-20 12:28\n"},
            "history.csv, line 5: item s9999 is not in the table of items",
        ),
        ({"genres": GENRES.replace("genres", "tags", 1)}, "id_genres.csv, line 1: column 'genres' is missing"),
        ({"told": TOLD.replace("artist", "by", 1)}, "id_information.csv, line 1: column 'artist' is missing"),
    ],
)
def test_music4all_files_in_another_form_are_named(change, message):
    with pytest.raises(ValueError, match=f"{message}.*; ask again$"):
        tracks(**change)


def people(users):
    files = {"ratings.dat": RATINGS, "movies.dat": MOVIES, "users.dat": users}
    return parsers.movielens_dat({n: Raw(n, t.encode("latin-1")) for n, t in files.items()})


def test_people_follow_their_users_through_every_cut():
    inter = people("3::F::1::0::1\n2::M::56::16::70072\n1::F::25::10::48067-12\n")
    assert inter.users.to_dict("list") == {"gender": ["F", "M"], "age": [25, 56], "occupation": [10, 16]}
    assert inter.rows(inter.user == 1).users["gender"].tolist() == ["M"]
    assert inter.among_users(inter.user == 1).users["gender"].tolist() == ["F", "M"]
    assert inter.with_items([2]).users["age"].tolist() == [56]
    assert dat().users is None


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ("1::F::25::10::48067\n", "users.dat: not each user once"),
        ("1::F::25::10::1\n2::M::56::16::1\n2::F::1::0::1\n", "users.dat: not each user once"),
        ("1::F::old::10::1\n2::M::56::16::1\n", "users.dat: age is not always a whole number"),
        ("1::F::25::10\n2::M::56::16\n", "users.dat, line 1: 4 fields, expected 5"),
        ("", "users.dat: the file is empty"),
    ],
)
def test_what_is_wrong_with_people_is_named(users, message):
    with pytest.raises(ValueError, match=message):
        people(users)
