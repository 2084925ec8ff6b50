"""The published book as a reader meets it: every page opened from the disk in a browser."""

import hashlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from book_source import documents

PAGES = documents()
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
WIDE = """
[...document.querySelectorAll('.bd-article *')]
  .filter(e => e.getBoundingClientRect().right > 425 && !e.closest('pre, table, .math'))
  .map(e => e.outerHTML.slice(0, 120))
"""
STILL = "document.head.insertAdjacentHTML('beforeend', '<style>* {transition: none !important}</style>')"


class Resources(HTMLParser):
    """What a page makes the browser fetch."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        kind = given.get("rel") or ""
        if tag in ("script", "img", "iframe", "source", "video", "audio", "embed"):
            self.found.append(given.get("src") or "")
        elif tag == "link" and any(word in kind for word in ("stylesheet", "preload", "icon", "preconnect")):
            self.found.append(given.get("href") or "")


def test_every_page_of_the_contents_is_built(html):
    assert [name for name in PAGES if not (html / f"{name}.html").is_file()] == []
    assert (html / "index.html").is_file()


def test_no_page_names_an_outside_resource(html):
    for path in html.rglob("*.html"):
        parser = Resources()
        parser.feed(path.read_text(encoding="utf-8"))
        assert [url for url in parser.found if "//" in url] == [], path


def test_mathjax_is_the_vendored_file(html):
    text = (html / "book" / "chapters" / "seqrec.html").read_text(encoding="utf-8")
    assert "_static/vendor/mathjax/tex-svg.js" in text
    note = (html / "_static" / "vendor" / "mathjax" / "VERSION").read_text()
    script = (html / "_static" / "vendor" / "mathjax" / "tex-svg.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() in note


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_in_order_in_both_themes_and_on_a_telephone(name: str, html: Path, page):
    page.open(html / f"{name}.html", 1280)
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("!!document.querySelector('#pst-skip-link, .skip-link')")

    images = page.evaluate("[...document.querySelectorAll('.bd-article img')].map(i => [i.alt, i.src, i.naturalWidth])")
    for alt, source, width in images:
        file = source.rsplit("/", 1)[-1]
        assert len(alt.split()) >= 3 and Path(file).stem not in alt, f"alt text {alt!r} of {file}"
        assert width > 0, f"{file} is not shown"
    drawings = page.evaluate("document.querySelectorAll('.bd-article svg.split-picture').length")
    titled = page.evaluate("document.querySelectorAll('.bd-article svg[role=img][aria-labelledby] > title').length")
    assert drawings == titled == int(name == "book/intro")

    raw = "[...document.querySelectorAll('.bd-article .math')].filter(m => !m.querySelector('mjx-container')).length"
    assert page.evaluate(raw) == 0
    assert page.evaluate("document.querySelectorAll('mjx-merror, [data-mjx-error]').length") == 0

    page.evaluate(STILL)
    for _ in range(3):
        page.evaluate("document.querySelector('.theme-switch-button').click()")
        assert page.evaluate(CONTRAST) == [], page.evaluate("document.documentElement.dataset.theme")

    page.resize(420)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 420, page.evaluate(WIDE)


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
