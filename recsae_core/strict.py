"""Records read from YAML and JSON: a key that is unknown or a value of the wrong kind is an error that names it."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
Record = TypeVar("Record", bound=BaseModel)


def parse(kind: type[Record], value: Any, where: str) -> Record:
    """The record in ``value``; ``ValueError`` names ``where``, the key and what is expected there."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{where}: {wrong}") from error
