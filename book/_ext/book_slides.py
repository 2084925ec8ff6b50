"""Slides from the sources of the book: Markdown, the published numbers, and the figures of the executed notebooks.

Each ``book/slides/NAME.md`` becomes the reveal.js deck ``slides/NAME.html``. A line ``---`` parts two slides, a
paragraph that begins with ``Note:`` is for the speaker, ``{val}`KEY` `` is a published number as in the chapters, and
``{fig}`NAME` `` is the figure of that name in one of the notebooks.
"""

import base64
import html
import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from book_values import quote, read
from docutils import nodes
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

log = logging.getLogger(__name__)
STATIC = "../_static"
PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{static}/vendor/reveal/reveal.css">
<link rel="stylesheet" href="{static}/slides/slides.css">
<script>window.MathJax = {{options: {{enableMenu: false}}}};</script>
<script defer src="{static}/vendor/mathjax/tex-svg.js"></script>
</head>
<body>
<div class="reveal"><main class="slides">
{slides}
</main></div>
<script src="{static}/vendor/reveal/reveal.js"></script>
<script src="{static}/vendor/reveal/notes.js"></script>
<script src="{static}/slides/slides.js"></script>
</body>
</html>
"""


class Figure(NamedTuple):
    """A picture of a notebook."""

    png: bytes
    alt: str
    caption: str


def figures(srcdir: Path) -> dict[str, Figure]:
    """Name -> figure of all executed notebooks."""
    found = {}
    for path in sorted((srcdir / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            about = cell["metadata"].get("mystnb", {})
            images = [o["data"]["image/png"] for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
            if "figure" in about and images:
                png = base64.b64decode("".join(images[0]))
                figure = Figure(png, about["image"]["alt"], about["figure"]["caption"])
                found[about["figure"]["name"]] = figure
    return found


def split(text: str) -> tuple[str, list[str]]:
    """The title of a deck, which is its first heading, and its slides."""
    slides = [part.strip() for part in re.split(r"^---$", text, flags=re.MULTILINE)]
    title = re.match(r"# (.+)", slides[0])
    if not title:
        raise ValueError("expected a heading of the first level on the first slide")
    return title[1].strip(), slides


def slide(source: str, numbers: dict, pictures: dict[str, Figure], used: set[str]) -> str:
    """One slide as HTML; ``ValueError`` for an unknown number or figure. Figures shown are added to ``used``."""
    body, notes = [], []
    for paragraph in re.split(r"\n\s*\n", source):
        (notes if paragraph.startswith("Note:") else body).append(paragraph.removeprefix("Note:"))
    text = re.sub(r"\{val\}`([^`]+)`", lambda m: quote(numbers, m[1])[0], "\n\n".join(body))
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").use(dollarmath_plugin, renderer=formula)
    out = markdown.render(text)
    for name in dict.fromkeys(re.findall(r"\{fig\}<code>([\w-]+)</code>", out)):
        if name not in pictures:
            raise ValueError(f"no notebook has a figure {name!r}")
        used.add(name)
        alt = html.escape(pictures[name].alt, quote=True)
        picture = f'<img class="r-stretch" src="figures/{name}.png" alt="{alt}">'  # as high as the rest leaves room
        out = out.replace(f"<p>{{fig}}<code>{name}</code></p>", picture)
    if notes:
        out += f'<aside class="notes">{markdown.render("".join(notes))}</aside>'
    return f"<section>\n{out}</section>"


def formula(content: str, options: dict) -> str:
    """A formula as MathJax finds it."""
    left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return html.escape(f"{left}{content}{right}")


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write all decks beside the pages."""
    sources = sorted((Path(app.srcdir) / "book" / "slides").glob("*.md"))
    if exception or app.builder.format != "html" or not sources:
        return
    where = Path(app.outdir) / "slides"
    (where / "figures").mkdir(parents=True, exist_ok=True)
    numbers, pictures, used = read(app.srcdir), figures(Path(app.srcdir)), set()
    for path in sources:
        try:
            title, parts = split(path.read_text(encoding="utf-8"))
            slides = "\n".join(slide(part, numbers, pictures, used) for part in parts)
        except ValueError as error:
            log.warning("slides/%s: %s", path.name, error, type="book", subtype="slides")
            continue
        page = PAGE.format(language=app.config.language, title=html.escape(title), static=STATIC, slides=slides)
        (where / f"{path.stem}.html").write_text(page, encoding="utf-8")
    for name in sorted(used):
        (where / "figures" / f"{name}.png").write_bytes(pictures[name].png)


class Slides(SphinxRole):
    """A link to a deck by its name, with the deck's title as its text."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        path = Path(self.env.srcdir) / "book" / "slides" / f"{self.text}.md"
        if not path.is_file():
            log.warning("slides: there is no %s", path.name, location=self.get_location(), type="book")
            return [nodes.Text(self.text)], []
        self.env.note_dependency(str(path))
        title = split(path.read_text(encoding="utf-8"))[0]
        here = os.path.relpath(f"slides/{self.text}.html", os.path.dirname(self.env.docname) or ".")
        return [nodes.reference("", title, refuri=here.replace(os.sep, "/"))], []


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_role("slides", Slides())
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
