"""Files that appear whole or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary sibling of ``path`` to write to; it takes the name ``path`` only if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A new folder to write to; it takes the place of ``folder`` only if the block succeeds."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        fresh, old = Path(name) / "new", Path(name) / "old"
        fresh.mkdir()
        yield fresh
        if folder.exists():
            os.replace(folder, old)
        os.replace(fresh, folder)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` atomically: keys in the order given, of a mapping each on a line of its own."""
    plain = {"ensure_ascii": False, "allow_nan": False}
    text = json.dumps(value, **plain)
    if isinstance(value, dict) and value:
        text = "{\n" + ",\n".join(f"{json.dumps(str(k))}: {json.dumps(v, **plain)}" for k, v in value.items()) + "\n}"
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """The value stored in ``path``; ``ValueError`` names the file and the line where it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        where = f"{path}, line {error.lineno}"
        raise ValueError(f"{where}: not valid JSON ({error.msg}); delete it and run again") from error
