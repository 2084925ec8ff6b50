"""Text tables that know their lines: a fast reader first; where it fails, a slow pass that finds the line at fault."""

import csv
import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NoReturn

import numpy as np
import pandas as pd

Row = tuple[int, list[str]]  # the line on which a row begins, and its fields
WORDS = {"int64": "a whole number", "float64": "a number", "str": "some text"}


@dataclass(frozen=True)
class Raw:
    """A file as found: what to call it in a message, what it holds, and what a reader can do if it is wrong."""

    where: str
    content: bytes
    remedy: str = "correct the file"

    def fail(self, what: str, line: int | None = None) -> NoReturn:
        """``ValueError`` with the file, the line, what is wrong and the remedy."""
        place = self.where if line is None else f"{self.where}, line {line}"
        raise ValueError(f"{place}: {what}; {self.remedy}")

    def text(self, encoding: str) -> str:
        """The content decoded; ``ValueError`` where it is empty or not text in this encoding."""
        if not self.content or self.content.isspace():
            self.fail("the file is empty")
        try:
            text = self.content.decode(encoding)
        except LookupError:
            raise ValueError(f"encoding={encoding!r}: unknown, expected for example 'utf-8' or 'latin-1'") from None
        except UnicodeDecodeError as error:
            what = f"byte 0x{self.content[error.start]:02x} is not {encoding} text"
            self.fail(what, self.content.count(b"\n", 0, error.start) + 1)
        if (at := text.find("\0")) >= 0:
            self.fail(f"a zero byte, so this is not {encoding} text", text.count("\n", 0, at) + 1)
        return text


@dataclass(frozen=True)
class Table:
    """Columns read from a file, one frame row a row of the file, that can still tell the line of each row."""

    raw: Raw
    frame: pd.DataFrame
    rows: Callable[[], Iterator[Row]]

    def line(self, row: int | np.integer) -> int:
        """The line on which row ``row`` of the frame begins."""
        return next(islice(self.rows(), int(row), None))[0]

    def fail(self, what: str, row: int | np.integer) -> NoReturn:
        """``ValueError`` about row ``row`` of the frame."""
        self.raw.fail(what, self.line(row))


def dat_rows(raw: Raw, names: Sequence[str], encoding: str = "latin-1") -> Iterator[Row]:
    """The rows of a file without a header whose fields are separated by ``::``; blank lines are passed over."""
    for line, text in enumerate(raw.text(encoding).split("\n"), start=1):
        text = text.rstrip("\r")
        if not text:
            continue
        fields = text.split("::")
        if len(fields) != len(names):
            raw.fail(f"{_fields(len(fields))}, expected {len(names)} separated by '::' ({', '.join(names)})", line)
        yield line, fields


def read_dat(raw: Raw, names: Sequence[str]) -> Table:
    """A file of whole numbers separated by ``::`` (MovieLens 1M's ratings)."""

    def rows() -> Iterator[Row]:
        return dat_rows(raw, names)

    whole = [2 * i for i in range(len(names))]  # read as separated by ":", every second column is empty
    empty = [column + 1 for column in whole[:-1]]
    try:
        frame = pd.read_csv(io.BytesIO(raw.content), sep=":", header=None, dtype=dict.fromkeys(whole, "int64"))
        if list(frame.columns) != list(range(2 * len(names) - 1)) or frame[empty].notna().any(axis=None):
            raise ValueError("wrong column count")
        if raw.content.translate(None, b"0123456789:- \r\n"):  # pandas takes 1e1 and 1.0 for whole numbers
            raise ValueError("not only digits")
    except (ValueError, OverflowError) as error:
        find_fault(raw, rows(), dict.fromkeys(names, "int64"), names, error)
    return Table(raw, frame[whole].set_axis(list(names), axis=1), rows)


def csv_rows(raw: Raw, sep: str, encoding: str) -> Iterator[Row]:
    """The rows of a table, the header first, quoted fields as in RFC 4180; blank lines are passed over."""
    reader = csv.reader(io.StringIO(raw.text(encoding), newline=""), delimiter=sep, strict=True)
    width, begin = None, 1
    try:
        for fields in reader:
            line, begin = begin, reader.line_num + 1
            if not fields:
                continue
            width = width or len(fields)
            if len(fields) != width:
                raw.fail(f"{_fields(len(fields))}, expected {width} as in the header", line)
            yield line, fields
    except csv.Error as error:
        raw.fail(f"not a table separated by {sep!r} ({error})", begin)


def header(raw: Raw, sep: str, encoding: str, needed: Sequence[str] = ()) -> list[str]:
    """The names of a table's columns; ``ValueError`` where one is needed that is not there, or is there twice."""
    line, names = next(csv_rows(raw, sep, encoding), (1, []))
    for name in needed:
        if names.count(name) != 1:
            found = "twice" if name in names else "missing"
            raw.fail(f"column {name!r} is {found}, the header has: {', '.join(names)}", line)
    return names


def read_csv(raw: Raw, kinds: Mapping[str, str], sep: str, encoding: str) -> Table:
    """The columns ``kinds`` (name -> "int64", "float64" or "str") of a table; no field of them may be empty."""
    names, text = header(raw, sep, encoding, list(kinds)), raw.text(encoding)

    def rows() -> Iterator[Row]:
        return islice(csv_rows(raw, sep, encoding), 1, None)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # pandas only warns of a first row that is too long
            options = {"dtype": dict(kinds), "keep_default_na": False, "index_col": False}
            frame = pd.read_csv(io.StringIO(text, newline=""), sep=sep, **options)[list(kinds)]
        for name, kind in kinds.items():
            column = frame[name]
            if kind == "str" and (column.isna() | (column == "")).any():
                raise ValueError(f"{name} is empty")
            if kind == "float64" and not np.isfinite(column).all():
                raise ValueError(f"{name} is not finite")
        # pandas fills up a row that is too short: count the separators, or (quoted ones do not count) read slowly
        if '"' in text:
            ragged = sum(1 for _ in rows()) != len(frame)
        else:
            ragged = text.count(sep) != (len(frame) + 1) * (len(names) - 1)
        if ragged:
            raise ValueError("wrong column count")
    except (ValueError, OverflowError, pd.errors.ParserWarning) as error:
        find_fault(raw, rows(), kinds, names, error)
    return Table(raw, frame, rows)


def find_fault(
    raw: Raw, rows: Iterator[Row], kinds: Mapping[str, str], names: Sequence[str], error: Exception
) -> NoReturn:
    """``ValueError`` with the first line that is not as ``kinds`` says, else with the fast reader's ``error``."""
    columns = [(names.index(name), name, kind) for name, kind in kinds.items()]
    for line, fields in rows:
        for column, name, kind in columns:
            if not _is(fields[column], kind):
                raw.fail(f"{name} {fields[column]!r} is not {WORDS[kind]}", line)
    raw.fail(f"cannot be read ({error})")


def _is(field: str, kind: str) -> bool:
    if kind == "str":
        return field != ""
    if kind == "int64":
        return re.fullmatch(r"\s*[+-]?[0-9]+\s*", field) is not None and abs(int(field)) < 2**63
    try:
        return "_" not in field and bool(np.isfinite(float(field)))
    except ValueError:
        return False


def _fields(count: int) -> str:
    return f"{count} field{'s' if count != 1 else ''}"
