"""The other half of the pages: two files, so that two processes share them."""

from pathlib import Path

import pytest
from book_source import documents
from visit import visit


@pytest.mark.browser
@pytest.mark.parametrize("name", documents()[1::2])
def test_a_page_is_in_order_in_both_themes_and_on_a_telephone(name: str, html: Path, page):
    visit(name, html, page)
