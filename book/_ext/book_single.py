"""The whole book on one page, for the printer: ids that stay apart, a list of contents, links that stay inside."""

import html
import re
from collections import Counter
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.singlehtml import SingleFileHTMLBuilder

PAGE = re.compile(r'<span id="document-([^"]+)"></span>')
ID = re.compile(r'(?<=\s)id="([^"]+)"')
LINK = re.compile(r'href="[^"#]*#document-([^"#]+)(?:#([^"]*))?"')
BESIDE = re.compile(r'<a ([^>]*)href="(?![^"]*#document-|#|https?:|mailto:)[^"]*"')  # a file that paper cannot lead to
NEAR = re.compile(r'(?<=\s)(href="#|for="|aria-(?:labelledby|describedby|controls)=")([^"]+)"')


class OnePage(SingleFileHTMLBuilder):
    """Sphinx's single page, except that pages may use the same id: the second ``id1`` does not take the first's links.

    The result is ``index.html`` in the output folder.
    """

    def fix_refuris(self, tree: nodes.Node) -> None:
        """Keep ``#document-PAGE#ID`` as it is: without the page nobody could say which ID is meant."""

    def finish(self) -> None:
        """Write the page again, at the top, with what Sphinx leaves undone."""
        super().finish()
        root = self.config.root_doc
        page = self.outdir / f"{root}{self.out_suffix}"
        text = page.read_text(encoding="utf-8")
        text = re.sub(r'(src|href)="(?:\.\./)+_', r'\1="_', text)
        text = BESIDE.sub(r"<a \1", text)
        start = '<article class="bd-article">'
        if start not in text:
            raise RuntimeError(f"{page}: expected {start}, which the theme writes before the text")
        text = text.replace(start, f'{start}<span id="document-{root}"></span>', 1)
        first = PAGE.search(text, text.index(start) + len(start) + len(f'<span id="document-{root}"></span>'))
        if first:
            text = text[: first.start()] + contents(self) + text[first.start() :]
        (self.outdir / "index.html").write_text(apart(text, root), encoding="utf-8")
        page.unlink()


def contents(builder: OnePage) -> str:
    """The list of contents: the captions of the parts, and each page's number and title as a link."""
    env, root = builder.env, builder.config.root_doc
    numbers = env.toc_secnumbers[root]  # all pages' together, as the single page has them
    lines = []
    for tree in env.get_doctree(root).findall(addnodes.toctree):
        lines.append(f"<h2>{html.escape(tree.get('caption') or '')}</h2><ul>")
        for _, name in tree["entries"]:
            number = ".".join(map(str, numbers.get(f"{name}/", ())))
            title = html.escape(env.titles[name].astext())
            lines.append(f'<li><span>{number}</span> <a href="#document-{name}">{title}</a></li>')
        lines.append("</ul>")
    return f'<nav class="book-contents" aria-label="Contents">{"".join(lines)}</nav>'


def apart(text: str, root: str) -> str:
    """The page with the name of its page put before every id that occurs more than once, and links to match."""
    often = {name for name, n in Counter(ID.findall(text)).items() if n > 1}

    def named(page: str, name: str) -> str:
        return f"{page}--{name}" if name in often else name

    def link(found: re.Match[str]) -> str:
        page, name = found.groups()
        return f'href="#{named(page, name)}"' if name else f'href="#document-{page}"'

    parts = PAGE.split(text)
    done = [parts[0]]
    for page, part in zip(parts[1::2], parts[2::2], strict=True):
        part = ID.sub(lambda m, page=page: f'id="{named(page, m[1])}"', part)
        part = NEAR.sub(lambda m, page=page: f'{m[1]}{" ".join(named(page, n) for n in m[2].split())}"', part)
        done += [f'<span id="document-{page}"></span>', part]
    return LINK.sub(link, "".join(done))


def prepare(app: Sphinx) -> None:
    """Let what extensions know about HTML hold for the single page too, where they registered only a part of it."""
    handlers: dict[str, dict[str, Any]] = app.registry.translation_handlers
    if "singlehtml" in handlers:
        handlers["singlehtml"] = handlers.get("html", {}) | handlers["singlehtml"]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_builder(OnePage, override=True)
    app.add_css_file("print.css", media="print")
    app.connect("builder-inited", prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
