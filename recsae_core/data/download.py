"""Archives from the network into the cache, and files out of an archive: checked, and whole or not at all."""

import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from recsae_core.data.tables import Raw


def fetch(url: str, sha256: str, folder: Path, *, progress: bool = True) -> Path:
    """The archive at ``url`` as a file in ``folder``, downloaded unless one with this checksum is there.

    The download goes to a temporary name and gets its own only after the checksum has been compared.

    Raises:
        ValueError: the address cannot be reached, the download was cut off, or its checksum is not ``sha256``.
    """
    import pooch
    from requests import RequestException

    name = PurePosixPath(url).name
    by_hand = f"try again, or fetch it by hand and put it into a folder named by $RECSAE_DATA as {name}"
    folder.mkdir(parents=True, exist_ok=True)
    downloader = pooch.HTTPDownloader(progressbar=progress, timeout=30)
    try:
        pooch.get_logger().setLevel("WARNING")
        return Path(pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder, downloader=downloader))
    except RequestException as error:
        raise ValueError(f"{url}: cannot be downloaded ({type(error).__name__}: {error}); {by_hand}") from error
    except ValueError as error:  # pooch's, for a checksum that differs
        if "hash" not in str(error):
            raise
        raise ValueError(f"{url}: the download's sha256 is not {sha256}, nothing was kept; {by_hand}") from error


def members(archive: Path, folder: str, names: Sequence[str], remedy: str, more: Sequence[str] = ()) -> dict[str, Raw]:
    """The files ``folder/name`` of a zip (or ``name``, if it has no folder), read into memory; none is written to disk.

    Of ``more``, those that are there.

    Raises:
        ValueError: the archive is truncated or corrupt, lacks a file, or holds a name that leads out of its folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                path = PurePosixPath(info.filename.replace("\\", "/"))
                leads_out = path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1])
                if leads_out or stat.S_ISLNK(info.external_attr >> 16):
                    raise ValueError(f"{archive}: member {info.filename!r} leads out of the archive; {remedy}")
            there = set(opened.namelist())
            inside = "" if names[0] in there else f"{folder}/"
            if missing := [name for name in names if inside + name not in there]:
                raise ValueError(f"{archive}: no {inside}{missing[0]} in the archive; {remedy}")
            found = [*names, *(name for name in more if inside + name in there)]
            return {n: Raw(f"{archive}, {inside}{n}", opened.read(inside + n), remedy) for n in found}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(f"{archive}: truncated or corrupt archive ({error}); {remedy}") from error
