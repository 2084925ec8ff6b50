"""The published book, built once for all tests of its pages, and a browser to look at it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from book_source import ROOT, build
from chromium import Page, browser
from requirements import needs

from recsae_book.book import lay_out

sys.path.insert(0, str(ROOT / "book" / "_ext"))


@pytest.fixture(scope="session")
def html(tmp_path_factory) -> Path:
    """The built pages of the published edition; ``$RECSAE_HTML`` names other pages to look at, built already."""
    if built := os.environ.get("RECSAE_HTML"):
        return Path(built)
    folder = tmp_path_factory.mktemp("published")
    source = folder / "src"
    source.mkdir()
    lay_out(source)
    done = build(source, folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return folder / "_build" / "html"


@pytest.fixture(scope="session")
def page() -> Iterator[Page]:
    """A tab of a headless browser."""
    needs("browser")
    with browser() as tab:
        yield tab
