"""Every chapter's front and foot: goals, prerequisites, time, the command that runs the page, and how to cite it.

What a chapter is for stands in ``book/teaching/chapters.yml``; a notebook's parameters are read from its source.
"""

import html
import json
import re
import shlex
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from recsae_book import knobs

CHAPTERS = "book/teaching/chapters.yml"
FIELDS = {"goals": list, "needs": list, "minutes": int}


def read(srcdir: str | Path) -> dict[str, dict[str, Any]]:
    """Page -> goals, needs and minutes; ``ValueError`` names the page and the field that is wrong."""
    path = Path(srcdir) / CHAPTERS
    chapters = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for page, about in chapters.items():
        wrong = {name for name in FIELDS.keys() | about.keys() if not isinstance(about.get(name), FIELDS.get(name, ()))}
        if wrong:
            fields = ", ".join(f"{name} ({kind.__name__})" for name, kind in FIELDS.items())
            raise ValueError(f"{CHAPTERS}: {page}: {', '.join(sorted(wrong))}: expected {fields} and nothing else")
    return chapters


def decorate(app: Sphinx, doctree: nodes.document) -> None:
    """Put a front below the title of a chapter, and a foot at its end."""
    page = app.env.docname
    app.env.note_dependency(str(Path(app.srcdir) / CHAPTERS))
    about = read(app.srcdir).get(page)
    section = next(iter(doctree.findall(nodes.section)), None)
    if about is None or section is None:
        return
    place = next(i for i, child in enumerate(section) if isinstance(child, nodes.title)) + 1
    section.insert(place, front(app, page, about))
    section += foot(app, page, section[place - 1].astext())


def front(app: Sphinx, page: str, about: dict[str, Any]) -> nodes.container:
    """The box under a title."""
    minutes = nodes.paragraph("", "", nodes.inline("", f"{about['minutes']} minutes", classes=["front-minutes"]))
    if about["needs"]:
        minutes += nodes.Text(" · after ")
        for i, needed in enumerate(about["needs"]):
            if i:
                minutes += nodes.Text(", ")
            minutes += addnodes.pending_xref(
                "",
                nodes.inline(),
                refdomain="std",
                reftype="doc",
                refexplicit=False,
                refwarn=True,
                reftarget=f"/{needed}",
                refdoc=page,
            )
    goals = nodes.bullet_list("", *(nodes.list_item("", nodes.paragraph("", goal)) for goal in about["goals"]))
    box = nodes.container("", minutes, nodes.paragraph("", "After this page you can"), goals, classes=["front"])
    source = Path(app.srcdir) / f"{page}.py"
    if page.startswith("notebooks/") and source.is_file():
        box += run(source)
    return box


def run(source: Path) -> list[nodes.Node]:
    """The command that runs a notebook again, and what may be set, behind a click."""
    found = knobs.parameters_with_comments(source)
    name, default = next(((name, default) for name, default, _ in found if name != "dataset"), ("", None))
    value = shlex.quote(f"{name}={default if isinstance(default, str) else json.dumps(default)}")
    start = f"python -m recsae_core run {source.stem}"
    lines = [f"{start}  # on the planted world, which needs no data", f"{start} --edition published"]
    if name:
        lines[1] += f" -p {value}  # as published; set what you like"
    rows = "".join(
        f"<tr><th scope=row><code>{html.escape(name)}</code></th><td><code>{html.escape(shown(default))}</code></td>"
        f"<td>{html.escape(comment)}</td></tr>"
        for name, default, comment in found
    )
    table = (
        "<div class='pst-scrollable-table-container' tabindex=0 role=region aria-label='Parameters'>"
        "<table class=table><thead><tr><th>Parameter</th><th>Default</th><th>Meaning</th></tr></thead>"
        f"{rows}</table></div>"
    )
    command = nodes.literal_block("", "\n".join(lines), language="bash")
    return [
        nodes.raw("", "<details class='front-run'><summary>Run this page with other values</summary>", format="html"),
        command,
        nodes.raw("", (table if found else "") + "</details>", format="html"),
    ]


def shown(value: Any) -> str:
    """A default as it is typed after ``-p NAME=``, cut where it is long."""
    text = str(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def foot(app: Sphinx, page: str, title: str) -> list[nodes.Node]:
    """The BibTeX entry of a chapter, behind a click."""
    year = (re.search(r"\d{4}", app.config.copyright or "") or [""])[0]
    name = re.sub(r"\W+", "-", page.rpartition("/")[2]).strip("-")
    lines = {
        "author": f"{{{app.config.author}}}",
        "title": title,
        "booktitle": app.config.project,
        "year": year,
        "note": f"recsae-core {metadata.version('recsae-core')}",
    }
    if app.config.html_baseurl:
        lines["url"] = f"{app.config.html_baseurl.rstrip('/')}/{page}.html"
    body = "".join(f"  {field:<9} = {{{value}}},\n" for field, value in lines.items())
    return [
        nodes.raw("", "<details class='cite'><summary>Cite this chapter</summary>", format="html"),
        nodes.literal_block("", f"@incollection{{recsae-{name},\n{body}}}", language="bibtex"),
        nodes.raw("", "</details>", format="html"),
    ]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", decorate)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
