"""What stands under a chapter's title and at its end."""

import sys
from html import unescape
from pathlib import Path

import pytest
from book_source import ROOT, documents

from recsae_book import knobs

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import book_front

CHAPTERS = book_front.read(ROOT)
NOTEBOOKS = [page for page in documents() if page.startswith("notebooks/")]


def test_every_chapter_has_a_front_and_every_front_a_chapter():
    pages = {page for page in documents() if page.startswith(("notebooks/", "book/chapters/"))}
    assert pages <= CHAPTERS.keys() <= set(documents())


def test_nothing_is_needed_that_comes_later_by_a_chain():
    for page in CHAPTERS:
        seen, waiting = set(), list(CHAPTERS[page]["needs"])
        while waiting:
            needed = waiting.pop()
            assert needed != page, f"{page} needs itself"
            if needed not in seen:
                seen.add(needed)
                waiting += CHAPTERS[needed]["needs"]


@pytest.mark.parametrize("wrong", ["goals: []\n  needs: []", "goals: a\n  needs: []\n  minutes: 5", "aims: []"])
def test_a_field_that_is_wrong_is_named_with_its_page(wrong: str, tmp_path: Path):
    (tmp_path / "book" / "teaching").mkdir(parents=True)
    (tmp_path / book_front.CHAPTERS).write_text(f"notebooks/x:\n  {wrong}\n")
    with pytest.raises(ValueError, match=r"notebooks/x: .*minutes|notebooks/x: goals"):
        book_front.read(tmp_path)


@pytest.mark.parametrize("page", sorted(CHAPTERS.keys() & set(documents())))
def test_goals_minutes_and_citation_are_on_the_page(page: str, html: Path):
    text = unescape((html / f"{page}.html").read_text(encoding="utf-8"))
    assert f"{CHAPTERS[page]['minutes']} minutes" in text
    assert text.count('<div class="front docutils container">') == 1
    assert text.count("Cite this chapter") == 1 and f"recsae-{page.rsplit('/', 1)[1].replace('_', '_')}" in text


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_notebook_shows_its_parameters_and_its_command(page: str, html: Path):
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    box = text[text.index("class='front-run'") :].partition("</details>")[0]
    assert f"recsae_core run {page.rsplit('/', 1)[1]}" in unescape(box).replace("</span>", "").replace("<span>", "")
    for name, _, _ in knobs.parameters_with_comments(ROOT / f"{page}.py"):
        assert f"<code>{name}</code>" in box
