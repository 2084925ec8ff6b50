"""Datasets by name: looked for under ``$RECSAE_DATA``, then in the cache, then downloaded."""

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import cache
from inspect import signature
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from recsae_core import paths
from recsae_core.data import amazon, lastfm, parsers
from recsae_core.data.download import fetch, members
from recsae_core.data.interactions import Interactions
from recsae_core.data.tables import Raw


class Source(BaseModel):
    """An entry of ``registry.yml``: what a dataset is called, where it is, how it is read, what it may be used for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    parser: Literal[
        *("planted", "csv", "movielens_dat", "movielens_csv", "music4all", "lastfm_hetrec", "lastfm_msd", "rechorus")
    ]
    licence: str
    cite: str | None = None
    folders: tuple[str, ...] = ()  # names under $RECSAE_DATA, the first also the folder inside the archive
    url: str | None = None
    home: str | None = None  # where to ask for data that nobody may pass on
    sha256: str | None = None  # of the official archive
    bytes: int | None = None
    files: dict[str, str | None] = {}  # name -> md5 of the official file, None where it is not known
    more: dict[str, str | None] = {}  # likewise, files that are read where they are there


@cache
def registry() -> Mapping[str, Source]:
    """Every source that ``load`` knows, by name."""
    entries = yaml.safe_load(Path(__file__).with_name("registry.yml").read_text(encoding="utf-8"))
    return {name: Source(**entry) for name, entry in entries.items()}


def load(name: str, **options: Any) -> Interactions:
    """The dataset ``name``; "planted" takes the fields of ``planted.World``, "csv" the arguments of ``csv``.

    ``provenance`` holds the source's name and, for each file, the md5 found, the official one, and whether they
    agree. A file that differs is used with a warning.

    Raises:
        ValueError: an unknown name or option, files that are missing or not as expected, no network.
    """
    if name not in registry():
        raise ValueError(f"source {name!r}: expected one of {', '.join(registry())}")
    source = registry()[name]
    if source.parser == "planted":
        from recsae_core.data import planted

        return planted.generate(planted.World(**settings(name, **options)))[0]
    if source.parser == "csv":
        _refuse(name, options, [*signature(parsers.anybody).parameters])
        if "interactions" not in options:
            raise ValueError("source 'csv': expected interactions=PATH, and items=PATH if there is a table of items")
        return csv(**options)
    _refuse(name, options, ())
    files, vouched = find(source)
    read = next(getattr(home, source.parser) for home in (parsers, lastfm, amazon) if hasattr(home, source.parser))
    return replace(read(files), provenance=_provenance(name, source, files, vouched))


def settings(name: str, **options: Any) -> dict[str, Any]:
    """The options of ``load`` with the defaults of a generated world filled in: all that decides what it is."""
    if name not in registry() or registry()[name].parser != "planted":
        return options
    from recsae_core.data import planted

    _refuse(name, options, [field.name for field in fields(planted.World)])
    return asdict(planted.World(**options))


def csv(interactions: str | Path, items: str | Path | None = None, **options: Any) -> Interactions:
    """Interactions and items from two tables; the options are those of ``parsers.anybody``."""
    raws = {Path(path).name: _read(Path(path), "correct the file") for path in (interactions, items) if path}
    if items and len(raws) == 1:
        raise ValueError(f"{Path(items).name} is the name of both files: expected two names")
    read = parsers.anybody(*raws.values(), **options)
    files = {n: {"md5": hashlib.md5(raw.content).hexdigest(), "official": None} for n, raw in raws.items()}
    return replace(read, provenance={"source": "csv", "files": files, "exact": None})


def find(source: Source) -> tuple[dict[str, Raw], bool]:
    """The files of a source, and whether they come from an archive with the official checksum."""
    inner, root, origin = source.folders[0], _data_folder(), source.url or source.home
    for folder in (root / folder for folder in source.folders) if root else ():
        there = [file for file in source.files if (folder / file).is_file()]
        if len(there) == len(source.files):
            remedy = f"replace it with the file of {origin}"
            there += [file for file in source.more if (folder / file).is_file()]
            return {file: _read(folder / file, remedy) for file in there}, False
        if there:
            missing = ", ".join(file for file in source.files if file not in there)
            raise ValueError(f"{folder}: {missing} missing; take it from {origin}, or rename the folder")
    if source.url is None or source.sha256 is None:
        where = f"no folder {inner} with {', '.join(source.files)} in RECSAE_DATA={root or '(not set)'}"
        raise ValueError(f"{source.title}: {where}; the data are had on request, see {origin}")
    name = PurePosixPath(source.url).name
    for archive in (*(root / folder / name for folder in source.folders), root / name) if root else ():
        if archive.is_file():
            import pooch

            remedy = f"delete it, or replace it with {source.url}"
            files = members(archive, inner, list(source.files), remedy, list(source.more))
            return files, pooch.file_hash(str(archive)) == source.sha256
    archive = fetch(source.url, source.sha256, paths.cache() / "data")
    return members(archive, inner, list(source.files), "delete it and load again", list(source.more)), True


def _refuse(name: str, options: Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := [option for option in options if option not in known]:
        raise ValueError(f"source {name!r} has no option {', '.join(unknown)}: expected {', '.join(known) or 'none'}")


def _data_folder() -> Path | None:
    name = os.environ.get("RECSAE_DATA", "")
    if name and not Path(name).is_dir():
        raise ValueError(f"RECSAE_DATA={name}: no such folder; create it, or unset the variable to download")
    return Path(name) if name else None


def _read(path: Path, remedy: str) -> Raw:
    try:
        return Raw(str(path), path.read_bytes(), remedy)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the name and the permissions") from error


def _provenance(name: str, source: Source, files: Mapping[str, Raw], vouched: bool) -> dict[str, Any]:
    record: dict[str, dict[str, Any]] = {}
    for file, raw in files.items():
        md5, official = hashlib.md5(raw.content).hexdigest(), (source.files | source.more)[file]
        exact = True if vouched else None if official is None else md5 == official
        record[file] = {"md5": md5, "official": official, "exact": exact}
        if exact is False:
            what = f"{name}: {file} differs from the official release (md5 {md5}, official {official})"
            warnings.warn(f"{what}; it is used as it is", UserWarning, stacklevel=3)
    flags = [entry["exact"] for entry in record.values()]
    exact = False if False in flags else None if None in flags else True
    return {"source": name, "title": source.title, "files": record, "exact": exact}
