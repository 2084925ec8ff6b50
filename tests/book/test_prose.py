"""Numbers of the text are read, never typed, and what the text names is there."""

import re
from pathlib import Path

import pytest
from book_source import ROOT

PAGES = sorted((ROOT / "book").rglob("*.md"))
ALLOWED = {"95%"}  # the level of an interval


def prose(text: str) -> str:
    """The text without code, directives' options, roles, links' targets, equations and comments."""
    for pattern in (
        r"^(`{3,}|:{3,}).*?^\1[`:]*\s*$",  # fences, mathematics and directives among them
        r"\$\$.*?\$\$",
        r"<svg.*?</svg>",
        r"\{[\w:-]+\}`[^`]*`",
        r"`[^`]*`",
        r"\$[^$\n]*\$",
        r"\]\([^)]*\)",
    ):
        text = re.sub(pattern, " ", text, flags=re.DOTALL | re.MULTILINE)
    return text


def typed(text: str) -> list[str]:
    """Decimals and percentages that stand in the prose."""
    found = re.findall(r"(?<![\w.])-?\d*\.\d+%?(?![\w.])|(?<![\w.])\d+\s?%", prose(text))
    return [number for number in found if number not in ALLOWED]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_no_result_is_typed(path: Path):
    text = path.read_text(encoding="utf-8").replace("Python 3.11", "Python")
    assert typed(text) == []


def test_the_lint_sees_what_it_should():
    assert typed("The SAE reaches 0.63, neurons .25 and -1.5; 36% or 36 % less.") == [
        "0.63",
        ".25",
        "-1.5",
        "36%",
        "36 %",
    ]
    quiet = "At `0.63` and {val}`a/b/c:.3f` with $r = 0.5$, ml-1m, v1.2.3, a 95% interval.\n\n```{math}\n0.1\n```\n"
    assert typed(quiet) == []


def test_the_bibliography_has_what_is_cited_and_nothing_else():
    entries = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text(), re.MULTILINE))
    texts = [p.read_text(encoding="utf-8") for p in [*PAGES, *(ROOT / "notebooks").glob("*.py")]]
    cited = {
        key.strip()
        for text in texts
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text)
        for key in keys.split(",")
    }
    assert cited == entries


def test_every_figure_of_a_notebook_has_a_caption_a_name_and_an_alt_text():
    import ast
    import json

    names: list[str] = []
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        own = re.findall(r"^from recsae_book\.figures import (\w+)$", text, re.MULTILINE)  # modules of figures
        makers = tuple(f"{name}." for name in ["figures", *own])
        cells = re.split(r"^# %%", text, flags=re.MULTILINE)[1:]
        for cell in cells:
            head, _, body = cell.partition("\n")
            if head.strip().startswith("[markdown]"):
                continue
            last = ast.parse(body).body[-1:]
            draws = last and isinstance(last[0], ast.Expr) and ast.unparse(last[0]).startswith(makers)
            if not draws:
                continue
            about = json.loads(re.search(r"mystnb=(\{.*\})", head)[1])
            assert len(about["figure"]["caption"].split()) >= 4, head
            assert len(about["image"]["alt"].split()) >= 5, head
            assert about["figure"]["name"].startswith("fig-"), head
            names.append(about["figure"]["name"])
    assert names and len(names) == len(set(names))
