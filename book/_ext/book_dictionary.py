"""The directive ``dictionary``: a concept dictionary to search and sort, with its files to take away.

A reader without scripts gets the first rows as a plain table. ``dictionary.js`` draws all of them from data that the
page carries, so that it works from a disk. Whatever is in the dictionary or in a title reaches the page as text.
"""

import json
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from recsae_book import dictionary, results

FIRST = 50  # rows that are in the page without a script
DASH = "–"
HEADS = {
    "latent": "Latent",
    "description": "Description",
    "confidence": "Confidence",
    "firing_rate": "Fires",
    "effect": "Switched off",
    "top_items": "Top items",
}


def stored(srcdir: str | Path, name: str) -> Path:
    """Where the edition that is built keeps a dictionary."""
    edition = os.environ.get("RECSAE_EDITION", "published")
    own = Path(srcdir) / "data" / "results" / "published"
    return (own if edition == "published" else results.folder(edition)) / dictionary.FOLDER / f"{name}.json"


def ordered(table: dictionary.Table) -> list[dictionary.Entry]:
    """Described latents first, the most confident of them before the others."""
    states = ("described", "nothing enriched", "never fires")
    return sorted(table.rows, key=lambda r: (states.index(r.status), -(r.confidence or 0), r.latent))


def texts(row: dictionary.Entry, names: Mapping[dictionary.Id, str]) -> dict[str, str]:
    """A row's cells as a reader sees them; dictionary.js says the same."""
    sure = DASH if row.confidence is None else f"{row.confidence:.2f} ({row.low:.2f} to {row.high:.2f})"
    rate = "never" if not row.firing_rate else "<0.1%" if row.firing_rate < 0.001 else f"{100 * row.firing_rate:.1f}%"
    return {
        "latent": str(row.latent),
        "description": row.description or f"({row.status})",
        "confidence": sure,
        "firing_rate": rate,
        "effect": DASH if row.effect is None else f"{100 * row.effect:+.1f} points",
        "top_items": "; ".join(str(names.get(i, i)) for i in row.top_items[:3]) or DASH,
    }


def markup(name: str, table: dictionary.Table, names: Mapping[dictionary.Id, str], up: str) -> str:
    """The table with its first rows, the links to its files, and the data that the script reads."""
    rows = ordered(table)
    columns = [key for key in HEADS if key != "effect" or any(row.effect is not None for row in rows)]
    caption = f"{table.name}: {len(rows):,} latents, {sum(r.status == 'described' for r in rows):,} of them described"
    head = "".join(f'<th scope="col" data-key="{key}" class="{key}">{HEADS[key]}</th>' for key in columns)
    body = ""
    for row in rows[:FIRST]:
        cells = {key: escape(text) for key, text in texts(row, names).items()}
        body += f'<tr><th scope="row" class="latent">{cells["latent"]}</th>'
        body += "".join(f'<td class="{key}">{cells[key]}</td>' for key in columns[1:]) + "</tr>\n"
    used = {i for row in rows for i in row.top_items}
    data = {
        "name": name,
        "columns": dictionary.COLUMNS,
        "heads": {key: HEADS[key] for key in columns},
        "rows": [list(row.model_dump().values()) for row in rows],
        "titles": {str(i): names[i] for i in names if i in used},
    }
    carried = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", r"\u003c")
    links = " · ".join(
        f'<a href="{up}_downloads/{dictionary.FOLDER}/{name}.{kind}" download>{kind.upper()}</a>'
        for kind in ("csv", "json")
    )
    shown = f"The first {min(FIRST, len(rows))} of {len(rows):,} latents."
    return f"""<div class="dictionary" data-step="{FIRST}">
<p class="dictionary-files">Take it away: {links}</p>
<p class="dictionary-count" role="status" aria-live="polite">{shown}</p>
<div class="pst-scrollable-table-container"><table class="table results dictionary-table">
<caption>{escape(caption)}</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{body}</tbody></table></div>
<script type="application/json" class="dictionary-data">{carried}</script>
<script defer src="{up}_static/dictionary.js"></script>
</div>"""


class Dictionary(SphinxDirective):
    """A dictionary of the edition that is built, by name; where the edition has none, a sentence that says so."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        path = stored(self.env.srcdir, name)
        self.env.note_dependency(str(path))
        kept = self.env.__dict__.setdefault("book_dictionaries", {})
        kept.pop(name, None)
        if not path.is_file():
            return [nodes.paragraph("", f"This edition has no dictionary called {name}.", classes=["dictionary-none"])]
        try:
            table = dictionary.read(path)
        except ValueError as error:
            raise self.error(str(error)) from error
        kept[name] = str(path)
        note = [nodes.paragraph("", table.note)] if table.note else []
        up = "../" * self.env.docname.count("/")
        text = markup(name, table, dictionary.titles(table.dataset), up)
        return [*note, nodes.raw("", text, format="html")]


def write_files(app: Sphinx, error: Exception | None) -> None:
    """Put the dictionaries of the pages beside them, in both forms."""
    if error is None and app.builder.format == "html":
        for name, path in getattr(app.env, "book_dictionaries", {}).items():
            out = Path(app.outdir) / "_downloads" / dictionary.FOLDER
            table = dictionary.read(Path(path))
            dictionary.export(out / f"{name}.csv", out / f"{name}.json", table, dictionary.titles(table.dataset))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("dictionary", Dictionary)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
