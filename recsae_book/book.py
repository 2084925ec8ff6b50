"""The HTML of an edition: the book's sources and the edition's executed notebooks, built with warnings as errors."""

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from recsae_book import editions
from recsae_core import paths
from recsae_core.files import whole


def lay_out(where: Path) -> None:
    """Copy what every edition's book is built from into a folder, and unpack what the checkout keeps packed."""
    ignore = shutil.ignore_patterns("checkpoints", "__pycache__", ".ipynb_checkpoints")
    for name in ("book", "notebooks", "data"):
        shutil.copytree(paths.root() / name, where / name, ignore=ignore)
    for name in ("_toc.yml", "_config.yml"):
        shutil.copy2(paths.root() / name, where)
    for packed in (where / "book" / "_static" / "vendor").rglob("*.gz"):  # a third of the size in the checkout
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()


def stage(edition: str) -> Path:
    """Lay the book out in the build folder, with the edition's notebooks and banner."""
    root, where = paths.root(), paths.root() / "_build" / edition / "src"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    lay_out(where)
    if editions.folder(edition) != root / "notebooks":
        for path in editions.folder(edition).glob("*.ipynb"):
            shutil.copy2(path, where / "notebooks")
    config = yaml.safe_load((where / "_config.yml").read_text(encoding="utf-8"))
    if banner := editions.profile(edition).banner:
        theme = config.setdefault("sphinx", {}).setdefault("config", {}).setdefault("html_theme_options", {})
        theme["announcement"] = banner
    (where / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    for job in editions.jobs(edition):
        if job.target.is_file() and job.stale:
            _mark(where / "notebooks" / job.target.name)
    return where


def _mark(path: Path) -> None:
    import nbformat

    sentence = "The code behind this page changed after it was executed: a new run may give other numbers."
    book = nbformat.read(path, as_version=4)
    cell = nbformat.v4.new_markdown_cell(f"```{{warning}}\n{sentence}\n```", id="stale")
    book.cells.insert(1, cell)
    nbformat.write(book, path)


def html(edition: str) -> Path:
    """Build an edition's HTML from its executed notebooks, every warning an error, and return its first page."""
    where = stage(edition)
    build = paths.root() / "_build" / edition / "book"
    start = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", start, "build", str(where), "--path-output", str(build)]
    with editions.environment(RECSAE_EDITION=edition):
        done = subprocess.run([*command, "-W", "-n", "--keep-going"], check=False)
    if done.returncode:
        raise RuntimeError(f"{edition} edition: the book has errors or warnings, see above")
    target = paths.root() / "_build" / edition / "html"
    with whole(target) as fresh:
        shutil.copytree(build / "_build" / "html", fresh, dirs_exist_ok=True)
    return target / "index.html"
