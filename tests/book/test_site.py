"""The book as a whole: links inside, resources, search, and what is not supposed to be published."""

import re
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

FETCHED = ("script", "img", "iframe", "source", "video", "audio", "embed")
STYLES = ("stylesheet", "preload", "icon", "preconnect", "modulepreload", "prefetch")
# An address that is only written in a script, such as that of MathJax's speech, is loaded when a reader asks for it
LOADS = re.compile(r"""(?:import\s*\(|importScripts\(|fetch\(|from\s|import\s)\s*["'`](?:https?:)?//[^"'`]+""")


class Links(HTMLParser):
    """What a page leads to, what it makes the browser fetch, and the names of its places."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.style = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.update(value for key in ("id", "name") if (value := given.get(key)))
        self.style = tag == "style"
        if style := given.get("style"):
            self.fetched += outside(style)
        if tag in FETCHED and given.get("src"):
            self.fetched.append(given["src"])
        elif tag == "link" and given.get("href") and any(word in (given.get("rel") or "") for word in STYLES):
            self.fetched.append(given["href"])
        elif tag in ("a", "area", "use") and (link := given.get("href") or given.get("xlink:href")):
            self.links.append(link)

    def handle_data(self, data):
        if self.style:
            self.fetched += outside(data)


def outside(style: str) -> list[str]:
    """What a style sheet loads."""
    found = re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", style)
    return [first or second for first, second in found if not (first or second).startswith(("data:", "#"))]


@pytest.fixture(scope="module")
def pages(html) -> dict[Path, Links]:
    """Every page of the site, read once."""
    found = {
        path: Links(path.read_text(encoding="utf-8")) for path in html.rglob("*.html") if "_static" not in path.parts
    }
    assert len(found) > 20
    return found


def target(page: Path, link: str) -> tuple[Path, str]:
    """The file and the place that a link leads to."""
    parts = urlsplit(urljoin(page.as_uri(), link))
    return Path(unquote(parts.path)), unquote(parts.fragment)


def test_every_inside_link_leads_to_a_file_and_a_place(pages, html):
    wrong = []
    for page, read in pages.items():
        for link in {*read.links, *read.fetched}:
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            path, place = target(page, link)
            path = path / "index.html" if path.is_dir() else path
            if not path.is_file() or not path.is_relative_to(html.resolve()):
                wrong.append(f"{page.relative_to(html)}: {link}: no such file")
            elif place and path.suffix == ".html":
                there = pages[path].ids if path in pages else Links(path.read_text(encoding="utf-8")).ids
                if place not in there:
                    wrong.append(f"{page.relative_to(html)}: {link}: no such place")
    assert wrong == []


def test_the_link_check_sees_what_it_should(tmp_path):
    page = tmp_path / "a b.html"
    page.write_text(
        "<a href='a%20b.html#x'></a><a href='no.html'></a><i id=x style='background: url(\"//o.org/x\")'></i>"
    )
    read = Links(page.read_text())
    assert [target(page, link) for link in read.links] == [(page, "x"), (tmp_path / "no.html", "")]
    assert read.ids == {"x"} and read.fetched == ["//o.org/x"]
    assert outside("@import 'a.css'; b { src: url(data:x), url( 'f.woff' ) }") == ["a.css", "f.woff"]
    assert LOADS.findall('import x from "https://a.org/x.js"; fetch(`//b.org`); fetch("c.json"); "https://d.org"') == [
        'from "https://a.org/x.js',
        "fetch(`//b.org",
    ]


def test_no_page_names_an_outside_resource(pages):
    assert {str(page): url for page, read in pages.items() for url in read.fetched if "//" in url} == {}


def test_no_style_or_script_of_the_site_loads_from_outside(html):
    for path in html.rglob("*.css"):
        assert [url for url in outside(path.read_text(encoding="utf-8")) if "//" in url] == [], path
    for path in html.rglob("*.js"):
        assert LOADS.findall(path.read_text(encoding="utf-8")) == [], path


def test_what_only_tests_need_is_not_published(html):
    assert list(html.rglob("axe*")) == []


def test_no_notebook_is_above_a_megabyte(html):
    from book_source import ROOT

    notebooks = [*ROOT.glob("notebooks/*.ipynb"), *html.rglob("*.ipynb")]
    assert notebooks and [path for path in notebooks if path.stat().st_size > 1_000_000] == []


def found(page) -> list[str]:
    """The addresses that a search found, when it has ended."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if page.evaluate(
            "/\\d+ page|no documents|did not match/i.test(document.querySelector('.search-summary')?.innerText)"
        ):
            break
        time.sleep(0.1)
    return page.evaluate("[...document.querySelectorAll('ul.search li a')].map(a => a.href)")


@pytest.mark.browser
def test_the_search_finds_a_page_from_the_disk_without_errors(html, page):
    page.open(f"{(html / 'search.html').resolve().as_uri()}?q=monosemantic")
    hits = found(page)
    assert any("book/chapters/monosemantic.html" in hit for hit in hits)
    assert all(target(html, hit)[0].is_file() for hit in hits)
    assert page.errors == []


@pytest.mark.browser
def test_a_search_for_what_is_not_there_says_so(html, page):
    page.open(f"{(html / 'search.html').resolve().as_uri()}?q=xyzzyqwertz")
    assert found(page) == []
    assert "did not match" in page.evaluate("document.querySelector('#search-results').innerText")


@pytest.mark.browser
def test_the_search_is_reached_by_keyboard_alone(html, page):
    page.open(html / "book" / "glossary.html")
    stroke = {"key": "k", "code": "KeyK", "windowsVirtualKeyCode": 75, "modifiers": 2}
    for kind in ("rawKeyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, **stroke)
    assert page.evaluate("document.activeElement.name") == "q"
    page.call("Input.insertText", text="monosemantic")
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
    page.loaded = False
    page.call("Input.dispatchKeyEvent", type="keyDown", **enter)
    page.loads()
    assert page.evaluate("location.pathname").endswith("/search.html")
    assert found(page)
