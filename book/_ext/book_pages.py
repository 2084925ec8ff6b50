"""Every page without the live-code scripts of Jupyter Book: unused here, declared twice, and pointing outside."""

from typing import Any

from sphinx.application import Sphinx


def without_live_code(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Drop the scripts and styles of thebe from a page."""
    for name in ("script_files", "css_files"):
        context[name] = [file for file in context.get(name, []) if "thebe" not in f"{file} {file!r}".lower()]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", without_live_code, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
