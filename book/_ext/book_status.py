"""The directive ``status``: which edition each executed notebook is, whether it is stale, and what built this page."""

import json
from importlib import metadata
from pathlib import Path

from book_values import SCOREBOARD, read, table
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

TIMES = "data/results/times.json"
PACKAGES = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "matplotlib", "jupyter-book", "Sphinx", "myst-nb")


def notebooks(srcdir: Path) -> list[tuple[Path, str, dict]]:
    """Path, title and provenance of each executed notebook; the staging put a cell called stale in some."""
    found = []
    for path in sorted((srcdir / "notebooks").glob("*.ipynb")):
        book = json.loads(path.read_text(encoding="utf-8"))
        about = dict(book["metadata"].get("book", {}))
        about["stale"] = any(cell.get("id") == "stale" for cell in book["cells"])
        lines = "\n".join("".join(c["source"]) for c in book["cells"] if c["cell_type"] == "markdown").splitlines()
        title = next((line[2:].strip() for line in lines if line.startswith("# ")), path.stem)
        found.append((path, title, about))
    return found


def installed(name: str) -> str:
    """The version of a package in the environment that builds the book."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


class Status(SphinxDirective):
    """Provenance of the pages, as tables."""

    def run(self) -> list[nodes.Node]:
        srcdir = Path(self.env.srcdir)
        found = notebooks(srcdir)
        for path, _, _ in found:
            self.env.note_dependency(str(path))
        for name in (SCOREBOARD, TIMES):
            self.env.note_dependency(str(srcdir / name))
        out: list[nodes.Node] = [self.pages(found)] if found else []
        data = {name: about for _, _, notebook in found for name, about in (notebook.get("data") or {}).items()}
        if data:
            rows = [[[nodes.Text(name)], [nodes.Text(str(about))]] for name, about in sorted(data.items())]
            out.append(table("Data that the notebooks read", ["Source", "Provenance"], rows, "status"))
        return [*out, self.versions(found)]

    def pages(self, found: list[tuple[Path, str, dict]]) -> nodes.table:
        """One row a notebook."""
        try:
            written = [r.get("notebook") for r in read(self.env.srcdir).values()]
        except ValueError:  # a reader's own book may quote nothing
            written = []
        path = Path(self.env.srcdir) / TIMES
        times = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        seconds = [times.get(edition, {}) for edition in ("planted", "published")]
        rows = []
        for path, title, about in found:
            state = nodes.strong("", "stale: its sources changed") if about["stale"] else nodes.Text("current")
            key = nodes.literal("", str(about["key"])[:10]) if about.get("key") else nodes.Text("–")
            rows.append(
                [
                    [nodes.Text(title)],
                    [nodes.Text(str(about.get("edition", "not recorded")))],
                    [state],
                    [nodes.Text(str(written.count(path.stem)))],
                    [nodes.Text(" / ".join(str(edition.get(path.stem, "–")) for edition in seconds))],
                    [key],
                ]
            )
        took = f"Seconds, planted / published ({times['cores']} cores, two notebooks at a time)" if times else "Seconds"
        heads = ["Notebook", "Edition", "State", "Published results", took, "Key"]
        return table("Executed notebooks", heads, rows, "status")

    def versions(self, found: list[tuple[Path, str, dict]]) -> nodes.table:
        """Versions that the notebooks recorded, beside those of the environment that built the book."""
        recorded: dict[str, set[str]] = {}
        for _, _, about in found:
            for name, version in (about.get("packages") or {}).items():
                recorded.setdefault(name, set()).add(version)
        heads = ["Package", "Ran the notebooks", "Built this page"] if recorded else ["Package", "Built this page"]
        rows = []
        for name in dict.fromkeys([*PACKAGES, *recorded]):
            ran = [[nodes.Text(", ".join(sorted(recorded.get(name, ["–"]))))]] if recorded else []
            rows.append([[nodes.Text(name)], *ran, [nodes.Text(installed(name))]])
        return table("Versions", heads, rows, "status")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("status", Status)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
