"""The published book as a reader meets it: every page opened from the disk in a browser."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import documents

PAGES = documents()
CONTRAST = """
(() => {
  const parse = c => {
    const n = c.match(/[\\d.]+/g).map(Number), unit = c.startsWith('color(') ? 255 : 1;
    return [n[0] * unit, n[1] * unit, n[2] * unit, n.length > 3 ? n[3] : 1];
  };
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > .5) return c; }
    return [255, 255, 255, 1]; };
  const what = 'figcaption, figcaption p, caption, .bd-article > section p, th, td, a.reference, span.val, pre, h1, h2, .step, .lane';
  return [...document.querySelectorAll(what)].filter(e => e.closest('.bd-article') && e.textContent.trim() && e.getClientRects().length).map(e => {
    const style = getComputedStyle(e), color = parse(e instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(color), light(behind(e))].sort((x, y) => y - x);
    return [(a + .05) / (b + .05), e.tagName + '.' + (e.getAttribute('class') || '') + ': ' + e.textContent.trim().slice(0, 40)];
  }).filter(([ratio]) => ratio < 4.5);
})()
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
    import hashlib

    script = (html / "_static" / "vendor" / "mathjax" / "tex-svg.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() in note


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_in_peace(name: str, html: Path, page):
    page.open(html / f"{name}.html", 1280)
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("!!document.querySelector('#pst-skip-link, .skip-link')")

    images = page.evaluate(
        "[...document.querySelectorAll('.bd-article img')].map(i => [i.getAttribute('alt') || '', i.src, i.naturalWidth])"
    )
    for alt, source, width in images:
        file = source.rsplit("/", 1)[-1]
        assert len(alt.split()) >= 3 and Path(file).stem not in alt, f"alt text {alt!r} of {file}"
        assert width > 0, f"{file} is not shown"
    assert page.evaluate(
        "[...document.querySelectorAll('.bd-article svg[role=img]:not(mjx-container svg)')].length"
    ) == (page.evaluate("document.querySelectorAll('.bd-article svg[aria-labelledby] > title').length"))

    raw = "[...document.querySelectorAll('.bd-article .math')].filter(m => !m.querySelector('mjx-container')).length"
    assert page.evaluate(raw) == 0
    assert page.evaluate("document.querySelectorAll('mjx-merror, [data-mjx-error]').length") == 0

    page.evaluate(STILL)
    for _ in range(3):
        page.evaluate("document.querySelector('.theme-switch-button').click()")
        theme = page.evaluate("document.documentElement.dataset.theme")
        assert theme in ("light", "dark")
        assert page.evaluate(CONTRAST) == [], theme


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
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_telephone(name: str, html: Path, page):
    page.open(html / f"{name}.html", 420, 800, "dark")
    wide = "[...document.querySelectorAll('.bd-article *')].filter(e => e.getBoundingClientRect().right > 430 && "
    wide += "!e.closest('pre, table, .math, mjx-container, .pst-scrollable-table-container, .text_html')).map(e => e.outerHTML.slice(0, 120))"
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 420, page.evaluate(wide)


@pytest.mark.browser
def test_a_number_of_the_text_leads_to_its_row(html, page):
    page.open(html / "book" / "chapters" / "seqrec.html")
    targets = page.evaluate("[...document.querySelectorAll('a:has(span.val)')].map(a => a.getAttribute('href'))")
    assert targets
    page.open(html / "book" / "scoreboard.html")
    for target in targets:
        anchor = target.split("#")[1]
        assert page.evaluate(f"!!document.getElementById({anchor!r})?.closest('tr')"), target
