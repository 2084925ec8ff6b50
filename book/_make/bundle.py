"""What a release holds beside the PDF: ``python book/_make/bundle.py [EDITION]``.

    _build/EDITION/book-offline.zip   the HTML; unpack it and open index.html, no network and no server needed
    _build/EDITION/notebooks.zip      the executed notebooks
    _build/EDITION/SHA256SUMS         of these, the PDF and the student's zip, as far as they are there

Equal contents give equal bytes.
"""

import argparse
import hashlib
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from recsae_book import editions
from recsae_core import paths
from recsae_core.files import atomic

WHEN = (2000, 1, 1, 0, 0, 0)  # of every file in a zip


def packed(target: Path, folder: Path, files: Iterable[Path]) -> Path:
    """Write files to a zip under the name of the zip, with their places below ``folder``."""
    with atomic(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(f"{target.stem}/{path.relative_to(folder).as_posix()}", WHEN)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return target


def sums(files: Iterable[Path]) -> str:
    """Checksums as ``sha256sum --check`` reads them, for files that lie in one folder."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    return "".join(sorted(lines, key=lambda line: line.split()[1]))


def bundle(edition: str) -> list[Path]:
    """Make the zips and the checksums of a built edition; ``ValueError`` where its HTML is not built."""
    build = paths.root() / "_build" / edition
    html, books = build / "html", editions.folder(edition)
    if not (html / "index.html").is_file():
        raise ValueError(f"{html}: no HTML; expected it built, for example by python -m recsae_core html {edition}")
    pages = [path for path in html.rglob("*") if path.is_file()]
    made = [packed(build / "book-offline.zip", html, pages)]
    made.append(packed(build / "notebooks.zip", books, books.glob("[0-9]*.ipynb")))
    there = [path for path in (build / "book.pdf", paths.root() / "dist" / "student.zip") if path.is_file()]
    with atomic(build / "SHA256SUMS") as temporary:
        temporary.write_text(sums([*made, *there]), encoding="utf-8")
    return [*made, *there, build / "SHA256SUMS"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("edition", nargs="?", default="published")
    for path in bundle(parser.parse_args().edition):
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"error: {error}")
