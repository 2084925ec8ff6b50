"""The student's edition: a folder and a zip that run on a laptop, offline after installing, without any solution.

    python book/_make/student.py             dist/student/ and dist/student.zip
    python book/_make/student.py --teacher   dist/teacher/ and dist/teacher.zip: with solutions and marking notes

The student's folder is searched for every line of every solution before it is kept.
"""

import argparse
import html
import io
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import exercises

from recsae_book import artifacts, editions, notebooks
from recsae_core import paths
from recsae_core.files import atomic, whole

PACKAGES = ("recsae_core", "recsae_book", "book/recsae_checks")
CHECKS = Path(__file__).parents[1] / "recsae_checks"
FILES = ("book/artifacts.yml", "data/LICENSES.md", "pyproject.toml", "constraints.txt", "LICENSE", "LICENSE-TEXT")
SHORT = 24  # characters: a shorter line of a solution says nothing by itself
WHEN = (2000, 1, 1, 0, 0, 0)  # of every file in a zip, so that equal contents are equal bytes

README = """# Exercises: inside recommenders with sparse autoencoders

{about}

You need Python 3.11 or newer and about 2 GB of disk. Once installed, nothing needs a network. In this folder:

```
python3 -m venv .venv
.venv/bin/python -m pip install -c constraints.txt -e . jupyter
.venv/bin/jupyter lab notebooks
```

(On Windows: `.venv\\Scripts\\python` and `.venv\\Scripts\\jupyter`.)

{how}

{contents}
"""
STUDENT = """A cell with `raise NotImplementedError` or `= None` is yours to fill in; the cell after it says whether the
answer is right, and if not, what is wrong with it. Every notebook also runs as it is, from its first cell to its last,
in less than two minutes; a check without an answer says so. The data are a generated world that each notebook makes."""
TEACHER = """The notebooks hold the solutions. `marking/` has one page a notebook: each exercise with its grade, its
solution, why, and what the check says to foreseeable mistakes. The student's folder is made by the same command without
`--teacher`."""


def plain(text: str) -> str:
    """Markdown of the book as any notebook shows it: no labels, dropdowns as HTML, links to pages as their titles.

    Raises ``ValueError`` where a role or a directive is left that only the book understands.
    """
    text = re.sub(r"^\([\w-]+\)=\n", "", text, flags=re.MULTILINE)
    opened = r"^(`{3,}|:{3,})\{(?:dropdown|admonition|note|tip|hint|warning)\}[ ]*([^\n]*)\n(.*?)^\1[ ]*$"
    closed = r"<details><summary>\2</summary>\n\n\3\n</details>"
    text = re.sub(opened, closed, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\[\]\(([^)#]+)(?:#[^)]*)?\)", lambda m: f"*{title(m[1])}*", text)
    text = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)
    text = re.sub(r"\{(?:ref|doc|numref|eq)\}`([^`<]+?)\s*(?:<[^>]*>)?`", lambda m: f"*{title(m[1])}*", text)
    text = re.sub(r"\{cite(?::\w+)?\}`([^`]+)`", r"(\1)", text)
    if left := re.search(r"(?<!\w)\{[a-z][\w:-]*\}`|^[`:]{3,}\{", text, re.MULTILINE):
        raise ValueError(f"{left[0]!r} is understood by the book alone: expected plain Markdown in {text[:80]!r}")
    return text


def title(page: str) -> str:
    """The first heading of a page, by its path or name; "exercise N.M" for such a label; else the name."""
    name = Path(page.strip()).name
    if re.fullmatch(r"ex-\d+-\d+", name):
        return "exercise " + name[3:].replace("-", ".")
    root = paths.root()
    for path in [root / "notebooks" / f"{name.partition('.')[0]}.py", *(root / "book").rglob(f"{name}*.md")]:
        heading = "^# # (.+)$" if path.suffix == ".py" else "^# (.+)$"
        if path.is_file() and (found := re.search(heading, path.read_text(encoding="utf-8"), re.MULTILINE)):
            return found[1]
    return name


def edition(path: Path, solutions: bool) -> Any:
    """A notebook of exercises without outputs, and without the cells of solutions unless they are wanted."""
    book = notebooks.parse(path)
    book.cells = [cell for cell in book.cells if solutions or not notebooks.has(cell, "solution")]
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell["source"] = plain(cell.source)
        else:
            cell["outputs"], cell["execution_count"] = [], None
        cell["metadata"] = {"tags": tags} if (tags := cell.metadata.get("tags")) else {}
    return book


def checkpoints(names: Iterable[str]) -> list[Path]:
    """The folders of the checkpoints that the planted edition gives to some notebooks.

    Raises ``ValueError`` for a notebook that the edition lacks and for an artifact that is not committed.
    """
    found, made = {}, editions.profile("planted").notebooks
    for name in names:
        if name not in made:
            raise ValueError(f"{name}: expected in the planted edition of book/profiles.yml")
        for given in made[name].needed():
            folder = artifacts.find(**given)
            if folder is None or not folder.is_relative_to(paths.checkpoints()):
                raise ValueError(f"{name} needs {given}: expected a committed checkpoint")
            found[folder] = given
    return sorted(found)


def lay_out(folder: Path, solutions: bool) -> None:
    """Fill a folder with the notebooks, the packages they import, and the checkpoints they load."""
    import nbformat

    root, sources = paths.root(), exercises.sources()
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in PACKAGES:
        shutil.copytree(root / name, folder / name, ignore=ignore)
    kept = [root / name for name in FILES]
    kept += [path for where in checkpoints(p.stem for p in sources) for path in sorted(where.iterdir())]
    for path in kept:
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    (folder / "notebooks").mkdir()
    lines = []
    for path in sources:
        nbformat.write(edition(path, solutions), folder / "notebooks" / f"{path.stem}.ipynb")
        found = exercises.read(notebooks.parse(path))
        lines.append(f"- `notebooks/{path.stem}.ipynb`: {title(path.stem)} ({len(found)} exercises)")
        if solutions:
            (folder / "marking").mkdir(exist_ok=True)
            (folder / "marking" / f"{path.stem}.md").write_text(marking(path), encoding="utf-8")
    about = "Notebooks with automatic checks" + (", with solutions: for teachers only." if solutions else ".")
    how = TEACHER if solutions else STUDENT
    text = README.format(about=about, how=how, contents="\n".join(lines))
    (folder / "README.md").write_text(text, encoding="utf-8")


def marking(path: Path) -> str:
    """Marking notes: of each exercise the solution, the reason, and what the check says to stored mistakes."""
    wrong = exercises.wrong_answers(path.stem)
    with redirect_stdout(io.StringIO()):
        played = exercises.play(path, wrong)
    parts = [f"# {title(path.stem)}: marking notes"]
    for e in exercises.read(notebooks.parse(path)):
        parts.append(f"## {e.number} {'★' * e.grade} {e.title}")
        parts += [f"```python\n{code}\n```" for code in e.solution] + [plain(why) for why in e.why]
        parts.append("Mistakes that the check names:")
        for (code, _), verdict in zip(wrong.get(e.number, []), played.wrong[e.number], strict=True):
            parts.append(f"```python\n{code.strip()}\n```\n\n> {verdict.message}")
    return "\n\n".join(parts) + "\n"


def squeezed(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())


def secrets(sources: Iterable[Path]) -> set[str]:
    """Lines of code and prose that stand in solutions, and in no other cell of a notebook and not in the library."""
    inside: set[str] = set()
    outside = [
        squeezed(p.read_text(encoding="utf-8")) for name in PACKAGES[:2] for p in (paths.root() / name).rglob("*.py")
    ]
    for path in sources:
        for cell in notebooks.parse(path).cells:
            if notebooks.has(cell, "solution"):
                inside.update(map(squeezed, (*cell.source.splitlines(), *plain_lines(cell))))
            else:
                outside.append(squeezed(cell.source))
    return {line for line in inside if len(line) >= SHORT and not any(line in text for text in outside)}


def plain_lines(cell: Any) -> list[str]:
    """The lines of a markdown cell as the student's edition would write them."""
    return plain(cell.source).splitlines() if cell.cell_type == "markdown" else []


def texts(path: Path) -> Iterator[str]:
    """The readings of a file in which a solution could hide: as it is, as HTML, and cell by cell."""
    text = path.read_bytes().decode("utf-8", errors="ignore")
    yield squeezed(text)
    if path.suffix == ".ipynb":
        yield squeezed("\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"]))
    elif path.suffix in (".html", ".htm", ".js", ".json"):
        yield squeezed(html.unescape(re.sub(r"<[^>]*>", "", text)))


def leaks(folder: Path, hidden: Iterable[str]) -> list[str]:
    """Where in a folder a line of a solution stands, tags of such cells among them."""
    hidden, found = list(hidden), []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".ipynb":
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            found += [f"{name}: a cell tagged solution" for c in cells if "solution" in c["metadata"].get("tags", [])]
            found += [f"{name}: an output" for c in cells if c.get("outputs")]
        for text in texts(path):
            found += [f"{name}: {line}" for line in hidden if line in text]
    return sorted(set(found))


def pack(folder: Path, target: Path) -> None:
    """Write a folder to a zip, under the folder's own name; equal contents give equal bytes."""
    with atomic(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}", WHEN)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, path.read_bytes())


def build(out: Path, solutions: bool = False) -> Path:
    """Make the folder and the zip of an edition under ``out``; the zip.

    Raises ``RuntimeError`` where a line of a solution is left in the student's folder; nothing is kept then.
    """
    folder = out / ("teacher" if solutions else "student")
    with whole(folder) as fresh:
        lay_out(fresh, solutions)
        if not solutions and (found := leaks(fresh, secrets(exercises.sources()))):
            raise RuntimeError("solutions are left in the student's edition:\n" + "\n".join(found))
    target = folder.with_suffix(".zip")
    pack(folder, target)
    return target


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--teacher", action="store_true", help="with solutions and marking notes")
    parser.add_argument("--out", type=Path, default=paths.root() / "dist", help="default: dist")
    given = parser.parse_args()
    made = build(given.out, given.teacher)
    print(f"{made} ({made.stat().st_size / 1e6:.1f} MB, {len(exercises.sources())} notebooks)")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f"error: {error}")
