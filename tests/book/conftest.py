"""The published book, built once for all tests of its pages, and a browser to look at it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from chromium import Page, browser
from requirements import needs

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))


def documents() -> list[str]:
    """The pages in the table of contents, without suffix."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]


def build(source: Path, out: Path) -> subprocess.CompletedProcess:
    """Build a book as the command line does, every warning an error."""
    start = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", start, "build", str(source), "--path-output", str(out), "-W", "-n", "--keep-going"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def builder() -> Callable[[Path, Path], subprocess.CompletedProcess]:
    return build


@pytest.fixture(scope="session")
def html(tmp_path_factory) -> Path:
    """The built pages of the published edition; ``$RECSAE_HTML`` names other pages to look at, built already."""
    if built := os.environ.get("RECSAE_HTML"):
        return Path(built)
    folder = tmp_path_factory.mktemp("published")
    source = folder / "src"
    for name in ("book", "notebooks", "data"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("checkpoints", "__pycache__"))
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy2(ROOT / name, source)
    done = build(source, folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return folder / "_build" / "html"


@pytest.fixture(scope="session")
def page() -> Iterator[Page]:
    """A tab of a headless browser."""
    needs("browser")
    with browser() as tab:
        yield tab
