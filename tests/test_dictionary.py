"""The table of a dictionary: what is stored is what was found, and what is read is checked."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from recsae_book import artifacts, dictionary
from recsae_core.interpret.concepts import Concept, Evidence
from recsae_core.interpret.confidence import Confidence

EVIDENCE = tuple(Evidence("genre", f"term {t}", 12, 20, 4.123, 1.234e-5, 2.0) for t in range(6))
CONCEPTS = [
    Concept(0, "Comedies; 'star'", EVIDENCE, tuple(range(8)), 20, 50),
    Concept(1, "", (), (2, 1), 20, 40, "nothing in common beyond chance"),
    Concept(2, "", (), (), 0, 0, "never fires"),
    Concept(3, "Rare", EVIDENCE[:1], (5,), 4, 4),
]
RATE = np.array([0.123456, 0.01, 0.0, 0.001])


def confidence(m: int = 4) -> Confidence:
    count = np.full(m, 20)
    count[-1] = 2
    return Confidence(count, count, count * 17 // 20, count * 18 // 20, np.full(m, 0.9), np.ones(m, bool), 5)


@pytest.fixture
def world(monkeypatch):
    """Eight items: whole numbers as ids, one title that is a formula and one that is missing."""
    titles = ["=1+1", "<img src=x>", None, "", "d", "e", "f", "g"]
    items = pd.DataFrame({"id": range(100, 108), "title": titles})
    inter = SimpleNamespace(items=items)
    monkeypatch.setattr(artifacts, "interactions", lambda name: inter)
    monkeypatch.setattr(artifacts, "parts", lambda name: SimpleNamespace(train=inter))
    monkeypatch.setattr(artifacts, "at_hand", lambda name: name == "toy")
    return inter


def made(**more) -> dictionary.Table:
    return dictionary.table("a name", "toy", CONCEPTS, RATE, **({"confidence": confidence()} | more))


def test_a_row_says_what_was_found(world):
    first, nothing, silent, few = made(effect=np.array([0.2, -0.1, np.nan, 0.0])).rows
    assert (first.status, first.description, first.cases) == ("described", "Comedies; 'star'", 20)
    assert first.evidence[0] == ("term 0", 12, 4.1, 1.2e-5) and len(first.evidence) == dictionary.TERMS
    assert first.top_items == [100, 101, 102, 103, 104, 105]
    assert first.confidence == 0.875 and 0.6 < first.low < 0.875 < first.high < 1
    assert (first.firing_rate, first.effect) == (0.123, 0.2)
    assert (nothing.status, nothing.description, nothing.top_items) == ("nothing enriched", "", [102, 101])
    assert (silent.status, silent.effect, silent.top_items) == ("never fires", None, [])
    assert few.status == "described" and few.confidence is None and few.low is None


def test_what_was_not_measured_is_none(world):
    assert {(row.confidence, row.effect) for row in made(confidence=None).rows} == {(None, None)}


def test_arrays_of_another_length_are_named(world):
    with pytest.raises(ValueError, match="an array has 3 values: expected 4, one a latent"):
        made(effect=np.zeros(3))
    with pytest.raises(ValueError, match="an array has 5 values"):
        made(confidence=confidence(5))


def test_both_forms_say_the_same_and_come_back(world, tmp_path):
    table = made(effect=np.array([0.2, -0.1, np.nan, 0.0]))
    dictionary.export(tmp_path / "a.csv", tmp_path / "a.json", table)
    assert dictionary.read(tmp_path / "a.json") == table
    frame = pd.read_csv(tmp_path / "a.csv")
    assert list(frame.columns) == list(dictionary.COLUMNS)
    assert frame["confidence"].isna().tolist() == [row.confidence is None for row in table.rows]
    np.testing.assert_allclose(frame["firing_rate"], [row.firing_rate for row in table.rows])
    assert frame["evidence"][0].startswith("term 0: 12 of 20, 4.1 expected, q=1.2e-05; term 1")
    assert frame["top_items"][1] == "102 | 101"


def test_titles_are_joined_where_they_are_known_and_are_never_a_formula(world, tmp_path):
    names = dictionary.titles("toy")
    assert names == {100: "=1+1", 101: "<img src=x>", 104: "d", 105: "e", 106: "f", 107: "g"}
    assert dictionary.titles("elsewhere") == {}
    table = made()
    dictionary.export(tmp_path / "a.csv", tmp_path / "a.json", table, names)
    with (tmp_path / "a.csv").open(newline="") as file:
        cells = [row["top_items"] for row in csv.DictReader(file)]
    assert cells[0] == "'=1+1 | <img src=x> | 102 | 103 | d | e"
    assert "img" not in (tmp_path / "a.json").read_text()
    assert dictionary.read(tmp_path / "a.json") == table


def test_a_dictionary_of_the_paper_stays_small(world, tmp_path):
    text = "Adventure and Fantasy; from the 1980s; rather popular items"
    rows = [Concept(j, text, EVIDENCE, tuple(range(8)), 20, 9) for j in range(1024)]
    table = dictionary.table("n", "toy", rows, np.full(1024, 0.0123), confidence=confidence(1024))
    dictionary.write(tmp_path / "a.json", table)
    assert (tmp_path / "a.json").stat().st_size < 300_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["rows"][0].__setitem__(0, "0"), r"a\.json: row 0: latent: Input should be a valid integer"),
        (lambda d: d["rows"][0].__setitem__(2, ""), "row 0: .*expected a description with evidence"),
        (lambda d: d["rows"][0].__setitem__(5, 1.5), "row 0: confidence: .*less than or equal to 1"),
        (lambda d: d["rows"][0].__setitem__(6, 0.99), "row 0: .*expected it between low=0.99"),
        (lambda d: d["rows"][1].pop(), "row 1: expected latent, status"),
        (lambda d: d["columns"].pop(), "columns: expected latent, status"),
        (lambda d: d["rows"][0][4].__setitem__(0, ["Drama", 1]), "row 0: evidence.0"),
        (lambda d: d.pop("dataset"), "dataset: Field required"),
        (lambda d: d.__setitem__("more", 1), "more: Extra inputs are not permitted"),
    ],
)
def test_a_file_that_was_changed_is_refused_by_name(world, tmp_path, change, message):
    path = tmp_path / "a.json"
    dictionary.write(path, made())
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    with pytest.raises(ValueError, match=message):
        dictionary.read(path)
