"""The notebooks that the launch buttons open: no outputs, the planted world, and a cell that installs on Colab.

``launch.py --repository OWNER/NAME --release TAG --out DIR`` writes ``DIR/notebooks/*.ipynb``. Over a checkout of the
release, committed under the tag TAG-launch, they are what the buttons of a book built with ``RECSAE_REPOSITORY`` and
``RECSAE_RELEASE`` lead to. Binder installs from ``environment.yml`` and passes over the cell.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import nbformat

from recsae_book import editions, notebooks
from recsae_core import paths
from recsae_core.files import atomic

INSTALL = """# @title On Colab, run this first: it installs this book, release {release}. Elsewhere it does nothing.
import sys

if "google.colab" in sys.modules:
    import importlib
    import os
    import subprocess
    from pathlib import Path

    home = Path("{folder}").resolve()
    address = "{host}/{repository}"
    if not home.exists():
        clone = ["git", "clone", "--quiet", "--depth", "1", "--branch"]
        subprocess.run([*clone, "{release}", address, str(home)], check=True)
    # no exact versions: what Colab has is kept where it is in range, torch above all
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--editable"]
    subprocess.run([*install, str(home){more}], check=True)
    # an editable package is found by a new process; this one is told
    sys.path[:0] = [str(home), str(home / "book")]
    importlib.invalidate_caches()
    os.chdir(home)
"""


def extras(code: str) -> list[str]:
    """What a notebook needs beyond the library, as the project's extra for the book asks for it."""
    project = tomllib.loads((paths.root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {re.split(r"[<>=\[ ]", wanted)[0]: wanted for wanted in project["optional-dependencies"]["book"]}
    return [named[name] for name in ("implicit",) if re.search(rf"\b(import|from) {name}\b", code)]


def as_published(name: str) -> str:
    """A cell of comments with the parameters of the published edition; "" where it has none of its own."""
    known = editions.profile("published").notebooks
    given = editions.parameters("published", name) if name in known else {}
    if not given:
        return ""
    lines = [f"# {key} = {value!r}" for key, value in given.items()]
    head = "# The published page ran with these. Remove the # to do the same: data are downloaded, and it takes longer."
    return "\n".join([head, *lines])


def launched(source: Path, repository: str, release: str, host: str = "https://github.com") -> Any:
    """A notebook as the buttons open it."""
    book = notebooks.parse(source)
    book.cells = [cell for cell in book.cells if not notebooks.has(cell, "solution")]  # who opens it has work to do
    more = "".join(f', "{wanted}"' for wanted in extras("\n".join(notebooks.code(book))))
    folder = f"{repository.partition('/')[2]}-{release}"
    text = INSTALL.format(release=release, folder=folder, host=host, repository=repository, more=more)
    cell = nbformat.v4.new_code_cell(text, id="install", metadata={"cellView": "form", "tags": ["remove-cell"]})
    at = next((i for i, one in enumerate(book.cells) if notebooks.has(one, "parameters")), None)
    if at is not None and (comment := as_published(source.stem)):
        book.cells.insert(at + 1, nbformat.v4.new_code_cell(comment, id="as-published"))
    first = next(i for i, one in enumerate(book.cells) if one.cell_type == "code")
    book.cells.insert(first, cell)
    return book


def write(out: Path, repository: str, release: str, host: str = "https://github.com") -> list[Path]:
    """All notebooks as the buttons open them, in ``out/notebooks``; ``ValueError`` for a name or a tag that is none."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"--repository {repository!r}: expected OWNER/NAME")
    if not re.fullmatch(r"[\w.-]+", release):
        raise ValueError(f"--release {release!r}: expected the name of a tag")
    written = []
    for name, source in notebooks.sources().items():
        path = out / "notebooks" / f"{name}.ipynb"
        with atomic(path) as temporary:
            nbformat.write(launched(source, repository, release, host), temporary)
        written.append(path)
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", required=True, metavar="OWNER/NAME")
    parser.add_argument("--release", required=True, metavar="TAG")
    parser.add_argument("--host", default="https://github.com", help="where the repository is cloned from")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    given = parser.parse_args()
    try:
        print(
            f"{len(write(given.out, given.repository, given.release, given.host))} notebooks in {given.out}/notebooks"
        )
    except ValueError as error:
        sys.exit(f"error: {error}")
