"""Numbers of the text: the role ``val`` and the directive ``scoreboard`` read the published results.

``{val}`seqrec/base/ndcg@10:.3f` `` prints a value and links it to its row of the scoreboard; a field of the result
is named after the key: ``.low``, ``.high``, ``.n``, ``.reference`` ... and ``.range`` for "low to high".
"""

import difflib
import fnmatch
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

SCOREBOARD = "data/results/published/scoreboard.json"
FIELDS = ("value", "low", "high", "range", "interval", "unit", "n", "reference", "source", "note", "seeds")
PAPERS = {
    "recsae": "recsae: TopK SAE on the user side of any recommender",
    "seqrec": "seqrec: L1 SAE on the residual stream of a transformer",
    "monosemantic": "monosemantic: one SAE for user and item embeddings",
    "compare": "Three papers, one model",
    "planted": "The planted world, where the truth is known",
    "data": "The data",
}
log = logging.getLogger(__name__)
Result = Mapping[str, object]


def read(srcdir: str | Path) -> dict[str, Result]:
    """Key -> result of the published scoreboard; ``ValueError`` names the file where there is none."""
    path = Path(srcdir) / SCOREBOARD
    if not path.is_file():
        raise ValueError(f"{SCOREBOARD} is missing: the text quotes it")
    return json.loads(path.read_text(encoding="utf-8"))


def quote(board: Mapping[str, Result], text: str) -> tuple[str, str]:
    """The printed value and its key for ``key[.field][:format]``; ``ValueError`` names near keys."""
    name, _, spec = text.strip().partition(":")
    key, _, field = (name, "", "value") if name in board else name.rpartition(".")
    if key not in board or field not in FIELDS:
        near = difflib.get_close_matches(name, board, n=3, cutoff=0.4)
        raise ValueError(f"no result {name!r} in {SCOREBOARD}; near: {', '.join(near) or 'none'}")
    result = board[key]
    parts = [result.get("low"), result.get("high")] if field == "range" else [result.get(field)]
    if any(p is None for p in parts):
        raise ValueError(f"{key!r} has no {field}")
    try:
        return " to ".join(number(p, spec) for p in parts), key
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key!r}: {field} {parts} cannot be printed as {spec!r} ({error})") from error


def number(value: object, spec: str = "") -> str:
    """``value`` by a format; without one, whole numbers plain and others with three significant digits."""
    if isinstance(value, list):
        return ", ".join(number(v, spec) for v in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return format(value, spec)
    if float(value).is_integer() and (spec.endswith("d") or not spec):
        return format(int(value), spec or ",d")
    digits = 3 if abs(value) < 1 else max(0, 2 - math.floor(math.log10(abs(value))))
    return format(value, spec or f",.{digits}f")


def verdict(result: Result, other: Result) -> tuple[str, bool]:
    """The verdict on ``result`` against a null, by rule, and whether the null does as well."""
    if result.get("better") == "none":
        return "no direction", False
    if any(r.get(side) is None for r in (result, other) for side in ("low", "high")):
        return "no verdict: an interval is missing", False
    (low, high), (null_low, null_high) = ((r["low"], r["high"]) for r in (result, other))
    if result.get("better") == "lower":
        (low, high), (null_low, null_high) = (-high, -low), (-null_high, -null_low)
    if low > null_high:
        return "better than", False
    return ("worse than" if high < null_low else "not better than"), True


def anchor(key: str) -> str:
    """The label of a key's row."""
    return "result-" + re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")


class Value(SphinxRole):
    """A published number, linked to its row of the scoreboard."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_dependency(str(Path(self.env.srcdir) / SCOREBOARD))
        try:
            shown, key = quote(read(self.env.srcdir), self.text)
        except ValueError as error:
            log.warning("val: %s", error, location=self.get_location(), type="book", subtype="val")
            return [nodes.strong("", "?")], []
        return [reference(key, shown)], []


def reference(key: str, shown: str) -> nodes.Node:
    """Text that leads to a key's row."""
    link = addnodes.pending_xref(
        "", refdomain="std", reftype="ref", reftarget=anchor(key), refexplicit=True, refwarn=True, classes=["val"]
    )
    link += nodes.inline("", shown, classes=["val"])
    return link


def table(caption: str, heads: list[str], rows: list[list[list[nodes.Node]]], classes: str) -> nodes.table:
    """A table with a caption and a head row, its first column being row heads; ids may stand on a cell's first node."""
    group = nodes.tgroup(cols=len(heads))
    group += [nodes.colspec(colwidth=1, stub=int(i == 0)) for i in range(len(heads))]
    head = nodes.row()
    head += [nodes.entry("", nodes.paragraph("", h)) for h in heads]
    group += nodes.thead("", head)
    body = nodes.tbody()
    for cells in rows:
        row = nodes.row()
        row += [nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells]
        body += row
    group += body
    return nodes.table("", nodes.title("", caption), group, classes=["results", *classes.split()])


class Scoreboard(SphinxDirective):
    """The published results as tables, one a paper; ``:keys:`` keeps what matches a pattern such as ``seqrec/*``."""

    option_spec = {"keys": directives.unchanged}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(Path(self.env.srcdir) / SCOREBOARD))
        try:
            board = read(self.env.srcdir)
        except ValueError as error:
            log.warning("scoreboard: %s", error, location=self.get_location(), type="book", subtype="val")
            return []
        pattern = self.options.get("keys")
        shown = {k: r for k, r in board.items() if fnmatch.fnmatch(k, pattern or "*")}
        if not shown:
            near = ", ".join(sorted({k.split("/")[0] for k in board}))
            raise self.error(f"no result matches {pattern!r}; papers: {near}")
        papers: dict[str, dict[str, Result]] = {}
        for key, result in shown.items():
            papers.setdefault(key.split("/")[0], {})[key] = result
        out: list[nodes.Node] = []
        for paper, results in sorted(papers.items(), key=lambda item: [*PAPERS, item[0]].index(item[0])):
            whole = pattern is None
            section = nodes.section(ids=[f"results-{paper}"]) if whole else nodes.container()
            if whole:
                section += nodes.title("", PAPERS.get(paper, paper))
            section += self.paper(paper, results, board, whole)
            out.append(section)
        return out

    def paper(self, paper: str, results: Mapping[str, Result], board: Mapping[str, Result], whole: bool) -> list:
        """The tables of one paper, and the notes below them."""
        notes: list[str] = []
        parts: list[nodes.Node] = []
        for metric, group in tables(results):
            rows = []
            for key, r in group.items():
                _, subject, measure = key.split("/", 2)
                head = nodes.inline("", words(subject), ids=[anchor(key)] if whole else [])
                if whole:
                    self.env.get_domain("std").anonlabels[anchor(key)] = self.env.docname, anchor(key)
                middle = [] if metric else [[nodes.Text(words(measure))]]
                row = [ours(r, notes), [nodes.Text(sample(r))], theirs(r, notes), judged(key, board, notes)]
                rows.append([[head], *middle, *row])
            heads = [
                "Subject",
                *([] if metric else ["Measure"]),
                "Ours (interval)",
                "n",
                "The authors",
                "Strongest null",
            ]
            caption = f"{paper}: {words(metric)}" if metric else f"Results of {paper}"
            parts.append(table(caption, heads, rows, "scoreboard"))
        if notes:
            items = [nodes.list_item("", nodes.paragraph("", n)) for n in notes]
            parts.append(nodes.enumerated_list("", *items, classes=["notes"], enumtype="loweralpha", suffix="."))
        return parts


def tables(results: Mapping[str, Result]) -> list[tuple[str, dict[str, Result]]]:
    """Results as tables: one for each metric of at least three subjects, best first, and before them the rest."""
    metrics: dict[str, dict[str, Result]] = {}
    for key, r in results.items():
        metrics.setdefault(key.split("/", 2)[2], {})[key] = r
    rest = {key: r for key, r in results.items() if len(metrics[key.split("/", 2)[2]]) < 3}
    out = [("", rest)] if rest else []
    for metric, group in metrics.items():
        if len(group) >= 3:
            sign = 1 if next(iter(group.values())).get("better") == "lower" else -1
            out.append((metric, dict(sorted(group.items(), key=lambda pair: sign * pair[1]["value"]))))
    return out


def words(name: str) -> str:
    """A part of a key as a reader would write it: ``mean_max_correlation``, ``ndcg@10``."""
    name = name.replace("_", " ")
    return re.sub(r"^(ndcg|mrr|hr|fvu|auc|l0|mae|rmse)\b", lambda m: m[0].upper(), name)


def ours(r: Result, notes: list[str]) -> list[nodes.Node]:
    """Value and interval, what the interval is being a note."""
    unit = f" {r['unit']}" if r.get("unit") else ""
    parts: list[nodes.Node] = [nodes.inline("", number(r["value"]), classes=["figure-number"]), nodes.Text(unit)]
    marks: list[nodes.Node] = []
    if r.get("low") is not None and r.get("high") is not None:
        parts.append(nodes.inline("", f" ({number(r['low'])} to {number(r['high'])})", classes=["interval"]))
        marks = mark(r.get("interval"), notes)
    return [nodes.inline("", "", *parts, *marks, classes=["ours"])]


def sample(r: Result) -> str:
    """Size of the sample and number of seeds."""
    seeds = len(r.get("seeds") or [])
    return number(r["n"]) + (f", {seeds} seed{'s' * (seeds > 1)}" if seeds else "")


def theirs(r: Result, notes: list[str]) -> list[nodes.Node]:
    """What the authors measured, with its source as a note, and whether it lies in our interval."""
    if r.get("reference") is None:
        return [nodes.Text("–"), *mark(r.get("note"), notes)]
    verdict = ""
    if not r.get("comparable", True):
        verdict = ", not comparable"
    elif r.get("low") is not None and r.get("high") is not None:
        verdict = ", in our interval" if r["low"] <= r["reference"] <= r["high"] else ", outside our interval"
    source = ". ".join(str(t) for t in (r.get("source"), r.get("note")) if t)
    return [nodes.Text(number(r["reference"]) + verdict), *mark(source, notes)]


def judged(key: str, board: Mapping[str, Result], notes: list[str]) -> list[nodes.Node]:
    """The verdict by rule; in bold where the null does as well."""
    against = board[key].get("against")
    if not against:
        return [nodes.Text("–")]
    if against not in board:
        raise ValueError(f"{key!r} is compared with {against!r}, which has no result in {SCOREBOARD}")
    result, as_well = verdict(board[key], board[against])
    _, subject, metric = against.split("/", 2)
    name = words(subject) if key.endswith(f"/{metric}") else f"{words(subject)}, {words(metric)}"
    text = f"{result} {name} ({number(board[against]['value'])})"
    return [nodes.strong("", text) if as_well else nodes.Text(text)]


def mark(note: object, notes: list[str]) -> list[nodes.Node]:
    """A letter that leads to a note; equal notes share one."""
    if not note:
        return []
    if str(note) not in notes:
        notes.append(str(note))
    return [nodes.superscript("", letters(notes.index(str(note))))]


def letters(i: int) -> str:
    """0 -> a, 25 -> z, 26 -> aa, as lists count."""
    return (letters(i // 26 - 1) if i >= 26 else "") + chr(ord("a") + i % 26)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_role("val", Value())
    app.add_directive("scoreboard", Scoreboard)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
