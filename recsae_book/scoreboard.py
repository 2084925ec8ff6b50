"""The results of all notebooks of an edition in one file, and what is wrong with it."""

from pathlib import Path

from recsae_book.results import Result, folder, read
from recsae_core.files import write_json

SCOREBOARD = "scoreboard.json"


def union(edition: str | None = None) -> dict[str, Result]:
    """The results of all notebooks of an edition by key; a key written twice is a ``ValueError``."""
    found: dict[str, Result] = {}
    for path in sorted(folder(edition).glob("*.json")):
        if path.name == SCOREBOARD:
            continue
        for key, result in read(path).items():
            if key in found:
                raise ValueError(f"{key} is written by both {found[key].notebook} and {path.stem}")
            found[key] = result
    return dict(sorted(found.items()))


def write(edition: str | None = None) -> Path:
    """Derive ``scoreboard.json`` from the files beside it, without fields at their defaults, and return its path."""
    path = folder(edition) / SCOREBOARD
    write_json(path, {key: result.model_dump(exclude_defaults=True) for key, result in union(edition).items()})
    return path


def stored(edition: str | None = None) -> dict[str, Result]:
    """The stored scoreboard; ``ValueError`` where there is none."""
    path = folder(edition) / SCOREBOARD
    if not path.is_file():
        raise ValueError(f"{path}: no scoreboard yet; make edition EDITION={edition or 'planted'} writes it")
    return read(path)


def faults(edition: str | None = None) -> list[str]:
    """What is wrong with the stored scoreboard: it is not the union of the files, or ``against`` names no key."""
    whole, there = union(edition), stored(edition)
    wrong = [f"{key}: in scoreboard.json but in no notebook's file" for key in there.keys() - whole.keys()]
    wrong += [f"{key}: missing from scoreboard.json" for key in whole.keys() - there.keys()]
    wrong += [
        f"{key}: scoreboard.json differs from its notebook's file"
        for key in there.keys() & whole.keys()
        if there[key] != whole[key]
    ]
    wrong += [
        f"{key}: against {result.against}, which no notebook writes"
        for key, result in whole.items()
        if result.against and result.against not in whole
    ]
    return sorted(wrong)
