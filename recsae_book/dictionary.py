"""A concept dictionary as a table: a row a latent, in JSON for the book and in CSV for a spreadsheet.

The stored file names items by the ids of the source; titles are joined where the reader has the data.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, Field, FiniteFloat, model_validator

from recsae_book import artifacts
from recsae_core.files import atomic, read_json
from recsae_core.interpret.concepts import Concept
from recsae_core.interpret.confidence import Confidence
from recsae_core.strict import STRICT, parse

FOLDER = "dictionaries"  # beside the results
TERMS, ITEMS = 4, 6  # of a latent that are kept, the most certain first
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Id = int | str


class Entry(BaseModel):
    """One latent."""

    model_config = STRICT

    latent: Count
    status: Literal["described", "nothing enriched", "never fires"]
    description: str
    cases: Count  # behind the description
    evidence: list[Annotated[tuple[str, Count, FiniteFloat, Share], Field(strict=False)]]  # term, cases, expected, q
    confidence: Share | None  # balanced accuracy on new cases; None where there are too few
    low: Share | None
    high: Share | None
    firing_rate: Share
    effect: FiniteFloat | None  # of switching it off, on the share of concept items in the lists
    top_items: list[Id]

    @model_validator(mode="after")
    def _consistent(self) -> "Entry":
        if (self.status == "described") != bool(self.description and self.evidence):
            raise ValueError(f"status {self.status!r}: expected a description with evidence for described ones alone")
        if self.confidence is not None and not (self.low or 0) <= self.confidence <= (self.high or 0):
            raise ValueError(f"confidence={self.confidence}: expected it between low={self.low} and high={self.high}")
        return self


COLUMNS = tuple(Entry.model_fields)


class Table(BaseModel):
    """A dictionary to browse, and where it comes from."""

    model_config = STRICT

    name: str
    dataset: str  # of book/artifacts.yml: where titles are to be found
    note: str
    rows: list[Entry]


def table(
    name: str,
    dataset: str,
    concepts: Sequence[Concept],
    firing_rate: Float[np.ndarray, "m"],
    *,
    confidence: Confidence | None = None,
    effect: Float[np.ndarray, "_"] | None = None,
    note: str = "",
) -> Table:
    """One row a concept; arrays have one value a concept, a NaN ``effect`` is none. Items get the ids of the source.

    A confidence is left out where there are not enough cases. Raises ``ValueError`` for arrays of other lengths.
    """
    ids, none = artifacts.parts(dataset).train.items["id"].to_numpy(), np.full(len(concepts), np.nan)
    sure = [none] * 3 if confidence is None else [np.where(confidence.enough, v, np.nan) for v in confidence.balanced]
    columns = [*sure, firing_rate, none if effect is None else effect]
    if wrong := [len(column) for column in columns if len(column) != len(concepts)]:
        raise ValueError(f"an array has {wrong[0]} values: expected {len(concepts)}, one a latent")
    rows = []
    for concept, *values in zip(concepts, *columns, strict=True):
        status = "described" if concept.text else "nothing enriched" if concept.active else "never fires"
        evidence = [(e.term, e.count, _short(e.expected, 2), _short(e.q, 2)) for e in concept.terms[:TERMS]]
        start = (concept.latent, status, concept.text, concept.cases, evidence)
        cells = (*start, *(_short(v, 3) for v in values), [_plain(ids[i]) for i in concept.items[:ITEMS]])
        rows.append(Entry(**dict(zip(COLUMNS, cells, strict=True))))
    return Table(name=name, dataset=dataset, note=note, rows=rows)


def write(path: Path, found: Table) -> None:
    """Store a table as JSON: columns named once, a row a line."""
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    lines = ",\n".join(json.dumps(list(row.model_dump().values()), **compact) for row in found.rows)
    head = json.dumps(found.model_dump(exclude={"rows"}) | {"columns": COLUMNS}, ensure_ascii=False)
    with atomic(path) as temporary:
        temporary.write_text(f'{head[:-1]}, "rows": [\n{lines}\n]}}\n', encoding="utf-8")


def read(path: Path) -> Table:
    """A stored table; ``ValueError`` names the file, the row and the field that is wrong."""
    found: dict[str, Any] = dict(read_json(path))
    columns, rows = found.pop("columns", ()), found.pop("rows", [])
    if tuple(columns) != COLUMNS or (wrong := [r for r, row in enumerate(rows) if len(row) != len(COLUMNS)]):
        where = f"row {wrong[0]}" if tuple(columns) == COLUMNS else "columns"
        raise ValueError(f"{path}: {where}: expected {', '.join(COLUMNS)}")
    entries = [parse(Entry, dict(zip(COLUMNS, row, strict=True)), f"{path}: row {r}") for r, row in enumerate(rows)]
    return parse(Table, found | {"rows": entries}, str(path))


def titles(dataset: str) -> dict[Id, str]:
    """Title by id of a dataset's items; empty where it cannot be read without a download."""
    items = artifacts.interactions(dataset).items if artifacts.at_hand(dataset) else {}
    named = zip(items["id"], items["title"], strict=True) if "title" in items else ()
    return {_plain(i): title for i, title in named if isinstance(title, str) and title}


def export(path_csv: Path, path_json: Path, found: Table, names: Mapping[Id, str] | None = None) -> None:
    """Write a table in both forms, in the CSV with titles where ``names`` has them; no cell begins as a formula."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(COLUMNS)
    for row in found.rows:
        said = [f"{term}: {count} of {row.cases}, {by:g} expected, q={q:g}" for term, count, by, q in row.evidence]
        top = " | ".join(str((names or {}).get(i, i)) for i in row.top_items)
        cells = row.model_dump() | {"evidence": "; ".join(said), "top_items": top}
        lines.writerow([f"'{v}" if str(v)[:1] in tuple("=+-@\t") and isinstance(v, str) else v for v in cells.values()])
    write(path_json, found)
    with atomic(path_csv) as temporary:
        temporary.write_text(out.getvalue(), encoding="utf-8")


def _plain(value: Any) -> Id:
    return int(value) if isinstance(value, int | np.integer) else str(value)


def _short(value: Any, digits: int) -> float | None:
    return float(f"{float(value):.{digits}g}") if np.isfinite(value) else None
