"""The exercises as the notebooks ``3?_ex_*.py`` state them, and what their checks say of any answer.

An exercise is a heading with a label ``(ex-N-M)=``, a cell tagged ``exercise`` (the stub), one or more cells tagged
``solution``, and a cell tagged ``check`` whose last line is the verdict.
"""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from recsae_book import notebooks
from recsae_checks import Verdict
from recsae_core import paths

HEADING = re.compile(r"^## Exercise (?P<number>\d+\.\d+) (?P<stars>★{1,3}) (?P<title>\S.*)$", re.MULTILINE)
LABEL = re.compile(r"^\((ex-\d+-\d+)\)=$", re.MULTILINE)


@dataclass
class Exercise:
    """One exercise as its notebook has it."""

    number: str
    grade: int  # stars, 1 to 3
    title: str
    label: str
    stub: list[str] = field(default_factory=list)
    solution: list[str] = field(default_factory=list)
    why: list[str] = field(default_factory=list)  # prose of the solution
    check: list[str] = field(default_factory=list)


@dataclass
class Played:
    """What happened when a notebook's cells were run: verdicts by exercise."""

    stub: dict[str, Verdict] = field(default_factory=dict)
    solution: dict[str, Verdict] = field(default_factory=dict)
    wrong: dict[str, list[Verdict]] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)  # what the cells of the solution gave to names


def sources() -> list[Path]:
    """The notebooks of exercises, in the order of the book."""
    return sorted((paths.root() / "notebooks").glob("3?_ex_*.py"))


def read(book: Any) -> list[Exercise]:
    """The exercises of a notebook; ``ValueError`` for an exercise's cell before the first heading."""
    found: list[Exercise] = []
    for cell in book.cells:
        if cell.cell_type == "markdown" and (heading := HEADING.search(cell.source)):
            label = LABEL.search(cell.source)
            named = heading["number"], len(heading["stars"]), heading["title"], label[1] if label else ""
            found.append(Exercise(*named))
        for tag, name in (("exercise", "stub"), ("solution", "solution"), ("check", "check")):
            if notebooks.has(cell, tag):
                if not found:
                    raise ValueError(f"a cell tagged {tag} stands before the first heading of an exercise")
                prose = tag == "solution" and cell.cell_type == "markdown"
                getattr(found[-1], "why" if prose else name).append(cell.source)
    return found


def run(source: str, names: dict[str, Any]) -> Any:
    """Execute a cell's code in a namespace; the value of its last line where that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None


def play(path: Path, wrong: Mapping[str, Iterable[tuple[str, str]]]) -> Played:
    """Run a notebook's cells once, and each check on the stub, on the solution, and on wrong answers.

    A wrong answer takes the place of the solution, or of a part of it. ``wrong`` holds pairs of code and a word; only
    the code matters here.
    """
    names, found, number = namespace(), Played(), ""
    waiting: list[str] = []
    for cell in notebooks.parse(path).cells:
        if cell.cell_type == "markdown":
            number = heading["number"] if (heading := HEADING.search(cell.source)) else number
        elif notebooks.has(cell, "solution"):
            waiting.append(cell.source)
        elif notebooks.has(cell, "check"):
            found.stub[number] = run(cell.source, dict(names))
            before = dict(names)
            for code in waiting:
                run(code, names)
            waiting = []
            found.answers[number] = {k: v for k, v in names.items() if k not in before or before[k] is not v}
            found.solution[number] = run(cell.source, dict(names))
            found.wrong[number] = []
            for code, _ in wrong.get(number, ()):
                other = dict(names)
                run(code, other)
                found.wrong[number].append(run(cell.source, other))
        else:
            run(cell.source, names)
    return found


def play_stubs(path: Path) -> dict[str, Verdict]:
    """Run a notebook as a student finds it, without the cells of solutions; the verdicts by exercise."""
    names, found, number = namespace(), {}, ""
    for cell in notebooks.parse(path).cells:
        if cell.cell_type == "markdown":
            number = heading["number"] if (heading := HEADING.search(cell.source)) else number
        elif not notebooks.has(cell, "solution"):
            value = run(cell.source, names)
            if notebooks.has(cell, "check"):
                found[number] = value
    return found


def namespace() -> dict[str, Any]:
    """What a notebook begins with: its name, and a ``display`` that draws nothing."""
    return {"__name__": "__main__", "display": lambda *values, **options: None}


@cache
def wrong_answers(name: str) -> dict[str, list[tuple[str, str]]]:
    """The stored wrong answers to a notebook's exercises: pairs of code and a word that the check's message holds."""
    path = paths.root() / "tests" / "book" / "wrong_answers" / f"{name}.py"
    spec = spec_from_file_location(f"wrong_answers_{name}", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WRONG
