"""Pictures of built pages: ``python tests/book/screenshot.py HTML_FOLDER OUT_FOLDER [PAGE...]``.

One PNG for each page, theme and width; without pages, all of them. PAGE is a part of a page's path.
"""

import argparse
from pathlib import Path

from chromium import browser


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("html", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("pages", nargs="*")
    parser.add_argument("--themes", nargs="+", default=["light", "dark"], choices=["light", "dark"])
    parser.add_argument("--widths", nargs="+", default=[1280, 420], type=int)
    parser.add_argument("--height", type=int, help="only the upper part of the page, this many pixels")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    pages = sorted(p for folder in ("book", "notebooks") for p in (args.html / folder).rglob("*.html"))
    chosen = [p for p in pages if not args.pages or any(part in p.as_posix() for part in args.pages)]
    if not chosen:
        raise SystemExit(f"no page of {args.html} matches {args.pages}")
    with browser() as page:
        for path in chosen:
            name = path.relative_to(args.html).with_suffix("").as_posix().replace("/", "-")
            for theme in args.themes:
                for width in args.widths:
                    page.open(path, width, args.height or 900, theme)
                    target = args.out / f"{name}-{theme}-{width}.png"
                    page.picture(target, whole=args.height is None)
                    print(target)


if __name__ == "__main__":
    main()
