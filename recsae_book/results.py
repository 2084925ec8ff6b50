"""Headline numbers as files, one a notebook."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from recsae_core import paths
from recsae_core.files import read_json, write_json
from recsae_core.strict import STRICT, parse

DIGITS = 6


class Result(BaseModel):
    """One number with what it takes to believe it; its key is ``paper/subject/metric``."""

    model_config = STRICT | {"strict": False}  # numpy's numbers are welcome

    value: FiniteFloat
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    interval: str = ""  # what low and high are: "95%, bootstrap over users"
    unit: str
    n: Annotated[int, Field(ge=1)]  # how many units the value is a mean over
    seeds: list[int] = []
    better: Literal["higher", "lower", "none"]
    against: str | None = None  # key of the strongest null or baseline
    reference: FiniteFloat | None = None  # what the authors measured
    source: str | None = None  # where they say so
    comparable: bool = True  # was it measured as ours was? If not, the note says why
    training: bool = False  # computing it again takes training that no checkpoint saves: verify leaves it out
    note: str = ""
    notebook: str = ""  # filled in by write()
    artifacts: list[str] = []

    @model_validator(mode="after")
    def _consistent(self) -> "Result":
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high: expected both or neither")
        if self.low is not None and self.high is not None:
            if self.low > self.high:
                raise ValueError(f"low={self.low} is above high={self.high}")
            if not self.interval:
                raise ValueError("interval is empty: expected what low and high are, as in '95%, bootstrap over users'")
        if (self.reference is None) != (self.source is None):
            raise ValueError("reference and source: expected both or neither")
        return self


def folder(edition: str | None = None) -> Path:
    """Where an edition keeps its results.

    Without an argument: ``$RECSAE_RESULTS``, else the folder of ``$RECSAE_EDITION``, else ``runs/results``.
    """
    if edition is None and (named := os.environ.get("RECSAE_RESULTS")):
        return Path(named)
    edition = edition or os.environ.get("RECSAE_EDITION")
    if edition is None:
        return paths.root() / "runs" / "results"
    if edition == "published":
        return paths.root() / "data" / "results" / edition
    return paths.root() / "_build" / edition / "results"


def write(notebook: str, values: Mapping[str, Result]) -> None:
    """Store a notebook's results in ``folder()``, without what is default, floats rounded to six significant digits.

    Replaces what the notebook wrote before. Raises ``ValueError`` for a key that is not ``paper/subject/metric``.
    """
    for key in values:
        if len(key.split("/")) != 3 or not all(key.split("/")) or key != key.strip():
            raise ValueError(f"key {key!r}: expected paper/subject/metric, as in seqrec/sae-512/l0")
    rows = {
        key: result.model_dump(exclude_defaults=True) | {"notebook": notebook} for key, result in sorted(values.items())
    }
    for row in rows.values():
        row |= {name: float(f"{v:.{DIGITS}g}") for name, v in row.items() if isinstance(v, float)}
    write_json(folder() / f"{notebook}.json", rows)


def read(path: Path) -> dict[str, Result]:
    """The results in one file; ``ValueError`` names the file, the key and the field that is wrong."""
    return {key: parse(Result, row, f"{path}: {key}") for key, row in read_json(path).items()}
