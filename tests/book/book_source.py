"""Where the book's sources are, which pages it has, and how it is built."""

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def documents() -> list[str]:
    """The pages in the table of contents, without suffix."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]


def build(source: Path, out: Path) -> subprocess.CompletedProcess:
    """Build a book as the command line does, every warning an error."""
    start = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", start, "build", str(source), "--path-output", str(out), "-W", "-n", "--keep-going"]
    return subprocess.run(command, capture_output=True, text=True, check=False)
