"""The key of an executed notebook: what its numbers depend on, and nothing that they do not depend on.

It covers the code cells, the parameters, the fingerprints of the artifacts, the syntax trees (without docstrings
and comments) of the modules that the cells import, transitively, without the machinery that runs them, and the
versions of the numerical libraries. Prose, docstrings, comments in the package, devices and paths leave it as it is.
"""

import ast
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import recsae_core
from recsae_book.recipes import digest
from recsae_core import paths

COVERED = (
    "recsae_core",
    "recsae_checks",
    *(f"recsae_book.{part}" for part in ("figures", "artifacts", "recipes", "training", "results")),
)
PINNED = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "matplotlib")


def _canonical(node: Any) -> Any:
    # ast.dump differs between Python versions in which empty fields it prints, so none is kept here.
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if name not in ("kind", "type_comment"))
        return [type(node).__name__, {name: _canonical(v) for name, v in fields if v is not None and v != []}]
    if isinstance(node, list):
        return [_canonical(value) for value in node]
    return repr(node)


def syntax(source: str) -> str:
    """The digest of a module's syntax tree without docstrings, comments and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return digest(_canonical(tree))


def _file(module: str, package: Path) -> Path | None:
    root = package.parent / "book" if module.startswith("recsae_checks") else package.parent
    base = root.joinpath(*module.split("."))
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def imports(source: str) -> set[str]:
    """The dotted names under ``COVERED`` that some code imports, inside functions too; some are not modules."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if any(f"{name}.".startswith(f"{top}.") for top in COVERED)}


@cache
def _module(path: Path, stamp: int) -> tuple[str, frozenset[str]]:
    source = path.read_text(encoding="utf-8")
    return syntax(source), frozenset(imports(source))


def modules(source: str, package: Path | None = None) -> dict[str, str]:
    """The modules of the package that some code imports, transitively -> the digest of their syntax."""
    package = package or Path(recsae_core.__file__).resolve().parent
    found: dict[str, str] = {}
    waiting = sorted(imports(source))
    while waiting:
        name = waiting.pop()
        parent = name.rpartition(".")[0]
        if parent and parent not in found:
            waiting.append(parent)
        path = _file(name, package)
        if path is None or name in found:
            continue
        found[name], further = _module(path, path.stat().st_mtime_ns)
        waiting.extend(sorted(further - found.keys()))
    return found


def pins() -> dict[str, str]:
    """The versions in ``constraints.txt`` of the libraries that numbers and figures come from."""
    text = (paths.root() / "constraints.txt").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", text, re.MULTILINE))
    return {name: versions[name] for name in PINNED}


def plain(code: str) -> str:
    """A cell's code as Python alone: lines for the notebook's shell and its magics are left out."""
    return re.sub(r"^[ \t]*[%!].*$", "", code, flags=re.MULTILINE)


def key(code: Iterable[str], parameters: Mapping[str, Any], fingerprints: Iterable[str] = ()) -> str:
    """The key of a notebook with these code cells, run with these parameters on these artifacts."""
    cells = list(code)
    return digest(
        {
            "code": cells,
            "parameters": dict(parameters),
            "artifacts": sorted(fingerprints),
            "modules": modules("\n".join(map(plain, cells))),
            "pins": pins(),
        }
    )
