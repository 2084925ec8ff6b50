"""The browser of the tests is the one that prints the book."""

from recsae_book.chromium import Page, browser, find

__all__ = ["Page", "browser", "find"]
