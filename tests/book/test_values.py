"""The role and the tables that read the published results: what they print, what they refuse, what reaches a page."""

import json
import shutil
from html.parser import HTMLParser

import book_values as values
import pytest
import yaml
from book_source import ROOT, build

EVIL = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


def result(value: float, low: float | None = None, high: float | None = None, **more) -> dict:
    plain = {
        "value": value,
        "low": low,
        "high": high,
        "interval": "" if low is None else "95%, bootstrap over items",
        "unit": "",
        "n": 18,
        "seeds": [0, 1, 2],
        "better": "higher",
        "against": None,
        "reference": None,
        "source": None,
        "comparable": True,
        "note": "",
        "notebook": "01_page",
        "artifacts": [],
    }
    return plain | more


BOARD = {
    "toy/sae/r": result(0.63049, 0.59, 0.67, against="toy/null/r", reference=0.6576, source="their notebook"),
    "toy/sae/never_above_0.1": result(52.0),
    "toy/null/r": result(0.58, 0.54, 0.62),
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("toy/sae/r:.3f", "0.630"),
        ("toy/sae/r", "0.630"),
        ("toy/sae/r.low:.2f", "0.59"),
        ("toy/sae/r.range:.2f", "0.59 to 0.67"),
        ("toy/sae/r.reference:.1%", "65.8%"),
        ("toy/sae/r.n:d", "18"),
        ("toy/sae/never_above_0.1", "52"),
        ("toy/sae/never_above_0.1:d", "52"),
        ("toy/sae/r.interval", "95%, bootstrap over items"),
        ("toy/sae/r.seeds", "0, 1, 2"),
    ],
)
def test_a_number_is_printed_as_asked(text, shown):
    assert values.quote(BOARD, text)[0] == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("toy/sea/r:.3f", r"no result 'toy/sea/r' .*near: toy/sae/r"),
        ("toy/sae/r.lwo", "no result 'toy/sae/r.lwo'"),
        ("toy/sae/never_above_0.1.low", "has no low"),
        ("toy/sae/r:d", "cannot be printed as 'd'"),
        ("toy/sae/r.interval:.3f", "cannot be printed as '.3f'"),
    ],
)
def test_what_is_not_there_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        values.quote(BOARD, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (49923.0, "49,923"), (0.63049, "0.630"), (90.53, "90.5"), (1234.56, "1,235"), (-0.5, "-0.500")],
)
def test_numbers_without_a_format_have_three_digits(value, text):
    assert values.number(value) == text


@pytest.mark.parametrize(
    ("ours", "null", "better", "says"),
    [
        ((0.6, 0.7), (0.4, 0.5), "higher", ("better than", False)),
        ((0.6, 0.7), (0.4, 0.6), "higher", ("not better than", True)),
        ((0.6, 0.7), (0.65, 0.8), "higher", ("not better than", True)),
        ((0.6, 0.7), (0.75, 0.8), "higher", ("worse than", True)),
        ((0.6, 0.7), (0.75, 0.8), "lower", ("better than", False)),
        ((0.6, 0.7), (0.4, 0.5), "lower", ("worse than", True)),
        ((0.6, 0.7), (0.4, 0.5), "none", ("no direction", False)),
        ((None, None), (0.4, 0.5), "higher", ("no verdict: an interval is missing", False)),
    ],
)
def test_the_verdict_is_a_matter_of_intervals(ours, null, better, says):
    one = {"low": ours[0], "high": ours[1], "better": better}
    assert values.verdict(one, {"low": null[0], "high": null[1], "better": better}) == says


def test_a_metric_of_several_subjects_gets_a_table_of_its_own_best_first():
    board = {f"toy/{name}/r": result(v) for name, v in (("a", 0.1), ("b", 0.3), ("c", 0.2))}
    board |= {f"toy/{name}/loss": result(v, better="lower") for name, v in (("a", 2.0), ("b", 1.0), ("c", 3.0))}
    board["toy/a/dead"] = result(3.0)
    rest, r, loss = values.tables(board)
    assert rest == ("", {"toy/a/dead": board["toy/a/dead"]})
    assert list(r[1]) == ["toy/b/r", "toy/c/r", "toy/a/r"]
    assert list(loss[1]) == ["toy/b/loss", "toy/a/loss", "toy/c/loss"]


def test_rows_have_links_of_their_own():
    keys = ["a/b/c@5", "a/b/c@10", "a/b-c/d", "a/b/c-d.1"]
    assert len({values.anchor(key) for key in keys}) == len(keys)
    assert values.letters(0) == "a" and values.letters(25) == "z" and values.letters(26) == "aa"


class Tags(HTMLParser):
    """Start tags and text of the article."""

    def __init__(self, text: str):
        super().__init__()
        self.images: list[dict] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A book of two pages and a notebook, whose titles, notes and tables try to be more than text."""
    import nbformat
    import pandas as pd

    folder = tmp_path_factory.mktemp("toy")
    source = folder / "src"
    for name in ("_ext", "_static"):
        shutil.copytree(ROOT / "book" / name, source / "book" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "_config.yml", source)
    shutil.copy2(ROOT / "book" / "references.bib", source / "book")
    chapters = [{"file": "book/scoreboard"}, {"file": "notebooks/01_page"}]
    (source / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": "book/intro", "chapters": chapters}))
    (source / "book" / "intro.md").write_text(
        "# Toy\n\nWe find {val}`toy/sae/r:.3f`, {val}`toy/evil/r.unit`.\n\n```{scoreboard}\n:keys: toy/sae/*\n```\n"
    )
    (source / "book" / "scoreboard.md").write_text("# Board\n\n```{scoreboard}\n```\n")
    frame = pd.DataFrame({"title": [EVIL], "n": [1]})
    out = nbformat.v4.new_output("display_data", {"text/html": frame.to_html(), "text/plain": str(frame)})
    cells = [nbformat.v4.new_markdown_cell("# A page"), nbformat.v4.new_code_cell("frame", outputs=[out])]
    (source / "notebooks").mkdir()
    about = {"language_info": {"name": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=about), source / "notebooks" / "01_page.ipynb")
    board = source / values.SCOREBOARD
    board.parent.mkdir(parents=True)
    evil = result(0.5, note=EVIL, unit=EVIL, reference=0.4, source=EVIL, against="toy/null/r")
    board.write_text(json.dumps(BOARD | {"toy/evil/r": evil, f"toy/{EVIL.replace('/', '')}/r": result(0.1)}))
    done = build(source, folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder


def test_titles_and_notes_reach_a_page_as_text(book):
    for name in ("book/intro", "book/scoreboard", "notebooks/01_page"):
        text = (book / "_build" / "html" / f"{name}.html").read_text(encoding="utf-8")
        tags = Tags(text)
        assert [image for image in tags.images if image.get("src") == "x" or "onerror" in image] == []
        assert "<script>document.title" not in text
        assert "<img src=x" in tags.text, f"{name}: the title itself is gone"


@pytest.mark.browser
def test_a_title_runs_nothing_in_a_browser(book, page):
    for name in ("book/intro", "book/scoreboard", "notebooks/01_page"):
        page.open(book / "_build" / "html" / f"{name}.html")
        assert page.evaluate("document.title") != "taken"
        assert page.errors == []


def test_a_null_that_does_as_well_is_bold_and_every_table_has_a_caption(book):
    text = (book / "_build" / "html" / "book" / "intro.html").read_text(encoding="utf-8")
    assert "<strong>not better than null (0.580)</strong>" in text
    assert text.count("<caption>") == text.count("<table") > 0
    assert '<th class="stub">' in text


def test_the_page_follows_the_numbers_and_a_missing_one_stops_the_build(book):
    board = book / "src" / values.SCOREBOARD
    changed = json.loads(board.read_text())
    changed["toy/sae/r"]["value"] = 0.611
    board.write_text(json.dumps(changed))
    assert build(book / "src", book).returncode == 0
    assert "0.611" in (book / "_build" / "html" / "book" / "intro.html").read_text(encoding="utf-8")

    del changed["toy/sae/r"]
    board.write_text(json.dumps(changed))
    done = build(book / "src", book)
    assert done.returncode != 0
    assert "no result 'toy/sae/r'" in done.stderr and "near: " in done.stderr
