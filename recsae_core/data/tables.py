"""Text tables that know their lines: pandas reads them; where it fails, a slow pass finds the line at fault."""

import codecs
import csv
import io
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NoReturn

import numpy as np
import pandas as pd

Row = tuple[int, list[str]]  # the line on which a row begins, and its fields
WORDS = {"int64": "a whole number", "float64": "a number", "str": "some text", "category": "some text"}
TEXT = ("str", "category")


@dataclass(frozen=True)
class Raw:
    """A file as found: what to call it in a message, what it holds, and what a reader can do if it is wrong."""

    where: str  # its name in messages
    content: bytes
    remedy: str = "correct the file"

    def fail(self, what: str, line: int | None = None) -> NoReturn:
        """``ValueError`` with the file, the line, what is wrong and the remedy."""
        place = self.where if line is None else f"{self.where}, line {line}"
        raise ValueError(f"{place}: {what}; {self.remedy}")

    def utf8(self, encoding: str) -> "Raw":
        """The file with its text as UTF-8; ``ValueError`` where it is empty or not text in this encoding."""
        if not self.content or self.content.isspace():
            self.fail("the file is empty")
        try:
            plain = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "iso8859-1", "ascii")
            if plain and self.content.isascii() and b"\0" not in self.content:
                return self
            text = self.content.decode(encoding)
        except LookupError:
            raise ValueError(f"encoding={encoding!r}: unknown, expected for example 'utf-8' or 'latin-1'") from None
        except UnicodeDecodeError as error:
            what = f"byte 0x{self.content[error.start]:02x} is not {encoding} text"
            self.fail(what, self.content.count(b"\n", 0, error.start) + 1)
        if (at := text.find("\0")) >= 0:
            self.fail(f"a zero byte, so this is not {encoding} text", text.count("\n", 0, at) + 1)
        return replace(self, content=text.encode())


@dataclass(frozen=True)
class Table:
    """Columns read from a UTF-8 file, one frame row a row of the file, that can still tell the line of each row."""

    raw: Raw
    frame: pd.DataFrame
    sep: str
    names: Sequence[str] = ()  # of all columns, where the file has no header

    def line(self, row: int | np.integer) -> int:
        """The line on which row ``row`` of the frame begins."""
        return next(islice(rows(self.raw, self.sep, self.names), int(row) + (not self.names), None))[0]

    def fail(self, what: str, row: int | np.integer) -> NoReturn:
        """``ValueError`` about row ``row`` of the frame."""
        self.raw.fail(what, self.line(row))


def rows(raw: Raw, sep: str, names: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a UTF-8 table, its header first unless the columns are named here; blank lines are passed over.

    Fields may be quoted as in RFC 4180, but not those separated by ``::``.
    """
    text = io.TextIOWrapper(io.BytesIO(raw.content), "utf-8", newline="")
    if sep == "::":
        reader = csv.reader((line.replace(sep, "\x1f") for line in text), delimiter="\x1f", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(text, delimiter=sep, strict=True)
    width, begin = len(names), 1
    try:
        for fields in reader:
            line, begin = begin, reader.line_num + 1
            if not fields:
                continue
            width = width or len(fields)
            if len(fields) != width:
                wanted = f"separated by {sep!r} ({', '.join(names)})" if names else "as in the header"
                raw.fail(f"{len(fields)} field{'s' * (len(fields) != 1)}, expected {width} {wanted}", line)
            yield line, fields
    except csv.Error as error:
        raw.fail(f"not a table separated by {sep!r} ({error})", begin)


def header(raw: Raw, sep: str, needed: Sequence[str] = ()) -> list[str]:
    """The names of a table's columns; ``ValueError`` where one is needed that is not there, or is there twice."""
    line, names = next(rows(raw, sep), (1, []))
    for name in needed:
        if names.count(name) != 1:
            found = "twice" if name in names else "missing"
            raw.fail(f"column {name!r} is {found}, the header has: {', '.join(names)}", line)
    return names


def read(raw: Raw, kinds: Mapping[str, str], sep: str, names: Sequence[str] = ()) -> Table:
    """The columns ``kinds`` (name -> "int64", "float64", "str", "category") of a table; no field may be empty.

    A table without a header has its ``names`` given; separated by ``::`` it must hold whole numbers alone.
    """
    columns, content, comma = names or header(raw, sep, list(kinds)), raw.content, sep
    try:
        if sep == "::":
            if content.translate(None, b"0123456789:- \r\n"):  # pandas takes 1e1 and 1.0 for whole numbers
                raise ValueError("not only digits")
            content, comma = content.replace(b"::", b","), ","
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # pandas only warns of a first row that is too long
            options = {"header": None, "names": columns} if names else {}
            kind = defaultdict(lambda: "category", kinds)
            frame = pd.read_csv(
                io.BytesIO(content), sep=comma, dtype=kind, keep_default_na=False, index_col=False, **options
            )[list(kinds)]
        for name, kind in kinds.items():
            if kind in TEXT and (frame[name].isna() | (frame[name] == "")).any():
                raise ValueError(f"{name} is empty")
            if kind == "float64" and not np.isfinite(frame[name]).all():
                raise ValueError(f"{name} is not finite")
        # pandas fills up a row that is too short: count the separators, or (quoted ones do not count) read slowly
        if b'"' in content:
            ragged = sum(1 for _ in rows(raw, sep, names)) != len(frame) + (not names)
        else:
            ragged = content.count(comma.encode()) != (len(frame) + (not names)) * (len(columns) - 1)
        if ragged:
            raise ValueError("wrong column count")
    except (ValueError, OverflowError, pd.errors.ParserWarning) as error:
        _find_fault(raw, islice(rows(raw, sep, names), not names, None), kinds, columns, error)
    return Table(raw, frame, sep, names)


def _find_fault(
    raw: Raw, below: Iterator[Row], kinds: Mapping[str, str], names: Sequence[str], error: Exception
) -> NoReturn:
    for line, fields in below:
        for name, kind in kinds.items():
            if not _is(field := fields[names.index(name)], kind):
                raw.fail(f"{name} {field!r} is not {WORDS[kind]}", line)
    raw.fail(f"cannot be read ({error})")


def _is(field: str, kind: str) -> bool:
    if kind in TEXT:
        return field != ""
    if kind == "int64":
        return re.fullmatch(r"\s*[+-]?[0-9]+\s*", field) is not None and abs(int(field)) < 2**63
    try:
        return "_" not in field and bool(np.isfinite(float(field)))
    except ValueError:
        return False
