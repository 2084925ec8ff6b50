"""What Sphinx, MyST-NB and pandas write and a screen reader stumbles over, put right on every page."""

from typing import Any

from sphinx.application import Sphinx

INSTEAD = {
    # an empty corner is no heading of anything
    "<th></th>": "<td></td>",
    '<th class="head"><p></p></th>': "<td></td>",
    # the visible words are the name: "Show code cell source"
    '<summary aria-label="Toggle hidden content">': "<summary>",
    # an entry of a list is an item of it
    'role="doc-biblioentry"': 'role="listitem"',
}

# A page opened from a folder may not read other pages: results of a search come without excerpts, and without errors.
OFFLINE = "if (location.protocol === 'file:') DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;"


def put_right(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Replace what is wrong in a page's text."""
    if page == "search":
        app.add_js_file(None, body=OFFLINE)
    for wrong, right in INSTEAD.items():
        if body := context.get("body"):
            context["body"] = body.replace(wrong, right)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", put_right)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
