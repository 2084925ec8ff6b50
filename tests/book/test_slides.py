"""The decks: made from the sources of the book, and in order in a browser."""

import sys
import time
from pathlib import Path

import pytest
from book_source import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import book_slides

DECKS = sorted(path.stem for path in (ROOT / "book" / "slides").glob("*.md"))
NUMBERS = {"a/b/c": {"value": 0.5}}
DEEPEST = """
Math.max(
  ...[...Reveal.getCurrentSlide().children].filter(e => e.tagName != "ASIDE").map(e => e.offsetTop + e.offsetHeight)
)
"""
PICTURES = {"fig-a": book_slides.Figure(b"", 'a "quoted" picture', "A caption.")}


def test_a_slide_has_numbers_figures_formulas_and_notes_and_no_foreign_markup():
    used: set[str] = set()
    source = "## A <b>title</b>\n\n{val}`a/b/c:.2f`\n\n{fig}`fig-a`\n\n$a < b$\n\nNote: Say *this*."
    out = book_slides.slide(source, NUMBERS, PICTURES, used)
    assert "0.50" in out and r"\(a &lt; b\)" in out and "&lt;b&gt;" in out
    assert 'alt="a &quot;quoted&quot; picture"' in out and used == {"fig-a"}
    assert '<aside class="notes"><p>Say <em>this</em>.</p>' in out


@pytest.mark.parametrize("source", ["{val}`a/b/d`", "{fig}`fig-b`"])
def test_an_unknown_number_or_figure_is_an_error_that_names_it(source: str):
    with pytest.raises(ValueError, match=r"a/b/d|fig-b"):
        book_slides.slide(source, NUMBERS, PICTURES, set())


def test_a_deck_begins_with_its_title():
    assert book_slides.split("# A deck\n\n---\n\n## Next") == ("A deck", ["# A deck", "## Next"])
    with pytest.raises(ValueError, match="heading of the first level"):
        book_slides.split("## No title")


def test_there_is_a_deck_for_each_of_six_weeks_and_the_syllabus_links_them(html: Path):
    syllabus = (html / "book" / "teaching" / "syllabus.html").read_text(encoding="utf-8")
    assert len(DECKS) == 6
    for name in DECKS:
        assert f'href="../../slides/{name}.html"' in syllabus
        assert (html / "slides" / f"{name}.html").is_file()


@pytest.mark.browser
@pytest.mark.parametrize("name", DECKS)
def test_a_deck_is_in_order(name: str, html: Path, page):
    page.open(html / "slides" / f"{name}.html", 1280)
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.evaluate("[...document.images].filter(i => !i.naturalWidth || i.alt.split(' ').length < 4).length") == 0
    count = page.evaluate("Reveal.getTotalSlides()")
    assert count >= 8
    for i in range(count):
        page.evaluate(f"Reveal.slide({i})")
        time.sleep(0.03)
        assert page.evaluate(DEEPEST) <= 720, f"slide {i + 1} is too full"
    page.evaluate("Reveal.slide(0)")
    page.evaluate(
        "document.dispatchEvent(new KeyboardEvent('keydown', {keyCode: 39, key: 'ArrowRight', bubbles: true}))"
    )
    assert page.evaluate("Reveal.getIndices().h") == 1
