import hashlib
import io
import json
import time
import warnings
import zipfile

import pytest
from requirements import needs

from recsae_core.data import sources

RATINGS, MOVIES = b"1::10::5::300\n1::20::3::100\n", b"10::Heat (1995)::Crime|Action\n20::Am\xe9lie (2001)::Comedy\n"
buffer = io.BytesIO()
with zipfile.ZipFile(buffer, "w") as opened:
    opened.writestr("tiny/ratings.dat", RATINGS)
    opened.writestr("tiny/movies.dat", MOVIES)
ARCHIVE = buffer.getvalue()
URL = "http://127.0.0.1:9/tiny.zip"  # nobody listens there


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A registry with one more source, an empty $RECSAE_DATA and an empty cache; the folder of both."""
    entry = {"title": "Tiny", "parser": "movielens_dat", "licence": "none", "folders": ("tiny", "tiny-1"), "url": URL}
    entry["files"] = {name: hashlib.md5(text).hexdigest() for name, text in files().items()}
    entry["sha256"] = hashlib.sha256(ARCHIVE).hexdigest()
    known = {**sources.registry(), "tiny": sources.Source(**entry)}
    monkeypatch.setattr(sources, "registry", lambda: known)
    for variable in ("RECSAE_DATA", "RECSAE_CACHE"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path


def files():
    return {"ratings.dat": RATINGS, "movies.dat": MOVIES}


def put(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (files() | {k.replace("_", "."): v for k, v in changes.items()}).items():
        if text is not None:
            (folder / name).write_bytes(text)


def quietly(name, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return sources.load(name, **options)


def test_official_files_are_exact_and_said_so(tiny):
    put(tiny / "RECSAE_DATA" / "tiny-1")
    inter = quietly("tiny")
    assert len(inter) == 2
    assert inter.provenance["exact"] is True
    assert inter.provenance["files"]["ratings.dat"]["md5"] == hashlib.md5(RATINGS).hexdigest()
    assert str(tiny) not in json.dumps(inter.provenance)


def test_a_file_that_differs_is_used_with_a_warning_and_recorded(tiny):
    put(tiny / "RECSAE_DATA" / "tiny", ratings_dat=RATINGS + b"2::10::1::5\n")
    with pytest.warns(UserWarning, match="tiny: ratings.dat differs from the official release") as caught:
        inter = sources.load("tiny")
    assert str(tiny) not in str(caught[0].message)
    assert len(inter) == 3
    assert inter.provenance["exact"] is False
    assert {name: file["exact"] for name, file in inter.provenance["files"].items()} == {
        "ratings.dat": False,
        "movies.dat": True,
    }


@pytest.mark.parametrize("place", ["RECSAE_DATA/tiny.zip", "RECSAE_DATA/tiny-1/tiny.zip", "RECSAE_CACHE/data/tiny.zip"])
def test_an_archive_is_read_where_it_lies(tiny, place):
    (tiny / place).parent.mkdir(exist_ok=True)
    (tiny / place).write_bytes(ARCHIVE)
    assert quietly("tiny").provenance["exact"] is True
    assert sorted(file.name for file in (tiny / place).parent.iterdir()) == ["tiny.zip"]


def test_the_users_folder_comes_before_the_cache(tiny):
    put(tiny / "RECSAE_DATA" / "tiny", ratings_dat=b"7::10::5::300\n")
    (tiny / "RECSAE_CACHE" / "data").mkdir()
    (tiny / "RECSAE_CACHE" / "data" / "tiny.zip").write_bytes(ARCHIVE)
    with pytest.warns(UserWarning, match="differs"):
        assert sources.load("tiny").user_ids.tolist() == [7]


def test_nothing_anywhere_and_no_network(tiny, monkeypatch):
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ValueError, match=r"tiny.zip: cannot be downloaded .* fetch it by hand .*RECSAE_DATA"):
        sources.load("tiny")
    monkeypatch.delenv("RECSAE_DATA")
    with pytest.raises(ValueError, match=r"tiny.zip: cannot be downloaded"):
        sources.load("tiny")


def test_a_missing_file_is_named_with_the_remedy(tiny):
    put(tiny / "RECSAE_DATA" / "tiny", movies_dat=None)
    with pytest.raises(ValueError, match=f"tiny: movies.dat missing; take it from {URL}, or rename the folder"):
        sources.load("tiny")


def test_a_bad_line_is_named_with_file_and_remedy(tiny):
    put(tiny / "RECSAE_DATA" / "tiny", ratings_dat=RATINGS + b"2::10::1\n")
    with pytest.raises(ValueError, match=f"tiny/ratings.dat, line 3: 3 fields.*; replace it with the file of {URL}"):
        sources.load("tiny")


def test_a_truncated_archive_of_the_user_is_named(tiny):
    (tiny / "RECSAE_DATA" / "tiny.zip").write_bytes(ARCHIVE[:-40])
    with pytest.raises(ValueError, match=r"RECSAE_DATA/tiny.zip: truncated or corrupt archive .*; delete it"):
        sources.load("tiny")


def test_a_data_folder_that_is_not_there_is_an_error(tiny, monkeypatch):
    monkeypatch.setenv("RECSAE_DATA", str(tiny / "nowhere"))
    with pytest.raises(ValueError, match=r"RECSAE_DATA=.*nowhere: no such folder"):
        sources.load("tiny")


def test_csv_from_paths_with_provenance(tmp_path):
    (tmp_path / "e.csv").write_text("user,item,time\n1,10,5\n1,20,4\n")
    (tmp_path / "i.csv").write_text("id,title,attributes\n10,Ten,x\n20,Twenty,y\n")
    inter = sources.load("csv", interactions=tmp_path / "e.csv", items=str(tmp_path / "i.csv"))
    assert inter.items["title"][inter.item].tolist() == ["Twenty", "Ten"]
    assert list(inter.provenance["files"]) == ["e.csv", "i.csv"]
    assert str(tmp_path) not in json.dumps(inter.provenance)
    with pytest.raises(ValueError, match=r"nothing.csv: cannot be read \(No such file"):
        sources.load("csv", interactions=tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ml-1b", {}, "source 'ml-1b': expected one of planted, csv, ml-1m"),
        ("ml-1m", {"length": 3}, "source 'ml-1m' has no option length: expected none"),
        ("planted", {"planets": 3}, "source 'planted' has no option planets: expected users, "),
        ("csv", {"path": "x"}, "source 'csv' has no option path: expected interactions, items"),
        ("csv", {}, "source 'csv': expected interactions=PATH"),
    ],
)
def test_unknown_names_and_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        sources.load(name, **options)


def test_the_planted_world_is_a_source():
    inter = sources.load("planted", users=50, seed=3)
    assert inter.n_users == 50
    assert inter.provenance["source"] == "planted"


def test_every_entry_of_the_registry_can_be_read_and_checked():
    for name, source in sources.registry().items():
        assert name in source.folders or source.parser in ("planted", "csv")
        if source.url:
            assert source.url.endswith(f"/{source.folders[0]}.zip")
            assert len(source.sha256) == 64
            assert all(md5 is None or len(md5) == 32 for md5 in source.files.values())


def test_data_that_nobody_may_pass_on_are_asked_for_with_the_address(tiny):
    with pytest.raises(
        ValueError, match=r"Music4All: no folder music4all with listening_history.csv, .* on request, see"
    ):
        sources.load("music4all")
    (tiny / "RECSAE_DATA" / "music4all").mkdir()
    (tiny / "RECSAE_DATA" / "music4all" / "id_genres.csv").write_text("id\tgenres\n")
    with pytest.raises(ValueError, match=r"listening_history.csv, id_information.csv missing; take it from https://"):
        sources.load("music4all")


@pytest.mark.data
def test_movielens_1m():
    needs("data")
    start = time.perf_counter()
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        inter = sources.load("ml-1m")
    assert time.perf_counter() - start < 10  # .7 s on a quiet machine
    assert (len(inter), inter.n_users, inter.n_items) == (1_000_209, 6_040, 3_883)
    assert len(set(inter.item.tolist())) == 3_706
    counts = "503 283 105 251 1200 211 127 1603 68 44 343 114 106 471 276 492 143 68"  # of the official movies
    assert inter.attributes.sum(0).tolist() == [int(count) for count in counts.split()]
    assert inter.attribute_names[3] == "Children's"
    assert inter.provenance["files"]["movies.dat"]["exact"] is True


def test_settings_fill_in_the_laws_of_a_generated_world_and_leave_other_options_alone():
    from dataclasses import asdict

    from recsae_core.data.planted import World

    assert sources.settings("planted", seed=3) == asdict(World(seed=3))
    assert sources.settings("csv", sep=";") == {"sep": ";"}
    with pytest.raises(ValueError, match="sead"):
        sources.settings("planted", sead=3)


def test_files_that_need_not_be_there_are_read_where_they_are(tiny, monkeypatch):
    users = b"1::F::25::10::48067\n"
    known = dict(sources.registry())
    known["tiny"] = known["tiny"].model_copy(update={"more": {"users.dat": hashlib.md5(users).hexdigest()}})
    monkeypatch.setattr(sources, "registry", lambda: known)
    put(tiny / "RECSAE_DATA" / "tiny")
    assert quietly("tiny").users is None
    put(tiny / "RECSAE_DATA" / "tiny", users_dat=users)
    inter = quietly("tiny")
    assert inter.users["age"].tolist() == [25] and inter.provenance["files"]["users.dat"]["exact"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        for name, text in (files() | {"users.dat": users}).items():
            opened.writestr(f"tiny/{name}", text)
    for name in (*files(), "users.dat"):
        (tiny / "RECSAE_DATA" / "tiny" / name).unlink()
    (tiny / "RECSAE_DATA" / "tiny.zip").write_bytes(packed.getvalue())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert sources.load("tiny").users["gender"].tolist() == ["F"]
