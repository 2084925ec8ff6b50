"""The published book as a reader meets it: pages opened from the disk in a browser, every second one here."""

import hashlib
from pathlib import Path

import pytest
from book_source import documents
from visit import STILL, visit

PAGES = documents()


def test_every_page_of_the_contents_is_built(html):
    assert [name for name in PAGES if not (html / f"{name}.html").is_file()] == []
    assert (html / "index.html").is_file()


def test_mathjax_is_the_vendored_file(html):
    text = (html / "book" / "chapters" / "seqrec.html").read_text(encoding="utf-8")
    assert "_static/vendor/mathjax/tex-svg.js" in text
    note = (html / "_static" / "vendor" / "mathjax" / "VERSION").read_text()
    script = (html / "_static" / "vendor" / "mathjax" / "tex-svg.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() in note


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES[::2])
def test_a_page_is_in_order_in_both_themes_and_on_a_telephone(name: str, html: Path, page):
    visit(name, html, page)


@pytest.mark.browser
def test_the_switch_reaches_the_dark_theme_and_changes_the_page(html, page):
    page.open(html / "book" / "intro.html", 1280)
    page.evaluate(STILL)
    seen = {}
    for _ in range(3):
        page.evaluate("document.querySelector('.theme-switch-button').click()")
        theme = page.evaluate("document.documentElement.dataset.theme")
        seen[theme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert set(seen) == {"light", "dark"}
    assert seen["light"] != seen["dark"]


@pytest.mark.browser
def test_a_number_of_the_text_leads_to_its_row(html, page):
    page.open(html / "book" / "chapters" / "seqrec.html")
    targets = page.evaluate("[...document.querySelectorAll('a.val')].map(a => a.getAttribute('href'))")
    assert targets
    page.open(html / "book" / "scoreboard.html")
    for target in targets:
        anchor = target.split("#")[1]
        assert page.evaluate(f"!!document.getElementById({anchor!r})?.closest('tr')"), target
