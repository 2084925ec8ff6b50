"""One visit to a page: it is opened once, and everything a reader may stumble over is looked for."""

import hashlib
import lzma
from functools import cache
from pathlib import Path

from book_source import ROOT

from recsae_book.chromium import Page

HERE = Path(__file__).parent
CONTRAST = (HERE / "contrast.js").read_text(encoding="utf-8")
WIDE = """
[...document.querySelectorAll('.bd-article *')]
  .filter(e => e.getBoundingClientRect().right > 425 && !e.closest('pre, table, .math'))
  .map(e => e.outerHTML.slice(0, 120))
"""
STILL = "document.head.insertAdjacentHTML('beforeend', '<style>* {transition: none !important}</style>')"
AXE = ROOT / "book" / "_static" / "vendor" / "axe"
# Contrast is measured by contrast.js, in both themes; the preloading is for a rule on media that no page has.
RULES = """
axe.run(document, {preload: false, resultTypes: ["violations"], rules: {"color-contrast": {enabled: false}}})
  .then(done => done.violations.flatMap(v => v.nodes.map(n => [v.id, n.target.join(" "), n.html.slice(0, 200)])))
"""
# rule, words in the element, whose fault it is
KNOWN = (
    ("label-content-name-mismatch", "search-button", "theme: the button shows its keys, Ctrl + K, beside its name"),
    ("label-content-name-mismatch", "theme-switch-button", "theme: the button's icons have names of their own"),
    ("region", "sidebar-primary-item", "theme: the book's title over the contents is in no landmark"),
)


@cache
def axe() -> str:
    """The script of axe-core, which must be the file that its note names."""
    script = lzma.decompress((AXE / "axe.min.js.xz").read_bytes())
    assert hashlib.sha256(script).hexdigest() in (AXE / "VERSION").read_text()
    return script.decode()


def violations(page: Page) -> list[str]:
    """What axe-core finds on the open page, without what is known to be the theme's."""
    page.evaluate(f"{axe()};0")
    found = page.evaluate(RULES)
    return [
        f"{rule}: {target}: {html}"
        for rule, target, html in found
        if not any(rule == known and word in html for known, word, _ in KNOWN)
    ]


def visit(name: str, html: Path, page: Page) -> None:
    """Open a page, and fail where it is not in order: errors, names, pictures, formulas, contrast, width."""
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
    assert violations(page) == []

    page.evaluate(STILL)
    for _ in range(3):
        page.evaluate("document.querySelector('.theme-switch-button').click()")
        assert page.evaluate(CONTRAST) == [], page.evaluate("document.documentElement.dataset.theme")

    page.resize(420)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 420, page.evaluate(WIDE)
