"""One notebook: from its Python source to an executed file without clocks, paths and progress bars."""

import ast
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsae_book import keys, pictures
from recsae_core import paths
from recsae_core.files import atomic

SKIP = "skip-verify"  # tag of a cell that draws or trains, left out when results are recomputed
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"


def sources() -> dict[str, Path]:
    """Name -> py:percent source of every notebook, in the order of the book."""
    return {path.stem: path for path in sorted((paths.root() / "notebooks").glob("[0-9]*.py"))}


def source(name: str) -> Path:
    """The source of a notebook; ``ValueError`` lists the notebooks there are."""
    found = sources()
    name = Path(name).stem
    if name not in found:
        raise ValueError(f"notebook {name!r}: expected one of {', '.join(found) or '(none in notebooks/)'}")
    return found[name]


def parse(path: Path) -> Any:
    """A notebook made from its source, with cell ids that depend only on the order of the cells."""
    import jupytext

    book = jupytext.read(path, fmt="py:percent")
    for i, cell in enumerate(book.cells):
        cell["id"] = f"cell-{i:03d}"
    book.metadata = dict(KERNEL)
    return book


def has(cell: Any, tag: str) -> bool:
    """Does a cell carry a tag?"""
    return tag in cell.metadata.get("tags", [])


def code(book: Any) -> list[str]:
    """The source of the code cells that are the notebook's own."""
    return [cell.source for cell in book.cells if cell.cell_type == "code" and not has(cell, "injected-parameters")]


def parameters(book: Any) -> dict[str, Any]:
    """The names and defaults in the cell tagged ``parameters``; without such a cell there are none."""
    cell = next((cell for cell in book.cells if cell.cell_type == "code" and has(cell, "parameters")), None)
    found = {}
    for node in ast.parse(cell.source).body if cell else []:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if not isinstance(target, ast.Name) or getattr(node, "value", None) is None:
            raise ValueError(f"parameters cell, line {node.lineno}: expected name = value and nothing else")
        try:
            found[target.id] = ast.literal_eval(node.value)
        except ValueError:
            raise ValueError(f"parameters cell, line {node.lineno}: {target.id} is not a plain value") from None
    return found


def check_parameters(book: Any, given: Mapping[str, Any], where: str) -> None:
    """Raise ``ValueError`` for a name that the notebook's parameters cell does not have."""
    known = parameters(book)
    if wrong := sorted(given.keys() - known.keys()):
        raise ValueError(f"{where}: unknown parameter {', '.join(wrong)}; expected {', '.join(known) or 'none'}")


def _kernel(folder: Path) -> None:
    # A user's own kernel called python3 would win over the environment's; this one wins over both.
    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    command = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "--log-level=CRITICAL"]
    command += ["-f", "{connection_file}"]
    kernel = {"argv": command, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")


def _private() -> list[tuple[str, str]]:
    named = [(os.environ.get("RECSAE_DATA"), "$RECSAE_DATA"), (str(paths.cache()), "$RECSAE_CACHE")]
    named += [(str(paths.root()), "."), (tempfile.gettempdir(), "$TMPDIR"), (str(Path.home()), "~")]
    found = [(old.rstrip("/"), new) for old, new in named if old and len(old.rstrip("/")) > 1]
    return sorted(found, key=lambda pair: -len(pair[0]))


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        for old, new in _private():
            value = value.replace(old, new)
    elif isinstance(value, list):
        value = [_scrub(item) for item in value]
    elif isinstance(value, dict):
        value = {name: item if name.startswith("image/") else _scrub(item) for name, item in value.items()}
    return value


def clean(book: Any) -> list[str]:
    """Remove in place what differs between two equal runs, and return what the cells wrote to stderr.

    Pictures are kept with fewer colours (``recsae_book.pictures``).
    """
    import nbformat

    warnings = []
    for name in ("papermill", "widgets"):
        book.metadata.pop(name, None)
    book.metadata.update(KERNEL)
    for cell in book.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if not cell.metadata.get("tags", True):
            cell.metadata.pop("tags")
        if has(cell, "injected-parameters"):
            cell["id"] = "injected-parameters"
        kept = []
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                warnings.append(output.text)
            elif WIDGET not in (data := output.get("data", {})):  # a progress bar
                if png := data.get("image/png"):
                    data["image/png"] = pictures.smaller(png)
                kept.append(nbformat.from_dict(_scrub(output)))
        if cell.cell_type == "code":
            cell["outputs"] = kept
    return warnings


def execute(
    path: Path, target: Path, given: Mapping[str, Any], book_metadata: Mapping[str, Any], **options: Any
) -> list[str]:
    """Run a notebook with papermill in the project's root and put it at ``target`` only if every cell succeeds.

    Returns what the cells wrote to stderr; ``options`` are papermill's. The kernel is this interpreter. A failing
    cell raises papermill's ``PapermillExecutionError``, which holds the traceback; ``target`` is then as it was.
    """
    import nbformat
    import papermill

    book = parse(path)
    check_parameters(book, given, path.name)
    with tempfile.TemporaryDirectory(prefix="recsae-") as name:
        folder = Path(name)
        _kernel(folder)
        os.environ["JUPYTER_PATH"] = str(folder)
        nbformat.write(book, folder / "in.ipynb")
        papermill.execute_notebook(
            folder / "in.ipynb",
            folder / "out.ipynb",
            parameters=dict(given),
            kernel_name="python3",
            cwd=str(paths.root()),
            **{"progress_bar": False, "log_output": False} | options,
        )
        done = nbformat.read(folder / "out.ipynb", as_version=4)
    warnings = clean(done)
    done.metadata["book"] = dict(book_metadata)
    with atomic(target) as temporary:
        nbformat.write(done, temporary)
    return warnings


def stored_key(path: Path) -> str | None:
    """The key in an executed notebook, None where there is no such file or no key in it."""
    if not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8")).get("metadata", {}).get("book", {}).get("key")


def refresh(path: Path, target: Path) -> bool:
    """Bring the prose and tags of an executed notebook up to its source, keep its outputs; was there anything to do?

    The code cells of both must be the same, which an unchanged key says.
    """
    import nbformat

    done, book = nbformat.read(target, as_version=4), parse(path)
    before = nbformat.writes(done)
    ran = [cell for cell in done.cells if cell.cell_type == "code" and not has(cell, "injected-parameters")]
    injected = [cell for cell in done.cells if has(cell, "injected-parameters")]
    cells: list[Any] = []
    for cell in book.cells:
        if cell.cell_type == "code":
            old = ran.pop(0)
            cell["outputs"], cell["execution_count"] = old.outputs, old.execution_count
        cells.append(cell)
        if has(cell, "parameters"):
            cells += injected
    done.cells = cells
    if nbformat.writes(done) == before:
        return False
    with atomic(target) as temporary:
        nbformat.write(done, temporary)
    return True


def script(book: Any, given: Mapping[str, Any], skip: Sequence[str] = (SKIP,)) -> str:
    """The notebook's own code as plain Python, parameters set, without the cells that carry a tag of ``skip``."""
    parts = ["def display(*values, **options):\n    pass\n"]
    for cell in book.cells:
        if cell.cell_type != "code" or any(has(cell, tag) for tag in skip):
            continue
        parts.append(keys.plain(cell.source))
        if has(cell, "parameters"):
            parts += [f"{name} = {value!r}" for name, value in given.items()]
    return "\n".join(parts) + "\n"
