"""What a reader may turn in a notebook: its parameters, their defaults, and the comment beside each.

Read from the source as text, so that a page of the book or a command line has them without an import of torch.
"""

import ast
import io
import json
import tokenize
from pathlib import Path
from typing import Any


def _cell(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        found = (cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
        return "".join(next(found, {"source": ""})["source"])
    kept: list[str] | None = None
    for line in text.splitlines():
        if line.startswith("# %%"):
            if kept is not None:
                break
            kept = [] if '"parameters"' in line else None
        elif kept is not None:
            kept.append(line)
    return "\n".join(kept or [])


def parameters_with_comments(path: Path) -> list[tuple[str, Any, str]]:
    """Name, default and comment of every parameter of a notebook (``.py`` or ``.ipynb``), in the order of its cell.

    The comment is "" where there is none. ``ValueError`` names the file where its cell holds more than plain values.
    """
    cell = _cell(path)
    comments = [t for t in tokenize.generate_tokens(io.StringIO(cell).readline) if t.type == tokenize.COMMENT]
    found = []
    for node in ast.parse(cell).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        try:
            default = ast.literal_eval(getattr(node, "value", None))
        except ValueError:
            raise ValueError(f"{path.name}: parameters cell, line {node.lineno}: expected name = plain value") from None
        if not isinstance(target, ast.Name):
            raise ValueError(f"{path.name}: parameters cell, line {node.lineno}: expected name = plain value")
        own = [t.string.lstrip("# ") for t in comments if node.lineno <= t.start[0] <= node.end_lineno]
        found.append((target.id, default, " ".join(own)))
    return found
