"""Records read from YAML and JSON: a key that is unknown or a value of the wrong kind is an error that names it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
Record = TypeVar("Record")


def parse(kind: type[Record], value: Any, where: str) -> Record:
    """The record in ``value``; ``ValueError`` names ``where``, the key and what is expected there."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: {value!r}: expected names with values")
    try:
        return kind(**{str(name): given for name, given in value.items()})
    except ValidationError as error:
        wrong = "; ".join(": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"]))) for e in error.errors())
        raise ValueError(f"{where}: {wrong}") from error
