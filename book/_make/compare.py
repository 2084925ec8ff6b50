"""Two sets of results, number by number: ``python book/_make/compare.py BEFORE AFTER`` exits 1 where they disagree.

BEFORE and AFTER are folders of results, such as ``data/results/published`` and ``_build/planted/results``. Shown are
the numbers that differ by more than verification allows, and those that only one of the folders has.
"""

import argparse
from pathlib import Path

from recsae_book import results
from recsae_book.verify import compare


def gathered(folder: Path) -> dict[str, results.Result]:
    """All results in a folder's files, one file a notebook; ``ValueError`` where there are none."""
    files = sorted(folder.glob("[0-9]*.json"))
    if not files:
        raise ValueError(f"{folder}: no results; expected files such as 01_data.json")
    return {key: result for path in files for key, result in results.read(path).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    given = parser.parse_args()
    before = gathered(given.before)
    lines, wrong = compare(before, gathered(given.after))
    width = len(lines[0])
    print("\n".join([lines[0], *(line for line in lines[1:] if len(line) > width)]))
    print(f"{len(before)} numbers, {wrong} of them differ")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
