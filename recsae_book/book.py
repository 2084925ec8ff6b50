"""The HTML of an edition: the book's sources and the edition's executed notebooks, built with warnings as errors."""

import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import yaml

from recsae_book import editions, notebooks
from recsae_core import paths
from recsae_core.files import whole


def lay_out(where: Path) -> None:
    """Copy what every edition's book is built from into a folder, and unpack what the checkout keeps packed."""
    ignore = shutil.ignore_patterns("checkpoints", "__pycache__", ".ipynb_checkpoints", "axe")  # axe is for tests
    for name in ("book", "notebooks", "data"):
        shutil.copytree(paths.root() / name, where / name, ignore=ignore)
    for name in ("_toc.yml", "_config.yml"):
        shutil.copy2(paths.root() / name, where)
    for packed in (where / "book" / "_static" / "vendor").rglob("*.xz"):  # a quarter of the size in the checkout
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
        packed.unlink()


def address(config: dict[str, Any]) -> None:
    """Fill in where the repository is: ``$RECSAE_REPOSITORY`` (owner/name) and ``$RECSAE_RELEASE`` (a tag).

    Without the first no page leads to a repository, and without both no notebook has a launch button. The buttons
    lead to the tag RELEASE-launch, whose notebooks install this release on Colab (``book/_make/launch.py``).
    """
    repository, release = os.environ.get("RECSAE_REPOSITORY", ""), os.environ.get("RECSAE_RELEASE", "")
    if not repository:
        return
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"RECSAE_REPOSITORY={repository!r}: expected owner/name")
    branch = f"{release}-launch" if release else "main"
    config["repository"] = {"url": f"https://github.com/{repository}", "path_to_book": "", "branch": branch}
    config.setdefault("html", {}).update(use_repository_button=True, use_issues_button=True)
    if release:
        config["launch_buttons"] = {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        }


def _configure(where: Path, banner: str | None) -> None:
    config = yaml.safe_load((where / "_config.yml").read_text(encoding="utf-8"))
    if banner:
        theme = config.setdefault("sphinx", {}).setdefault("config", {}).setdefault("html_theme_options", {})
        theme["announcement"] = banner
    address(config)
    (where / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def runs(over: Sequence[Path], known: Container[str]) -> dict[str, Path]:
    """Name -> executed notebook in the folders of a reader's runs; ``ValueError`` where there is none, or one twice."""
    found: dict[str, Path] = {}
    for folder in over:
        there = sorted(folder.glob("*.ipynb"))
        if not there:
            raise ValueError(f"{folder}: no executed notebook; expected a folder that `run` made, as in runs/04_...")
        for path in there:
            if path.stem not in known:
                raise ValueError(f"{path}: the book has no notebook of that name")
            if path.stem in found:
                raise ValueError(f"{path.stem} is in both {found[path.stem].parent} and {folder}: choose one")
            found[path.stem] = path
    return found


def stage(edition: str, over: Sequence[Path] = ()) -> Path:
    """Lay the book out in the build folder, with the edition's notebooks and banner, and a reader's runs over them."""
    root, where = paths.root(), paths.root() / "_build" / _named(edition, over) / "src"
    mine = runs(over, notebooks.sources())
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    lay_out(where)
    if editions.folder(edition) != root / "notebooks":
        for path in editions.folder(edition).glob("*.ipynb"):
            shutil.copy2(path, where / "notebooks")
    for path in mine.values():
        shutil.copy2(path, where / "notebooks")
    banner = editions.profile(edition).banner
    if mine:
        said = f"You ran {len(mine)} of these notebooks with parameters of your own: {', '.join(sorted(mine))}."
        banner = f"{banner} {said}" if banner else said
    _configure(where, banner)
    for job in editions.jobs(edition):
        if job.target.is_file() and job.stale and job.name not in mine:
            _mark(where / "notebooks" / job.target.name, STALE)
    for name in mine:
        _mark(where / "notebooks" / f"{name}.ipynb", None)
    if editions.folder(edition) != root / "notebooks":
        there = {path.name for path in [*editions.folder(edition).glob("*.ipynb"), *mine.values()]}
        for path in (where / "notebooks").glob("*.ipynb"):
            if path.name not in there:
                _mark(path, f"This page was not run in the {edition} edition: it shows the published one.")
    return where


STALE = "The code behind this page changed after it was executed: a new run may give other numbers."


def _named(edition: str, over: Sequence[Path]) -> str:
    return f"{edition}-over" if over else edition


def _mark(path: Path, sentence: str | None) -> None:
    """Say below a page's title that it is stale, or with which parameters a reader ran it."""
    import nbformat

    book = nbformat.read(path, as_version=4)
    if sentence is None:
        given = book.metadata.get("book", {}).get("parameters", {})
        listed = ", ".join(f"`{name}={value!r}`" for name, value in given.items()) or "its defaults"
        text, name = f"```{{note}}\nThis page is a run of your own, with {listed}.\n```", "own-run"
    else:
        text, name = f"```{{warning}}\n{sentence}\n```", "stale"
    book.cells.insert(1, nbformat.v4.new_markdown_cell(text, id=name))
    nbformat.write(book, path)


def _sphinx(source: Path, build: Path, *options: str, **run: Any) -> subprocess.CompletedProcess:
    start = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", start, "build", str(source), "--path-output", str(build), *options]
    return subprocess.run(command, check=False, **run)


def html(edition: str, over: Sequence[Path] = ()) -> Path:
    """Build an edition's HTML from its executed notebooks, every warning an error, and return its first page."""
    where = stage(edition, over)
    build = paths.root() / "_build" / _named(edition, over) / "book"
    with editions.environment(RECSAE_EDITION=edition):
        done = _sphinx(where, build, "-W", "-n", "--keep-going")
    if done.returncode:
        raise RuntimeError(f"{edition} edition: the book has errors or warnings, see above")
    target = paths.root() / "_build" / _named(edition, over) / "html"
    with whole(target) as fresh:
        shutil.copytree(build / "_build" / "html", fresh, dirs_exist_ok=True)
    return target / "index.html"


AWAY = re.compile(r"\[([^\]]+)\]\((?!https?:|#)[^)\s]+\)")  # a link to another page of the book


def page(executed: Path) -> Path:
    """The one page of an executed notebook as HTML in ``html/`` beside it; links to other pages become text."""
    import nbformat

    with tempfile.TemporaryDirectory(prefix="recsae-") as name:
        where = Path(name) / "src"
        where.mkdir()
        lay_out(where)
        target = where / "notebooks" / executed.name
        shutil.copy2(executed, target)
        _mark(target, None)
        book = nbformat.read(target, as_version=4)
        for cell in book.cells:
            if cell.cell_type == "markdown":
                cell.source = AWAY.sub(r"\1", cell.source)
        if any("{cite" in cell.source for cell in book.cells):
            book.cells.append(nbformat.v4.new_markdown_cell("```{bibliography}\n```", id="bibliography"))
        nbformat.write(book, target)
        (where / "_toc.yml").write_text(f"format: jb-book\nroot: notebooks/{executed.stem}\n", encoding="utf-8")
        _configure(where, None)
        done = _sphinx(where, Path(name), "-q", capture_output=True, text=True)
        built = Path(name) / "_build" / "html"
        if done.returncode or not (built / "notebooks" / f"{executed.stem}.html").is_file():
            raise RuntimeError(f"{executed.name}: no page could be made of it\n{done.stderr[-2000:]}")
        with whole(executed.parent / "html") as fresh:
            shutil.copytree(built, fresh, dirs_exist_ok=True)
    return executed.parent / "html" / "notebooks" / f"{executed.stem}.html"
