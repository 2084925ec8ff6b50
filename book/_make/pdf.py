"""The whole book as one PDF: ``python book/_make/pdf.py [EDITION]`` prints ``_build/EDITION/book.pdf``.

The pages are those of the HTML, laid on one page (``book/_ext/book_single.py``) and printed by a headless Chromium.
Right after ``make published`` nothing is read twice: both builds share what Sphinx keeps of the sources.
"""

import argparse
import html
import subprocess
import sys
import time
from pathlib import Path

import yaml

from recsae_book import editions
from recsae_book.book import stage
from recsae_book.chromium import browser
from recsae_core import paths

STYLE = "font-family: sans-serif; font-size: 7.5px; color: #4c565e; width: 100%; padding: 0 17mm; display: flex"
MARGINS = {"marginTop": 0.71, "marginBottom": 0.79, "marginLeft": 0.67, "marginRight": 0.67}  # inches, as in print.css
WIDTH = 665  # pixels between the margins of A4, so that what is too wide shows before it is printed
READY = """
(async () => {
  document.querySelectorAll("details:not(.hide), .tag_solution details").forEach((d) => { d.open = true; });
  document.querySelectorAll("img[loading=lazy]").forEach((i) => { i.loading = "eager"; });
  await Promise.allSettled([...document.images].map((i) => i.decode()));
  await document.fonts.ready;
  const page = document.querySelector(".bd-article");
  for (const wide of page.querySelectorAll("table, mjx-container[display=true] > svg")) {
    const room = wide.parentElement.getBoundingClientRect().width;
    const much = wide.getBoundingClientRect().width / Math.min(room, page.clientWidth);
    if (room && much > 1) wide.style.zoom = 1 / much;
  }
  const raw = [...document.querySelectorAll(".bd-article .math")].filter((m) => !m.querySelector("mjx-container"));
  const broken = [...document.images].filter((i) => !i.naturalWidth).map((i) => i.src);
  return [...raw.map((m) => m.textContent), ...broken];
})()
"""


def one_page(source: Path, build: Path) -> Path:
    """Build the book in ``source`` as a single HTML page, every warning an error, and return the page."""
    start = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", start, "build", str(source), "--path-output", str(build)]
    done = subprocess.run([*command, "--builder", "singlehtml", "-W", "-n", "--keep-going"], check=False)
    if done.returncode:
        raise RuntimeError("the single page has errors or warnings, see above")
    return build / "_build" / "singlehtml" / "index.html"


def printed(page: Path, target: Path, title: str) -> None:
    """Print a built page; ``RuntimeError`` where a formula or a picture is missing on it."""
    foot = f'<span style="flex: 1">{html.escape(title)}</span><span class="pageNumber"></span>'
    with browser(patience=900.0) as tab:  # a whole book is a long page
        tab.open(page, WIDTH)
        tab.call("Emulation.setEmulatedMedia", media="print")
        if missing := tab.evaluate(READY):
            raise RuntimeError(f"{page}: {len(missing)} formulas or pictures are not shown, for example {missing[0]}")
        tab.printed(
            target,
            printBackground=True,
            displayHeaderFooter=True,
            headerTemplate="<span></span>",
            footerTemplate=f'<div style="{STYLE}">{foot}</div>',
            paperWidth=8.27,
            paperHeight=11.69,
            generateTaggedPDF=True,
            generateDocumentOutline=True,
            **MARGINS,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("edition", nargs="?", default="published")
    edition = parser.parse_args().edition
    start, build = time.monotonic(), paths.root() / "_build" / edition
    source = stage(edition)
    title = yaml.safe_load((source / "_config.yml").read_text(encoding="utf-8"))["title"]
    with editions.environment(RECSAE_EDITION=edition):
        page = one_page(source, build / "book")
    target = build / "book.pdf"
    printed(page, target, title)
    print(f"{target} ({target.stat().st_size / 1e6:.1f} MB, {time.monotonic() - start:.0f} s)")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"error: {error}")
