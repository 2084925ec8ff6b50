import json

import pytest
from project import make, use

from recsae_book import editions, results, scoreboard, verify
from recsae_book.commands import main
from recsae_book.results import Result

ONE = Result(value=1.0, low=0.9, high=1.1, interval="95%", unit="ones", n=1, better="none")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The project with its published results, written as the notebook writes them."""
    root = use(make(tmp_path), monkeypatch)
    with editions.environment(RECSAE_EDITION="published"):
        results.write("01_first", {"toy/real/third": Result(value=2.0, unit="thirds", n=6, better="none")})
    scoreboard.write("published")
    return root


def tamper(root, old, new, names=("01_first.json", "scoreboard.json")):
    for name in names:
        path = root / "data/results/published" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


def test_true_results_pass_and_the_stored_ones_are_left_alone(root, capsys):
    before = {path: path.read_bytes() for path in (root / "data").rglob("*.json")}
    assert main(["verify", "published"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["toy/real/third", "2", "2"]
    assert lines[2].startswith("1 results, 0 differ")
    assert {path: path.read_bytes() for path in (root / "data").rglob("*.json")} == before


def test_a_changed_number_fails_and_is_named(root, capsys):
    tamper(root, '"value": 2.0', '"value": 2.01')
    assert main(["verify", "published", "toy/real/third"]) == 1
    assert "toy/real/third          2.01             2  value differ" in capsys.readouterr().out


def test_a_change_below_a_thousandth_passes(root):
    tamper(root, '"value": 2.0', '"value": 2.001')
    assert verify.verify() == 0


def test_a_key_that_no_notebook_computes_any_more_fails(root, capsys):
    (root / "notebooks/01_first.py").write_text(
        (root / "notebooks/01_first.py").read_text().replace("/third", "/other")
    )
    assert verify.verify() == 1
    out = capsys.readouterr().out
    assert "not recomputed" in out
    assert "not stored" in out


def test_a_scoreboard_that_is_not_the_union_fails(root, capsys):
    tamper(root, '"value": 2.0', '"value": 3.0', ["scoreboard.json"])
    assert verify.verify() == 1
    assert "toy/real/third: scoreboard.json differs from its notebook's file" in capsys.readouterr().out


def test_a_notebook_that_fails_is_shown_with_its_error(root, capsys):
    source = root / "notebooks/01_first.py"
    source.write_text(source.read_text().replace("n / 3", "n / 0"))
    assert verify.verify() == 1
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_training_is_not_allowed(root, capsys):
    source = root / "notebooks/01_first.py"
    source.write_text(source.read_text().replace(' tags=["skip-verify"]', ""))
    assert verify.verify() == 1
    assert "this cell trains" in capsys.readouterr().out


def test_what_needs_training_is_left_out_by_name(root, capsys):
    profiles = root / "book/profiles.yml"
    profiles.write_text(profiles.read_text().replace("{n: 6, who: real}", "{n: 6, who: real}, committed: false"))
    tamper(root, '"value": 2.0', '"value": 9.0')  # nobody looks
    assert verify.verify() == 0
    out = capsys.readouterr().out
    assert "1 results of 01_first need training" in out and "0 results, 0 differ" in out


def test_a_value_that_takes_training_is_left_out_whether_or_not_it_is_computed(root, capsys):
    tamper(root, '"unit": "thirds"', '"unit": "thirds", "training": true')
    tamper(root, '"value": 2.0', '"value": 9.0')  # nobody looks
    assert verify.verify() == 0
    assert "1 results of 01_first need training" in capsys.readouterr().out


def test_an_unknown_key_is_an_error(root, capsys):
    assert main(["verify", "published", "toy/real/fourth"]) == 2
    assert "toy/real/fourth: no such result" in capsys.readouterr().err


def test_absent_data_has_an_exit_code_of_its_own(root, capsys, monkeypatch):
    monkeypatch.delenv("RECSAE_DATA", raising=False)
    book, profiles = root / "book/artifacts.yml", root / "book/profiles.yml"
    book.write_text(book.read_text().replace("datasets:", "datasets:\n  ml-1m: {source: ml-1m}"))
    book.write_text(book.read_text() + "  ml-1m/popular: {kind: recommender, model: most-popular}\n")
    profiles.write_text(
        profiles.read_text().replace("{n: 6, who: real}", "{n: 6, who: real}, artifacts: [ml-1m/popular]")
    )
    assert main(["verify", "published"]) == verify.NO_DATA
    assert "ml-1m is not at hand" in capsys.readouterr().out


def test_a_notebook_without_its_data_is_left_out_and_the_others_are_compared(root, capsys, monkeypatch):
    monkeypatch.delenv("RECSAE_DATA", raising=False)
    book, profiles = root / "book/artifacts.yml", root / "book/profiles.yml"
    book.write_text(book.read_text().replace("datasets:", "datasets:\n  ml-1m: {source: ml-1m}"))
    book.write_text(book.read_text() + "  ml-1m/popular: {kind: recommender, model: most-popular}\n")
    profiles.write_text(profiles.read_text() + "    02_second: {artifacts: [ml-1m/popular]}\n")
    with editions.environment(RECSAE_EDITION="published"):
        results.write("02_second", {"toy/second/one": Result(value=9.0, unit="ones", n=1, better="none")})
    scoreboard.write("published")
    assert main(["verify", "published"]) == 0
    said = capsys.readouterr().out
    assert "02_second is left out: ml-1m is not at hand" in said and "1 results, 0 differ" in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"value": 1.0009}, []),
        ({"value": 1.0011, "high": 1.2}, ["value", "high"]),
        ({"low": None, "high": None}, ["low", "high"]),
    ],
)
def test_value_low_and_high_are_compared(change, expected):
    assert verify.differences(ONE, Result(**json.loads(ONE.model_dump_json()) | change)) == expected
