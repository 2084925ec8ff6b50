import json

import numpy as np
import pytest
from pydantic import ValidationError

from recsae_book import results, scoreboard
from recsae_book.results import Result

ONE = {"value": 0.12345678, "unit": "ndcg@10", "n": 604, "better": "higher"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSAE_ROOT", str(tmp_path))
    for name in ("RECSAE_RESULTS", "RECSAE_EDITION"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_each_edition_has_its_folder(root, monkeypatch):
    assert results.folder() == root / "runs" / "results"
    assert results.folder("published") == root / "data" / "results" / "published"
    monkeypatch.setenv("RECSAE_EDITION", "planted")
    assert results.folder() == root / "_build" / "planted" / "results"
    monkeypatch.setenv("RECSAE_RESULTS", str(root / "mine"))
    assert results.folder() == root / "mine"
    assert results.folder("published") == root / "data" / "results" / "published"


def test_written_results_come_back_rounded_and_named(root):
    results.write("02_base", {"seqrec/base/ndcg@10": Result(**ONE, low=0.1, high=0.2, interval="95%")})
    found = results.read(results.folder() / "02_base.json")["seqrec/base/ndcg@10"]
    assert (found.value, found.low, found.high) == (0.123457, 0.1, 0.2)
    assert found.notebook == "02_base"


def test_the_same_results_are_the_same_bytes_in_any_order(root):
    a, b = Result(**ONE), Result(**ONE | {"value": 1e-9})
    path = results.folder() / "01_x.json"
    results.write("01_x", {"p/a/m": a, "p/b/m": b})
    first = path.read_bytes()
    results.write("01_x", {"p/b/m": b, "p/a/m": a})
    assert path.read_bytes() == first


def test_the_scoreboard_is_the_union(root):
    results.write("02_y", {"p/b/m": Result(**ONE, against="p/a/m")})
    results.write("01_x", {"p/a/m": Result(**ONE)})
    scoreboard.write()
    assert list(scoreboard.stored()) == ["p/a/m", "p/b/m"]
    assert scoreboard.faults() == []
    results.write("01_x", {"p/c/m": Result(**ONE)})
    assert scoreboard.faults() == [
        "p/a/m: in scoreboard.json but in no notebook's file",
        "p/b/m: against p/a/m, which no notebook writes",
        "p/c/m: missing from scoreboard.json",
    ]


def test_a_changed_number_in_the_scoreboard_is_found(root):
    results.write("01_x", {"p/a/m": Result(**ONE)})
    path = scoreboard.write()
    path.write_text(path.read_text().replace("0.123457", "0.2"))
    assert scoreboard.faults() == ["p/a/m: scoreboard.json differs from its notebook's file"]


def test_a_key_of_two_notebooks_is_an_error_that_names_both(root):
    for notebook in ("01_x", "02_y"):
        results.write(notebook, {"p/a/m": Result(**ONE)})
    with pytest.raises(ValueError, match="p/a/m is written by both 01_x and 02_y"):
        scoreboard.write()


@pytest.mark.parametrize("key", ["ndcg", "a/b", "a/b/c/d", "a//c", "a/b/c "])
def test_a_key_has_three_parts(root, key):
    with pytest.raises(ValueError, match="expected paper/subject/metric"):
        results.write("01_x", {key: Result(**ONE)})
    assert not results.folder().exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": float("nan")}, "finite"),
        ({"low": 0.1}, "expected both or neither"),
        ({"low": 0.2, "high": 0.1, "interval": "95%"}, "low=0.2 is above high=0.1"),
        ({"low": 0.1, "high": 0.2}, "interval is empty"),
        ({"reference": 0.1}, "reference and source"),
        ({"better": "up"}, "higher"),
        ({"n": 0}, "greater than or equal to 1"),
        ({"seed": 1}, "seed"),
    ],
)
def test_a_result_that_says_too_little_or_nonsense_is_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        Result(**ONE | change)


def test_a_damaged_file_is_named(root):
    path = results.folder() / "01_x.json"
    results.write("01_x", {"p/a/m": Result(**ONE)})
    path.write_text(json.dumps({"p/a/m": {"value": 1}}))
    with pytest.raises(ValueError, match=r"01_x\.json: p/a/m: .*unit"):
        scoreboard.union()
    path.write_text("{")
    with pytest.raises(ValueError, match=r"01_x\.json, line 1: not valid JSON"):
        scoreboard.union()


def test_no_scoreboard_says_how_to_make_one(root):
    with pytest.raises(ValueError, match="make edition"):
        scoreboard.stored()


def test_numpys_numbers_are_welcome():
    found = Result(value=np.float32(0.5), unit="x", n=np.int64(3), seeds=list(np.arange(2)), better="none")
    assert (type(found.value), type(found.n), found.seeds) == (float, int, [0, 1])
