"""The dictionary in its page: what is there without a script, what the script does, and that text stays text."""

from html.parser import HTMLParser
from pathlib import Path

import book_dictionary as page_of
import pytest
import yaml
from book_source import ROOT, build

from recsae_book import dictionary

EVIL = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
COUNT = 130
STILL = "new Promise(done => setTimeout(done, 250)).then(() => true)"
FOUND = "document.querySelector('.dictionary-count').textContent"
LATENTS = "[...document.querySelectorAll('.dictionary-table tbody th button')].map(b => +b.lastChild.textContent)"
VISIBLE = "[...document.querySelectorAll('.dictionary-table thead th')].filter(h => h.offsetWidth).length"


def entry(latent: int) -> dictionary.Entry:
    kind = "never fires" if latent % 13 == 12 else "nothing enriched" if latent % 4 == 3 else "described"
    said = kind == "described"
    sure = round(0.4 + 0.6 * ((latent * 37) % 100) / 100, 3) if said and latent % 5 else None
    text = {1: f"Thrillers; {EVIL}", 2: "=Comedy"}.get(latent, f"Genre {latent % 7} of the {latent}s")
    return dictionary.Entry(
        latent=latent,
        status=kind,
        description=text if said else "",
        cases=0 if kind == "never fires" else 20,
        evidence=[(EVIL if latent == 1 else f"term{latent}", 12, 4.1, 2e-5)] if said else [],
        confidence=sure,
        low=None if sure is None else round(sure - 0.1, 3),
        high=None if sure is None else min(1.0, round(sure + 0.1, 3)),
        firing_rate=0.0 if kind == "never fires" else (1 + latent) / 1000,
        effect=None if latent % 3 else -0.012,
        top_items=[] if kind == "never fires" else [1, 2, 3 + latent % 5],
    )


TABLE = dictionary.Table(
    name=f"toy {EVIL}", dataset="toy", note=f"A note {EVIL}", rows=[entry(latent) for latent in range(COUNT)]
)


class Reader(HTMLParser):
    """Tags and texts of a page, and the rows of its dictionary."""

    def __init__(self, text: str):
        super().__init__()
        self.images: list[dict] = []
        self.text, self.rows, self.scripts = "", 0, 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "img":
            self.images.append(given)
        self.rows += tag == "th" and given.get("scope") == "row"

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A book with a dictionary whose texts and titles try to be more than text, and a page without one."""
    import shutil

    folder = tmp_path_factory.mktemp("dictionary")
    source = folder / "src"
    for name in ("_ext", "_static"):
        shutil.copytree(ROOT / "book" / name, source / "book" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "book" / "references.bib", source / "book")
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["sphinx"]["local_extensions"]["book_dictionary"] = "book/_ext"
    (source / "_config.yml").write_text(yaml.safe_dump(config))
    chapters = [{"file": "book/dictionary"}, {"file": "book/none"}]
    (source / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": "book/intro", "chapters": chapters}))
    (source / "book" / "intro.md").write_text("# Toy\n\nNothing.\n")
    (source / "book" / "dictionary.md").write_text("# Browse\n\n```{dictionary} toy\n```\n")
    (source / "book" / "none.md").write_text("# None\n\n```{dictionary} missing\n```\n")
    dictionary.write(source / "data/results/published" / dictionary.FOLDER / "toy.json", TABLE)
    (source / "data/interactions.csv").write_text("user,item\n" + "".join(f"u,{i}\nv,{i}\n" for i in range(1, 9)))
    titles = {1: EVIL.replace('"', '""'), 2: "Toy Story"}
    lines = [f'{i},"{titles.get(i, i)}",toys' for i in range(1, 9)]
    (source / "data/items.csv").write_text("\n".join(["id,title,attributes", *lines]) + "\n")
    files = {kind: str(source / f"data/{kind}.csv") for kind in ("interactions", "items")}
    recipes = {"datasets": {"toy": {"source": "csv", "files": files}}, "recipes": {}}
    (source / "book" / "artifacts.yml").write_text(yaml.safe_dump(recipes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSAE_ROOT", str(source))
        patch.delenv("RECSAE_EDITION", raising=False)
        done = build(source, folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder / "_build" / "html"


@pytest.fixture
def opened(site, page):
    """The page with the dictionary in a browser, as it is after loading."""
    page.open(site / "book" / "dictionary.html")
    return page


def choose(page, label: str, value: str) -> None:
    page.evaluate(
        f"""(() => {{
          const field = [...document.querySelectorAll('.dictionary-controls label')]
            .find(l => l.firstChild.textContent === {label!r}).lastChild;
          field.value = {value!r};
          field.dispatchEvent(new Event(field.tagName === 'INPUT' ? 'input' : 'change'));
        }})()"""
    )
    page.evaluate(STILL)


def press(page, head: str) -> list:
    """Click on the head of a column; which heads say how they are sorted."""
    page.evaluate(f"document.querySelector('.dictionary-table th.{head} button').click()")
    heads = "[...document.querySelectorAll('th[aria-sort]')].map(h => [h.dataset.key, h.getAttribute('aria-sort')])"
    return page.evaluate(heads)


def test_described_latents_come_first_and_the_surest_before_the_others():
    rows = page_of.ordered(TABLE)
    sure = [row.confidence or 0 for row in rows if row.status == "described"]
    assert sure == sorted(sure, reverse=True)
    assert list(dict.fromkeys(row.status for row in rows)) == ["described", "nothing enriched", "never fires"]
    states = [row.status for row in rows]
    assert states == sorted(states, key=states.index)


def test_a_reader_without_scripts_has_the_first_rows_and_the_titles(site):
    text = (site / "book" / "dictionary.html").read_text(encoding="utf-8")
    found = Reader(text)
    assert found.rows == page_of.FIRST
    assert f"The first 50 of {COUNT} latents." in found.text
    assert "Toy Story" in found.text and "(0.86 to 1.00)" in found.text
    assert len(text) < 1_000_000


def test_whatever_is_in_a_dictionary_or_a_title_stays_text(site):
    text = (site / "book" / "dictionary.html").read_text(encoding="utf-8")
    assert [image for image in Reader(text).images if image.get("src") == "x" or "onerror" in image] == []
    assert "<script>document.title" not in text and "<img src=x" not in text
    assert Reader(text).text.count("<img src=x") >= 3  # the caption, the note and a title are there to be read


def test_the_files_lie_beside_the_page(site):
    folder = site / "_downloads" / dictionary.FOLDER
    assert dictionary.read(folder / "toy.json") == TABLE
    lines = (folder / "toy.csv").read_text().splitlines()
    assert len(lines) == COUNT + 1 and "Toy Story" in lines[1] and ",'=Comedy," in lines[3]
    text = (site / "book" / "dictionary.html").read_text(encoding="utf-8")
    for kind in ("csv", "json"):
        assert f'href="../_downloads/{dictionary.FOLDER}/toy.{kind}"' in text


def test_an_edition_without_a_dictionary_says_so(site):
    text = (site / "book" / "none.html").read_text(encoding="utf-8")
    assert "This edition has no dictionary called missing." in text
    assert "dictionary.js" not in text


def test_the_edition_decides_which_file_is_shown(monkeypatch):
    monkeypatch.delenv("RECSAE_RESULTS", raising=False)
    monkeypatch.setenv("RECSAE_EDITION", "published")
    assert page_of.stored("src", "a") == Path("src/data/results/published/dictionaries/a.json")
    monkeypatch.setenv("RECSAE_EDITION", "planted")
    assert page_of.stored("src", "a").parts[-5:] == ("_build", "planted", "results", "dictionaries", "a.json")


@pytest.mark.browser
class TestInABrowser:
    def test_nothing_runs_and_nothing_is_fetched(self, opened):
        assert opened.evaluate("document.title") != "taken" and opened.errors == []
        assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
        choose(opened, "Search", "thrillers")
        opened.evaluate("document.querySelector('.dictionary-table tbody button').click()")
        assert "<img src=x" in opened.evaluate("document.querySelector('tr.details').textContent")
        assert opened.evaluate("document.title") != "taken"
        assert opened.evaluate("document.querySelectorAll('.dictionary img, tbody script').length") == 0

    def test_the_script_says_what_the_page_said_before(self, opened):
        rows = page_of.ordered(TABLE)[: page_of.FIRST]
        said = [list(page_of.texts(row, {1: EVIL, 2: "Toy Story"}).values())[1:] for row in rows]
        cells = "r => [...r.querySelectorAll('td')].map(c => c.textContent)"
        shown = f"[...document.querySelectorAll('.dictionary-table tbody tr')].map({cells})"
        assert opened.evaluate(shown) == said

    def test_more_rows_come_when_asked_for(self, opened):
        button = "document.querySelector('.dictionary-more')"
        for shown in (50, 100, COUNT):
            assert len(opened.evaluate(LATENTS)) == shown
            assert opened.evaluate(FOUND) == f"{COUNT} of {COUNT} latents, {shown} shown."
            opened.evaluate(f"{button}.click()")
        assert opened.evaluate(f"{button}.hidden")

    def test_search_finds_texts_evidence_titles_and_numbers(self, opened):
        for words, expected in (
            ("term78", [78]),
            ("TERM78 genre", [78]),
            ("term78 nonsense", []),
            ("story term6", None),
        ):
            choose(opened, "Search", words)
            found = opened.evaluate(LATENTS)
            assert found == expected if expected is not None else 6 in found
        assert opened.evaluate("document.querySelector('.dictionary-count').getAttribute('aria-live')") == "polite"
        choose(opened, "Search", "nothing like this")
        assert opened.evaluate(FOUND) == "No latent matches."

    def test_filters_keep_what_they_say(self, opened):
        choose(opened, "Status", "never fires")
        assert sorted(opened.evaluate(LATENTS)) == [r.latent for r in TABLE.rows if r.status == "never fires"]
        choose(opened, "Status", "")
        choose(opened, "Confidence", "0.8")
        sure = sorted(r.latent for r in TABLE.rows if (r.confidence or 0) >= 0.8)
        assert sorted(opened.evaluate(LATENTS)) == sure

    def test_columns_sort_both_ways_and_missing_numbers_stand_last(self, opened):
        assert press(opened, "confidence") == [["confidence", "descending"]]
        first = opened.evaluate(LATENTS)[0]
        assert press(opened, "confidence") == [["confidence", "ascending"]]
        known = {r.latent: r.confidence for r in TABLE.rows if r.confidence is not None}
        shown = [known.get(latent) for latent in opened.evaluate(LATENTS)]
        assert known[first] == max(known.values()) and shown == sorted(known.values())[:50]
        assert press(opened, "latent") == [["latent", "ascending"]]
        assert opened.evaluate(LATENTS) == list(range(50))

    def test_a_latent_opens_with_the_keyboard_and_by_its_address(self, opened, site):
        opened.evaluate("document.querySelector('.dictionary-table tbody button').focus()")
        for kind in ("keyDown", "keyUp"):
            key = {"key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13}
            opened.call("Input.dispatchKeyEvent", type=kind, **key)
        state = "document.activeElement.getAttribute('aria-expanded')"
        assert opened.evaluate(state) == "true"
        assert "expected by chance" in opened.evaluate("document.querySelector('tr.details').textContent")
        opened.evaluate("document.activeElement.click()")
        assert opened.evaluate(state) == "false" and not opened.evaluate("!!document.querySelector('tr.details')")
        last = page_of.ordered(TABLE)[-1].latent
        opened.evaluate(f"location.hash = 'toy-latent-{last}'")
        opened.evaluate(STILL)
        assert opened.evaluate("document.activeElement.closest('tr').id") == f"toy-latent-{last}"
        assert "never fires" in opened.evaluate("document.querySelector('tr.details').textContent")

    def test_it_is_readable_in_both_themes_and_fits_a_telephone(self, opened):
        contrast = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
        opened.evaluate(
            "document.head.insertAdjacentHTML('beforeend', '<style>* {transition: none !important}</style>')"
        )
        opened.evaluate("document.querySelector('.dictionary-table tbody button').click()")
        for _ in range(3):
            opened.evaluate("document.querySelector('.theme-switch-button').click()")
            assert opened.evaluate(contrast) == []
        assert opened.evaluate(VISIBLE) == 6
        opened.resize(420)
        assert opened.evaluate("document.scrollingElement.scrollWidth") <= 420
        assert opened.evaluate(VISIBLE) == 3
        fields = "[...document.querySelectorAll('.dictionary-controls :is(input, select)')]"
        assert opened.evaluate(f"{fields}.map(f => f.labels.length)") == [1, 1, 1]
