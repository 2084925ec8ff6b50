"""The directives ``explorer`` and ``steer``: a real model that the reader steers, with nothing but the page.

Data and weights are no part of the sources: where a page has one of the two, ``book/_make/explorer.py`` writes them to
``runs/explorer`` (once for the same artifacts and code), and they are laid beside the scripts of the built pages.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from recsae_book import keys
from recsae_core import paths
from recsae_core.files import read_json

MAKE = Path(__file__).resolve().parents[1] / "_make"
FILES = ("data.js", "landing-data.js", "landing.json")
WITHOUT = (
    "The explorer is a program that runs in this page, and needs JavaScript. What it lets you do is shown step by step "
    "in the notebooks: see the chapters on control."
)


def fingerprint() -> str:
    """What the data depend on: the exporter, the package's modules that it imports, the recipes and checkpoints."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(MAKE.glob("explorer*.py"))]
    found = hashlib.sha256("".join(sources).encode())
    found.update(repr(sorted(keys.modules("\n".join(sources)).items())).encode())
    stored = [path for name in ("planted", "planted-hidden") for path in (paths.checkpoints() / name).glob("*-s0/*")]
    for path in (paths.root() / "book" / "artifacts.yml", *sorted(stored)):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def exported() -> Path:
    """The folder with the data of the planted world, made where it is not there or was made from other things."""
    folder = paths.cache() / "explorer" / f"planted-{fingerprint()[:12]}"
    if not all((folder / name).is_file() for name in FILES):
        command = [sys.executable, str(MAKE / "explorer.py"), "planted", "--out", str(folder)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"},
        )
        if done.returncode:
            raise RuntimeError(f"book/_make/explorer.py failed:\n{done.stderr[-2000:]}")
    return folder


def scripts(up: str, *names: str) -> str:
    """The style and the scripts of a control, which wait until the page stands."""
    folder = f"{up}_static/explorer"
    tags = "\n".join(f'<script defer src="{folder}/{name}"></script>' for name in names)
    return f'<link rel="stylesheet" href="{folder}/explorer.css">\n{tags}'


class Explorer(SphinxDirective):
    """The whole explorer."""

    def run(self) -> list[nodes.Node]:
        up = needed(self.env)
        tags = scripts(
            up, "data.js", "model.js", "view.js", "history.js", "card.js", "concepts.js", "results.js", "explorer.js"
        )
        return [
            nodes.raw(
                "", f'<div class="explorer"><p class="x-without">{escape(WITHOUT)}</p></div>\n{tags}', format="html"
            )
        ]


class Steer(SphinxDirective):
    """One user, one concept, one slider; the lists without and with the concept where there are no scripts."""

    def run(self) -> list[nodes.Node]:
        up, still = needed(self.env), read_json(exported() / "landing.json")
        columns = "".join(
            f"<div><p>{'As it is' if not one['dose'] else 'With ' + escape(still['concept']) + ' turned up'}"
            f": {one['share']} of the top 10 are {escape(still['concept'])}</p>"
            f'<ol class="x-list">{"".join(item(*pair) for pair in zip(one["titles"], one["with"], strict=True))}</ol>'
            "</div>"
            for one in still["lists"]
        )
        text = (
            f'<div class="steer"><div class="steer-still">{columns}</div></div>\n'
            f"{scripts(up, 'landing-data.js', 'model.js', 'view.js', 'landing.js')}"
        )
        return [nodes.raw("", text, format="html")]


def item(title: str, has: bool) -> str:
    """A line of a list that does not move."""
    return f'<li{" class=has" if has else ""}><span class="x-title">{escape(title)}</span></li>'


def needed(env: BuildEnvironment) -> str:
    """Note that the page needs the data; the way from it to the top of the built pages."""
    env.__dict__.setdefault("book_explorers", set()).add(env.docname)
    return "../" * env.docname.count("/")


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """A page that is read anew may need no data any more."""
    getattr(env, "book_explorers", set()).discard(docname)


def lay(app: Sphinx, error: Exception | None) -> None:
    """Put the data beside the scripts, where a page needs them."""
    if error is None and app.builder.format == "html" and getattr(app.env, "book_explorers", None):
        source, target = exported(), Path(app.outdir) / "_static" / "explorer"
        for name in FILES[:2]:
            shutil.copyfile(source / name, target / name)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("explorer", Explorer)
    app.add_directive("steer", Steer)
    app.connect("env-purge-doc", forget)
    app.connect("build-finished", lay)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
