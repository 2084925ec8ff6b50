"""The published book, built once for all tests of its pages, and a browser to look at it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from book_source import ROOT, build
from filelock import FileLock
from requirements import needs

from recsae_book.book import lay_out
from recsae_book.chromium import Page, browser

sys.path.insert(0, str(ROOT / "book" / "_ext"))


@pytest.fixture(scope="session")
def html(tmp_path_factory) -> Path:
    """The built pages of the published edition; ``$RECSAE_HTML`` names other pages to look at, built already."""
    if built := os.environ.get("RECSAE_HTML"):
        return Path(built)
    mine = tmp_path_factory.getbasetemp()
    shared = mine.parent if os.environ.get("PYTEST_XDIST_WORKER") else mine  # one build for all processes
    folder = shared / "published"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").is_file():
            source = folder / "src"
            source.mkdir(parents=True)
            lay_out(source)
            done = build(source, folder)
            (folder / "done").write_text(f"{done.returncode}\n{done.stdout[-3000:]}{done.stderr[-6000:]}")
    code, _, said = (folder / "done").read_text().partition("\n")
    assert code == "0", said
    return folder / "_build" / "html"


@pytest.fixture(scope="session")
def page() -> Iterator[Page]:
    """A tab of a headless browser."""
    needs("browser")
    with browser() as tab:
        yield tab
